//! What one turn of a conversation can be, and what a tool call and its result are.

use serde::{Deserialize, Serialize};

/// Where a text that the agent reads comes from. Nothing but [`Origin::Instruction`] is to be obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The application itself. Trusted.
    Instruction,
    /// The customer, or whoever the agent talks to. Untrusted.
    Customer,
    /// Something looked up that no call of this conversation asked for. Untrusted.
    Tool,
    /// Another agent, such as the one that handed the case over. Untrusted: it may repeat what a customer wrote.
    Agent,
    /// What stands for turns that were left out. Untrusted, as it is made of them.
    Summary,
}

impl Origin {
    /// Whether the text may give orders.
    pub fn is_trusted(self) -> bool {
        self == Origin::Instruction
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Turn {
    /// Something the agent is told. Never blank.
    User {
        /// Who says it.
        origin: Origin,
        /// What.
        text: String,
    },
    /// What the agent said, in the order in which it said it, each call with its result. Never without a text or a call.
    Agent {
        /// The texts, the calls, and what only their provider understands.
        parts: Vec<AgentPart>,
    },
}

/// A part of an agent's turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentPart {
    /// Words. Never blank.
    Text(String),
    /// A call of a tool. Its result stands beside it: they cannot be parted.
    Call {
        /// What was asked.
        call: ToolCall,
        /// What came of it; `None` while the call is open.
        result: Option<ToolResult>,
    },
    /// What only the provider understands that sent it.
    Opaque(OpaquePart),
}

/// A part of what a model answers, before it is in a [`History`](crate::model::History).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyPart {
    /// Words.
    Text(String),
    /// A call of a tool.
    Call(ToolCall),
    /// What only the provider understands that sent it.
    Opaque(OpaquePart),
}

/// A tool call, as the model asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Tells it from the other calls of the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON if all is well, anything if not.
    pub arguments: String,
}

/// What came of a tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What the model reads. Untrusted.
    pub text: String,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolOutcome {
    /// It ran.
    Ok,
    /// It failed, or nobody knows how it ended.
    Error,
    /// It was not allowed to run.
    Refused,
    /// It was called off.
    Cancelled,
}

/// Part of an answer that means something to its provider alone, such as a signed thought. It goes back to that provider
/// unchanged, and to no other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpaquePart {
    /// Who understands it: [`Model::provider`](crate::model::Model::provider).
    pub provider: String,
    /// JSON, as it came.
    pub json: String,
}

impl std::fmt::Debug for OpaquePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpaquePart({}, {} bytes)", self.provider, self.json.len())
    }
}

/// Why calls are closed without a result of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closing {
    /// The process ended meanwhile.
    Crashed,
    /// The work was called off.
    Cancelled,
    /// The time was up.
    TimedOut,
    /// The case goes to another agent.
    HandedOff,
    /// The conversation is made shorter.
    Compacted,
}

impl Closing {
    /// What the model reads in place of a result.
    pub fn result(self) -> ToolResult {
        let (outcome, text) = match self {
            Closing::Crashed => {
                (ToolOutcome::Error, "interrupted by a crash: it may or may not have happened")
            }
            Closing::Cancelled => (ToolOutcome::Cancelled, "cancelled: it may or may not have happened"),
            Closing::TimedOut => (ToolOutcome::Error, "timed out: it may or may not have happened"),
            Closing::HandedOff => (ToolOutcome::Cancelled, "not waited for: the case was handed over"),
            Closing::Compacted => (ToolOutcome::Cancelled, "not waited for: the conversation was shortened"),
        };
        ToolResult { outcome, text: text.to_owned() }
    }
}
