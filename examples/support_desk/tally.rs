//! What the run itself counts: messages, crashes, handoffs and times of each role. What was lost is for the judge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::team::Job;
use crate::times::{Percentiles, Times};

/// The counters of all roles.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    jobs: [JobTally; Job::ALL.len()],
}

#[derive(Debug, Default)]
struct JobTally {
    messages: AtomicU64,
    handoffs: AtomicU64,
    crashes: AtomicU64,
    times: Times,
}

/// What one role did in this run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobFigures {
    /// Ticket messages handled to the end.
    pub(crate) messages: u64,
    /// Cases given to another role, and taken by it.
    pub(crate) handoffs: u64,
    pub(crate) crashes: u64,
    /// Of the handling of one ticket message.
    pub(crate) times: Percentiles,
}

impl Tally {
    pub(crate) fn handled(&self, job: Job, time: Duration) {
        let tally = &self.jobs[job as usize];
        tally.messages.fetch_add(1, Ordering::Relaxed);
        tally.times.add(time);
    }

    pub(crate) fn handed_over(&self, job: Job) {
        self.jobs[job as usize].handoffs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn crashed(&self, job: Job) {
        self.jobs[job as usize].crashes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self, job: Job) -> JobFigures {
        let tally = &self.jobs[job as usize];
        JobFigures {
            messages: tally.messages.load(Ordering::Relaxed),
            handoffs: tally.handoffs.load(Ordering::Relaxed),
            crashes: tally.crashes.load(Ordering::Relaxed),
            times: tally.times.percentiles(),
        }
    }
}
