//! How others start a supervisor and reach it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use greenroom_runtime::overseer::OverseerRef;
use greenroom_runtime::{
    Actor, ActorPath, ActorRef, Address, ExitReason, Place, ResolveError, Runtime, SpawnError,
};
use tokio::sync::oneshot;

use crate::admin::{AdminError, Answer, ChildCounts, ChildInfo, Request};
use crate::child_spec::{ChildSettings, ChildSpec};
use crate::dynamic_supervisor::DynamicRef;
use crate::pool::PoolSpec;
use crate::pool_ref::PoolRef;
use crate::supervisor::{Supervising, SupervisorMessage};
use crate::supervisor_spec::{SpecComplaint, Supervisor};
use crate::tree::Tree;

/// Why a tree was not started.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The spec is wrong; nothing was started. All complaints are here.
    #[error("the supervision tree was refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Spec(Vec<SpecComplaint>),
    /// The supervisor or one of its children did not start; what had started was stopped in reverse order.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Puts supervisors into a runtime. In the prelude.
pub trait SuperviseExt {
    /// Starts `supervisor` at the top of the tree, with all its children, left to right; ready when all have started.
    ///
    /// # Errors
    ///
    /// [`SuperviseError`]; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the tree may go on starting; it is then found in the directory.
    fn supervise(
        &self,
        supervisor: impl Into<Supervisor> + Send,
    ) -> impl Future<Output = Result<SupervisorRef, SuperviseError>> + Send;

    /// A picture of everything that lives in the runtime now. Asks nobody, so it never waits: [`Tree`] has the costs.
    fn tree(&self) -> Tree;
}

impl SuperviseExt for Runtime {
    async fn supervise(
        &self,
        supervisor: impl Into<Supervisor> + Send,
    ) -> Result<SupervisorRef, SuperviseError> {
        let supervisor = supervisor.into();
        let complaints = supervisor.complaints();
        if !complaints.is_empty() {
            return Err(SuperviseError::Spec(complaints));
        }
        let place = self.plant(&supervisor.into_place_spec(), None).await?;
        Ok(SupervisorRef { runtime: self.clone().into_guest(), place })
    }

    fn tree(&self) -> Tree {
        Tree::take(self, None)
    }
}

/// A reference to a running supervisor. Does not keep the runtime alive.
#[derive(Clone)]
pub struct SupervisorRef {
    runtime: Runtime,
    place: Place,
}

impl SupervisorRef {
    /// Where it lives.
    #[must_use]
    pub fn path(&self) -> &ActorPath {
        self.place.path()
    }

    /// Its place in the tree.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A picture of the supervisor and all below it. Asks nobody, so it never waits: [`Tree`] has the costs.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree::take(&self.runtime, Some(&self.place))
    }

    /// A reference to the actor below, by its name or its path from here (`billing/agent-1`).
    ///
    /// # Errors
    ///
    /// [`ResolveError`]: the name is no path, nobody lives there, or another type does.
    pub fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>, ResolveError> {
        let path = ActorPath::parse(&format!("{}/{name}", self.path()))?;
        self.runtime.resolve(&Address::new(path))
    }

    /// A reference to the supervisor below, by its name or its path from here.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]: the name is no path, or nobody lives there. [`ResolveError::Nobody`] also when no supervisor
    /// does.
    pub fn below(&self, name: &str) -> Result<SupervisorRef, ResolveError> {
        let path = ActorPath::parse(&format!("{}/{name}", self.path()))?;
        let place = self.runtime.place(&path)?;
        match OverseerRef::<Supervising>::of(&place) {
            Some(_) => Ok(SupervisorRef { runtime: self.runtime.clone(), place }),
            None => Err(ResolveError::Nobody { path }),
        }
    }

    /// The same supervisor as one of many `A`s. Whether it is one shows at the first start:
    /// [`AdminError::OtherKind`] if not.
    #[must_use]
    pub fn dynamic<A: Actor>(&self) -> DynamicRef<A> {
        DynamicRef::new(self.clone())
    }

    /// The pool of `A`s below, by its name or its path from here.
    ///
    /// # Errors
    ///
    /// As [`as_pool`](SupervisorRef::as_pool); [`AdminError::NotFound`] when no supervisor lives there.
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn pool<A: Actor>(&self, name: &str) -> Result<PoolRef<A>, AdminError> {
        let pool = self.below(name).map_err(|_| AdminError::NotFound { name: name.to_owned() })?;
        pool.as_pool().await
    }

    /// The same supervisor as a pool of `A`s.
    ///
    /// # Errors
    ///
    /// [`AdminError::OtherKind`] when it is no pool, or one of other actors; [`AdminError::NotFound`] when all its members
    /// were deleted; [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn as_pool<A: Actor>(&self) -> Result<PoolRef<A>, AdminError> {
        let PoolSpec { sharing, turn, of } = self.request(Request::Pool).await?;
        if !of.is::<PhantomData<fn() -> A>>() {
            return Err(AdminError::OtherKind);
        }
        let members = self.children().await?;
        let resolved = members.into_iter().map(|member| self.runtime.resolve(&Address::new(member.path)));
        let members = resolved.collect::<Result<Vec<ActorRef<A>>, _>>();
        let members = members.map_err(|_| AdminError::Unavailable(self.path().clone()))?;
        let pool = PoolRef::new(self.clone(), members, sharing, turn);
        pool.ok_or_else(|| AdminError::NotFound { name: "1".to_owned() })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) async fn request<T>(
        &self,
        request: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, AdminError> {
        let unavailable = || AdminError::Unavailable(self.path().clone());
        let (answer, answered) = oneshot::channel();
        let me = OverseerRef::<Supervising>::of(&self.place).ok_or_else(unavailable)?;
        // Each caller waits for one answer, so it is the callers who are the bound.
        me.post_unbounded(SupervisorMessage::Request(request(answer))).map_err(|_| unavailable())?;
        answered.await.map_err(|_| unavailable())?
    }

    /// Its children in start order: OTP's `which_children`.
    ///
    /// # Errors
    ///
    /// [`AdminError::Unavailable`] when no incarnation runs.
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn children(&self) -> Result<Vec<ChildInfo>, AdminError> {
        self.request(Request::List).await
    }

    /// The child called `name`: OTP's `which_child`.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn child(&self, name: &str) -> Result<ChildInfo, AdminError> {
        self.request(|answer| Request::Show(name.to_owned(), answer)).await
    }

    /// What the spec of the child called `name` says: OTP's `get_childspec`.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn child_spec(&self, name: &str) -> Result<ChildSettings, AdminError> {
        self.request(|answer| Request::Settings(name.to_owned(), answer)).await
    }

    /// How many children there are: OTP's `count_children`. Walks over them.
    ///
    /// # Errors
    ///
    /// [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn count_children(&self) -> Result<ChildCounts, AdminError> {
        self.request(Request::Count).await
    }

    /// Adds a child behind all others and starts it; ready when it has started. A child that declines stays listed,
    /// stopped, unless it is temporary. Like all requests it is carried out between two other things the supervisor
    /// does, and the supervisor waits for the start: the `start` of a child must not ask its own supervisor.
    ///
    /// # Errors
    ///
    /// [`AdminError::AlreadyStarted`], [`AdminError::AlreadyPresent`], [`AdminError::StartFailed`],
    /// [`AdminError::Spec`] and others; nothing of the child is kept.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the child may be started all the same.
    pub async fn start_child(&self, child: ChildSpec) -> Result<ChildInfo, AdminError> {
        self.request(|answer| Request::Start(Box::new(child), answer)).await
    }

    /// Starts a tree called `name`, made of `of`, below a supervisor that is made of [`DynamicTrees<T>`]; ready when all
    /// of it has started.
    ///
    /// # Errors
    ///
    /// As [`DynamicRef::start`]; [`AdminError::OtherKind`] when the supervisor is none of trees made of `T`s.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the tree may be started all the same.
    ///
    /// [`DynamicTrees<T>`]: crate::DynamicTrees
    pub async fn start_tree<T: Send + 'static>(
        &self,
        name: &str,
        of: T,
    ) -> Result<SupervisorRef, AdminError> {
        let (name, args): (_, Box<dyn Any + Send>) = (name.to_owned(), Box::new(of));
        let called = name.clone();
        self.request(|answer| Request::StartInstance { name: Some(called), args, answer }).await?;
        self.below(&name).map_err(|_| AdminError::NotFound { name })
    }

    /// Stops the child called `name` as its spec says, and leaves it stopped: what waits for it goes to dead letters. Its
    /// spec stays, unless it is temporary. Good also for one that is stopped already, or waits for its next try; under a
    /// [`DynamicSupervisor`](crate::DynamicSupervisor) also for a name under which nobody lives.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is stopped all the same.
    pub async fn terminate_child(&self, name: &str) -> Result<(), AdminError> {
        self.request(|answer| Request::Terminate(name.to_owned(), answer)).await
    }

    /// Starts the stopped child called `name` again. Does not count for the intensity.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Running`], [`AdminError::Restarting`]; [`AdminError::StartFailed`], and
    /// it stays stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the child may be started all the same.
    pub async fn restart_child(&self, name: &str) -> Result<ChildInfo, AdminError> {
        self.request(|answer| Request::Restart(name.to_owned(), answer)).await
    }

    /// Removes the spec of the stopped child called `name`, and its place: references answer `Gone`.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], [`AdminError::Running`], [`AdminError::Restarting`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is removed all the same.
    pub async fn delete_child(&self, name: &str) -> Result<(), AdminError> {
        self.request(|answer| Request::Delete(name.to_owned(), answer)).await
    }

    /// Changes the supervisor while it runs, as OTP's code change does: strategy, intensity and mode are replaced; a
    /// child that both specs name goes on under its new spec, and its next life begins as that says: with its arguments,
    /// its start deadline, redeliveries, quarantine and progress deadline (its mailbox, and whether and when its state is
    /// stored, stay as they are while the place lasts); one that only the new spec names is added, stopped; one that it
    /// does not name is kept. Later lives of the supervisor begin with the new spec. Its name does not matter. Children
    /// that were made from a template keep what each was started with.
    ///
    /// # Errors
    ///
    /// [`AdminError::Spec`], [`AdminError::OtherKind`], [`AdminError::Unavailable`]; [`AdminError::Place`] when there is
    /// no place for a new child, or another type lives under a child's name; nothing was changed.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is changed all the same.
    pub async fn change(&self, spec: impl Into<Supervisor>) -> Result<(), AdminError> {
        let spec = Box::new(spec.into());
        self.request(|answer| Request::Change(spec, answer)).await
    }

    /// Stops the whole tree below in reverse start order, and says how the supervisor ended.
    ///
    /// # Cancel safety
    ///
    /// The stop stays raised.
    pub async fn stop(&self, patience: Duration) -> Option<ExitReason> {
        self.place.bring_down(Some(patience)).await
    }

    /// Waits until the supervisor's place is deleted: it gave up or was stopped for good.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn closed(&self) -> Option<ExitReason> {
        self.place.closed().await
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SupervisorRef({})", self.path())
    }
}
