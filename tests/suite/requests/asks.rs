//! Questions of a durable handler: asked, and answered, once.

use std::future::IntoFuture;
use std::sync::Arc;

use greenroom::testing::FaultyStore;
use greenroom::{ActorSpec, Effect, Failure, FailureClass, MemoryStore, Store};

use super::{answerer, asker, b_of, done, pair};
use crate::steps::{Job, Times, call, job, start, start_on, worker};
use crate::support::{Board, Gate, end, keep, secs};

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_from_the_journal_when_the_asker_runs_again() {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let forgetful = worker(move |job, cx| {
        let panics = panics.clone();
        Box::pin(async move {
            let answer = cx.ask(&b_of(cx), Job(job)).await?;
            assert!(!panics.take(), "behind the answer");
            Ok(answer)
        })
    });
    let (a, _) = pair(&runtime, forgetful, answerer(&board, &Gate::new())).await;

    assert_eq!(a.ask(job("x")).await.unwrap(), "answer to x");

    assert_eq!(board.lines(), ["x"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_costs_its_asker_two_commits_and_the_other_one() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = start_on(store.clone()).await;
    let (a, _) = pair(&runtime, asker(), answerer(&Board::default(), &Gate::new())).await;
    let before = store.commits();

    a.ask(job("x")).await.unwrap();

    assert_eq!(store.commits() - before, 5, "accepted, asked, answered, written down, done");
    end(runtime).await;
}

/// Goal: an asker that is replaced while the other handles its question waits for that, and does not ask anew.
#[tokio::test(start_paused = true)]
async fn a_question_that_is_handled_is_not_handled_again_for_the_next_life_of_its_asker() {
    let (store, board, gate, runs) = (MemoryStore::new(), Board::default(), Gate::new(), Board::default());
    let runtime = start(&store).await;
    let asks = worker({
        let runs = runs.clone();
        move |job, cx| {
            runs.write("run");
            Box::pin(async move { cx.ask(&b_of(cx), Job(job)).await })
        }
    });
    let (a, _) = pair(&runtime, asks, answerer(&board, &gate)).await;

    let asked = async { a.ask(job("wait")).await };
    let killed = async {
        gate.entered().await;
        a.kill();
        runs.until(2).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(asked, killed);

    assert_eq!(answer.unwrap(), "answer to wait");
    assert_eq!((board.lines().len(), done(&store, "pair/b").len()), (1, 2));
    end(runtime).await;
}

/// Goal: an asker that gave up for now asks the same question again, whether it was taken up meanwhile or waits.
#[tokio::test(start_paused = true)]
async fn a_question_whose_deadline_passed_is_asked_again_under_the_same_id() {
    for is_taken_up in [true, false] {
        let (store, board, gate, runs) =
            (MemoryStore::new(), Board::default(), Gate::new(), Board::default());
        let runtime = start(&store).await;
        let impatient = worker({
            let runs = runs.clone();
            move |job, cx| {
                let runs = runs.clone();
                Box::pin(async move {
                    runs.write("run");
                    cx.ask(&b_of(cx), Job(job)).within(secs(1)).await
                })
            }
        });
        let (a, b) = pair(&runtime, impatient, answerer(&board, &gate)).await;
        let question = if is_taken_up { "wait" } else { "x" };
        if !is_taken_up {
            b.tell(job("wait in front")).await.unwrap();
        }

        let asked = async { a.ask(job(question)).within(secs(60)).await };
        let opened = async {
            runs.until(2).await;
            gate.open();
        };
        let (answer, ()) = tokio::join!(asked, opened);

        assert_eq!(answer.unwrap(), format!("answer to {question}"));
        let handled = board.lines().iter().filter(|line| *line == question).count();
        assert_eq!((handled, b.laid_aside().await.unwrap().len()), (1, 0));
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer_and_comes_again_from_the_journal() {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let hears = worker(move |job, cx| {
        let panics = panics.clone();
        Box::pin(async move {
            let failure = cx.ask(&b_of(cx), Job(job)).await.unwrap_err();
            assert!(!panics.take(), "behind the answer");
            Ok(format!("{:?}", failure.class()))
        })
    });
    let refuses = worker({
        let board = board.clone();
        move |job, _| {
            board.write(job);
            Box::pin(async { Err(Failure::invalid("no")) })
        }
    });
    let (a, _) = pair(&runtime, hears, refuses).await;

    assert_eq!(a.ask(job("x")).await.unwrap(), "Invalid");

    assert_eq!(board.lines(), ["x"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_not_durable_is_asked_as_well() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let (a, _) = pair(&runtime, asker(), plain(&board)).await;

    assert_eq!(a.ask(job("x")).await.unwrap(), "answer to x");

    assert_eq!(board.lines(), ["x"]);
    end(runtime).await;
}

/// As [`answerer`], without a store.
fn plain(board: &Board) -> ActorSpec<crate::steps::Worker> {
    let board = board.clone();
    crate::steps::plain(move |job, _| {
        board.write(&job);
        Box::pin(async move { Ok(format!("answer to {job}")) })
    })
}

/// Goal: an asker without a journal counts its messages anew in each process; its questions must not pass for those of
/// before.
#[tokio::test(start_paused = true)]
async fn a_question_of_an_actor_that_is_not_durable_gets_no_old_answer() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    for question in ["x", "y"] {
        let runtime = start(&store).await;
        let asks = crate::steps::plain(|job, cx| Box::pin(async move { cx.ask(&b_of(cx), Job(job)).await }));
        let (a, _) = pair(&runtime, asks, answerer(&board, &gate)).await;
        assert_eq!(a.ask(job(question)).await.unwrap(), format!("answer to {question}"));
        end(runtime).await;
    }
    assert_eq!(board.lines(), ["x", "y"]);
}

/// Goal: a question to a durable actor of another runtime is kept there, where it is handled, and not in the asker's store.
#[tokio::test(start_paused = true)]
async fn a_durable_actor_of_another_runtime_is_asked_by_way_of_its_own_store() {
    let (here, there, board) = (MemoryStore::new(), MemoryStore::new(), Board::default());
    let (runtime, other) = (start(&here).await, start(&there).await);
    let b = keep(&other, answerer(&board, &Gate::new())).await;
    b.actor.ask(job("before")).await.unwrap();
    let (asked, panics) = (b.actor.clone(), Times::new(1));
    let asks = worker(move |job, cx| {
        let (b, panics) = (asked.clone(), panics.clone());
        Box::pin(async move {
            let answer = cx.ask(&b, Job(job)).await?;
            assert!(!panics.take(), "behind the answer");
            Ok(answer)
        })
    });
    let a = keep(&runtime, asks.named("asker")).await;

    assert_eq!(a.actor.ask(job("x")).await.unwrap(), "answer to x");

    assert_eq!((board.lines().len(), done(&there, "keeper/worker").len()), (2, 4));
    assert_eq!(there.scan(b.actor.path()).unwrap().inbox, []);
    assert_eq!(here.actors().unwrap(), [a.actor.path().clone()]);
    end(runtime).await;
    end(other).await;
}

/// Goal: a request id is shorter than a path may be.
#[tokio::test(start_paused = true)]
async fn an_actor_with_a_long_name_asks_like_any_other() {
    let (store, board, panics) = (MemoryStore::new(), Board::default(), Times::new(1));
    let runtime = start(&store).await;
    let (_, b) = pair(&runtime, asker(), answerer(&board, &Gate::new())).await;
    let forgetful = worker(move |job, cx| {
        let (b, busy) = (b.clone(), panics.take());
        Box::pin(async move {
            let answer = cx.ask(&b, Job(job)).await?;
            if busy { Err(Failure::external("busy")) } else { Ok(answer) }
        })
    });
    let long = runtime.spawn_spec(forgetful.named("a".repeat(250))).await.unwrap();

    assert_eq!(long.ask(job("x")).await.unwrap(), "answer to x");

    assert_eq!(board.lines(), ["x"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_would_close_a_ring_is_refused_as_a_bug() {
    let runtime = start(&MemoryStore::new()).await;
    let asks_back = worker(|_, cx| {
        Box::pin(async move {
            let a =
                cx.resolve(&greenroom::Address::<crate::steps::Worker>::new(crate::support::path("pair/a")));
            let failure = cx.ask(&a.unwrap(), job("back")).await.unwrap_err();
            assert_eq!(failure.class(), FailureClass::Bug);
            Ok(failure.to_string())
        })
    });
    let (a, _) = pair(&runtime, asker(), asks_back).await;

    let answer = a.ask(job("x")).await.unwrap();

    assert!(answer.contains("ring"), "{answer}");
    end(runtime).await;
}

/// Goal: what the handler saw is what it sees again: a question that it dropped stays dropped, though it was answered.
#[tokio::test(start_paused = true)]
async fn a_dropped_question_is_a_dropped_step() {
    let (board, gate, panics) = (Board::default(), Gate::new(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let drops = worker({
        let (board, gate) = (board.clone(), gate.clone());
        move |_, cx| {
            let (board, gate, panics) = (board.clone(), gate.clone(), panics.clone());
            Box::pin(async move {
                let b = b_of(cx);
                let asked = cx.ask(&b, job("wait"));
                let outcome = tokio::select! {
                    answer = asked.into_future() => answer.unwrap_or_else(|failure| failure.to_string()),
                    () = cx.clock().sleep(secs(1)) => "the step `job` was dropped".into(),
                };
                call(cx, &Board::default(), "after", Effect::Pure).await?;
                gate.open();
                assert!(!panics.take(), "behind both");
                board.write("end");
                Ok(outcome)
            })
        }
    });
    let (a, _) = pair(&runtime, drops, answerer(&board, &gate)).await;

    assert_eq!(a.ask(job("x")).await.unwrap(), "the step `job` was dropped");

    assert_eq!(board.lines().iter().filter(|line| *line == "wait").count(), 1);
    end(runtime).await;
}
