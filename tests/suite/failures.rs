//! The class of a failure decides what follows: the table of the design, for actors without a store.

use greenroom::{
    ActorSpec, AskError, DeadLetterReason, ExitPhase, ExitReason, Failure, FailureClass, RuntimeEvent,
};

use crate::support::{Act, Board, Note, Probe, act, end, keep, letters, runtime};

/// Changes the state, holds a send back to itself, and fails.
fn fails(class: FailureClass) -> Act {
    act(move |probe, cx| {
        Box::pin(async move {
            probe.board.write("ran");
            cx.tell(&cx.me(), Note(66)).await?;
            Err(Failure::of(class, "as the test wants"))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_bug_ends_the_incarnation_and_its_asker_learns_the_cause() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;

    let asked = kept.actor.ask(fails(FailureClass::Bug)).await;
    kept.actor.ask(Note(1)).await.unwrap();

    let Err(AskError::ActorFailed { cause: ExitReason::Failed { phase, failure }, .. }) = asked else {
        panic!("{asked:?}")
    };
    assert_eq!((phase, failure.class()), (ExitPhase::Handle, FailureClass::Bug));
    assert_eq!(kept.exits.lines(), ["failed"]);
    assert_eq!(letters(&runtime), [("Act", "crashed")]);
    assert_eq!(board.lines(), ["ran", "1"], "the held send was dropped");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_bug() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;

    let asked = kept.actor.ask(act(|_, _| Box::pin(async { panic!("ouch") }))).await;

    let Err(AskError::ActorFailed { cause, .. }) = asked else { panic!("{asked:?}") };
    assert_eq!(cause.class(), Some(FailureClass::Bug));
    assert_eq!(kept.exits.until(1).await, ["panicked"]);
    end(runtime).await;
}

/// Asks and tells with a failure of `class`, and checks that the same incarnation goes on with its state.
async fn goes_on(class: FailureClass, told: &str, asked_letters: &[(&str, &str)]) -> AskError<Act> {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;

    let asked = kept.actor.ask(fails(class)).await;
    assert_eq!(letters(&runtime), asked_letters);
    kept.actor.tell(fails(class)).await.expect("room");
    kept.actor.ask(Note(1)).await.expect("it goes on");

    assert_eq!(letters(&runtime).last(), Some(&("Act", told)));
    assert_eq!(board.lines(), ["ran", "ran", "1"], "both held sends were dropped");
    assert_eq!(kept.actor.observe().restarts, 0);
    assert_eq!(kept.actor.observe().waiting, 0, "their places were given back");
    end(runtime).await;
    asked.expect_err("it failed")
}

#[tokio::test(start_paused = true)]
async fn an_external_failure_is_told_and_the_incarnation_goes_on() {
    let error = goes_on(FailureClass::External, "failed", &[]).await;

    assert!(matches!(error, AskError::Failed { failure, .. } if failure.class() == FailureClass::External));
}

#[tokio::test(start_paused = true)]
async fn invalid_input_is_refused_and_the_incarnation_goes_on() {
    let error = goes_on(FailureClass::Invalid, "failed", &[]).await;

    assert!(matches!(error, AskError::Refused { failure, .. } if failure.to_string() == "as the test wants"));
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_bound_is_told_and_leaves_a_dead_letter() {
    let error = goes_on(FailureClass::Exhausted, "exhausted", &[("Act", "exhausted")]).await;

    assert!(matches!(error, AskError::Failed { failure, .. } if failure.class() == FailureClass::Exhausted));
}

#[tokio::test(start_paused = true)]
async fn cancelled_work_is_told_to_its_asker_or_left_as_a_dead_letter() {
    let error = goes_on(FailureClass::Cancelled, "cut", &[]).await;

    assert!(matches!(error, AskError::Failed { failure, .. } if failure.class() == FailureClass::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_failed_neighbour_is_an_external_failure_of_the_one_who_asked() {
    let runtime = runtime().await;
    let asker = runtime.spawn::<Probe>("asker", Board::default()).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;

    let asks = act({
        let probe = kept.actor.clone();
        move |_, _| Box::pin(async move { Ok(probe.ask(fails(FailureClass::Bug)).await?) })
    });
    let answer = asker.ask(asks).await;

    assert!(
        matches!(answer, Err(AskError::Failed { failure, .. }) if failure.class() == FailureClass::External)
    );
    assert_eq!(asker.observe().restarts, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn held_sends_leave_only_when_the_handler_is_done() {
    let runtime = runtime().await;
    let target = Board::default();
    let bystander = runtime.spawn::<Probe>("bystander", target.clone()).await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = crate::support::Gate::new();
    let holds = act({
        let (gate, bystander) = (gate.clone(), bystander.clone());
        move |_, cx| {
            Box::pin(async move {
                cx.tell(&bystander, Note(1)).await?;
                gate.pass().await;
                Ok(0)
            })
        }
    });

    let asked = async { probe.ask(holds).await.unwrap() };
    let checked = async {
        gate.entered().await;
        bystander.ask(Note(0)).await.unwrap();
        assert_eq!(bystander.observe().waiting, 1, "its place is held");
        gate.open();
    };
    tokio::join!(asked, checked);

    assert_eq!(target.until(2).await, ["0", "1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn places_of_held_sends_are_given_back_when_the_handler_fails() {
    let runtime = runtime().await;
    let spec = ActorSpec::<Probe>::new("bystander", Board::default()).capacity(1);
    let bystander = runtime.spawn_spec(spec).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    for class in [FailureClass::Bug, FailureClass::External, FailureClass::Invalid] {
        let holds = act({
            let bystander = bystander.clone();
            move |_, cx| {
                Box::pin(async move {
                    cx.tell(&bystander, Note(1)).await?;
                    Err(Failure::of(class, "no"))
                })
            }
        });

        kept.actor.ask(holds).await.unwrap_err();

        assert_eq!(bystander.observe().waiting, 0, "{class:?}");
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_held_send_to_a_place_deleted_meanwhile_becomes_a_dead_letter() {
    let runtime = runtime().await;
    let bystander = runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let holds = act({
        let bystander = bystander.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.tell(&bystander, Note(1)).await?;
                bystander.place().close();
                Ok(0)
            })
        }
    });
    probe.ask(holds).await.unwrap();

    let letter = &runtime.dead_letters().newest()[0];
    assert!(matches!(letter.reason, DeadLetterReason::Gone));
    assert_eq!((letter.to.as_str(), letter.message), ("bystander", "Note"));
    assert_eq!(letter.sender.as_ref().unwrap().as_str(), "probe");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_life_is_told_as_events_in_their_order() {
    let runtime = runtime().await;
    let mut events = runtime.events();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    probe.ask(act(|_, _| Box::pin(async { panic!("ouch") }))).await.unwrap_err();
    probe.closed().await;
    end(runtime).await;

    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(match event {
            RuntimeEvent::Started { path, epoch } => format!("started {path} {epoch}"),
            RuntimeEvent::Ended { path, epoch, reason } => format!("ended {path} {epoch} {}", reason.label()),
            RuntimeEvent::Closed { path } => format!("closed {path}"),
            RuntimeEvent::DeadLetter(letter) => format!("letter {} {}", letter.number, letter.reason.label()),
            other => format!("{other:?}"),
        });
    }
    let of_probe: Vec<&str> = told.iter().map(String::as_str).filter(|line| !line.contains("root")).collect();
    assert_eq!(of_probe, ["started probe 1", "letter 1 crashed", "ended probe 1 panicked", "closed probe"]);
}
