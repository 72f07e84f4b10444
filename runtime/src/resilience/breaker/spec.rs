//! When a breaker opens, for how long, and what closes it again.

use std::time::Duration;

use crate::resilience::Backoff;

/// When a [`Breaker`](crate::Breaker) opens, for how long, and what closes it. Every value has a default; change some
/// with `..BreakerSpec::default()`. A count of 0 is taken as 1.
///
/// ```
/// use std::time::Duration;
/// use greenroom_runtime::{Backoff, BreakerSpec, FailureShare};
///
/// let spec = BreakerSpec {
///     failures_in_a_row: None,
///     failure_share: Some(FailureShare { share: 0.5, window: 20, calls_min: 10 }), // half of the newest 20
///     open_for: Backoff::constant(Duration::from_secs(5)),
///     ..BreakerSpec::default()
/// };
/// assert_eq!(spec.half_open_calls, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSpec {
    /// It opens after so many failures in a row. `None`: the row is not looked at. Default: 5.
    pub failures_in_a_row: Option<u32>,
    /// It opens when too many of the newest calls failed. Default: `None`, not looked at.
    pub failure_share: Option<FailureShare>,
    /// How long it stays open. Each opening lasts longer than the one before, until it was closed for `reset_after`.
    /// Default: 5 s, doubling up to 60 s, a fifth of jitter; anew after 60 s.
    pub open_for: Backoff,
    /// Most trial calls in flight at once. Default: 1.
    pub half_open_calls: u32,
    /// So many trial calls must succeed before it closes; one that fails opens it again. Default: 1.
    pub successes_to_close: u32,
    /// A trial call that is not settled after so long has failed when the next call comes, so that one that hangs does
    /// not keep all others out. Longer than the deadline of the calls. Default: 60 s.
    pub trial_patience: Duration,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        BreakerSpec {
            failures_in_a_row: Some(5),
            failure_share: None,
            open_for: Backoff {
                first: Duration::from_secs(5),
                max: Duration::from_secs(60),
                jitter: 0.2,
                reset_after: Duration::from_secs(60),
            },
            half_open_calls: 1,
            successes_to_close: 1,
            trial_patience: Duration::from_secs(60),
        }
    }
}

/// How many of the newest calls may fail. Default: less than half of 20, looked at from the 10th on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureShare {
    /// The share that is too many, from 0 to 1. Above 1, or no number: 1. At 0, any failure is too many.
    pub share: f64,
    /// How many of the newest calls are looked at. A byte of memory each.
    pub window: u32,
    /// With fewer results than that in the window the share says nothing yet. More than `window`: `window`.
    pub calls_min: u32,
}

impl Default for FailureShare {
    fn default() -> Self {
        FailureShare { share: 0.5, window: 20, calls_min: 10 }
    }
}

impl FailureShare {
    /// Whether `failures` among `calls` are too many.
    pub(super) fn is_reached(&self, failures: usize, calls: usize) -> bool {
        let enough = calls >= self.calls_min.clamp(1, self.window.max(1)) as usize;
        // Divided, not multiplied: 7 / 25 is the very number that 0.28 is, while 0.28 * 25 is more than 7. And `min`
        // takes the number if the other one is none.
        enough && failures > 0 && failures as f64 / calls as f64 >= self.share.min(1.0)
    }
}
