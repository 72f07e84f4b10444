//! Greenroom's floor 0: actors, addresses, messages, mailboxes and the store.
//!
//! Use it through the facade crate `greenroom`, whose front page shows a whole program.

mod actor;
mod address;
mod budget;
mod builder;
mod cell;
mod clock;
mod config;
#[doc(hidden)] // for the crates that build on this one
pub mod dice;
mod durable;
mod events;
mod mailbox;
mod message;
#[doc(hidden)] // for the crates that build on this one
pub mod pages;
#[cfg(all(test, greenroom_races))]
mod races;
mod resilience;
mod root;
mod runtime;
pub mod store;
mod sync;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod walk;
mod world;

pub use actor::{
    Accepts, Actor, ActorSpec, AskStep, CaseError, Context, DecodeError, Durable, DurableInbox,
    DurableMessage, ExitPhase, ExitReason, Handler, Inbox, Log, MigrateError, Open, ProtectionOver,
    SnapshotPolicy, TimerHandle,
};
pub use address::*;
pub use budget::{
    Amount, BUDGET_DEPTH_MAX, BUDGETS_MAX, Budget, BudgetError, BudgetGrant, BudgetPath, BudgetPathError,
    BudgetStatus, Budgets, ChargeId, Dimension, StopReason, SuspectedCharge, THRESHOLDS,
};
pub use builder::Builder;
pub use cell::{InHand, LifeState, Observation, PastExit, Place};
pub use clock::Clock;
pub use config::{KEPT_MAX, RuntimeConfig};
pub use durable::{
    ANCHOR_LEN_MAX, Billed, ChargedStep, Effect, Known, LeftInStore, Parked, ParkedFor, Resolution,
    STEPS_MAX, Step, StepAttempt, TakeUpError,
};
pub use events::RuntimeEvent;
pub use mailbox::{
    DeadLetter, DeadLetterReason, DeadLetters, Overflow, QUARANTINE_MAX, Quarantined, RoomPatience, StopToken,
};
pub use message::{
    Chain, Envelope, Failure, FailureClass, Head, Message, MessageId, NoReply, ReplyPort, message_name,
};
pub use resilience::{
    Backoff, Breaker, BreakerObservation, BreakerOpen, BreakerPermit, BreakerSpec, BreakerState, CallOutcome,
    FailureShare,
};
pub use runtime::{Runtime, ShutdownReport, SpawnError};
pub use store::*;

/// For a supervisor of your own, and for the crates that build on this one: places, their lives, and who looks after them.
pub mod overseer {
    pub use crate::cell::{
        ChildExit, Flow, Incarnation, LaunchError, Link, Load, Overseer, OverseerContext, OverseerRef,
        PlaceSpec, Shown, Whereabouts,
    };
}

/// What code written by [`inbox!`] names, and nobody else.
#[doc(hidden)]
pub mod inbox_parts {
    pub use crate::actor::{again_from_bytes, answer_from, blank_head, distinct, upgrade_from};
    pub use crate::message::Verdict;
    pub use crate::message::encoding::stored_bytes;
    pub use crate::message::envelope::Parcel;
    pub use crate::message::reply::ErasedReply;
    pub use rmp_serde;
}
