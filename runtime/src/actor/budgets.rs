//! Budgets in a handler.

use crate::actor::{Actor, Context};
use crate::budget::{Budget, BudgetError, BudgetGrant, Budgets};

impl<A: Actor> Context<'_, A> {
    /// A budget that is open, to [charge](crate::Step::charged) steps to.
    ///
    /// # Errors
    ///
    /// [`BudgetError::NotOpen`], [`BudgetError::Path`].
    pub fn budget(&self, path: &str) -> Result<Budget, BudgetError> {
        Budgets::of(&self.cell.core.world).at(path)
    }

    /// Opens a budget, such as for a run or an agent, out of the one above it; one that is open with a grant is left as it is, so
    /// that a handler may run twice. It is on disk when this returns, whatever becomes of the handler: one flush of its own.
    ///
    /// # Errors
    ///
    /// As [`Budgets::open`].
    ///
    /// # Cancel safety
    ///
    /// As [`Budgets::open`].
    pub async fn open_budget(&self, path: &str, grant: BudgetGrant) -> Result<Budget, BudgetError> {
        Budgets::of(&self.cell.core.world).open(path, grant).await
    }

    /// Closes a budget and all below it, and gives the rest back: see [`Budgets::close`].
    ///
    /// # Errors
    ///
    /// As [`Budgets::close`].
    ///
    /// # Cancel safety
    ///
    /// As [`Budgets::open`].
    pub async fn close_budget(&self, path: &str) -> Result<(), BudgetError> {
        Budgets::of(&self.cell.core.world).close(path).await.map(drop)
    }
}
