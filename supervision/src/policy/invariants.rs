//! What holds of every decision, by name; asserted in debug builds and by the tests.

use super::{ChildFacts, ChildState, Restart, RestartGroup};

/// Siblings stop in reverse start order, each at most once.
pub(crate) fn stops_in_reverse_start_order(group: &RestartGroup) -> bool {
    group.stop.is_sorted_by(|a, b| a > b)
}

/// Children start in start order, each at most once.
pub(crate) fn starts_in_start_order(group: &RestartGroup) -> bool {
    group.start.is_sorted_by(|a, b| a < b)
}

/// Specs are removed from the end, so that removing one does not move the next; each at most once.
pub(crate) fn forgets_from_the_end(group: &RestartGroup) -> bool {
    group.forget.is_sorted_by(|a, b| a > b)
}

/// Only what runs is stopped, and never the child that left already.
pub(crate) fn stops_only_what_runs(group: &RestartGroup, children: &[ChildFacts], failed: usize) -> bool {
    group.stop.iter().all(|&i| i != failed && children[i].state == ChildState::Running)
}

/// Nobody temporary is started again, and nobody else loses the spec.
pub(crate) fn parts_with_the_temporary_alone(group: &RestartGroup, children: &[ChildFacts]) -> bool {
    group.start.iter().all(|&i| children[i].restart != Restart::Temporary)
        && group.forget.iter().all(|&i| children[i].restart == Restart::Temporary)
}

/// Whoever is taken down comes back or is forgotten: a restart leaves no hole.
pub(crate) fn leaves_nobody_behind(group: &RestartGroup) -> bool {
    group
        .stop
        .iter()
        .all(|i| group.start.binary_search(i).is_ok() || group.forget.iter().any(|gone| gone == i))
}

/// A history never holds more than the stamps that prove the intensity exceeded.
pub(crate) fn history_is_bounded(stamps: usize, max: u32) -> bool {
    stamps as u64 <= u64::from(max) + 1
}
