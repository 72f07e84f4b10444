//! The life of a cell as one total function: which state follows which event.

/// Where a cell is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifeState {
    /// No incarnation: before the first start, or between two lives. Messages wait.
    Vacant,
    /// An incarnation is running `start`. Messages wait.
    Starting,
    /// Messages are handled.
    Running,
    /// What waits is still handled; new messages are refused.
    Draining,
    /// A stop or kill was raised and is being carried out. Messages wait.
    Stopping,
    /// The place is deleted for good. References answer `Gone`.
    Closed,
}

/// What happens to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LifeEvent {
    /// A new incarnation was spawned.
    Launched,
    /// Its `start` succeeded.
    Started,
    /// It was asked to finish what waits and end.
    DrainRaised,
    /// It was asked to stop, or killed.
    StopRaised,
    /// It ended, however.
    Ended,
    /// The place was deleted.
    Closed,
}

impl LifeState {
    /// All states, for tables.
    pub const ALL: [LifeState; 6] = [
        LifeState::Vacant,
        LifeState::Starting,
        LifeState::Running,
        LifeState::Draining,
        LifeState::Stopping,
        LifeState::Closed,
    ];

    /// The state after `event`. Total: an event that means nothing in a state leaves it as it is.
    #[must_use]
    pub(crate) fn after(self, event: LifeEvent) -> LifeState {
        use LifeEvent as E;
        use LifeState as S;
        match (self, event) {
            (S::Closed, _) | (_, E::Closed) => S::Closed,

            (S::Vacant, E::Launched) => S::Starting,
            (S::Vacant, E::Started | E::DrainRaised | E::StopRaised | E::Ended) => S::Vacant,

            (S::Starting, E::Started) => S::Running,
            // A drain during `start` is remembered by the control lane and taken up after `Started`.
            (S::Starting, E::Launched | E::DrainRaised) => S::Starting,
            (S::Starting, E::StopRaised) => S::Stopping,

            (S::Running, E::Launched | E::Started) => S::Running,
            (S::Running, E::DrainRaised) => S::Draining,
            (S::Running, E::StopRaised) => S::Stopping,

            (S::Draining, E::Launched | E::Started | E::DrainRaised) => S::Draining,
            (S::Draining, E::StopRaised) => S::Stopping,

            (S::Stopping, E::Launched | E::Started | E::DrainRaised | E::StopRaised) => S::Stopping,

            (S::Starting | S::Running | S::Draining | S::Stopping, E::Ended) => S::Vacant,
        }
    }

    /// Whether an incarnation exists.
    pub fn is_occupied(self) -> bool {
        matches!(self, LifeState::Starting | LifeState::Running | LifeState::Draining | LifeState::Stopping)
    }
}

#[cfg(test)]
mod tests {
    use super::LifeEvent as E;
    use super::LifeState as S;

    const EVENTS: [E; 6] = [E::Launched, E::Started, E::DrainRaised, E::StopRaised, E::Ended, E::Closed];

    #[test]
    fn every_state_and_event_has_one_successor() {
        use S::{Closed, Draining, Running, Starting, Stopping, Vacant};
        #[rustfmt::skip]
        let table = [
            // state      Launched   Started   DrainRaised StopRaised Ended   Closed
            (Vacant,   [Starting,  Vacant,   Vacant,     Vacant,    Vacant, Closed]),
            (Starting, [Starting,  Running,  Starting,   Stopping,  Vacant, Closed]),
            (Running,  [Running,   Running,  Draining,   Stopping,  Vacant, Closed]),
            (Draining, [Draining,  Draining, Draining,   Stopping,  Vacant, Closed]),
            (Stopping, [Stopping,  Stopping, Stopping,   Stopping,  Vacant, Closed]),
            (Closed,   [Closed,    Closed,   Closed,     Closed,    Closed, Closed]),
        ];
        for (state, after) in table {
            for (event, expected) in EVENTS.into_iter().zip(after) {
                assert_eq!(state.after(event), expected, "{state:?} after {event:?}");
            }
        }
    }

    #[test]
    fn a_closed_place_never_opens_again() {
        for state in S::ALL {
            let mut closed = state.after(E::Closed);
            for event in EVENTS {
                closed = closed.after(event);
                assert_eq!(closed, S::Closed);
            }
        }
    }
}
