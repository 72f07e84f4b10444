//! Supervision policy: who comes back, in which order, and when a supervisor gives up. Pure, as OTP decides it.
mod decision; // what follows an exit and a failed start: the one place that decides
mod exit; // how a child left, as far as policy cares
mod facts; // what a decision may look at
mod intensity; // how many restarts are too many
pub(crate) mod invariants; // what holds of every decision, by name
#[cfg(test)]
mod otp_conformance; // OTP's supervisor in miniature, and whether we do as it does
mod restart; // whether a child comes back at all
mod shutdown; // how long a child may take to stop
mod significance; // whether the end of a child ends its supervisor
mod strategy; // which siblings a restart concerns

pub(crate) use decision::{Decision, after_failed_start, decide};
pub(crate) use exit::ExitClass;
pub use facts::ChildState;
pub(crate) use facts::{ChildFacts, OnExternal, SupervisorFacts, SupervisorPhase};
pub use intensity::RestartIntensity;
pub(crate) use intensity::{RestartHistory, RestartVerdict};
pub use restart::Restart;
pub use shutdown::Shutdown;
pub use significance::AutoShutdown;
pub(crate) use strategy::RestartGroup;
pub use strategy::{CustomStrategy, Strategy};
