//! What goes into a turn, and what comes of it.

use greenroom_tools::{FinishReason, Origin};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::Fingerprint;
use super::limits::Limit;
use super::pending::Pending;
use crate::role::Role;

/// What an agent is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Something new. While calls wait for a person it waits behind them.
    Say {
        /// Who says it. Only [`Origin::Instruction`] is to be obeyed.
        origin: Origin,
        /// What.
        text: String,
    },
    /// Nothing new: go on where the turn stopped, such as after an approval.
    Continue,
}

impl Input {
    /// A customer says something.
    pub fn customer(text: impl Into<String>) -> Self {
        Input::Say { origin: Origin::Customer, text: text.into() }
    }
}

/// What came of a turn. In each case the conversation is valid and can be stored.
#[must_use = "a turn may have ended otherwise than with an answer"]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Thought {
    /// The agent answered.
    Answer(Answer),
    /// Calls wait for a person; what is decided goes into the conversation, and [`Input::Continue`] goes on.
    Waiting(Vec<Pending>),
    /// The agent wants somebody else to have the case. It is still this agent's: hand it off, or tell it why not.
    HandOff {
        /// Whom.
        role: Role,
        /// Checked against the type that was declared.
        payload: Value,
    },
    /// What came in, or what would have gone out, is refused.
    Refused(Refusal),
    /// A bound is reached.
    Over(Limit),
    /// The turn was called off; its open calls are closed.
    Cancelled,
    /// The conversation was had with another definition, which this one neither accepts nor migrates. Nothing was done.
    DefinitionChanged {
        /// With which.
        was: Fingerprint,
        /// What it is now.
        is: Fingerprint,
    },
}

/// A final answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The words.
    pub text: String,
    /// The same as JSON, checked, if the definition asks for a form.
    pub json: Option<Value>,
    /// Why the model ended; [`FinishReason::MaxTokens`]: it is cut.
    pub finish: FinishReason,
}

/// Why a text did not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is longer than [`Limits::input_bytes`](crate::Limits::input_bytes).
    #[error("the text has {bytes} bytes, more than {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// It says nothing.
    #[error("the text is blank")]
    Blank,
    /// [`Limits::inputs_waiting`](crate::Limits::inputs_waiting) texts wait already.
    #[error("{waiting} texts wait already")]
    TooMany {
        /// How many.
        waiting: usize,
    },
    /// There is nothing to go on with.
    #[error("there is nothing to go on with")]
    NothingToDo,
    /// A guardrail refused it. What was refused on its way out is not part of the history.
    #[error("{by} refuses what {}: {reason}", match side { Side::In => "came in", Side::Out => "would go out" })]
    Guardrail {
        /// Which.
        by: String,
        /// On which side.
        side: Side,
        /// Why.
        reason: String,
    },
}

/// A side of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// What it is told.
    In,
    /// What it says.
    Out,
}
