//! One at a time, in order: also across crashes, redelivery and many senders.
#![expect(clippy::disallowed_methods, reason = "senders outside of the tree are plain tokio tasks")]

use std::sync::Arc;

use greenroom::{ActorSpec, AskError, DeadLetterReason, ExitPhase, ExitReason, LifeState};
use tokio::sync::Barrier;

use crate::support::{
    Board, Comeback, Flaky, Gate, Note, Probe, Relaunch, act, end, hold, keep, keep_as, letters, runtime,
    secs,
};

#[tokio::test(start_paused = true)]
async fn messages_of_one_sender_arrive_in_order() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();

    for n in 0..2_000 {
        probe.tell(Note(n)).await.unwrap();
    }
    probe.ask(Note(2_000)).await.unwrap();

    let expected: Vec<String> = (0..=2_000).map(|n| n.to_string()).collect();
    assert_eq!(board.lines(), expected);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_senders_is_heard_in_its_own_order() {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(4);
    let probe = runtime.spawn_spec(spec).await.unwrap();
    let together = Arc::new(Barrier::new(8));

    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (probe, together) = (probe.clone(), together.clone());
            tokio::spawn(async move {
                together.wait().await;
                for n in 0..200 {
                    probe.tell(Note(sender * 1_000 + n)).within(secs(60)).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    probe.ask(Note(9_999)).await.unwrap();

    let heard: Vec<u32> = board.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(heard.len(), 8 * 200 + 1);
    for sender in 0..8 {
        let of_one: Vec<u32> = heard.iter().copied().filter(|n| n / 1_000 == sender).collect();
        assert!(of_one.is_sorted(), "sender {sender}");
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_in_the_middle_of_a_batch_loses_and_reorders_nothing_behind_it() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let gate = Gate::new();
    kept.actor.tell(hold(&gate)).await.unwrap();
    gate.entered().await;

    kept.actor.tell(Note(1)).await.unwrap();
    kept.actor.tell(act(|_, _| Box::pin(async { panic!("in the middle") }))).await.unwrap();
    kept.actor.tell(Note(2)).await.unwrap();
    kept.actor.tell(Note(3)).await.unwrap();
    gate.open();
    kept.actor.ask(Note(4)).await.unwrap();

    assert_eq!(board.lines(), ["1", "2", "3", "4"]);
    assert_eq!(kept.actor.observe().restarts, 1);
    assert_eq!(letters(&runtime), [("Act", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_the_middle_of_a_batch_loses_and_reorders_nothing_behind_it() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let (first, second) = (Gate::new(), Gate::new());
    kept.actor.tell(hold(&first)).await.unwrap();
    first.entered().await;
    kept.actor.tell(hold(&second)).await.unwrap();
    for n in 1..4 {
        kept.actor.tell(Note(n)).await.unwrap();
    }
    first.open();
    second.entered().await;

    kept.actor.kill();
    kept.actor.ask(Note(4)).await.unwrap();

    assert_eq!(board.lines(), ["1", "2", "3", "4"]);
    assert_eq!(kept.exits.lines(), ["killed"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn messages_wait_while_no_incarnation_runs() {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone());
    let kept = keep_as(&runtime, spec, Comeback::WhenTold).await;
    let crashed = kept.actor.ask(act(|_, _| Box::pin(async { panic!("down") }))).await;
    assert!(matches!(crashed, Err(AskError::ActorFailed { .. })));

    kept.actor.tell(Note(1)).await.unwrap();
    kept.actor.tell(Note(2)).await.unwrap();
    assert_eq!(kept.actor.observe().state, LifeState::Vacant);
    kept.keeper.post(Relaunch(kept.actor.path().clone())).unwrap();
    kept.actor.ask(Note(3)).await.unwrap();

    assert_eq!(board.lines(), ["1", "2", "3"]);
    assert_eq!(kept.actor.observe().epoch.0, 2);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_message_keeps_its_place_and_its_asker() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;

    let flaky = kept.actor.ask(Flaky::new(1, 2));
    let behind = kept.actor.ask(Note(2));
    let (tries, _) = tokio::join!(flaky, behind);

    assert_eq!(tries.unwrap(), 2, "the third delivery knows of two tries");
    assert_eq!(board.lines(), ["crash 1", "crash 1", "1", "2"]);
    assert_eq!(runtime.dead_letters().total(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_redelivered_three_times_at_most() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;

    let flaky = kept.actor.ask(Flaky::new(1, u32::MAX)).await;
    kept.actor.ask(Note(2)).await.unwrap();

    let Err(AskError::ActorFailed { cause: ExitReason::Panicked { text, phase }, .. }) = flaky else {
        panic!("{flaky:?}")
    };
    assert_eq!((&*text, phase), ("flaky 1", ExitPhase::Handle));
    assert_eq!(board.lines(), ["crash 1", "crash 1", "crash 1", "crash 1", "2"]);
    let letter = &runtime.dead_letters().newest()[0];
    assert_eq!((letter.message, letter.tries), ("Flaky", 3));
    assert!(matches!(letter.reason, DeadLetterReason::Crashed(ExitReason::Panicked { .. })));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_without_again_is_not_redelivered_and_leaves_a_dead_letter_with_its_cause() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let sender = runtime.spawn::<Probe>("sender", Board::default()).await.unwrap();
    let target = kept.actor.clone();

    let told = act(move |_, _| {
        Box::pin(async move {
            let boom = act(|_, _| Box::pin(async { panic!("boom") }));
            match target.ask(boom).await {
                Err(AskError::ActorFailed { cause, .. }) => assert!(cause.to_string().contains("boom")),
                other => panic!("{other:?}"),
            }
            Ok(1)
        })
    });
    sender.ask(told).await.unwrap();

    let letter = &runtime.dead_letters().newest()[0];
    assert_eq!(letter.message, "Act");
    assert_eq!(letter.id.0, 1);
    assert_eq!(letter.sender.as_ref().unwrap().as_str(), "sender");
    assert!(matches!(&letter.reason, DeadLetterReason::Crashed(why) if why.to_string().contains("boom")));
    end(runtime).await;
}
