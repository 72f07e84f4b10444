//! The cases about more than one level or more than one restart: what a tree looks like after it, and in which order.

use greenroom::{ChildSpec, Restart, Strategy, Supervisor, TellError};

use crate::case::{Case, End, counts, flags, listed, temporary};
use crate::support::{Crash, Note, Stage, Start, Stop, child, millis, path, secs};

#[tokio::test(start_paused = true)]
async fn tree() {
    let stage = Stage::new().await;
    let [child1, child2, child3, child4] = stage.parts(["child1", "child2", "child3", "child4"]);
    let below = |name| Supervisor::named(name).intensity(4, secs(3_600));
    let sup = stage.supervise(flags(Strategy::OneForAll, 4)).await;
    let mut case = Case { stage, sup };
    for spec in [
        ChildSpec::supervisor(below("supchild1").children([child1.spec(), child2.spec()])),
        ChildSpec::supervisor(below("supchild2")),
        ChildSpec::supervisor(below("supchild3")).restart(Restart::Transient),
    ] {
        case.sup.start_child(spec).await.unwrap();
    }
    case.sup.terminate_child("supchild3").await.unwrap();
    assert_eq!(case.counts().await, [3, 2, 3, 0]);
    let [sup1, sup2, sup3] =
        ["supchild1", "supchild2", "supchild3"].map(|name| case.sup.below(name).unwrap());
    assert_eq!((counts(&sup1).await, counts(&sup2).await), ([2, 2, 0, 2], [0, 0, 0, 0]));

    // Dynamic children; of these, only the one that falls is replaced.
    sup2.start_child(child3.spec()).await.unwrap();
    sup2.start_child(child4.spec()).await.unwrap();
    assert_eq!((counts(&sup1).await, counts(&sup2).await), ([2, 2, 0, 2], [2, 2, 0, 2]));
    case.stage.exits();
    case.end_alone("supchild2/child4", End::Crash).await;
    assert_eq!(listed(&sup1).await, ["child1, life 1", "child2, life 1"]);
    assert_eq!(listed(&sup2).await, ["child3, life 1", "child4, life 2"]);
    assert_eq!((counts(&sup1).await, counts(&sup2).await), ([2, 2, 0, 2], [2, 2, 0, 2]));

    // One that cannot start again ends its supervisor, and with it all three.
    child3.always(Start::Fails);
    let dynamic = child(&case.sup, "supchild2/child4");
    let exits = case.end("supchild2/child3", End::Crash).await;
    let fallen = ["sup/supchild2/child3 panicked"];
    let tries = ["sup/supchild2/child3 failed"; 3];
    let given_up = ["sup/supchild2/child4 shutdown", "sup/supchild2 intensity_exceeded"];
    let others = ["sup/supchild1/child2 shutdown", "sup/supchild1/child1 shutdown", "sup/supchild1 shutdown"];
    assert_eq!(exits, [&fallen[..], &tries, &given_up, &others].concat());

    assert_eq!(case.listed().await, ["supchild1, life 2", "supchild2, life 2", "supchild3, life 2"]);
    assert_eq!(case.counts().await, [3, 3, 3, 0]);
    assert_eq!(listed(&sup1).await, ["child1, life 2", "child2, life 2"]);
    assert_eq!(counts(&sup1).await, [2, 2, 0, 2]);
    for without_children in [sup2, sup3] {
        assert_eq!(listed(&without_children).await, [""; 0]);
        assert_eq!(counts(&without_children).await, [0, 0, 0, 0]);
    }
    assert!(matches!(dynamic.try_tell(Note(1)), Err(TellError::Gone { .. })));
    case.stop().await;
}

/// Those that stop first take the longest: whoever is stopped before its turn has ended before them.
#[tokio::test(start_paused = true)]
async fn order_of_children() {
    let mut stage = Stage::new().await;
    let names = ["ch7", "ch3", "ch10", "ch2", "ch5"]; // in no order of their own
    let takes = [0, 1, 2, 3, 4].map(|takes| Stop::Takes(secs(takes)));
    let parts = stage.parts(names).into_iter().zip(takes).map(|(part, takes)| part.stopping(takes));
    let children = parts.map(|part| part.spec());
    let sup = stage.supervise(flags(Strategy::RestForOne, 2).children(children)).await;
    assert_eq!(stage.log.take(), ["start ch7", "start ch3", "start ch10", "start ch2", "start ch5"]);

    child(&sup, "ch10").tell(Crash).await.unwrap();
    stage.log.until("start ch5").await;
    stage.quiet().await;

    assert_eq!(stage.exits(), ["sup/ch10 panicked", "sup/ch5 shutdown", "sup/ch2 shutdown"]);
    let expected = ["crash ch10", "stop ch5", "stop ch2", "start ch10", "start ch2", "start ch5"];
    assert_eq!(stage.log.take(), expected);
    let lives = ["ch7, life 1", "ch3, life 1", "ch10, life 2", "ch2, life 2", "ch5, life 2"];
    assert_eq!(listed(&sup).await, lives);

    sup.stop(secs(60)).await.expect("it was running");

    let expected = ["ch5", "ch2", "ch10", "ch3", "ch7"].map(|name| format!("sup/{name} shutdown"));
    assert_eq!(stage.exits(), [&expected[..], &["sup shutdown".to_owned()]].concat());
    assert_eq!(stage.log.take(), ["stop ch5", "stop ch2", "stop ch10", "stop ch3", "stop ch7"]);
    Case { stage, sup }.over("shutdown").await;
}

#[tokio::test(start_paused = true)]
async fn temporary_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut case = Case::of(flags(strategy, 2).intensity(2, secs(300))).await;
        case.start_all(["child1"]).await;
        case.start("child2", temporary).await;

        let exits = case.end("child1", End::Normal).await;
        case.stage.runtime.clock().sleep(millis(350)).await;

        assert_eq!(exits, ["sup/child1 normal", "sup/child2 shutdown"], "{strategy:?}");
        assert_eq!(case.stage.exits(), [""; 0], "the supervisor lives");
        assert_eq!(case.listed().await, ["child1, life 2"]);
        assert_eq!(case.stage.paths(), ["sup", "sup/child1"]);
        // One restart was counted, not one for each of the group: two more are too many, one more is not.
        case.end_alone("child1", End::Normal).await;
        case.end_all("child1", &[]).await;
    }
}

/// What happens to `sup/sup2/server`: `OTP-9212`.
#[derive(Clone, Copy, Debug)]
enum Blow {
    KillSupervisor,
    KillWorker,
    ExitWorker,
    RestartWorker,
}

/// A name is a path here: it leads to the new one at once, also for those who had resolved it before.
#[tokio::test(start_paused = true)]
async fn simple_global_supervisor() {
    for blow in [Blow::KillSupervisor, Blow::KillWorker, Blow::ExitWorker, Blow::RestartWorker] {
        let stage = Stage::new().await;
        let flags = |name| Supervisor::named(name).strategy(Strategy::OneForAll).intensity(3, secs(60));
        let sup2 = flags("sup2").child(stage.part("server").spec());
        let sup = stage.supervise(flags("sup").child(ChildSpec::supervisor(sup2))).await;
        let mut case = Case { stage, sup };
        let (sup2, server) = (case.sup.below("sup2").unwrap(), child(&case.sup, "sup2/server"));

        match blow {
            Blow::KillSupervisor => sup2.place().kill(),
            Blow::KillWorker => _ = case.end("sup2/server", End::Kill).await,
            Blow::ExitWorker => _ = case.end("sup2/server", End::Crash).await,
            Blow::RestartWorker => {
                sup2.terminate_child("server").await.unwrap();
                sup2.restart_child("server").await.unwrap();
            }
        }
        case.stage.quiet().await;

        let sup2_life = if matches!(blow, Blow::KillSupervisor) { 2 } else { 1 };
        assert_eq!(case.listed().await, [format!("sup2, life {sup2_life}")], "{blow:?}");
        assert_eq!(listed(&sup2).await, ["server, life 2"], "{blow:?}");
        assert!(server == child(&case.sup, "sup2/server"));
        assert_eq!(server.ask(Note(1)).await.unwrap(), 1);

        case.stage.exits();
        case.sup.place().kill();
        let reason = case.sup.closed().await.expect("it has run");
        case.stage.quiet().await;
        assert_eq!(reason.label(), "killed");
        assert!(case.stage.runtime.place(&path("sup/sup2")).is_err());
        assert!(case.stage.runtime.place(&path("sup/sup2/server")).is_err());
        assert_eq!(case.stage.exits().len(), 3);
        case.stage.end().await;
    }
}
