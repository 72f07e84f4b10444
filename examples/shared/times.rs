//! How long things took: a bounded list of times, and its percentiles.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most times kept of one kind; later ones are not measured, so that memory has a bound.
const TIMES_MAX: usize = 1 << 20;

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

    /// In microseconds, the shortest first.
    pub(crate) fn sorted_micros(&self) -> Vec<u32> {
        let mut micros = self.micros.lock().unwrap_or_else(PoisonError::into_inner).clone();
        micros.sort_unstable();
        micros
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let micros = self.sorted_micros();
        // Nearest rank: the smallest time that is not exceeded by that share of them.
        let at = |percent: usize| match micros.len() {
            0 => 0.0,
            n => f64::from(micros[(n * percent).div_ceil(100).max(1) - 1]) / 1_000.0,
        };
        Percentiles { p50_ms: at(50), p99_ms: at(99) }
    }
}
