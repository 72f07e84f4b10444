//! Shutdown: ordered, bounded, complete; nothing is left of a runtime that has ended.

use std::sync::Arc;

use greenroom::{
    Actor, ActorSpec, AskError, ExitReason, Failure, LifeState, Open, Runtime, SpawnError, TellError,
};

use crate::support::{Board, Gate, Note, Probe, act, end, hold, keep, millis, runtime, secs};

/// Writes its end on the board.
struct Leaver(Board, &'static str);

impl Actor for Leaver {
    type Args = (Board, &'static str);
    type Inbox = Open<Self>;

    async fn start((board, name): &(Board, &'static str)) -> Result<Self, Failure> {
        Ok(Leaver(board.clone(), name))
    }

    async fn stopping(&mut self, reason: &ExitReason) {
        self.0.write(format!("{} {}", self.1, reason.label()));
    }
}

#[tokio::test(start_paused = true)]
async fn actors_end_in_reverse_start_order_each_with_its_hook() {
    let runtime = runtime().await;
    let board = Board::default();
    for name in ["first", "second", "third"] {
        runtime.spawn::<Leaver>(name, (board.clone(), name)).await.unwrap();
    }

    let report = runtime.shutdown(secs(5)).await;

    assert!(report.is_clean());
    assert_eq!(board.lines(), ["third shutdown", "second shutdown", "first shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_hear_the_stop_is_killed_and_named_and_the_others_end_in_order() {
    let runtime = runtime().await;
    let board = Board::default();
    runtime.spawn::<Leaver>("first", (board.clone(), "first")).await.unwrap();
    let deaf = runtime.spawn::<Probe>("deaf", Board::default()).await.unwrap();
    let gate = Gate::new();
    deaf.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    let before = runtime.clock().now();

    let report = runtime.shutdown(secs(60)).await;

    assert_eq!(report.late.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["deaf"]);
    assert_eq!(runtime.clock().now() - before, secs(5), "the patience of an actor that was spawned");
    assert_eq!(board.lines(), ["first shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_keeps_to_its_deadline() {
    let runtime = runtime().await;
    for name in ["a", "b", "c"] {
        let deaf = runtime.spawn::<Probe>(name, Board::default()).await.unwrap();
        deaf.tell(hold(&Gate::new())).await.unwrap();
        deaf.tell(Note(1)).await.unwrap();
    }
    tokio::task::yield_now().await;
    let before = runtime.clock().now();

    let report = runtime.shutdown(millis(500)).await;

    assert_eq!(report.late.len(), 3);
    assert_eq!(runtime.clock().now() - before, millis(500));
    assert_eq!(runtime.dead_letters().total(), 6, "three cut, three that waited");
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_reports_nobody() {
    let runtime = runtime().await;
    runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let (first, second) = tokio::join!(runtime.shutdown(secs(5)), runtime.shutdown(secs(5)));
    let third = runtime.shutdown(secs(5)).await;

    assert!(first.is_clean() && second.is_clean() && third.is_clean());
}

#[tokio::test(start_paused = true)]
async fn after_a_shutdown_everything_is_refused_with_a_type() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    end(runtime.clone()).await;

    let spawned = runtime.spawn::<Probe>("late", Board::default()).await;
    assert!(matches!(spawned, Err(SpawnError::ShutDown)), "{spawned:?}");
    assert!(matches!(probe.tell(Note(1)).await, Err(TellError::Gone { message: Note(1), .. })));
    assert!(matches!(probe.ask(Note(2)).await, Err(AskError::NotDelivered(TellError::Gone { .. }))));
    assert!(runtime.places().is_empty());
}

#[tokio::test(start_paused = true)]
async fn askers_are_told_when_the_runtime_goes_down() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let gate = Gate::new();
    let in_hand = async { kept.actor.ask(hold(&gate)).within(secs(600)).await };
    let waits = async {
        gate.entered().await;
        kept.actor.ask(Note(1)).within(secs(600)).await
    };
    let down = async {
        gate.entered().await;
        runtime.shutdown(secs(5)).await
    };
    gate.enter();

    let (in_hand, waits, report) = tokio::join!(in_hand, waits, down);

    assert!(matches!(in_hand, Err(AskError::Stopped { .. })));
    assert!(matches!(waits, Err(AskError::Stopped { .. } | AskError::NotDelivered(_))), "{waits:?}");
    assert!(report.late.len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_kills_everything() {
    let runtime = runtime().await;
    let (board, inner) = (Board::default(), Board::default());
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("kept", inner.clone())).await;
    let gate = Gate::new();
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    let other_handle = runtime.clone();

    drop(runtime);
    assert_eq!(kept.actor.ask(Note(1)).await.unwrap(), 1, "one handle is left");
    drop(other_handle);
    probe.closed().await;
    kept.actor.closed().await;
    kept.keeper.place().closed().await;

    assert_eq!(probe.observe().state, LifeState::Closed);
    assert!(matches!(kept.actor.tell(Note(2)).await, Err(TellError::Gone { .. })));
    drop((probe, kept));
    freed(&board).await;
    freed(&inner).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_runtime_that_was_shut_down() {
    let (board, resource) = (Board::default(), Arc::new(()));
    let runtime = Runtime::builder().resource(resource.clone()).start().await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("kept", board.clone())).await;
    let busy = act({
        let (probe, kept) = (probe.clone(), kept.actor.clone());
        move |_, cx| {
            Box::pin(async move {
                cx.send_every(secs(1), || Note(1));
                cx.send_after(secs(3_000), Note(2));
                cx.spawn(std::future::pending::<()>(), |()| Note(3));
                cx.monitor(&kept, |_| Note(4));
                cx.watch_incarnations(&probe, |_, _| Note(5));
                Ok(0)
            })
        }
    });
    probe.ask(busy).await.unwrap();
    kept.actor.ask(act(|_, _| Box::pin(async { panic!("restart") }))).await.unwrap_err();
    kept.actor.ask(Note(1)).await.unwrap();
    assert!(board.holders() > 1 && Arc::strong_count(&resource) > 1);

    end(runtime).await;
    drop((probe, kept));

    freed(&board).await;
    assert_eq!(Arc::strong_count(&resource), 1, "the runtime itself is gone");
}

/// Waits, in scheduler turns and not in time, until the aborted tasks have let go of what they held.
async fn freed(board: &Board) {
    for _ in 0..100 {
        if board.holders() == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} others still hold the board", board.holders() - 1);
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_meets_a_shutdown_starts_or_is_refused_but_leaves_nothing() {
    let runtime = runtime().await;
    let board = Board::default();

    let (spawned, report) =
        tokio::join!(runtime.spawn::<Probe>("probe", board.clone()), runtime.shutdown(secs(5)));

    assert!(report.is_clean());
    assert!(runtime.places().is_empty(), "{:?}", runtime.places());
    drop((spawned, runtime));
    freed(&board).await;
}
