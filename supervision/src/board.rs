//! What a supervisor shows without being asked, so that a look at the tree waits for nobody: a board with its own facts,
//! and a mark on the cell of each child.
//!
//! Two places because of their costs. The facts of one supervisor change together and seldom, so they share a lock. What
//! it thinks of a child changes with each start of it: one of 100,000 is marked by two stores into its own cell, and the
//! look finds the mark where it finds everything else of that child.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_runtime::Place;

use crate::policy::{ChildState, RestartHistory};
use crate::supervisor_spec::Supervisor;
use crate::tree::{SupervisorShape, SupervisorView};

/// The facts of one life of a supervisor. Locked for moments only, by the supervisor and by those who look.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Facts>);

#[derive(Debug)]
struct Facts {
    view: SupervisorView,
    /// A second one, for the policy has the first while it decides, and a strategy of the user's may run then.
    restarts: RestartHistory,
}

impl Board {
    pub(crate) fn of(spec: &Supervisor) -> Arc<Self> {
        let restarts = RestartHistory::new(spec.intensity);
        Arc::new(Board(Mutex::new(Facts { view: view(spec), restarts })))
    }

    /// From now on the supervisor goes by `spec`. What was counted stays counted.
    pub(crate) fn change(&self, spec: &Supervisor) {
        self.locked(|facts| {
            facts.view = view(spec);
            facts.restarts.limit(spec.intensity);
        });
    }

    /// So many more restarts counted at `now_ms`.
    pub(crate) fn count(&self, restarts: u64, now_ms: u64) {
        if restarts > 0 {
            // Whether they were too many is for the policy to say.
            self.locked(|facts| (0..restarts).for_each(|_| _ = facts.restarts.record(now_ms)));
        }
    }

    /// What there is to see at `now_ms`.
    pub(crate) fn view(&self, now_ms: u64) -> SupervisorView {
        self.locked(|facts| SupervisorView {
            restarts_counted: facts.restarts.counted_at(now_ms),
            ..facts.view
        })
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Facts) -> T) -> T {
        // Nothing in here runs code of others, so a poisoned lock says nothing about the facts.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn view(spec: &Supervisor) -> SupervisorView {
    let shape = match (&spec.template, &spec.pool) {
        (Some(template), _) => SupervisorShape::Dynamic { max_children: template.max_children },
        (None, Some(pool)) => SupervisorShape::Pool { routing: pool.sharing.routing },
        (None, None) => SupervisorShape::Named,
    };
    let Supervisor { strategy, auto_shutdown, intensity, .. } = *spec;
    SupervisorView { shape, strategy, auto_shutdown, intensity, restarts_counted: 0 }
}

/// What a supervisor thinks of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Rises in start order, from 1.
    pub(crate) rank: u64,
    pub(crate) state: ChildState,
    /// When its next try is due, since the start of the runtime; in whole milliseconds.
    pub(crate) due: Option<Duration>,
}

impl Mark {
    pub(crate) fn leave_on(self, place: &Place) {
        place.set_mark(self.words());
    }

    /// `None`: no supervisor has ever had this place.
    pub(crate) fn on(place: &Place) -> Option<Self> {
        Self::from_words(place.mark())
    }

    /// The rank, then two bits of state below the time that is due, raised by one.
    fn words(self) -> [u64; 2] {
        let state = match self.state {
            ChildState::Running => 0,
            ChildState::Restarting => 1,
            ChildState::Stopped => 2,
        };
        const DUE_MAX_MS: u128 = (1 << 61) - 1;
        let due_ms = self.due.map_or(0, |due| due.as_millis().min(DUE_MAX_MS) as u64 + 1);
        [self.rank, due_ms << 2 | state]
    }

    fn from_words([rank, word]: [u64; 2]) -> Option<Self> {
        let state = match word & 3 {
            _ if rank == 0 => return None,
            0 => ChildState::Running,
            1 => ChildState::Restarting,
            _ => ChildState::Stopped,
        };
        let due = (word >> 2).checked_sub(1).map(Duration::from_millis);
        Some(Mark { rank, state, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_left() {
        for state in [ChildState::Running, ChildState::Restarting, ChildState::Stopped] {
            for due in [None, Some(0), Some(1), Some(86_400_000)].map(|due| due.map(Duration::from_millis)) {
                let mark = Mark { rank: 100_000, state, due };

                assert_eq!(Mark::from_words(mark.words()), Some(mark));
            }
        }
        assert_eq!(Mark::from_words([0, 0]), None);
    }

    #[test]
    fn a_try_that_is_due_in_the_far_future_is_borne() {
        let mark = Mark { rank: 1, state: ChildState::Restarting, due: Some(Duration::MAX) };

        let left = Mark::from_words(mark.words()).expect("a supervisor has the place");

        assert_eq!(left.state, ChildState::Restarting);
        assert!(left.due > Some(Duration::from_secs(1_000 * 365 * 86_400)));
    }

    #[test]
    fn a_board_counts_what_lies_within_the_window_of_now() {
        let board = Board::of(&Supervisor::named("sup").intensity(3, Duration::from_secs(1)));
        board.count(2, 0);
        board.count(1, 500);

        let counted = [500, 1_000, 1_001, 1_501].map(|now_ms| board.view(now_ms).restarts_counted);

        assert_eq!(counted, [3, 3, 1, 0]);
    }
}
