//! An actor that waits for a decision: its message cannot go on by itself, and nothing may overtake it.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use tokio::sync::Notify;

use crate::message::MessageId;
use crate::sync::lock;

/// Why an actor is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// The number under which its message was accepted first.
    pub message: MessageId,
    /// What stands in the way.
    pub why: ParkedFor,
}

/// What keeps a message from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParkedFor {
    /// A step with [`Effect::Once`](crate::Effect::Once) was in flight when the process, or the incarnation, ended. Find
    /// out whether it happened, and say so with [`Resolution::Done`] or [`Resolution::NotDone`].
    InDoubt {
        /// The number of the step within the message.
        number: u32,
        /// The name of the step.
        step: String,
        /// Its key.
        key: String,
    },
    /// The journal tells of another step than the program makes. Run the program that wrote it, and say
    /// [`Resolution::TryAgain`]; or [`Resolution::StartOver`], which repeats the steps of the message.
    Diverged {
        /// The number of the step within the message.
        number: u32,
        /// What the journal tells of.
        recorded: String,
        /// What the program makes; empty if it makes no such step any more.
        made: String,
    },
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message;
        match &self.why {
            ParkedFor::InDoubt { step, key, .. } => {
                write!(f, "message {message}: nobody knows whether the step `{step}` ({key}) happened")
            }
            ParkedFor::Diverged { number, recorded, made } if made.is_empty() => {
                write!(f, "message {message}: step {number} was {recorded}, and the program makes none")
            }
            ParkedFor::Diverged { number, recorded, made } => {
                write!(f, "message {message}: step {number} was {recorded}, and the program makes {made}")
            }
        }
    }
}

/// What becomes of a message whose actor is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is handled again, on its journal.
    TryAgain,
    /// The step in doubt happened, with this result in MessagePack: see [`Resolution::done`]. What cannot be read as the
    /// result of that step is a [`Bug`](crate::FailureClass::Bug) of the handler.
    Done(Vec<u8>),
    /// The step in doubt did not happen: it is made again.
    NotDone,
    /// The journal is deleted, and the message handled as if it were new: **each of its steps is made again**, with the
    /// key that it had.
    StartOver,
    /// The message is laid aside with its journal, and the actor goes on with the next.
    LayAside,
}

impl Resolution {
    /// The step in doubt happened, with this result.
    ///
    /// # Errors
    ///
    /// What serde says of a value that has no encoded form.
    pub fn done<T: serde::Serialize + ?Sized>(result: &T) -> Result<Self, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(result).map(Resolution::Done)
    }

    /// Whether it says something about what keeps the message from going on.
    fn fits(&self, why: &ParkedFor) -> bool {
        match self {
            Resolution::Done(_) | Resolution::NotDone => matches!(why, ParkedFor::InDoubt { .. }),
            Resolution::TryAgain | Resolution::StartOver | Resolution::LayAside => true,
        }
    }
}

/// Where a parked actor and whoever decides meet. Made when the first comes: hardly any actor ever does.
#[derive(Debug, Default)]
pub(crate) struct ParkingPlace(OnceLock<Box<Meeting>>);

#[derive(Debug, Default)]
pub(crate) struct Meeting {
    state: Mutex<State>,
    decided: Notify,
}

#[derive(Debug, Default)]
struct State {
    parked: Option<Parked>,
    decision: Option<Resolution>,
}

/// While it lives, the actor is parked.
pub(crate) struct Stay<'a>(&'a Meeting);

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        *lock(&self.0.state) = State::default();
    }
}

impl ParkingPlace {
    pub(crate) fn park(&self, parked: Parked) -> Stay<'_> {
        let meeting = self.0.get_or_init(Box::default);
        *lock(&meeting.state) = State { parked: Some(parked), decision: None };
        Stay(meeting)
    }

    pub(crate) fn parked(&self) -> Option<Parked> {
        lock(&self.0.get()?.state).parked.clone()
    }

    /// `false`: nobody is parked here, somebody was faster, or it does not fit.
    pub(crate) fn decide(&self, decision: Resolution) -> bool {
        let Some(meeting) = self.0.get() else { return false };
        let mut state = lock(&meeting.state);
        let fits = state.parked.as_ref().is_some_and(|parked| decision.fits(&parked.why));
        if !fits || state.decision.is_some() {
            return false;
        }
        state.decision = Some(decision);
        drop(state);
        meeting.decided.notify_one();
        true
    }
}

impl Stay<'_> {
    /// Waits for the decision. May be dropped and called again.
    pub(crate) async fn decision(&self) -> Resolution {
        loop {
            if let Some(decision) = lock(&self.0.state).decision.take() {
                return decision;
            }
            self.0.decided.notified().await;
        }
    }
}
