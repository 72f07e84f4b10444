//! What happens in a runtime, for whoever wants to watch: a bounded broadcast.

use std::time::Duration;

use crate::actor::ExitReason;
use crate::address::{ActorPath, Epoch};
use crate::budget::{Amount, BudgetPath, Dimension, StopReason, SuspectedCharge};
use crate::durable::Parked;
use crate::mailbox::DeadLetter;
use crate::message::MessageId;
use crate::store::{Damage, StoreError};

/// Something that happened. Read with [`Runtime::events`](crate::Runtime::events); a reader that falls behind is told
/// how many it missed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RuntimeEvent {
    /// An incarnation is ready for messages.
    Started {
        /// Where.
        path: ActorPath,
        /// Which life.
        epoch: Epoch,
    },
    /// An incarnation ended.
    Ended {
        /// Where.
        path: ActorPath,
        /// Which life.
        epoch: Epoch,
        /// How.
        reason: ExitReason,
    },
    /// A supervisor will start the actor again after `delay`.
    Restarting {
        /// Who comes back.
        path: ActorPath,
        /// When: zero without a backoff.
        delay: Duration,
    },
    /// An outage kept an actor from starting for longer than its spec allows. It is started again by request only; what
    /// waited for it are dead letters.
    LaidAside {
        /// Who.
        path: ActorPath,
        /// How its last start failed.
        reason: ExitReason,
    },
    /// Messages that waited at a member of a pool that is down were moved to others.
    Rerouted {
        /// Where they waited.
        path: ActorPath,
        /// How many moved.
        count: usize,
    },
    /// An actor fell over a message once too often, and it was laid aside.
    Quarantined {
        /// Where.
        path: ActorPath,
        /// The name of its type.
        message: &'static str,
        /// Its number.
        id: MessageId,
        /// How the actor ended the last time.
        cause: ExitReason,
    },
    /// A message cannot go on before somebody decides, and its actor waits: see
    /// [`ActorRef::parked`](crate::ActorRef::parked).
    Parked {
        /// Where.
        path: ActorPath,
        /// Over which message, and why.
        parked: Parked,
    },
    /// A step was in flight when the life before ended, and is repeated: perhaps paid twice.
    StepRepeated {
        /// Whose.
        path: ActorPath,
        /// The name of the step.
        step: String,
        /// Its key.
        key: String,
    },
    /// A budget has spent that share of its grant, in percent: told once.
    BudgetThreshold {
        /// Which.
        path: BudgetPath,
        /// Of what.
        dimension: Dimension,
        /// How much of it: one of [`THRESHOLDS`](crate::THRESHOLDS).
        percent: u8,
    },
    /// A budget was stopped, and waits for a person: [`Budgets::resume`](crate::Budgets::resume).
    BudgetStopped {
        /// Which.
        path: BudgetPath,
        /// Why.
        why: StopReason,
        /// By how much the bill was above its reservation.
        over: Amount,
    },
    /// Nobody knows what a call came to: it stays charged until
    /// [`Budgets::reconcile`](crate::Budgets::reconcile).
    ChargeSuspected {
        /// Which, and how much.
        charge: SuspectedCharge,
    },
    /// A supervisor gave up and ends.
    GaveUp {
        /// The supervisor.
        path: ActorPath,
        /// Why.
        reason: ExitReason,
    },
    /// A place was deleted.
    Closed {
        /// Which.
        path: ActorPath,
    },
    /// An incarnation blocks its thread and was fenced.
    Unresponsive {
        /// Where.
        path: ActorPath,
        /// Which life.
        epoch: Epoch,
    },
    /// A message ended as a dead letter.
    DeadLetter(DeadLetter),
    /// A stored record could not be vouched for; the one before is used.
    RecordDamaged {
        /// Whose.
        path: ActorPath,
        /// Which record, and why.
        damage: Damage,
    },
    /// The store has failed for this opening: durable actors refuse from now on.
    StoreFailed {
        /// What the store said.
        error: StoreError,
    },
}
