//! What the next process finds in the inbox: everything that was accepted and is not done, in its order, once.

use greenroom::AskError;
use greenroom::testing::Fault;

use super::{Disk, Then, clerk, entry, forgetful, plain};
use crate::support::{Comeback, Relaunch, keep_as, letters, path, secs};

#[tokio::test(start_paused = true)]
async fn what_was_accepted_and_not_handled_is_handled_by_the_next_process_in_order_and_once() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("next").await;
    let colleague = process.runtime.spawn_spec(forgetful("colleague", &process.office)).await.unwrap();
    for number in 1..=4 {
        clerk.tell(plain(number)).await.unwrap();
        colleague.ask(entry(number + 10, Then::PassesOn)).await.unwrap();
    }
    process.dies().await;

    let (heard, lines) = disk.heard("next").await;
    let (later, nothing_new) = disk.heard("next").await;

    assert_eq!(heard, [0, 1, 11, 2, 12, 3, 13, 4, 14, 9]);
    assert_eq!(lines.len(), heard.len());
    assert_eq!((later[..10] == heard, nothing_new), (true, vec!["next 9".to_owned()]));
}

/// Goal: the messages of one sender arrive in the order in which it sent them, also when it did not wait in between.
/// Method: tells and posts that wait for the same flush; then the process dies.
#[tokio::test(start_paused = true)]
async fn what_one_sender_sent_at_once_comes_back_in_its_order() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    let held = process.store.hold_commits();

    let told = async {
        let [one, two, three] = [1, 2, 3].map(|number| clerk.tell(plain(number)));
        tokio::join!(biased; one, two, three)
    };
    let posted = async { [4, 5, 6].map(|number| clerk.post(plain(number)).unwrap()) };
    let released = async { drop(held) };
    let ((one, two, three), tickets, ()) = tokio::join!(biased; told, posted, released);
    for told in [one, two, three] {
        told.unwrap();
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    let on_disk = disk.inbox("clerk");
    process.dies().await;

    assert_eq!(on_disk, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(disk.heard("clerk").await.0, [0, 1, 2, 3, 4, 5, 6, 9]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_runtime_ends_is_no_dead_letter_and_comes_back_in_the_next() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    clerk.tell(plain(1)).await.unwrap();

    let asked = async { clerk.ask(plain(2)).within(secs(60)).await };
    let ended = async {
        disk.until("clerk", 3).await;
        process.runtime.shutdown(secs(5)).await
    };
    let (answer, _) = tokio::join!(asked, ended);

    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(letters(&process.runtime), []);
    assert_eq!(disk.heard("clerk").await.0, [0, 1, 2, 9]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_place_that_is_deleted_comes_back_with_the_next_actor_there() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    clerk.tell(plain(1)).await.unwrap();

    let asked = async { clerk.ask(plain(2)).within(secs(60)).await };
    let deleted = async {
        disk.until("clerk", 3).await;
        clerk.stop(secs(1)).await;
        clerk.closed().await
    };
    let (answer, _) = tokio::join!(asked, deleted);
    process.office.gate.open();
    let heard = process.clerk("clerk").await.ask(plain(9)).await.unwrap();

    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(heard, [0, 1, 2, 9]);
    assert_eq!(letters(&process.runtime), []);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_place_that_is_laid_aside_is_handled_when_it_is_launched_again() {
    let disk = Disk::default();
    let process = disk.process().await;
    let kept = keep_as(&process.runtime, clerk("clerk", &process.office), Comeback::WhenTold).await;
    kept.actor.tell(entry(0, Then::Waits)).await.unwrap();
    process.office.gate.entered().await;
    kept.actor.kill();
    kept.exits.until(1).await;
    process.office.gate.open();

    let asked = async { kept.actor.ask(plain(1)).await };
    let shelved = async {
        disk.until("keeper/clerk", 2).await;
        kept.actor.place().shelve();
    };
    let (answer, ()) = tokio::join!(asked, shelved);
    kept.keeper.post(Relaunch(path("keeper/clerk"))).unwrap();
    let lines = process.office.board.until(3).await;

    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(lines, ["keeper/clerk 0", "keeper/clerk 0", "keeper/clerk 1"]);
    assert_eq!(letters(&process.runtime), []);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn an_ask_whose_asker_gave_up_before_its_turn_is_laid_aside_as_expired() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;

    let gave_up = clerk.ask(plain(1)).within(secs(1)).await;
    process.office.gate.open();
    let heard = clerk.ask(plain(2)).await.unwrap();

    assert!(matches!(gave_up, Err(AskError::DeadlinePassed { .. })));
    assert_eq!(heard, [0, 2]);
    assert_eq!((disk.inbox("clerk"), disk.laid_aside("clerk")), (vec![], vec![1]));
    assert_eq!(letters(&process.runtime), [("entry", "expired")]);
    process.dies().await;
}

/// Goal: nobody waits for the answer any more in the next process either.
/// Method: one ask whose deadline passes before the next process begins, and one whose deadline does not.
#[tokio::test(start_paused = true)]
async fn an_ask_that_expired_before_the_next_process_is_laid_aside_there_and_one_that_did_not_is_handled() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    let short = async { clerk.ask(plain(1)).within(secs(10)).await };
    let long = async { clerk.ask(plain(2)).within(secs(36_000)).await };
    let dies = async {
        disk.until("clerk", 3).await;
        process.store.fail_next_commit(Fault::Write);
        process.runtime.shutdown(secs(5)).await
    };
    let _answers = tokio::join!(short, long, dies);

    let process = disk.process().await;
    process.runtime.clock().sleep(secs(60)).await;
    process.office.gate.open();
    let heard = process.clerk("clerk").await.ask(plain(9)).await.unwrap();

    assert_eq!(heard, [0, 2, 9]);
    assert_eq!(disk.laid_aside("clerk"), [1]);
    assert_eq!(letters(&process.runtime), [("entry", "expired")]);
    process.dies().await;
}
