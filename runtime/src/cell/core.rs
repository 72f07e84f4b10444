//! The cell: an agent's lasting identity. Path, life and statistics stay; incarnations come and go.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::actor::{ExitPhase, ExitReason};
use crate::address::{ActorPath, Epoch, Waits};
use crate::cell::look::Exit;
use crate::cell::ractor_bridge::Task;
use crate::cell::{Incarnation, LaunchError, LifeEvent, LifeState, PastExit, Whereabouts};
use crate::events::RuntimeEvent;
use crate::mailbox::DeadLetterReason;
use crate::mailbox::lanes::{ControlLane, Raised};
use crate::message::{Chain, Head};
use crate::resilience::Breaker;
use crate::sync::lock;
use crate::telemetry::TypeMetrics;
use crate::world::World;

/// How many exits a cell remembers for those who watch its incarnations.
const EXITS_KEPT: usize = 16;

/// How many of them one look shows.
const EXITS_SHOWN: usize = 3;

/// What of an actor is kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    State,
    /// State and mail: each message is a transaction.
    Everything,
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
    /// Whether each message is a transaction.
    pub(crate) is_transactional: bool,
    /// Left here by the floors above.
    pub(crate) mark: [AtomicU64; 2],
    /// What calls by way of a pool go through; kept across all lives.
    pub(crate) breaker: Mutex<Option<Breaker>>,
    /// Lives whose end was recorded by somebody else and whose task goes on.
    pub(crate) blocked_lives: AtomicU32,
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
    exits: VecDeque<Exit>,
    task: Option<Task>,
    /// The last incarnation that fell over a message it had fallen over before.
    repeated: Option<Incarnation>,
    /// The work under way that must not be cut by a supervisor's impatience, each with its number and its deadline.
    protected: Vec<(u64, Instant)>,
    /// The place is being deleted: no life begins any more.
    is_barred: bool,
}

impl CellCore {
    pub(crate) fn new(
        world: Arc<World>,
        path: ActorPath,
        type_name: &'static str,
        keeps: Keeps,
    ) -> Arc<Self> {
        Arc::new(CellCore {
            id: world.next_number(),
            metrics: world.telemetry.of_type(type_name),
            path,
            type_name,
            world,
            waits: Waits::default(),
            is_durable: keeps != Keeps::Nothing,
            is_transactional: keeps == Keeps::Everything,
            mark: Default::default(),
            breaker: Mutex::default(),
            blocked_lives: AtomicU32::new(0),
            current: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            launches: AtomicU64::new(0),
            life: Mutex::new(Life {
                state: LifeState::Vacant,
                control: Arc::default(),
                occupant: None,
                started: None,
                exits: VecDeque::new(),
                is_barred: false,
                task: None,
                repeated: None,
                protected: Vec::new(),
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

    /// The task of `incarnation`, while it lives there.
    pub(crate) fn task_of(&self, incarnation: Incarnation) -> Option<Task> {
        let life = lock(&self.life);
        if life.occupant == Some(incarnation) { life.task.clone() } else { None }
    }

    /// No life begins here any more; the one that there is, is returned.
    pub(crate) fn bar(&self) -> Option<Incarnation> {
        let mut life = lock(&self.life);
        life.is_barred = true;
        life.occupant
    }

    pub(crate) fn is_current(&self, incarnation: Incarnation) -> bool {
        self.current.load(Ordering::Acquire) == incarnation.0
    }

    pub(crate) fn last_exit(&self) -> Option<ExitReason> {
        lock(&self.life).exits.back().map(|exit| exit.reason.clone())
    }

    /// Where it is in its life, and how the last lives ended, the newest last.
    pub(crate) fn look(&self) -> (LifeState, Vec<PastExit>) {
        let life = lock(&self.life);
        let beyond = life.exits.len().saturating_sub(EXITS_SHOWN);
        (life.state, life.exits.iter().skip(beyond).map(PastExit::from).collect())
    }

    pub(crate) fn exit_of(&self, incarnation: Incarnation) -> Option<ExitReason> {
        known_exit(&lock(&self.life), incarnation)
    }

    /// `incarnation` falls over a message that it, or one before it, has fallen over.
    pub(crate) fn repeats(&self, incarnation: Incarnation) {
        lock(&self.life).repeated = Some(incarnation);
    }

    /// Whether `incarnation` ended so.
    pub(crate) fn has_repeated(&self, incarnation: Incarnation) -> bool {
        lock(&self.life).repeated == Some(incarnation)
    }

    /// Protects work of `incarnation` until then, and says under which number.
    pub(crate) fn protect(&self, incarnation: Incarnation, until: Instant) -> u64 {
        let number = self.world.next_number();
        let mut life = lock(&self.life);
        if life.occupant == Some(incarnation) {
            life.protected.push((number, until));
        }
        number
    }

    /// The work of that number is done.
    pub(crate) fn unprotect(&self, number: u64) {
        lock(&self.life).protected.retain(|(other, _)| *other != number);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_protected(&self) -> bool {
        !lock(&self.life).protected.is_empty()
    }

    /// Waits until `incarnation` has ended, or what is protected now is done or past its deadline. What begins to be
    /// protected meanwhile does not count: its time is over.
    pub(crate) async fn wait_unprotected(&self, incarnation: Incarnation) {
        let of_now = {
            let life = lock(&self.life);
            if life.occupant == Some(incarnation) { life.protected.clone() } else { Vec::new() }
        };
        let Some(latest) = of_now.iter().map(|(_, until)| *until).max() else { return };
        let over = self.wait_for(|life| {
            let goes_on = of_now.iter().any(|work| life.protected.contains(work));
            (life.occupant != Some(incarnation) || !goes_on).then_some(())
        });
        let left = latest.saturating_duration_since(self.world.clock.now());
        // Passed: its time is over.
        let _done: Option<()> = self.world.clock.within(left, over).await;
    }

    /// The exits after `seen`, oldest first.
    pub(crate) fn exits_after(&self, seen: Incarnation) -> Vec<(Incarnation, Epoch, ExitReason)> {
        let life = lock(&self.life);
        let news = life.exits.iter().filter(|exit| exit.incarnation > seen);
        news.map(|exit| (exit.incarnation, exit.epoch, exit.reason.clone())).collect()
    }

    /// Begins a new life: a fresh control lane, the next epoch, a new number.
    pub(crate) fn begin(&self) -> Result<(Incarnation, Arc<ControlLane>), LaunchError> {
        let mut life = lock(&self.life);
        if life.is_barred {
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
        self.changed.notify_waiters();
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
        life.protected.clear();
        life.state = life.state.after(LifeEvent::Ended);
        if life.exits.len() == EXITS_KEPT {
            life.exits.pop_front();
        }
        let epoch = self.epoch();
        let at_ms = self.world.clock.elapsed_ms();
        life.exits.push_back(Exit { incarnation, epoch, at_ms, reason: reason.clone() });
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

    /// A task came to its end after somebody else had recorded one for it.
    pub(crate) fn has_come_back(&self) {
        self.blocked_lives.fetch_sub(1, Ordering::Relaxed);
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

    /// Raises `what` in whichever life there is.
    pub(crate) fn raise(&self, what: Raised) {
        if let Some(incarnation) = self.occupant() {
            self.raise_on(incarnation, what);
        }
    }

    /// Raises `what` in that life; without effect once it has ended.
    pub(crate) fn raise_on(&self, incarnation: Incarnation, what: Raised) {
        let control = {
            let mut life = lock(&self.life);
            if life.occupant != Some(incarnation) {
                return;
            }
            match what {
                Raised::Nothing | Raised::Leave => {}
                Raised::Drain => life.state = life.state.after(LifeEvent::DrainRaised),
                Raised::Stop | Raised::Kill => life.state = life.state.after(LifeEvent::StopRaised),
            }
            life.control.clone()
        };
        self.changed.notify_waiters();
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

    pub(crate) fn whereabouts(&self) -> Whereabouts {
        let life = lock(&self.life);
        Whereabouts { state: life.state, started: life.started }
    }

    pub(crate) async fn wait_until(&self, mut is_so: impl FnMut(Whereabouts) -> bool + Send) -> Whereabouts {
        self.wait_for(|life| {
            let now = Whereabouts { state: life.state, started: life.started };
            is_so(now).then_some(now)
        })
        .await
    }

    pub(crate) async fn wait_closed(&self) -> Option<ExitReason> {
        self.wait_for(|life| {
            (life.state == LifeState::Closed).then(|| life.exits.back().map(|exit| exit.reason.clone()))
        })
        .await
    }

    /// Waits until there is an exit after `seen`, or the place is closed.
    pub(crate) async fn wait_exit_after(&self, seen: Incarnation) {
        self.wait_for(|life| {
            let news = life.exits.back().is_some_and(|exit| exit.incarnation > seen);
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
    // Forgotten, because many lives came after it.
    Some(known_exit(life, incarnation).unwrap_or(ExitReason::Killed { phase: ExitPhase::Idle }))
}

fn known_exit(life: &Life, incarnation: Incarnation) -> Option<ExitReason> {
    life.exits.iter().find(|exit| exit.incarnation == incarnation).map(|exit| exit.reason.clone())
}
