//! The breaker itself: what is cloned, asked for a permit, and told the result.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::circuit::{Answer, Circuit, Event, Ticket};
use super::{BreakerObservation, BreakerSpec, BreakerState, CallOutcome};
use crate::clock::Clock;
use crate::message::Failure;
use crate::sync::lock;
use crate::telemetry::{BREAKER_CLOSED, BREAKER_HALF_OPENED, BREAKER_OPENED, BreakerMetrics};

/// Keeps calls away from what has failed too often, and lets a trial through after a while.
///
/// Put it around a reference with [`Ask::through`](crate::Ask::through), around any other future with
/// [`call`](Breaker::call), or around whatever is no future with [`admit`](Breaker::admit). Clones are the same breaker:
/// one for each thing that can fail by itself. A call costs two short locks and two looks at the clock.
///
/// A result counts only if the breaker has not changed its state since the call was admitted: what was asked before it
/// opened does not close it.
///
/// ```
/// use std::time::Duration;
/// use greenroom_runtime::{Breaker, BreakerSpec, BreakerState, CallOutcome, Clock, Failure, FailureClass};
///
/// async fn charge(cents: u32) -> Result<u32, Failure> {
///     if cents == 0 { Err(Failure::invalid("nothing to charge")) } else { Err(Failure::external("503")) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let spec = BreakerSpec { failures_in_a_row: Some(2), ..BreakerSpec::default() };
/// let payments = Breaker::new("payments", spec, Clock::default());
///
/// // A refused input is a sign of life.
/// assert!(payments.call(charge(0), CallOutcome::of).await.unwrap().is_err());
/// assert_eq!(payments.state(), BreakerState::Closed);
///
/// assert!(payments.call(charge(5), CallOutcome::of).await.unwrap().is_err());
/// assert!(payments.call(charge(5), CallOutcome::of).await.unwrap().is_err());
///
/// // Two failures in a row: from now on nobody calls in vain.
/// let open = payments.call(charge(5), CallOutcome::of).await.unwrap_err();
/// assert!(open.retry_after > Some(Duration::from_secs(4)));
/// assert_eq!(Failure::from(open).class(), FailureClass::External);
/// # }
/// ```
///
/// In a handler, `breaker.call(…).await??` fails with `External` in both cases, so that a durable actor tries again with
/// backoff. Around a reference:
///
/// ```
/// # use greenroom_runtime::*;
/// # use std::time::Duration;
/// # struct Desk;
/// # struct Close(u32);
/// # impl Message for Close { type Reply = (); }
/// # impl Actor for Desk {
/// #     type Args = ();
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Desk) }
/// # }
/// # impl Handler<Close> for Desk {
/// #     async fn handle(&mut self, _: Close, _: &mut Context<'_, Self>) -> Result<(), Failure> {
/// #         Err(Failure::external("the ticket system is down"))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().start().await?;
/// # let desk = runtime.spawn::<Desk>("desk", ()).await?;
/// let breaker = runtime.breaker("desk", BreakerSpec { failures_in_a_row: Some(1), ..BreakerSpec::default() });
///
/// let asked = desk.ask(Close(7)).within(Duration::from_secs(2)).through(&breaker).await;
/// assert!(matches!(asked, Err(AskError::Failed { .. })));
///
/// // The second one never leaves, and comes back.
/// let asked = desk.ask(Close(8)).within(Duration::from_secs(2)).through(&breaker).await;
/// assert!(matches!(&asked, Err(AskError::BreakerOpen { .. })));
/// assert_eq!(asked.unwrap_err().into_message().unwrap().0, 8);
/// # runtime.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Breaker(pub(super) Arc<Shared>);

pub(super) struct Shared {
    name: Arc<str>,
    spec: BreakerSpec,
    clock: Clock,
    /// Held for a decision; nobody else's code runs under it.
    circuit: Mutex<Circuit>,
    told: watch::Sender<BreakerObservation>,
    metrics: BreakerMetrics,
}

impl Breaker {
    /// A closed breaker that nobody counts. Its jitter follows from the name; within a runtime use
    /// [`Runtime::breaker`](crate::Runtime::breaker), which counts it and draws from the runtime's seed.
    pub fn new(name: impl Into<Arc<str>>, spec: BreakerSpec, clock: Clock) -> Self {
        let name = name.into();
        let seed = crc32fast::hash(name.as_bytes());
        let metrics = BreakerMetrics::silent(&name);
        Self::with(name, spec, clock, seed.into(), metrics)
    }

    pub(crate) fn with(
        name: Arc<str>,
        spec: BreakerSpec,
        clock: Clock,
        seed: u64,
        metrics: BreakerMetrics,
    ) -> Self {
        let circuit = Circuit::new(seed, clock.now());
        let told = watch::Sender::new(circuit.observe());
        Breaker(Arc::new(Shared { name, spec, clock, circuit: Mutex::new(circuit), told, metrics }))
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// When it opens, for how long, and what closes it.
    pub fn spec(&self) -> &BreakerSpec {
        &self.0.spec
    }

    /// Whether calls go through now.
    pub fn state(&self) -> BreakerState {
        self.observe().state
    }

    /// A look at it: state and counts.
    pub fn observe(&self) -> BreakerObservation {
        lock(&self.0.circuit).observe()
    }

    /// The newest change of state, and each that follows. Counts are those at the change. A watcher that is slow sees the
    /// newest only; that `until` has passed is no change.
    ///
    /// ```
    /// # use greenroom_runtime::{Breaker, BreakerSpec, BreakerState, Clock};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let breaker = Breaker::new("payments", BreakerSpec::default(), Clock::default());
    /// let mut changes = breaker.watch();
    /// let closed = changes.wait_for(|now| now.state == BreakerState::Closed).await;
    /// assert_eq!(closed.expect("the breaker is still there").changes, 0);
    /// # }
    /// ```
    pub fn watch(&self) -> watch::Receiver<BreakerObservation> {
        self.0.told.subscribe()
    }

    /// Whether it is worth asking for a permit: `false` if that would be refused, and change nothing. Counts nothing. For
    /// who can go elsewhere; what is admitted now may not be a moment later.
    ///
    /// `true` also when a trial has outlasted its patience: that is seen, and counted, only when a call comes.
    pub fn is_worth_a_try(&self) -> bool {
        lock(&self.0.circuit).is_worth_a_knock(self.0.clock.now(), &self.0.spec)
    }

    /// A permit for one call. Tell it the result.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`]: do not call. It says when to come again.
    pub fn admit(&self) -> Result<BreakerPermit, BreakerOpen> {
        match self.0.take(Event::Knock) {
            Answer::Admitted(ticket) => Ok(BreakerPermit { breaker: self.0.clone(), ticket: Some(ticket) }),
            Answer::Refused { retry_after } => {
                self.0.metrics.refused();
                Err(BreakerOpen { name: self.0.name.clone(), retry_after })
            }
            Answer::Noted => unreachable!("a knock is answered"),
        }
    }

    /// Awaits `call` if the breaker admits it, and counts what `judge` says of its output: [`CallOutcome::of`] for
    /// results whose error is a [`Failure`] or an [`AskError`](crate::AskError).
    ///
    /// It sets no deadline: a call that never ends is never counted. To keep what a refused `call` holds, use
    /// [`admit`](Breaker::admit) before it is made.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`]: `call` was dropped without being polled.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `call` is. Dropped early, or when `call` panics, it counts as neither success nor failure, and
    /// a trial gives its place back.
    pub async fn call<F: Future>(
        &self,
        call: F,
        judge: impl FnOnce(&F::Output) -> CallOutcome,
    ) -> Result<F::Output, BreakerOpen> {
        let permit = self.admit()?;
        let output = call.await;
        permit.settle(judge(&output));
        Ok(output)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.0.name).field("state", &self.state()).finish()
    }
}

impl Shared {
    fn take(&self, event: Event) -> Answer {
        let mut circuit = lock(&self.circuit);
        let before = circuit.turn();
        // Under the lock, so that time does not run backwards between two events.
        let answer = circuit.take(event, self.clock.now(), &self.spec);
        let change = (circuit.turn() != before).then(|| circuit.observe());
        drop(circuit);
        if let Some(change) = change {
            self.tell(change);
        }
        answer
    }

    pub(super) fn tell(&self, change: BreakerObservation) {
        let BreakerObservation { state, failures_in_a_row, window_failures, window_calls, .. } = change;
        let breaker = &*self.name;
        match state {
            BreakerState::Open { until } => tracing::warn!(
                name: BREAKER_OPENED,
                breaker,
                open_for = ?until.saturating_duration_since(change.since),
                failures_in_a_row,
                window_failures,
                window_calls,
                "a breaker opened; calls are refused"
            ),
            BreakerState::HalfOpen => {
                tracing::debug!(name: BREAKER_HALF_OPENED, breaker, "a breaker lets a trial through");
            }
            BreakerState::Closed => tracing::info!(name: BREAKER_CLOSED, breaker, "a breaker closed"),
        }
        self.metrics.changed(state);
        self.told.send_if_modified(|told| {
            // Two threads may come here in the wrong order: whoever changed it later has the last word.
            let is_newer = change.changes > told.changes;
            if is_newer {
                *told = change;
                self.metrics.is_now(state);
            }
            is_newer
        });
    }
}

/// Leave to make one call, from [`Breaker::admit`].
///
/// Dropped without a result it counts as neither success nor failure, and a trial gives its place back: so it is with a
/// call that was cancelled.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as neither success nor failure"]
pub struct BreakerPermit {
    breaker: Arc<Shared>,
    /// `None` once it is settled.
    ticket: Option<Ticket>,
}

impl BreakerPermit {
    /// What was called works.
    pub fn succeeded(self) {
        self.settle(CallOutcome::Success);
    }

    /// What was called does not work.
    pub fn failed(self) {
        self.settle(CallOutcome::Failure);
    }

    /// The call came to this.
    pub fn settle(mut self, outcome: CallOutcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: CallOutcome) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.take(Event::Settled(ticket, outcome));
        }
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        self.give_back(CallOutcome::Neither);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A breaker refused the call: nothing was sent. Turns into an `External` [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the breaker {name} is {}", Until(*.retry_after))]
pub struct BreakerOpen {
    /// Which breaker.
    pub name: Arc<str>,
    /// How long until a call goes through as a trial. `None`: trials are in flight; when one of them is settled, calls
    /// may go through again at once.
    pub retry_after: Option<Duration>,
}

struct Until(Option<Duration>);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "open; a trial may go through in {wait:?}"),
            None => f.write_str("half-open; its trial calls are in flight"),
        }
    }
}

impl From<BreakerOpen> for Failure {
    /// What a breaker keeps calls away from is outside: `External`.
    fn from(open: BreakerOpen) -> Self {
        Failure::external(open)
    }
}
