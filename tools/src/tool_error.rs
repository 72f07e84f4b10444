//! Why a call of a tool has no result, and what class of failure that is.

use std::any::Any;
use std::time::Duration;

use greenroom_runtime::{Failure, FailureClass};

use crate::approval::ArgumentHash;

/// Why a call of a tool has no result.
///
/// The text of a variant may be shown to the model: it names what was wrong with the call, and no secret of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is no such tool. The model may choose another.
    #[error("there is no tool `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The arguments are not what the schema says. The model may correct them.
    #[error("the arguments are refused at `{path}`: {expected}")]
    Arguments {
        /// Where, such as `lines[2].amount`; `.` is the whole.
        path: String,
        /// What is expected there.
        expected: String,
    },
    /// The grant does not allow it, or the tool's own rules do not. Nothing was done; the same call will be refused again.
    #[error("not allowed: {reason}")]
    NotAllowed {
        /// What is not allowed.
        reason: String,
    },
    /// A person has to approve exactly these arguments first. Nothing was done.
    #[error("`{tool}` needs an approval of these arguments")]
    NeedsApproval {
        /// The tool.
        tool: String,
        /// What the approval has to be bound to.
        arguments: ArgumentHash,
    },
    /// It did not end within its time. It may have happened.
    #[error("no result within {after:?}")]
    TimedOut {
        /// How long it was given.
        after: Duration,
    },
    /// The world outside failed: a server that does not answer, a process that does not start. Later it may work.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// What is known.
        reason: String,
    },
    /// A bound is used up, such as the size of an answer.
    #[error("beyond its bound: {reason}")]
    Exhausted {
        /// Which bound.
        reason: String,
    },
    /// It was called off.
    #[error("called off")]
    Cancelled,
    /// The tool understood and says no, such as "no such file". The model may ask for something else.
    #[error("{reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
    /// The tool itself is broken: it panicked, or its result cannot be encoded.
    #[error("the tool is broken: {reason}")]
    Broken {
        /// What is known.
        reason: String,
    },
}

impl ToolError {
    /// The tool says no.
    pub fn refused(reason: impl Into<String>) -> Self {
        ToolError::Refused { reason: reason.into() }
    }

    /// A permission is missing.
    pub fn not_allowed(reason: impl Into<String>) -> Self {
        ToolError::NotAllowed { reason: reason.into() }
    }

    /// The world outside failed.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        ToolError::Unavailable { reason: reason.into() }
    }

    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        ToolError::Broken { reason: reason.into() }
    }

    pub(crate) fn panicked(cause: &(dyn Any + Send)) -> Self {
        let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
        ToolError::Broken {
            reason: text.map_or_else(|| "it panicked".into(), |text| format!("it panicked: {text}")),
        }
    }

    /// The class, which decides what follows. A timeout is the outside's, as with a server that does not answer.
    pub fn class(&self) -> FailureClass {
        match self {
            ToolError::Unknown { .. }
            | ToolError::Arguments { .. }
            | ToolError::NotAllowed { .. }
            | ToolError::NeedsApproval { .. }
            | ToolError::Refused { .. } => FailureClass::Invalid,
            ToolError::TimedOut { .. } | ToolError::Unavailable { .. } => FailureClass::External,
            ToolError::Exhausted { .. } => FailureClass::Exhausted,
            ToolError::Cancelled => FailureClass::Cancelled,
            ToolError::Broken { .. } => FailureClass::Bug,
        }
    }

    /// Whether it is certain that nothing was done: the call was refused before the tool ran.
    pub fn is_before_the_call(&self) -> bool {
        matches!(
            self,
            ToolError::Unknown { .. }
                | ToolError::Arguments { .. }
                | ToolError::NotAllowed { .. }
                | ToolError::NeedsApproval { .. }
        )
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        let (class, nothing_happened) = (error.class(), error.is_before_the_call());
        let failure = Failure::of(class, error);
        if nothing_happened { failure.nothing_happened() } else { failure }
    }
}
