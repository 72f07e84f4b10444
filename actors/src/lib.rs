//! Greenroom's floor 2: what agents do: think in turns, hand cases on, share context.

mod acceptance;
mod agent;
mod handoff;
mod role;
mod roles;
mod transcript;

pub use acceptance::{AcceptExt, Acceptance};
pub use agent::{
    AgentBuilder, AgentDefinition, Answer, CallOff, Conversation, DefinitionError, Fingerprint, Guardrail,
    HistoryPolicy, Input, Limit, Limits, OutputEvent, Pending, PendingError, PendingKind, Refusal, Side,
    Spent, ThinkCall, ThinkExt, ThinkFuture, Thinker, Thought, ToolEnded, Verdict, Window, assistant,
};
pub use handoff::{
    Decision, Fallback, Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload, TooManyHops,
};
pub use role::{Role, RoleError};
pub use roles::{HandOffExt, Roles};
pub use transcript::{ContextPolicy, Entry, Transcript};
