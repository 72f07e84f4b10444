//! Groups `sup_start` and `sup_start_map`: what a start promises, what a child that declines or fails leaves behind, and
//! what can be read of a spec.

use greenroom::{
    AdminError, ChildKind, ChildSpec, DynamicSupervisor, ExitReason, Failure, PathError, Restart, Shutdown,
    SpawnError, SpecComplaint, SuperviseError, SuperviseExt, Supervisor,
};

use crate::common::{Running, Stopped, dynamic, empty, shows, stops_in_order, stranger, template};
use crate::support::{Crash, Note, Stage, Start, chain, child, secs};

/// How the start of a whole supervisor ended that did not start.
async fn refused(stage: &Stage, supervisor: Supervisor) -> ExitReason {
    match stage.runtime.supervise(supervisor).await {
        Err(SuperviseError::Spawn(SpawnError::StartFailed { reason, .. })) => reason,
        other => panic!("it should not have started: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn sup_start_normal() {
    let mut stage = Stage::new().await;
    let tree = stage.supervise(empty()).await;

    stops_in_order(&stage, &tree).await;

    assert_eq!(stage.exits(), ["sup shutdown"]);
    stage.end().await;
}

/// Adapted: `ignore` is `Ok(None)` of [`Supervisor::from_fn`], and the starter reads it in the error. Under a parent
/// such a supervisor is a child that declines.
#[tokio::test(start_paused = true)]
async fn sup_start_ignore_init() {
    let mut stage = Stage::new().await;
    let declines = || Supervisor::from_fn("declines", || Ok(None));

    let reason = refused(&stage, declines()).await;
    stage.quiet().await;

    assert!(matches!(reason, ExitReason::Declined { .. }), "{reason:?}");
    assert_eq!(stage.exits(), ["declines declined"]);
    assert_eq!(stage.paths(), [""; 0]);

    let a = stage.part("a");
    let tree = stage.supervise(empty().child(ChildSpec::supervisor(declines())).child(a.spec())).await;
    shows(&tree, &[("declines", Stopped), ("a", Running)], [2, 1, 1, 1]).await;
    stops_in_order(&stage, &tree).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_child() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    a.next_starts([Start::Declines]);
    let tree = stage.supervise(empty()).await;

    let declined = tree.start_child(a.spec()).await.expect("to decline is no failure");
    tree.start_child(b.spec()).await.expect("it starts");

    assert_eq!(declined.state, Stopped);
    shows(&tree, &[("a", Stopped), ("b", Running)], [2, 1, 0, 2]).await;
    // Its spec is as good as any other's.
    tree.restart_child("a").await.expect("by now there is something to do");
    shows(&tree, &[("a", Running), ("b", Running)], [2, 2, 0, 2]).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    a.next_starts([Start::Declines]);
    let specs = [&a, &b].map(|part| part.spec().restart(Restart::Temporary));

    let tree = stage.supervise(empty().children(specs)).await;

    shows(&tree, &[("b", Running)], [1, 1, 0, 1]).await;
    assert_eq!(stage.paths(), ["sup", "sup/b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    a.next_starts([Start::Declines]);
    let tree = stage.supervise(empty()).await;

    let declined = tree.start_child(a.spec().restart(Restart::Temporary)).await;
    tree.start_child(b.spec().restart(Restart::Temporary)).await.expect("it starts");

    assert!(matches!(declined, Err(AdminError::Declined { .. })), "{declined:?}");
    shows(&tree, &[("b", Running)], [1, 1, 0, 1]).await;
    assert_eq!(stage.paths(), ["sup", "sup/b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child_simple() {
    one_of_a_template_declines(Restart::Temporary).await;
}

/// A regression of OTP's: the instance that was not kept made the supervisor crash when it stopped.
#[tokio::test(start_paused = true)]
async fn sup_start_ignore_permanent_child_start_child_simple() {
    one_of_a_template_declines(Restart::Permanent).await;
}

async fn one_of_a_template_declines(restart: Restart) {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    a.next_starts([Start::Declines]);
    let sup = dynamic(&stage, template().restart(restart)).await;

    let declined = sup.start("a", a.clone()).await;
    sup.start("b", b).await.expect("it starts");

    assert!(matches!(declined, Err(AdminError::Declined { .. })), "{declined:?}");
    shows(sup.supervisor(), &[("b", Running)], [1, 1, 0, 1]).await;
    assert_eq!(stage.paths(), ["sup", "sup/b"]);
    stops_in_order(&stage, sup.supervisor()).await;
    assert_eq!(stage.exits(), ["sup/a declined", "sup/b shutdown", "sup shutdown"]);
    stage.end().await;
}

/// Adapted: what `init` makes has a type, so what can be wrong with it are the complaints about a spec.
#[tokio::test(start_paused = true)]
async fn sup_start_error_return() {
    let mut stage = Stage::new().await;
    let a = stage.part("a");
    let faulty = Supervisor::named("any").children([a.spec(), a.spec()]).intensity(1, secs(0));

    let reason = refused(&stage, Supervisor::from_fn("sup", move || Ok(Some(faulty.clone())))).await;
    stage.quiet().await;

    let causes = chain(&reason);
    assert_eq!(causes[0], "failed while starting");
    assert!(causes[1].contains("window") && causes[1].contains("two children called `a`"), "{causes:?}");
    assert_eq!((stage.exits(), stage.log.take()), (vec!["sup failed".to_owned()], Vec::new()));
    assert_eq!(stage.paths(), [""; 0]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_fail() {
    type Init = fn() -> Result<Option<Supervisor>, Failure>;
    let table: [(Init, &str, &str); 3] = [
        (|| panic!("no such file"), "panicked", "panicked while starting: no such file"),
        (|| Err(Failure::bug("no such file")), "failed", "no such file"),
        (|| Err(Failure::external("the disk is away")), "failed", "the disk is away"),
    ];
    for (init, label, cause) in table {
        let mut stage = Stage::new().await;

        let reason = refused(&stage, Supervisor::from_fn("sup", init)).await;
        stage.quiet().await;

        assert_eq!((reason.label(), chain(&reason).last().unwrap().as_str()), (label, cause));
        assert_eq!(stage.exits(), [format!("sup {label}")]);
        assert_eq!(stage.paths(), [""; 0]);
        stage.end().await;
    }
}

/// OTP: `{error, R}`, and a return that means nothing, which here can only be a panic.
const FAILING: [(Start, &str); 3] =
    [(Start::Fails, "failed"), (Start::FailsOutside, "failed"), (Start::Panics, "panicked")];

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(empty()).await;

    for (start, label) in FAILING {
        a.next_starts([start]);
        let failed = tree.start_child(a.spec()).await;

        let Err(AdminError::StartFailed { path, reason }) = failed else { panic!("{failed:?}") };
        assert_eq!((path.as_str(), reason.label()), ("sup/a", label));
        shows(&tree, &[], [0; 4]).await;
        assert_eq!(stage.paths(), ["sup"]);
    }
    tree.start_child(a.spec()).await.expect("the name is free");
    stage.end().await;
}

/// A start by request does not count for the intensity, however often it fails: three here, where two are borne.
#[tokio::test(start_paused = true)]
async fn sup_start_restart_child_returns_error() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(empty().child(a.spec())).await;
    tree.terminate_child("a").await.expect("it runs");

    for (start, label) in FAILING {
        a.next_starts([start]);
        let failed = tree.restart_child("a").await;

        let Err(AdminError::StartFailed { path, reason }) = failed else { panic!("{failed:?}") };
        assert_eq!((path.as_str(), reason.label()), ("sup/a", label));
        shows(&tree, &[("a", Stopped)], [1, 0, 0, 1]).await;
    }
    tree.restart_child("a").await.expect("by now its start works");
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error_simple() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let sup = dynamic(&stage, template()).await;

    for (start, label) in FAILING {
        a.next_starts([start]);
        let failed = sup.start("a", a.clone()).await;

        let Err(AdminError::StartFailed { path, reason }) = failed else { panic!("{failed:?}") };
        assert_eq!((path.as_str(), reason.label()), ("sup/a", label));
        shows(sup.supervisor(), &[], [1, 0, 0, 0]).await;
        assert_eq!(stage.paths(), ["sup"]);
    }
    sup.start("a", a).await.expect("the name is free");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_map() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let below = ChildSpec::supervisor(Supervisor::named("below").child(c.spec()));
    let specs = [a.spec(), b.spec().shutdown(Shutdown::Brutal), below];

    let tree = stage.supervise(Supervisor::named("sup").children(specs)).await;

    let table = [
        ("a", ChildKind::Worker, Shutdown::Within(secs(5))),
        ("b", ChildKind::Worker, Shutdown::Brutal),
        ("below", ChildKind::Supervisor, Shutdown::Infinity),
    ];
    for (name, kind, shutdown) in table {
        let spec = tree.child_spec(name).await.expect("there is such a child");
        assert_eq!((spec.kind, spec.restart, spec.shutdown), (kind, Restart::Permanent, shutdown), "{name}");
        assert!(!spec.significant && spec.backoff.is_none(), "{name}: {spec:?}");
    }
    assert!(matches!(tree.child_spec("d").await, Err(AdminError::NotFound { name }) if name == "d"));
    // OTP's defaults for the supervisor itself: one restart in 5 s is borne, the second is one too many.
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;
    child(&tree, "a").tell(Crash).await.unwrap();
    assert_eq!(tree.closed().await.unwrap().label(), "intensity_exceeded");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_map_simple() {
    let stage = Stage::new().await;
    let parts = stage.parts(["a", "b", "c"]);
    let of_all = DynamicSupervisor::named("sup").restart(Restart::Temporary);
    let sup = dynamic(&stage, of_all).await;
    let alien = stranger(&stage, "sup", &stage.part("alien")).await;

    for part in &parts {
        sup.start(part.name, part.clone()).await.expect("it starts");
    }

    for part in &parts {
        let spec = sup.supervisor().child_spec(part.name).await.expect("there is such a child");
        assert_eq!((spec.kind, spec.restart), (ChildKind::Worker, Restart::Temporary));
        assert_eq!(spec.shutdown, Shutdown::Within(secs(5)));
        assert!(!spec.significant, "{spec:?}");
    }
    for nobody in [alien.path().name(), "nobody"] {
        let spec = sup.supervisor().child_spec(nobody).await;
        assert!(matches!(&spec, Err(AdminError::NotFound { name }) if name == nobody), "{spec:?}");
    }
    stage.end().await;
}

/// Adapted: a child without a start, or with a setting that does not exist, does not compile (see [`ChildSpec`]). What is
/// left of a missing id is a name that is none.
#[tokio::test(start_paused = true)]
async fn sup_start_map_faulty_specs() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let named = |name: &str| ChildSpec::actor::<crate::support::Child>(name, a.clone());
    let bad = |source| SpecComplaint::BadName { supervisor: "sup".to_owned(), source };
    let segment = |text: &str| bad(PathError::BadSegment { segment: text.to_owned() });
    let table = [
        ("", bad(PathError::Empty)),
        ("A Child", segment("A Child")),
        ("a/b", segment("a/b")),
        ("..", segment("..")),
    ];

    for (name, complaint) in &table {
        let refused = stage.runtime.supervise(empty().child(named("a")).child(named(name))).await;
        let Err(SuperviseError::Spec(complaints)) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!(complaints, std::slice::from_ref(complaint));
        assert_eq!(stage.paths(), [""; 0]);
    }
    let tree = stage.supervise(empty()).await;
    for (name, complaint) in &table {
        let refused = tree.start_child(named(name)).await;
        let Err(AdminError::Spec(complaints)) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!(complaints, std::slice::from_ref(complaint));
    }
    shows(&tree, &[], [0; 4]).await;
    assert_eq!(stage.log.take(), [""; 0], "nobody was started");
    tree.start_child(named("a")).await.expect("there is nothing wrong with this one");
    assert_eq!(child(&tree, "a").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}
