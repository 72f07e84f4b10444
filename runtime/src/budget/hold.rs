//! What is set aside for one call, from before it leaves until it is known what it came to.

use std::sync::{Arc, Mutex};

use super::{Amount, ChargeId, News};
use crate::events::RuntimeEvent;
use crate::store::{Batch, BudgetChange, ChargeKey, Record};
use crate::sync::lock;
use crate::world::World;

/// A reservation. When the last clone is dropped and nobody has settled it, it is given back if the call cannot have
/// left, and else suspected.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Held>);

struct Held {
    world: Arc<World>,
    id: ChargeId,
    /// `None`: it is in memory alone.
    step: Option<ChargeKey>,
    worst: Amount,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No call has left, and nothing is on disk.
    Reserved,
    /// It is on disk, or the call may have left.
    Charged,
    Settled,
}

impl Hold {
    pub(super) fn reserved(world: Arc<World>, id: ChargeId, step: Option<ChargeKey>, worst: Amount) -> Self {
        Hold(Arc::new(Held { world, id, step, worst, stage: Mutex::new(Stage::Reserved) }))
    }

    pub(super) fn charged(world: Arc<World>, id: ChargeId, step: ChargeKey, worst: Amount) -> Self {
        Hold(Arc::new(Held { world, id, step: Some(step), worst, stage: Mutex::new(Stage::Charged) }))
    }

    /// What writes it down, with the intent of its call.
    pub(crate) fn charge_record(&self) -> Option<Record> {
        let charge = self.0.step.clone()?;
        Some(Record::Charge { charge, amount: self.0.worst })
    }

    /// What writes down what the call came to, with its result.
    pub(crate) fn settle_record(&self, spent: Amount) -> Option<Record> {
        let charge = self.0.step.clone()?;
        Some(Record::Settle { charge, spent })
    }

    /// It is on disk, or the call is about to leave.
    pub(crate) fn mark_charged(&self) {
        let mut stage = lock(&self.0.stage);
        if *stage == Stage::Reserved {
            *stage = Stage::Charged;
        }
    }

    /// What the call came to is on disk; or nothing is.
    pub(crate) fn settle(&self, spent: Amount) {
        *lock(&self.0.stage) = Stage::Settled;
        self.0.world.settle(self.0.id, spent);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let stage = *self.stage.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        match stage {
            Stage::Reserved => self.world.settle(self.id, Amount::ZERO),
            Stage::Charged => self.world.suspect(self.id),
            Stage::Settled => {}
        }
    }
}

impl World {
    /// Books what a call came to, and tells what follows from it.
    pub(super) fn settle(&self, id: ChargeId, spent: Amount) {
        let settled = lock(&self.budgets.ledger).settle(id, spent);
        match settled {
            Ok(news) => self.tell_spent(spent, news),
            Err(error) => {
                tracing::error!(%error, %spent, "a bill cannot be booked: its call stays charged");
                self.suspect(id);
            }
        }
    }

    fn suspect(&self, id: ChargeId) {
        let suspected = lock(&self.budgets.ledger).suspect(id);
        if let Some(charge) = suspected {
            tracing::warn!(budget = %charge.node, amount = %charge.amount, "nobody knows what a call came to");
            self.telemetry.budget_suspected(charge.node.tenant());
            self.publish(RuntimeEvent::ChargeSuspected { charge });
        }
    }

    fn tell_spent(&self, spent: Amount, news: Vec<News>) {
        for news in news {
            match news {
                News::Spent { node } => self.telemetry.budget_spent(node.tenant(), spent),
                News::Threshold { node, dimension, percent } => {
                    tracing::info!(budget = %node, ?dimension, percent, "a budget has passed a threshold");
                    self.publish(RuntimeEvent::BudgetThreshold { path: node, dimension, percent });
                }
                News::Stopped { node, why, over } => {
                    tracing::error!(budget = %node, %over, "a bill was above its reservation: the budget is stopped");
                    self.telemetry.budget_stopped(node.tenant());
                    self.publish(RuntimeEvent::BudgetStopped { path: node, why, over });
                }
                News::Gone { node } => self.close_again(node),
            }
        }
    }

    /// A budget that was closed is empty now: the store lets it go as well, also where its last charge was queued behind
    /// its end.
    fn close_again(&self, path: crate::budget::BudgetPath) {
        let place = self.store().and_then(|store| store.try_place().ok().flatten());
        if let Some(place) = place {
            let record = Record::Budget { path, change: BudgetChange::Close };
            place.commit(Batch::from_outside(vec![record]), drop);
        }
    }
}
