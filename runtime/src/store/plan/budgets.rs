//! Budgets: charged, settled, opened, extended, closed. What is there is read, added to, and written, in the writer's turn.

use super::Plan;
use crate::address::ActorPath;
use crate::budget::{Amount, BudgetPath};
use crate::store::layout::Engine;
use crate::store::record::{
    budget_key, budgets_below_prefix, charge_key, charges_prefix, open_budget, open_charge, seal_budget,
    seal_charge,
};
use crate::store::{BudgetChange, ChargeKey, Record, StoreError, StoredBudget};

impl<E: Engine> Plan<'_, E> {
    pub(super) fn charge(&mut self, charge: &ChargeKey, amount: Amount) {
        let key = charge_key(charge);
        let value = seal_charge(&key, &amount);
        self.writes.insert(key, Some(value));
    }

    /// Nothing, if there is no such charge: what is settled twice is settled once.
    pub(super) fn settle(&mut self, charge: &ChargeKey, spent: Amount) -> Result<(), StoreError> {
        let key = charge_key(charge);
        let Some(value) = self.get(&key)? else { return Ok(()) };
        // Of a damaged charge nobody knows how much it was; its budget was stopped when that was found.
        let over = match open_charge(&key, &value) {
            Ok(reserved) => spent.above(reserved),
            Err(refused) => refused.newer_format().map_or(Ok(Amount::ZERO), Err)?,
        };
        self.writes.insert(key, None);
        if !spent.is_zero() || !over.is_zero() {
            self.change(&charge.node, |budget| {
                budget.spent = sum(budget.spent, spent);
                budget.overdraft = sum(budget.overdraft, over);
                budget.is_stopped |= !over.is_zero();
            })?;
        }
        self.fold(&charge.node)
    }

    pub(super) fn change_budget(
        &mut self,
        path: &BudgetPath,
        change: &BudgetChange,
    ) -> Result<(), StoreError> {
        match change {
            BudgetChange::Open { grant } => {
                let kept = self.budget(path)?.unwrap_or_default();
                self.remove_damaged_charges(path)?;
                let opened = StoredBudget { grant: *grant, is_closed: false, ..kept.unwrap_or_default() };
                self.put_budget(path, &opened);
                Ok(())
            }
            BudgetChange::Extend { by } => self.change(path, |budget| {
                budget.grant = budget.grant.checked_add(*by).unwrap_or(budget.grant);
                budget.is_stopped = false;
            }),
            BudgetChange::Resume => self.change(path, |budget| budget.is_stopped = false),
            BudgetChange::Close => {
                if self.budget(path)?.is_some() {
                    self.change(path, |budget| budget.is_closed = true)?;
                }
                self.fold(path)
            }
        }
    }

    /// Of those nobody can say any more how much they are.
    fn remove_damaged_charges(&mut self, path: &BudgetPath) -> Result<(), StoreError> {
        for (key, value) in self.entries(&charges_prefix(path))? {
            match open_charge(&key, &value) {
                Ok(_) => {}
                Err(refused) => {
                    refused.newer_format().map_or(Ok(()), Err)?;
                    self.writes.insert(key, None);
                }
            }
        }
        Ok(())
    }

    /// Adds what a closed budget spent to the one above it and lets it go, if nothing is below it or charged in it; and so
    /// on upwards.
    fn fold(&mut self, path: &BudgetPath) -> Result<(), StoreError> {
        for path in path.upwards() {
            let Some(Some(closed)) =
                self.budget(&path)?.filter(|kept| kept.is_some_and(|kept| kept.is_closed))
            else {
                return Ok(());
            };
            if !self.keys(&charges_prefix(&path))?.is_empty()
                || !self.keys(&budgets_below_prefix(&path))?.is_empty()
            {
                return Ok(());
            }
            self.writes.insert(budget_key(&path), None);
            if let Some(above) = path.parent() {
                self.change(&above, |budget| {
                    budget.spent = sum(budget.spent, closed.spent);
                    budget.overdraft = sum(budget.overdraft, closed.overdraft);
                })?;
            }
        }
        Ok(())
    }

    /// Changes the record of a budget, or makes one without limits. A damaged one stays as it is, so that it is found
    /// again: only [opening](BudgetChange::Open) it mends that.
    fn change(
        &mut self,
        path: &BudgetPath,
        change: impl FnOnce(&mut StoredBudget),
    ) -> Result<(), StoreError> {
        let Some(mut budget) = self.budget(path)?.unwrap_or(Some(StoredBudget::default())) else {
            return Ok(());
        };
        change(&mut budget);
        self.put_budget(path, &budget);
        Ok(())
    }

    /// `Some(None)`: there is one, and it is damaged.
    fn budget(&self, path: &BudgetPath) -> Result<Option<Option<StoredBudget>>, StoreError> {
        let key = budget_key(path);
        let Some(value) = self.get(&key)? else { return Ok(None) };
        match open_budget(&key, &value) {
            Ok(budget) => Ok(Some(Some(budget))),
            Err(refused) => refused.newer_format().map_or(Ok(Some(None)), Err),
        }
    }

    fn put_budget(&mut self, path: &BudgetPath, budget: &StoredBudget) {
        let key = budget_key(path);
        let value = seal_budget(&key, budget);
        self.writes.insert(key, Some(value));
    }
}

/// The ledger in memory has refused what does not fit, long before.
fn sum(kept: Amount, more: Amount) -> Amount {
    kept.checked_add(more).unwrap_or(kept)
}

/// Whether it is of a budget, and so of no actor.
pub(super) fn is_of_a_budget(record: &Record) -> bool {
    matches!(record, Record::Budget { .. })
}

/// The actor for which a charge is, where one has to be named.
pub(super) fn whose_charge(record: &Record) -> Option<&ActorPath> {
    match record {
        Record::Charge { charge, .. } | Record::Settle { charge, .. } => Some(&charge.actor),
        _ => None,
    }
}
