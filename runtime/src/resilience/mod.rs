//! What supervision and tools both need to live with a world that fails.

pub(crate) mod backoff;
mod breaker;

pub use backoff::Backoff;
pub use breaker::{
    Breaker, BreakerObservation, BreakerOpen, BreakerPermit, BreakerSpec, BreakerState, CallOutcome,
    FailureShare,
};
