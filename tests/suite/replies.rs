//! Asks: each ends with an answer or a typed reason, and in time.

use greenroom::{AskError, Failure, FailureClass, ReplyPort, TellError};

use crate::support::{Board, Gate, Note, Probe, act, end, hold, letters, millis, runtime, secs};

#[tokio::test(start_paused = true)]
async fn an_ask_ends_at_its_deadline() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();
    let before = runtime.clock().now();

    let asked = probe.ask(hold(&gate)).within(secs(2)).await;

    let Err(AskError::DeadlinePassed { to, waited }) = asked else { panic!("{asked:?}") };
    assert_eq!((to.as_str(), waited), ("probe", secs(2)));
    assert_eq!(runtime.clock().now() - before, secs(2));
    gate.open();
    end(runtime).await;
}

/// Goal: an ask that was polled by one task and is awaited by another wakes the one that awaits it.
/// Method: the first poll has a waker that wakes nobody.
#[tokio::test(start_paused = true)]
async fn an_ask_that_changes_its_task_is_answered_there() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let mut asked = Box::pin(probe.ask(Note(7)));

    let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(asked.as_mut().poll(&mut nobody).is_pending());

    assert_eq!(asked.await.unwrap(), 7);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_default_deadline_is_that_of_the_runtime() {
    let config = greenroom::RuntimeConfig { ask_deadline: millis(70), ..Default::default() };
    let runtime = greenroom::Runtime::builder().config(config).start().await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();

    let asked = probe.ask(hold(&gate)).await;

    assert!(matches!(asked, Err(AskError::DeadlinePassed { waited, .. }) if waited == millis(70)));
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_whose_asker_gave_up_is_not_handled_but_a_dead_letter() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let gate = Gate::new();
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;

    let gave_up = probe.ask(Note(1)).within(millis(10)).await;
    gate.open();
    probe.ask(Note(2)).await.unwrap();

    assert!(matches!(gave_up, Err(AskError::DeadlinePassed { .. })));
    assert_eq!(board.lines(), ["2"]);
    assert_eq!(letters(&runtime), [("Note", "expired")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_asker_goes_runs_to_its_end() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (gate, board) = (Gate::new(), Board::default());
    let runs = act({
        let (gate, board) = (gate.clone(), board.clone());
        move |_, cx| {
            Box::pin(async move {
                board.write(cx.is_awaited());
                gate.pass().await;
                board.write(cx.is_awaited());
                Ok(0)
            })
        }
    });

    tokio::select! {
        biased;
        answer = probe.ask(runs) => panic!("{answer:?}"),
        () = gate.entered() => {}
    }
    gate.open();

    assert_eq!(board.until(2).await, ["true", "false"]);
    end(runtime).await;
    // No dead letter: it was handled.
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_later_while_the_actor_goes_on() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let (keep, kept) = std::sync::mpsc::channel::<ReplyPort<u32>>();
    let later = act(move |_, cx| {
        Box::pin(async move { cx.reply_later(|port| keep.send(port).expect("the test listens")) })
    });

    let asked = async { probe.ask(later).await };
    let answered = async {
        probe.ask(Note(1)).await.unwrap();
        let port = kept.recv().unwrap();
        assert!(port.is_open());
        port.send(5).unwrap();
    };
    let (answer, ()) = tokio::join!(asked, answered);

    assert_eq!(answer.unwrap(), 5);
    assert_eq!(letters(&runtime), []);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_dropped_says_so_to_the_asker() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let before = runtime.clock().now();

    let asked = probe.ask(act(|_, cx| Box::pin(async move { cx.reply_later(drop) }))).await;

    assert!(matches!(asked, Err(AskError::NoReply { to }) if to.as_str() == "probe"));
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_outlives_the_incarnation_that_kept_it() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (keep, kept) = std::sync::mpsc::channel::<ReplyPort<u32>>();
    let later = act(move |_, cx| {
        Box::pin(async move {
            cx.stop();
            cx.reply_later(|port| keep.send(port).expect("the test listens"))
        })
    });

    let asked = async { probe.ask(later).await };
    let answered = async {
        probe.closed().await;
        kept.recv().unwrap().send(6).unwrap();
    };
    let (answer, ()) = tokio::join!(asked, answered);

    assert_eq!(answer.unwrap(), 6);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_can_fail_the_ask() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let fails = act(|_, cx| {
        Box::pin(async move { cx.reply_later(|port| port.fail(Failure::invalid("not like that"))) })
    });
    let asked = probe.ask(fails).await;

    assert!(
        matches!(asked, Err(AskError::Refused { failure, .. }) if failure.class() == FailureClass::Invalid)
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_port_of_a_told_message_answers_nobody() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let told = act({
        let board = board.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.reply_later(|port| {
                    board.write(port.is_open());
                    board.write(port.send(3).is_err());
                })
            })
        }
    });

    probe.tell(told).await.unwrap();

    assert_eq!(board.until(2).await, ["false", "true"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_question_is_answered_by_the_other() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let other = runtime.spawn::<Probe>("other", board.clone()).await.unwrap();

    let forwards = act(move |_, cx| Box::pin(async move { cx.forward(&other, Note(8)).await }));
    let answer = probe.ask(forwards).await;

    assert_eq!(answer.unwrap(), 8);
    assert_eq!(board.lines(), ["8"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_forwarded_to_a_deleted_place_fails_at_once() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let other = runtime.spawn::<Probe>("other", Board::default()).await.unwrap();
    other.place().close();
    let before = runtime.clock().now();

    let forwards = act(move |_, cx| Box::pin(async move { cx.forward(&other, Note(8)).await }));
    let answer = probe.ask(forwards).await;

    assert!(
        matches!(answer, Err(AskError::Failed { failure, .. }) if failure.to_string() == "other is gone")
    );
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_question_that_the_other_falls_over_is_told() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let other = runtime.spawn::<Probe>("other", Board::default()).await.unwrap();

    let forwards = act(move |_, cx| {
        let boom = act(|_, _| Box::pin(async { panic!("boom") }));
        Box::pin(async move { cx.forward(&other, boom).await })
    });
    let answer = probe.ask(forwards).await;

    assert!(matches!(answer, Err(AskError::ActorFailed { cause, .. }) if cause.to_string().contains("boom")));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_deleted_place_are_told_stopped() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let gate = Gate::new();

    let asked = async { probe.ask(hold(&gate)).await };
    let behind = async { probe.ask(Note(1)).await };
    let closed = async {
        gate.entered().await;
        probe.place().close();
    };
    let (first, second, ()) = tokio::join!(asked, behind, closed);

    assert!(matches!(first, Err(AskError::Stopped { .. })));
    assert!(matches!(second, Err(AskError::Stopped { .. })));
    let third = probe.ask(Note(2)).await;
    let Err(AskError::NotDelivered(TellError::Gone { message, .. })) = third else { panic!("{third:?}") };
    assert_eq!(message, Note(2));
    end(runtime).await;
}
