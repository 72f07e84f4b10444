//! What a model answers.

use serde::{Deserialize, Serialize};

use super::attempt::AttemptFacts;
use super::history::{ReplyPart, ToolCall};
use super::usage::Usage;

/// What a model answered, and what is known of the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelReply {
    /// Texts, calls, and what only the provider understands, in its order. For [`History::reply`](super::History::reply).
    pub parts: Vec<ReplyPart>,
    /// Why it ended.
    pub finish: FinishReason,
    /// What was used.
    pub usage: Usage,
    /// The rest that is known.
    pub facts: Box<AttemptFacts>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was finished.
    Stop,
    /// Its calls are to be made.
    ToolCalls,
    /// It reached the bound of the request: the last part may be cut.
    MaxTokens,
    /// The provider cut or withheld it for what it says.
    Filtered,
    /// Something else, in the provider's word.
    Other(String),
}

impl ModelReply {
    /// All its words.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            ReplyPart::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The calls it asks for.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            ReplyPart::Call(call) => Some(call),
            _ => None,
        })
    }
}
