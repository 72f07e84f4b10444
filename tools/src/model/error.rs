//! Why an attempt got no answer, and the class that decides what follows.

use greenroom_runtime::{Failure, FailureClass};
use serde::{Deserialize, Serialize};

use super::attempt::AttemptFacts;

/// Why an attempt got no answer, with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}")]
pub struct ModelError {
    /// What went wrong.
    pub kind: ModelErrorKind,
    /// What is known of the attempt.
    pub facts: Box<AttemptFacts>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// Too many requests, or too many tokens, for now. Try again after
    /// [`retry_after`](AttemptFacts::retry_after).
    #[error("the provider limits our rate: {message}")]
    RateLimited {
        /// What the provider says.
        message: String,
    },
    /// The provider has more work than it can do, or a fault (5xx). Try again later.
    #[error("the provider is overloaded or broken: {message}")]
    Overloaded {
        /// What the provider says.
        message: String,
    },
    /// It took too long.
    #[error("{0}")]
    TimedOut(TimeoutPhase),
    /// No connection, or it broke before an answer began.
    #[error("no connection to the provider: {message}")]
    Connection {
        /// Whether the request may have arrived.
        sent: bool,
        /// What is known.
        message: String,
    },
    /// The answer broke off. [`had_output`](AttemptFacts::had_output) says whether any of it had arrived.
    #[error("the answer broke off: {message}")]
    StreamCut {
        /// What is known.
        message: String,
    },
    /// The provider refused the request. Trying the same again is of no use.
    #[error("the provider refused the request: {message}")]
    Refused {
        /// What the provider says.
        message: String,
    },
    /// The provider does not accept the key, or there is none. Try again with another one; it is read anew each time.
    #[error("no valid key from {from}: {message}")]
    BadKey {
        /// Where the key comes from.
        from: String,
        /// What the provider says, or why there is none.
        message: String,
    },
    /// The request has more tokens than the model takes. Ask with a shorter history.
    #[error("the request is too long for the model: {message}")]
    TooLong {
        /// What the provider says.
        message: String,
    },
    /// What arrived is no answer of this provider.
    #[error("the answer makes no sense: {message}")]
    InvalidAnswer {
        /// What is wrong with it.
        message: String,
    },
    /// The provider withheld the answer for what the request or the answer says.
    #[error("the provider withheld the answer: {message}")]
    Filtered {
        /// What the provider says.
        message: String,
    },
}

/// Which bound an attempt ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TimeoutPhase {
    /// No connection in time. Nothing was sent.
    #[error("no connection in time")]
    Connect,
    /// Nothing of an answer in time.
    #[error("no answer in time")]
    FirstByte,
    /// The answer began, and then nothing came for too long.
    #[error("the answer stood still for too long")]
    Idle,
    /// The attempt's deadline.
    #[error("no whole answer before the deadline")]
    Total,
}

impl ModelError {
    /// The class that decides what follows. A provider that is slow, down or limits the rate is `External`, never a crash.
    pub fn class(&self) -> FailureClass {
        use ModelErrorKind as Kind;
        match &self.kind {
            Kind::Refused { .. } | Kind::Filtered { .. } => FailureClass::Invalid,
            Kind::TooLong { .. } => FailureClass::Exhausted,
            Kind::RateLimited { .. }
            | Kind::Overloaded { .. }
            | Kind::TimedOut(_)
            | Kind::Connection { .. }
            | Kind::StreamCut { .. }
            | Kind::BadKey { .. }
            | Kind::InvalidAnswer { .. } => FailureClass::External,
        }
    }

    /// Whether it is sure that this attempt made nobody work: then it costs nothing, and may be made again in any case.
    /// Never so for an attempt that picked up an earlier one's answer, which somebody works on.
    pub fn nothing_happened(&self) -> bool {
        use ModelErrorKind as Kind;
        let not_begun = match &self.kind {
            Kind::Connection { sent, .. } => !sent,
            Kind::TimedOut(phase) => *phase == TimeoutPhase::Connect,
            // A provider that refuses has not begun; the same word in the middle of an answer has another meaning.
            Kind::BadKey { .. } | Kind::RateLimited { .. } | Kind::Refused { .. } | Kind::TooLong { .. } => {
                self.facts.status.is_none_or(|status| (400..500).contains(&status))
            }
            Kind::Overloaded { .. }
            | Kind::StreamCut { .. }
            | Kind::InvalidAnswer { .. }
            | Kind::Filtered { .. } => false,
        };
        not_begun && !self.facts.had_output && !self.facts.reattached
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let (class, nothing) = (error.class(), error.nothing_happened());
        let failure = Failure::of(class, error);
        if nothing { failure.nothing_happened() } else { failure }
    }
}
