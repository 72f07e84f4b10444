//! A crashed actor's task stays for the next life, and goes when there is none.

use greenroom::{Backoff, Restart, Strategy, Supervisor};

use crate::support::{Crash, Stage, child, millis, secs, sup};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits, in paused time, until all that can happen has happened.
async fn settle(stage: &Stage) {
    stage.runtime.clock().sleep(secs(60)).await;
}

/// Lets `a` of the tree crash `times` times and says how many tasks there are more than before.
async fn tasks_left(tree: impl FnOnce(&Stage) -> Supervisor, times: usize) -> isize {
    let stage = Stage::new().await;
    let tree = stage.supervise(tree(&stage)).await;
    settle(&stage).await;
    let before = tasks();
    for _ in 0..times {
        child(&tree, "a").tell(Crash).await.expect("the mailbox has room");
        settle(&stage).await;
    }
    let left = tasks().cast_signed() - before.cast_signed();
    stage.end().await;
    left
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_a_restart_leave_as_many_tasks_as_before() {
    assert_eq!(tasks_left(|stage| sup([stage.part("a").spec()]), 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_wait_leaves_as_many_tasks_as_before() {
    let backoff = Backoff { first: millis(100), ..Backoff::default() };
    assert_eq!(tasks_left(|stage| sup([stage.part("a").spec().backoff(backoff)]), 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_leaves_as_many_tasks_as_before() {
    let tree = |stage: &Stage| {
        sup(stage.parts(["b", "a", "c"]).map(|part| part.spec())).strategy(Strategy::OneForAll)
    };
    assert_eq!(tasks_left(tree, 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_come_back_leaves_no_task() {
    let tree = |stage: &Stage| sup([stage.part("a").spec().restart(Restart::Temporary)]);
    assert_eq!(tasks_left(tree, 1).await, -1);
}
