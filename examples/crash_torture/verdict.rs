//! What became of the promises: the figures of the report.

use serde::Serialize;

/// One figure for each promise, and what puts it into proportion. Serialised, it is the JSON report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) kills: u32,
    /// Messages that the bank has acknowledged to its clients.
    pub(crate) accepted: u64,
    /// Accepted or sent, and neither applied nor waiting; and answers whose effect is gone.
    pub(crate) lost: u64,
    /// Applied a second time, or about to be: it waits, although its effect is there.
    pub(crate) applied_twice: u64,
    pub(crate) reordered: u64,
    pub(crate) money_drift: u64,
    /// Steps that were called again although their result was in the journal.
    pub(crate) completed_steps_repeated: u64,
    /// Steps that were called again because they were in flight: allowed.
    pub(crate) in_flight_repeated: u64,
    /// Of these, those that nobody was told of.
    pub(crate) in_flight_unlisted: u64,
    /// Steps over which an actor was parked: allowed, if they were open at a kill.
    pub(crate) suspected: u64,
    pub(crate) handoffs_offered: u64,
    pub(crate) handoffs_accepted: u64,
    pub(crate) handoffs_refused: u64,
    pub(crate) owners_none: u64,
    pub(crate) owners_two: u64,
    pub(crate) timers_missed: u64,
    pub(crate) recovery_p50_ms: f64,
    pub(crate) recovery_p99_ms: f64,
    #[serde(skip)]
    pub(crate) open_at_kills: u64,
    /// Actors that came back with the process, because they had something to see to.
    #[serde(skip)]
    pub(crate) came_back: u64,
    /// Reminders that were set in one life and came in a later one.
    #[serde(skip)]
    pub(crate) outlived: u64,
}

impl Verdict {
    /// What must be 0, by name.
    pub(crate) fn promises(&self) -> [(&'static str, u64); 9] {
        [
            ("lost", self.lost),
            ("applied_twice", self.applied_twice),
            ("reordered", self.reordered),
            ("money_drift", self.money_drift),
            ("completed_steps_repeated", self.completed_steps_repeated),
            ("in_flight_unlisted", self.in_flight_unlisted),
            ("owners_none", self.owners_none),
            ("owners_two", self.owners_two),
            ("timers_missed", self.timers_missed),
        ]
    }

    /// The names of the promises that were broken.
    pub(crate) fn broken(&self) -> Vec<&'static str> {
        let not_zero = self.promises().into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name);
        let too_many = (self.suspected > self.open_at_kills).then_some("suspected");
        not_zero.chain(too_many).collect()
    }
}
