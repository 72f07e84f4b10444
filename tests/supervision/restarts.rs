//! Who comes back from which end, and how a start that fails is tried again.

use std::future::Future;

use greenroom::{ActorRef, Restart, TellError};

use crate::support::{Child, Crash, Finish, Note, Stage, Start, child, secs, sup};

/// Puts one child of that restart type on a stage, ends it, and says what it wrote from then on.
async fn after<F: Future<Output = ()>>(
    restart: Restart,
    end: impl FnOnce(ActorRef<Child>) -> F,
) -> Vec<String> {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().restart(restart)])).await;
    stage.log.take();

    end(child(&tree, "a")).await;
    stage.quiet().await;

    let log = stage.log.take();
    stage.end().await;
    log
}

async fn normally(actor: ActorRef<Child>) {
    actor.ask(Finish).await.expect("it answers before it ends");
}

async fn by_a_stop(actor: ActorRef<Child>) {
    actor.stop(secs(1)).await;
}

async fn by_a_kill(actor: ActorRef<Child>) {
    actor.kill();
}

async fn by_a_crash(actor: ActorRef<Child>) {
    actor.tell(Crash).await.expect("the mailbox has room");
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_comes_back_from_a_normal_end() {
    assert_eq!(after(Restart::Permanent, normally).await, ["stop a", "start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_comes_back_from_a_stop_that_its_supervisor_did_not_order() {
    assert_eq!(after(Restart::Permanent, by_a_stop).await, ["stop a", "start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_comes_back_from_a_kill() {
    assert_eq!(after(Restart::Permanent, by_a_kill).await, ["start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_stays_away_after_a_normal_end() {
    assert_eq!(after(Restart::Transient, normally).await, ["stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_stays_away_after_a_shutdown() {
    assert_eq!(after(Restart::Transient, by_a_stop).await, ["stop a"]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_comes_back_from_a_kill() {
    assert_eq!(after(Restart::Transient, by_a_kill).await, ["start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_comes_back_from_a_crash() {
    assert_eq!(after(Restart::Transient, by_a_crash).await, ["crash a", "start a"]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_never_comes_back() {
    assert_eq!(after(Restart::Temporary, normally).await, ["stop a"]);
    assert_eq!(after(Restart::Temporary, by_a_stop).await, ["stop a"]);
    assert_eq!(after(Restart::Temporary, by_a_kill).await, [""; 0]);
    assert_eq!(after(Restart::Temporary, by_a_crash).await, ["crash a"]);
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_temporary_child_is_gone_with_it() {
    let stage = Stage::new().await;
    let x = stage.part("x");
    let tree = stage.supervise(sup([x.spec().restart(Restart::Temporary)])).await;
    let temporary = child(&tree, "x");

    temporary.kill();
    stage.quiet().await;

    assert!(matches!(temporary.try_tell(Note(1)), Err(TellError::Gone { .. })));
    assert!(tree.children().await.unwrap().is_empty());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_tried_again_at_once() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    stage.log.take();

    a.next_starts([Start::Fails, Start::Panics, Start::FailsOutside]);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("start a").await;

    assert_eq!(stage.log.take(), ["crash a", "fail a", "fail a", "fail a", "start a"]);
    stage.end().await;
}

/// OTP: permanent or transient makes no difference to a start that fails.
#[tokio::test(start_paused = true)]
async fn a_transient_child_whose_restart_fails_is_tried_again_too() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().restart(Restart::Transient)])).await;
    stage.log.take();

    a.next_starts([Start::Fails]);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("start a").await;

    assert_eq!(stage.log.take(), ["crash a", "fail a", "start a"]);
    stage.end().await;
}

/// OTP: hanging_restart_loop. The retry goes through the mailbox, so the stop is heard between two tries.
#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_between_the_tries_of_a_child_that_never_starts() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()])).await;
    b.always(Start::Fails);
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.log.until_times("fail b", 100).await;

    let begun = stage.runtime.clock().now();
    let reason = tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(reason.label(), "shutdown");
    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(stage.log.take().last().unwrap(), "stop a");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_sibling_is_looked_after_while_another_never_starts() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()])).await;
    a.always(Start::Fails);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("fail a").await;

    child(&tree, "b").tell(Crash).await.unwrap();

    stage.log.until_times("start b", 2).await;
    stage.end().await;
}

/// The story: when the restart of `b` failed while `a` waited for its next try, the supervisor took `a` for one of the
/// group of `b`, marked it as not waiting, and so forgot it for good.
#[tokio::test(start_paused = true)]
async fn two_children_whose_restarts_fail_at_once_are_both_tried_again() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()])).await;
    stage.log.take();
    a.next_starts([Start::Fails; 3]);
    b.next_starts([Start::Fails; 3]);

    child(&tree, "a").try_tell(Crash).unwrap();
    child(&tree, "b").try_tell(Crash).unwrap();

    stage.log.until("start a").await;
    stage.log.until("start b").await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_hangs_hears_a_stop() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()])).await;
    b.next_starts([Start::Hangs]);
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.log.until("hang b").await;
    stage.log.take();

    let begun = stage.runtime.clock().now();
    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(stage.log.take(), ["stop a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_hangs_is_cut_at_its_start_deadline_and_tried_again() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    stage.log.take();

    a.next_starts([Start::Hangs]);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("start a").await;

    assert_eq!(stage.log.take(), ["crash a", "hang a", "start a"]);
    stage.end().await;
}
