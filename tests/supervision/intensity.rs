//! How many restarts are too many: one sliding window per supervisor, its edge included.

use std::time::Duration;

use greenroom::{Strategy, SupervisorRef};

use crate::support::{Crash, Stage, Start, child, millis, secs, sup};

async fn fall(stage: &Stage, tree: &SupervisorRef, name: &str) {
    let started = stage.log.count(&format!("start {name}"));
    child(tree, name).tell(Crash).await.expect("the mailbox has room");
    stage.log.until_times(&format!("start {name}"), started + 1).await;
}

async fn gives_up(tree: &SupervisorRef) {
    let reason = tree.closed().await.expect("it has run");
    assert_eq!(reason.label(), "intensity_exceeded");
}

/// Two falls, so far apart, under a supervisor that bears one in 5 s.
async fn falls_apart(apart: Duration) -> (Stage, SupervisorRef) {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(1, secs(5))).await;
    let fell = stage.runtime.clock().now();
    fall(&stage, &tree, "a").await;
    stage.runtime.clock().sleep_until(fell + apart).await;
    child(&tree, "a").tell(Crash).await.expect("the mailbox has room");
    (stage, tree)
}

#[tokio::test(start_paused = true)]
async fn a_restart_exactly_one_window_ago_still_counts() {
    let (stage, tree) = falls_apart(secs(5)).await;

    gives_up(&tree).await;

    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_just_over_one_window_ago_counts_no_more() {
    let (stage, tree) = falls_apart(millis(5_001)).await;

    stage.log.until_times("start a", 3).await;

    assert_eq!(tree.children().await.unwrap()[0].restarts, 2);
    stage.end().await;
}

/// OTP: multiple_restarts.
#[tokio::test(start_paused = true)]
async fn falls_further_apart_than_the_window_never_add_up() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(1, secs(1))).await;

    for _ in 0..20 {
        fall(&stage, &tree, "a").await;
        stage.runtime.clock().sleep(millis(2_100)).await;
    }

    assert_eq!(tree.children().await.unwrap()[0].restarts, 20);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_intensity_of_zero_bears_no_restart() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(0, secs(5))).await;

    child(&tree, "a").tell(Crash).await.unwrap();

    gives_up(&tree).await;
    assert_eq!(stage.log.take(), ["start a", "crash a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_children_of_one_supervisor_share_one_count() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).intensity(1, secs(5))).await;
    fall(&stage, &tree, "a").await;

    child(&tree, "b").tell(Crash).await.unwrap();

    gives_up(&tree).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_supervisors_do_not_share_their_counts() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let one = stage.supervise(sup([a.spec()]).intensity(1, secs(5))).await;
    let two = greenroom::Supervisor::named("two").intensity(1, secs(5)).child(b.spec());
    let two = stage.supervise(two).await;

    fall(&stage, &one, "a").await;
    fall(&stage, &two, "b").await;

    assert_eq!(stage.log.take(), ["start a", "start b", "crash a", "start a", "crash b", "start b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_restart_of_a_group_counts_once() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let spec = sup([a.spec(), b.spec(), c.spec()]).strategy(Strategy::OneForAll).intensity(2, secs(5));
    let tree = stage.supervise(spec).await;

    fall(&stage, &tree, "a").await;
    stage.quiet().await;
    fall(&stage, &tree, "b").await;
    stage.quiet().await;
    child(&tree, "c").tell(Crash).await.unwrap();

    gives_up(&tree).await;
    stage.end().await;
}

/// OTP: one_for_one_escalation.
#[tokio::test(start_paused = true)]
async fn each_start_that_fails_counts_once_more() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).intensity(2, secs(5))).await;
    stage.log.take();

    a.always(Start::Fails);
    child(&tree, "a").tell(Crash).await.unwrap();

    gives_up(&tree).await;
    assert_eq!(stage.log.take(), ["crash a", "fail a", "fail a", "stop b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn failed_starts_within_the_limit_are_borne() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(3, secs(5))).await;
    stage.log.take();

    a.next_starts([Start::Fails, Start::Fails]);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("start a").await;

    assert_eq!(stage.log.take(), ["crash a", "fail a", "fail a", "start a"]);
    stage.end().await;
}

/// OTP: one_for_all_escalation.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_cannot_come_back_with_its_group_ends_the_supervisor() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let spec = sup([a.spec(), b.spec()]).strategy(Strategy::OneForAll).intensity(2, secs(5));
    let tree = stage.supervise(spec).await;
    stage.log.take();

    b.always(Start::Fails);
    child(&tree, "a").tell(Crash).await.unwrap();

    gives_up(&tree).await;
    let expected = ["crash a", "stop b", "start a", "fail b", "stop a", "start a", "fail b", "stop a"];
    assert_eq!(stage.log.take(), expected);
    stage.end().await;
}

/// A normal end of a permanent child is a restart like any other.
#[tokio::test(start_paused = true)]
async fn a_normal_end_of_a_permanent_child_counts() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(0, secs(5))).await;

    child(&tree, "a").tell(crate::support::Finish).await.unwrap();

    gives_up(&tree).await;
    stage.end().await;
}
