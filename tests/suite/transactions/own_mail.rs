//! What a durable actor tells itself: timers and the results of work beside it go through its stored inbox.

use std::sync::mpsc;

use greenroom::testing::Fault;
use greenroom::{ExitReason, Runtime, RuntimeConfig};

use super::{Disk, Then, clerk, entry, plain};
use crate::support::{keep, letters, millis, secs, soon};

#[tokio::test(start_paused = true)]
async fn what_an_actor_told_itself_comes_back_in_the_next_process_once_it_was_accepted() {
    for (then, own) in [(Then::Reminds, 101), (Then::Works, 201)] {
        let disk = Disk::default();
        let process = disk.process().await;
        let clerk = process.clerk("clerk").await;
        clerk.tell(entry(1, then)).await.unwrap();
        clerk.tell(entry(0, Then::Waits)).await.unwrap();
        process.office.gate.entered().await;
        process.runtime.clock().sleep(secs(2)).await;
        let on_disk = disk.inbox("clerk");
        process.dies().await;

        assert_eq!(on_disk, [0, own]);
        assert_eq!(disk.heard("clerk").await.0, [1, 0, own, 9]);
    }
}

/// What is not due yet is in no inbox: it is gone with its life, as the documentation says.
#[tokio::test(start_paused = true)]
async fn a_timer_that_is_not_due_when_the_process_dies_is_gone() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.clerk("clerk").await.ask(entry(1, Then::Reminds)).await.unwrap();
    process.dies().await;

    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;
    process.runtime.clock().sleep(secs(2)).await;

    assert_eq!(clerk.ask(plain(9)).await.unwrap(), [1, 9]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn own_mail_that_the_store_does_not_keep_is_a_dead_letter() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.clerk("clerk").await.ask(entry(1, Then::Reminds)).await.unwrap();
    process.store.fail_next_commit(Fault::Write);

    process.runtime.clock().sleep(secs(2)).await;

    assert_eq!(letters(&process.runtime), [("entry", "unstored")]);
    assert_eq!(disk.inbox("clerk"), [0_u32; 0]);
    process.dies().await;
}

/// Goal: what a life that was replaced tells itself reaches neither its successor nor the disk.
/// Method: it blocks its thread and is fenced; when it comes back it starts a timer and stays, so that this is due.
/// The story: the timer was given the epoch of the successor, and the store took it for that one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn own_mail_of_a_life_that_was_replaced_is_refused() {
    let disk = Disk::default();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(disk.0.clone()).start().await.unwrap();
    let office = super::Office::default();
    let kept = keep(&runtime, clerk("clerk", &office)).await;
    let (release, released) = mpsc::channel();
    *office.thread.lock().unwrap() = Some(released);
    kept.actor.tell(entry(0, Then::BlocksAndTicks)).await.unwrap();
    office.gate.entered().await;
    let exit = kept.actor.stop(millis(10)).await;
    kept.actor.ask(plain(1)).within(secs(60)).await.unwrap(); // the next life is there, and has done both
    release.send(()).unwrap();
    let has_come = || runtime.dead_letters().total() > 0 || office.board.lines().len() > 3;
    let came = async {
        while !has_come() {
            tokio::task::yield_now().await;
        }
    };
    soon(came).await;
    drop(release);
    let heard = kept.actor.ask(plain(2)).within(secs(60)).await.unwrap();
    runtime.shutdown(secs(5)).await;

    assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
    assert_eq!(letters(&runtime), [("entry", "fenced")]);
    assert_eq!(heard, [0, 1, 2]);
    assert_eq!(disk.inbox("keeper/clerk"), [0_u32; 0]);
}
