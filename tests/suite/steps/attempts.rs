//! What a try is, and when another one is made.

use std::collections::BTreeMap;

use greenroom::{AskError, Effect, Failure, FailureClass, Known, MemoryStore, ParkedFor, Resolution};
use serde::{Deserialize, Serialize, Serializer};

use super::{Times, call_that_panics, job, repeated, start, until_parked, worker};
use crate::support::{Board, end, keep, secs};

#[tokio::test(start_paused = true)]
async fn a_busy_world_is_tried_again_with_the_same_key() {
    let (board, busy) = (Board::default(), Times::new(2));
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, busy_worker(&board, &busy, Effect::Idempotent)).await;
    let begun = runtime.clock().now();

    kept.actor.ask(job("a")).await.unwrap();

    let lines = board.lines();
    assert_eq!(lines, vec![lines[0].clone(); 3]);
    assert!(runtime.clock().now() - begun >= std::time::Duration::from_millis(240), "it waited in between");
    end(runtime).await;
}

fn busy_worker(board: &Board, busy: &Times, effect: Effect) -> greenroom::ActorSpec<super::Worker> {
    let (board, busy) = (board.clone(), busy.clone());
    worker(move |_, cx| {
        let (board, busy) = (board.clone(), busy.clone());
        Box::pin(async move {
            let step = cx.step("pay", effect, "");
            let paid = step.run(|| async {
                board.write(step.key());
                if busy.take() {
                    Err(Failure::external("busy").nothing_happened())
                } else {
                    Ok("paid".to_owned())
                }
            });
            paid.await
        })
    })
}

/// Goal: an outage that outlasts the tries of a step is the message's, which keeps its place and makes the call again.
/// Method: four outages for three tries; no life ends, and the call was not in flight, so nobody need be asked or told.
#[tokio::test(start_paused = true)]
async fn an_outage_that_outlasts_the_step_is_retried_with_its_message_whatever_the_effect() {
    for effect in [Effect::Pure, Effect::Idempotent, Effect::Once] {
        let (board, busy) = (Board::default(), Times::new(4));
        let runtime = start(&MemoryStore::new()).await;
        let kept = keep(&runtime, busy_worker(&board, &busy, effect)).await;
        let mut events = runtime.events();

        assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "paid");

        let lines = board.lines();
        assert_eq!(lines, vec![lines[0].clone(); 5]);
        assert_eq!(repeated(&mut events), Vec::<String>::new());
        assert_eq!((kept.exits.lines().len(), kept.actor.parked()), (0, None));
        end(runtime).await;
    }
}

/// Pays by a step that must not be made twice, and whose first call ends in `outcome`.
fn payer_once(
    board: &Board,
    outcome: Outcome,
    check: Option<Known<String>>,
) -> greenroom::ActorSpec<super::Worker> {
    let (board, first) = (board.clone(), Times::new(1));
    worker(move |_, cx| {
        let (board, first, check) = (board.clone(), first.clone(), check.clone());
        Box::pin(async move {
            let step = cx.step("pay", Effect::Once, "").timeout(secs(1));
            let call = || async {
                board.write(step.key());
                match (first.take(), outcome) {
                    (false, _) => Ok("paid".to_owned()),
                    (true, Outcome::Outage) => Err(Failure::external("the line broke")),
                    (true, Outcome::CalledOff) => Err(Failure::cancelled("the line was closed")),
                    (true, Outcome::Timeout) => std::future::pending().await,
                }
            };
            match check {
                None => step.run(call).await,
                Some(known) => step.run_checked(call, || async { Ok(known.clone()) }).await,
            }
        })
    })
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Outage,
    CalledOff,
    Timeout,
}

/// Goal: where nobody knows whether a call happened, it is not made a second time without a word from somebody.
#[tokio::test(start_paused = true)]
async fn an_effect_whose_call_fails_with_an_unknown_outcome_is_not_made_again_by_itself() {
    for outcome in [Outcome::Outage, Outcome::CalledOff, Outcome::Timeout] {
        let board = Board::default();
        let runtime = start(&MemoryStore::new()).await;
        let kept = keep(&runtime, payer_once(&board, outcome, None)).await;
        let mut events = runtime.events();
        kept.actor.tell(job("a")).await.unwrap();

        let parked = until_parked(&mut events).await;

        assert!(matches!(parked.why, ParkedFor::InDoubt { .. }), "{outcome:?}: {parked}");
        runtime.clock().sleep(secs(60)).await;
        assert_eq!(board.lines().len(), 1, "{outcome:?}");
        assert!(kept.actor.decide(Resolution::NotDone));
        assert_eq!(board.until(2).await.len(), 2);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_can_be_checked_is_asked_about_after_an_unknown_outcome_and_made_again_if_it_did_not_happen()
 {
    for (known, paid, calls) in
        [(Known::Done("receipt of then".to_owned()), "receipt of then", 1), (Known::NotDone, "paid", 2)]
    {
        let board = Board::default();
        let runtime = start(&MemoryStore::new()).await;
        let kept = keep(&runtime, payer_once(&board, Outcome::Outage, Some(known))).await;

        assert_eq!(kept.actor.ask(job("a")).await.unwrap(), paid);

        assert_eq!((board.lines().len(), kept.actor.parked()), (calls, None));
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_takes_too_long_is_an_outage() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let board = board.clone();
            Box::pin(async move {
                let step = cx.step("pay", Effect::Idempotent, "").timeout(secs(1)).tries(2);
                let late = step.run(|| async {
                    board.write("call");
                    std::future::pending::<Result<(), Failure>>().await
                });
                let failure = late.await.unwrap_err();
                Ok(format!("{:?}", failure.class()))
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "External");

    assert_eq!(board.lines().len(), 2);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_at_a_crash_is_repeated_with_the_same_key_and_listed() {
    for effect in [Effect::Pure, Effect::Idempotent] {
        let (board, panics) = (Board::default(), Times::new(1));
        let runtime = start(&MemoryStore::new()).await;
        let spec = worker({
            let board = board.clone();
            move |_, cx| {
                let (board, panics) = (board.clone(), panics.clone());
                Box::pin(async move { call_that_panics(cx, &board, effect, &panics).await })
            }
        });
        let kept = keep(&runtime, spec).await;
        let mut events = runtime.events();

        assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "paid");

        let lines = board.lines();
        assert_eq!(lines, vec![lines[0].clone(); 2]);
        assert_eq!(repeated(&mut events), ["pay"]);
        end(runtime).await;
    }
}

/// A value that has no encoded form.
#[derive(Deserialize)]
struct Formless;

impl Serialize for Formless {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no form"))
    }
}

/// Goal: a call whose result cannot be kept was made all the same, and must not be made again.
/// Method: the handler writes down what it got and falls over once.
#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_kept_is_a_failure_that_is_kept() {
    let mut told = BTreeMap::new();
    for what in ["long", "formless"] {
        let (board, panics) = (Board::default(), Times::new(1));
        let runtime = start(&MemoryStore::new()).await;
        let spec = worker({
            let board = board.clone();
            move |what, cx| {
                let (board, panics) = (board.clone(), panics.clone());
                Box::pin(async move {
                    let step = cx.step("pay", Effect::Once, "");
                    let failure = if what == "long" {
                        let long = step.run(|| async {
                            board.write("call");
                            Ok("x".repeat(1 << 20))
                        });
                        long.await.unwrap_err()
                    } else {
                        let formless = step.run(|| async {
                            board.write("call");
                            Ok(Formless)
                        });
                        formless.await.err().expect("it has no form")
                    };
                    assert!(!panics.take(), "after the call");
                    Ok(format!("{:?}", failure.class()))
                })
            }
        });
        let kept = keep(&runtime, spec).await;

        told.insert(what, kept.actor.ask(job(what)).await.unwrap());

        assert_eq!((board.lines().len(), kept.actor.parked()), (1, None), "{what}");
        end(runtime).await;
    }
    assert_eq!(told, BTreeMap::from([("long", "Exhausted".into()), ("formless", "Bug".into())]));
}

#[tokio::test(start_paused = true)]
async fn one_step_over_the_bound_is_refused() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let board = board.clone();
            Box::pin(async move {
                for _ in 0..greenroom::STEPS_MAX {
                    cx.new_id();
                }
                super::call(cx, &board, "pay", Effect::Pure).await
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let refused = kept.actor.ask(job("a")).await;

    let Err(AskError::Failed { failure, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.class(), FailureClass::Exhausted);
    assert_eq!(board.lines().len(), 0);
    end(runtime).await;
}

/// The longest name is one of 4 KiB; a longer one is refused before anything is called.
#[tokio::test(start_paused = true)]
async fn a_step_with_too_long_a_name_is_not_made() {
    for (len, is_made) in [(4 << 10, true), ((4 << 10) + 1, false)] {
        let board = Board::default();
        let runtime = start(&MemoryStore::new()).await;
        let spec = worker({
            let board = board.clone();
            move |_, cx| {
                let board = board.clone();
                Box::pin(async move { super::call(cx, &board, &"n".repeat(len), Effect::Once).await })
            }
        });
        let kept = keep(&runtime, spec).await;

        let made = kept.actor.ask(job("a")).await;

        let is_refused = |error: &AskError<_>| match error {
            AskError::Failed { failure, .. } => failure.class() == FailureClass::Exhausted,
            _ => false,
        };
        assert!(made.as_ref().map_or_else(|error| !is_made && is_refused(error), |_| is_made), "{len}");
        assert_eq!(board.lines().len(), usize::from(is_made), "{len}");
        end(runtime).await;
    }
}
