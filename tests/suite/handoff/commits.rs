//! What is on disk when an offer or an answer leaves, and what a giver does that was killed in between.

use std::sync::Arc;

use greenroom::testing::FaultyStore;
use greenroom::{AskError, MemoryStore};

use super::{Give, Manner, Outcome, Side, billing, case, give, roles, stored, taker, team};
use crate::support::{Board, Gate, end, soon};

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_offers_nothing() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let board = Board::default();
    runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime).await;

    let failed = side.giver.ask(Give { offer: case("t-1"), fails: true }).await;
    let outcome = side.gives(&case("t-2")).await;

    assert!(matches!(failed, Err(AskError::Refused { .. })));
    assert!(matches!(outcome, Outcome::Accepted { id, .. } if id.case == "t-2"));
    assert_eq!(board.lines(), ["offered t-2/1 as billing", "took t-2/1"]);
    assert!(side.heard_nothing().await);
    end(runtime).await;
}

/// Goal: whoever hears of an offer finds the case stored at its giver, whatever falls next.
/// Method: the giver's commit is held; the taker answers a question meanwhile, so it was free to hear the offer.
#[tokio::test(start_paused = true)]
async fn an_offer_leaves_only_when_the_case_is_stored_at_its_giver() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = stored(store.clone(), team()).await;
    let board = Board::default();
    let taker = runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime).await;
    let next = store.commits() + 2; // behind the one that accepts the message
    let held = store.hold_commits_after(1);

    side.giver.tell(give(case("t-1"))).await.unwrap();
    soon(store.commit_arrived(next)).await;
    taker.ask(case("other")).await.unwrap();
    let before = board.lines();
    drop(held);
    side.outcome().await;

    assert_eq!(before, ["offered other/1 as billing", "took other/1"]);
    assert_eq!(board.lines()[2..], ["offered t-1/1 as billing", "took t-1/1"]);
    end(runtime).await;
}

/// Goal: a giver that forgets a case leaves it in the store of somebody else.
/// Method: the taker's commit is held after its handler is done; until it is let go the giver has heard nothing.
#[tokio::test(start_paused = true)]
async fn the_acceptance_of_a_durable_taker_leaves_only_after_its_commit() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = stored(store.clone(), team()).await;
    let board = Board::default();
    let spec = taker("taker", Manner::Takes, &board).durable();
    runtime.spawn_spec(spec).await.unwrap();
    let side = Side::plain(&runtime).await;
    let next = store.commits() + 2; // behind the one that accepts the offer
    let held = store.hold_commits_after(1);

    side.giver.ask(give(case("t-1"))).await.unwrap();
    soon(store.commit_arrived(next)).await;
    let (taken, open, nothing) = (board.lines(), side.open().await, side.heard_nothing().await);
    drop(held);
    let outcome = side.outcome().await;

    assert_eq!(taken, ["offered t-1/1 as billing", "took t-1/1"]);
    assert_eq!((open, nothing), (vec!["t-1".to_owned()], true));
    assert!(matches!(outcome, Outcome::Accepted { .. }));
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

/// Goal: a giver that dies between offer and answer loses no case and hands none over twice.
/// Method: it is killed while the taker, which has the case already, stands in its gate. Its colleagues are free.
#[tokio::test(start_paused = true)]
async fn a_giver_that_restarts_offers_again_with_the_same_id_and_the_case_is_taken_once() {
    let pool = ["a", "b", "c", "d"];
    let runtime = stored(MemoryStore::new(), roles([(billing(), &pool)])).await;
    let (board, gate) = (Board::default(), Gate::new());
    for name in pool {
        let spec = taker(name, Manner::TakesSlowly(gate.clone()), &board);
        runtime.spawn_spec(spec.durable()).await.unwrap();
    }
    let side = Side::durable(&runtime).await;
    side.giver.ask(give(case("t-1"))).await.unwrap();
    gate.entered().await;

    side.giver.kill();
    let again = side.board.until(1).await;
    let open = side.open().await;
    gate.open();
    let outcome = side.outcome().await;

    assert_eq!((again, open), (vec!["again t-1/1".to_owned()], vec!["t-1".to_owned()]));
    assert!(matches!(outcome, Outcome::Accepted { id, .. } if id == case("t-1").id));
    let offered = "offered t-1/1 as billing";
    assert_eq!(board.lines(), [offered, "took t-1/1", offered]);
    assert!(side.open().await.is_empty());
    assert!(side.heard_nothing().await, "the first answer went to the life before");
    end(runtime).await;
}
