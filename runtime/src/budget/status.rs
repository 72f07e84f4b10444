//! What a budget looks like from outside.

use std::fmt;

use super::amount::{Amount, BudgetGrant, Dimension};
use super::path::BudgetPath;
use crate::store::ChargeKey;

/// A budget, as it is at one instant. `spent` and `reserved` together never exceed `grant`, but for `overdraft`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// Where it stands.
    pub path: BudgetPath,
    /// What may be spent in it and below.
    pub grant: BudgetGrant,
    /// What was spent in it and below, also by budgets that are closed.
    pub spent: Amount,
    /// What is set aside on top: for calls in flight, for suspected charges, for the unspent rest of slices below.
    pub reserved: Amount,
    /// How much of that belongs to charges of which nobody knows what they came to.
    pub suspected: Amount,
    /// By how much bills were above their reservations, in it and below. A part of `spent`.
    pub overdraft: Amount,
    /// Why nothing more may be reserved in it and below, if so.
    pub stopped: Option<StopReason>,
    /// Whether it was closed, and waits for calls in flight or suspected charges to be settled.
    pub is_closed: bool,
}

impl BudgetStatus {
    /// What may still be reserved by its own limits; `None`: it has none in that dimension.
    pub fn left(&self, dimension: Dimension) -> Option<u64> {
        let limit = self.grant.of(dimension)?;
        let gone = self.spent.of(dimension).saturating_add(self.reserved.of(dimension));
        Some(limit.saturating_sub(gone))
    }
}

/// Why a budget was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// A bill came in above its reservation.
    Overdraft,
    /// A record of it in the store is damaged: what was spent is not known.
    Damaged,
}

/// Number of a charge, of this opening of the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChargeId(pub u64);

impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A call of which nobody knows whether it happened, and what it came to: it stays charged at its worst case until
/// [`Budgets::reconcile`](super::Budgets::reconcile).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuspectedCharge {
    /// For `reconcile`. Another one each time the runtime is started.
    pub id: ChargeId,
    /// Where it is charged.
    pub node: BudgetPath,
    /// How much.
    pub amount: Amount,
    /// The step that made the call, if it is in the store.
    pub step: Option<ChargeKey>,
}

/// What became known of a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Something was spent there.
    Spent {
        node: BudgetPath,
    },
    Threshold {
        node: BudgetPath,
        dimension: Dimension,
        percent: u8,
    },
    Stopped {
        node: BudgetPath,
        why: StopReason,
        over: Amount,
    },
    /// It was closed, and nothing is left in it.
    Gone {
        node: BudgetPath,
    },
}
