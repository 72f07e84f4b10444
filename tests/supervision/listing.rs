//! What a supervisor says of its children.

use greenroom::supervision::ChildState;
use greenroom::{LifeState, Restart, SupervisorRef};
use tokio::task::JoinSet;

use crate::support::{Crash, Finish, Stage, Start, child, secs, sup};

async fn states(tree: &SupervisorRef) -> Vec<(String, ChildState, u64)> {
    let children = tree.children().await.expect("the supervisor runs");
    children.into_iter().map(|child| (child.name, child.state, child.restarts)).collect()
}

#[tokio::test(start_paused = true)]
async fn children_are_listed_in_start_order() {
    let stage = Stage::new().await;
    let [b, a] = stage.parts(["b", "a"]);
    let tree = stage.supervise(sup([b.spec(), a.spec()])).await;

    let children = tree.children().await.unwrap();

    let seen: Vec<_> = children.iter().map(|child| (child.path.as_str(), child.life)).collect();
    assert_eq!(seen, [("sup/b", LifeState::Running), ("sup/a", LifeState::Running)]);
    stage.end().await;
}

/// OTP: the spec of a transient child stays, without a process.
#[tokio::test(start_paused = true)]
async fn a_transient_child_that_ended_is_listed_as_stopped() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec().restart(Restart::Transient), b.spec()])).await;

    child(&tree, "a").ask(Finish).await.unwrap();
    stage.quiet().await;

    let expected = [("a".to_owned(), ChildState::Stopped, 0), ("b".to_owned(), ChildState::Running, 0)];
    assert_eq!(states(&tree).await, expected);
    stage.end().await;
}

/// OTP: count_restarting_children.
#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_its_next_try_is_listed_as_restarting() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().backoff(greenroom::Backoff::default())])).await;

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;
    let waiting = states(&tree).await;
    stage.log.until_times("start a", 2).await;
    stage.quiet().await;

    assert_eq!(waiting, [("a".to_owned(), ChildState::Restarting, 0)]);
    assert_eq!(states(&tree).await, [("a".to_owned(), ChildState::Running, 1)]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_ended_lists_nobody() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    tree.stop(secs(5)).await.expect("it was running");

    assert!(tree.children().await.is_err());
    stage.end().await;
}

/// The story: a supervisor takes 1,024 messages at a time. When that many asked for its children while it was busy, its
/// own note that a backoff was over was refused, and the child stayed away for good.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_asks_for_the_children_does_not_crowd_out_a_restart() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec().backoff(greenroom::Backoff::default()), b.spec()])).await;
    b.next_starts([Start::FailsOutsideAfter(secs(10))]);
    child(&tree, "a").tell(Crash).await.unwrap();
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.log.until("crash b").await;
    stage.quiet().await;
    let mut crowd = JoinSet::new();
    for _ in 0..2_000 {
        let tree = tree.clone();
        crowd.spawn(async move { tree.children().await });
    }

    stage.log.until_times("start a", 2).await;

    let answers = crowd.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "each waits for its answer, so none is refused");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn two_supervisors_may_have_children_of_the_same_names() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let one = stage.supervise(sup([a.spec()])).await;
    let two = stage.supervise(greenroom::Supervisor::named("sup-two").child(a.spec())).await;

    child(&one, "a").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(states(&one).await, [("a".to_owned(), ChildState::Running, 1)]);
    assert_eq!(states(&two).await, [("a".to_owned(), ChildState::Running, 0)]);
    one.stop(secs(1)).await.expect("it was running");
    one.closed().await;
    assert_eq!(stage.paths(), ["sup-two", "sup-two/a"]);
    stage.end().await;
}
