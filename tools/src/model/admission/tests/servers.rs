//! Servers that limit the rate, in process and under paused time, and count what they take and refuse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_runtime::{Clock, dice};

use crate::model::{
    Attempt, AttemptFacts, FinishReason, History, Model, ModelError, ModelErrorKind, ModelReply,
    ModelRequest, Origin, Usage,
};

use super::super::super::client::ModelFuture;

/// How a server counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Counts {
    /// A bucket that fills at the rate, and holds so many.
    Bucket { burst: f64 },
    /// The same for tokens, not requests.
    Tokens { burst: f64 },
    /// Windows of a whole second.
    Window,
}

/// What a server says with its refusals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Says {
    Exactly,
    WholeSeconds,
    Nothing,
    /// Exactly, and with each answer what is left of the bucket.
    Headers,
}

#[derive(Clone)]
pub(super) struct Server(Arc<Inner>);

struct Inner {
    counts: Counts,
    says: Says,
    /// From then on, so many a second.
    rates: Vec<(f64, f64)>,
    /// How long an answer takes, from and to.
    takes: (Duration, Duration),
    refuses_in: Duration,
    /// How long a request is on its way at most.
    arrives_in: Duration,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seed: u64,
    left: f64,
    at: f64,
    /// The instant in seconds and who asked, of each request that was taken.
    taken: Vec<(f64, String)>,
    refused: u64,
}

impl Server {
    pub(super) fn new(counts: Counts, says: Says, rates: &[(f64, f64)], seed: u64) -> Self {
        let left = match counts {
            Counts::Bucket { burst } | Counts::Tokens { burst } => burst,
            Counts::Window => rates[0].1,
        };
        Server(Arc::new(Inner {
            counts,
            says,
            rates: rates.to_vec(),
            takes: (Duration::from_millis(100), Duration::from_millis(300)),
            refuses_in: Duration::from_millis(50),
            arrives_in: Duration::ZERO,
            clock: Clock::default(),
            state: Mutex::new(State { seed, left, ..State::default() }),
        }))
    }

    pub(super) fn slow(self, from: Duration, to: Duration) -> Self {
        let mut inner = Arc::into_inner(self.0).expect("nobody else has it yet");
        inner.takes = (from, to);
        Server(Arc::new(inner))
    }

    pub(super) fn arriving(self, within: Duration) -> Self {
        let mut inner = Arc::into_inner(self.0).expect("nobody else has it yet");
        inner.arrives_in = within;
        Server(Arc::new(inner))
    }

    pub(super) fn taken(&self) -> Vec<(f64, String)> {
        self.0.state.lock().unwrap().taken.clone()
    }

    pub(super) fn refused(&self) -> u64 {
        self.0.state.lock().unwrap().refused
    }

    async fn answer(&self, request: &ModelRequest) -> Result<ModelReply, ModelError> {
        let mut facts = AttemptFacts { provider: "mock".into(), ..AttemptFacts::default() };
        if !self.0.arrives_in.is_zero() {
            self.0.clock.sleep(self.0.arrives_in.mul_f64(self.draw())).await;
        }
        let refusal = self.decide(request, &mut facts);
        if let Some(kind) = refusal {
            self.0.clock.sleep(self.0.refuses_in).await;
            return Err(ModelError { kind, facts: Box::new(facts) });
        }
        let (from, to) = self.0.takes;
        let luck = self.draw();
        facts.took = from + (to - from).mul_f64(luck);
        self.0.clock.sleep(facts.took).await;
        let usage = Usage::default();
        Ok(ModelReply { parts: Vec::new(), finish: FinishReason::Stop, usage, facts: Box::new(facts) })
    }

    fn decide(&self, request: &ModelRequest, facts: &mut AttemptFacts) -> Option<ModelErrorKind> {
        let now = self.0.clock.elapsed().as_secs_f64();
        let rate = self.0.rates.iter().rev().find(|(from, _)| *from <= now).expect("a first rate").1;
        let mut state = self.0.state.lock().unwrap();
        let cost = match self.0.counts {
            Counts::Tokens { .. } => f64::from(request.max_output_tokens()),
            Counts::Bucket { .. } | Counts::Window => 1.0,
        };
        match self.0.counts {
            Counts::Bucket { burst } | Counts::Tokens { burst } => {
                state.left = (state.left + (now - state.at) * rate).min(burst);
            }
            Counts::Window if now.floor() > state.at.floor() => state.left = rate,
            Counts::Window => {}
        }
        state.at = now;
        let is_taken = state.left >= cost - 1e-9;
        let until = match self.0.counts {
            Counts::Window => now.floor() + 1.0 - now,
            Counts::Bucket { .. } | Counts::Tokens { .. } => (cost - state.left).max(0.0) / rate,
        };
        if is_taken {
            state.left -= cost;
            state.taken.push((now, request.instructions().to_owned()));
        } else {
            state.refused += 1;
            facts.status = Some(429);
            facts.retry_after = match self.0.says {
                Says::Nothing => None,
                Says::WholeSeconds => Some(Duration::from_secs(until.ceil().max(1.0) as u64)),
                Says::Exactly | Says::Headers => Some(Duration::from_secs_f64(until + 0.001)),
            };
        }
        if let (Says::Headers, Counts::Bucket { burst }) = (self.0.says, self.0.counts) {
            let full_in = (burst - state.left) / rate;
            let of = |what: &str, value: String| (format!("x-ratelimit-{what}-requests"), value);
            facts.rate_limits = vec![
                of("limit", burst.to_string()),
                of("remaining", state.left.floor().to_string()),
                of("reset", format!("{full_in:.3}s")),
            ];
        }
        let of =
            if matches!(self.0.counts, Counts::Tokens { .. }) { "tokens per min (TPM)" } else { "requests" };
        (!is_taken).then(|| ModelErrorKind::RateLimited { message: format!("too many {of}") })
    }

    fn draw(&self) -> f64 {
        let mut state = self.0.state.lock().unwrap();
        state.seed = dice::mix(state.seed);
        (state.seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Model for Server {
    fn provider(&self) -> &str {
        "mock"
    }

    fn model(&self) -> &str {
        "mock"
    }

    fn attempt<'a>(&'a self, request: &'a ModelRequest, _: Attempt<'a>) -> ModelFuture<'a> {
        Box::pin(self.answer(request))
    }
}

/// A request of `who`, with so many tokens for the answer.
pub(super) fn request(who: &str, tokens: u32) -> ModelRequest {
    let mut history = History::new();
    history.user(Origin::Customer, "my lamp is dark").unwrap();
    ModelRequest::new(who, history, tokens).unwrap()
}
