//! A stop is heard: by waiting handlers, by `start`, and, if need be, by a fence.

use greenroom::{
    Actor, ActorSpec, AskError, Context, ExitPhase, ExitReason, Failure, Handler, LifeState, Open, Runtime,
    SpawnError, TellError,
};

use crate::support::{
    Board, Comeback, Gate, Note, Probe, Relaunch, act, end, hold, keep, keep_as, letters, millis, runtime,
    secs,
};

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_a_handler_that_listens_and_it_answers_its_asker() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();
    let listens = act({
        let gate = gate.clone();
        move |_, cx| {
            Box::pin(async move {
                tokio::select! { () = gate.pass() => Ok(1), () = cx.stopping() => Ok(2) }
            })
        }
    });
    let asked = async { probe.ask(listens).await };
    let stopped = async {
        gate.entered().await;
        probe.stop(secs(5)).await
    };

    let (answer, exit) = tokio::join!(asked, stopped);

    assert_eq!(answer.unwrap(), 2);
    assert!(matches!(exit, Some(ExitReason::Shutdown)));
    assert_eq!(runtime.dead_letters().total(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_listen_is_cut_when_patience_ends() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();
    let before = runtime.clock().now();
    let asked = async { probe.ask(hold(&gate)).await };
    let stopped = async {
        gate.entered().await;
        probe.stop(secs(3)).await
    };

    let (answer, exit) = tokio::join!(asked, stopped);

    assert!(matches!(answer, Err(AskError::Stopped { .. })));
    assert!(matches!(exit, Some(ExitReason::Killed { phase: ExitPhase::Handle })));
    assert_eq!(runtime.clock().now() - before, secs(3));
    assert_eq!(letters(&runtime), [("Act", "cut")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_actor_stops_at_once() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let before = runtime.clock().now();

    let exit = probe.stop(secs(5)).await;

    assert!(matches!(exit, Some(ExitReason::Shutdown)));
    assert_eq!(runtime.clock().now(), before);
    assert!(matches!(probe.closed().await, Some(ExitReason::Shutdown)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_between_messages_and_the_rest_is_reported() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let gate = Gate::new();
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    probe.tell(Note(1)).await.unwrap();

    let stopped = async { probe.stop(secs(5)).await };
    let (exit, ()) = tokio::join!(stopped, async { gate.open() });
    probe.closed().await;

    assert!(matches!(exit, Some(ExitReason::Shutdown)));
    assert!(board.lines().is_empty());
    assert_eq!(letters(&runtime), [("Note", "gone")]);
    end(runtime).await;
}

/// Starts as its arguments say.
struct Starter;

enum Start {
    Hangs(Gate),
    Panics,
    Fails,
}

impl Actor for Starter {
    type Args = Start;
    type Inbox = Open<Self>;

    async fn start(how: &Start) -> Result<Self, Failure> {
        match how {
            Start::Hangs(gate) => {
                gate.pass().await;
                Ok(Starter)
            }
            Start::Panics => panic!("no start today"),
            Start::Fails => Err(Failure::external("no database")),
        }
    }
}

impl Handler<Note> for Starter {
    async fn handle(&mut self, note: Note, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        Ok(note.0)
    }
}

fn start_error(spawned: Result<greenroom::ActorRef<Starter>, SpawnError>) -> ExitReason {
    match spawned {
        Err(SpawnError::StartFailed { path, reason }) => {
            assert_eq!(path.as_str(), "starter");
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_fails_at_its_deadline() {
    let runtime = runtime().await;
    let spec = ActorSpec::<Starter>::new("starter", Start::Hangs(Gate::new())).start_within(secs(2));
    let before = runtime.clock().now();

    let reason = start_error(runtime.spawn_spec(spec).await);

    assert!(matches!(reason, ExitReason::StartTimedOut));
    assert_eq!(runtime.clock().now() - before, secs(2));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_panics_is_a_failed_start_with_its_text() {
    let runtime = runtime().await;

    let reason = start_error(runtime.spawn::<Starter>("starter", Start::Panics).await);

    let ExitReason::Panicked { phase: ExitPhase::Start, text } = reason else { panic!("{reason:?}") };
    assert_eq!(&*text, "no start today");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_told_with_its_cause() {
    let runtime = runtime().await;

    let reason = start_error(runtime.spawn::<Starter>("starter", Start::Fails).await);

    let ExitReason::Failed { phase: ExitPhase::Start, failure } = reason else { panic!("{reason:?}") };
    assert_eq!(failure.to_string(), "no database");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_leaves_nothing_behind_and_its_name_is_free() {
    let runtime = runtime().await;
    start_error(runtime.spawn::<Starter>("starter", Start::Fails).await);

    assert!(runtime.places().is_empty());
    let opened = Gate::new();
    opened.open();
    let second = runtime.spawn::<Starter>("starter", Start::Hangs(opened)).await.unwrap();

    assert_eq!(second.ask(Note(1)).await.unwrap(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_heard_during_start() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let spawned = runtime.spawn::<Starter>("starter", Start::Hangs(gate.clone()));
    let killed = async {
        gate.entered().await;
        let place = runtime.places().remove(0);
        assert_eq!(place.state(), LifeState::Starting);
        place.kill();
    };

    let (spawned, ()) = tokio::join!(spawned, killed);

    assert!(matches!(start_error(spawned), ExitReason::Killed { phase: ExitPhase::Start }));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_handles_what_waits_and_refuses_what_comes() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let gate = Gate::new();
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    probe.tell(Note(1)).await.unwrap();
    probe.tell(Note(2)).await.unwrap();

    probe.drain();
    let refused = probe.tell(Note(3)).await;
    assert_eq!(probe.observe().state, LifeState::Draining);
    gate.open();
    let exit = probe.closed().await;

    assert!(matches!(refused, Err(TellError::Draining { message: Note(3), .. })));
    assert!(matches!(exit, Some(ExitReason::Normal)));
    assert_eq!(board.lines(), ["1", "2"]);
    assert_eq!(runtime.dead_letters().total(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_between_two_lives_is_taken_up_by_the_next() {
    // A place that was drained while vacant once spun for ever in its next life.
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone());
    let kept = keep_as(&runtime, spec, Comeback::WhenTold).await;
    let down = kept.actor.ask(act(|_, _| Box::pin(async { panic!("down") }))).await;
    assert!(matches!(down, Err(AskError::ActorFailed { .. })));
    kept.actor.tell(Note(1)).await.unwrap();

    kept.actor.drain();
    kept.keeper.post(Relaunch(kept.actor.path().clone())).unwrap();
    let exit = kept.actor.closed().await;

    assert!(matches!(exit, Some(ExitReason::Normal)));
    assert_eq!(board.lines(), ["1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_does_not_call_a_drain_off() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let gate = Gate::new();
    kept.actor.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    kept.actor.tell(act(|_, _| Box::pin(async { panic!("down") }))).await.unwrap();
    kept.actor.tell(Note(1)).await.unwrap();

    kept.actor.drain();
    gate.open();
    let exit = kept.actor.closed().await;

    assert!(matches!(exit, Some(ExitReason::Normal)));
    assert_eq!(kept.exits.lines(), ["panicked", "normal"]);
    assert_eq!(board.lines(), ["1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_stops_itself_ends_normally_after_its_message() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let leaves = act(|_, cx| {
        Box::pin(async move {
            cx.stop();
            Ok(5)
        })
    });
    let answer = probe.ask(leaves).await;

    assert_eq!(answer.unwrap(), 5);
    assert!(matches!(probe.closed().await, Some(ExitReason::Normal)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_at_an_actor_does_not_wait_for_its_handler() {
    let runtime: Runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();
    probe.tell(hold(&gate)).await.unwrap();
    probe.tell(Note(1)).await.unwrap();
    gate.entered().await;

    let seen = probe.observe();

    assert_eq!((seen.state, seen.waiting, seen.restarts), (LifeState::Running, 1, 0));
    let in_hand = seen.in_hand.unwrap();
    assert_eq!((in_hand.message, in_hand.id.0, in_hand.tries), ("Act", 1, 0));
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_does_not_wait_for_patience() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let gate = Gate::new();
    let before = runtime.clock().now();
    let asked = async { kept.actor.ask(hold(&gate)).within(millis(500)).await };
    let killed = async {
        gate.entered().await;
        kept.actor.kill();
    };

    let (answer, ()) = tokio::join!(asked, killed);

    assert!(matches!(answer, Err(AskError::Stopped { .. })));
    assert_eq!(runtime.clock().now(), before);
    assert_eq!(kept.exits.until(1).await, ["killed"]);
    end(runtime).await;
}
