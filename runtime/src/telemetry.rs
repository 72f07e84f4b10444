//! The names under which the runtime counts, and the handles behind them.
//!
//! No global recorder: handles come from the recorder given to [`Builder::metrics`](crate::Builder::metrics), so two
//! runtimes in one process count apart. Without one, counting costs a branch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder, Unit};

use crate::budget::{Amount, Dimension};
use crate::message::FailureClass;
use crate::resilience::BreakerState;
use crate::sync::lock;

/// Messages handled to the end, by `actor_type`.
pub const MESSAGES_HANDLED: &str = "greenroom_messages_handled_total";
/// Messages refused by a full mailbox, by `actor_type`.
pub const MESSAGES_REFUSED: &str = "greenroom_messages_refused_total";
/// Handlers that failed without ending their incarnation, by `actor_type` and `class`.
pub const HANDLER_FAILURES: &str = "greenroom_handler_failures_total";
/// Incarnations that ended, by `actor_type` and `reason`.
pub const INCARNATIONS_ENDED: &str = "greenroom_incarnations_ended_total";
/// Lives after the first, by `actor_type`.
pub const RESTARTS: &str = "greenroom_restarts_total";
/// Dead letters, by `reason`.
pub const DEAD_LETTERS: &str = "greenroom_dead_letters_total";
/// Places in the tree; set by [`Runtime::measure`](crate::Runtime::measure).
pub const ACTORS: &str = "greenroom_actors";
/// Messages waiting in all mailboxes, by `actor_type`; set by [`Runtime::measure`](crate::Runtime::measure).
pub const MAILBOX_WAITING: &str = "greenroom_mailbox_waiting";
/// Batches the store has committed; set by [`Runtime::measure`](crate::Runtime::measure).
pub const STORE_COMMITS: &str = "greenroom_store_commits";
/// Flushes of the store, each for a group of batches; set by [`Runtime::measure`](crate::Runtime::measure).
pub const STORE_GROUPS: &str = "greenroom_store_groups";
/// Whether a breaker lets calls through, by `breaker`: 0 closed, 1 half-open, 2 open.
pub const BREAKER_STATE: &str = "greenroom_breaker_state";
/// Changes of a breaker's state, by `breaker` and `to`.
pub const BREAKER_TRANSITIONS: &str = "greenroom_breaker_transitions_total";
/// Calls that a breaker refused, by `breaker`.
pub const BREAKER_REFUSED: &str = "greenroom_breaker_refused_total";

/// What was spent, by `tenant` and `dimension` (`tokens`, `nano_usd`, `millis`, `calls`).
pub const BUDGET_SPENT: &str = "greenroom_budget_spent_total";
/// Calls that a budget refused, by `tenant`.
pub const BUDGET_REFUSED: &str = "greenroom_budget_refused_total";
/// Calls of which nobody knows what they came to, by `tenant`.
pub const BUDGET_SUSPECTED: &str = "greenroom_budget_suspected_total";
/// Budgets that a bill above its reservation stopped, by `tenant`.
pub const BUDGET_STOPPED: &str = "greenroom_budget_stopped_total";

/// The `tracing` event of a breaker that opens, at `warn`.
pub const BREAKER_OPENED: &str = "breaker.opened";
/// The `tracing` event of a breaker that lets trial calls through, at `debug`.
pub const BREAKER_HALF_OPENED: &str = "breaker.half_opened";
/// The `tracing` event of a breaker that closes, at `info`.
pub const BREAKER_CLOSED: &str = "breaker.closed";

/// What each name counts, for `describe_*` and for `docs/operations.md`.
pub const DESCRIBED: [(&str, Kind, &str); 17] = [
    (MESSAGES_HANDLED, Kind::Counter, "messages handled to the end"),
    (MESSAGES_REFUSED, Kind::Counter, "messages refused by a full mailbox"),
    (HANDLER_FAILURES, Kind::Counter, "handlers that failed without ending their incarnation"),
    (INCARNATIONS_ENDED, Kind::Counter, "incarnations that ended"),
    (RESTARTS, Kind::Counter, "lives after the first"),
    (DEAD_LETTERS, Kind::Counter, "dead letters"),
    (ACTORS, Kind::Gauge, "places in the tree"),
    (MAILBOX_WAITING, Kind::Gauge, "messages waiting in mailboxes"),
    (STORE_COMMITS, Kind::Gauge, "batches committed by the store"),
    (STORE_GROUPS, Kind::Gauge, "flushes of the store"),
    (BREAKER_STATE, Kind::Gauge, "whether a breaker is closed (0), half-open (1) or open (2)"),
    (BREAKER_TRANSITIONS, Kind::Counter, "changes of a breaker's state"),
    (BREAKER_REFUSED, Kind::Counter, "calls refused by a breaker"),
    (BUDGET_SPENT, Kind::Counter, "what was spent"),
    (BUDGET_REFUSED, Kind::Counter, "calls refused by a budget"),
    (BUDGET_SUSPECTED, Kind::Counter, "calls of which nobody knows what they came to"),
    (BUDGET_STOPPED, Kind::Counter, "budgets stopped by a bill above its reservation"),
];

/// Whether a name only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only rises.
    Counter,
    /// It rises and falls.
    Gauge,
}

type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

static METADATA: Metadata<'static> = Metadata::new("greenroom", Level::INFO, Some("greenroom"));

pub(crate) struct Telemetry {
    recorder: Option<SharedRecorder>,
    by_type: Mutex<BTreeMap<&'static str, Arc<TypeMetrics>>>,
    dead_letters: Mutex<BTreeMap<&'static str, Counter>>,
    pub(crate) actors: Gauge,
    pub(crate) store_commits: Gauge,
    pub(crate) store_groups: Gauge,
}

/// The handles of one actor type.
pub(crate) struct TypeMetrics {
    name: &'static str,
    pub(crate) handled: Counter,
    pub(crate) refused: Counter,
    pub(crate) restarts: Counter,
    pub(crate) waiting: Gauge,
    by_label: Mutex<BTreeMap<(&'static str, &'static str), Counter>>,
}

/// The handles of one breaker.
pub(crate) struct BreakerMetrics {
    state: Gauge,
    refused: Counter,
    opened: Counter,
    half_opened: Counter,
    closed: Counter,
}

impl Telemetry {
    pub(crate) fn new(recorder: Option<SharedRecorder>) -> Self {
        if let Some(recorder) = &recorder {
            for (name, kind, what) in DESCRIBED {
                match kind {
                    Kind::Counter => recorder.describe_counter(name.into(), Some(Unit::Count), what.into()),
                    Kind::Gauge => recorder.describe_gauge(name.into(), Some(Unit::Count), what.into()),
                }
            }
        }
        let gauge = |name| gauge(recorder.as_ref(), name, vec![]);
        Telemetry {
            actors: gauge(ACTORS),
            store_commits: gauge(STORE_COMMITS),
            store_groups: gauge(STORE_GROUPS),
            recorder,
            by_type: Mutex::default(),
            dead_letters: Mutex::default(),
        }
    }

    pub(crate) fn of_type(&self, name: &'static str) -> Arc<TypeMetrics> {
        let recorder = self.recorder.as_ref();
        let labels = || vec![Label::from_static_parts("actor_type", name)];
        let mut by_type = lock(&self.by_type);
        let metrics = by_type.entry(name).or_insert_with(|| {
            Arc::new(TypeMetrics {
                name,
                handled: counter(recorder, MESSAGES_HANDLED, labels()),
                refused: counter(recorder, MESSAGES_REFUSED, labels()),
                restarts: counter(recorder, RESTARTS, labels()),
                waiting: gauge(recorder, MAILBOX_WAITING, labels()),
                by_label: Mutex::default(),
            })
        });
        metrics.clone()
    }

    pub(crate) fn types(&self) -> Vec<(&'static str, Arc<TypeMetrics>)> {
        lock(&self.by_type).iter().map(|(name, metrics)| (*name, metrics.clone())).collect()
    }

    pub(crate) fn dead_letter(&self, reason: &'static str) {
        let mut counters = lock(&self.dead_letters);
        let recorder = self.recorder.as_ref();
        let labels = || vec![Label::from_static_parts("reason", reason)];
        counters.entry(reason).or_insert_with(|| counter(recorder, DEAD_LETTERS, labels())).increment(1);
    }

    pub(crate) fn budget_spent(&self, tenant: &str, spent: Amount) {
        for dimension in Dimension::ALL.into_iter().filter(|dimension| spent.of(*dimension) > 0) {
            let labels = vec![
                Label::new("tenant", tenant.to_owned()),
                Label::from_static_parts("dimension", dimension.label()),
            ];
            counter(self.recorder.as_ref(), BUDGET_SPENT, labels).increment(spent.of(dimension));
        }
    }

    pub(crate) fn budget_refused(&self, tenant: &str) {
        self.of_tenant(BUDGET_REFUSED, tenant);
    }

    pub(crate) fn budget_suspected(&self, tenant: &str) {
        self.of_tenant(BUDGET_SUSPECTED, tenant);
    }

    pub(crate) fn budget_stopped(&self, tenant: &str) {
        self.of_tenant(BUDGET_STOPPED, tenant);
    }

    /// The tenant alone: of runs and agents there is no end. Whoever records keeps the handles.
    fn of_tenant(&self, name: &'static str, tenant: &str) {
        let labels = || vec![Label::new("tenant", tenant.to_owned())];
        if self.recorder.is_some() {
            counter(self.recorder.as_ref(), name, labels()).increment(1);
        }
    }

    pub(crate) fn breaker(&self, name: &Arc<str>) -> BreakerMetrics {
        BreakerMetrics::new(self.recorder.as_ref(), name)
    }
}

impl BreakerMetrics {
    /// Counts nothing.
    pub(crate) fn silent(name: &Arc<str>) -> Self {
        Self::new(None, name)
    }

    fn new(recorder: Option<&SharedRecorder>, name: &Arc<str>) -> Self {
        let label = || Label::new("breaker", name.clone());
        let changes =
            |to| counter(recorder, BREAKER_TRANSITIONS, vec![label(), Label::from_static_parts("to", to)]);
        let metrics = BreakerMetrics {
            state: gauge(recorder, BREAKER_STATE, vec![label()]),
            refused: counter(recorder, BREAKER_REFUSED, vec![label()]),
            opened: changes("open"),
            half_opened: changes("half_open"),
            closed: changes("closed"),
        };
        metrics.state.set(0.0);
        metrics
    }

    pub(crate) fn refused(&self) {
        self.refused.increment(1);
    }

    pub(crate) fn changed(&self, to: BreakerState) {
        match to {
            BreakerState::Closed => self.closed.increment(1),
            BreakerState::HalfOpen => self.half_opened.increment(1),
            BreakerState::Open { .. } => self.opened.increment(1),
        }
    }

    pub(crate) fn is_now(&self, state: BreakerState) {
        self.state.set(match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open { .. } => 2.0,
        });
    }
}

impl TypeMetrics {
    pub(crate) fn failure(&self, telemetry: &Telemetry, class: FailureClass) {
        let class = match class {
            FailureClass::Bug => "bug",
            FailureClass::External => "external",
            FailureClass::Invalid => "invalid",
            FailureClass::Exhausted => "exhausted",
            FailureClass::Cancelled => "cancelled",
        };
        self.count(telemetry, HANDLER_FAILURES, "class", class);
    }

    pub(crate) fn exit(&self, telemetry: &Telemetry, reason: &'static str) {
        self.count(telemetry, INCARNATIONS_ENDED, "reason", reason);
    }

    fn count(&self, telemetry: &Telemetry, name: &'static str, key: &'static str, value: &'static str) {
        let mut counters = lock(&self.by_label);
        let labels =
            || vec![Label::from_static_parts("actor_type", self.name), Label::from_static_parts(key, value)];
        counters
            .entry((name, value))
            .or_insert_with(|| counter(telemetry.recorder.as_ref(), name, labels()))
            .increment(1);
    }
}

fn counter(recorder: Option<&SharedRecorder>, name: &'static str, labels: Vec<Label>) -> Counter {
    recorder.map_or_else(Counter::noop, |recorder| {
        recorder.register_counter(&Key::from_parts(name, labels), &METADATA)
    })
}

fn gauge(recorder: Option<&SharedRecorder>, name: &'static str, labels: Vec<Label>) -> Gauge {
    recorder.map_or_else(Gauge::noop, |recorder| {
        recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
    })
}
