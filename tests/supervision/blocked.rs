//! Children that block their thread: fenced and named, and nobody else is held up. In real time, since a blocked
//! thread stops a paused clock; each wait is the patience or the grace that the test has set.

use std::sync::mpsc::{Sender, channel};

use greenroom::{ActorRef, ChildSpec, Shutdown, Strategy, Supervisor};

use crate::support::{Block, Child, Crash, Note, Part, Stage, child, millis, path, secs, sup};

/// Blocks the thread of `actor` until the sender is dropped.
async fn block(stage: &Stage, actor: &ActorRef<Child>) -> Sender<()> {
    let (release, released) = channel();
    actor.tell(Block(released)).await.expect("the mailbox has room");
    let name = actor.path().as_str().rsplit('/').next().expect("a path has a last segment");
    stage.log.until(&format!("block {name}")).await;
    release
}

fn hasty(part: &Part) -> ChildSpec {
    part.spec().shutdown(Shutdown::Within(millis(20)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blocked_child_is_fenced_and_named_and_its_siblings_are_stopped() {
    let mut stage = Stage::impatient().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let tree = stage.supervise(sup([a.spec(), hasty(&b), c.spec()])).await;
    let release = block(&stage, &child(&tree, "b")).await;
    stage.log.take();

    let report = stage.runtime.shutdown(secs(5)).await;

    assert_eq!(report.late, [path("sup/b")]);
    assert_eq!(stage.log.take(), ["stop c", "stop a"]);
    let expected = ["sup/c shutdown", "sup/b unresponsive", "sup/a shutdown", "sup shutdown"];
    assert_eq!(stage.exits()[..4], expected);
    drop(release);
    stage.log.until("unblock b").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blocked_grandchild_is_named_too() {
    let stage = Stage::impatient().await;
    let [a, b] = stage.parts(["a", "b"]);
    let below = Supervisor::named("below").child(hasty(&b));
    let tree = stage.supervise(sup([a.spec(), ChildSpec::supervisor(below)])).await;
    let release = block(&stage, &child(&tree, "below/b")).await;

    let report = stage.runtime.shutdown(secs(5)).await;

    assert_eq!(report.late, [path("sup/below/b")]);
    drop(release);
    stage.log.until("unblock b").await;
}

/// The story: the report was read from the stream of events, which keeps 1,024; the ends of 600 children pushed the
/// blocked one out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blocked_child_is_named_among_a_thousand() {
    let stage = Stage::impatient().await;
    let [a, b] = stage.parts(["a", "b"]);
    let many = (0..1_000).map(|number| ChildSpec::actor::<Child>(format!("a-{number}"), a.clone()));
    let tree = stage.supervise(sup(many).child(hasty(&b))).await;
    // A thousand news of starts use up the supervisor's turn, and tokio keeps a task that gave way on its thread: were
    // that the thread to be blocked, nobody could wake the supervisor. So it comes to rest before; twice, since the
    // first answer may be given at the end of a turn.
    for _ in 0..2 {
        tree.children().await.expect("the supervisor runs");
    }
    let release = block(&stage, &child(&tree, "b")).await;

    let report = stage.runtime.shutdown(secs(60)).await;

    assert_eq!(report.late, [path("sup/b")]);
    drop(release);
    stage.log.until("unblock b").await;
}

/// ractor-supervisor melts down here: it waits for the busy sibling in vain and counts it as one failure after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_busy_sibling_does_not_melt_a_group_restart_down() {
    let stage = Stage::impatient().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let spec = sup([a.spec(), hasty(&b), c.spec()]).strategy(Strategy::OneForAll).intensity(1, secs(60));
    let tree = stage.supervise(spec).await;
    let busy = child(&tree, "b");
    let release = block(&stage, &busy).await;
    busy.tell(Note(1)).await.unwrap();
    stage.log.take();

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("1 b").await;
    stage.log.until("start c").await;

    let log: Vec<_> = stage.log.take().into_iter().filter(|line| line != "1 b").collect();
    assert_eq!(log, ["crash a", "stop c", "start a", "start b", "start c"]);
    drop(release);
    stage.log.until("unblock b").await;
    // The end of the fenced life is no news.
    assert_eq!(busy.ask(Note(2)).await.unwrap(), 2);
    assert_eq!(tree.children().await.unwrap()[1].restarts, 1);
    stage.end().await;
}

/// The story: the killed supervisor came back while its child still ran, and could not have the place; each try counted,
/// until the parent gave up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_supervisor_comes_back_although_a_child_blocks_its_thread() {
    let stage = Stage::impatient().await;
    let [b, c] = stage.parts(["b", "c"]);
    let below = Supervisor::named("below").children([hasty(&b), c.spec()]);
    let tree = stage.supervise(sup([ChildSpec::supervisor(below)]).intensity(1, secs(60))).await;
    let busy = child(&tree, "below/b");
    let release = block(&stage, &busy).await;
    stage.log.take();

    stage.runtime.place(&path("sup/below")).unwrap().kill();
    stage.log.until("start c").await;

    assert_eq!(stage.log.take(), ["start b", "start c"]);
    assert_eq!(busy.ask(Note(1)).await.unwrap(), 1);
    drop(release);
    stage.log.until("unblock b").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn giving_up_does_not_wait_for_a_blocked_sibling_beyond_its_patience() {
    let stage = Stage::impatient().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), hasty(&b)]).intensity(0, secs(5))).await;
    let release = block(&stage, &child(&tree, "b")).await;

    child(&tree, "a").tell(Crash).await.unwrap();
    let reason = tree.closed().await.expect("it has run");

    assert_eq!(reason.label(), "intensity_exceeded");
    drop(release);
    stage.log.until("unblock b").await;
    stage.end().await;
}

/// A start wakes the supervisor, which then runs next on the thread of the child, where no other thread can fetch it:
/// the child lets it run before it takes a message.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_child_that_comes_back_and_blocks_at_once_does_not_silence_its_supervisor() {
    let stage = Stage::impatient().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), hasty(&b)])).await;
    let (release, released) = channel();
    let blocker = child(&tree, "b");
    blocker.try_tell(Crash).expect("room");
    blocker.try_tell(Block(released)).expect("room");
    stage.log.until("block b").await;

    let children = tree.children().await;

    assert_eq!(children.expect("the supervisor runs").len(), 2);
    drop(release);
    stage.end().await;
}
