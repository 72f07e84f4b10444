//! Who may call a model when: the one owner of retries, shared by all that call.
//!
//! `docs/admission.md` is the guide.

mod call; // attempts, one after the other, along a chain of models
mod error; // why a call got no answer
mod headers; // what headers tell of limits
mod lane; // one model with one key: waiting for a turn, and what came of it
mod limit; // how many at once
pub mod metrics; // what is counted
mod observer; // who is asked before each attempt and told after it
mod pace; // how fast
mod queue; // who is next
mod spec; // what a lane is allowed and a call wants
#[cfg(test)]
mod tests;
mod traffic; // queue, pace and bound together

pub use call::{Admission, Admitted};
pub use error::{AdmissionError, Denied};
pub use lane::Lane;
pub use observer::{AttemptPlan, CallObserver, ObserverFuture};
pub use spec::{Call, LaneSpec};
