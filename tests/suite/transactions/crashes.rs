//! A process that dies before, after or in the middle of the commit of a message.

use greenroom::testing::Fault;
use greenroom::{AskError, ExitReason, Runtime, RuntimeConfig};

use super::{Disk, Office, Process, Then, clerk, entry, load, plain};
use crate::support::{Comeback, keep_as, letters, millis, secs, soon};

#[tokio::test(start_paused = true)]
async fn a_message_whose_commit_was_kept_is_not_handled_again_and_its_state_is_there() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;
    process.store.fail_commit_after(1, Fault::CrashAfterCommit);

    let answer = clerk.ask(plain(1)).await;
    process.dies().await;

    assert!(matches!(answer, Err(AskError::StoreUnavailable { .. })), "{answer:?}");
    assert_eq!(disk.heard("clerk").await, (vec![1, 9], vec!["clerk 9".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_commit_was_not_kept_is_handled_again_on_the_state_of_before() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;
    clerk.ask(plain(1)).await.unwrap();
    process.store.fail_commit_after(1, Fault::Write);

    let answer = clerk.ask(plain(2)).await;
    let letters = letters(&process.runtime);
    process.dies().await;

    assert!(matches!(answer, Err(AskError::StoreUnavailable { .. })), "{answer:?}");
    assert_eq!(letters, [], "it is on disk");
    assert_eq!(disk.heard("clerk").await, (vec![1, 2, 9], vec!["clerk 2".to_owned(), "clerk 9".to_owned()]));
}

/// Goal: a crash right after the acceptance, of which the sender did not hear, loses nothing and doubles nothing.
#[tokio::test(start_paused = true)]
async fn a_message_whose_acceptance_was_kept_is_handled_once_although_its_sender_heard_nothing() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;
    process.store.fail_commit_after(0, Fault::CrashAfterCommit);

    let told = clerk.tell(plain(1)).await;
    process.dies().await;

    assert!(told.is_err());
    assert_eq!(disk.heard("clerk").await.0, [1, 9]);
}

/// A runtime that fences early, in which a clerk is fenced in the middle of the commit of an ask.
async fn fenced_in_its_commit(
    disk: &Disk,
    fault: Option<Fault>,
) -> (Result<Vec<u32>, AskError<super::Entry>>, Process) {
    let Process { runtime, store, .. } = disk.process().await;
    runtime.shutdown(secs(5)).await;
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime =
        Runtime::builder().config(config).store(store.clone()).start().await.expect("the store is free");
    let office = Office::default();
    let comeback = if fault.is_none() { Comeback::AtOnce } else { Comeback::WhenTold };
    let kept = keep_as(&runtime, clerk("clerk", &office), comeback).await;
    let commit = store.commits() + 2; // behind the one that accepts the message
    let held = store.hold_commits_after(1);
    if let Some(fault) = fault {
        store.fail_commit_after(1, fault);
    }

    let asked = async { kept.actor.ask(plain(1)).within(secs(60)).await };
    let fenced = async {
        soon(store.commit_arrived(commit)).await;
        let exit = kept.actor.stop(millis(10)).await;
        assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
        drop(held);
        if fault.is_some() {
            runtime.shutdown(secs(5)).await; // nobody else ends the wait of the asker
        }
    };
    let (answer, ()) = tokio::join!(asked, fenced);
    (answer, Process { runtime, store, office })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_reply_of_a_life_that_was_ended_in_its_commit_leaves_with_the_commit() {
    let disk = Disk::default();

    let (answer, process) = fenced_in_its_commit(&disk, None).await;
    process.runtime.shutdown(secs(5)).await;

    assert_eq!(answer.unwrap(), [1]);
    assert_eq!(disk.inbox("keeper/clerk"), [0_u32; 0]);
    assert_eq!(process.office.board.lines(), ["keeper/clerk 1"]);
    assert_eq!(letters(&process.runtime), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn of_a_life_that_was_ended_in_a_commit_that_failed_no_reply_leaves_and_its_message_stays() {
    let disk = Disk::default();

    let (answer, process) = fenced_in_its_commit(&disk, Some(Fault::Write)).await;
    process.runtime.shutdown(secs(5)).await;

    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(disk.inbox("keeper/clerk"), [1]);
    assert_eq!(letters(&process.runtime), []);
}

/// The costs that the documentation names: one commit to accept a message, one to handle it, and none for a message
/// from one durable actor to another but the one that handles it.
#[tokio::test(start_paused = true)]
async fn a_message_costs_two_commits_and_one_between_durable_actors_costs_one() {
    let disk = Disk::default();
    let process = disk.process().await;
    let (clerk, next) = (process.clerk("clerk").await, process.clerk("next").await);
    let commits = || process.runtime.store_stats().expect("it has a store").commits;

    let before = commits();
    clerk.ask(plain(1)).await.unwrap();
    let one = commits() - before;
    next.ask(plain(1)).await.unwrap();
    let before = commits();
    clerk.ask(entry(2, Then::PassesOn)).await.unwrap();
    process.office.board.until(4).await;
    next.ask(plain(3)).await.unwrap();
    let passed_on = commits() - before - one;

    assert_eq!((one, passed_on), (2, 3));
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_life_costs_one_commit_and_the_first_one_another_for_its_state() {
    let disk = Disk::default();
    let process = disk.process().await;
    let kept = keep_as(&process.runtime, clerk("clerk", &process.office), Comeback::AtOnce).await;
    let commits = || process.runtime.store_stats().expect("it has a store").commits;

    let first = commits();
    kept.actor.kill();
    kept.exits.until(1).await;
    kept.actor.ask(plain(1)).await.unwrap();
    let second = commits() - first - 2; // of which the ask took two

    assert_eq!((first, second), (2, 1));
    process.dies().await;
}

/// Goal: at whichever commit the process dies, what was accepted is handled once, in its order, and each message has told
/// the next clerk once.
/// Method: every commit of a small history in turn, once kept without an answer, and once not; the next process goes on.
#[tokio::test(start_paused = true)]
async fn at_whichever_commit_a_process_dies_nothing_is_lost_doubled_or_overtaken() {
    for fault in [Fault::CrashAfterCommit, Fault::Write] {
        for passing in 0.. {
            let disk = Disk::default();
            let process = disk.process().await;
            process.store.fail_commit_after(passing, fault);
            let accepted = history(&process).await;
            let is_over = process.store.commits() <= passing;
            process.dies().await;

            let process = disk.process().await;
            let (next, giver) = (process.clerk("next").await, process.clerk("giver").await);
            let given = giver.ask(plain(9)).await.unwrap();
            let passed_on = next.ask(plain(9)).await.unwrap();
            process.dies().await;

            let when = format!("{fault:?} after {passing}: {accepted:?} accepted, {given:?} given");
            assert!(given.is_sorted_by(|a, b| a < b), "{when}");
            assert!(accepted.iter().all(|number| given.contains(number)), "{when}");
            assert_eq!(passed_on, given, "{when}");
            if is_over {
                assert_eq!(accepted, [1, 2, 3, 4], "{when}");
                break;
            }
        }
    }
}

/// A clerk passes on what it is told. Which entries were accepted.
async fn history(process: &Process) -> Vec<u32> {
    let mut accepted = Vec::new();
    let mut clerks = Vec::new();
    for name in ["next", "giver"] {
        match process.runtime.spawn_spec(clerk(name, &process.office)).await {
            Ok(clerk) => clerks.push(clerk),
            Err(_) => return accepted,
        }
    }
    for number in 1..=4 {
        if clerks[1].tell(entry(number, Then::PassesOn)).await.is_ok() {
            accepted.push(number);
        }
    }
    // Everything is handled when these are answered, if the store goes on.
    for clerk in clerks.iter().rev() {
        let _answer = clerk.ask(load(1, false)).await;
    }
    accepted
}
