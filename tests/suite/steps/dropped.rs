//! Steps that their handler let go before they were through.

use std::sync::Arc;

use greenroom::testing::FaultyStore;
use greenroom::{ActorSpec, Effect, Failure, FailureClass, MemoryStore};

use super::{Times, Worker, call, job, start, start_on, worker};
use crate::support::{Board, Gate, end, keep, secs};

/// What the handler finds that drops its step, at each run.
const DROPPED: &str = "dropped";

#[tokio::test(start_paused = true)]
async fn a_dropped_step_is_written_down_and_is_neither_made_again_nor_in_doubt() {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let (board, panics) = (board.clone(), panics.clone());
            Box::pin(async move {
                let step = cx.step("pay", Effect::Once, "");
                let paid = step.run(|| async {
                    board.write("pay");
                    std::future::pending::<Result<String, Failure>>().await
                });
                let outcome = tokio::select! {
                    paid = paid => paid.expect_err("it was dropped").class(),
                    () = cx.clock().sleep(secs(1)) => FailureClass::Cancelled,
                };
                assert_eq!(outcome, FailureClass::Cancelled);
                call(cx, &board, "after", Effect::Once).await?;
                assert!(!panics.take(), "behind both");
                Ok(DROPPED.into())
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    assert_eq!(kept.actor.ask(job("a")).await.unwrap(), DROPPED);

    assert_eq!((board.lines().len(), kept.exits.lines().len()), (2, 1));
    end(runtime).await;
}

/// What a test of drops in the middle of a commit holds in its hand.
struct Scene {
    store: Arc<FaultyStore<MemoryStore>>,
    board: Board,
    /// Before the step.
    begins: Gate,
    /// In the call.
    calls: Gate,
    /// Opened, the handler drops its step.
    drops: Gate,
}

/// Makes a step, drops it when it is told so, makes another one, and ends badly the first time.
fn dropper(fails: bool) -> (Scene, ActorSpec<Worker>) {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (board, begins) = (Board::default(), Gate::new());
    let scene = Scene { store, board, begins, calls: Gate::new(), drops: Gate::new() };
    let (board, begins) = (scene.board.clone(), scene.begins.clone());
    let (calls, drops) = (scene.calls.clone(), scene.drops.clone());
    let (first, panics) = (Times::new(1), Times::new(1));
    let spec = worker(move |job, cx| {
        let (board, begins) = (board.clone(), begins.clone());
        let (calls, drops) = (calls.clone(), drops.clone());
        let (is_first, panics) = (first.take(), panics.clone());
        Box::pin(async move {
            if job == "other" {
                return Ok(job);
            }
            begins.pass().await;
            let step = cx.step("pay", Effect::Once, "");
            let paid = step.run(|| async {
                board.write("pay");
                calls.pass().await;
                Ok("paid".to_owned())
            });
            let outcome = tokio::select! {
                biased;
                paid = paid => paid.unwrap_or_else(|_| DROPPED.into()),
                () = drops.pass() => DROPPED.into(),
            };
            if is_first && fails {
                return Err(Failure::external("behind the first"));
            }
            call(cx, &board, "after", Effect::Once).await?;
            assert!(!panics.take() || fails, "behind both");
            Ok(outcome)
        })
    });
    (scene, spec)
}

/// Goal: nobody can say whether an intent that was dropped on its way is on disk; that must not look like another step.
/// Method: the store holds the intent while the handler drops the step.
#[tokio::test(start_paused = true)]
async fn a_step_dropped_while_its_intent_is_stored_is_a_dropped_step() {
    let (Scene { store, board, begins, drops, .. }, spec) = dropper(false);
    let runtime = start_on(store.clone()).await;
    let kept = keep(&runtime, spec).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let dropped = async {
        begins.entered().await;
        let (held, before) = (store.hold_commits(), store.commits());
        begins.open();
        store.commit_arrived(before + 1).await;
        drops.open();
        drops.entered().await;
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, dropped);

    assert_eq!(answer.unwrap(), DROPPED);
    let calls: Vec<_> = board.lines().iter().map(|line| line[..3].to_owned()).collect();
    assert_eq!((calls, kept.exits.lines().len()), (vec!["aft".to_owned()], 1));
    end(runtime).await;
}

/// Goal: as above, with an intent that never got as far as the queue of the store.
/// Method: that queue is full of other messages.
#[tokio::test(start_paused = true)]
async fn a_step_dropped_before_its_intent_is_queued_is_a_dropped_step() {
    let (Scene { store, board, begins, drops, .. }, spec) = dropper(false);
    let runtime = start_on(store.clone()).await;
    let kept = keep(&runtime, spec.capacity(4_000)).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let dropped = async {
        begins.entered().await;
        let (held, before) = (store.hold_commits(), store.commits());
        while kept.actor.post(job("other")).is_ok() {}
        store.commit_arrived(before + 1).await; // a group has left the queue, and waits
        while kept.actor.post(job("other")).is_ok() {}
        begins.open();
        drops.entered().await;
        drops.open();
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, dropped);

    assert_eq!(answer.unwrap(), DROPPED);
    assert_eq!((board.lines().len(), kept.exits.lines().len(), kept.actor.parked()), (1, 1, None));
    end(runtime).await;
}

/// Goal: what the handler saw is what it sees again: a step that it dropped stays dropped, though its result was on its way.
/// Method: the store holds the result while the handler drops the step and goes on.
#[tokio::test(start_paused = true)]
async fn a_step_dropped_while_its_result_is_stored_is_a_dropped_step() {
    let (Scene { store, board, begins, calls, drops }, spec) = dropper(false);
    begins.open();
    let runtime = start_on(store.clone()).await;
    let kept = keep(&runtime, spec).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let dropped = async {
        calls.entered().await;
        let (held, before) = (store.hold_commits(), store.commits());
        calls.open();
        store.commit_arrived(before + 1).await;
        drops.open();
        drops.entered().await;
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, dropped);

    assert_eq!((&*answer.unwrap(), board.lines().len()), (DROPPED, 2));
    assert_eq!((kept.exits.lines().len(), kept.actor.parked()), (1, None));
    end(runtime).await;
}

/// Goal: a result that reached the journal is never paid for again, whatever its handler knew of it.
/// Method: as above, but the handler fails over an outage, so nobody has acted on the drop.
#[tokio::test(start_paused = true)]
async fn a_result_that_reached_the_journal_behind_the_back_of_its_handler_counts() {
    let (Scene { store, board, begins, calls, drops }, spec) = dropper(true);
    begins.open();
    let runtime = start_on(store.clone()).await;
    let kept = keep(&runtime, spec).await;

    let asked = async { kept.actor.ask(job("a")).await };
    let dropped = async {
        calls.entered().await;
        let (held, before) = (store.hold_commits(), store.commits());
        calls.open();
        store.commit_arrived(before + 1).await;
        drops.open();
        drops.entered().await;
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, dropped);

    assert_eq!((&*answer.unwrap(), board.lines().len()), ("paid", 2));
    assert_eq!((kept.exits.lines().len(), kept.actor.parked()), (0, None));
    end(runtime).await;
}
