//! One attempt at an answer: what it is given, what it tells while it runs, and what is known of it afterwards.

use std::fmt;
use std::time::Duration;

use greenroom_runtime::Clock;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::reply::FinishReason;
use super::request::RequestHash;
use super::usage::Usage;

/// What an attempt is given besides its request.
#[derive(Clone, Copy, Default)]
pub struct Attempt<'a> {
    key: Option<&'a str>,
    number: u32,
    deadline: Option<Instant>,
    observer: Option<&'a AttemptObserver<'a>>,
    anchor: Option<&'a Anchor>,
}

/// Hears what an attempt tells while it runs. It is called by the attempt itself and must return at once.
pub type AttemptObserver<'a> = dyn Fn(AttemptEvent<'_>) + Send + Sync + 'a;

/// What an attempt tells while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AttemptEvent<'a> {
    /// The provider's id of the answer is known. Worth a record: with it a later attempt may get this answer instead of
    /// paying for another one, if the [`Anchor`] says so.
    Anchored(&'a Anchor),
    /// The first output arrived, so long after the attempt began.
    FirstOutput(Duration),
    /// More of the text. Provisional: it counts once the attempt has returned its reply.
    Text {
        /// The attempt, as [`Attempt::numbered`] was told.
        attempt: u32,
        /// What was added.
        added: &'a str,
    },
}

/// Where an answer that a provider works on can be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Who has it.
    pub provider: String,
    /// The id that the provider gave it.
    pub response_id: String,
    /// The last event that was read, where its events are numbered.
    pub cursor: Option<u64>,
    /// Whether [`Attempt::reattached`] finds the answer with it. If not, it is only good for asking the provider.
    pub lasts: bool,
}

/// What is known of an attempt, whether it succeeded or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFacts {
    /// Who was asked.
    pub provider: String,
    /// The model that was asked for.
    pub model_asked: String,
    /// The model that answered, by its own word.
    pub model_answered: Option<String>,
    /// What was asked.
    pub request_hash: RequestHash,
    /// The provider's id of the HTTP request (`x-request-id`, `request-id`).
    pub request_id: Option<String>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What was used, as far as it is known: after a failure the provider may charge for more.
    pub usage: Option<Usage>,
    /// Why the answer ended.
    pub finish: Option<FinishReason>,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The headers that tell of rate limits (`x-ratelimit-*`, `anthropic-ratelimit-*`), in lower case, as they came.
    pub rate_limits: Vec<(String, String)>,
    /// From the begin of the attempt to the first output.
    pub first_output_after: Option<Duration>,
    /// From the begin of the attempt to its end.
    pub took: Duration,
    /// Whether any output had arrived. Then somebody has worked, and will be paid.
    pub had_output: bool,
    /// Whether an answer was picked up that an earlier attempt had asked for.
    pub reattached: bool,
}

impl<'a> Attempt<'a> {
    /// An attempt without a key, whose bound is the model's own.
    pub fn new() -> Self {
        Attempt::default()
    }

    /// Sends the key as `Idempotency-Key`: a provider that knows it charges once for all attempts with the same.
    #[must_use]
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// Says which attempt at the same request it is; provisional output carries it. Default: 0.
    #[must_use]
    pub fn numbered(mut self, number: u32) -> Self {
        self.number = number;
        self
    }

    /// Ends in a timeout at that instant of the runtime's clock. Default: the model's own bound.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Tells what happens while it runs.
    #[must_use]
    pub fn observer(mut self, observer: &'a AttemptObserver<'a>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Picks up the answer at that anchor instead of asking again. An anchor that does not last is ignored.
    #[must_use]
    pub fn reattached(mut self, anchor: &'a Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// The idempotency key.
    pub fn idempotency_key(&self) -> Option<&'a str> {
        self.key
    }

    /// When it ends at the latest.
    pub fn ends_at(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is left until the deadline; `None` without one.
    pub fn time_left(&self, clock: &Clock) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(clock.now()))
    }

    /// The anchor to pick up, if it lasts.
    pub fn anchor(&self) -> Option<&'a Anchor> {
        self.anchor.filter(|anchor| anchor.lasts)
    }

    /// Tells the observer, for implementations of [`Model`](super::Model).
    pub fn tell(&self, event: AttemptEvent<'_>) {
        if let Some(observer) = self.observer {
            observer(event);
        }
    }

    /// Tells the observer of more text, for implementations of [`Model`](super::Model).
    pub fn tell_text(&self, added: &str) {
        self.tell(AttemptEvent::Text { attempt: self.number, added });
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("key", &self.key)
            .field("number", &self.number)
            .field("deadline", &self.deadline)
            .field("anchor", &self.anchor)
            .finish_non_exhaustive()
    }
}
