//! From actor to actor: what a handler sends to a durable actor is on disk with what explains it.

use greenroom::testing::Fault;
use greenroom::{AskError, ExitPhase, ExitReason, FailureClass};

use super::{Disk, Then, entry, forgetful, plain};
use crate::support::{Board, Note, Probe, letters, soon};

#[tokio::test(start_paused = true)]
async fn what_one_durable_actor_sends_another_is_on_disk_with_the_senders_own_commit_and_arrives_once() {
    let disk = Disk::default();
    let process = disk.process().await;
    let (giver, _next) = (process.clerk("giver").await, process.clerk("next").await);
    process.store.fail_commit_after(1, Fault::CrashAfterCommit);

    let answer = giver.ask(entry(1, Then::PassesOn)).await;
    let lines = process.office.board.lines();
    process.dies().await;

    assert!(matches!(answer, Err(AskError::StoreUnavailable { .. })), "{answer:?}");
    assert_eq!(lines, ["giver 1"], "the receiver did not hear of it");
    assert_eq!((disk.inbox("giver"), disk.inbox("next")), (vec![], vec![1]));
    assert_eq!(disk.heard("next").await, (vec![1, 9], vec!["next 1".to_owned(), "next 9".to_owned()]));
    assert_eq!(disk.heard("giver").await, (vec![1, 9], vec!["giver 9".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_in_a_commit_that_was_not_kept_is_nowhere_and_is_sent_again() {
    let disk = Disk::default();
    let process = disk.process().await;
    let (giver, next) = (process.clerk("giver").await, process.clerk("next").await);
    process.store.fail_commit_after(1, Fault::Write);

    let answer = giver.ask(entry(1, Then::PassesOn)).await;
    let waiting = next.observe().waiting;
    process.dies().await;
    let on_disk = (disk.inbox("giver"), disk.inbox("next"));

    let process = disk.process().await;
    let next = process.clerk("next").await;
    let giver = process.clerk("giver").await;
    giver.ask(plain(2)).await.unwrap();
    let heard = next.ask(plain(9)).await.unwrap();
    process.dies().await;

    assert!(matches!(answer, Err(AskError::StoreUnavailable { .. })), "{answer:?}");
    assert_eq!((waiting, on_disk), (0, (vec![1], vec![])));
    assert_eq!(heard, [1, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_puts_nothing_into_the_inboxes_of_others() {
    let disk = Disk::default();
    let process = disk.process().await;
    let (giver, next) = (process.clerk("giver").await, process.busy_clerk("next").await);

    let refused = giver.ask(entry(1, Then::PassesOnAndIsInvalid)).await;

    assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    assert_eq!((disk.inbox("next"), next.observe().waiting), (vec![0], 0), "the place is given back");
    assert_eq!(disk.inbox("giver"), [0_u32; 0]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_actor_without_a_store_sends_a_durable_one_is_on_disk_when_its_handler_is_done() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.busy_clerk("next").await;
    let giver = process.runtime.spawn_spec(forgetful("giver", &process.office)).await.unwrap();

    giver.ask(entry(1, Then::PassesOn)).await.unwrap();

    assert_eq!(disk.inbox("next"), [0, 1]);
    process.dies().await;
    assert_eq!(disk.heard("next").await.0, [0, 1, 9]);
}

/// The story: an actor without a store that sent something to a durable one while the store failed handled nothing any
/// more, as if its own state were lost.
#[tokio::test(start_paused = true)]
async fn an_actor_without_a_store_whose_send_was_not_kept_is_told_and_goes_on() {
    let disk = Disk::default();
    let process = disk.process().await;
    let next = process.busy_clerk("next").await;
    let giver = process.runtime.spawn_spec(forgetful("giver", &process.office)).await.unwrap();
    process.store.fail_next_commit(Fault::NoSpace);

    let failed = giver.ask(entry(1, Then::PassesOn)).await;
    let after = giver.ask(plain(2)).await;

    let Err(AskError::Failed { failure, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(failure.class(), FailureClass::External);
    assert_eq!(after.unwrap(), [1, 2]);
    assert_eq!((disk.inbox("next"), next.observe().waiting), (vec![0], 0), "the place is given back");
    process.dies().await;
}

/// Goal: the answer of an actor that sent something to a durable one says that this is on disk.
/// Method: the commit is held; a bystander answers meanwhile, so the answer could have come.
#[tokio::test(start_paused = true)]
async fn the_answer_of_an_actor_without_a_store_leaves_after_what_it_sent_is_on_disk() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.busy_clerk("next").await;
    let giver = process.runtime.spawn_spec(forgetful("giver", &process.office)).await.unwrap();
    let bystander = process.runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();
    let commit = process.store.commits() + 1;
    let held = process.store.hold_commits();

    let mut asked = std::pin::pin!(async { giver.ask(entry(1, Then::PassesOn)).await });
    let checked = async {
        soon(process.store.commit_arrived(commit)).await;
        bystander.ask(Note(0)).await.unwrap();
    };
    tokio::select! { biased; answer = &mut asked => panic!("{answer:?}"), () = checked => {} }
    drop(held);

    assert_eq!(asked.await.unwrap(), [1]);
    assert_eq!(letters(&process.runtime), []);
    process.dies().await;
}

/// Goal: what was sent and what its sender is said to have done agree, also if that is killed meanwhile.
/// Method: the commit of what it sent is held, the sender killed, the commit let go; the kill is heard after it.
/// The story: the asker was told that the message was cut, and what it had sent arrived.
#[tokio::test(start_paused = true)]
async fn a_kill_while_what_an_actor_sent_goes_to_disk_is_heard_after_it() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.busy_clerk("next").await;
    let giver = process.runtime.spawn_spec(forgetful("giver", &process.office)).await.unwrap();
    let commit = process.store.commits() + 1;
    let held = process.store.hold_commits();

    let asked = async { giver.ask(entry(1, Then::PassesOn)).await };
    let killed = async {
        soon(process.store.commit_arrived(commit)).await;
        giver.kill();
        tokio::task::yield_now().await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, killed);
    let exit = soon(giver.closed()).await;

    assert_eq!(answer.unwrap(), [1]);
    assert!(matches!(exit, Some(ExitReason::Killed { phase: ExitPhase::Idle })), "{exit:?}");
    assert_eq!((disk.inbox("next"), letters(&process.runtime)), (vec![0, 1], Vec::new()));
    process.dies().await;
}
