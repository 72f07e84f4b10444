//! What a decision may look at: plain values, copied out of the supervisor.

use super::{AutoShutdown, Restart, Strategy};

/// What a decision knows of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChildFacts {
    /// Which exits the child comes back from.
    pub restart: Restart,
    /// Whether it is there.
    pub state: ChildState,
    /// What a failure outside counts for when the child cannot start.
    pub on_external: OnExternal,
    /// Whether its end may end the supervisor.
    pub significant: bool,
}

/// Whether a child is there: OTP's pid, `restarting` and `undefined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildState {
    /// An incarnation runs. A child whose exit is being decided about still counts as running.
    Running,
    /// Its last restart failed, and it waits for its next try.
    Restarting,
    /// No incarnation runs, and none is on its way: it ended for good, was stopped by request, declined to start, or
    /// its group has not reached it yet.
    Stopped,
}

/// What an [`External`](super::ExitClass::External) failure counts for. Default: [`OnExternal::Counts`], as in OTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum OnExternal {
    /// Like any other failure.
    #[default]
    Counts,
    /// Nothing: the child names a backoff for it, and that keeps the tries apart instead of the intensity.
    BacksOff,
    /// Nothing, but it was the last of the tries that the child has for that: it is laid aside.
    LaysAside,
}

/// What a decision knows of the supervisor at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SupervisorFacts<'a> {
    /// Which siblings a restart concerns.
    pub strategy: Strategy,
    /// Whether the end of a significant child ends it.
    pub auto_shutdown: AutoShutdown,
    /// Whether the supervisor itself is on its way out.
    pub phase: SupervisorPhase,
    /// The children in start order, later added ones at the end.
    ///
    /// Under [`Strategy::OneForOne`] only the child in question is read, unless the supervisor ends with
    /// [`AutoShutdown::AllSignificant`]: whoever supervises very many children may pass a slice of that one.
    pub children: &'a [ChildFacts],
    /// Their names; read by a [`Strategy::Custom`] alone, and may be empty without one.
    pub names: &'a [&'a str],
    /// Now, in milliseconds of any clock that never runs backwards.
    pub now_ms: u64,
}

/// Whether a supervisor serves or stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SupervisorPhase {
    /// It looks after its children.
    Running,
    /// It is shutting down: children that leave now are let go.
    Stopping,
}

#[cfg(test)]
mod arbitrary {
    use quickcheck::{Arbitrary, Gen};

    use super::*;
    use crate::policy::ExitClass;

    impl Arbitrary for ChildFacts {
        fn arbitrary(g: &mut Gen) -> Self {
            ChildFacts {
                restart: pick(g, &[Restart::Permanent, Restart::Transient, Restart::Temporary]),
                state: pick(g, &[ChildState::Running, ChildState::Restarting, ChildState::Stopped]),
                // The last try of an outage is no history of OTP's: it has a table of its own.
                on_external: pick(g, &[OnExternal::Counts, OnExternal::BacksOff]),
                significant: bool::arbitrary(g),
            }
        }
    }

    impl Arbitrary for Strategy {
        fn arbitrary(g: &mut Gen) -> Self {
            pick(g, &[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne])
        }
    }

    impl Arbitrary for ExitClass {
        fn arbitrary(g: &mut Gen) -> Self {
            pick(g, &ExitClass::ALL)
        }
    }

    fn pick<T: Copy>(g: &mut Gen, among: &[T]) -> T {
        *g.choose(among).expect("the choice is never empty")
    }
}
