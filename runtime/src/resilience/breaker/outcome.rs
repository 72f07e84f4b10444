//! Which results speak against what was called, and which only against the call.

use crate::address::{AskError, TellError};
use crate::message::{Failure, FailureClass};

/// What a result says about whatever was called: what a [`Breaker`](crate::Breaker) counts.
///
/// Not whether the caller got what it wanted: a refused input and a domain answer ("no such order") show that somebody
/// is there to refuse.
///
/// | result | counts as | because |
/// |---|---|---|
/// | a reply, `Refused` or [`Invalid`](FailureClass::Invalid) | success | it is alive |
/// | [`External`](FailureClass::External), [`Bug`](FailureClass::Bug), `ActorFailed`, `NoReply`, `StoreUnavailable` | failure | it cannot do its work |
/// | `DeadlinePassed`, or `MailboxFull` after waiting for room | failure | it is too slow |
/// | `Gone`, `Stopped`, `Draining`, another breaker that is open | failure | it is not there |
/// | `MailboxFull` at once, or `Shed` | neither | the mailbox refuses as fast as a breaker would, and a burst is no outage |
/// | [`Exhausted`](FailureClass::Exhausted), [`Cancelled`](FailureClass::Cancelled), a ring of waits, a fenced sender | neither | it is about the call |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Whatever was called works.
    Success,
    /// It does not.
    Failure,
    /// The result says nothing about it.
    Neither,
}

impl CallOutcome {
    /// What a result says: `Ok` is a success, an error says it itself. For errors of your own, write
    /// `impl From<&MyError> for CallOutcome`.
    pub fn of<T, E>(result: &Result<T, E>) -> Self
    where
        for<'a> Self: From<&'a E>,
    {
        result.as_ref().map_or_else(Self::from, |_| CallOutcome::Success)
    }
}

impl From<&Failure> for CallOutcome {
    fn from(failure: &Failure) -> Self {
        match failure.class() {
            FailureClass::Invalid => CallOutcome::Success,
            FailureClass::Bug | FailureClass::External => CallOutcome::Failure,
            FailureClass::Exhausted | FailureClass::Cancelled => CallOutcome::Neither,
        }
    }
}

impl<M> From<&AskError<M>> for CallOutcome {
    fn from(error: &AskError<M>) -> Self {
        match error {
            AskError::Refused { .. } => CallOutcome::Success,
            AskError::NotDelivered(error) => error.into(),
            AskError::Failed { failure, .. } => failure.into(),
            AskError::DeadlinePassed { .. }
            | AskError::ActorFailed { .. }
            | AskError::Stopped { .. }
            | AskError::NoReply { .. }
            | AskError::StoreUnavailable { .. }
            | AskError::BreakerOpen { .. } => CallOutcome::Failure,
            AskError::Shed { .. }
            | AskError::LaidAside { .. }
            | AskError::WaitsInRing { .. }
            | AskError::ForwardedInRing { .. } => CallOutcome::Neither,
        }
    }
}

impl<M> From<&TellError<M>> for CallOutcome {
    fn from(error: &TellError<M>) -> Self {
        match error {
            TellError::MailboxFull { waited, .. } if waited.is_zero() => CallOutcome::Neither,
            TellError::MailboxFull { .. }
            | TellError::Gone { .. }
            | TellError::Draining { .. }
            | TellError::Stopped { .. }
            | TellError::StoreUnavailable { .. } => CallOutcome::Failure,
            TellError::Unstorable { .. }
            | TellError::WaitsInRing { .. }
            | TellError::OutsideTransaction { .. }
            | TellError::LaidAside { .. }
            | TellError::OtherStore { .. }
            | TellError::SenderFenced { .. } => CallOutcome::Neither,
        }
    }
}
