//! What an agent thinks with: the trait that real providers and the scripted model of tests implement, and the
//! conversation that it is given.
//!
//! The unit is the attempt: one request, no retries, and a record of all that is known of it. `docs/models.md` is the
//! guide.

pub mod admission; // who may call a model when, and the one owner of retries
mod attempt; // what an attempt is given, tells, and leaves behind
mod client; // the trait, and how an actor finds its model
mod error; // why there is no answer, and its class
mod history; // the conversation, valid by construction
#[cfg(feature = "providers")]
mod key; // keys of providers, by reference
pub mod price; // what a call costs, and may cost at most
mod reply; // what is answered
mod request; // what is asked
mod scripted; // a model for tests and offline runs
mod text; // cutting it
mod usage; // tokens
#[cfg(feature = "providers")]
mod wire; // the providers, over HTTP

pub use attempt::{Anchor, Attempt, AttemptEvent, AttemptFacts, AttemptObserver};
pub use client::{Model, ModelExt, ModelFuture, ModelHandle};
pub use error::{ModelError, ModelErrorKind, TimeoutPhase};
pub use history::{
    AgentPart, Closing, History, HistoryError, OpaquePart, Origin, RESULT_BYTES_MAX, Repair, ReplyPart,
    TEXT_BYTES_MAX, ToolCall, ToolOutcome, ToolResult, Turn, WindowTooSmall,
};
#[cfg(feature = "providers")]
pub use key::{KeyError, KeySource};
pub use reply::{FinishReason, ModelReply};
pub use request::{ModelRequest, OutputSchema, RequestError, RequestHash, ToolChoice, ToolSpec};
pub use scripted::{ScriptedAnswer, ScriptedModel};
pub use usage::{Usage, estimate_tokens};
#[cfg(feature = "providers")]
pub use wire::{HttpModel, HttpModelBuilder, HttpModelError};
