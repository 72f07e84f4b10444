//! Who may go when on one lane: queue, paces and bound together. Pure: time is given.

use std::time::Duration;

use tokio::time::Instant;

use super::headers::{Limited, Told};
use super::limit::Limit;
use super::pace::{Pace, Stamp};
use super::queue::{FairQueue, Waiting};
use super::spec::LaneSpec;

/// The fastest answer is forgotten by a hundredth with each other one.
const FORGET_FASTEST: f64 = 1.01;

#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) queue: FairQueue,
    requests: Pace,
    tokens: Pace,
    told_requests: Told,
    told_tokens: Told,
    limit: Limit,
    under_way: usize,
    /// Nothing may leave before.
    closed_until: Instant,
    /// Which pace somebody waited for since the last turn, if it was for a pace.
    paced_by: Option<Limited>,
    /// About the shortest time in which an answer came.
    fastest: Duration,
    /// Refusals for the rate in a row that did not say for how long.
    wordless: u32,
}

/// Whether the next one may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    Nobody,
    At(Instant),
    /// When one of those under way has ended.
    NoRoom,
    Now,
}

/// What to remember of a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    requests: Stamp,
    tokens: Stamp,
    era: u32,
}

impl Traffic {
    pub(super) fn new(spec: &LaneSpec, now: Instant) -> Self {
        Traffic {
            queue: FairQueue::default(),
            requests: Pace::ramp(spec.rate_start, spec.rate_max, now),
            tokens: Pace::free(0.0, now),
            told_requests: Told::default(),
            told_tokens: Told::default(),
            limit: Limit::new(spec.under_way_max),
            under_way: 0,
            closed_until: now,
            paced_by: None,
            fastest: Duration::ZERO,
            wordless: 0,
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        if self.queue.len() == 0 {
            return Next::Nobody;
        }
        let paced = self.requests.next().max(self.tokens.next());
        if now < self.closed_until {
            Next::At(self.closed_until.max(paced))
        } else if now < paced {
            let by_requests = self.requests.next() >= self.tokens.next();
            self.paced_by = Some(if by_requests { Limited::Requests } else { Limited::Tokens });
            Next::At(paced)
        } else if self.limit.has_room(self.under_way) {
            Next::Now
        } else {
            self.paced_by = None;
            Next::NoRoom
        }
    }

    /// Gives the next one its turn.
    pub(super) fn go(&mut self, now: Instant) -> Option<(Waiting, Turn)> {
        let Waiting { tokens, .. } = self.queue.peek()?;
        // What it takes of the scarcer of the two, in nanoseconds of it.
        let share = (1.0 / self.requests.rate()).max(tokens as f64 / self.tokens.rate());
        let waiting = self.queue.pop((share * 1e9) as u64)?;
        let paced_by = self.paced_by.take();
        self.under_way += 1;
        let turn = Turn {
            requests: self.requests.send(1.0, paced_by == Some(Limited::Requests), now),
            tokens: self.tokens.send(tokens as f64, paced_by == Some(Limited::Tokens), now),
            era: self.limit.era(),
        };
        Some((waiting, turn))
    }

    /// Somebody had a turn and did not use it.
    pub(super) fn give_back(&mut self, turn: &Turn) {
        self.ended();
        self.requests.take_back(&turn.requests);
        self.tokens.take_back(&turn.tokens);
    }

    /// An attempt has ended, or was called off.
    pub(super) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn answered(&mut self, took: Duration) {
        self.limit.went_well();
        self.wordless = 0;
        let before = self.fastest.mul_f64(FORGET_FASTEST);
        self.fastest = if self.fastest.is_zero() { took } else { took.min(before) };
    }

    /// Refused for the rate: nothing leaves for as long as `wait` says, given how many refusals before were without a word.
    /// Returns how much longer that is than it was.
    pub(super) fn limited(
        &mut self,
        turn: &Turn,
        of: Limited,
        wait: impl FnOnce(u32) -> Duration,
        now: Instant,
    ) -> Duration {
        let until = now + wait(self.wordless);
        // Many refusals that came at once are one.
        self.wordless = self.wordless.saturating_add(u32::from(now >= self.closed_until));
        let longer = until.saturating_duration_since(self.closed_until.max(now));
        match of {
            Limited::Requests => self.requests.refused(&turn.requests, until),
            Limited::Tokens => self.tokens.refused(&turn.tokens, until),
        }
        self.close_until(until);
        longer
    }

    pub(super) fn overloaded(&mut self, turn: &Turn) {
        self.limit.overloaded(turn.era, self.under_way + 1);
    }

    pub(super) fn close_until(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(until);
    }

    /// What the headers of an answer tell.
    pub(super) fn read(&mut self, headers: &[(String, String)], wall_ms: u64) {
        if headers.is_empty() {
            return;
        }
        if let Some(rate) = self.told_requests.read(headers, Limited::Requests, wall_ms) {
            self.requests.told(rate);
        }
        if let Some(rate) = self.told_tokens.read(headers, Limited::Tokens, wall_ms) {
            self.tokens.told(rate);
        }
    }

    /// How long one who comes now will wait, as far as that is known: rather too little.
    pub(super) fn wait_of(&self, tenant: &str, tokens: u64, now: Instant) -> Duration {
        let closed = self.closed_until.saturating_duration_since(now);
        let each = |pace: &Pace, cost: f64| if pace.is_learned() { cost / pace.rate() } else { 0.0 };
        // As if all were as long as this one.
        let each = each(&self.requests, 1.0).max(each(&self.tokens, tokens as f64));
        let queued = Duration::try_from_secs_f64(self.queue.turns_before(tenant) as f64 * each);
        closed.saturating_add(queued.unwrap_or(Duration::MAX))
    }

    pub(super) fn fastest(&self) -> Duration {
        self.fastest
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    pub(super) fn rate(&self) -> f64 {
        self.requests.rate()
    }

    /// Whether a call of a tenant finds the queue full.
    pub(super) fn is_full(&self, tenant: &str, spec: &LaneSpec) -> bool {
        self.queue.len() >= spec.waiting_max || self.queue.waiting_of(tenant) >= spec.waiting_of_tenant_max
    }
}
