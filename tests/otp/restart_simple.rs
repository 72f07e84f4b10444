//! Group `restart_simple_one_for_one`: instances of one template, which is a [`DynamicSupervisor`] here.
//!
//! [`DynamicSupervisor`]: greenroom::DynamicSupervisor

use greenroom::{Restart, Shutdown};

use crate::case::{Case, End, simple_flags};
use crate::support::{Child, Note, Start, Stop, secs};

#[tokio::test(start_paused = true)]
async fn simple_one_for_one() {
    let mut case = Case::of(simple_flags(2)).await;
    case.start_instances(["a", "b"]).await;

    case.end_alone("a", End::Crash).await;
    assert_eq!(case.listed().await, ["a, life 2", "b, life 1"]);
    assert_eq!(case.counts().await, [1, 2, 0, 2]);

    case.end_alone("b", End::Crash).await;
    case.end_all("b", &["a"]).await;
}

/// All are asked at once and share one patience: two take half of it, the third is killed when it is over.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_shutdown() {
    let mut case = Case::of(simple_flags(2).shutdown(Shutdown::Within(secs(2)))).await;
    for (name, takes) in [("a", 1), ("b", 1), ("c", 5)] {
        let part = case.stage.part(name).stopping(Stop::Takes(secs(takes)));
        case.sup.dynamic::<Child>().start(name, part).await.unwrap();
    }
    let begun = case.stage.runtime.clock().now();

    case.sup.stop(secs(60)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(2));
    let expected = ["sup/a shutdown", "sup/b shutdown", "sup/c killed", "sup shutdown"];
    assert_eq!(case.stage.exits(), expected);
    case.over("shutdown").await;
}

/// Adapted: all that a start hands back is the reference, which has to mean the instance also after its restart; what
/// else a start has to tell goes out over its arguments (here the log), each time it runs.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_extra() {
    let mut case = Case::of(simple_flags(2)).await;
    let sup = case.sup.dynamic::<Child>();
    let a = sup.start("a", case.stage.part("a")).await.unwrap();
    let b = sup.start_unnamed(case.stage.part("b")).await.unwrap();
    assert_eq!(case.stage.log.take(), ["start a", "start b"]);

    case.end_alone("a", End::Crash).await;
    assert_eq!(case.stage.log.take(), ["crash a", "start a"]);
    assert_eq!(case.listed().await, ["a, life 2", "child-1, life 1"]);
    assert_eq!(case.counts().await, [1, 2, 0, 2]);
    assert_eq!((a.ask(Note(1)).await.unwrap(), b.ask(Note(2)).await.unwrap()), (1, 2));

    case.end_alone("child-1", End::Crash).await;
    assert_eq!(b.ask(Note(3)).await.unwrap(), 3);
    case.end_all("child-1", &["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn simple_one_for_one_escalation() {
    let mut case = Case::of(simple_flags(4)).await;
    let [a, _] = case.start_instances(["a", "b"]).await;
    case.stage.log.take();
    a.always(Start::Fails);

    case.end("a", End::Crash).await;

    assert_eq!(case.stage.log.take(), [&["crash a"][..], &["fail a"; 4], &["stop b"]].concat());
    case.over("intensity_exceeded").await;
}

/// An instance that declines at its restart is gone, and the supervisor is none the worse for it.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_restart_ignore() {
    for restart in [Restart::Transient, Restart::Permanent] {
        let mut case = Case::of(simple_flags(10).restart(restart)).await;
        let [a] = case.start_instances(["a"]).await;
        assert_eq!(case.listed().await, ["a, life 1"]);

        case.end_alone("a", End::Kill).await;
        assert_eq!(case.listed().await, ["a, life 2"]);

        a.next_starts([Start::Declines]);
        assert_eq!(case.end("a", End::Kill).await, ["sup/a killed", "sup/a declined"], "{restart:?}");
        assert_eq!(case.listed().await, [""; 0]);
        assert_eq!(case.counts().await, [1, 0, 0, 0]);
        assert_eq!(case.stage.paths(), ["sup"]);

        case.start_instances(["a"]).await;
        case.stop().await;
    }
}
