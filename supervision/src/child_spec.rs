//! The spec of one child: what lives there, whether it comes back, and how it is stopped.

use greenroom_runtime::overseer::PlaceSpec;
use greenroom_runtime::{Actor, ActorSpec, Backoff};

use crate::policy::{Restart, Shutdown};
use crate::pool::Pool;
use crate::supervisor_spec::Supervisor;

/// What a supervisor knows of a child before it starts it. Names no more than OTP does unless an addition is chosen.
///
/// Much of what OTP refuses when a spec is used is refused when it is compiled: a child that is started with nothing, a
/// setting that does not exist, a value that is none. The rest are [complaints](crate::SpecComplaint).
///
/// ```
/// # use greenroom_runtime::Actor;
/// # use greenroom_supervision::{ChildSpec, Restart, Shutdown};
/// fn desk<Desk: Actor<Args = ()>>() -> ChildSpec {
///     ChildSpec::actor::<Desk>("desk", ()).restart(Restart::Transient).shutdown(Shutdown::Brutal)
/// }
/// ```
/// ```compile_fail,E0061
/// # use greenroom_runtime::Actor;
/// # use greenroom_supervision::{ChildSpec, Restart, Shutdown};
/// fn desk<Desk: Actor<Args = ()>>() -> ChildSpec {
///     ChildSpec::actor::<Desk>("desk") // started with what?
/// }
/// ```
/// ```compile_fail,E0599
/// # use greenroom_runtime::Actor;
/// # use greenroom_supervision::{ChildSpec, Restart, Shutdown};
/// fn desk<Desk: Actor<Args = ()>>() -> ChildSpec {
///     ChildSpec::actor::<Desk>("desk", ()).restart(Restart::Prmanent)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ChildSpec {
    pub(crate) place: PlaceSpec,
    pub(crate) settings: ChildSettings,
    /// The spec again, if a supervisor lives here: for its complaints.
    pub(crate) below: Option<Box<Supervisor>>,
}

/// What a child spec says besides who lives there: what [`SupervisorRef::child_spec`](crate::SupervisorRef::child_spec)
/// shows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChildSettings {
    /// What kind of child it is.
    pub kind: ChildKind,
    /// Which exits it comes back from.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end may end the supervisor.
    pub significant: bool,
    /// The wait before each restart; none without.
    pub backoff: Option<Backoff>,
    /// How many starts in a row may fail because the world outside does, with a backoff; `None`: any number.
    pub outage_tries: Option<u32>,
    /// What becomes of waiting messages when it goes down with its group.
    pub mailbox: Mailbox,
}

/// Whether a child works or supervises: OTP's `worker` and `supervisor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// An actor.
    Worker,
    /// A supervisor: it has children of its own.
    Supervisor,
}

/// What becomes of the messages that wait at a child when it is stopped because a sibling failed. Default:
/// [`Mailbox::Keep`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mailbox {
    /// The next life handles them.
    #[default]
    Keep,
    /// They go to dead letters: for siblings whose old messages make no sense after the group was reset. A durable
    /// actor keeps them all the same, for they were accepted.
    Clear,
}

impl ChildSettings {
    const fn of(kind: ChildKind) -> Self {
        ChildSettings {
            kind,
            restart: Restart::Permanent,
            shutdown: match kind {
                ChildKind::Worker => Shutdown::WORKER,
                ChildKind::Supervisor => Shutdown::SUPERVISOR,
            },
            significant: false,
            backoff: None,
            outage_tries: None,
            mailbox: Mailbox::Keep,
        }
    }

    /// An actor that names nothing: permanent, 5 s to stop.
    pub(crate) const WORKER: ChildSettings = Self::of(ChildKind::Worker);
    /// A supervisor that names nothing: permanent, as long as it takes to stop.
    pub(crate) const SUPERVISOR: ChildSettings = Self::of(ChildKind::Supervisor);
}

impl ChildSpec {
    /// An actor of type `A` called `name`, started with `args`; permanent, 5 s to stop.
    pub fn actor<A: Actor>(name: impl Into<String>, args: A::Args) -> Self {
        Self::of(ActorSpec::<A>::new(name, args))
    }

    /// An actor with a full spec: mailbox, start deadline, durability.
    pub fn of<A: Actor>(spec: ActorSpec<A>) -> Self {
        ChildSpec { place: spec.into(), settings: ChildSettings::WORKER, below: None }
    }

    /// A supervisor as a child; permanent, as long as it takes to stop. Takes a
    /// [`DynamicSupervisor`](crate::DynamicSupervisor) as well.
    pub fn supervisor(supervisor: impl Into<Supervisor>) -> Self {
        let supervisor = supervisor.into();
        ChildSpec {
            place: supervisor.clone().into_place_spec(),
            settings: ChildSettings::SUPERVISOR,
            below: Some(Box::new(supervisor)),
        }
    }

    /// A pool of actors of one type; permanent, as long as it takes to stop.
    pub fn pool<A: Actor>(pool: Pool<A>) -> Self {
        Self::supervisor(pool)
    }

    /// Whether it comes back. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How it is stopped. Default: within 5 s; a supervisor: as long as it takes.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Its end may end the supervisor: see [`Supervisor::auto_shutdown`]. Default: it does not.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.settings.significant = true;
        self
    }

    /// Waits before each restart, and longer each time. More than OTP does: with it, a start that fails because the
    /// world outside does ([`FailureClass::External`](greenroom_runtime::FailureClass)) does not count for the
    /// intensity, but for [`outage_tries`](ChildSpec::outage_tries). Default: none, restarts are at once.
    ///
    /// A supervisor does not start if one of its children does not; if that is for such a reason, so it is for the
    /// supervisor. So give those above a backoff as well. The first start of a whole tree is no restart: its failure is told
    /// to who wanted it started, whatever the reason.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = Some(backoff);
        self
    }

    /// So many starts in a row, at least 1, may fail because the world outside does; then the child is laid aside, and its
    /// supervisor, its siblings, and the rest of its group go on without it: an outage takes nobody else down. What waits
    /// for it goes to dead letters; [`restart_child`](crate::SupervisorRef::restart_child) starts it again, with all its
    /// tries. A start that succeeds lets the count begin anew. Means nothing without a [`backoff`](ChildSpec::backoff), for
    /// then each failed start counts for the intensity. Default: it is tried for ever.
    #[must_use]
    pub fn outage_tries(mut self, max: u32) -> Self {
        self.settings.outage_tries = Some(max);
        self
    }

    /// What becomes of waiting messages when it is stopped with its group. Default: [`Mailbox::Keep`].
    #[must_use]
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.settings.mailbox = mailbox;
        self
    }

    /// The name, which is the last segment of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.name()
    }
}
