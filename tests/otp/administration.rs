//! What a running supervisor can be asked, and children that make it hard: OTP's `child_adm` and its neighbours.

use std::fmt::Debug;

use greenroom::{AdminError, ChildInfo, ChildSpec, DynamicSupervisor, Shutdown, Supervisor};

use crate::common::{
    ONE_SECOND, Running, Stopped, dynamic, empty, shows, stops_in_order, stranger, template, timetrap,
};
use crate::support::{Crash, Note, Stage, Stop, Wait, child, millis, secs};

/// OTP's pid: which life of which place.
fn life(info: &ChildInfo) -> (String, u64) {
    (info.path.to_string(), info.epoch.0)
}

#[track_caller]
fn not_found<T: Debug>(answer: Result<T, AdminError>, who: &str) {
    assert!(matches!(&answer, Err(AdminError::NotFound { name }) if name == who), "{answer:?}");
}

#[track_caller]
fn unavailable<T: Debug>(answer: Result<T, AdminError>) {
    assert!(matches!(&answer, Err(AdminError::Unavailable(path)) if path.as_str() == "foo"), "{answer:?}");
}

/// That a supervisor hibernates when it has nothing to do means nothing here: it is a task that nobody polls. OTP's
/// `noproc` is [`AdminError::Unavailable`]; a pid in the place of a name is a path.
#[tokio::test(start_paused = true)]
async fn child_adm() {
    let mut stage = Stage::new().await;
    let a = stage.part("a");
    let spec = a.spec().shutdown(ONE_SECOND);
    let foo = stage.supervise(Supervisor::named("foo")).await;
    stops_in_order(&stage, &foo).await;
    let tree = stage.supervise(empty().child(spec.clone())).await;
    stage.exits();
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    let first = tree.child("a").await.expect("it is a child");

    // Start of one that runs.
    let again = tree.start_child(spec.clone()).await;
    assert!(matches!(&again, Err(AdminError::AlreadyStarted { path }) if *path == first.path), "{again:?}");
    assert_eq!(life(&tree.child("a").await.unwrap()), life(&first));

    // Termination keeps the spec; the second time there is nothing to do.
    not_found(tree.terminate_child("hej").await, "hej");
    unavailable(foo.terminate_child("a").await);
    tree.terminate_child("a").await.expect("it is a child");
    assert_eq!(stage.exits(), ["sup/a shutdown"]);
    shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;
    tree.terminate_child("a").await.expect("it is a child still");
    shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;

    // Start of one that is there and does not run.
    let again = tree.start_child(spec.clone()).await;
    assert!(matches!(&again, Err(AdminError::AlreadyPresent { name }) if name == "a"), "{again:?}");

    // Restart.
    let second = tree.restart_child("a").await.expect("it is stopped");
    assert!(second.epoch > first.epoch, "another life: {second:?} after {first:?}");
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    let again = tree.restart_child("a").await;
    assert!(matches!(&again, Err(AdminError::Running { name }) if name == "a"), "{again:?}");
    not_found(tree.restart_child("b").await, "b");
    unavailable(foo.restart_child("a").await);

    // Deletion.
    let running = tree.delete_child("a").await;
    assert!(matches!(&running, Err(AdminError::Running { name }) if name == "a"), "{running:?}");
    not_found(tree.delete_child("hej").await, "hej");
    unavailable(foo.delete_child("a").await);
    tree.terminate_child("a").await.expect("it is a child");
    tree.delete_child("a").await.expect("it is stopped");
    not_found(tree.restart_child("a").await, "a");
    shows(&tree, &[], [0; 4]).await;
    assert_eq!(stage.paths(), ["sup"]);

    // Start.
    unavailable(foo.start_child(spec.clone()).await);
    let third = tree.start_child(spec).await.expect("the name is free");
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;

    // Only a name names a child.
    not_found(tree.terminate_child(third.path.as_str()).await, "sup/a");
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    assert_eq!(child(&tree, "a").ask(Note(3)).await.unwrap(), 3);

    unavailable(foo.children().await);
    unavailable(foo.child("a").await);
    unavailable(foo.child_spec("a").await);
    unavailable(foo.count_children().await);
    stage.end().await;
}

/// OTP names an instance by its pid, and refuses a name; here each has a name. As there, it is no error to terminate
/// one that has ended already; it is one to terminate somebody who lives and is no child.
#[tokio::test(start_paused = true)]
async fn child_adm_simple() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let foo = dynamic(&stage, DynamicSupervisor::named("foo")).await;
    stops_in_order(&stage, foo.supervisor()).await;
    let sup = dynamic(&stage, template()).await;
    let tree = sup.supervisor();
    shows(tree, &[], [1, 0, 0, 0]).await;

    // Start.
    unavailable(foo.start("a", a.clone()).await);
    sup.start("a", a.clone()).await.expect("it starts");
    shows(tree, &[("a", Running)], [1, 1, 0, 1]).await;
    sup.start("b", b).await.expect("it starts");
    shows(tree, &[("a", Running), ("b", Running)], [1, 2, 0, 2]).await;
    let again = sup.start("a", a.clone()).await;
    assert!(matches!(&again, Err(AdminError::AlreadyStarted { .. })), "{again:?}");
    let single = tree.start_child(a.spec()).await;
    assert!(matches!(single, Err(AdminError::OtherKind)), "{single:?}");

    // Termination leaves nothing, and may come too late.
    stage.exits();
    for _ in 0..2 {
        sup.terminate("a").await.expect("it is a child, or was one");
        shows(tree, &[("b", Running)], [1, 1, 0, 1]).await;
    }
    assert_eq!(
        (stage.exits(), stage.paths()),
        (vec!["sup/a shutdown".to_owned()], vec!["sup".into(), "sup/b".into()])
    );
    let alien = stranger(&stage, "sup", &stage.part("alien")).await;
    not_found(sup.terminate("alien").await, "alien");
    not_found(sup.terminate("Not A Name").await, "Not A Name");
    assert!(alien.state().is_occupied(), "{alien:?}");
    assert_eq!(stage.exits(), [""; 0]);

    // Restart and deletion are for those that have a spec of their own.
    for name in ["a", "b", "hej"] {
        let restarted = tree.restart_child(name).await;
        assert!(matches!(restarted, Err(AdminError::OtherKind)), "{restarted:?}");
        let deleted = tree.delete_child(name).await;
        assert!(matches!(deleted, Err(AdminError::OtherKind)), "{deleted:?}");
    }
    shows(tree, &[("b", Running)], [1, 1, 0, 1]).await;
    stage.end().await;
}

/// Adapted: the extra info of OTP's start function is what start and restart tell of the child.
#[tokio::test(start_paused = true)]
async fn extra_return() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(empty().child(a.spec().shutdown(ONE_SECOND))).await;
    let first = tree.child("a").await.expect("it is a child");
    assert_eq!((life(&first), first.restarts), (("sup/a".to_owned(), 1), 0));

    tree.terminate_child("a").await.expect("it is a child");
    shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;
    let second = tree.restart_child("a").await.expect("it is stopped");
    assert_eq!((life(&second), second.restarts, second.state), (("sup/a".to_owned(), 2), 1, Running));
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;

    tree.terminate_child("a").await.expect("it is a child");
    tree.delete_child("a").await.expect("it is stopped");
    shows(&tree, &[], [0; 4]).await;
    let third = tree.start_child(a.spec()).await.expect("the name is free");
    assert_eq!((life(&third), third.restarts, third.state), (("sup/a".to_owned(), 1), 0, Running));

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;
    let fourth = tree.child("a").await.expect("it is a child");
    assert_eq!((life(&fourth), fourth.restarts, fourth.state), (("sup/a".to_owned(), 2), 1, Running));
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    stage.end().await;
}

/// One restart in one second is borne, for ever; the second within it is not.
#[tokio::test(start_paused = true)]
async fn multiple_restarts() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let spec = Supervisor::named("sup").intensity(1, secs(1));
    let tree = stage.supervise(spec).await;
    let first = tree.start_child(a.spec().shutdown(Shutdown::Brutal)).await.expect("it starts");
    let actor = child(&tree, "a");

    for kill in 1..=20 {
        match kill % 2 {
            0 => actor.kill(),
            _ => actor.tell(Crash).await.unwrap(),
        }
        stage.runtime.clock().sleep(millis(2_100)).await;
        let now = tree.child("a").await.expect("it is a child");
        assert_eq!((now.state, now.epoch.0), (Running, first.epoch.0 + kill));
    }

    actor.kill();
    stage.quiet().await;
    actor.kill();
    assert_eq!(tree.closed().await.unwrap().label(), "intensity_exceeded");
    stage.end().await;
}

/// Adapted: no child can cut itself off. What is left are children for whose end the supervisor might wait in vain: one
/// that does not hear the stop, one whose stopping never ends, one that is killed while it stops.
#[tokio::test(start_paused = true)]
async fn child_unlink() {
    let mut stage = Stage::new().await;
    let [busy, idle] = stage.parts(["busy", "idle"]);
    let [endless, victim] = stage.parts(["endless", "victim"]).map(|part| part.stopping(Stop::Never));
    let parts = [&busy, &endless, &victim, &idle].map(|part| part.spec().shutdown(ONE_SECOND));
    let tree = stage.supervise(empty().children(parts)).await;
    child(&tree, "busy").tell(Wait).await.unwrap();
    stage.log.until("wait busy").await;

    for (name, took) in [("busy", secs(1)), ("endless", secs(1)), ("victim", millis(300))] {
        let begun = stage.runtime.clock().now();
        let kill = async {
            if name == "victim" {
                stage.runtime.clock().sleep(millis(300)).await;
                child(&tree, name).kill();
            }
        };
        // The second request waits at the supervisor, which is not to hang.
        let asked = async { tokio::join!(tree.terminate_child(name), tree.child("idle"), kill) };
        let (terminated, idle, ()) = timetrap(&stage, asked).await;

        terminated.expect("it is a child");
        assert_eq!(idle.expect("the supervisor serves").state, Running);
        assert_eq!((name, begun.elapsed()), (name, took));
        assert_eq!(tree.child(name).await.unwrap().state, Stopped);
    }
    assert_eq!(stage.exits(), ["sup/busy killed", "sup/endless killed", "sup/victim killed"]);
    assert_eq!(child(&tree, "idle").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

/// A foreign process that has the name is an actor that lives at the child's path.
#[tokio::test(start_paused = true)]
async fn already_started_outside_supervisor() {
    let mut stage = Stage::new().await;
    let [a, taken] = stage.parts(["a", "taken"]);
    let tree = stage.supervise(Supervisor::named("sup")).await;
    let outsider = stranger(&stage, "sup", &taken).await;
    let before = outsider.observe();
    stage.log.take();

    let refused = tree.start_child(taken.spec()).await;
    let other_type = tree.start_child(ChildSpec::supervisor(Supervisor::named("taken"))).await;
    let changed = tree.change(Supervisor::named("sup").child(taken.spec())).await;

    assert!(matches!(&refused, Err(AdminError::Taken { path }) if path == outsider.path()), "{refused:?}");
    assert!(matches!(&other_type, Err(AdminError::Place(_))), "{other_type:?}");
    assert!(matches!(&changed, Err(AdminError::Taken { path }) if path == outsider.path()), "{changed:?}");
    shows(&tree, &[], [0; 4]).await;
    let after = outsider.observe();
    assert_eq!((after.state, after.epoch), (before.state, before.epoch));
    assert_eq!(child(&tree, "taken").ask(Note(1)).await.unwrap(), 1);
    assert_eq!(stage.log.take(), ["1 taken"], "nobody was started");
    tree.start_child(a.spec()).await.expect("the supervisor is unharmed");
    assert_eq!(stage.exits(), [""; 0]);
    stage.end().await;
}
