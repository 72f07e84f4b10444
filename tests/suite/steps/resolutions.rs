//! What each decision does.

use greenroom::{ActorSpec, AskError, Effect, FailureClass, MemoryStore, ParkedFor, Resolution};

use super::{Times, Worker, call, call_that_panics, job, start, until_parked, worker};
use crate::support::{Board, end, keep};

/// Looks something up, and pays once; falls over in the middle of paying the first time.
fn payer(board: &Board, panics: &Times) -> ActorSpec<Worker> {
    let (board, panics) = (board.clone(), panics.clone());
    worker(move |job, cx| {
        let (board, panics) = (board.clone(), panics.clone());
        Box::pin(async move {
            if job == "other" {
                return Ok(job);
            }
            call(cx, &board, "look", Effect::Pure).await?;
            call_that_panics(cx, &board, Effect::Once, &panics).await
        })
    })
}

/// The names of the calls that were made when `decisions` were carried out, each at one parking; and the answer.
async fn after(decisions: Vec<Resolution>) -> (Vec<String>, Result<String, AskError<super::Job>>) {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, payer(&board, &Times::new(1))).await;
    let mut events = runtime.events();

    let decided = async {
        for decision in decisions {
            until_parked(&mut events).await;
            assert!(kept.actor.decide(decision));
        }
    };
    let (answer, ()) = tokio::join!(async { kept.actor.ask(job("pay")).await }, decided);

    assert_eq!(kept.actor.ask(job("other")).await.ok().as_deref(), Some("other"), "the actor goes on");
    end(runtime).await;
    let name = |line: &String| line[..line.find(' ').unwrap_or(line.len())].to_owned();
    (board.lines().iter().map(name).collect(), answer)
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_not_made_again() {
    let (calls, answer) = after(vec![Resolution::done("found").unwrap()]).await;

    assert_eq!((calls, &*answer.unwrap()), (vec!["look".into(), "pay".into()], "found"));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_done_is_made_again_and_nothing_else() {
    let (calls, answer) = after(vec![Resolution::NotDone]).await;

    assert_eq!((calls, &*answer.unwrap()), (vec!["look".into(), "pay".into(), "pay".into()], "paid"));
}

#[tokio::test(start_paused = true)]
async fn who_starts_over_makes_every_step_again() {
    let (calls, answer) = after(vec![Resolution::StartOver]).await;

    let twice = ["look", "pay", "look", "pay"].map(String::from);
    assert_eq!((calls, &*answer.unwrap()), (twice.to_vec(), "paid"));
}

#[tokio::test(start_paused = true)]
async fn who_only_tries_again_is_parked_again() {
    let (calls, answer) = after(vec![Resolution::TryAgain, Resolution::NotDone]).await;

    assert_eq!((calls.len(), &*answer.unwrap()), (3, "paid"));
}

/// Goal: a message that is laid aside is out of the way, its asker knows, and its journal is kept for when it is taken up.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_laid_aside_lets_its_actor_go_on_and_keeps_its_journal() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, payer(&board, &Times::new(1))).await;
    let mut events = runtime.events();
    let decided = async {
        let parked = until_parked(&mut events).await;
        assert!(kept.actor.decide(Resolution::LayAside));
        parked
    };
    let (answer, parked) = tokio::join!(async { kept.actor.ask(job("pay")).await }, decided);

    let Err(AskError::Failed { failure, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.class(), failure.to_string()), (FailureClass::Cancelled, parked.to_string()));
    assert_eq!(kept.actor.ask(job("other")).await.unwrap(), "other");
    let aside = kept.actor.laid_aside().await.unwrap();
    assert_eq!((aside.len(), &*aside[0].cause), (1, &*parked.to_string()));

    kept.actor.take_up(aside[0].message.id).await.unwrap();
    let again = until_parked(&mut events).await;
    assert_eq!(again, parked);
    assert!(kept.actor.decide(Resolution::NotDone));
    assert_eq!(board.until(3).await.len(), 3, "looked once, paid twice");
    kept.actor.ask(job("other")).await.unwrap();
    end(runtime).await;
}

/// Goal: "it happened" says nothing about a journal that tells of other steps, and must not overwrite what it tells.
/// Method: the program of the next life makes another step than the journal has.
#[tokio::test(start_paused = true)]
async fn a_decision_that_does_not_fit_is_refused() {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(
        &runtime,
        worker({
            let board = board.clone();
            move |_, cx| {
                let (board, panics) = (board.clone(), panics.clone());
                Box::pin(async move {
                    let name = if board.lines().is_empty() { "look" } else { "see" };
                    let did = call(cx, &board, name, Effect::Pure).await?;
                    assert!(!panics.take(), "after the call");
                    Ok(did)
                })
            }
        }),
    )
    .await;
    let mut events = runtime.events();

    let decided = async {
        let parked = until_parked(&mut events).await;
        assert!(matches!(parked.why, ParkedFor::Diverged { .. }), "{parked}");
        assert!(!kept.actor.decide(Resolution::done("found").unwrap()));
        assert!(!kept.actor.decide(Resolution::NotDone));
        assert!(kept.actor.decide(Resolution::StartOver));
    };
    let (answer, ()) = tokio::join!(async { kept.actor.ask(job("a")).await }, decided);

    assert_eq!((&*answer.unwrap(), board.lines().len()), ("did see", 2));
    end(runtime).await;
}
