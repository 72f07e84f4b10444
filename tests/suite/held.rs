//! What a handler sends is held with a place in the receiver's mailbox, or told at once that there is none.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;

use greenroom::{ActorRef, ActorSpec, AskError, ExitReason, Overflow, Runtime, TellError};

use crate::support::{
    Act, Board, Gate, Note, Probe, act, end, hold, impatient_runtime, letters, millis, runtime, secs,
};

/// The two ways to send from a handler.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tell,
    Forward,
}

/// A probe whose handler stands in the gate while one note waits behind it: its mailbox is full.
async fn full(runtime: &Runtime, overflow: Overflow) -> (ActorRef<Probe>, Gate, Board) {
    let (board, gate) = (Board::default(), Gate::new());
    let spec = ActorSpec::<Probe>::new("full", board.clone()).capacity(1).overflow(overflow);
    let full = runtime.spawn_spec(spec).await.expect("a fresh name");
    full.try_tell(hold(&gate)).expect("an empty mailbox");
    gate.entered().await;
    full.try_tell(Note(0)).expect("room for one");
    (full, gate, board)
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_to_a_mailbox_that_sheds_it_is_a_dead_letter_and_its_asker_is_told() {
    for way in [Way::Tell, Way::Forward] {
        let runtime = runtime().await;
        let (full, gate, board) = full(&runtime, Overflow::DropNewest).await;
        let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

        let sends = act(move |_, cx| {
            Box::pin(async move {
                match way {
                    Way::Tell => cx.tell(&full, Note(9)).await.map(|()| 0).map_err(Into::into),
                    Way::Forward => cx.forward(&full, Note(9)).await,
                }
            })
        });
        let answer = probe.ask(sends).await;
        gate.open();
        let noted = board.until(1).await;

        match way {
            Way::Tell => assert_eq!(answer.unwrap(), 0),
            Way::Forward => assert!(matches!(answer, Err(AskError::Shed { .. })), "{answer:?}"),
        }
        assert_eq!(letters(&runtime), [("Note", "shed")], "{way:?}");
        assert_eq!(noted, ["0"]);
        end(runtime).await;
    }
}

/// Waits for room at `full`, blocks its thread until the sender of the channel is dropped, and goes on waiting.
fn waits_and_blocks(
    way: Way,
    full: &ActorRef<Probe>,
    gate: &Gate,
    release: mpsc::Receiver<()>,
    refused: &Board,
) -> Act {
    let (full, gate, refused) = (full.clone(), gate.clone(), refused.clone());
    act(move |_, cx| {
        Box::pin(async move {
            let sends = async {
                match way {
                    Way::Tell => {
                        let told = cx.tell(&full, Note(9)).await;
                        refused.write(matches!(told, Err(TellError::SenderFenced { message: Note(9), .. })));
                        Ok(0)
                    }
                    Way::Forward => cx.forward(&full, Note(9)).await,
                }
            };
            let mut sends = pin!(sends);
            let first = poll_fn(|context| Poll::Ready(sends.as_mut().poll(context))).await;
            assert!(first.is_pending(), "there is no room");
            gate.enter();
            // An error is the release.
            let _ = release.recv();
            sends.await
        })
    })
}

/// Goal: who was declared down while it waited for room sends nothing, and the place it was given is free again.
/// Method: it is fenced while it blocks its thread; the room comes then, and it finds it when it wakes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sender_that_was_fenced_while_it_waited_for_room_is_refused_and_its_place_is_free() {
    for way in [Way::Tell, Way::Forward] {
        let runtime = impatient_runtime().await;
        let (full, stands, board) = full(&runtime, Overflow::Wait).await;
        let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
        let (gate, refused) = (Gate::new(), Board::default());
        let (release, released) = mpsc::channel();

        let sends = waits_and_blocks(way, &full, &gate, released, &refused);
        let asked = async { probe.ask(sends).within(secs(60)).await };
        let fenced = async {
            gate.entered().await;
            let exit = probe.stop(millis(10)).await;
            stands.open();
            board.until(1).await;
            drop(release);
            exit
        };
        let (answer, exit) = tokio::join!(asked, fenced);

        assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
        match way {
            Way::Tell => assert_eq!(refused.until(1).await, ["true"]),
            Way::Forward => {
                let Err(AskError::Failed { failure, .. }) = answer else { panic!("{answer:?}") };
                assert!(failure.to_string().contains("was replaced"), "{failure}");
            }
        }
        full.try_tell(Note(10)).expect("the place is free again");
        assert_eq!(board.until(2).await, ["0", "10"]);
        runtime.shutdown(secs(5)).await;
    }
}
