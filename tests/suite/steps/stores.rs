//! Stores that fail, and lives that end, in the middle of a step.

use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{ActorSpec, AskError, Batch, Effect, Epoch, ExitReason, MemoryStore, Resolution, Store};

use super::{Worker, call, job, process, repeated, start, start_on, until_parked, worker};
use crate::support::{Board, Gate, end, keep};

fn payer(board: &Board, effect: Effect) -> ActorSpec<Worker> {
    let board = board.clone();
    worker(move |_, cx| {
        let board = board.clone();
        Box::pin(async move { call(cx, &board, "pay", effect).await })
    })
}

/// The first process: `fault` at the commit that is number `nth` of those of the message, from 1.
fn fails(store: &MemoryStore, spec: ActorSpec<Worker>, nth: u64, fault: Fault) {
    let before = process(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let _runtime = keep(&start_on(store.clone()).await, spec.clone()).await;
        store.commits()
    });
    process(async {
        let store = FaultyStore::new(store.clone()).fail_commit(before + nth, fault);
        let runtime = start_on(store).await;
        let kept = keep(&runtime, spec).await;
        let asked = kept.actor.ask(job("a")).await;
        assert!(matches!(asked, Err(AskError::StoreUnavailable { .. })), "{asked:?}");
        end(runtime).await;
    });
}

/// The second process, to the end of the message: how often it repeated a call.
fn goes_on(store: &MemoryStore, spec: ActorSpec<Worker>) -> usize {
    process(async {
        let runtime = start(store).await;
        let mut events = runtime.events();
        let kept = keep(&runtime, spec).await;
        kept.actor.ask(job("behind")).await.expect("it is behind");
        end(runtime).await;
        repeated(&mut events).len()
    })
}

#[test]
fn nothing_is_called_before_its_intent_is_stored() {
    let (store, board) = (MemoryStore::new(), Board::default());

    fails(&store, payer(&board, Effect::Once), 2, Fault::Write);
    assert_eq!(board.lines().len(), 0);

    assert_eq!(goes_on(&store, payer(&board, Effect::Once)), 0);
    assert_eq!(board.lines().len(), 2, "this message and the one behind");
}

#[test]
fn a_result_that_was_not_stored_is_in_flight_for_the_next_process() {
    let (store, board) = (MemoryStore::new(), Board::default());
    fails(&store, payer(&board, Effect::Pure), 3, Fault::Write);
    assert_eq!(board.lines().len(), 1);

    assert_eq!(goes_on(&store, payer(&board, Effect::Pure)), 1);
    assert_eq!(board.lines().len(), 3);

    let (store, board) = (MemoryStore::new(), Board::default());
    fails(&store, payer(&board, Effect::Once), 3, Fault::Write);
    process(async {
        let runtime = start(&store).await;
        let mut events = runtime.events();
        let kept = keep(&runtime, payer(&board, Effect::Once)).await;
        until_parked(&mut events).await;
        assert!(kept.actor.decide(Resolution::done("paid").unwrap()));
        kept.actor.ask(job("behind")).await.unwrap();
        end(runtime).await;
    });
    assert_eq!(board.lines().len(), 2);
}

#[test]
fn a_result_that_was_stored_before_the_store_died_is_answered_from_the_journal() {
    let (store, board) = (MemoryStore::new(), Board::default());
    fails(&store, payer(&board, Effect::Once), 3, Fault::CrashAfterCommit);

    assert_eq!(goes_on(&store, payer(&board, Effect::Once)), 0);

    assert_eq!(board.lines().len(), 2);
}

/// Goal: what an incarnation got outside counts no more once another life writes for its actor.
/// Method: an epoch is claimed past it while it is in its call.
#[tokio::test(start_paused = true)]
async fn a_step_of_a_replaced_incarnation_is_not_kept() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let runtime = start(&store).await;
    let spec = worker({
        let (board, gate) = (board.clone(), gate.clone());
        move |_, cx| {
            let (board, gate) = (board.clone(), gate.clone());
            Box::pin(async move {
                let step = cx.step("pay", Effect::Idempotent, "");
                let paid = step.run(|| async {
                    board.write("pay");
                    let number = board.lines().len();
                    gate.pass().await;
                    Ok(format!("receipt {number}"))
                });
                paid.await
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let replaced = async {
        gate.entered().await;
        store.commit(&[Batch::claim(kept.actor.path().clone(), Epoch(70))]).unwrap();
        gate.open();
    };
    let (answer, ()) = tokio::join!(asked, replaced);

    assert_eq!(answer.unwrap(), "receipt 2");
    assert_eq!(kept.exits.lines(), [ExitReason::Unresponsive.label()]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_a_result_is_stored_does_not_lose_it() {
    let (store, board, gate) =
        (Arc::new(FaultyStore::new(MemoryStore::new())), Board::default(), Gate::new());
    let runtime = start_on(store.clone()).await;
    let spec = worker({
        let (board, gate) = (board.clone(), gate.clone());
        move |_, cx| {
            let (board, gate) = (board.clone(), gate.clone());
            Box::pin(async move {
                let step = cx.step("pay", Effect::Once, "");
                let paid = step.run(|| async {
                    board.write("pay");
                    gate.pass().await;
                    Ok("paid".to_owned())
                });
                paid.await
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let killed = async {
        gate.entered().await;
        let (held, before) = (store.hold_commits(), store.commits());
        gate.open();
        store.commit_arrived(before + 1).await;
        kept.actor.kill();
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, killed);

    assert_eq!((&*answer.unwrap(), board.lines().len()), ("paid", 1));
    assert_eq!((kept.exits.lines().len(), kept.actor.parked()), (1, None));
    end(runtime).await;
}
