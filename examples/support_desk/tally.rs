//! What the run itself counts: messages, crashes, handoffs and times of each role. What was lost is for the judge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::team::Job;

/// Most times kept of one kind; later ones are not measured, so that memory has a bound.
const TIMES_MAX: usize = 1 << 20;

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

/// A bounded list of durations.
#[derive(Debug, Default)]
pub(crate) struct Times {
    micros: Mutex<Vec<u32>>,
}

/// Half of the times, and 99 of 100, are not longer than these. Zero when nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Times {
    pub(crate) fn add(&self, time: Duration) {
        let mut micros = self.micros.lock().unwrap_or_else(PoisonError::into_inner);
        if micros.len() < TIMES_MAX {
            micros.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let mut micros = self.micros.lock().unwrap_or_else(PoisonError::into_inner).clone();
        micros.sort_unstable();
        // Nearest rank: the smallest time that is not exceeded by that share of them.
        let at = |percent: usize| match micros.len() {
            0 => 0.0,
            n => f64::from(micros[(n * percent).div_ceil(100).max(1) - 1]) / 1_000.0,
        };
        Percentiles { p50_ms: at(50), p99_ms: at(99) }
    }
}
