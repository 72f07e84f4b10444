//! Bugs on purpose, to show that the tests would find them. Only with the feature `testing`.

use std::time::Duration;

use crate::policy::{Decision, RestartHistory, RestartIntensity, RestartVerdict};

/// A bug that a test can plant into one supervisor: see [`Supervisor::plant`](crate::Supervisor::plant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlantedBug {
    /// A group restart counts once for each of its members.
    CountGroupRestartPerChild,
    /// Temporary siblings come back with their group.
    RestartTemporaryInGroup,
    /// A child that could not be started again is not tried again.
    ForgetFailedStart,
    /// Children are stopped in the order in which they were started.
    StopInStartOrder,
    /// A restart exactly one window ago does not count any more.
    WindowEdgeExclusive,
}

impl PlantedBug {
    /// All of them, with the names that tests print.
    pub const ALL: [(&'static str, PlantedBug); 5] = [
        ("count-group-restart-per-child", PlantedBug::CountGroupRestartPerChild),
        ("restart-temporary-in-group", PlantedBug::RestartTemporaryInGroup),
        ("forget-failed-start", PlantedBug::ForgetFailedStart),
        ("stop-in-start-order", PlantedBug::StopInStartOrder),
        ("window-edge-exclusive", PlantedBug::WindowEdgeExclusive),
    ];
}

/// What a supervisor with that bug makes of a decision.
pub(crate) fn spoil(
    bug: Option<PlantedBug>,
    decision: Decision,
    history: &mut RestartHistory,
    now_ms: u64,
) -> Decision {
    let Decision::Restart { mut stop, mut forget, mut start } = decision else { return decision };
    match bug {
        Some(PlantedBug::CountGroupRestartPerChild) => {
            for _ in 1..start.len() {
                if history.record(now_ms) == RestartVerdict::Exceeded {
                    return Decision::GiveUp;
                }
            }
        }
        Some(PlantedBug::RestartTemporaryInGroup) => {
            start.append(&mut forget);
            start.sort_unstable();
        }
        Some(PlantedBug::StopInStartOrder) => stop.reverse(),
        Some(PlantedBug::ForgetFailedStart | PlantedBug::WindowEdgeExclusive) | None => {}
    }
    Decision::Restart { stop, forget, start }
}

/// What a supervisor with that bug makes of its limit: stamps are whole milliseconds, so that a window one shorter
/// leaves out its own edge.
pub(crate) fn spoil_limit(bug: Option<PlantedBug>, limit: RestartIntensity) -> RestartIntensity {
    match bug {
        Some(PlantedBug::WindowEdgeExclusive) => {
            RestartIntensity { within: limit.within.saturating_sub(Duration::from_millis(1)), ..limit }
        }
        _ => limit,
    }
}
