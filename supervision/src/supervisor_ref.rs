//! How others start a supervisor and reach it.

use std::fmt;
use std::time::Duration;

use greenroom_runtime::{
    Actor, ActorPath, ActorRef, Address, ExitReason, LifeState, OverseerRef, Place, ResolveError, Runtime,
    SpawnError,
};
use tokio::sync::oneshot;

use crate::child::Child;
use crate::policy::ChildState;
use crate::supervisor::{Supervising, SupervisorMessage};
use crate::supervisor_spec::{SpecComplaint, Supervisor};

/// One child as [`SupervisorRef::children`] shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: ActorPath,
    /// Whether it runs, waits to be started again, or is stopped.
    pub state: ChildState,
    /// Where its cell is in its life.
    pub life: LifeState,
    /// Lives after the first.
    pub restarts: u64,
}

impl ChildInfo {
    pub(crate) fn of(child: &Child) -> Self {
        let seen = child.place.observe();
        ChildInfo {
            name: child.spec.name().to_owned(),
            path: seen.path,
            state: child.state,
            life: seen.state,
            restarts: seen.restarts,
        }
    }
}

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

/// The supervisor is not running: it gave up, was stopped, or is being restarted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the supervisor {0} is not running")]
pub struct SupervisorUnavailable(pub ActorPath);

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
        supervisor: Supervisor,
    ) -> impl Future<Output = Result<SupervisorRef, SuperviseError>> + Send;
}

impl SuperviseExt for Runtime {
    async fn supervise(&self, supervisor: Supervisor) -> Result<SupervisorRef, SuperviseError> {
        let complaints = supervisor.complaints();
        if !complaints.is_empty() {
            return Err(SuperviseError::Spec(complaints));
        }
        let place = self.plant(&supervisor.into_place_spec(), None).await?;
        Ok(SupervisorRef { runtime: self.clone().into_guest(), place })
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

    /// A reference to the actor below, by its name or its path from here (`billing/agent-1`).
    ///
    /// # Errors
    ///
    /// [`ResolveError`]: the name is no path, nobody lives there, or another type does.
    pub fn actor<A: Actor>(&self, name: &str) -> Result<ActorRef<A>, ResolveError> {
        let path = ActorPath::parse(&format!("{}/{name}", self.path()))?;
        self.runtime.resolve(&Address::new(path))
    }

    /// Its children in start order.
    ///
    /// # Errors
    ///
    /// [`SupervisorUnavailable`] when no incarnation runs.
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn children(&self) -> Result<Vec<ChildInfo>, SupervisorUnavailable> {
        let unavailable = || SupervisorUnavailable(self.path().clone());
        let (answer, children) = oneshot::channel();
        let me = OverseerRef::<Supervising>::of(&self.place).ok_or_else(unavailable)?;
        me.post(SupervisorMessage::Children(answer)).map_err(|_| unavailable())?;
        children.await.map_err(|_| unavailable())
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
