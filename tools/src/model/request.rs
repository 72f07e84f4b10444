//! What a model is asked, and what it answers.

use serde::{Deserialize, Serialize};

/// Who said something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The customer, or whoever the agent talks to. Untrusted.
    User,
    /// The agent.
    Agent,
    /// A tool's result. Untrusted.
    Tool,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who said it.
    pub speaker: Speaker,
    /// What.
    pub text: String,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRequest {
    /// What the agent is and shall do. Trusted.
    pub instructions: String,
    /// What was said so far, oldest first.
    pub turns: Vec<Turn>,
    /// Bound of the answer in tokens; a model must not answer more.
    pub max_tokens: u32,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReply {
    /// The text.
    pub text: String,
    /// Tokens of the request, as counted by the model.
    pub tokens_in: u32,
    /// Tokens of the answer.
    pub tokens_out: u32,
}
