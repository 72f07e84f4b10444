//! The breaker as a value: permits, wrapped futures, and what others see of it.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use super::{secs, three_in_a_row};
use crate::clock::Clock;
use crate::message::{Failure, FailureClass};
use crate::resilience::{Breaker, BreakerOpen, BreakerSpec, BreakerState, CallOutcome};

fn breaker() -> Breaker {
    Breaker::new("mill", three_in_a_row(), Clock::default())
}

fn fail(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.admit().expect("it is closed").failed();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_says_which_breaker_and_for_how_long_and_is_an_external_failure() {
    let breaker = breaker();
    fail(&breaker, 3);

    let open = breaker.admit().unwrap_err();
    assert_eq!(open, BreakerOpen { name: Arc::from("mill"), retry_after: Some(secs(10)) });
    assert_eq!(open.to_string(), "the breaker mill is open; a trial may go through in 10s");
    assert_eq!(Failure::from(open).class(), FailureClass::External);

    Clock::default().sleep(secs(10)).await;
    let _trial = breaker.admit().unwrap();
    let half_open = breaker.admit().unwrap_err();
    assert_eq!(half_open.to_string(), "the breaker mill is half-open; its trial calls are in flight");
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_refused_is_not_polled() {
    let breaker = breaker();
    fail(&breaker, 3);

    let refused = breaker.call(async { panic!("it was polled") }, |()| CallOutcome::Success).await;

    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_trial_dropped_half_way_gives_its_place_back_and_counts_as_neither() {
    let breaker = breaker();
    fail(&breaker, 3);
    let clock = Clock::default();
    clock.sleep(secs(10)).await;

    let cut = clock.within(secs(1), breaker.call(pending::<()>(), |()| CallOutcome::Success)).await;

    assert!(cut.is_none());
    let look = breaker.observe();
    assert_eq!((look.state, look.trials, look.failures_in_a_row), (BreakerState::HalfOpen, 0, 3));
    breaker.call(ready(()), |()| CallOutcome::Success).await.expect("the place is free");
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_gives_its_place_back() {
    let breaker = breaker();
    fail(&breaker, 3);
    Clock::default().sleep(secs(10)).await;
    let task = {
        let breaker = breaker.clone();
        async move { breaker.call(async { panic!("as the test wants") }, |()| CallOutcome::Success).await }
    };

    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());

    assert_eq!((breaker.state(), breaker.observe().trials), (BreakerState::HalfOpen, 0));
}

#[tokio::test(start_paused = true)]
async fn clones_are_the_same_breaker() {
    let breaker = breaker();
    fail(&breaker.clone(), 2);
    fail(&breaker, 1);

    assert!(breaker.clone().admit().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_each_change_with_the_counts_that_led_to_it() {
    let breaker = breaker();
    let began = breaker.observe().since;
    let mut watch = breaker.watch();
    assert_eq!(watch.borrow_and_update().state, BreakerState::Closed);

    fail(&breaker, 3);
    assert!(watch.has_changed().unwrap());
    let open = *watch.borrow_and_update();
    let until = began + secs(10);
    assert_eq!((open.state, open.failures_in_a_row, open.changes), (BreakerState::Open { until }, 3, 1));

    Clock::default().sleep_until(until).await;
    assert!(!watch.has_changed().unwrap(), "there is no timer");
    let trial = breaker.admit().unwrap();
    assert_eq!(watch.borrow_and_update().state, BreakerState::HalfOpen);
    trial.succeeded();
    let closed = *watch.borrow_and_update();
    assert_eq!((closed.state, closed.since, closed.failures_in_a_row), (BreakerState::Closed, until, 0));
    drop(breaker);
    assert!(watch.changed().await.is_err(), "nobody will change it any more");
}

#[tokio::test(start_paused = true)]
async fn of_two_changes_told_in_the_wrong_order_the_later_one_stays() {
    let breaker = breaker();
    fail(&breaker, 3);
    let opened = breaker.observe();
    Clock::default().sleep(secs(10)).await;
    breaker.admit().unwrap().succeeded();

    breaker.0.tell(opened);

    assert_eq!(breaker.watch().borrow().state, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn only_changes_of_the_state_wake_a_watcher() {
    let breaker = breaker();
    let watch = breaker.watch();

    fail(&breaker, 2);
    breaker.admit().unwrap().succeeded();
    drop(breaker.admit().unwrap());

    assert!(!watch.has_changed().unwrap());
    assert_eq!(breaker.observe().admitted, 4);
}

/// Goal: on many threads the bound of trials holds, and what is told last is the last state.
/// Method: a breaker that is due at once and whose trials always fail, so that each call is a trial.
#[test]
fn the_bound_of_trials_holds_on_many_threads_and_the_last_change_is_told_last() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let spec = BreakerSpec {
        failures_in_a_row: Some(1),
        open_for: crate::Backoff::constant(Duration::ZERO),
        half_open_calls: 2,
        ..three_in_a_row()
    };
    let breaker = Breaker::new("mill", spec, Clock::default());
    fail(&breaker, 1);
    let (in_flight, most) = (AtomicUsize::new(0), AtomicUsize::new(0));

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let Ok(trial) = breaker.admit() else { continue };
                    most.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    in_flight.fetch_sub(1, Ordering::SeqCst);
                    trial.failed();
                }
            });
        }
    });

    let most = most.into_inner();
    assert!((1..=2).contains(&most), "{most} at once");
    assert_eq!(breaker.observe().trials, 0);
    assert_eq!(breaker.watch().borrow().changes, breaker.observe().changes);
}
