//! What admission counts. The labels are providers and models: as many as a program has.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};

/// Attempts that ended, by `provider`, `model` and `outcome`.
pub const MODEL_ATTEMPTS: &str = "greenroom_model_attempts_total";
/// Attempts after the first of a call, by `provider` and `model`.
pub const MODEL_RETRIES: &str = "greenroom_model_retries_total";
/// Calls that wait for a turn, by `provider` and `model`.
pub const MODEL_WAITING: &str = "greenroom_model_waiting";
/// Attempts under way, by `provider` and `model`.
pub const MODEL_UNDER_WAY: &str = "greenroom_model_under_way";
/// Requests a second that may leave, by `provider` and `model`.
pub const MODEL_RATE: &str = "greenroom_model_rate_per_second";
/// Time for which providers asked to be left alone, in milliseconds, by `provider` and `model`.
pub const MODEL_CLOSED: &str = "greenroom_model_closed_milliseconds_total";

/// All names, for `docs/operations.md`.
pub const DESCRIBED: [&str; 6] =
    [MODEL_ATTEMPTS, MODEL_RETRIES, MODEL_WAITING, MODEL_UNDER_WAY, MODEL_RATE, MODEL_CLOSED];

static METADATA: Metadata<'static> = Metadata::new("greenroom", Level::INFO, Some("greenroom"));

pub(super) type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    RateLimited,
    Failed,
    Refused,
    Cancelled,
}

pub(super) struct LaneMetrics {
    answered: Counter,
    rate_limited: Counter,
    failed: Counter,
    refused: Counter,
    cancelled: Counter,
    pub(super) retries: Counter,
    pub(super) waiting: Gauge,
    pub(super) under_way: Gauge,
    pub(super) rate: Gauge,
    closed: Counter,
}

impl LaneMetrics {
    pub(super) fn new(recorder: Option<&SharedRecorder>, provider: &str, model: &str) -> Self {
        let labels =
            || vec![Label::new("provider", provider.to_owned()), Label::new("model", model.to_owned())];
        let counter = |name: &'static str, outcome: Option<&'static str>| {
            let outcome = outcome.map(|outcome| Label::from_static_parts("outcome", outcome));
            let labels: Vec<Label> = labels().into_iter().chain(outcome).collect();
            recorder.map_or_else(Counter::noop, |to| {
                to.register_counter(&Key::from_parts(name, labels), &METADATA)
            })
        };
        let gauge = |name: &'static str| {
            recorder
                .map_or_else(Gauge::noop, |to| to.register_gauge(&Key::from_parts(name, labels()), &METADATA))
        };
        LaneMetrics {
            answered: counter(MODEL_ATTEMPTS, Some("answered")),
            rate_limited: counter(MODEL_ATTEMPTS, Some("rate_limited")),
            failed: counter(MODEL_ATTEMPTS, Some("failed")),
            refused: counter(MODEL_ATTEMPTS, Some("refused")),
            cancelled: counter(MODEL_ATTEMPTS, Some("cancelled")),
            retries: counter(MODEL_RETRIES, None),
            waiting: gauge(MODEL_WAITING),
            under_way: gauge(MODEL_UNDER_WAY),
            rate: gauge(MODEL_RATE),
            closed: counter(MODEL_CLOSED, None),
        }
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Answered => &self.answered,
            Outcome::RateLimited => &self.rate_limited,
            Outcome::Failed => &self.failed,
            Outcome::Refused => &self.refused,
            Outcome::Cancelled => &self.cancelled,
        };
        counter.increment(1);
    }

    pub(super) fn closed_for(&self, time: Duration) {
        self.closed.increment(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
}
