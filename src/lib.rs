//! Greenroom: an actor runtime for AI agents, embedded in your tokio application.
//!
//! Every agent is an actor with a bounded mailbox. Supervision trees restart those that fall and route around them;
//! handoffs and context sharing are typed messages; durable state is on disk before a reply leaves.
//!
//! ```
//! use greenroom::prelude::*;
//!
//! struct Counter(u64);
//! struct Add(u64);
//!
//! impl Message for Add { type Reply = u64; }
//! impl Actor for Counter {
//!     type Args = ();
//!     type Inbox = Open<Self>;
//!     async fn start(_: &()) -> Result<Self, Failure> { Ok(Counter(0)) }
//! }
//! impl Handler<Add> for Counter {
//!     async fn handle(&mut self, m: Add, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
//!         self.0 += m.0;
//!         Ok(self.0)
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let runtime = Runtime::builder().start().await?;
//!     let counter = runtime.spawn::<Counter>("counter", ()).await?;
//!     assert_eq!(counter.ask(Add(2)).await?, 2);
//!     runtime.shutdown(std::time::Duration::from_secs(5)).await;
//!     Ok(())
//! }
//! ```
//!
//! This crate only re-exports: `greenroom-runtime` (actors, mailboxes, the store), `greenroom-supervision` (trees),
//! `greenroom-tools` (tools and models) and `greenroom-actors` (agents, roles and handoff).

pub use greenroom_actors as actors;

#[doc = include_str!("../docs/supervision.md")]
pub mod supervision {
    pub use greenroom_supervision::*;
}

#[doc = include_str!("../docs/tools.md")]
pub mod tools {
    pub use greenroom_tools::*;
}

#[doc = include_str!("../docs/agents.md")]
pub mod agents {
    pub use greenroom_actors::{
        AgentBuilder, AgentDefinition, Answer, CallOff, Conversation, DefinitionError, Fingerprint,
        Guardrail, HistoryPolicy, Input, Limit, Limits, OutputEvent, Pending, PendingError, PendingKind,
        Refusal, Side, Spent, ThinkCall, ThinkExt, ThinkFuture, Thinker, Thought, ToolEnded, Verdict, Window,
        assistant,
    };
}

pub use greenroom_actors::{
    AcceptExt, Acceptance, AgentDefinition, ContextPolicy, Conversation, Decision, Fallback, HandOffExt,
    Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload, HistoryPolicy, Input, Role, Roles,
    ThinkExt, Thinker, Thought, TooManyHops, Transcript,
};
pub use greenroom_runtime::*;
#[cfg(feature = "testing")]
pub use greenroom_supervision::PlantedBug;
pub use greenroom_supervision::{
    AdminError, AutoShutdown, ChildCounts, ChildInfo, ChildKind, ChildSettings, ChildSpec, ChildState,
    CustomStrategy, DynamicRef, DynamicSupervisor, DynamicTrees, Mailbox, NodeKind, Pool, PoolAsk, PoolRef,
    Restart, Route, RouteError, Routed, Routing, Shutdown, SpecComplaint, Strategy, SuperviseError,
    SuperviseExt, Supervisor, SupervisorRef, SupervisorShape, SupervisorView, Tree, TreeBreaker, TreeMailbox,
    TreeNode, TreeText,
};

pub use greenroom_tools::{
    Anchor, AnyTool, Approval, ApprovalRule, ArgumentHash, Attempt, AttemptEvent, AttemptFacts, AuditRecord,
    AuditSink, CallEnd, Closing, FinishReason, FnTool, Grant, History, HistoryError, LimitKind, Model,
    ModelError, ModelErrorKind, ModelExt, ModelHandle, ModelReply, ModelRequest, Origin, OutputSchema,
    RegistryError, ReplyPart, RequestError, ScriptedAnswer, ScriptedModel, Tool, ToolCall, ToolChoice,
    ToolContext, ToolDescription, ToolError, ToolLimits, ToolOutcome, ToolRegistry, ToolResult, ToolSource,
    ToolSpec, Turn, Usage, schema_of, tool_fn,
};
#[cfg(feature = "providers")]
pub use greenroom_tools::{HttpModel, KeySource};

/// What nearly every program needs, in one `use`.
pub mod prelude {
    pub use greenroom_actors::{
        AcceptExt, Acceptance, AgentDefinition, ContextPolicy, Conversation, Decision, Fallback, HandOffExt,
        Handoff, HandoffOutcome, HandoffPayload, HistoryPolicy, Input, Role, Roles, ThinkExt, Thought,
        Transcript,
    };
    pub use greenroom_runtime::{
        Actor, ActorPath, ActorRef, ActorSpec, Address, AskError, Backoff, Breaker, BreakerSpec, CallOutcome,
        Context, Durable, DurableMessage, ExitReason, Failure, FailureClass, Handler, MemoryStore, Message,
        Open, Overflow, Recipient, ReplyPort, Runtime, RuntimeConfig, RuntimeEvent, SledStore,
        SnapshotPolicy, TellError, inbox,
    };
    pub use greenroom_supervision::{
        AutoShutdown, ChildSpec, DynamicRef, DynamicSupervisor, Pool, PoolRef, Restart, Route, RouteError,
        Routing, Shutdown, Strategy, SuperviseExt, Supervisor, SupervisorRef, Tree,
    };
    pub use greenroom_tools::{
        Attempt, Grant, History, Model, ModelExt, ModelHandle, ModelRequest, Origin, ScriptedModel, Tool,
        ToolContext, ToolError, ToolRegistry, tool_fn,
    };
}

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles what the chapter on budgets shows.
#[cfg(doctest)]
#[doc = include_str!("../docs/budgets.md")]
struct BudgetsChapter;

/// Compiles what the chapter on durable handlers shows.
#[cfg(doctest)]
#[doc = include_str!("../docs/durability.md")]
struct Durability;
