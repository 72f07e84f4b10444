//! What an author writes: a state, its handlers, its inbox, and how it is kept and made.

mod ask_step;
mod behavior;
mod beside;
mod budgets; // what may be spent
mod cases;
pub(crate) mod context;
mod durable;
mod exit;
pub(crate) mod held;
mod inbox;
mod log;
mod protection;
mod reminders;
pub(crate) mod scope;
mod spec;
mod steps;

pub use ask_step::AskStep;
pub use behavior::{Actor, Handler};
pub use cases::CaseError;
pub use context::Context;
pub use durable::{Durable, MigrateError, SnapshotPolicy};
pub use exit::{ExitPhase, ExitReason};
pub use inbox::{
    Accepts, DecodeError, DurableInbox, DurableMessage, Inbox, Open, again_from_bytes, answer_from,
    blank_head, distinct, upgrade_from,
};
pub use log::Log;
pub use protection::ProtectionOver;
pub use scope::TimerHandle;
pub use spec::ActorSpec;
