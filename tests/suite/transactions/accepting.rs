//! What it takes to be accepted: the message is on disk.

use std::pin::pin;

use greenroom::testing::Fault;
use greenroom::{AskError, TellError};

use super::{Disk, forgetful, plain};
use crate::support::{Board, Note, Probe, letters, millis, secs, soon};

/// Waits until commit `nth` is held, and everything that can go on meanwhile has.
macro_rules! pending_at {
    ($future:ident, $process:ident, $nth:expr) => {
        let bystander = $process.runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();
        let checked = async {
            soon($process.store.commit_arrived($nth)).await;
            bystander.ask(Note(0)).await.unwrap();
        };
        tokio::select! {
            biased;
            _ = &mut $future => panic!("ready before its message was on disk"),
            () = checked => {}
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_tell_is_ready_when_its_message_is_on_disk_and_not_before() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    let next = process.store.commits() + 1;
    let held = process.store.hold_commits();

    let mut told = pin!(async { clerk.tell(plain(1)).await });
    pending_at!(told, process, next);
    let before = (disk.inbox("clerk"), clerk.observe().waiting);
    drop(held);
    told.await.unwrap();

    assert_eq!(before, (vec![0], 1), "it has its place in the mailbox, and is not in it");
    assert_eq!(disk.inbox("clerk"), [0, 1]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_ready_when_its_message_is_on_disk_and_not_before() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    let next = process.store.commits() + 1;
    let held = process.store.hold_commits();

    let mut ticket = clerk.post(plain(1)).unwrap();
    pending_at!(ticket, process, next);
    let before = disk.inbox("clerk");
    drop(held);
    ticket.await.unwrap();

    assert_eq!(before, [0]);
    assert_eq!(disk.inbox("clerk"), [0, 1]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_posted_and_not_kept_is_a_dead_letter_and_its_ticket_says_why() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    process.store.fail_next_commit(Fault::NoSpace);

    let ticket = clerk.post(plain(1)).unwrap().await;
    let later = clerk.post(plain(2));

    assert!(matches!(ticket, Err(greenroom::StoreError::NoSpace)), "{ticket:?}");
    assert!(matches!(later, Err(TellError::StoreUnavailable { message, .. }) if message == plain(2)));
    assert_eq!(letters(&process.runtime), [("entry", "unstored")]);
    assert_eq!((disk.inbox("clerk"), clerk.observe().waiting), (vec![0], 0), "the place is given back");
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn the_ticket_of_a_message_to_an_actor_without_a_stored_mailbox_is_ready_at_once() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.runtime.spawn_spec(forgetful("clerk", &process.office)).await.unwrap();
    let commits = process.store.commits();

    clerk.post(plain(1)).unwrap().await.unwrap();

    assert_eq!(clerk.ask(plain(2)).await.unwrap(), [1, 2]);
    assert_eq!(process.store.commits(), commits);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_store_did_not_keep_comes_back_to_its_sender() {
    for tells in [true, false] {
        let disk = Disk::default();
        let process = disk.process().await;
        let clerk = process.busy_clerk("clerk").await;
        process.store.fail_next_commit(Fault::Write);

        let message = if tells {
            clerk.tell(plain(1)).await.unwrap_err().into_message()
        } else {
            match clerk.ask(plain(1)).await.unwrap_err() {
                AskError::NotDelivered(error) => error.into_message(),
                other => panic!("{other:?}"),
            }
        };

        assert_eq!(message, plain(1));
        assert_eq!((disk.inbox("clerk"), clerk.observe().waiting), (vec![0], 0));
        assert!(letters(&process.runtime).is_empty());
        process.dies().await;
    }
}

/// The story: an ask waited for the store for as long as that took, whatever its own deadline. In real time, since a commit
/// that is held stops a paused clock.
#[tokio::test]
async fn an_ask_waits_for_a_store_that_hangs_no_longer_than_its_deadline_and_is_not_handled_later() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;
    let held = process.store.hold_commits();

    let answer = soon(clerk.ask(plain(1)).within(millis(20))).await;
    drop(held);
    let heard = clerk.ask(plain(2)).within(secs(60)).await.unwrap();

    assert!(matches!(answer, Err(AskError::DeadlinePassed { .. })), "{answer:?}");
    assert_eq!((heard, disk.laid_aside("clerk")), (vec![2], vec![1]));
    process.dies().await;
}
