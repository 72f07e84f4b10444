//! What a lane is allowed, and what a call wants.

use std::time::Duration;

use greenroom_runtime::{Backoff, BreakerSpec};
use tokio::time::Instant;

use crate::model::attempt::Anchor;

use super::observer::CallObserver;

/// What a [`Lane`](super::Lane) is allowed. Every value has a default; change some with `..LaneSpec::default()`.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneSpec {
    /// Requests a second to begin with, while the limit is not known. It doubles each second in which more is wanted, until
    /// the provider refuses. Default: 20.
    pub rate_start: f64,
    /// Most requests a second, whatever the provider takes. 0: no bound of ours. Default: 0.
    pub rate_max: f64,
    /// Most attempts under way at once; fewer after a sign of overload. Default: 512.
    pub under_way_max: usize,
    /// Most calls that wait for a turn; one more is refused as [`Busy`](super::Denied::Busy). Default: 10,000.
    pub waiting_max: usize,
    /// Most calls of one tenant that wait, so that it cannot fill the queue for the others. Default: 5,000.
    pub waiting_of_tenant_max: usize,
    /// Most attempts of one call that fail for another reason than the rate. Default: 4.
    pub attempts_max: u32,
    /// Most attempts of one call that are refused for the rate. Default: 16.
    pub refusals_max: u32,
    /// How long to wait after a failure that does not say how long. Default: 500 ms, doubling up to 30 s, up to half as
    /// much again for jitter.
    pub backoff: Backoff,
    /// When the lane is given up for a while. A refusal for the rate does not count. Default: the breaker's own.
    pub breaker: BreakerSpec,
}

impl Default for LaneSpec {
    fn default() -> Self {
        LaneSpec {
            rate_start: 20.0,
            rate_max: 0.0,
            under_way_max: 512,
            waiting_max: 10_000,
            waiting_of_tenant_max: 5_000,
            attempts_max: 4,
            refusals_max: 16,
            backoff: Backoff {
                first: Duration::from_millis(500),
                max: Duration::from_secs(30),
                jitter: 0.5,
                ..Backoff::default()
            },
            breaker: BreakerSpec::default(),
        }
    }
}

/// What a call wants besides an answer to its request.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(super) tenant: &'a str,
    pub(super) deadline: Instant,
    pub(super) key: Option<&'a str>,
    pub(super) tokens: Option<u64>,
    pub(super) anchor: Option<&'a Anchor>,
    pub(super) observer: Option<&'a dyn CallObserver>,
}

impl<'a> Call<'a> {
    /// A call for `tenant`, whose share it counts against. It ends at `deadline` of the runtime's clock at the latest, with
    /// all waiting, all attempts and all models.
    pub fn new(tenant: &'a str, deadline: Instant) -> Self {
        Call { tenant, deadline, key: None, tokens: None, anchor: None, observer: None }
    }

    /// Sends the key as `Idempotency-Key` with every attempt at the first model. Attempts at the n-th fallback are other
    /// requests: their key ends in `.n`.
    #[must_use]
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// How many tokens it will take of a limit of tokens. Default: a third of the bytes of the request, and its bound of the
    /// answer.
    #[must_use]
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Picks up the answer at that anchor at first, at the model of the chain whose provider it names. That is no new
    /// request, so it waits for no turn. An anchor that does not last is ignored.
    #[must_use]
    pub fn reattached(mut self, anchor: &'a Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Is asked before each attempt and told after it.
    #[must_use]
    pub fn observer(mut self, observer: &'a dyn CallObserver) -> Self {
        self.observer = Some(observer);
        self
    }
}
