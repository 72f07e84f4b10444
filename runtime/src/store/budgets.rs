//! Budgets in the store: what was granted and spent, and what is charged for calls in flight.
//!
//! Of each budget there is one record, with what was spent in it but not below; of each charge there is one. Nobody
//! writes an absolute balance: the writer's turn reads, adds, and writes.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::DamageReason;
use crate::address::ActorPath;
use crate::budget::{Amount, BudgetGrant, BudgetPath};
use crate::message::MessageId;

/// Which call a charge is for: where it is charged, and which attempt of which step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChargeKey {
    /// The budget.
    pub node: BudgetPath,
    /// The actor that makes the step.
    pub actor: ActorPath,
    /// The [`origin`](super::StoredMessage::origin) of the message.
    pub message: MessageId,
    /// The number of the step within the message.
    pub step: u32,
    /// Which call of the step: each that is made anew has its own charge.
    pub attempt: u32,
}

impl ChargeKey {
    /// All attempts of the same step, of the same budget.
    pub(crate) fn attempts(&self) -> RangeInclusive<ChargeKey> {
        ChargeKey { attempt: 0, ..self.clone() }..=ChargeKey { attempt: u32::MAX, ..self.clone() }
    }
}

/// What becomes of a budget. From outside, or by an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetChange {
    /// It is open, with that grant. What was spent in it stays; a damaged record is written anew, and damaged
    /// charges in it are deleted.
    Open {
        /// What may be spent.
        grant: BudgetGrant,
    },
    /// Its limits are raised, and it goes on if it was stopped.
    Extend {
        /// By how much.
        by: Amount,
    },
    /// It goes on if it was stopped.
    Resume,
    /// It is closed. Once there is nothing below it and no charge in it, what was spent in it is added to the budget above,
    /// and nothing is kept of it.
    Close,
}

/// A budget as it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredBudget {
    /// What may be spent in it and below.
    pub grant: BudgetGrant,
    /// What was spent in it, but not below; what was spent by closed ones below belongs to it.
    pub spent: Amount,
    /// By how much bills were above their reservations: a part of `spent`.
    pub overdraft: Amount,
    /// Whether a bill above its reservation stopped it.
    pub is_stopped: bool,
    /// Whether it is closed, and kept for what is below it or charged in it.
    pub is_closed: bool,
}

/// All budgets of a store, and all charges, sorted; or why a record cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBudgets {
    /// Each budget with its record.
    pub budgets: Vec<(BudgetPath, Result<StoredBudget, DamageReason>)>,
    /// Each charge with its amount: the worst case of its call.
    pub charges: Vec<(ChargeKey, Result<Amount, DamageReason>)>,
}
