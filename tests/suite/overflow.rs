//! A full mailbox under each policy: bounded, typed, fair, and nothing vanishes.
#![expect(clippy::disallowed_methods, reason = "senders outside of the tree are plain tokio tasks")]

use std::sync::Arc;

use greenroom::{ActorRef, ActorSpec, AskError, Overflow, Runtime, TellError};
use tokio::sync::Barrier;

use crate::support::{Board, Gate, Note, Probe, act, end, hold, letters, millis, runtime, secs};

/// A probe whose handler stands in the gate while `waiting` notes, numbered from 0, wait behind it.
async fn stuck(runtime: &Runtime, overflow: Overflow, capacity: usize) -> (ActorRef<Probe>, Gate, Board) {
    let (board, gate) = (Board::default(), Gate::new());
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(capacity).overflow(overflow);
    let probe = runtime.spawn_spec(spec).await.expect("a fresh name");
    probe.try_tell(hold(&gate)).expect("an empty mailbox");
    gate.entered().await;
    for n in 0..capacity {
        probe.try_tell(Note(n as u32)).expect("within the capacity");
    }
    assert_eq!(probe.observe().waiting, capacity);
    (probe, gate, board)
}

#[tokio::test(start_paused = true)]
async fn wait_gives_the_message_back_when_its_deadline_passes() {
    let runtime = runtime().await;
    let (probe, _gate, _) = stuck(&runtime, Overflow::Wait, 2).await;
    let before = runtime.clock().now();

    let refused = probe.tell(Note(7)).within(secs(3)).await;

    let Err(TellError::MailboxFull { to, capacity, waited, message }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((to.as_str(), capacity, waited, message), ("probe", 2, secs(3), Note(7)));
    assert_eq!(runtime.clock().now() - before, secs(3));
    assert_eq!(probe.observe().waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn try_tell_never_waits() {
    let runtime = runtime().await;
    let (probe, _gate, _) = stuck(&runtime, Overflow::Wait, 2).await;

    let refused = probe.try_tell(Note(7));

    assert!(matches!(refused, Err(TellError::MailboxFull { message: Note(7), capacity: 2, .. })));
    assert_eq!(runtime.dead_letters().total(), 0, "the message went back to its sender");
}

#[tokio::test(start_paused = true)]
async fn senders_in_line_are_served_first_come_first_served() {
    let runtime = runtime().await;
    let (probe, gate, board) = stuck(&runtime, Overflow::Wait, 2).await;
    let mut line: Vec<_> = (10..30).map(|n| in_line(&probe, n)).collect();
    for sender in &mut line {
        assert!(poll_once(sender).is_pending());
    }

    gate.open();
    for sender in line {
        sender.await.unwrap();
    }
    probe.ask(Note(99)).await.unwrap();

    let expected: Vec<String> = [0, 1].into_iter().chain(10..30).chain([99]).map(|n| n.to_string()).collect();
    assert_eq!(board.lines(), expected);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_the_line_even_when_there_is_room() {
    // The reader lets the line move in lots of a quarter of the mailbox; what it has freed meanwhile is the line's.
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(8);
    let probe = runtime.spawn_spec(spec).await.unwrap();
    probe.try_tell(hold(&gate)).unwrap();
    gate.entered().await;
    probe.try_tell(Note(0)).unwrap();
    let pushes_in = act({
        let probe = probe.clone();
        move |_, _| Box::pin(async move { probe.try_tell(Note(20)).map(|()| 0).map_err(Into::into) })
    });
    probe.try_tell(pushes_in).unwrap();
    for n in 1..7 {
        probe.try_tell(Note(n)).unwrap();
    }
    let mut line: Vec<_> = (10..13).map(|n| in_line(&probe, n)).collect();
    for sender in &mut line {
        assert!(poll_once(sender).is_pending());
    }

    gate.open();
    for sender in line {
        sender.await.unwrap();
    }
    probe.ask(Note(99)).await.unwrap();

    assert_eq!(board.lines(), ["0", "1", "2", "3", "4", "5", "6", "10", "11", "12", "99"]);
    assert_eq!(letters(&runtime), [("Act", "failed")], "it was refused, as the places were promised");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_lets_the_line_move_by_single_places() {
    let runtime = runtime().await;
    let (first, second) = (Gate::new(), Gate::new());
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).capacity(8);
    let probe = runtime.spawn_spec(spec).await.unwrap();
    probe.try_tell(hold(&first)).unwrap();
    first.entered().await;
    probe.try_tell(Note(0)).unwrap();
    probe.try_tell(hold(&second)).unwrap();
    for n in 1..7 {
        probe.try_tell(Note(n)).unwrap();
    }
    let mut line: Vec<_> = (10..12).map(|n| in_line(&probe, n)).collect();
    for sender in &mut line {
        assert!(poll_once(sender).is_pending());
    }

    first.open();
    second.entered().await;

    // Two were taken: less than a lot of a quarter was free at any time, and still both got a place.
    let before = runtime.clock().now();
    for sender in line {
        sender.await.unwrap();
    }
    assert_eq!(runtime.clock().now(), before);
    second.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_a_failed_handler_held_goes_to_the_line() {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(1);
    let probe = runtime.spawn_spec(spec).await.unwrap();
    let holder = runtime.spawn::<Probe>("holder", Board::default()).await.unwrap();
    let gate = Gate::new();
    let holds_and_fails = act({
        let (probe, gate) = (probe.clone(), gate.clone());
        move |_, cx| {
            Box::pin(async move {
                cx.tell(&probe, Note(1)).await?;
                gate.pass().await;
                Err(greenroom::Failure::invalid("no"))
            })
        }
    });
    holder.tell(holds_and_fails).await.unwrap();
    gate.entered().await;
    let mut waiting = in_line(&probe, 2);
    assert!(poll_once(&mut waiting).is_pending());
    let before = runtime.clock().now();

    gate.open();
    waiting.await.unwrap();

    assert_eq!(runtime.clock().now(), before);
    assert_eq!(board.until(1).await, ["2"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_tell_that_is_dropped_gives_its_turn_to_the_next() {
    let runtime = runtime().await;
    let (probe, gate, board) = stuck(&runtime, Overflow::Wait, 2).await;
    let mut line: Vec<_> = (10..15).map(|n| in_line(&probe, n)).collect();
    for sender in &mut line {
        assert!(poll_once(sender).is_pending());
    }

    drop(line.remove(0));
    drop(line.remove(2));
    gate.open();
    for sender in line {
        sender.await.unwrap();
    }
    probe.ask(Note(99)).await.unwrap();

    assert_eq!(board.lines(), ["0", "1", "11", "12", "14", "99"]);
    assert_eq!(probe.observe().waiting, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_granted_to_a_dropped_tell_is_given_back() {
    let runtime = runtime().await;
    let (probe, gate, board) = stuck(&runtime, Overflow::Wait, 1).await;
    let mut granted = in_line(&probe, 10);
    assert!(poll_once(&mut granted).is_pending());
    gate.open();
    board.until(1).await;

    // The place is its own by now, but it was not polled again.
    drop(granted);
    probe.try_tell(Note(11)).unwrap();
    probe.ask(Note(12)).await.unwrap();

    assert_eq!(board.lines(), ["0", "11", "12"]);
    assert_eq!(probe.observe().waiting, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn reject_refuses_at_once_with_the_message() {
    let runtime = runtime().await;
    let (probe, _gate, _) = stuck(&runtime, Overflow::Reject, 2).await;

    let told = probe.tell(Note(7)).await;
    let asked = probe.ask(Note(8)).await;

    assert!(matches!(told, Err(TellError::MailboxFull { message: Note(7), .. })));
    let Err(AskError::NotDelivered(TellError::MailboxFull { message, .. })) = asked else {
        panic!("{asked:?}")
    };
    assert_eq!(message, Note(8));
    assert_eq!(runtime.dead_letters().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn drop_newest_sheds_the_new_message_and_tells_its_asker() {
    let runtime = runtime().await;
    let (probe, gate, board) = stuck(&runtime, Overflow::DropNewest, 2).await;

    probe.tell(Note(7)).await.unwrap();
    let asked = probe.ask(Note(8)).await;
    gate.open();
    board.until(2).await;

    assert!(matches!(asked, Err(AskError::Shed { .. })));
    assert_eq!(letters(&runtime), [("Note", "shed"), ("Note", "shed")]);
    assert_eq!(board.lines(), ["0", "1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_sheds_the_oldest_also_when_the_actor_has_it_in_its_batch() {
    let runtime = runtime().await;
    let (probe, first, board) = stuck(&runtime, Overflow::DropOldest, 4).await;
    // 0 is shed for a second hold. When the first gate opens, 1 is handled and the rest is one batch.
    let second = Gate::new();
    probe.try_tell(hold(&second)).unwrap();
    for n in 4..7 {
        probe.try_tell(Note(n)).unwrap();
    }
    first.open();
    second.entered().await;
    assert_eq!(letters(&runtime).len(), 4, "0 to 3 were shed");
    for n in 7..9 {
        probe.try_tell(Note(n)).unwrap();
    }

    // 4, 5 and 6 lay in the batch; 4 had to go for 8, and 5 goes for 99.
    assert_eq!(probe.observe().waiting, 4);
    second.open();
    probe.ask(Note(99)).await.unwrap();

    assert_eq!(board.lines(), ["6", "7", "8", "99"]);
    assert_eq!(letters(&runtime), [("Note", "shed"); 6]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_is_shed_while_it_waits_is_told_so() {
    let runtime = runtime().await;
    let (probe, gate, _) = stuck(&runtime, Overflow::DropOldest, 1).await;
    let mut asked = Box::pin(probe.ask(Note(7)));
    assert!(poll_once(&mut asked).is_pending());

    probe.tell(Note(8)).await.unwrap();

    assert!(matches!(asked.await, Err(AskError::Shed { to }) if to.as_str() == "probe"));
    assert_eq!(runtime.dead_letters().newest()[1].id.0, 3, "the fourth message but one has its number");
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn those_in_line_are_refused_when_the_place_is_deleted() {
    let runtime = runtime().await;
    let (probe, _gate, _) = stuck(&runtime, Overflow::Wait, 1).await;
    let mut waiting = in_line(&probe, 10);
    assert!(poll_once(&mut waiting).is_pending());

    probe.place().close();

    assert!(matches!(waiting.await, Err(TellError::Gone { message: Note(10), .. })));
    assert_eq!(letters(&runtime), [("Act", "cut"), ("Note", "gone")]);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_among_many_senders() {
    let runtime = runtime().await;
    let board = Board::default();
    for capacity in [1, 2, 5, 8] {
        let spec = ActorSpec::<Probe>::new(format!("probe-{capacity}"), board.clone()).capacity(capacity);
        let probe = runtime.spawn_spec(spec).await.unwrap();
        let together = Arc::new(Barrier::new(32));

        let senders: Vec<_> = (0..32)
            .map(|sender| {
                let (probe, together) = (probe.clone(), together.clone());
                tokio::spawn(async move {
                    together.wait().await;
                    for n in 0..50 {
                        match (sender + n) % 4 {
                            // One in four gives up quickly, and so exercises the way out of the line.
                            0 => drop(probe.tell(Note(n)).within(millis(0)).await),
                            1 => drop(probe.ask(Note(n)).within(secs(60)).await.unwrap()),
                            _ => probe.tell(Note(n)).within(secs(60)).await.unwrap(),
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }

        probe.ask(Note(0)).within(secs(60)).await.unwrap();
        assert_eq!(probe.observe().waiting, 0, "every place was given back");
    }
    end(runtime).await;
}

type Sender<'a> = std::pin::Pin<Box<greenroom::Tell<'a, Probe, Note>>>;

fn in_line(probe: &ActorRef<Probe>, n: u32) -> Sender<'_> {
    Box::pin(probe.tell(Note(n)).within(secs(60)))
}

/// Polls once, so that the future stands in line.
fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut context)
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_always_finds_room_lets_others_run() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Reject, Overflow::Wait] {
        let runtime = runtime().await;
        let capacity = if overflow == Overflow::Wait { 20_000 } else { 4 };
        let spec = ActorSpec::<Probe>::new("probe", Board::default()).capacity(capacity).overflow(overflow);
        let probe = runtime.spawn_spec(spec).await.unwrap();
        let other = tokio::spawn(async {});
        let mut told = 0;

        while !other.is_finished() && told < 10_000 {
            let _or_full: Result<(), TellError<Note>> = probe.tell(Note(told)).await;
            told += 1;
        }

        assert!(told < 10_000, "{overflow:?}: nobody else had a turn on this thread");
        end(runtime).await;
    }
}
