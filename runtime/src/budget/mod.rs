//! Budgets: what may be spent, down a tree of tenant, run, agent and call.
//!
//! No call leaves without a reservation of its worst case. [`Ledger`] decides, purely; [`Budgets`] keeps one for each
//! runtime, behind one lock, so that siblings never both get the last of what is left.

mod amount; // tokens, money, time, calls; and grants of them
mod budgets; // the tree of a runtime, and the store behind it
mod error; // why a budget refused
mod hold; // what is set aside for one call
mod ledger; // the tree: what is left, decided purely
mod path; // where a budget stands
mod status; // what it looks like from outside
#[cfg(test)]
mod tests;

pub use amount::{Amount, BudgetGrant, Dimension};
pub(crate) use budgets::Book;
pub use budgets::{Budget, Budgets};
pub use error::BudgetError;
pub(crate) use hold::Hold;
pub(crate) use ledger::Ledger;
pub use ledger::{BUDGETS_MAX, THRESHOLDS};
pub use path::{BUDGET_DEPTH_MAX, BudgetPath, BudgetPathError};
pub(crate) use status::News;
pub use status::{BudgetStatus, ChargeId, StopReason, SuspectedCharge};
