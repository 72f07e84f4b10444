//! The seam for supervisors: an actor that hears messages and the exits of its children, and is woken by its control
//! lane between them. The crate `greenroom-supervision` implements it; so does the root of a runtime.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::actor::{ExitPhase, ExitReason};
use crate::address::ActorPath;
use crate::cell::place::BoxFuture;
use crate::cell::ractor_bridge::{Knock, launch_shell};
use crate::cell::{
    CellCore, ChildExit, Incarnation, Keeps, LaunchError, Link, Place, PlaceSpec, Seat, Shown,
};
use crate::mailbox::StopToken;
use crate::mailbox::glance::Glance;
use crate::mailbox::lanes::{ControlLane, Raised};
use crate::runtime::{Runtime, SpawnError};
use crate::sync::{lock, panic_text};

/// What an overseer does next.
#[derive(Clone, Debug)]
pub enum Flow {
    /// Goes on.
    Stay,
    /// Ends with this reason. Its children were brought down by it before, or are killed now.
    Leave(ExitReason),
}

/// Something that starts children and hears how they end.
///
/// One call at a time. While a call waits, a kill cuts it at its `.await`; a stop is seen through
/// [`OverseerContext::stopping`] and, between calls, by [`on_stop`](Overseer::on_stop).
pub trait Overseer: Send + Sized + 'static {
    /// What it can be asked. At most 1,024 wait at a time.
    type Message: Send + 'static;

    /// Starts the children. The place counts as started when this returns [`Flow::Stay`].
    fn begin(&mut self, cx: &OverseerContext) -> impl Future<Output = Flow> + Send;

    /// Handles one message.
    fn on_message(
        &mut self,
        message: Self::Message,
        cx: &OverseerContext,
    ) -> impl Future<Output = Flow> + Send;

    /// Hears the end of one incarnation of a child that was launched under [`OverseerContext::link`]. Ends that it
    /// brought about itself come as well.
    fn on_child_exit(&mut self, exit: ChildExit, cx: &OverseerContext) -> impl Future<Output = Flow> + Send;

    /// Brings everything down in order, and returns the reason to end with.
    fn on_stop(&mut self, cx: &OverseerContext) -> impl Future<Output = ExitReason> + Send;

    /// What it lets others see without asking it: read by [`Place::shown`]. Taken once, when a life is made; what changes
    /// is changed in it. Default: nothing.
    fn shows(&self) -> Option<Shown> {
        None
    }
}

/// What an overseer can reach.
#[derive(Debug)]
pub struct OverseerContext {
    path: ActorPath,
    runtime: Runtime,
    link: Link,
    stop: StopToken,
}

impl OverseerContext {
    /// Its own path, under which its children live.
    pub fn path(&self) -> &ActorPath {
        &self.path
    }

    /// The runtime it lives in.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Where children are linked.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Waits until it is asked to stop.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn stopping(&self) {
        self.stop.fired().await;
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_fired()
    }
}

pub(crate) struct Post<M>(pub(crate) M);

/// The cell of an overseer: lasting, like an actor's, but without a mailbox of its own.
pub(crate) struct OverseerCell<O: Overseer> {
    pub(crate) core: Arc<CellCore>,
    /// Makes the overseer of the next life.
    build: Mutex<Plan<O>>,
    knock: Mutex<Option<Knock<O::Message>>>,
    /// What the newest life shows.
    shown: Mutex<Option<Shown>>,
    /// Whether it is the root of its runtime, which has no place in the directory.
    is_root: bool,
}

type Build<O> = Arc<dyn Fn() -> O + Send + Sync>;

struct Plan<O> {
    next: Build<O>,
    /// What the spec said that is in force here: claimed by the same again, what was changed since stays.
    of_spec: Build<O>,
}

impl<O: Overseer> Seat for OverseerCell<O> {
    fn core(&self) -> &Arc<CellCore> {
        &self.core
    }
    fn launch<'a>(self: Arc<Self>, under: &'a Link) -> BoxFuture<'a, Result<Incarnation, LaunchError>> {
        Box::pin(launch_shell(self, Some(under)))
    }
    fn end(&self, incarnation: Incarnation, reason: ExitReason) -> bool {
        self.core.ended(incarnation, &reason)
    }
    fn close(&self) {
        lock(&self.knock).take();
    }
    fn shelve(&self) {}
    fn clear(&self) {}
    fn drain(&self) {
        self.core.raise(Raised::Stop);
    }
    fn waiting(&self) -> (usize, usize) {
        (0, 0)
    }
    fn is_open(&self) -> bool {
        false
    }
    fn is_busy(&self) -> bool {
        false
    }
    fn move_waiting(&self, _to: &[Place]) -> usize {
        0
    }
    fn glance(&self) -> Glance {
        Glance::default()
    }
    fn shown(&self) -> Option<Shown> {
        lock(&self.shown).clone()
    }
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// One life of an overseer. Dropped without [`finish`](ShellLife::finish), it records a kill or a panic.
pub(crate) struct ShellLife<O: Overseer> {
    cell: Arc<OverseerCell<O>>,
    overseer: O,
    incarnation: Incarnation,
    control: Arc<ControlLane>,
    context: Option<OverseerContext>,
    done: bool,
}

impl<O: Overseer> ShellLife<O> {
    pub(crate) fn new(
        cell: Arc<OverseerCell<O>>,
        incarnation: Incarnation,
        control: Arc<ControlLane>,
    ) -> Self {
        let build = lock(&cell.build).next.clone();
        let overseer = build();
        *lock(&cell.shown) = overseer.shows();
        ShellLife { cell, overseer, incarnation, control, context: None, done: false }
    }

    pub(crate) async fn begin(&mut self, link: Link) -> Flow {
        let core = &self.cell.core;
        let runtime = Runtime::guest(core.world.clone());
        let stop = self.control.token();
        let context = self.context.insert(OverseerContext { path: core.path.clone(), runtime, link, stop });
        let begin = pin!(self.overseer.begin(context));
        let flow = cut_by_kill(&self.control, ExitPhase::Start, begin).await;
        if matches!(flow, Flow::Stay) {
            core.started(self.incarnation);
        }
        flow
    }

    pub(crate) async fn on_message(&mut self, message: O::Message) -> Flow {
        let Some(context) = &self.context else { return Flow::Stay };
        let call = pin!(self.overseer.on_message(message, context));
        cut_by_kill(&self.control, ExitPhase::Handle, call).await
    }

    pub(crate) async fn on_child_exit(&mut self, exit: ChildExit) -> Flow {
        let Some(context) = &self.context else { return Flow::Stay };
        let call = pin!(self.overseer.on_child_exit(exit, context));
        cut_by_kill(&self.control, ExitPhase::Handle, call).await
    }

    pub(crate) async fn on_control(&mut self) -> Flow {
        let Some(context) = &self.context else { return Flow::Stay };
        match self.control.raised() {
            _ if self.done => return Flow::Stay,
            Raised::Nothing | Raised::Leave | Raised::Drain => return Flow::Stay,
            Raised::Stop => {}
            Raised::Kill => return Flow::Leave(ExitReason::Killed { phase: ExitPhase::Idle }),
        }
        let stop = pin!(async { Flow::Leave(self.overseer.on_stop(context).await) });
        cut_by_kill(&self.control, ExitPhase::Stop, stop).await
    }

    pub(crate) fn reach(&self, knock: Knock<O::Message>) {
        *lock(&self.cell.knock) = Some(knock);
    }

    /// Between two calls it is the knock that hears the control lane.
    pub(crate) fn rest(&self) {
        let Some(knock) = lock(&self.cell.knock).clone() else { return };
        let waker = Waker::from(Arc::new(knock));
        self.control.register(&waker);
        if self.control.raised() >= Raised::Stop {
            waker.wake();
        }
    }

    pub(crate) fn finish(&mut self, reason: ExitReason) {
        if !std::mem::replace(&mut self.done, true) && !self.cell.end(self.incarnation, reason) {
            self.cell.core.has_come_back();
        }
    }
}

impl<O: Overseer> Drop for ShellLife<O> {
    fn drop(&mut self) {
        self.finish(ExitReason::Killed { phase: ExitPhase::Idle });
        if self.cell.is_root {
            self.cell.core.closed();
        }
    }
}

/// Polls an overseer until it is done, panics, or is killed.
async fn cut_by_kill<F: Future<Output = Flow>>(
    control: &ControlLane,
    phase: ExitPhase,
    mut call: Pin<&mut F>,
) -> Flow {
    poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
            Ok(Poll::Ready(flow)) => return Poll::Ready(flow),
            Ok(Poll::Pending) => {}
            Err(payload) => {
                let text = panic_text(payload).into();
                let reason = ExitReason::Panicked { phase, text };
                return Poll::Ready(Flow::Leave(reason));
            }
        }
        control.register(context.waker());
        if control.raised() == Raised::Kill {
            return Poll::Ready(Flow::Leave(ExitReason::Killed { phase }));
        }
        Poll::Pending
    })
    .await
}

/// Reaches an overseer across its restarts. Cloning is one reference count.
pub struct OverseerRef<O: Overseer> {
    cell: Arc<OverseerCell<O>>,
}

impl<O: Overseer> Clone for OverseerRef<O> {
    fn clone(&self) -> Self {
        OverseerRef { cell: self.cell.clone() }
    }
}

impl<O: Overseer> std::fmt::Debug for OverseerRef<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OverseerRef({})", self.cell.core.path)
    }
}

impl<O: Overseer> OverseerRef<O> {
    /// Its place in the tree.
    pub fn place(&self) -> Place {
        Place(self.cell.clone())
    }

    /// Hands it a message. Never waits.
    ///
    /// # Errors
    ///
    /// The message comes back when no incarnation runs, or too many messages wait.
    pub fn post(&self, message: O::Message) -> Result<(), O::Message> {
        let knock = lock(&self.cell.knock).clone();
        match knock {
            Some(knock) => knock.post(message),
            None => Err(message),
        }
    }

    /// From the next life on it is made by `build`.
    pub fn build_with(&self, build: impl Fn() -> O + Send + Sync + 'static) {
        let old = std::mem::replace(&mut lock(&self.cell.build).next, Arc::new(build));
        drop(old); // outside the lock
    }

    /// From the next life on it is made as that spec says, unless it is the spec that is in force already.
    fn renew(&self, spec: &Build<O>) {
        let old = {
            let mut plan = lock(&self.cell.build);
            if Arc::ptr_eq(&plan.of_spec, spec) {
                return;
            }
            std::mem::replace(&mut *plan, Plan { next: spec.clone(), of_spec: spec.clone() })
        };
        drop(old); // outside the lock
    }

    /// Hands it a message however many wait: for what is bounded elsewhere, such as what it tells itself, or a request
    /// whose sender waits for the answer.
    ///
    /// # Errors
    ///
    /// The message comes back when no incarnation runs.
    pub fn post_unbounded(&self, message: O::Message) -> Result<(), O::Message> {
        let knock = lock(&self.cell.knock).clone();
        match knock {
            Some(knock) => knock.post_unbounded(message),
            None => Err(message),
        }
    }

    /// Hands it a message after `delay`, however many wait; lost when it is not running then.
    pub fn post_after(&self, delay: Duration, message: O::Message) {
        let me = self.clone();
        let world = &self.cell.core.world;
        let clock = world.clock;
        world.track(async move {
            if !delay.is_zero() {
                clock.sleep(delay).await;
            }
            // Not running any more: nobody is left to whom the message means something.
            drop(me.post_unbounded(message));
        });
    }

    /// The overseer behind a place, if it is an `O`.
    pub fn of(place: &Place) -> Option<Self> {
        place.0.clone().as_any().downcast::<OverseerCell<O>>().ok().map(|cell| OverseerRef { cell })
    }

    /// A spec for a place where an `O` lives; `build` makes it anew for each life.
    pub fn spec(name: impl Into<String>, build: impl Fn() -> O + Clone + Send + Sync + 'static) -> PlaceSpec {
        let build: Build<O> = Arc::new(build);
        let renewed = build.clone();
        let make = move |runtime: &Runtime, path: ActorPath| {
            let build = build.clone();
            let world = runtime.world();
            world.directory.claim_or_insert::<OverseerCell<O>>(&path, || {
                Arc::new(Self::cell(world, path.clone(), false, build))
            })
        };
        PlaceSpec::new(name.into(), make, move |place| {
            if let Some(me) = Self::of(place) {
                me.renew(&renewed);
            }
        })
    }

    fn cell(
        world: &Arc<crate::world::World>,
        path: ActorPath,
        is_root: bool,
        build: Build<O>,
    ) -> OverseerCell<O> {
        let core = CellCore::new(world.clone(), path, crate::message::short_type_name::<O>(), Keeps::Nothing);
        let build = Mutex::new(Plan { next: build.clone(), of_spec: build });
        let (knock, shown) = (Mutex::default(), Mutex::default());
        OverseerCell { core, build, knock, shown, is_root }
    }

    /// Launches the root of a runtime: linked under nobody, not in the directory.
    pub(crate) async fn root(
        world: &Arc<crate::world::World>,
        path: ActorPath,
        build: impl Fn() -> O + Send + Sync + 'static,
    ) -> Result<(Self, Incarnation), SpawnError> {
        let cell = Arc::new(Self::cell(world, path, true, Arc::new(build)));
        let incarnation = launch_shell(cell.clone(), None).await?;
        Ok((OverseerRef { cell }, incarnation))
    }
}
