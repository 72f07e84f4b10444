//! What others see of a breaker.

use std::fmt;

use tokio::time::Instant;

/// Whether a breaker lets calls through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls go through, and their results are counted.
    Closed,
    /// No call goes through before `until`. There is no timer: from then on the next call is the trial that makes it
    /// half-open, and until one comes it stays open.
    Open {
        /// When the next call is let through as a trial.
        until: Instant,
    },
    /// A few trial calls go through at once; their results decide.
    HalfOpen,
}

impl BreakerState {
    /// The state as a label: `closed`, `open` or `half_open`.
    pub fn label(&self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A look at a breaker. The counts of failures are those that led to the present state; they begin anew when it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerObservation {
    /// Whether calls go through.
    pub state: BreakerState,
    /// Since when.
    pub since: Instant,
    /// How often the state has changed. A watcher that sees it rise by more than one has missed states.
    pub changes: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// Results in the window; 0 without a [`FailureShare`](crate::FailureShare).
    pub window_calls: usize,
    /// How many of them were failures.
    pub window_failures: usize,
    /// Trial calls in flight.
    pub trials: usize,
    /// Calls let through since the breaker was made.
    pub admitted: u64,
    /// Calls refused since the breaker was made.
    pub refused: u64,
}
