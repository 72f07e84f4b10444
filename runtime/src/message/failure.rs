//! Why a handler did not do what it was asked, and the class that decides what follows.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::Amount;
use crate::sync::Quiet;

/// The kind of a [`Failure`]. The class, not the text, decides what happens to state, message, asker and
/// incarnation; `docs/guarantees.md` has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// A broken invariant. The incarnation is replaced and the restart counts.
    Bug,
    /// The world outside failed: 429, 5xx, time-out, open breaker. No restart.
    External,
    /// The input was malformed or refused. The asker hears it at once; no restart.
    Invalid,
    /// A budget, a bound or a deadline is used up. No restart.
    Exhausted,
    /// The work was called off: stop, kill, or an asker that gave up.
    Cancelled,
}

/// Why a handler failed: a class, a sentence, and the cause if there is one. Cloning is one allocation.
///
/// `?` turns [`AskError`](crate::AskError), [`TellError`](crate::TellError) and [`BreakerOpen`](crate::BreakerOpen) into
/// an `External` failure: a neighbour that is down is no bug of ours.
#[derive(Clone)]
pub struct Failure(Box<Inner>);

/// Behind a pointer: every handler's result has room for a failure, and hardly any carries one.
#[derive(Clone)]
struct Inner {
    class: FailureClass,
    text: Cow<'static, str>,
    cause: Option<Arc<Quiet<Box<dyn Error + Send + Sync>>>>,
    special: Special,
    /// Whether whoever made it knows that nothing happened outside.
    nothing_happened: bool,
    /// What it cost all the same, if whoever made it knows.
    billed: Option<Amount>,
}

/// What is no failure at all, but takes the way of one.
#[derive(Clone, Copy, PartialEq)]
enum Special {
    No,
    AnsweredElsewhere,
    Declined,
}

impl Failure {
    /// A broken invariant: the incarnation is replaced.
    pub fn bug(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(FailureClass::Bug, cause)
    }

    /// Something outside failed.
    pub fn external(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(FailureClass::External, cause)
    }

    /// The input is refused.
    pub fn invalid(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(FailureClass::Invalid, cause)
    }

    /// A budget or a bound is used up.
    pub fn exhausted(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(FailureClass::Exhausted, cause)
    }

    /// The work was called off.
    pub fn cancelled(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::of(FailureClass::Cancelled, cause)
    }

    /// A failure of `class` with its cause.
    pub fn of(class: FailureClass, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = Arc::new(Quiet::new(cause.into()));
        let text = cause.to_string().into();
        Failure(Box::new(Inner {
            class,
            text,
            cause: Some(cause),
            special: Special::No,
            nothing_happened: false,
            billed: None,
        }))
    }

    /// What a handler "fails" with after it gave its reply port away; never seen by anybody outside.
    pub(crate) fn answered_elsewhere() -> Self {
        let text = Cow::Borrowed("the reply port was given away");
        let class = FailureClass::Cancelled;
        Failure(Box::new(Inner {
            class,
            text,
            cause: None,
            special: Special::AnsweredElsewhere,
            nothing_happened: true,
            billed: None,
        }))
    }

    pub(crate) fn is_answered_elsewhere(&self) -> bool {
        self.0.special == Special::AnsweredElsewhere
    }

    /// What a `start` returns that has nothing to do here, such as an optional part that is not configured: OTP's
    /// `ignore`. No failure: the supervisor goes on without this child and keeps its spec. From a handler it is a
    /// [`Cancelled`](FailureClass::Cancelled) failure.
    pub fn declined(why: impl Into<Cow<'static, str>>) -> Self {
        let class = FailureClass::Cancelled;
        Failure(Box::new(Inner {
            class,
            text: why.into(),
            cause: None,
            special: Special::Declined,
            nothing_happened: true,
            billed: None,
        }))
    }

    pub(crate) fn is_declined(&self) -> bool {
        self.0.special == Special::Declined
    }

    /// Says of a failed call that it changed nothing outside, such as when the connection was refused: then an
    /// [`Effect::Once`](crate::Effect::Once) may be tried again. Say so only if you know: of a timeout nobody does.
    #[must_use]
    pub fn nothing_happened(mut self) -> Self {
        self.0.nothing_happened = true;
        self
    }

    /// Says of a failed call that it was billed all the same, and how much: then that is what its
    /// [`ChargedStep`](crate::ChargedStep) is settled with.
    #[must_use]
    pub fn billed(mut self, spent: Amount) -> Self {
        self.0.billed = Some(spent);
        self
    }

    /// What the failed call came to, if that is known.
    pub(crate) fn bill(&self) -> Option<Amount> {
        self.0.billed.or(self.0.nothing_happened.then_some(Amount::ZERO))
    }

    /// The cause, if it is of that type, such as a [`BudgetError`](crate::BudgetError). A failure that comes from a
    /// journal is class and text alone.
    pub fn cause_as<E: Error + 'static>(&self) -> Option<&E> {
        let cause: &(dyn Error + Send + Sync + 'static) = &****self.0.cause.as_ref()?;
        cause.downcast_ref()
    }

    pub(crate) fn is_sure_that_nothing_happened(&self) -> bool {
        self.0.nothing_happened
    }

    /// The class, which decides what follows.
    pub fn class(&self) -> FailureClass {
        self.0.class
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?}: {})", self.0.class, self.0.text)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The cause's own text is ours already; what it stands on is the next link of the chain.
        self.0.cause.as_ref().and_then(|cause| cause.source())
    }
}
