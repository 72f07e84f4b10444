//! The cell: an agent's lasting identity. Path, mailbox, life and statistics stay; incarnations come and go.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::actor::place::BoxFuture;
use crate::actor::ractor_bridge::Task;
use crate::actor::{
    Actor, Durability, ExitPhase, ExitReason, InHand, Incarnation, LaunchError, LifeEvent, LifeState, Link,
    Seat, ractor_bridge,
};
use crate::address::{ActorPath, Epoch, Waits};
use crate::events::RuntimeEvent;
use crate::mailbox::lanes::{ControlLane, Raised};
use crate::mailbox::queue::{Gate, Hand, Mailbox, Queued};
use crate::mailbox::{DeadLetterReason, MailboxSpec};
use crate::message::envelope::Parcel;
use crate::message::{Head, NoReply};
use crate::runtime::World;
use crate::sync::lock;
use crate::telemetry::TypeMetrics;

/// How many exits a cell remembers for those who watch its incarnations.
const EXITS_KEPT: usize = 16;

/// What the spec of an actor says about its cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellSettings {
    pub(crate) mailbox: MailboxSpec,
    pub(crate) start_within: Duration,
    /// How often a message comes again after the handler fell over it.
    pub(crate) redeliveries: u32,
}

/// The part of a cell that knows nothing of the actor's type.
pub(crate) struct CellCore {
    /// Tells a place from a later one at the same path.
    pub(crate) id: u64,
    pub(crate) path: ActorPath,
    pub(crate) type_name: &'static str,
    pub(crate) world: Arc<World>,
    pub(crate) metrics: Arc<TypeMetrics>,
    /// Whom the handler that runs here waits for.
    pub(crate) waits: Waits,
    pub(crate) is_durable: bool,
    /// The incarnation whose sends, replies and timers count; 0 is nobody's.
    current: AtomicU64,
    epoch: AtomicU64,
    launches: AtomicU64,
    life: Mutex<Life>,
    changed: Notify,
}

struct Life {
    state: LifeState,
    control: Arc<ControlLane>,
    occupant: Option<Incarnation>,
    started: Option<Incarnation>,
    exits: VecDeque<(Incarnation, Epoch, ExitReason)>,
    task: Option<Task>,
}

impl CellCore {
    pub(crate) fn new(
        world: Arc<World>,
        path: ActorPath,
        type_name: &'static str,
        is_durable: bool,
    ) -> Arc<Self> {
        Arc::new(CellCore {
            id: world.next_number(),
            metrics: world.telemetry.of_type(type_name),
            path,
            type_name,
            world,
            waits: Waits::default(),
            is_durable,
            current: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            launches: AtomicU64::new(0),
            life: Mutex::new(Life {
                state: LifeState::Vacant,
                control: Arc::default(),
                occupant: None,
                started: None,
                exits: VecDeque::new(),
                task: None,
            }),
            changed: Notify::new(),
        })
    }

    pub(crate) fn state(&self) -> LifeState {
        lock(&self.life).state
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// A durable actor's epoch comes from the store.
    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.launches.load(Ordering::Relaxed).saturating_sub(1)
    }

    pub(crate) fn occupant(&self) -> Option<Incarnation> {
        lock(&self.life).occupant
    }

    /// Remembers the task that runs `incarnation`.
    pub(crate) fn runs_in(&self, incarnation: Incarnation, task: Task) {
        let mut life = lock(&self.life);
        if life.occupant == Some(incarnation) {
            life.task = Some(task);
        }
    }

    pub(crate) fn task(&self) -> Option<Task> {
        lock(&self.life).task.clone()
    }

    pub(crate) fn is_current(&self, incarnation: Incarnation) -> bool {
        self.current.load(Ordering::Acquire) == incarnation.0
    }

    pub(crate) fn last_exit(&self) -> Option<ExitReason> {
        lock(&self.life).exits.back().map(|(_, _, reason)| reason.clone())
    }

    pub(crate) fn exit_of(&self, incarnation: Incarnation) -> Option<ExitReason> {
        lock(&self.life).exits.iter().find(|(who, ..)| *who == incarnation).map(|(_, _, why)| why.clone())
    }

    /// The exits after `seen`, oldest first.
    pub(crate) fn exits_after(&self, seen: Incarnation) -> Vec<(Incarnation, Epoch, ExitReason)> {
        lock(&self.life).exits.iter().filter(|(who, ..)| *who > seen).cloned().collect()
    }

    /// Begins a new life: a fresh control lane, the next epoch, a new number.
    pub(crate) fn begin(&self) -> Result<(Incarnation, Arc<ControlLane>), LaunchError> {
        let mut life = lock(&self.life);
        if life.state == LifeState::Closed {
            return Err(LaunchError::Closed(self.path.clone()));
        }
        if life.occupant.is_some() {
            return Err(LaunchError::Occupied(self.path.clone()));
        }
        let incarnation = Incarnation(self.world.next_number());
        let control = Arc::<ControlLane>::default();
        life.state = life.state.after(LifeEvent::Launched);
        life.occupant = Some(incarnation);
        life.control = control.clone();
        self.current.store(incarnation.0, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let again = self.launches.fetch_add(1, Ordering::Relaxed) > 0;
        drop(life);
        if again {
            self.metrics.restarts.increment(1);
        }
        Ok((incarnation, control))
    }

    pub(crate) fn started(&self, incarnation: Incarnation) {
        let mut life = lock(&self.life);
        if life.occupant != Some(incarnation) {
            return;
        }
        life.state = life.state.after(LifeEvent::Started);
        life.started = Some(incarnation);
        if life.control.raised() == Raised::Drain {
            life.state = life.state.after(LifeEvent::DrainRaised);
        }
        // Under the lock, as below: whoever goes on because of this finds the event published before its own.
        self.world.publish(RuntimeEvent::Started { path: self.path.clone(), epoch: self.epoch() });
        drop(life);
        self.changed.notify_waiters();
    }

    /// Records the end of `incarnation`. `false`: it had ended already.
    pub(crate) fn ended(&self, incarnation: Incarnation, reason: &ExitReason) -> bool {
        let mut life = lock(&self.life);
        if life.occupant != Some(incarnation) {
            return false;
        }
        life.occupant = None;
        life.task = None;
        life.state = life.state.after(LifeEvent::Ended);
        if life.exits.len() == EXITS_KEPT {
            life.exits.pop_front();
        }
        let epoch = self.epoch();
        life.exits.push_back((incarnation, epoch, reason.clone()));
        // Fenced from here on: a task that still runs is refused wherever it knocks.
        self.current.store(0, Ordering::Release);
        self.world.publish(RuntimeEvent::Ended { path: self.path.clone(), epoch, reason: reason.clone() });
        drop(life);
        self.waits.clear();
        self.changed.notify_waiters();
        if reason.is_abnormal() {
            tracing::warn!(actor = %self.path, epoch = epoch.0, reason = %Chain(reason), "an actor ended abnormally");
        } else {
            tracing::debug!(actor = %self.path, epoch = epoch.0, reason = %reason, "an actor ended");
        }
        self.metrics.exit(&self.world.telemetry, reason.label());
        true
    }

    pub(crate) fn closed(&self) {
        let mut life = lock(&self.life);
        if life.state == LifeState::Closed {
            return;
        }
        life.state = life.state.after(LifeEvent::Closed);
        self.world.publish(RuntimeEvent::Closed { path: self.path.clone() });
        drop(life);
        self.changed.notify_waiters();
    }

    pub(crate) fn raise(&self, what: Raised) {
        let control = {
            let mut life = lock(&self.life);
            if life.occupant.is_none() {
                return;
            }
            match what {
                Raised::Nothing | Raised::Leave => {}
                Raised::Drain => life.state = life.state.after(LifeEvent::DrainRaised),
                Raised::Stop | Raised::Kill => life.state = life.state.after(LifeEvent::StopRaised),
            }
            life.control.clone()
        };
        control.raise(what);
    }

    async fn wait_for<T>(&self, mut look: impl FnMut(&mut Life) -> Option<T>) -> T
    where
        Life: Send,
    {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = look(&mut lock(&self.life)) {
                return found;
            }
            changed.await;
        }
    }

    pub(crate) async fn wait_started(&self, incarnation: Incarnation) -> Result<(), ExitReason> {
        self.wait_for(|life| {
            if life.started == Some(incarnation) && life.occupant == Some(incarnation) {
                return Some(Ok(()));
            }
            ended_in(life, incarnation)
                .map(|reason| if life.started == Some(incarnation) { Ok(()) } else { Err(reason) })
        })
        .await
    }

    pub(crate) async fn wait_ended(&self, incarnation: Incarnation) -> ExitReason {
        self.wait_for(|life| ended_in(life, incarnation)).await
    }

    pub(crate) async fn wait_closed(&self) -> Option<ExitReason> {
        self.wait_for(|life| {
            (life.state == LifeState::Closed).then(|| life.exits.back().map(|(_, _, reason)| reason.clone()))
        })
        .await
    }

    /// Waits until there is an exit after `seen`, or the place is closed.
    pub(crate) async fn wait_exit_after(&self, seen: Incarnation) {
        self.wait_for(|life| {
            let news = life.exits.back().is_some_and(|(who, ..)| *who > seen);
            (news || life.state == LifeState::Closed).then_some(())
        })
        .await;
    }

    /// Writes a dead letter for this cell.
    pub(crate) fn dead_letter(&self, head: Head, reason: DeadLetterReason) {
        self.world.dead_letter(&self.path, head, reason);
    }
}

fn ended_in(life: &Life, incarnation: Incarnation) -> Option<ExitReason> {
    if life.occupant == Some(incarnation) {
        return None;
    }
    let known = life.exits.iter().find(|(who, ..)| *who == incarnation).map(|(_, _, why)| why.clone());
    // Forgotten, because many lives came after it.
    Some(known.unwrap_or(ExitReason::Killed { phase: ExitPhase::Idle }))
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A cell with its type: what an [`ActorRef`](crate::ActorRef) points to.
pub(crate) struct Cell<A: Actor> {
    pub(crate) core: Arc<CellCore>,
    pub(crate) args: Arc<A::Args>,
    pub(crate) settings: CellSettings,
    pub(crate) mailbox: Mailbox<A::Inbox>,
    pub(crate) durability: Option<Durability<A>>,
    ending: Mutex<()>,
}

impl<A: Actor> Cell<A> {
    pub(crate) fn new(
        core: Arc<CellCore>,
        args: Arc<A::Args>,
        settings: CellSettings,
        durability: Option<Durability<A>>,
    ) -> Self {
        Cell {
            core,
            args,
            mailbox: Mailbox::new(settings.mailbox),
            settings,
            durability,
            ending: Mutex::default(),
        }
    }

    fn clear_out(&self, gate: Gate) {
        for queued in self.mailbox.close(gate) {
            self.bury(queued, DeadLetterReason::Gone, NoReply::Stopped);
        }
    }

    /// The dead letter of a message that waited, and the word to its asker.
    pub(crate) fn bury(&self, queued: Queued<A::Inbox>, reason: DeadLetterReason, answer: NoReply) {
        if let Some(reply) = queued.parcel.reply() {
            reply.fail(answer);
        }
        self.core.dead_letter(queued.head, reason);
    }

    /// The dead letter of a message that was in hand, and the word to its asker.
    fn bury_hand(&self, hand: Hand<A::Inbox>, reason: DeadLetterReason, answer: NoReply) {
        if let Some(reply) = hand.reply {
            reply.fail(answer);
        }
        self.core.dead_letter(hand.head, reason);
    }

    /// What becomes of the message in hand when its incarnation ends: the table of DESIGN section 3.
    fn settle_hand(&self, hand: Hand<A::Inbox>, reason: &ExitReason) {
        let put_back = |hand: Hand<A::Inbox>, tries| match hand.again {
            Some(again) => {
                self.mailbox.put_back(again, Head { tries, ..hand.head });
                None
            }
            None => Some(Hand { again: None, ..hand }),
        };
        if hand.settling {
            // Killed in the middle of its commit: run again it might be applied twice, so it is reported instead.
            return self.bury_hand(hand, DeadLetterReason::Unstored, NoReply::Stopped);
        }
        let tries = hand.head.tries + 1;
        match reason {
            ExitReason::Panicked { .. } | ExitReason::Failed { .. } => {
                if let Some(hand) = put_back(hand, tries) {
                    let answer = NoReply::ActorFailed(reason.clone());
                    self.bury_hand(hand, DeadLetterReason::Crashed(reason.clone()), answer);
                }
            }
            _ => {
                // A stop is nobody's fault: the message of a durable actor keeps its place and its tries. After a
                // kill it is counted, or a stuck message would come back for ever.
                let tries = if matches!(reason, ExitReason::Shutdown) { hand.head.tries } else { tries };
                let rest = if self.core.is_durable { put_back(hand, tries) } else { Some(hand) };
                if let Some(hand) = rest {
                    self.bury_hand(hand, DeadLetterReason::Cut, NoReply::Stopped);
                }
            }
        }
    }
}

impl<A: Actor> AsRef<Mailbox<A::Inbox>> for Cell<A> {
    fn as_ref(&self) -> &Mailbox<A::Inbox> {
        &self.mailbox
    }
}

impl<A: Actor> Seat for Cell<A> {
    fn core(&self) -> &Arc<CellCore> {
        &self.core
    }

    fn launch<'a>(self: Arc<Self>, under: &'a Link) -> BoxFuture<'a, Result<Incarnation, LaunchError>> {
        Box::pin(ractor_bridge::launch_worker(self, under))
    }

    fn end(&self, incarnation: Incarnation, reason: ExitReason) {
        // One at a time: a fence may meet the end by itself, and the later must not reach into the next life.
        let _one = lock(&self.ending);
        // The hand first: once the cell counts as vacant, the next life may begin to read.
        let hand = self.mailbox.take_hand(incarnation.0);
        if self.core.occupant() != Some(incarnation) {
            return;
        }
        self.mailbox.hand_to(0);
        if let Some(hand) = hand {
            self.settle_hand(hand, &reason);
        }
        self.core.ended(incarnation, &reason);
    }

    fn close(&self) {
        self.clear_out(Gate::Closed);
    }

    fn shelve(&self) {
        self.clear_out(Gate::Shelved);
    }

    fn drain(&self) {
        self.mailbox.drain();
        self.core.raise(Raised::Drain);
    }

    fn waiting(&self) -> (usize, usize) {
        (self.mailbox.len(), self.mailbox.capacity())
    }

    fn in_hand(&self) -> Option<InHand> {
        self.mailbox.peek_hand().map(|(message, id, tries)| InHand { message, id, tries })
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
