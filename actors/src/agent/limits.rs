//! Bounds of a turn.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of one turn, from what the agent is told to its answer. All of them hold over a wait for a person, too, but for
/// the wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most calls of the model, repairs and summaries among them. Default: 16.
    pub model_calls: u32,
    /// Most calls of tools; those beyond are refused to the model, and the turn is over. Default: 32.
    pub tool_calls: u32,
    /// How often an answer of the wrong form, or an empty one, is given back. Default: 2.
    pub repairs: u32,
    /// Longest text that the agent is told, in bytes. Default: 32 KiB.
    pub input_bytes: usize,
    /// Most texts that wait until open calls have their results. Default: 16.
    pub inputs_waiting: usize,
    /// Longest answer of one model call, in tokens. (The longest request: [`Window`](crate::Window).) Default: 1,024.
    pub output_tokens: u32,
    /// Tokens after which no further model call is made, in and out, as the model counts them. Default: 500,000.
    pub tokens: u64,
    /// How long one attempt of a model call may take. Default: 10 min.
    pub call_deadline: Duration,
    /// After which no further model call is made, counted within one [`think`](crate::ThinkExt::think), and over the time in
    /// which no process ran. Default: none, the other bounds bound it.
    pub wall_time: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            model_calls: 16,
            tool_calls: 32,
            repairs: 2,
            input_bytes: 32 << 10,
            inputs_waiting: 16,
            output_tokens: 1_024,
            tokens: 500_000,
            call_deadline: Duration::from_secs(600),
            wall_time: None,
        }
    }
}

/// Which bound a turn ran into. The conversation is valid, and `Input::Continue` goes on with fresh bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::model_calls`].
    #[error("the turn has made all the model calls it may")]
    ModelCalls,
    /// [`Limits::tool_calls`].
    #[error("the turn has made all the tool calls it may")]
    ToolCalls,
    /// [`Limits::tokens`].
    #[error("the turn has used all the tokens it may")]
    Tokens,
    /// [`Limits::wall_time`].
    #[error("the turn has taken as long as it may")]
    WallTime,
    /// [`Limits::repairs`].
    #[error("the answer is not of the form that was asked for: {complaint}")]
    Repairs {
        /// What was wrong with the last one.
        complaint: String,
    },
    /// Not even the newest turns of the history fit into the [`Window`](crate::Window).
    #[error("the least that can be kept of the history has about {tokens} tokens")]
    Window {
        /// How many they have.
        tokens: u64,
    },
    /// Who makes the attempts refused this one as [`Exhausted`](greenroom_runtime::FailureClass::Exhausted): no budget, or
    /// too long a request.
    #[error("{reason}")]
    Exhausted {
        /// What it says.
        reason: String,
    },
}
