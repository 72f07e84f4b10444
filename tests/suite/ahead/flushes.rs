//! How far an actor runs ahead, what it shares, and what it holds back.

use std::iter::once;

use greenroom::Store;

use super::{How, job, new_disk, on_disk, process, runner, well};
use crate::support::{millis, path, secs, soon};

/// Until every task that can go on has done so, as far as a single thread can tell.
pub(super) async fn all_are_stuck() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_handled_during_a_flush_share_the_next() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.with_waiting(&(1..32).map(well).collect::<Vec<_>>()).await;
    let before = process.store.commits();

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(32).await;
    drop(held);
    process.rests(&runner).await;

    // The first alone, if the writer was idle, and those behind it.
    let flushes = process.store.commits() - before;
    assert!(flushes <= 2, "{flushes}");
    assert_eq!(on_disk(&disk, "runner"), ((0..32).collect(), vec![], vec![]));
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_runs_ahead_by_as_many_messages_as_its_spec_says() {
    for (limit, ahead) in [(None, 32), (Some(0), 1), (Some(1), 1), (Some(2), 2), (Some(5), 5)] {
        let disk = new_disk();
        let process = process(&disk).await;
        let spec = runner("runner", &process.track);
        let spec = limit.into_iter().fold(spec, greenroom::ActorSpec::run_ahead);
        let runner = process.with_waiting_as(spec, &(1..40).map(well).collect::<Vec<_>>()).await;

        let held = process.store.hold_commits();
        process.track.gate.open();
        process.track.board.until(ahead).await;
        all_are_stuck().await;
        let begun = process.track.board.lines().len();
        drop(held);
        process.rests(&runner).await;

        assert_eq!(begun, ahead, "{limit:?}");
        assert_eq!(on_disk(&disk, "runner").0, (0..40).collect::<Vec<_>>(), "{limit:?}");
        process.dies().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_runs_ahead_by_a_mebibyte_and_no_further() {
    let disk = new_disk();
    let process = process(&disk).await;
    // Each is there twice: in the commit, and as the state of before the next one.
    let jobs: Vec<_> = (1..9).map(|number| job(number, How::With(200))).collect();
    let runner = process.with_waiting(&jobs).await;

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(5).await;
    all_are_stuck().await;
    let begun = process.track.board.lines().len();
    drop(held);
    process.rests(&runner).await;

    assert_eq!(begun, 5, "0, and 200 + 400 + 400 kilobytes behind it are no mebibyte yet");
    assert_eq!(on_disk(&disk, "runner").0, (0..9).collect::<Vec<_>>());
    process.dies().await;
}

/// Goal: promise 6 holds for all that is handled ahead.
#[tokio::test(start_paused = true)]
async fn what_is_handled_ahead_is_held_back_until_it_is_on_disk_and_leaves_in_its_order() {
    let disk = new_disk();
    let process = process(&disk).await;
    process.runner("next").await;
    let runner = process.with_waiting(&[]).await;
    let ask = |number| {
        let runner = runner.clone();
        async move { runner.ask(well(number)).await }
    };
    let answers = async { tokio::join!(ask(1), ask(2), ask(3)) };
    let begun = async {
        while on_disk(&disk, "runner").1.len() < 4 {
            tokio::task::yield_now().await;
        }
        let held = process.store.hold_commits();
        process.track.gate.open();
        process.track.board.until(4).await;
        all_are_stuck().await;
        let lines = process.track.board.lines();
        drop(held);
        lines
    };

    let (answers, begun) = tokio::join!(answers, begun);
    let answers = [answers.0, answers.1, answers.2].map(|answer| answer.expect("it answers"));
    process.rests(&runner).await;

    assert_eq!(begun, ["runner 0", "runner 1", "runner 2", "runner 3"], "nothing left for `next`");
    assert_eq!(answers, [vec![0, 1], vec![0, 1, 2], vec![0, 1, 2, 3]]);
    process.track.board.until(8).await;
    process.dies().await;
    let next = on_disk(&disk, "next");
    assert_eq!(next.0.into_iter().chain(next.1).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_does_not_delay_the_answer_to_the_message_before() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.runner("runner").await;

    let slow = async { runner.ask(job(2, How::InTheGate)).await };
    let quick = async {
        let answer = soon(runner.ask(well(1))).await; // the gate opens only behind it
        process.track.gate.entered().await;
        process.track.gate.open();
        answer
    };
    let (quick, slow) = tokio::join!(biased; quick, slow);

    assert_eq!(quick.unwrap(), [1]);
    assert_eq!(slow.unwrap(), [1, 2]);
    process.dies().await;
}

/// The commit of a message is queued before the next handler gets the thread.
#[tokio::test]
async fn a_commit_is_on_its_way_before_the_next_handler_begins() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.with_waiting(&[job(1, How::InTheGate)]).await;
    let commits = process.store.commits();

    let held = process.store.hold_commits();
    process.track.gate.open();
    soon(process.store.commit_arrived(commits + 1)).await;
    drop(held);
    process.rests(&runner).await;

    assert_eq!(on_disk(&disk, "runner").0, [0, 1]);
    process.dies().await;
}

/// Also if that one never waits, and there is but one thread.
#[tokio::test(start_paused = true)]
async fn a_commit_does_not_wait_for_a_handler_that_blocks_the_thread() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.with_waiting(&[]).await;
    let next = u32::try_from(process.store.commits()).unwrap() + 2; // behind the one that accepts it
    runner.tell(job(next, How::BehindACommit)).await.unwrap();
    process.runtime.clock().sleep(millis(1)).await; // until nobody has anything to do, the writer included

    process.track.gate.open();
    let done = runner.ask(well(3)).within(secs(60)).await.unwrap();

    assert_eq!(done, [0, next, 3]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_is_made_when_all_before_it_is_on_disk() {
    let disk = new_disk();
    let process = process(&disk).await;
    let jobs: Vec<_> = (1..4).map(well).chain(once(job(4, How::ByAStep))).collect();
    let runner = process.with_waiting(&jobs).await;

    let held = process.store.hold_commits();
    process.track.gate.open();
    process.track.board.until(5).await;
    all_are_stuck().await;
    let early = process.calls();
    drop(held);
    process.rests(&runner).await;

    assert_eq!(early, [""; 0]);
    assert_eq!(process.calls(), ["call 4"]);
    process.dies().await;
}

/// What the journal is told goes along with the next commit of its message, or not at all.
#[tokio::test(start_paused = true)]
async fn what_a_message_noted_is_not_left_behind_by_the_next() {
    let disk = new_disk();
    let process = process(&disk).await;
    let runner = process.with_waiting(&[job(1, How::ByTheClock), job(2, How::ByAStep)]).await;

    process.track.gate.open();
    process.rests(&runner).await;

    assert_eq!(on_disk(&disk, "runner").0, [0, 1, 2]);
    assert_eq!(disk.scan(&path("runner")).unwrap().journal, []);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn work_and_reminders_of_a_message_do_not_wait_for_the_next_handler() {
    let disk = new_disk();
    let process = process(&disk).await;
    let jobs = [job(1, How::WithWork), job(2, How::WithAReminder), job(3, How::InTheGate)];
    let runner = process.runner("runner").await;
    for job in jobs {
        runner.tell(job).await.unwrap();
    }
    process.track.gate.entered().await;

    // What the work has brought may have come before the one in the gate; the reminder waits behind it.
    soon(async {
        let is_handled = |line: &String| line == "runner 98";
        while runner.observe().waiting
            + process.track.board.lines().iter().filter(|it| is_handled(it)).count()
            < 2
        {
            process.runtime.clock().sleep(millis(10)).await;
        }
    })
    .await;
    process.track.gate.open();
    process.rests(&runner).await;

    let mut done = on_disk(&disk, "runner").0;
    done.sort_unstable();
    assert_eq!(done, [1, 2, 3, 98, 99]);
    process.dies().await;
}
