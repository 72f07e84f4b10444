//! Restarts that fail for ever: the supervisor can be asked all the while, and stopped. OTP-9549.
//!
//! As in OTP's cases each start fails after two seconds, so that 8 restarts in 10 s are never too many.

use std::fmt::Debug;
use std::time::Duration;

use greenroom::{AdminError, DynamicSupervisor, Shutdown, Strategy, Supervisor, SupervisorRef};

use crate::common::{Restarting, Running, Stopped, dynamic, shows, stops_in_order, timetrap};
use crate::support::{Child, Crash, Note, OFTEN, Part, Stage, Start, child, secs};

const FAILS: Start = Start::FailsAfter(Duration::from_secs(2));

/// Crashes the child of `part`, which does not come back, and lets the loop go round thirty times.
async fn hang(stage: &Stage, tree: &SupervisorRef, part: &Part, fails: Start) {
    stage.log.take();
    part.always(fails);
    child(tree, part.name).tell(Crash).await.expect("the mailbox has room");
    stage.log.until_times(&format!("fail {}", part.name), 30).await;
}

/// The supervisor hears the stop in the middle of a start, and stops at once. The child that hangs ended by its crash, and
/// then at each start.
async fn stops_at_once(mut stage: Stage, tree: &SupervisorRef, hanging: &str) {
    let exits = stage.exits();
    let of_child: Vec<_> = exits.iter().filter(|exit| exit.starts_with(&format!("sup/{hanging} "))).collect();
    assert_eq!(of_child[0], &format!("sup/{hanging} panicked"));
    assert!(
        of_child.len() > 30 && of_child[1..].iter().all(|exit| exit.ends_with(" failed")),
        "{of_child:?}"
    );
    assert!(!exits.iter().any(|exit| exit.starts_with("sup ")), "the supervisor bears it: {exits:?}");
    let begun = stage.runtime.clock().now();

    stops_in_order(&stage, tree).await;

    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(stage.exits().last().map(String::as_str), Some("sup shutdown"));
    assert_eq!(stage.paths(), [""; 0]);
    stage.end().await;
}

#[track_caller]
fn restarting<T: Debug>(answer: Result<T, AdminError>, who: &str) {
    assert!(matches!(&answer, Err(AdminError::Restarting { name }) if name == who), "{answer:?}");
}

#[track_caller]
fn already_present<T: Debug>(answer: Result<T, AdminError>, who: &str) {
    assert!(matches!(&answer, Err(AdminError::AlreadyPresent { name }) if name == who), "{answer:?}");
}

/// Also with starts that fail at once, so that the loop never rests.
#[tokio::test(start_paused = true)]
async fn hanging_restart_loop() {
    for (fails, (max, within)) in [(FAILS, (8, secs(10))), (Start::Fails, OFTEN)] {
        let mut stage = Stage::new().await;
        let a = stage.part("a");
        let spec = a.spec().shutdown(Shutdown::Brutal);
        let tree = stage.supervise(Supervisor::named("sup").intensity(max, within)).await;
        tree.start_child(spec.clone()).await.expect("it starts");

        hang(&stage, &tree, &a, fails).await;
        already_present(timetrap(&stage, tree.start_child(spec)).await, "a");
        restarting(tree.restart_child("a").await, "a");
        restarting(tree.delete_child("a").await, "a");
        shows(&tree, &[("a", Restarting)], [1, 0, 0, 1]).await;

        tree.terminate_child("a").await.expect("it is a child");
        assert_eq!(stage.exits()[0], "sup/a panicked");
        shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;
        stage.runtime.clock().sleep(secs(60)).await;
        assert_eq!(stage.exits(), [""; 0], "nobody tries again");
        shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;

        a.always(Start::Works);
        tree.restart_child("a").await.expect("it is stopped");
        assert_eq!(child(&tree, "a").ask(Note(1)).await.unwrap(), 1);
        hang(&stage, &tree, &a, fails).await;
        stops_at_once(stage, &tree, "a").await;
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_rest_for_one() {
    let mut stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let spec = Supervisor::named("sup").strategy(Strategy::RestForOne).intensity(8, secs(10));
    let tree = stage.supervise(spec).await;
    for part in [&a, &b, &c] {
        tree.start_child(part.spec().shutdown(Shutdown::Brutal)).await.expect("it starts");
    }

    hang(&stage, &tree, &b, FAILS).await;
    already_present(timetrap(&stage, tree.start_child(b.spec())).await, "b");
    restarting(tree.restart_child("b").await, "b");
    restarting(tree.delete_child("b").await, "b");
    shows(&tree, &[("a", Running), ("b", Restarting), ("c", Stopped)], [3, 1, 0, 3]).await;
    assert_eq!(stage.exits()[..2], ["sup/b panicked", "sup/c killed"]);

    tree.terminate_child("b").await.expect("it is a child");
    stage.exits();
    stage.runtime.clock().sleep(secs(60)).await;
    shows(&tree, &[("a", Running), ("b", Stopped), ("c", Stopped)], [3, 1, 0, 3]).await;
    assert_eq!(stage.exits(), [""; 0], "nobody tries again");
    assert_eq!(tree.child("a").await.unwrap().epoch.0, 1, "the earlier sibling was left alone");

    // By request it comes alone; what failed with it stays down.
    b.always(Start::Works);
    tree.restart_child("b").await.expect("it is stopped");
    shows(&tree, &[("a", Running), ("b", Running), ("c", Stopped)], [3, 2, 0, 3]).await;
    hang(&stage, &tree, &b, FAILS).await;
    shows(&tree, &[("a", Running), ("b", Restarting), ("c", Stopped)], [3, 1, 0, 3]).await;
    stops_at_once(stage, &tree, "b").await;
}

#[tokio::test(start_paused = true)]
async fn hanging_restart_loop_simple() {
    let mut stage = Stage::new().await;
    let a = stage.part("a");
    let of_all = DynamicSupervisor::<Child>::named("sup").intensity(8, secs(10)).shutdown(Shutdown::Brutal);
    let sup = dynamic(&stage, of_all).await;
    let tree = sup.supervisor();
    sup.start("a", a.clone()).await.expect("it starts");

    hang(&stage, tree, &a, FAILS).await;
    already_present(timetrap(&stage, sup.start("a", a.clone())).await, "a");
    let restarted = tree.restart_child("a").await;
    assert!(matches!(restarted, Err(AdminError::OtherKind)), "{restarted:?}");
    let deleted = tree.delete_child("a").await;
    assert!(matches!(deleted, Err(AdminError::OtherKind)), "{deleted:?}");
    shows(tree, &[("a", Restarting)], [1, 0, 0, 1]).await;

    sup.terminate("a").await.expect("it is a child");
    assert_eq!(stage.exits()[0], "sup/a panicked");
    stage.runtime.clock().sleep(secs(60)).await;
    assert_eq!(stage.exits(), [""; 0], "nobody tries again");
    shows(tree, &[], [1, 0, 0, 0]).await;

    a.always(Start::Works);
    sup.start("a", a.clone()).await.expect("the name is free");
    assert_eq!(child(tree, "a").ask(Note(1)).await.unwrap(), 1);
    hang(&stage, tree, &a, FAILS).await;
    stops_at_once(stage, tree, "a").await;
}
