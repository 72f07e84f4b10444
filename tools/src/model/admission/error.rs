//! Why a call got no answer.

use std::time::Duration;

use greenroom_runtime::{BreakerOpen, Failure, FailureClass};

use crate::model::error::ModelError;

/// Why a call got no answer, after so many attempts.
#[derive(Debug, thiserror::Error)]
#[error("{why}, after {attempts} attempts")]
pub struct AdmissionError {
    /// What ended it.
    pub why: Denied,
    /// How many attempts left.
    pub attempts: u32,
    /// Whether one of them may have made a provider work.
    pub may_have_cost: bool,
    /// Why the last attempt failed, if that is not what ended the call.
    pub last: Option<Box<ModelError>>,
}

/// What ended a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Too many calls wait.
    #[error("{waiting} calls wait already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Its turn would come, or come again, too late for its deadline.
    #[error("its turn would come in {wait:?}, and its deadline is in {left:?}")]
    WouldBeLate {
        /// How long it would wait, as far as that is known.
        wait: Duration,
        /// What is left until the deadline.
        left: Duration,
    },
    /// The last model of the chain is left alone for a while, and the deadline comes before.
    #[error(transparent)]
    Unavailable(#[from] BreakerOpen),
    /// The observer did not let an attempt leave, or could not take note of it.
    #[error("not allowed: {0}")]
    Refused(Failure),
    /// The last attempt failed, and no other one is of use or allowed.
    #[error(transparent)]
    Failed(Box<ModelError>),
}

impl AdmissionError {
    /// The class that decides what follows: the last attempt's, or the observer's; `External` for whatever did not get its
    /// turn. Never a `Bug` for a provider that refuses.
    pub fn class(&self) -> FailureClass {
        match &self.why {
            Denied::Busy { .. } | Denied::WouldBeLate { .. } | Denied::Unavailable(_) => {
                FailureClass::External
            }
            Denied::Refused(failure) => failure.class(),
            Denied::Failed(error) => error.class(),
        }
    }
}

impl From<AdmissionError> for Failure {
    fn from(error: AdmissionError) -> Self {
        let (class, nothing) = (error.class(), !error.may_have_cost);
        let failure = Failure::of(class, error);
        if nothing { failure.nothing_happened() } else { failure }
    }
}
