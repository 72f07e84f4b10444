//! An actor that waits for a decision.

use greenroom::{ActorSpec, Effect, Known, MemoryStore, ParkedFor, Resolution};

use super::{Times, Worker, call_that_panics, job, process, start, until_parked, worker};
use crate::support::{Board, Gate, end, keep, secs};

/// Pays once, and falls over in the middle of it the first time; other jobs are done at once.
fn payer(board: &Board, panics: &Times) -> ActorSpec<Worker> {
    let (board, panics) = (board.clone(), panics.clone());
    worker(move |job, cx| {
        let (board, panics) = (board.clone(), panics.clone());
        Box::pin(async move {
            if job == "pay" {
                return call_that_panics(cx, &board, Effect::Once, &panics).await;
            }
            board.write(&job);
            Ok(job)
        })
    })
}

#[tokio::test(start_paused = true)]
async fn an_effect_in_flight_at_a_crash_parks_its_actor_until_somebody_decides() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, payer(&board, &Times::new(1))).await;
    let mut events = runtime.events();

    let decided = async {
        let parked = until_parked(&mut events).await;
        let ParkedFor::InDoubt { number, step, key } = &parked.why else { panic!("{parked}") };
        assert_eq!((*number, &**step), (0, "pay"));
        assert_eq!(board.lines(), [format!("pay as {key}")]);
        assert_eq!(kept.actor.parked(), Some(parked));
        assert!(kept.actor.decide(Resolution::done("receipt of then").unwrap()));
        assert!(!kept.actor.decide(Resolution::StartOver), "somebody was faster");
    };
    let (receipt, ()) = tokio::join!(async { kept.actor.ask(job("pay")).await }, decided);

    assert_eq!(receipt.unwrap(), "receipt of then");
    assert_eq!(board.lines().len(), 1);
    assert_eq!(kept.actor.parked(), None);
    assert!(!kept.actor.decide(Resolution::TryAgain), "it is not parked");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_a_message_over_which_its_actor_is_parked() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, payer(&board, &Times::new(1))).await;
    let mut events = runtime.events();

    kept.actor.tell(job("pay")).await.unwrap();
    kept.actor.tell(job("other")).await.unwrap();
    until_parked(&mut events).await;
    runtime.clock().sleep(secs(3_600)).await;
    assert_eq!(board.lines().len(), 1);
    assert!(kept.actor.decide(Resolution::NotDone));

    let lines = board.until(3).await;
    assert_eq!((&lines[0], &*lines[2]), (&lines[1], "other"));
    end(runtime).await;
}

/// Goal: a message that has begun is finished, however long the decision takes: what it did outside must not be forgotten.
/// Method: the asker gives up long before somebody decides.
#[tokio::test(start_paused = true)]
async fn a_decision_counts_although_the_asker_gave_up() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let runtime = start(&store).await;
    let kept = keep(&runtime, payer(&board, &Times::new(1))).await;

    let asked = kept.actor.ask(job("pay")).within(secs(1)).await;
    assert!(matches!(asked, Err(greenroom::AskError::DeadlinePassed { .. })), "{asked:?}");
    assert!(kept.actor.parked().is_some());
    assert!(kept.actor.decide(Resolution::done("paid").unwrap()));
    kept.actor.ask(job("other")).await.unwrap();

    let state = store_state(&store);
    assert_eq!(state, ["pay", "paid", "other", "other"]);
    assert_eq!(kept.actor.laid_aside().await.unwrap(), []);
    end(runtime).await;
}

fn store_state(store: &MemoryStore) -> Vec<String> {
    use greenroom::Store;
    let scan = store.scan(&crate::support::path("keeper/worker")).expect("memory can be read");
    let worker: Worker =
        rmp_serde::from_slice(&scan.snapshot.expect("it has done something").state).expect("a worker");
    worker.done
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_a_kill_are_heard_while_parked_and_the_next_life_parks_again() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let kept =
        crate::support::keep_as(&runtime, payer(&board, &Times::new(1)), crate::support::Comeback::AtOnce)
            .await;
    let mut events = runtime.events();
    kept.actor.tell(job("pay")).await.unwrap();
    let first = until_parked(&mut events).await;

    kept.actor.kill();
    assert_eq!(until_parked(&mut events).await, first);
    let stopped = kept.actor.stop(secs(1)).await;
    assert!(matches!(stopped, Some(greenroom::ExitReason::Shutdown)), "{stopped:?}");

    assert_eq!(kept.actor.parked(), None, "nobody lives there any more");
    assert!(!kept.actor.decide(Resolution::NotDone));
    assert_eq!(board.lines().len(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_was_killed_while_parked_is_not_parked_any_more() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let spec = payer(&board, &Times::new(1));
    let kept = crate::support::keep_as(&runtime, spec, crate::support::Comeback::WhenTold).await;
    let mut events = runtime.events();
    kept.actor.tell(job("pay")).await.unwrap();
    kept.exits.until(1).await;
    let relaunch = || crate::support::Relaunch(kept.actor.path().clone());
    kept.keeper.post(relaunch()).unwrap();
    let first = until_parked(&mut events).await;

    kept.actor.kill();
    kept.exits.until(2).await;

    assert_eq!(kept.actor.parked(), None);
    kept.keeper.post(relaunch()).unwrap();
    assert_eq!(until_parked(&mut events).await, first);
    end(runtime).await;
}

#[test]
fn the_next_process_parks_again() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let spec = {
        let (board, gate) = (board.clone(), gate.clone());
        worker(move |_, cx| {
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
        })
    };
    process(async {
        let runtime = start(&store).await;
        let kept = keep(&runtime, spec.clone()).await;
        kept.actor.tell(job("pay")).await.unwrap();
        gate.entered().await;
    });
    gate.open();
    let parked = [(); 2].map(|()| {
        process(async {
            let runtime = start(&store).await;
            let mut events = runtime.events();
            let _kept = keep(&runtime, spec.clone()).await;
            until_parked(&mut events).await
        })
    });
    assert_eq!(parked[0], parked[1]);
    process(async {
        let runtime = start(&store).await;
        let mut events = runtime.events();
        let kept = keep(&runtime, spec.clone()).await;
        until_parked(&mut events).await;
        assert!(kept.actor.decide(Resolution::NotDone));
        board.until(2).await;
        end(runtime).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_makes_nothing_of_a_doubt_does_not_end_its_message() {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let (board, panics) = (board.clone(), panics.clone());
            Box::pin(async move {
                let paid = call_that_panics(cx, &board, Effect::Once, &panics).await;
                Ok(paid.unwrap_or_else(|_| "as if nothing had happened".into()))
            })
        }
    });
    let kept = keep(&runtime, spec).await;
    let mut events = runtime.events();

    let decided = async {
        until_parked(&mut events).await;
        assert!(kept.actor.decide(Resolution::done("paid then").unwrap()));
    };
    let (answer, ()) = tokio::join!(async { kept.actor.ask(job("a")).await }, decided);

    assert_eq!(answer.unwrap(), "paid then");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_check_says_whether_an_effect_in_doubt_happened() {
    for (known, calls, answer) in [
        (Known::Done("found".to_owned()), 1, "found"),
        (Known::NotDone, 2, "paid"),
        (Known::Nothing, 1, "decided"),
    ] {
        let (board, panics, checks) = (Board::default(), Times::new(1), Board::default());
        let runtime = start(&MemoryStore::new()).await;
        let spec = worker({
            let (board, checks, known) = (board.clone(), checks.clone(), known.clone());
            move |_, cx| {
                let (board, panics) = (board.clone(), panics.clone());
                let (checks, known) = (checks.clone(), known.clone());
                Box::pin(async move {
                    let step = cx.step("pay", Effect::Once, "");
                    let paid = step.run_checked(
                        || async {
                            board.write("pay");
                            assert!(!panics.take(), "in the middle of the call");
                            Ok("paid".to_owned())
                        },
                        || async {
                            checks.write("check");
                            Ok(known.clone())
                        },
                    );
                    paid.await
                })
            }
        });
        let kept = keep(&runtime, spec).await;
        let mut events = runtime.events();

        let asked = async { kept.actor.ask(job("a")).await };
        let decided = async {
            if known == Known::Nothing {
                until_parked(&mut events).await;
                assert!(kept.actor.decide(Resolution::done("decided").unwrap()));
            }
        };
        let (told, ()) = tokio::join!(asked, decided);

        assert_eq!((&*told.unwrap(), board.lines().len()), (answer, calls));
        assert_eq!(checks.lines().len(), 1);
        end(runtime).await;
    }
}
