//! Breakers: the decisions as tables and as random histories, and the handle around them.

mod circuit;
mod handle;
mod outcome;
mod properties;

use std::time::Duration;

use tokio::time::Instant;

use super::BreakerSpec;
use crate::clock::Clock;
use crate::resilience::Backoff;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Some instant; the tests of the circuit count from it.
fn start() -> Instant {
    Clock::default().now()
}

/// Opens for 10 s after three failures in a row.
fn three_in_a_row() -> BreakerSpec {
    BreakerSpec {
        failures_in_a_row: Some(3),
        open_for: Backoff::constant(secs(10)),
        trial_patience: secs(30),
        ..BreakerSpec::default()
    }
}
