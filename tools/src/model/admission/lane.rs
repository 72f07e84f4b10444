//! One lane: everything that goes to one provider's model with one key, and the waiting for it.
//!
//! No task of its own: one of those who wait, the leader, keeps the timer and gives the others their turns. Whoever leads and
//! leaves wakes the next leader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom_runtime::{Breaker, BreakerOpen, BreakerPermit, CallOutcome, Clock, dice};
use metrics::Recorder;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::client::Model;

use super::error::Denied;
use super::headers::Limited;
use super::metrics::{LaneMetrics, Outcome};
use super::queue::Waiting;
use super::spec::LaneSpec;
use super::traffic::{Next, Traffic, Turn};

/// How soon to ask a breaker again whose trial is under way; the end of that trial asks at once.
const TRIAL_PATIENCE: Duration = Duration::from_millis(250);

/// Everything that goes to one model of one provider with one key: one for each, shared by all that call it. Cloning it is
/// free, and clones are the same lane.
///
/// It learns how fast it may send, gives tenants equal shares of that, and leaves the provider alone for as long as it asks.
#[derive(Clone)]
pub struct Lane(Arc<Shared>);

struct Shared {
    model: Arc<dyn Model>,
    spec: LaneSpec,
    clock: Clock,
    breaker: Breaker,
    metrics: LaneMetrics,
    luck: AtomicU64,
    /// Held for a decision. Under it only the breaker is asked, which may write to the log.
    state: Mutex<State>,
}

struct State {
    traffic: Traffic,
    waiters: BTreeMap<u64, Waiter>,
    next_place: u64,
    leader: Option<u64>,
}

struct Waiter {
    tenant: Arc<str>,
    woken: Arc<Notify>,
    /// There is another lane to go to.
    may_leave: bool,
    verdict: Option<Verdict>,
}

enum Verdict {
    Go(Turn, BreakerPermit),
    Elsewhere(BreakerOpen),
}

impl Lane {
    /// A lane to `model`. Its breaker is counted by nobody, and neither is it, until [`breaker`](Lane::breaker) and
    /// [`metrics`](Lane::metrics) are called.
    pub fn new(model: impl Model, spec: LaneSpec) -> Self {
        let clock = Clock::default();
        let name = format!("model:{}/{}", model.provider(), model.model());
        let luck = AtomicU64::new(dice::hash(name.bytes()));
        let breaker = Breaker::new(name, spec.breaker.clone(), clock);
        Self::with(Arc::new(model), spec, clock, breaker, None, luck)
    }

    fn with(
        model: Arc<dyn Model>,
        spec: LaneSpec,
        clock: Clock,
        breaker: Breaker,
        recorder: Option<&super::metrics::SharedRecorder>,
        luck: AtomicU64,
    ) -> Self {
        let metrics = LaneMetrics::new(recorder, model.provider(), model.model());
        let traffic = Traffic::new(&spec, clock.now());
        let state = Mutex::new(State { traffic, waiters: BTreeMap::new(), next_place: 0, leader: None });
        Lane(Arc::new(Shared { model, spec, clock, breaker, metrics, luck, state }))
    }

    /// The same with a breaker of yours, such as [`Runtime::breaker`](greenroom_runtime::Runtime::breaker), instead of one made
    /// from [`LaneSpec::breaker`]. Begins anew: call it before the lane is used.
    #[must_use]
    pub fn breaker(self, breaker: Breaker) -> Self {
        let of = &self.0;
        let luck = AtomicU64::new(of.luck.load(Ordering::Relaxed));
        Self::with(of.model.clone(), of.spec.clone(), of.clock, breaker, None, luck)
    }

    /// The same, counted by a recorder. Begins anew: call it before the lane is used, and after [`breaker`](Lane::breaker).
    #[must_use]
    pub fn metrics(self, recorder: Arc<dyn Recorder + Send + Sync>) -> Self {
        let of = &self.0;
        let luck = AtomicU64::new(of.luck.load(Ordering::Relaxed));
        Self::with(of.model.clone(), of.spec.clone(), of.clock, of.breaker.clone(), Some(&recorder), luck)
    }

    /// Who answers.
    pub fn provider(&self) -> &str {
        self.0.model.provider()
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        self.0.model.model()
    }

    /// Requests a second that may leave at present.
    pub fn rate(&self) -> f64 {
        self.lock().traffic.rate()
    }

    /// Calls that wait for a turn.
    pub fn waiting(&self) -> usize {
        self.lock().traffic.queue.len()
    }

    /// Attempts under way.
    pub fn under_way(&self) -> usize {
        self.lock().traffic.under_way()
    }

    pub(super) fn asked(&self) -> &dyn Model {
        &*self.0.model
    }

    pub(super) fn spec(&self) -> &LaneSpec {
        &self.0.spec
    }

    pub(super) fn clock(&self) -> Clock {
        self.0.clock
    }

    pub(super) fn is_worth_a_try(&self) -> bool {
        self.0.breaker.is_worth_a_try()
    }

    pub(super) fn retried(&self) {
        self.0.metrics.retries.increment(1);
    }

    /// How long to wait after that many failures.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let drawn = dice::mix(self.0.luck.fetch_add(1, Ordering::Relaxed));
        let luck = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
        self.0.spec.backoff.delay(failures, luck)
    }

    /// Whether something that begins in `wait` would come too late: then by how much nobody needs to know.
    pub(super) fn late(&self, wait: Duration, deadline: Instant) -> Option<Denied> {
        let left = deadline.saturating_duration_since(self.0.clock.now());
        let fastest = self.lock().traffic.fastest();
        (left <= wait.saturating_add(fastest)).then_some(Denied::WouldBeLate { wait, left })
    }

    /// Waits for a turn. `place`: the one of an earlier attempt of the same call, which keeps it.
    ///
    /// Cancel safe: dropped, it gives its place, or its turn, back.
    pub(super) async fn turn(
        &self,
        tenant: &Arc<str>,
        tokens: u64,
        deadline: Instant,
        may_leave: bool,
        place: &mut Option<u64>,
    ) -> Result<Going, Denied> {
        let now = self.0.clock.now();
        let wait = self.lock().traffic.wait_of(tenant, tokens, now);
        if let Some(late) = self.late(wait, deadline) {
            return Err(late);
        }
        let mut waits = self.enter(tenant, tokens, may_leave, place)?;
        let begin_by = deadline.checked_sub(self.lock().traffic.fastest()).unwrap_or(deadline);
        loop {
            let wake_at = {
                let mut state = self.lock();
                let now = self.0.clock.now();
                let next = self.dispatch(&mut state, now);
                match state.waiters.get_mut(&waits.place).and_then(|waiter| waiter.verdict.take()) {
                    Some(Verdict::Go(turn, permit)) => {
                        drop(state);
                        waits.leave();
                        return Ok(Going { lane: self.clone(), turn: Some(turn), permit: Some(permit) });
                    }
                    Some(Verdict::Elsewhere(open)) => return Err(Denied::Unavailable(open)),
                    None if now >= begin_by => {
                        let left = deadline.saturating_duration_since(now);
                        return Err(Denied::WouldBeLate {
                            wait: state.traffic.wait_of(tenant, tokens, now),
                            left,
                        });
                    }
                    None => {}
                }
                let leads = *state.leader.get_or_insert(waits.place) == waits.place;
                match next {
                    Next::At(at) if leads => at.min(begin_by),
                    _ => begin_by,
                }
            };
            tokio::select! {
                biased;
                () = waits.woken.notified() => {}
                () = self.0.clock.sleep_until(wake_at) => {}
            }
        }
    }

    /// An attempt that is no new request: it waits for no turn, but is left out while the breaker is open.
    pub(super) fn unpaced(&self) -> Result<Going, Denied> {
        let permit = self.0.breaker.admit()?;
        Ok(Going { lane: self.clone(), turn: None, permit: Some(permit) })
    }

    fn enter(
        &self,
        tenant: &Arc<str>,
        tokens: u64,
        may_leave: bool,
        place: &mut Option<u64>,
    ) -> Result<Waits, Denied> {
        let mut state = self.lock();
        if state.traffic.is_full(tenant, &self.0.spec) {
            return Err(Denied::Busy { waiting: state.traffic.queue.len() });
        }
        let place = *place.get_or_insert(state.next_place);
        state.next_place = state.next_place.max(place + 1);
        let woken = Arc::new(Notify::new());
        let waiter = Waiter { tenant: tenant.clone(), woken: woken.clone(), may_leave, verdict: None };
        state.waiters.insert(place, waiter);
        state.traffic.queue.enter(tenant, Waiting { place, tokens });
        self.0.metrics.waiting.set(state.traffic.queue.len() as f64);
        Ok(Waits { lane: self.clone(), place, woken, is_over: false })
    }

    /// Gives turns to all that may go, and says when the next may.
    fn dispatch(&self, state: &mut State, now: Instant) -> Next {
        loop {
            let next = state.traffic.next(now);
            if next != Next::Now {
                return next;
            }
            match self.0.breaker.admit() {
                Ok(permit) => {
                    let Some((waiting, turn)) = state.traffic.go(now) else { return Next::Nobody };
                    if let Some(waiter) = state.waiters.get_mut(&waiting.place) {
                        waiter.verdict = Some(Verdict::Go(turn, permit));
                        waiter.woken.notify_one();
                    }
                    self.0.metrics.waiting.set(state.traffic.queue.len() as f64);
                    self.0.metrics.under_way.set(state.traffic.under_way() as f64);
                    self.0.metrics.rate.set(state.traffic.rate());
                }
                Err(open) => {
                    state.traffic.close_until(now + open.retry_after.unwrap_or(TRIAL_PATIENCE));
                    for (place, waiter) in &mut state.waiters {
                        if waiter.may_leave && waiter.verdict.is_none() {
                            state.traffic.queue.leave(&waiter.tenant, *place);
                            waiter.verdict = Some(Verdict::Elsewhere(open.clone()));
                            waiter.woken.notify_one();
                        }
                    }
                }
            }
        }
    }

    /// After something changed for those who wait.
    fn go_on(&self, mut state: MutexGuard<'_, State>) {
        let now = self.0.clock.now();
        self.dispatch(&mut state, now);
        // The leader's timer may be too late now, or there is no leader.
        let leader = state.leader.or_else(|| state.waiters.keys().next().copied());
        if let Some(waiter) = leader.and_then(|leader| state.waiters.get(&leader)) {
            waiter.woken.notify_one();
        }
        self.0.metrics.waiting.set(state.traffic.queue.len() as f64);
        self.0.metrics.under_way.set(state.traffic.under_way() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({}/{})", self.provider(), self.model())
    }
}

/// A place in the queue. Dropped, it is given back, and so is a turn that was not taken.
struct Waits {
    lane: Lane,
    place: u64,
    woken: Arc<Notify>,
    is_over: bool,
}

impl Waits {
    fn leave(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let mut state = self.lane.lock();
        if let Some(waiter) = state.waiters.remove(&self.place) {
            state.traffic.queue.leave(&waiter.tenant, self.place);
            if let Some(Verdict::Go(turn, _)) = &waiter.verdict {
                state.traffic.give_back(turn);
            }
        }
        if state.leader == Some(self.place) {
            state.leader = None;
        }
        self.lane.go_on(state);
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An attempt that may leave. Dropped without a result it was called off: its place among those under way is free again, and
/// neither the breaker nor the pace count it.
pub(super) struct Going {
    lane: Lane,
    /// `None` for one that is no new request.
    turn: Option<Turn>,
    permit: Option<BreakerPermit>,
}

/// What came of an attempt, for its lane.
pub(super) enum Came {
    Answered {
        took: Duration,
    },
    /// For the rate; how long the provider asks to be left alone.
    Limited {
        of: Limited,
        retry_after: Option<Duration>,
    },
    /// It shows that the provider, or the way to it, does not work.
    Failed {
        overloaded: bool,
        retry_after: Option<Duration>,
    },
    /// The provider works, and does not take this request.
    Refused,
}

impl Going {
    /// It does not leave after all: the turn goes to another.
    pub(super) fn give_back(mut self) {
        let mut state = self.lane.lock();
        if let Some(turn) = self.turn.take() {
            state.traffic.give_back(&turn);
        }
        drop(self.permit.take());
        self.lane.go_on(state);
    }

    pub(super) fn came_to(mut self, came: &Came, headers: &[(String, String)]) {
        let lane = self.lane.clone();
        let now = lane.0.clock.now();
        let (counted, outcome) = match came {
            Came::Answered { .. } => (CallOutcome::Success, Outcome::Answered),
            // A provider that limits us is there; who goes on asking is the pace's to stop.
            Came::Limited { .. } => (CallOutcome::Neither, Outcome::RateLimited),
            Came::Failed { .. } => (CallOutcome::Failure, Outcome::Failed),
            Came::Refused => (CallOutcome::Success, Outcome::Refused),
        };
        if let Some(permit) = self.permit.take() {
            permit.settle(counted);
        }
        lane.0.metrics.ended(outcome);
        let mut state = lane.lock();
        let traffic = &mut state.traffic;
        let turn = self.turn.take();
        if turn.is_some() {
            traffic.ended();
        }
        traffic.read(headers, lane.0.clock.wall_ms());
        match (came, &turn) {
            (Came::Answered { took }, Some(_)) => traffic.answered(*took),
            (Came::Limited { of, retry_after }, Some(turn)) => {
                let wait = |wordless| retry_after.unwrap_or_else(|| lane.backoff(wordless));
                let longer = traffic.limited(turn, *of, wait, now);
                lane.0.metrics.closed_for(longer);
            }
            (Came::Failed { overloaded, retry_after }, turn) => {
                if let Some(turn) = turn.filter(|_| *overloaded) {
                    traffic.overloaded(&turn);
                }
                if let Some(wait) = retry_after {
                    traffic.close_until(now + *wait);
                    lane.0.metrics.closed_for(*wait);
                }
            }
            _ => {}
        }
        lane.go_on(state);
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if self.permit.take().is_none() {
            return;
        }
        self.lane.0.metrics.ended(Outcome::Cancelled);
        let mut state = self.lane.lock();
        if self.turn.take().is_some() {
            state.traffic.ended();
        }
        self.lane.go_on(state);
    }
}
