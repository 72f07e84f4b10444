//! The one file that names ractor. It gives tasks, links, supervision events and kill; all else is ours.
//!
//! A *worker* runs the incarnations of a cell in one long ractor handler. When one crashed, the worker rests until the
//! supervisor has heard of it: the next incarnation, if it begins at once, runs in the same worker, and else the worker
//! goes. A *shell* is a plain ractor actor that runs an [`Overseer`]: it hears messages and the exits of the children
//! linked under it.

use std::any::Any;
use std::future::ready;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ractor::actor::messages::BoxedState;
use ractor::{ActorCell, ActorProcessingErr, ActorRef as RactorRef, SupervisionEvent};
use tokio::sync::oneshot;

use crate::actor::Actor;
use crate::cell::incarnation::{Ended, Life};
use crate::cell::overseer::{OverseerCell, Post, ShellLife};
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, ChildExit, Flow, Incarnation, LaunchError, Overseer, Place, Seat};
use crate::mailbox::lanes::Raised;
use crate::pages::Pages;

#[cfg(panic = "abort")]
compile_error!("supervision needs unwinding: remove `panic = \"abort\"` from the profile of this build");

#[derive(Default)]
struct Children {
    /// Which life of which place a ractor actor runs, by the number of its id.
    running: Pages<(Arc<dyn Seat>, Incarnation)>,
    /// How many those are.
    count: usize,
    /// The worker whose life has just crashed.
    resting: Option<Resting>,
}

/// A worker that waits for another life. Dropped, it lets the worker go.
struct Resting {
    /// For which it ran.
    place: u64,
    worker: ActorCell,
    /// The [`oneshot::Sender`] of the next life. Of a worker that has stopped, something else.
    next: Box<dyn Any + Send>,
}

/// Where children are linked: the running incarnation of a supervisor. When that ends, however it ends, they are
/// killed, so a supervisor leaves no orphans.
#[derive(Clone)]
pub struct Link {
    supervisor: ActorCell,
    children: Arc<Mutex<Children>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    fn remember(&self, child: &ActorCell, seat: Arc<dyn Seat>, incarnation: Incarnation) {
        seat.core().runs_in(incarnation, Task(child.clone()));
        let mut children = crate::sync::lock(&self.children);
        children.running.insert(child.get_id().pid(), (seat, incarnation));
        children.count += 1; // the life before, if it ran in the same worker, was forgotten
    }

    /// What that child ran, and how many ran with it, itself included.
    fn forget(&self, child: &ActorCell) -> Option<(Arc<dyn Seat>, Incarnation, usize)> {
        let mut children = crate::sync::lock(&self.children);
        let (seat, incarnation) = children.running.remove(child.get_id().pid())?;
        children.count -= 1;
        Some((seat, incarnation, children.count + 1))
    }

    fn rests(&self, place: u64, worker: ActorCell, next: Box<dyn Any + Send>) {
        crate::sync::lock(&self.children).resting = Some(Resting { place, worker, next });
    }

    /// The worker that rests, if it ran for that place.
    fn wake(&self, place: u64) -> Option<Resting> {
        crate::sync::lock(&self.children).resting.take_if(|resting| resting.place == place)
    }
}

/// The task of one incarnation.
#[derive(Clone)]
pub(crate) struct Task(ActorCell);

impl Task {
    /// Tells the supervisor of an end that the task itself cannot report, because it blocks its thread. Its real end,
    /// should it come, is not told again.
    pub(crate) fn was_fenced(&self) {
        self.0.notify_supervisor(SupervisionEvent::ActorFailed(self.0.clone(), "fenced".into()));
    }
}

// ---- worker ----

struct Worker<A>(PhantomData<fn() -> A>);

/// A life to run. The guard in it records a kill if it never comes to that.
struct Go<A: Actor>(Life<A>);

impl<A: Actor> ractor::Actor for Worker<A> {
    type Msg = Go<A>;
    type State = ();
    type Arguments = Life<A>;

    async fn pre_start(&self, me: RactorRef<Go<A>>, life: Life<A>) -> Result<(), ActorProcessingErr> {
        // Nothing that waits: the spawner awaits this. The author's `start` runs in `handle`, in the child's task.
        Ok(me.cast(Go(life))?)
    }

    async fn handle(
        &self,
        me: RactorRef<Go<A>>,
        Go(mut life): Go<A>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        // Boxed once a worker: ractor would hold the future by value more than once. And without its type: ractor's
        // loop and ours are then compiled apart, each small enough to be one piece.
        let work: BoxFuture<'_, ()> = Box::pin(async move {
            while let Ended::Crashed = life.live().await {
                drop(life); // what it holds goes before the supervisor hears of its end
                let (next, begins) = oneshot::channel();
                // The supervisor hears of it as of any exit. What it decides does not come by way of ractor's mailbox: to
                // go back to ractor's loop and be called again would touch memory that has long left the caches.
                let rests = Some(BoxedState::new(next));
                me.notify_supervisor(SupervisionEvent::ActorTerminated(me.get_cell(), rests, None));
                let Ok(next) = begins.await else { break };
                life = next;
            }
            me.stop(None);
        });
        work.await;
        Ok(())
    }
}

/// Begins a life, at once where a worker rests for it: only then there is nothing to wait for, and little to allocate.
pub(crate) fn launch_worker<A: Actor>(
    cell: Arc<Cell<A>>,
    under: &Link,
) -> BoxFuture<'_, Result<Incarnation, LaunchError>> {
    let life = match begin(&cell) {
        Ok(life) => life,
        Err(error) => return Box::pin(ready(Err(error))),
    };
    let incarnation = life.incarnation();
    let resting = under.wake(cell.core.id).map(|resting| (resting.worker, resting.next.downcast()));
    let Some((worker, Ok(next))) = resting else {
        let spawned = spawn(Worker::<A>(PhantomData), life, cell, incarnation, under);
        return Box::pin(async move { spawned.await.map(|_| incarnation) });
    };
    let path = cell.core.path.clone();
    under.remember(&worker, cell, incarnation);
    // Killed only together with the supervisor. The life that is dropped has recorded the end.
    let next: Box<oneshot::Sender<Life<A>>> = next;
    let sent = next.send(life).map_err(|_| LaunchError::SupervisorEnding(path));
    Box::pin(ready(sent.map(|()| incarnation)))
}

fn begin<A: Actor>(cell: &Arc<Cell<A>>) -> Result<Life<A>, LaunchError> {
    let (incarnation, control) = cell.core.begin()?;
    cell.mailbox.hand_to(incarnation.0);
    // A drain that did not come to its end, or came between two lives, is taken up by this one.
    if cell.mailbox.reopen(cell.core.last_exit().is_none_or(|exit| !exit.is_normal())) {
        control.raise(Raised::Drain);
    }
    Ok(Life::new(cell.clone(), incarnation, control))
}

async fn spawn<T: ractor::Actor>(
    actor: T,
    arguments: T::Arguments,
    seat: Arc<dyn Seat>,
    incarnation: Incarnation,
    under: &Link,
) -> Result<RactorRef<T::Msg>, LaunchError> {
    let path = seat.core().path.clone();
    match ractor::Actor::spawn_linked(None, actor, arguments, under.supervisor.clone()).await {
        Ok((child, _)) => {
            under.remember(&child.get_cell(), seat, incarnation);
            Ok(child)
        }
        // `pre_start` of ours fails only when the supervisor is going down at this very moment. The dropped
        // arguments have recorded the end.
        Err(_) => Err(LaunchError::SupervisorEnding(path)),
    }
}

// ---- shell ----

struct Shell<O>(PhantomData<fn() -> O>);

/// What reaches a shell through ractor's mailbox. Bounded by the permits of [`Knock`], since that queue is not.
enum Mail<M> {
    Begin,
    Post(Post<M>),
    /// Something was raised in the control lane.
    Knock,
    /// An end that messages had to come before.
    Exit(Exit),
}

/// The end of what a child's task ran, as ractor tells it.
struct Exit {
    child: ActorCell,
    seat: Arc<dyn Seat>,
    incarnation: Incarnation,
    /// What wakes its worker, if that rests.
    next: Option<Box<dyn Any + Send>>,
}

/// How a shell is reached. At most `bound` messages of others wait at a time.
pub(crate) struct Knock<M: Send + 'static> {
    shell: RactorRef<Mail<M>>,
    waiting: Arc<AtomicUsize>,
    bound: usize,
}

impl<M: Send + 'static> Clone for Knock<M> {
    fn clone(&self) -> Self {
        Knock { shell: self.shell.clone(), waiting: self.waiting.clone(), bound: self.bound }
    }
}

impl<M: Send + 'static> Knock<M> {
    /// Gives the message back when the shell is gone or has `bound` waiting.
    pub(crate) fn post(&self, message: M) -> Result<(), M> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.bound {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(message);
        }
        self.cast(message)
    }

    /// Gives the message back when the shell is gone.
    pub(crate) fn post_unbounded(&self, message: M) -> Result<(), M> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.cast(message)
    }

    fn cast(&self, message: M) -> Result<(), M> {
        self.shell.cast(Mail::Post(Post(message))).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            match error {
                ractor::MessagingErr::SendErr(Mail::Post(Post(message))) => message,
                _ => unreachable!("a refused cast gives back what it was given"),
            }
        })
    }
}

/// Between two calls, what is raised in the control lane wakes a shell through its ractor mailbox.
impl<M: Send + 'static> std::task::Wake for Knock<M> {
    fn wake(self: Arc<Self>) {
        // A shell that is gone needs no waking.
        drop(self.shell.cast(Mail::Knock));
    }
}

struct ShellState<O: Overseer> {
    life: ShellLife<O>,
    link: Link,
    waiting: Arc<AtomicUsize>,
    /// How many exits may still come before the messages that wait; `None` while none does.
    before_mail: Option<usize>,
    /// How many exits stand in line with the messages.
    in_line: usize,
}

impl<O: Overseer> ractor::Actor for Shell<O> {
    type Msg = Mail<O::Message>;
    type State = ShellState<O>;
    type Arguments = (ShellLife<O>, Arc<AtomicUsize>);

    async fn pre_start(
        &self,
        me: RactorRef<Self::Msg>,
        (life, waiting): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        me.cast(Mail::Begin)?;
        life.reach(Knock { shell: me.clone(), waiting: waiting.clone(), bound: SHELL_BOUND });
        let link = Link { supervisor: me.get_cell(), children: Arc::default() };
        Ok(ShellState { life, link, waiting, before_mail: None, in_line: 0 })
    }

    async fn handle(
        &self,
        me: RactorRef<Self::Msg>,
        mail: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.before_mail = None;
        let flow = match mail {
            Mail::Begin => state.life.begin(state.link.clone()).await,
            Mail::Post(Post(message)) => {
                state.waiting.fetch_sub(1, Ordering::AcqRel);
                state.life.on_message(message).await
            }
            Mail::Knock => state.life.on_control().await,
            Mail::Exit(exit) => {
                state.in_line -= 1;
                state.on_exit(exit).await
            }
        };
        state.carry_on(&me, flow).await
    }

    async fn handle_supervisor_evt(
        &self,
        me: RactorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (child, next) = match event {
            SupervisionEvent::ActorTerminated(child, next, _) => (child, next.and_then(|next| next.msg)),
            SupervisionEvent::ActorFailed(child, _) => (child, None),
            _ => return Ok(()),
        };
        let Some((seat, incarnation, children)) = state.link.forget(&child) else { return Ok(()) };
        let exit = Exit { child, seat, incarnation, next };
        if state.goes_before_mail(children) {
            let flow = state.on_exit(exit).await;
            return state.carry_on(&me, flow).await;
        }
        state.in_line += 1;
        // Refused only by a shell that is ending, which takes all its children along.
        drop(me.cast(Mail::Exit(exit)));
        Ok(())
    }
}

impl<O: Overseer> ShellState<O> {
    /// Whether the next exit is heard before the messages that wait. ractor brings exits first, so that children that
    /// come back and fall without end would keep a supervisor from hearing anything else. When a message comes, each child
    /// has at most one end that it has not heard of: those come before it, as in OTP, and what falls later stands in line.
    fn goes_before_mail(&mut self, children: usize) -> bool {
        if self.in_line > 0 {
            return false;
        }
        if self.waiting.load(Ordering::Acquire) == 0 {
            self.before_mail = None;
            return true;
        }
        let left = self.before_mail.get_or_insert(children);
        let goes = *left > 0;
        *left = left.saturating_sub(1);
        goes
    }

    async fn on_exit(&mut self, exit: Exit) -> Flow {
        let Exit { child, seat, incarnation, next } = exit;
        let core = seat.core();
        // Forgotten, after many lives elsewhere: nobody would wake it.
        let Some(reason) = core.exit_of(incarnation) else { return Flow::Stay };
        let is_repeat = core.has_repeated(incarnation);
        let place = core.id;
        let exit = ChildExit { place: Place(seat), incarnation, reason, is_repeat };
        if let Some(next) = next {
            self.link.rests(place, child, next);
        }
        let flow = self.life.on_child_exit(exit).await;
        drop(self.link.wake(place)); // not needed, so it goes
        flow
    }

    async fn carry_on<M: ractor::Message>(
        &mut self,
        me: &RactorRef<M>,
        flow: Flow,
    ) -> Result<(), ActorProcessingErr> {
        match flow {
            Flow::Stay => self.life.rest(),
            Flow::Leave(reason) => {
                self.life.finish(reason);
                me.stop(None);
            }
        }
        Ok(())
    }
}

/// How many messages may wait at a supervisor.
const SHELL_BOUND: usize = 1_024;

pub(crate) async fn launch_shell<O: Overseer>(
    cell: Arc<OverseerCell<O>>,
    under: Option<&Link>,
) -> Result<Incarnation, LaunchError> {
    let (incarnation, control) = cell.core.begin()?;
    let life = ShellLife::new(cell.clone(), incarnation, control);
    let arguments = (life, Arc::new(AtomicUsize::new(0)));
    match under {
        Some(link) => {
            spawn(Shell::<O>(PhantomData), arguments, cell, incarnation, link).await?;
        }
        None => {
            let path = cell.core.path.clone();
            let root = ractor::Actor::spawn(None, Shell::<O>(PhantomData), arguments).await;
            root.map_err(|_| LaunchError::SupervisorEnding(path))?;
        }
    }
    Ok(incarnation)
}
