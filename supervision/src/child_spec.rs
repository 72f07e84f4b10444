//! The spec of one child: what lives there, whether it comes back, and how it is stopped.

use greenroom_runtime::{Actor, ActorSpec, Backoff, PlaceSpec};

use crate::policy::{Restart, Shutdown};
use crate::supervisor_spec::Supervisor;

/// What a supervisor knows of a child before it starts it. Names no more than OTP does unless an addition is chosen.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    pub(crate) place: PlaceSpec,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) backoff: Option<Backoff>,
    /// The spec again, if a supervisor lives here: for its complaints, and to know that there are places below.
    pub(crate) below: Option<Box<Supervisor>>,
}

impl ChildSpec {
    /// An actor of type `A` called `name`, started with `args`; permanent, 5 s to stop.
    pub fn actor<A: Actor>(name: impl Into<String>, args: A::Args) -> Self {
        Self::of(ActorSpec::<A>::new(name, args))
    }

    /// An actor with a full spec: mailbox, start deadline, durability.
    pub fn of<A: Actor>(spec: ActorSpec<A>) -> Self {
        Self::worker(spec.into())
    }

    /// A supervisor as a child; permanent, as long as it takes to stop.
    pub fn supervisor(supervisor: Supervisor) -> Self {
        ChildSpec {
            shutdown: Shutdown::SUPERVISOR,
            below: Some(Box::new(supervisor.clone())),
            ..Self::worker(supervisor.into_place_spec())
        }
    }

    fn worker(place: PlaceSpec) -> Self {
        ChildSpec {
            place,
            restart: Restart::Permanent,
            shutdown: Shutdown::WORKER,
            backoff: None,
            below: None,
        }
    }

    /// Whether it comes back. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped. Default: within 5 s; a supervisor: as long as it takes.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Waits before each restart, and longer each time. More than OTP does: with it, a start that fails because the
    /// world outside does ([`FailureClass::External`](greenroom_runtime::FailureClass)) does not count for the
    /// intensity. Default: none, restarts are at once.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// The name, which is the last segment of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.name()
    }
}
