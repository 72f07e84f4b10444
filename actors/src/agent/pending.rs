//! Calls that wait for a person.

use greenroom_tools::{Approval, ArgumentHash};
use serde::{Deserialize, Serialize};

/// A call that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The id of the call.
    pub call: String,
    /// Whether it needs a yes or words.
    pub kind: PendingKind,
    /// The tool.
    pub tool: String,
    /// The arguments as the model wrote them, to be shown. Foreign text.
    pub arguments: String,
    /// What an approval is bound to.
    pub hash: ArgumentHash,
    pub(super) decided: Option<Decided>,
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PendingKind {
    /// A yes or no.
    Approval,
    /// Words.
    Question {
        /// What the model wants to know.
        question: String,
    },
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Decided {
    Approved(Approval),
    Denied { reason: String },
    Answered { text: String },
}

/// Why a decision does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PendingError {
    /// No call waits for an approval of these arguments: it was decided, withdrawn, or asked for with others.
    #[error("no call of `{tool}` waits for an approval of these arguments")]
    NotWaitedFor {
        /// The tool.
        tool: String,
    },
    /// No call with that id waits, or it waits for something else.
    #[error("the call {call} does not wait for this")]
    NoSuchCall {
        /// The id.
        call: String,
    },
}
