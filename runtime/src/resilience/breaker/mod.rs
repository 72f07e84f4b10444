//! Breakers: leaving alone what does not answer, until a trial call shows that it is back.

mod circuit; // what a breaker knows and how it decides: pure
mod handle; // what is cloned, asked for a permit, and told the result
mod observation; // what others see of it
mod outcome; // which results speak against what was called
mod spec; // when it opens, for how long, and what closes it
#[cfg(test)]
mod tests;

pub use handle::{Breaker, BreakerOpen, BreakerPermit};
pub use observation::{BreakerObservation, BreakerState};
pub use outcome::CallOutcome;
pub use spec::{BreakerSpec, FailureShare};
