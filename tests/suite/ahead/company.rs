//! Others who have to do with an actor that runs ahead, and ends that come over it.

use greenroom::{ExitReason, RuntimeConfig};

use super::flushes::all_are_stuck;
use super::refusals::all_ahead;
use super::{How, job, new_disk, on_disk, process, process_with, runner, well};
use crate::support::{millis, path, secs};

/// Goal: an asker whose question was passed on ahead hears its answer, though a commit before it was refused.
#[tokio::test(start_paused = true)]
async fn a_question_that_was_passed_on_behind_a_refused_commit_is_answered_all_the_same() {
    let disk = new_disk();
    let process = process(&disk).await;
    process.runner("other").await;
    disk.refuse(1, 1);
    let runner = process.with_waiting(&[well(1)]).await;

    let asked = async { runner.ask(job(2, How::ByAnother)).within(secs(60)).await };
    let ahead = async {
        while on_disk(&disk, "runner").1.len() < 3 {
            tokio::task::yield_now().await;
        }
        all_ahead(&process, 3).await;
    };
    let (asked, ()) = tokio::join!(asked, ahead);

    assert_eq!(asked.unwrap(), [2], "the answer of the other one");
    process.rests(&runner).await;
    assert_eq!(on_disk(&disk, "runner"), (vec![0, 1, 2], vec![], vec![]));
    process.dies().await;
}

/// Goal: whoever waits only for a commit of the asked one may be asked by it: that closes no ring.
#[tokio::test(start_paused = true)]
async fn an_asker_that_waits_for_a_commit_may_be_asked_meanwhile() {
    let disk = new_disk();
    let process = process(&disk).await;
    let other = process.runner("other").await;
    let runner = process.with_waiting(&[]).await;
    other.tell(job(1, How::WithAQuestion)).await.unwrap();
    while on_disk(&disk, "runner").1.len() < 2 {
        tokio::task::yield_now().await;
    }
    runner.tell(job(2, How::WithAQuestion)).await.unwrap();

    all_ahead(&process, 4).await; // the job 1 twice
    let done = runner.ask(well(3)).within(secs(60)).await.unwrap();

    assert_eq!(done, [0, 1, 2, 3]);
    process.dies().await;
}

/// Goal: two that wait for one another are found, also where one of the questions was taken back behind a refused commit.
#[tokio::test(start_paused = true)]
async fn a_ring_is_found_also_through_a_question_that_was_taken_back() {
    let disk = new_disk();
    let process = process(&disk).await;
    let other = process.runner("other").await;
    disk.refuse(1, 1);
    let runner = process.with_waiting(&[job(1, How::WithALaterQuestion)]).await;
    other.tell(job(2, How::WithAQuestion)).await.unwrap();
    while on_disk(&disk, "runner").1.len() < 3 {
        tokio::task::yield_now().await;
    }

    all_ahead(&process, 4).await; // the job 2 twice
    let exit = runner.closed().await;

    let Some(ExitReason::Failed { failure, .. }) = exit else { panic!("{exit:?}") };
    assert!(failure.to_string().contains("close a ring"), "{failure}");
    process.dies().await;
}

/// As before, of a question that was handled ahead by a life that was fenced.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_ring_is_found_also_through_a_question_that_a_fenced_life_leaves_behind() {
    let disk = new_disk();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let process = process_with(&disk, config).await;
    let other = process.runner("other").await;
    disk.refuse(0, 1); // and so are those behind it
    let kept = process.kept(32).await;
    kept.actor.tell(job(0, How::InTheGate)).await.unwrap();
    process.track.gate.entered().await;
    kept.actor.tell(job(1, How::WithALaterQuestion)).await.unwrap();
    other.tell(job(2, How::WithAQuestion)).await.unwrap();
    while on_disk(&disk, "keeper/runner").1.len() < 3 {
        tokio::task::yield_now().await;
    }

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(4).await; // the job 2 twice
    let exit = kept.actor.stop(millis(10)).await;
    drop(held);
    while on_disk(&disk, "keeper/runner").2.is_empty() {
        tokio::task::yield_now().await;
    }

    assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
    let cause = &kept.actor.laid_aside().await.unwrap()[0].cause;
    assert!(cause.contains("close a ring"), "{cause}");
    let asked = process.track.board.lines().into_iter().filter(|line| line == "other 2").count();
    assert_eq!(asked, 1, "at once, and not when the question came again");
    process.dies().await;
}

/// Goal: a stop that a handler asked for counts with its commit, as all that it did.
#[tokio::test(start_paused = true)]
async fn a_handler_that_was_taken_back_has_stopped_nobody() {
    for refused in 0..3 {
        let disk = new_disk();
        let process = process(&disk).await;
        disk.refuse(refused, 1);
        let runner = process.with_waiting(&[well(1), job(2, How::AndStops), well(3)]).await;

        all_ahead(&process, 3).await;
        runner.closed().await;

        assert_eq!(on_disk(&disk, "runner"), (vec![0, 1, 2], vec![3], vec![]), "{refused}");
        process.dies().await;
    }
}

/// Goal: a step that began long ago, of a message that was taken up again, is called when all before it is on disk.
#[tokio::test(start_paused = true)]
async fn a_step_of_a_message_that_was_taken_up_waits_for_those_before_it() {
    let disk = new_disk();
    let process = process(&disk).await;
    let spec = runner("runner", &process.track).redeliveries(0);
    let runner = process.runtime.spawn_spec(spec).await.unwrap();
    runner.tell(job(1, How::ByAnOutage)).await.unwrap();
    process.rests(&runner).await;
    let aside = runner.laid_aside().await.unwrap();
    runner.tell(job(2, How::InTheGate)).await.unwrap();
    process.track.gate.entered().await;
    runner.tell(well(3)).await.unwrap();
    runner.take_up(aside[0].message.id).await.unwrap();
    process.track.board.write("works");
    let before = process.track.board.lines().len();

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(before + 2).await;
    all_are_stuck().await;
    let early = process.calls();
    drop(held);
    process.rests(&runner).await;

    assert_eq!(early, [""; 0]);
    assert_eq!(process.calls(), ["call 1"]);
    assert_eq!(on_disk(&disk, "runner"), (vec![2, 3, 1], vec![], vec![]));
    process.dies().await;
}

/// Goal: a change of a case that another commit came before takes nothing along, and lets nothing behind it be kept without
/// it.
#[tokio::test(start_paused = true)]
async fn a_message_behind_a_change_of_a_case_that_is_refused_is_not_kept_without_it() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.runner("runner").await;
    for job in [job(1, How::WithACase), well(2), well(3)] {
        runner.tell(job).await.unwrap();
    }
    process.track.gate.entered().await;
    process.runtime.assign_case("case", None, Some(path("somebody"))).await.unwrap();

    let held = process.store.hold_commits();
    process.track.gate.open();
    all_are_stuck().await;
    drop(held);
    let done = runner.ask(well(4)).within(secs(60)).await.unwrap();

    assert_eq!(done, [2, 3, 4]);
    assert_eq!(on_disk(&disk, "runner"), (done, vec![], vec![1]));
    process.dies().await;
}

/// Goal: a message that ends the process each time is found out, and those before it, which never come to their commits,
/// are not taken for it.
#[tokio::test(start_paused = true)]
async fn a_message_that_ends_the_process_is_told_apart_from_those_handled_before_it() {
    let disk = new_disk();
    let first = process(&disk).await;
    first.with_waiting(&[well(1), job(2, How::Never), well(3)]).await;
    first.dies().await;

    for opening in 1.. {
        assert!(opening < 20, "it ends the process for ever");
        let process = process(&disk).await;
        process.track.gate.open();
        // The next life claims, and counts. What is committed later waits, and is lost if the process ends meanwhile.
        let held = process.store.hold_commits_after(2);
        let spec = runner("runner", &process.track).process_ends(2);
        let runner = process.runtime.spawn_spec(spec).await.unwrap();
        all_are_stuck().await;
        disk.cut_off(process.track.board.lines().iter().any(|line| line == "runner 2"));
        drop(held);
        let done = runner.ask(well(9)).within(secs(1)).await;
        process.dies().await;
        disk.cut_off(false);
        if let Ok(done) = done {
            assert_eq!(on_disk(&disk, "runner").2, [2]);
            assert!(done.starts_with(&[0, 1, 3]), "{done:?}");
            return;
        }
    }
}
