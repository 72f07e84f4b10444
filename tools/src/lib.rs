//! Greenroom's floor 1: what an agent may reach outside: tools and models.
//!
//! A [`Tool`] is a typed function with a schema, an effect class and bounds; [`AnyTool::run`] carries out one call of it,
//! within a [`Grant`] that only narrows on its way down. The tools of [`builtin`] are made for arguments that nobody trusts.

mod approval;
mod audit;
pub mod builtin;
mod call;
pub mod model;
mod permission;
mod registry;
mod schema;
mod source;
mod tool;
mod tool_context;
mod tool_error;

pub use approval::{Approval, ArgumentHash};
pub use audit::{AuditRecord, AuditSink, CallEnd};
pub use call::ToolResult;
pub use model::{
    Anchor, Attempt, AttemptEvent, AttemptFacts, Closing, FinishReason, History, HistoryError, Model,
    ModelError, ModelErrorKind, ModelExt, ModelHandle, ModelReply, ModelRequest, Origin, OutputSchema,
    ReplyPart, RequestError, ScriptedAnswer, ScriptedModel, ToolCall, ToolChoice, ToolOutcome, ToolSpec,
    Turn, Usage,
};
#[cfg(feature = "providers")]
pub use model::{HttpModel, KeySource};
pub use permission::{Grant, LimitKind};
pub use registry::{RegistryError, ToolRegistry};
pub use schema::schema_of;
pub use source::ToolSource;
pub use tool::{AnyTool, ApprovalRule, FnTool, Tool, ToolDescription, ToolLimits, tool_fn};
pub use tool_context::ToolContext;
pub use tool_error::ToolError;
