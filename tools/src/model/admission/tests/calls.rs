//! What becomes of single calls: retries, fallbacks, refusals, and those that are dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_runtime::{BreakerSpec, Clock, Failure, FailureClass};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::client::ModelFuture;
use crate::model::{
    Anchor, Attempt, AttemptEvent, AttemptFacts, FinishReason, Model, ModelError, ModelErrorKind, ModelReply,
    ModelRequest, Usage,
};

use super::super::{Admission, AttemptPlan, Call, CallObserver, Denied, Lane, LaneSpec, ObserverFuture};
use super::servers::request;

/// What a model does next: fail, or answer after a while.
type Step = Result<Duration, ModelError>;

#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    steps: VecDeque<Step>,
    /// Key, and whether an anchor was picked up, of each attempt; and when.
    seen: Vec<(Option<String>, bool)>,
    at: Vec<Instant>,
}

impl Steps {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps =
            Steps(Arc::new(Mutex::new(Inner { steps: steps.into_iter().collect(), ..Inner::default() })));
        assert!(steps.seen().is_empty());
        steps
    }

    fn seen(&self) -> Vec<(Option<String>, bool)> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Model for Steps {
    fn provider(&self) -> &str {
        "steps"
    }

    fn model(&self) -> &str {
        "steps"
    }

    fn attempt<'a>(&'a self, _: &'a ModelRequest, attempt: Attempt<'a>) -> ModelFuture<'a> {
        Box::pin(async move {
            let step = {
                let mut inner = self.0.lock().unwrap();
                inner.seen.push((attempt.idempotency_key().map(str::to_owned), attempt.anchor().is_some()));
                inner.at.push(Clock::default().now());
                inner.steps.pop_front().unwrap_or(Ok(Duration::ZERO))
            };
            let anchor =
                Anchor { provider: "steps".into(), response_id: "r".into(), cursor: None, lasts: true };
            attempt.tell(AttemptEvent::Anchored(&anchor));
            Clock::default().sleep(step?).await;
            let (facts, usage) = (Box::default(), Usage::default());
            Ok(ModelReply { parts: Vec::new(), finish: FinishReason::Stop, usage, facts })
        })
    }
}

fn fails(kind: ModelErrorKind, retry_after: Option<u64>) -> Step {
    let retry_after = retry_after.map(Duration::from_secs);
    Err(ModelError { kind, facts: Box::new(AttemptFacts { retry_after, ..AttemptFacts::default() }) })
}

fn limited(retry_after: u64) -> Step {
    fails(ModelErrorKind::RateLimited { message: "slowly".into() }, Some(retry_after))
}

fn overloaded() -> Step {
    fails(ModelErrorKind::Overloaded { message: "busy".into() }, None)
}

fn refused() -> Step {
    fails(ModelErrorKind::Refused { message: "no".into() }, None)
}

fn cut() -> Step {
    fails(ModelErrorKind::StreamCut { message: "gone".into() }, None)
}

fn in_seconds(seconds: u64) -> Instant {
    Clock::default().after(Duration::from_secs(seconds))
}

fn lane(steps: &Steps) -> Lane {
    Lane::new(steps.clone(), LaneSpec::default())
}

/// Writes down what it is asked and told.
#[derive(Default)]
struct Journal {
    lines: Mutex<Vec<String>>,
    refuses: bool,
}

impl CallObserver for Journal {
    fn before<'a>(&'a self, plan: &'a AttemptPlan<'a>) -> ObserverFuture<'a> {
        Box::pin(async move {
            let twice = if plan.may_cost_twice { ", may cost twice" } else { "" };
            let again = if plan.anchor.is_some() { ", picks up" } else { "" };
            self.lines.lock().unwrap().push(format!("before {}{twice}{again}", plan.number));
            if self.refuses { Err(Failure::exhausted("no money left")) } else { Ok(()) }
        })
    }

    fn after<'a>(
        &'a self,
        plan: &'a AttemptPlan<'a>,
        outcome: Result<&'a ModelReply, &'a ModelError>,
    ) -> ObserverFuture<'a> {
        Box::pin(async move {
            let well = if outcome.is_ok() { "well" } else { "badly" };
            self.lines.lock().unwrap().push(format!("after {}: {well}", plan.number));
            Ok(())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_rate_is_waited_out_and_not_a_failure_of_the_provider() {
    let steps = Steps::new((0..10).map(|_| limited(3)));
    let lane = lane(&steps);
    let begun = in_seconds(0);

    let admitted =
        Admission::new(&lane).call(&request("a", 1), Call::new("t", in_seconds(60)).key("k")).await.unwrap();

    assert_eq!(admitted.attempts, 11);
    assert!(in_seconds(0) - begun >= Duration::from_secs(30), "each refusal was waited out");
    assert!(lane.is_worth_a_try(), "the breaker is closed");
    assert!(steps.seen().iter().all(|(key, _)| key.as_deref() == Some("k")), "repeats have the same key");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_in_time_is_told_at_once() {
    let steps = Steps::new([limited(100)]);
    let admission = Admission::new(&lane(&steps));
    let begun = in_seconds(0);

    let error = admission.call(&request("a", 1), Call::new("t", in_seconds(60))).await.unwrap_err();
    let other = admission.call(&request("a", 1), Call::new("u", in_seconds(60))).await.unwrap_err();

    assert!(matches!(error.why, Denied::WouldBeLate { .. }), "{error:?}");
    assert!(matches!(other.why, Denied::WouldBeLate { .. }) && other.attempts == 0, "{other:?}");
    assert_eq!((error.class(), error.may_have_cost), (FailureClass::External, false));
    assert!(in_seconds(0) - begun < Duration::from_secs(1));
    assert_eq!(steps.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_asked_for_and_told_of_and_one_that_may_cost_twice_says_so() {
    let steps = Steps::new([limited(1), overloaded(), overloaded()]);
    let journal = Journal::default();

    let call = Call::new("t", in_seconds(60)).observer(&journal);
    Admission::new(&lane(&steps)).call(&request("a", 1), call).await.unwrap();

    let lines = journal.lines.into_inner().unwrap();
    let expected = ["before 0", "after 0: badly", "before 1", "after 1: badly", "before 2, picks up"];
    assert_eq!(&lines[..4], &expected[..4], "{lines:?}");
    assert_eq!(lines.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn what_the_observer_refuses_does_not_leave_and_its_turn_is_free() {
    let steps = Steps::default();
    let lane = lane(&steps);
    let journal = Journal { refuses: true, ..Journal::default() };

    let call = Call::new("t", in_seconds(60)).observer(&journal);
    let error = Admission::new(&lane).call(&request("a", 1), call).await.unwrap_err();

    assert_eq!((error.class(), error.attempts, error.may_have_cost), (FailureClass::Exhausted, 0, false));
    assert!(steps.seen().is_empty());
    assert_eq!((lane.waiting(), lane.under_way()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_broke_off_is_picked_up_and_not_asked_for_again() {
    let steps = Steps::new([cut()]);
    let journal = Journal::default();

    let call = Call::new("t", in_seconds(60)).key("k").observer(&journal);
    Admission::new(&lane(&steps)).call(&request("a", 1), call).await.unwrap();

    assert_eq!(steps.seen(), [(Some("k".into()), false), (Some("k".into()), true)]);
    assert_eq!(journal.lines.into_inner().unwrap()[2], "before 1, picks up");
}

#[tokio::test(start_paused = true)]
async fn the_next_model_is_asked_when_the_first_is_used_up_and_never_for_a_request_that_is_wrong() {
    let (first, second) = (Steps::new((0..4).map(|_| overloaded())), Steps::default());
    let chain = Admission::new(&lane(&first)).or(&lane(&second));
    let admitted = chain.call(&request("a", 1), Call::new("t", in_seconds(600)).key("k")).await.unwrap();
    assert_eq!((admitted.model_index, admitted.attempts), (1, 5));
    assert_eq!(second.seen(), [(Some("k.1".into()), false)], "another model is another request");

    let (first, second) = (Steps::new([refused()]), Steps::default());
    let chain = Admission::new(&lane(&first)).or(&lane(&second));
    let error = chain.call(&request("a", 1), Call::new("t", in_seconds(600))).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Invalid);
    assert!(second.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_sends_those_who_wait_to_the_next_model() {
    let first = Steps::new((0..20).map(|_| overloaded()));
    let breaker = BreakerSpec { failures_in_a_row: Some(2), ..BreakerSpec::default() };
    let lane_of_first =
        Lane::new(first.clone(), LaneSpec { breaker, under_way_max: 1, ..LaneSpec::default() });
    let second = Steps::default();
    let chain = Admission::new(&lane_of_first).or(&lane(&second));

    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let chain = chain.clone();
        calls.spawn(async move { chain.call(&request("a", 1), Call::new("t", in_seconds(600))).await });
    }
    while let Some(done) = calls.join_next().await {
        assert_eq!(done.unwrap().unwrap().model_index, 1);
    }

    assert_eq!(first.seen().len(), 2, "nobody else asked the first");
    assert_eq!(second.seen().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_so_and_a_dropped_call_gives_its_place_back() {
    let steps = Steps::new((0..9).map(|_| Ok(Duration::from_secs(5))));
    let spec = LaneSpec { under_way_max: 1, waiting_max: 1, ..LaneSpec::default() };
    let lane = Lane::new(steps.clone(), spec);
    let admission = Admission::new(&lane);
    let asked = request("a", 1);
    let call = || admission.call(&asked, Call::new("t", in_seconds(600)));
    let (mut under_way, mut waits) = (Box::pin(call()), Box::pin(call()));
    tokio::select! { biased; _ = &mut under_way => {}, _ = &mut waits => {}, () = std::future::ready(()) => {} }
    assert_eq!((lane.under_way(), lane.waiting()), (1, 1));

    let busy = call().await.unwrap_err();
    assert!(matches!(busy.why, Denied::Busy { waiting: 1 }), "{busy:?}");

    drop(under_way);
    let pace = Clock::default().sleep(Duration::from_millis(200));
    tokio::select! { biased; _ = &mut waits => {}, () = pace => {} }
    assert_eq!((lane.under_way(), lane.waiting()), (1, 0), "the next one has the place");
    drop(waits);
    assert_eq!((lane.under_way(), lane.waiting()), (0, 0));
    call().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_keeps_the_timer_may_leave() {
    let steps = Steps::default();
    let lane = Lane::new(steps.clone(), LaneSpec { rate_start: 1.0, rate_max: 1.0, ..LaneSpec::default() });
    let admission = Admission::new(&lane);
    let mut calls = JoinSet::new();
    for _ in 0..6 {
        let admission = admission.clone();
        calls.spawn(async move { admission.call(&request("a", 1), Call::new("t", in_seconds(600))).await });
    }
    Clock::default().sleep(Duration::from_millis(100)).await;
    let leader = admission.clone();
    let mut first = JoinSet::new();
    first.spawn(async move { leader.call(&request("b", 1), Call::new("u", in_seconds(600))).await });
    Clock::default().sleep(Duration::from_millis(10)).await;
    first.shutdown().await;

    while let Some(done) = calls.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(steps.seen().len(), 6);
    assert_eq!((lane.waiting(), lane.under_way()), (0, 0));
}
