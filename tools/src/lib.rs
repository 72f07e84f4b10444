//! Greenroom's floor 1: what an agent may reach outside. For now: models.

pub mod model;

pub use model::{
    Anchor, Attempt, AttemptEvent, AttemptFacts, Closing, FinishReason, History, HistoryError, Model,
    ModelError, ModelErrorKind, ModelExt, ModelHandle, ModelReply, ModelRequest, Origin, OutputSchema,
    ReplyPart, RequestError, ScriptedAnswer, ScriptedModel, ToolCall, ToolChoice, ToolOutcome, ToolSpec,
    Turn, Usage,
};
#[cfg(feature = "providers")]
pub use model::{HttpModel, KeySource};
