//! Why a budget did not do it.

use super::amount::Dimension;
use super::path::{BudgetPath, BudgetPathError};
use super::status::ChargeId;
use crate::message::Failure;
use crate::store::CommitError;

/// Why a budget refused. In a handler `?` makes a [`Failure`] of it, of class
/// [`Exhausted`](crate::FailureClass::Exhausted) where it says so, which can be read back with
/// [`Failure::cause_as`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// There is not so much left. Nothing was reserved. `Exhausted`: extend the budget, wait for what is reserved, use a
    /// cheaper model, or give up.
    #[error("the budget {node} has {} left, and {} are asked for", dimension.text(*left), dimension.text(*asked))]
    Exhausted {
        /// Whose limit it is: the budget itself, or one above it.
        node: BudgetPath,
        /// What there is not enough of.
        dimension: Dimension,
        /// How much of it was asked for.
        asked: u64,
        /// How much of it is left.
        left: u64,
    },
    /// It was stopped, by a bill above its reservation or because its record is damaged, and waits for a person:
    /// [`Budgets::resume`](super::Budgets::resume), [`extend`](super::Budgets::extend) or
    /// [`mend`](super::Budgets::mend). `Exhausted`.
    #[error("the budget {node} is stopped")]
    Stopped {
        /// Which: the budget itself, or one above it.
        node: BudgetPath,
    },
    /// It was closed, or never opened. `Exhausted`.
    #[error("the budget {node} is not open")]
    NotOpen {
        /// Which.
        node: BudgetPath,
    },
    /// There are as many budgets as there may be ([`BUDGETS_MAX`](super::BUDGETS_MAX)). Close some. `Exhausted`.
    #[error("there is no room for the budget {node}: close some")]
    TooMany {
        /// Which was to be opened.
        node: BudgetPath,
    },
    /// A sum does not fit into 64 bits. Nothing was changed.
    #[error("an amount at the budget {node} does not fit into 64 bits")]
    Overflow {
        /// Where.
        node: BudgetPath,
    },
    /// There is no such charge among the suspected: it is reconciled already, or was taken up again.
    #[error("there is no suspected charge {0}")]
    NotSuspected(ChargeId),
    /// The path is none.
    #[error(transparent)]
    Path(#[from] BudgetPathError),
    /// It could not be written down, and did not happen.
    #[error("the store did not keep it")]
    Unstored(#[source] CommitError),
}

impl From<BudgetError> for Failure {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Exhausted { .. }
            | BudgetError::Stopped { .. }
            | BudgetError::NotOpen { .. }
            | BudgetError::TooMany { .. } => Failure::exhausted(error),
            BudgetError::Unstored(_) => Failure::external(error),
            BudgetError::Overflow { .. } | BudgetError::NotSuspected(_) | BudgetError::Path(_) => {
                Failure::bug(error)
            }
        }
    }
}
