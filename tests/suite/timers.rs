//! Timers, work beside the actor, and the ends of others, as messages.

use greenroom::{ActorRef, ActorSpec, Context, ExitReason, Handler, Message, Overflow, Runtime};

use crate::support::{Act, Board, Gate, Note, Probe, act, end, hold, keep, letters, millis, runtime, secs};

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_after_its_delay() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let before = runtime.clock().now();

    let arms = act(|_, cx| {
        Box::pin(async move {
            cx.send_after(secs(20), Note(2));
            cx.send_after(secs(10), Note(1));
            Ok(0)
        })
    });
    probe.ask(arms).await.unwrap();
    let heard = board.until(2).await;

    assert_eq!(heard, ["1", "2"]);
    assert_eq!((runtime.clock().now() - before).as_secs(), 20);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_tick_comes_every_period_until_it_is_cancelled() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let (hand, handle) = std::sync::mpsc::channel();
    let before = runtime.clock().now();

    let arms = act(move |_, cx| {
        Box::pin(async move {
            hand.send(cx.send_every(secs(10), || Note(1))).expect("the test listens");
            Ok(0)
        })
    });
    probe.ask(arms).await.unwrap();
    board.until(3).await;
    assert_eq!((runtime.clock().now() - before).as_secs(), 30);
    handle.recv().unwrap().cancel();
    runtime.clock().sleep(secs(100)).await;

    assert_eq!(board.lines(), ["1", "1", "1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn ticks_do_not_pile_up_behind_a_slow_handler() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let gate = Gate::new();
    let arms = act({
        let gate = gate.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.send_every(secs(1), || Note(1));
                gate.pass().await;
                Ok(0)
            })
        }
    });
    probe.tell(arms).await.unwrap();
    gate.entered().await;

    runtime.clock().sleep(millis(100_500)).await;

    assert_eq!(probe.observe().waiting, 1);
    gate.open();
    runtime.clock().sleep(millis(2_000)).await;
    assert_eq!(board.lines(), ["1", "1", "1"], "the one that waited, and two more in two seconds");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_their_incarnation() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let arms = act(|_, cx| {
        Box::pin(async move {
            cx.send_after(secs(1), Note(1));
            cx.send_every(secs(1), || Note(2));
            cx.spawn(cx.clock().sleep(secs(1)), |()| Note(3));
            Ok(0)
        })
    });
    kept.actor.ask(arms).await.unwrap();

    kept.actor.ask(act(|_, _| Box::pin(async { panic!("next life") }))).await.unwrap_err();
    runtime.clock().sleep(secs(10)).await;
    kept.actor.ask(Note(9)).await.unwrap();

    assert_eq!(board.lines(), ["9"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn spawned_work_comes_back_as_a_message_while_the_mailbox_is_served() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let work = Gate::new();
    let begins = act({
        let work = work.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.spawn(
                    async move {
                        work.pass().await;
                        7
                    },
                    Note,
                );
                Ok(0)
            })
        }
    });

    probe.ask(begins).await.unwrap();
    work.entered().await;
    probe.ask(Note(1)).await.unwrap();
    work.open();

    assert_eq!(board.until(2).await, ["1", "7"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_whose_mailbox_is_full_waits_for_room_and_is_not_lost() {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(1);
    let probe = runtime.spawn_spec(spec).await.unwrap();
    let gate = Gate::new();
    let arms = act(|_, cx| {
        Box::pin(async move {
            cx.send_after(secs(1), Note(2));
            Ok(0)
        })
    });
    probe.ask(arms).await.unwrap();
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    probe.tell(Note(1)).await.unwrap();

    runtime.clock().sleep(secs(100)).await;
    gate.open();

    assert_eq!(board.until(2).await, ["1", "2"]);
    end(runtime).await;
}

/// The end of somebody, as told by `monitor` or `watch_incarnations`.
struct Ended(String);

impl Message for Ended {
    type Reply = ();
}

impl Handler<Ended> for Probe {
    async fn handle(&mut self, ended: Ended, _cx: &mut Context<'_, Self>) -> Result<(), greenroom::Failure> {
        self.board.write(ended.0);
        Ok(())
    }
}

fn label(reason: Option<ExitReason>) -> Ended {
    Ended(reason.map_or("never ran".to_owned(), |reason| reason.label().to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_monitor_tells_of_the_end_of_a_place_once_and_not_of_its_restarts() {
    let runtime = runtime().await;
    let board = Board::default();
    let watcher = runtime.spawn::<Probe>("watcher", board.clone()).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let watched = kept.actor.clone();
    let watches = act(move |_, cx| {
        Box::pin(async move {
            cx.monitor(&watched, label);
            Ok(0)
        })
    });
    watcher.ask(watches).await.unwrap();

    kept.actor.ask(act(|_, _| Box::pin(async { panic!("restart") }))).await.unwrap_err();
    kept.actor.ask(Note(1)).await.unwrap();
    assert!(board.lines().is_empty());
    kept.actor.stop(secs(1)).await;
    board.until(1).await;
    watcher.ask(Note(2)).await.unwrap();

    assert_eq!(board.lines(), ["shutdown", "2"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_monitor_of_a_place_that_is_gone_tells_at_once() {
    let runtime = runtime().await;
    let board = Board::default();
    let watcher = runtime.spawn::<Probe>("watcher", board.clone()).await.unwrap();
    let gone = runtime.spawn::<Probe>("gone", Board::default()).await.unwrap();
    gone.stop(secs(1)).await;
    gone.closed().await;

    let watches = act(move |_, cx| {
        Box::pin(async move {
            cx.monitor(&gone, label);
            Ok(0)
        })
    });
    watcher.ask(watches).await.unwrap();

    assert_eq!(board.until(1).await, ["shutdown"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn each_end_of_an_incarnation_is_told_to_who_watches_them() {
    let runtime = runtime().await;
    let board = Board::default();
    let watcher = runtime.spawn::<Probe>("watcher", board.clone()).await.unwrap();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    kept.actor.ask(act(|_, _| Box::pin(async { panic!("before") }))).await.unwrap_err();
    kept.actor.ask(Note(1)).await.unwrap();
    let watched = kept.actor.clone();
    let watches = act(move |_, cx| {
        Box::pin(async move {
            cx.watch_incarnations(&watched, |epoch, reason| Ended(format!("{epoch} {}", reason.label())));
            Ok(0)
        })
    });
    watcher.ask(watches).await.unwrap();

    for _ in 0..2 {
        kept.actor.ask(act(|_, _| Box::pin(async { panic!("again") }))).await.unwrap_err();
        kept.actor.ask(Note(1)).await.unwrap();
    }
    kept.actor.stop(secs(1)).await;

    assert_eq!(board.until(3).await, ["2 panicked", "3 panicked", "4 shutdown"]);
    end(runtime).await;
}

/// A probe of which nothing more is accepted: one note waits behind a handler that stands in the gate. `arms` ran first.
async fn full_after(arms: Act, overflow: Overflow, runtime: &Runtime) -> (ActorRef<Probe>, Gate, Board) {
    let (board, gate) = (Board::default(), Gate::new());
    let spec = ActorSpec::<Probe>::new("full", board.clone()).capacity(1).overflow(overflow);
    let full = runtime.spawn_spec(spec).await.expect("a fresh name");
    full.ask(arms).await.expect("it arms");
    full.try_tell(hold(&gate)).expect("an empty mailbox");
    gate.entered().await;
    full.try_tell(Note(0)).expect("room for one");
    (full, gate, board)
}

/// The story: a timer, a result or a notice whose own mailbox was full under a policy that lets nobody wait was lost
/// without a trace.
#[tokio::test(start_paused = true)]
async fn own_mail_that_a_full_mailbox_does_not_take_is_a_dead_letter() {
    for overflow in [Overflow::Reject, Overflow::DropNewest] {
        let runtime = runtime().await;
        let watched = runtime.spawn::<Probe>("watched", Board::default()).await.unwrap();
        let arms = act({
            let watched = watched.clone();
            move |_, cx| {
                Box::pin(async move {
                    cx.send_after(secs(1), Note(1));
                    cx.spawn(cx.clock().sleep(secs(2)), |()| Note(2));
                    cx.monitor(&watched, label);
                    Ok(0)
                })
            }
        });
        let (_full, gate, board) = full_after(arms, overflow, &runtime).await;

        runtime.clock().sleep(secs(3)).await;
        watched.stop(secs(1)).await;
        watched.closed().await;
        runtime.clock().sleep(secs(1)).await;
        gate.open();

        assert_eq!(board.until(1).await, ["0"]);
        assert_eq!(
            letters(&runtime),
            [("Note", "shed"), ("Note", "shed"), ("Ended", "shed")],
            "{overflow:?}"
        );
        end(runtime).await;
    }
}

/// The story: a timer ended for good at the first full moment of its mailbox.
#[tokio::test(start_paused = true)]
async fn a_tick_that_finds_no_room_is_a_dead_letter_and_the_next_come_in_their_time() {
    for overflow in [Overflow::Reject, Overflow::DropNewest] {
        let runtime = runtime().await;
        let arms = act(|_, cx| {
            Box::pin(async move {
                cx.send_every(secs(10), || Note(1));
                Ok(0)
            })
        });
        let (_full, gate, board) = full_after(arms, overflow, &runtime).await;

        runtime.clock().sleep(secs(25)).await;
        assert_eq!(letters(&runtime), [("Note", "shed"); 2], "{overflow:?}");
        gate.open();
        runtime.clock().sleep(secs(20)).await;

        assert_eq!(board.lines(), ["0", "1", "1"], "{overflow:?}");
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn own_mail_that_comes_while_its_actor_drains_is_a_dead_letter() {
    let runtime = runtime().await;
    let arms = act(|_, cx| {
        Box::pin(async move {
            cx.send_after(secs(1), Note(1));
            Ok(0)
        })
    });
    let (full, gate, board) = full_after(arms, Overflow::Wait, &runtime).await;

    full.drain();
    runtime.clock().sleep(secs(2)).await;
    gate.open();
    full.closed().await;

    assert_eq!(board.lines(), ["0"]);
    assert_eq!(letters(&runtime), [("Note", "draining")]);
    end(runtime).await;
}

/// The story: who watched the incarnations of another heard of none any more after the first notice that found no room.
#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_after_a_notice_that_found_no_room() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let arms = act({
        let watched = kept.actor.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.watch_incarnations(&watched, |epoch, reason| Ended(format!("{epoch} {}", reason.label())));
                Ok(0)
            })
        }
    });
    let (_full, gate, board) = full_after(arms, Overflow::Reject, &runtime).await;

    kept.actor.ask(act(|_, _| Box::pin(async { panic!("unheard") }))).await.unwrap_err();
    runtime.clock().sleep(secs(1)).await;
    gate.open();
    board.until(1).await;
    kept.actor.stop(secs(1)).await;

    assert_eq!(board.until(2).await, ["0", "2 shutdown"]);
    let shed: Vec<_> = letters(&runtime).into_iter().filter(|(_, reason)| *reason == "shed").collect();
    assert_eq!(shed, [("Ended", "shed")]);
    end(runtime).await;
}
