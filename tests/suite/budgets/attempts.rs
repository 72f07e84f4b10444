//! What each end of an attempt does to its charge.

use std::sync::{Arc, Mutex};

use greenroom::{
    Amount, AskError, Billed, BudgetError, Effect, Failure, FailureClass, MemoryStore, RuntimeEvent,
    StopReason,
};

use super::{RUN, billed, call, open, pay, payer, status, sums, tokens};
use crate::steps::{Times, job, plain, start};
use crate::support::{Board, end, keep, runtime, secs, soon};

/// Also without a store: in memory alone.
#[tokio::test(start_paused = true)]
async fn a_call_is_reserved_before_it_leaves_and_settled_with_its_result() {
    for is_durable in [true, false] {
        let runtime = if is_durable { start(&MemoryStore::new()).await } else { runtime().await };
        open(&runtime).await;
        let seen = Board::default();
        let pays = call({
            let seen = seen.clone();
            move |runtime, _| {
                let sums = sums(&runtime, RUN);
                seen.write(format!("{sums:?}"));
                Box::pin(async { billed(15) })
            }
        });
        let spec = match is_durable {
            true => payer(Effect::Pure, pays),
            false => plain(move |_, cx| {
                let pays = pays.clone();
                Box::pin(async move { pay(cx, Effect::Pure, &*pays).await })
            }),
        };
        let kept = keep(&runtime, spec).await;

        assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "paid");

        assert_eq!(seen.lines(), ["(0, 40, 0)"], "durable: {is_durable}");
        assert_eq!(sums(&runtime, RUN), (15, 0, 0));
        assert_eq!(sums(&runtime, "acme"), (15, 85, 0), "the rest of the slice");
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_budget_refuses_is_not_made_and_its_failure_says_why() {
    let runtime = start(&MemoryStore::new()).await;
    open(&runtime).await;
    let (calls, refused) = (Board::default(), Arc::new(Mutex::new(None)));
    let spec = crate::steps::worker({
        let (calls, refused) = (calls.clone(), refused.clone());
        move |_, cx| {
            let (calls, refused) = (calls.clone(), refused.clone());
            Box::pin(async move {
                let budget = cx.budget(RUN)?;
                let step = cx.step("think", Effect::Pure, "").charged(&budget, tokens(101));
                let thought = step.run_billed(|_| async {
                    calls.write("called");
                    billed(1)
                });
                let failure = thought.await.expect_err("it is too much");
                *refused.lock().unwrap() = Some(failure.clone());
                Err(failure)
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let asked = kept.actor.ask(job("a")).await;

    assert!(matches!(asked, Err(AskError::Failed { .. })), "{asked:?}");
    let refused = refused.lock().unwrap().take().unwrap();
    assert_eq!(refused.class(), FailureClass::Exhausted);
    match refused.cause_as::<BudgetError>() {
        Some(BudgetError::Exhausted { node, asked: 101, left: 100, .. }) => assert_eq!(node.as_str(), RUN),
        other => panic!("{other:?}"),
    }
    assert_eq!((calls.lines().len(), sums(&runtime, RUN)), (0, (0, 0, 0)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_took_too_long_stays_charged_and_the_next_reserves_anew() {
    let (store, slow) = (MemoryStore::new(), Times::new(1));
    let runtime = start(&store).await;
    open(&runtime).await;
    let mut events = runtime.events();
    let pays = call(move |_, _| {
        let is_slow = slow.take();
        Box::pin(async move {
            if is_slow {
                std::future::pending::<()>().await;
            }
            billed(15)
        })
    });
    let spec = crate::steps::worker(move |_, cx| {
        let pays = pays.clone();
        Box::pin(async move {
            let budget = cx.budget(RUN)?;
            let step = cx.step("pay", Effect::Pure, "").timeout(secs(3)).charged(&budget, tokens(40));
            step.run_billed(|attempt| pays(cx.runtime(), attempt)).await
        })
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(sums(&runtime, RUN), (15, 40, 40));
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let suspected = told.filter(|event| matches!(event, RuntimeEvent::ChargeSuspected { .. })).count();
    assert_eq!(suspected, 1);
    let charge = &runtime.budgets().suspected(None)[0];
    assert_eq!((charge.amount, charge.node.as_str()), (tokens(40), RUN));
    runtime.budgets().reconcile(charge.id, tokens(30)).await.unwrap();
    assert_eq!(sums(&runtime, RUN), (45, 0, 0));
    let again = runtime.budgets().reconcile(charge.id, tokens(30)).await;
    assert!(matches!(again, Err(BudgetError::NotSuspected(_))));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_settled_with_what_it_says_and_suspected_if_it_says_nothing() {
    // What the first call fails with; what is left of it when the second has been paid.
    let table = [
        (Failure::external("no connection").nothing_happened(), (15, 0, 0)),
        (Failure::external("half an answer").billed(tokens(7)), (22, 0, 0)),
        (Failure::external("a broken pipe"), (15, 40, 40)),
    ];
    for (failure, expected) in table {
        let runtime = start(&MemoryStore::new()).await;
        open(&runtime).await;
        let (first, text) = (Times::new(1), failure.to_string());
        let pays = call(move |_, _| {
            let ends = if first.take() { Err(failure.clone()) } else { billed(15) };
            Box::pin(async { ends })
        });
        let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

        kept.actor.ask(job("a")).await.unwrap();

        assert_eq!(sums(&runtime, RUN), expected, "{text}");
        end(runtime).await;
    }
}

/// What is no outage is the result of the step: with its bill, in one commit.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_was_billed_is_settled() {
    let table = [
        (Failure::invalid("no such model").nothing_happened(), (0, 0, 0)),
        (Failure::invalid("a refusal").billed(tokens(7)), (7, 0, 0)),
        (Failure::invalid("who knows"), (0, 40, 40)),
    ];
    for (failure, expected) in table {
        let runtime = start(&MemoryStore::new()).await;
        open(&runtime).await;
        let fails = failure.clone();
        let pays = call(move |_, _| {
            let failure = fails.clone();
            Box::pin(async { Err::<Billed<String>, _>(failure) })
        });
        let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

        let asked = kept.actor.ask(job("a")).await;

        assert!(matches!(asked, Err(AskError::Refused { .. })), "{asked:?}");
        assert_eq!(sums(&runtime, RUN), expected, "{failure}");
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_laid_aside_stays_charged_also_when_it_is_forgotten() {
    let store = MemoryStore::new();
    let runtime = start(&store).await;
    open(&runtime).await;
    let pays = call(|_, _| Box::pin(async { Err::<Billed<String>, _>(Failure::exhausted("nobody knows")) }));
    let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

    kept.actor.tell(job("a")).await.unwrap();
    while kept.actor.laid_aside().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }

    assert_eq!(sums(&runtime, RUN), (0, 40, 40));
    kept.actor.forget_all().await.unwrap();
    assert_eq!(sums(&runtime, RUN), (0, 40, 40));
    end(runtime).await;
    let runtime = start(&store).await;
    assert_eq!(sums(&runtime, RUN), (0, 40, 40), "in the next process as well");
    let charge = runtime.budgets().suspected(None).remove(0);
    assert_eq!(charge.step.map(|step| step.actor.to_string()), Some("keeper/worker".to_owned()));
    runtime.budgets().reconcile(charge.id, Amount::ZERO).await.unwrap();
    end(runtime).await;
    let runtime = start(&store).await;
    assert_eq!(sums(&runtime, RUN), (0, 0, 0));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cut_stays_charged() {
    let runtime = start(&MemoryStore::new()).await;
    open(&runtime).await;
    let (called, first) = (Board::default(), Times::new(1));
    let pays = call({
        let called = called.clone();
        move |_, _| {
            called.write("called");
            let hangs = first.take();
            Box::pin(async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                billed(15)
            })
        }
    });
    let kept = keep(&runtime, payer(Effect::Pure, pays)).await;
    kept.actor.tell(job("a")).await.unwrap();
    called.until(1).await;

    kept.actor.kill();
    soon(called.until(2)).await;
    kept.actor.ask(job("behind")).await.unwrap();

    assert_eq!(sums(&runtime, RUN), (30, 40, 40), "and the next life has paid for its own");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_bill_above_its_reservation_stops_its_budget_and_is_told() {
    let runtime = start(&MemoryStore::new()).await;
    open(&runtime).await;
    let mut events = runtime.events();
    let calls = Board::default();
    let pays = call({
        let calls = calls.clone();
        move |_, _| {
            calls.write("called");
            Box::pin(async { billed(60) })
        }
    });
    let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

    kept.actor.ask(job("a")).await.unwrap();
    let asked = kept.actor.ask(job("b")).await;

    assert!(matches!(asked, Err(AskError::Failed { .. })), "{asked:?}");
    assert_eq!(calls.lines().len(), 1);
    let run = status(&runtime, RUN);
    assert_eq!(
        (run.spent, run.overdraft, run.stopped),
        (tokens(60), tokens(20), Some(StopReason::Overdraft))
    );
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let told: Vec<_> = told
        .filter_map(|event| match event {
            RuntimeEvent::BudgetStopped { path, over, .. } => Some(format!("{path} by {over}")),
            RuntimeEvent::BudgetThreshold { path, percent, .. } => Some(format!("{path} {percent}")),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["acme/run by 20 tokens", "acme/run 50"]);
    runtime.budgets().resume(RUN).await.unwrap();
    kept.actor.ask(job("c")).await.unwrap();
    end(runtime).await;
}

/// A call that noted where it was goes on from there, in the same reservation; so does one that must not be made twice.
#[tokio::test(start_paused = true)]
async fn an_anchored_call_that_broke_off_goes_on_where_it_was_in_the_same_reservation() {
    for effect in [Effect::Pure, Effect::Idempotent] {
        let runtime = start(&MemoryStore::new()).await;
        open(&runtime).await;
        let seen = Board::default();
        let pays = call({
            let seen = seen.clone();
            move |runtime, attempt| {
                let seen = seen.clone();
                Box::pin(async move {
                    seen.write(format!("{:?} {:?}", attempt.anchored(), sums(&runtime, RUN)));
                    match attempt.anchored() {
                        None => {
                            attempt.anchor(&[0; 4_097]).expect_err("it is too long");
                            attempt.anchor(b"r1")?;
                            Err(Failure::external("a broken pipe"))
                        }
                        Some(_) => billed(15),
                    }
                })
            }
        });
        let kept = keep(&runtime, payer(effect, pays)).await;

        kept.actor.ask(job("a")).await.unwrap();

        assert_eq!(seen.lines(), ["None (0, 40, 0)", "Some([114, 49]) (0, 40, 0)"]);
        assert_eq!(sums(&runtime, RUN), (15, 0, 0));
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_anchor_that_is_of_no_use_is_forgotten_and_its_call_suspected() {
    let runtime = start(&MemoryStore::new()).await;
    open(&runtime).await;
    let seen = Board::default();
    let pays = call({
        let seen = seen.clone();
        move |_, attempt| {
            let seen = seen.clone();
            Box::pin(async move {
                seen.write(attempt.anchored().is_some());
                match (seen.lines().len(), attempt.anchored()) {
                    (1, _) => attempt.anchor(b"r1")?,
                    (2, _) => attempt.forget_anchor(),
                    _ => return billed(15),
                }
                Err(Failure::external("not there"))
            })
        }
    });
    let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(seen.lines(), ["false", "true", "false"]);
    assert_eq!(sums(&runtime, RUN), (15, 40, 40));
    assert_eq!(kept.exits.lines().len(), 0);
    end(runtime).await;
}
