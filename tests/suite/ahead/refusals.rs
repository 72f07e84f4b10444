//! Commits that are refused while others wait behind them, or that meet the end of the store, or of a life.

use greenroom::testing::Fault;
use greenroom::{AskError, ExitReason, FailureClass, RuntimeConfig};

use super::picky::NO_TRACE;
use super::{How, Job, Process, job, new_disk, on_disk, process, process_with, well};
use crate::support::{millis, secs};

/// Lets all that waits be handled while the first commit is held, then lets it go.
pub(super) async fn all_ahead(process: &Process, lines: usize) {
    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(lines).await;
    drop(held);
}

/// Goal: whichever of the commits under way is refused, its message fails, and all others are done, once, in order.
#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_costs_its_own_message_and_no_other() {
    for refused in 0..6 {
        let disk = new_disk();
        let process = process(&disk).await;
        let next = process.runner("next").await;
        disk.refuse(refused, u32::MAX);
        let runner = process.with_waiting(&(1..6).map(well).collect::<Vec<_>>()).await;

        all_ahead(&process, 6).await;
        process.rests(&runner).await;
        process.rests(&next).await;

        let done: Vec<u32> = (0..6).filter(|number| *number != refused).collect();
        assert_eq!(on_disk(&disk, "runner"), (done.clone(), vec![], vec![refused]));
        assert_eq!(on_disk(&disk, "next").0, done, "what was held back was let go, and left once");
        process.dies().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_once_is_made_again_and_so_are_those_behind_it() {
    for refused in 0..6 {
        let disk = new_disk();
        let process = process(&disk).await;
        disk.refuse(refused, 1);
        let runner = process.with_waiting(&(1..6).map(well).collect::<Vec<_>>()).await;

        all_ahead(&process, 6).await;
        process.rests(&runner).await;

        assert_eq!(on_disk(&disk, "runner"), ((0..6).collect(), vec![], vec![]), "{refused}");
        process.dies().await;
    }
}

#[tokio::test(start_paused = true)]
async fn askers_hear_what_became_of_their_own_message_when_a_commit_is_refused() {
    let disk = new_disk();
    let process = process(&disk).await;
    disk.refuse(2, u32::MAX);
    let runner = process.with_waiting(&[]).await;
    let ask = |number| {
        let runner = runner.clone();
        async move { runner.ask(well(number)).await }
    };
    let ahead = async {
        while on_disk(&disk, "runner").1.len() < 4 {
            tokio::task::yield_now().await;
        }
        all_ahead(&process, 4).await;
    };

    let (one, two, three, ()) = tokio::join!(ask(1), ask(2), ask(3), ahead);

    assert_eq!(one.unwrap(), [0, 1]);
    assert!(
        matches!(&two, Err(AskError::Failed { failure, .. }) if failure.class() == FailureClass::Exhausted),
        "{two:?}"
    );
    assert_eq!(three.unwrap(), [0, 1, 3]);
    process.dies().await;
}

/// Goal: a commit that its life waits for stands on those before it as well.
#[tokio::test(start_paused = true)]
async fn a_commit_that_is_waited_for_is_not_kept_behind_one_that_is_refused() {
    for how in [How::WithWork, How::WithAReminder] {
        let disk = new_disk();
        let process = process(&disk).await;
        disk.refuse(1, u32::MAX);
        let runner = process.with_waiting(&[well(1), job(2, how)]).await;

        all_ahead(&process, 3).await;
        let done = runner.ask(well(3)).within(secs(60)).await.unwrap();

        let own: Vec<u32> = done.into_iter().filter(|number| *number < 10).collect();
        assert_eq!(own, [0, 2, 3], "{how:?}");
        assert_eq!(on_disk(&disk, "runner").2, [1], "{how:?}");
        process.dies().await;
    }
}

/// Goal: what stands behind a refused commit is taken back also if that one had no new state to store.
#[tokio::test(start_paused = true)]
async fn a_refused_commit_without_a_new_state_takes_the_states_behind_it_back() {
    let disk = new_disk();
    let process = process(&disk).await;
    disk.refuse(NO_TRACE, u32::MAX);
    let runner = process.with_waiting(&[job(1, How::WithoutTrace), well(2), well(3)]).await;

    all_ahead(&process, 4).await;
    process.rests(&runner).await;

    assert_eq!(on_disk(&disk, "runner"), (vec![0, 2, 3], vec![], vec![1]));
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_behind_a_commit_that_is_refused_is_not_made_before_that_is_decided() {
    let disk = new_disk();
    let process = process(&disk).await;
    disk.refuse(1, 1);
    let runner = process.with_waiting(&[well(1), job(2, How::ByAStep)]).await;

    all_ahead(&process, 3).await;
    process.rests(&runner).await;

    let lines = process.track.board.lines();
    let again = lines.iter().rposition(|line| line == "runner 1").expect("it was handled again");
    let call = lines.iter().position(|line| line == "call 2").expect("it was made");
    assert!(again < call, "{lines:?}");
    assert_eq!(process.calls().len(), 1);
    assert_eq!(on_disk(&disk, "runner"), (vec![0, 1, 2], vec![], vec![]));
    process.dies().await;
}

/// Goal: a handler that fails behind messages whose commits are under way takes nothing of them along.
#[tokio::test(start_paused = true)]
async fn a_failure_behind_messages_that_are_under_way_rolls_back_to_them_and_no_further() {
    for how in [How::Panics, How::IsInvalid, How::IsExhausted, How::IsOut] {
        let disk = new_disk();
        let process = process(&disk).await;
        let kept = process.kept(32).await;
        kept.actor.tell(job(0, How::InTheGate)).await.unwrap();
        process.track.gate.entered().await;
        for job in [well(1), job(2, how), well(3)] {
            kept.actor.tell(job).await.unwrap();
        }

        all_ahead(&process, 3).await;
        while on_disk(&disk, "keeper/runner").2.is_empty() {
            process.runtime.clock().sleep(secs(1)).await;
        }
        let done = kept.actor.ask(well(4)).within(secs(60)).await.unwrap();

        assert_eq!(done, [0, 1, 3, 4], "{how:?}");
        assert_eq!(on_disk(&disk, "keeper/runner"), (done, vec![], vec![2]), "{how:?}");
        process.dies().await;
    }
}

/// Goal: whenever a kill comes, what was handled ahead is done once, in order; nothing is tried in vain for it.
#[tokio::test(start_paused = true)]
async fn a_kill_while_commits_are_under_way_loses_and_doubles_nothing() {
    for handled in 1..6 {
        let disk = new_disk();
        let process = process(&disk).await;
        let kept = process.kept(32).await;
        kept.actor.tell(job(0, How::InTheGate)).await.unwrap();
        process.track.gate.entered().await;
        for number in 1..6 {
            kept.actor.tell(job(number, How::Slowly)).await.unwrap();
        }

        let held = process.store.hold_commits();
        process.track.gate.open();
        process.track.board.until(handled).await;
        kept.actor.kill();
        tokio::task::yield_now().await;
        drop(held);
        let done = kept.actor.ask(well(6)).within(secs(60)).await.unwrap();

        assert_eq!(done, (0..7).collect::<Vec<_>>(), "killed after {handled}");
        process.dies().await;
    }
}

/// Goal: a life that is fenced while commits are under way leaves its messages where they were, each with its asker.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn askers_of_a_life_that_was_fenced_ahead_hear_what_the_next_life_answers() {
    let disk = new_disk();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let process = process_with(&disk, config).await;
    disk.refuse(0, 1); // and so are those behind it
    let kept = process.kept(32).await;
    kept.actor.tell(job(0, How::InTheGate)).await.unwrap();
    process.track.gate.entered().await;
    let ask = |number| {
        let runner = kept.actor.clone();
        async move { runner.ask(well(number)).within(secs(60)).await }
    };
    let fenced = async {
        while on_disk(&disk, "keeper/runner").1.len() < 3 {
            tokio::task::yield_now().await;
        }
        let held = process.store.hold_commits();
        process.track.gate.open();
        process.track.board.until(3).await;
        let exit = kept.actor.stop(millis(10)).await;
        assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
        drop(held);
    };

    let (one, two, ()) = tokio::join!(ask(1), ask(2), fenced);

    // They were told at the same time.
    let mut answers = [one.unwrap(), two.unwrap()];
    answers.sort_by_key(Vec::len);
    assert!(matches!(&answers, [first, second] if first.len() == 2 && second.len() == 3), "{answers:?}");
    process.dies().await;
}

/// Goal: the store may fail for good at whichever commit, kept or not: the next process finds each message once.
#[tokio::test(start_paused = true)]
async fn whatever_is_under_way_when_the_store_fails_is_done_once_by_this_process_or_the_next() {
    for fault in [Fault::Write, Fault::CrashAfterCommit] {
        for passing in 0..2 {
            let disk = new_disk();
            let first = process(&disk).await;
            let jobs: Vec<Job> = (1..6).map(well).collect();
            let runner = first.with_waiting(&jobs).await;
            first.store.fail_commit_after(passing, fault);
            let asked = async { runner.ask(well(6)).await };
            let failed = async {
                // The gate opens before the store has heard of the question.
                all_ahead(&first, 2).await;
            };
            let (asked, ()) = tokio::join!(biased; asked, failed);
            first.dies().await;

            let process = process(&disk).await;
            process.track.gate.open();
            let done = process.runner("runner").await.ask(well(9)).await.expect("it answers");

            let when = format!("{fault:?} after {passing}");
            assert!(asked.is_err(), "{when}");
            let expected: Vec<u32> = (0..6).chain(done.contains(&6).then_some(6)).chain([9]).collect();
            assert_eq!(done, expected, "{when}");
            process.dies().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_asker_whose_message_was_handled_ahead_is_told_that_the_store_has_failed() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.with_waiting(&[]).await;
    process.store.fail_commit_after(1, Fault::Write); // behind the one that accepts the question

    let asked = async { runner.ask(well(1)).within(secs(60)).await };
    let failed = async {
        while on_disk(&disk, "runner").1.len() < 2 {
            tokio::task::yield_now().await;
        }
        process.track.gate.open();
    };
    let (asked, ()) = tokio::join!(asked, failed);

    assert!(matches!(asked, Err(AskError::StoreUnavailable { .. })), "{asked:?}");
    process.dies().await;
}

/// Goal: an orderly end waits for what is under way, and goes back over what was refused.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_under_way_and_leaves_what_was_refused_in_its_place() {
    let disk = new_disk();
    let process = process(&disk).await;
    let jobs: Vec<Job> = (1..4).map(well).chain([job(4, How::InTheGate)]).collect();
    disk.refuse(2, 1);
    let runner = process.with_waiting(&jobs).await;

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(5).await;
    let stopped = runner.stop(secs(5));
    tokio::pin!(stopped);
    assert!(is_pending(&mut stopped).await);
    drop(held);
    stopped.await;

    let (done, waiting, aside) = on_disk(&disk, "runner");
    assert_eq!(done.into_iter().chain(waiting).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(aside, [0; 0]);
    process.dies().await;
}

/// Polls it some times, and says whether it is not ready.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = &mut *future => return false,
            () = tokio::task::yield_now() => {}
        }
    }
    true
}
