//! A place in the tree without its type: what a supervisor and the runtime need of every cell.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::actor::{ExitPhase, ExitReason};
use crate::address::{ActorPath, Epoch};
use crate::cell::{CellCore, LifeState, PastExit, Shown};
use crate::events::RuntimeEvent;
use crate::mailbox::glance::Glance;
use crate::mailbox::lanes::Raised;
use crate::message::MessageId;
use crate::runtime::{Runtime, SpawnError};

pub use crate::cell::ractor_bridge::Link;

/// The number of one life of one actor, unique within its runtime. [`Epoch`] is the number within the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

/// The end of one incarnation, as its supervisor hears it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildExit {
    /// Which place.
    pub place: Place,
    /// Which life there.
    pub incarnation: Incarnation,
    /// How it ended.
    pub reason: ExitReason,
    /// Whether it fell over a message that it had fallen over before, and that will be quarantined.
    pub is_repeat: bool,
}

/// Why an incarnation could not even be spawned.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The place was deleted.
    #[error("{0} is closed")]
    Closed(ActorPath),
    /// The place has an incarnation already.
    #[error("{0} has an incarnation already")]
    Occupied(ActorPath),
    /// The task could not be spawned: the supervisor itself is ending.
    #[error("{0} could not be spawned: its supervisor is ending")]
    SupervisorEnding(ActorPath),
}

/// What a message is doing in an actor's hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InHand {
    /// The name of its type.
    pub message: &'static str,
    /// Its number.
    pub id: MessageId,
    /// How often a handler fell over it before.
    pub tries: u32,
    /// Since when it is in hand, counted from the start of the runtime.
    ///
    /// The clock is not read for each message. Once its handler has waited, this is when it first did. Before that it may
    /// be the time at which one of the 63 messages before it was taken; and for a message that woke its actor, the time
    /// at which the next one came, or was first looked at.
    pub since: Duration,
}

/// What one look at an actor shows. Taken from the cell, so it never waits for the actor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Observation {
    /// Where it lives.
    pub path: ActorPath,
    /// The Rust type.
    pub type_name: &'static str,
    /// Where it is in its life.
    pub state: LifeState,
    /// Which life.
    pub epoch: Epoch,
    /// Messages waiting, places promised to senders included.
    pub waiting: usize,
    /// The bound of `waiting`.
    pub capacity: usize,
    /// How long the oldest of them has waited; `None` when none does. Too long by at most the time in which the 63 messages
    /// before it came. One that woke its actor and was not taken at once counts from the one behind it, or from the first
    /// look that finds it.
    pub oldest_age: Option<Duration>,
    /// The message being handled.
    pub in_hand: Option<InHand>,
    /// Lives after the first.
    pub restarts: u64,
    /// How the last life ended, if one did.
    pub last_exit: Option<ExitReason>,
    /// How the last lives ended, at most three, the newest last.
    pub exits: Vec<PastExit>,
    /// How many lives were fenced whose task has not come back since: each of them blocks a thread.
    pub blocked_lives: u32,
}

/// Where a place is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub struct Whereabouts {
    /// The state.
    pub state: LifeState,
    /// Which incarnation came through its start last, whether it still lives or not.
    pub started: Option<Incarnation>,
}

/// How busy a place is, as far as somebody who chooses among several wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Where it is in its life.
    pub state: LifeState,
    /// Messages waiting, places promised to senders included.
    pub waiting: usize,
    /// The bound of `waiting`.
    pub capacity: usize,
    /// Whether it takes new messages, were there room.
    pub is_open: bool,
    /// Whether it has a message in hand.
    pub is_busy: bool,
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The side of a cell that has no message type.
pub(crate) trait Seat: Send + Sync + 'static {
    fn core(&self) -> &Arc<CellCore>;
    fn launch<'a>(self: Arc<Self>, under: &'a Link) -> BoxFuture<'a, Result<Incarnation, LaunchError>>;
    /// Ends an incarnation: fences it and settles the message it had in hand. `false`, and without effect, if it has
    /// ended already.
    fn end(&self, incarnation: Incarnation, reason: ExitReason) -> bool;
    fn close(&self);
    fn shelve(&self);
    fn clear(&self);
    fn drain(&self);
    fn waiting(&self) -> (usize, usize);
    fn is_open(&self) -> bool;
    fn is_busy(&self) -> bool;
    fn move_waiting(&self, to: &[Place]) -> usize;
    fn glance(&self) -> Glance;
    /// What it shows of itself to an upper floor, if anything.
    fn shown(&self) -> Option<Shown> {
        None
    }
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A place in the tree: launched, brought down and closed by its supervisor. Cloning is one reference count.
#[derive(Clone)]
pub struct Place(pub(crate) Arc<dyn Seat>);

impl Place {
    /// Where it is.
    pub fn path(&self) -> &ActorPath {
        &self.0.core().path
    }

    /// Where it is in its life.
    pub fn state(&self) -> LifeState {
        self.0.core().state()
    }

    /// A look at it, without waiting for it.
    pub fn observe(&self) -> Observation {
        let core = self.0.core();
        let Glance { waiting, capacity, oldest_ms, in_hand, .. } = self.0.glance();
        let (state, exits) = core.look();
        let age = |came_ms| Duration::from_millis(core.world.clock.elapsed_ms().saturating_sub(came_ms));
        Observation {
            path: core.path.clone(),
            type_name: core.type_name,
            state,
            epoch: core.epoch(),
            waiting,
            capacity,
            oldest_age: oldest_ms.map(age),
            in_hand,
            restarts: core.restarts(),
            last_exit: exits.last().map(|exit| exit.reason.clone()),
            exits,
            blocked_lives: core.blocked_lives.load(Ordering::Relaxed),
        }
    }

    /// How busy it is. Cheaper than [`observe`](Place::observe): two short locks.
    pub fn load(&self) -> Load {
        let (waiting, capacity) = self.0.waiting();
        Load { state: self.state(), waiting, capacity, is_open: self.0.is_open(), is_busy: self.0.is_busy() }
    }

    /// Waits until `is_so` says yes; for the crates that build on this one.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    #[doc(hidden)]
    pub async fn until(&self, is_so: impl FnMut(Whereabouts) -> bool + Send) -> Whereabouts {
        self.0.core().wait_until(is_so).await
    }

    /// Moves what waits here to others of the same type in the same runtime, oldest first, in turns and as far as they
    /// have room, and says how many messages moved. Askers keep waiting for the same answer.
    ///
    /// Only what a pool routed here moves: what was sent to this very actor stays, and so do an offer of a handoff and
    /// what an actor told itself. What finds no room stays in its place; so does what a durable actor has accepted, and
    /// what would make actors wait for one another in a ring.
    pub fn move_waiting(&self, to: &[Place]) -> usize {
        self.0.move_waiting(to)
    }

    /// Spawns the next incarnation, linked under a supervisor. Returns as soon as it is spawned; its `start` runs in
    /// its own task: see [`started`](Place::started).
    ///
    /// # Errors
    ///
    /// [`LaunchError`]; nothing was spawned.
    pub async fn launch(&self, under: &Link) -> Result<Incarnation, LaunchError> {
        self.0.clone().launch(under).await
    }

    /// Waits until `incarnation` has started.
    ///
    /// # Errors
    ///
    /// How it ended, if it ended instead.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn started(&self, incarnation: Incarnation) -> Result<(), ExitReason> {
        self.0.core().wait_started(incarnation).await
    }

    /// Waits until `incarnation` has ended.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn ended(&self, incarnation: Incarnation) -> ExitReason {
        self.0.core().wait_ended(incarnation).await
    }

    /// Brings the running incarnation down and says how it ended; `None` if there was none.
    ///
    /// Asks it to stop and waits for `patience` (`None`: for ever; zero: kills at once), and for work that is
    /// [protected](crate::Context::protect) until the deadline of that; then kills it and waits for
    /// the kill grace of the runtime (1 s), then fences it as [`ExitReason::Unresponsive`] and reports its path.
    ///
    /// # Cancel safety
    ///
    /// What was raised stays raised; call it again to wait for the end.
    pub async fn bring_down(&self, patience: Option<Duration>) -> Option<ExitReason> {
        self.bring_down_so(patience, Protected::IsWaitedFor).await
    }

    /// As [`bring_down`](Place::bring_down), but the patience is all there is: nothing that is protected prolongs it.
    ///
    /// # Cancel safety
    ///
    /// As [`bring_down`](Place::bring_down).
    pub async fn bring_down_within(&self, limit: Duration) -> Option<ExitReason> {
        self.bring_down_so(Some(limit), Protected::IsCut).await
    }

    /// Whether work is under way there that a supervisor waits for beyond its patience.
    pub fn is_protected(&self) -> bool {
        self.0.core().is_protected()
    }

    async fn bring_down_so(&self, patience: Option<Duration>, protected: Protected) -> Option<ExitReason> {
        let core = self.0.core();
        let clock = core.world.clock;
        let incarnation = core.occupant()?;
        let ended = || core.wait_ended(incarnation);
        if patience != Some(Duration::ZERO) {
            core.raise_on(incarnation, Raised::Stop);
            match patience {
                None => return Some(ended().await),
                Some(patience) => {
                    if let Some(reason) = clock.within(patience, ended()).await {
                        return Some(reason);
                    }
                    if protected == Protected::IsWaitedFor {
                        core.wait_unprotected(incarnation).await;
                    }
                    core.world.note_late(&core.path);
                }
            }
        }
        core.raise_on(incarnation, Raised::Kill);
        if let Some(reason) = clock.within(core.world.config.kill_grace, ended()).await {
            return Some(reason);
        }
        self.fence(incarnation);
        Some(core.exit_of(incarnation).unwrap_or(ExitReason::Unresponsive))
    }

    /// Asks the running incarnation to stop, without waiting: for those who stop many at once.
    pub fn ask_to_stop(&self) {
        self.0.core().raise(Raised::Stop);
    }

    /// Declares `incarnation` down although its task still runs: what it sends, answers or stores from now on is
    /// refused.
    fn fence(&self, incarnation: Incarnation) {
        let core = self.0.core();
        let (task, epoch) = (core.task_of(incarnation), core.epoch());
        if !self.end_in_its_stead(incarnation, ExitReason::Unresponsive) {
            return; // it came to its end by itself meanwhile
        }
        tracing::error!(actor = %core.path, "an actor blocks its thread; it was fenced");
        core.world.publish(RuntimeEvent::Unresponsive { path: core.path.clone(), epoch });
        core.world.note_late(&core.path);
        if let Some(task) = task {
            task.was_fenced();
        }
    }

    /// Kills the running incarnation at its next `.await`, without waiting.
    pub fn kill(&self) {
        self.0.core().raise(Raised::Kill);
    }

    /// Lets it handle what waits, refuses what comes, and then end normally.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Lays a place aside whose incarnation ended and does not come back for now: what waits goes to dead letters, and
    /// new messages are refused until it is launched again.
    ///
    /// The places below are laid aside with it.
    pub fn shelve(&self) {
        let core = self.0.core();
        for below in core.world.directory.below(&core.path) {
            below.0.shelve();
        }
        self.0.shelve();
    }

    /// Sends what waits to dead letters, without laying the place aside. A durable actor keeps it.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Deletes the place, and those below it: what waits goes to dead letters, references answer `Gone`. A running
    /// incarnation is killed; bring it down before if it should end in order.
    pub fn close(&self) {
        let core = self.0.core().clone();
        if core.state() == LifeState::Closed {
            return; // what lives below its path by now is somebody else's
        }
        for below in core.world.directory.below(&core.path).into_iter().rev() {
            below.close_alone();
        }
        self.close_alone();
    }

    fn close_alone(&self) {
        let core = self.0.core();
        core.world.directory.remove(&core.path, core.id);
        if let Some(incarnation) = core.bar() {
            core.raise_on(incarnation, Raised::Kill);
            self.end_in_its_stead(incarnation, ExitReason::Killed { phase: ExitPhase::Handle });
        }
        self.0.close();
        core.closed();
    }

    /// Waits until the place is deleted, and says how its last incarnation ended. Ready at once if it is.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn closed(&self) -> Option<ExitReason> {
        self.0.core().wait_closed().await
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}, {:?})", self.path(), self.state())
    }
}

/// What becomes of protected work when the patience is over.
#[derive(Clone, Copy, PartialEq)]
enum Protected {
    IsWaitedFor,
    IsCut,
}

type Make = dyn Fn(&Runtime, ActorPath) -> Result<Place, SpawnError> + Send + Sync;
type Renew = dyn Fn(&Place) + Send + Sync;

/// How to make a place: a name and what lives there. A supervisor's child spec wraps one.
#[derive(Clone)]
pub struct PlaceSpec {
    name: String,
    make: Arc<Make>,
    renew: Arc<Renew>,
}

impl PlaceSpec {
    pub(crate) fn new(
        name: String,
        make: impl Fn(&Runtime, ActorPath) -> Result<Place, SpawnError> + Send + Sync + 'static,
        renew: impl Fn(&Place) + Send + Sync + 'static,
    ) -> Self {
        PlaceSpec { name, make: Arc::new(make), renew: Arc::new(renew) }
    }

    /// The last segment of the path it gets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the place under `parent`, or claims the one that is there with its mailbox: that of an earlier life of
    /// the same supervisor. Its incarnation may be on its way out still: bring it down before the launch. One that is
    /// claimed is as it was made: [`renew`](PlaceSpec::renew) it where this spec is to hold.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Path`], or [`SpawnError::WrongType`] when another type lived there before.
    pub fn place(&self, runtime: &Runtime, parent: Option<&ActorPath>) -> Result<Place, SpawnError> {
        let path = match parent {
            Some(parent) => parent.child(&self.name)?,
            None => ActorPath::top(&self.name)?,
        };
        (self.make)(runtime, path)
    }

    /// Lets the next life of `place` begin as this spec says: with its arguments and its start deadline, redeliveries,
    /// quarantine and progress deadline; a supervisor with its children. A life that runs goes on with what it began with.
    /// What a place is made of stays: its mailbox, and whether and when its state is stored. Without effect on a place of
    /// another type.
    pub fn renew(&self, place: &Place) {
        (self.renew)(place);
    }
}

impl fmt::Debug for PlaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlaceSpec({})", self.name)
    }
}
