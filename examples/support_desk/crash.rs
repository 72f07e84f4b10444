//! Planned crashes: which attempt of which role at which ticket falls over, and where. Pure, but for the panic.

use std::panic;
use std::sync::Arc;

use crate::dice::{mix, share};
use crate::tally::Tally;
use crate::team::Job;

/// How a planned panic begins its text.
const PLANNED: &str = "planned crash";

/// Where in the handling of a ticket a crash happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// Nothing was done yet.
    BeforeWork,
    /// The state was changed and sends were made: all of that must be undone, or known when it comes again.
    AfterSends,
    /// All is done but the answer.
    BeforeReply,
}

/// Draws the crashes of a run. The same seed draws the same crashes, whatever the order of the work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrashPlan {
    pub(crate) seed: u64,
    /// From 0 to 1.
    pub(crate) rate: f64,
}

impl CrashPlan {
    /// Whether and where the attempt (from 0) of `job` at `ticket` crashes: a third of the crashes at each point.
    pub(crate) fn draw(&self, ticket: &str, job: Job, attempt: u32) -> Option<CrashPoint> {
        let mut hash = mix(self.seed);
        for byte in ticket.bytes().chain([0]).chain(job.name().bytes()) {
            hash = mix(hash ^ u64::from(byte));
        }
        let dice = mix(hash ^ u64::from(attempt));
        if share(dice) >= self.rate {
            return None;
        }
        Some(match mix(dice) % 3 {
            0 => CrashPoint::BeforeWork,
            1 => CrashPoint::AfterSends,
            _ => CrashPoint::BeforeReply,
        })
    }
}

/// The crash that one attempt carries, if it carries one.
pub(crate) struct Fuse {
    pub(crate) planned: Option<CrashPoint>,
    pub(crate) job: Job,
    pub(crate) tally: Arc<Tally>,
}

impl Fuse {
    /// The attempt is at `point`.
    ///
    /// # Panics
    ///
    /// If it was planned to.
    pub(crate) fn reach(&self, point: CrashPoint) {
        if self.planned == Some(point) {
            self.tally.crashed(self.job);
            panic!("{PLANNED} of {} {point:?}", self.job.name());
        }
    }
}

/// Keeps planned panics off the terminal; all others still print. The hook of the process belongs to its `main`, so
/// the library sets none.
pub(crate) fn silence_planned_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.starts_with(PLANNED)) {
            default(info);
        }
    }));
}
