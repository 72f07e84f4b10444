//! Groups `restart_one_for_one`, `restart_one_for_all` and `restart_rest_for_one`: who comes back, and when all go.

use greenroom::Strategy;

use crate::case::{Case, End, flags};
use crate::support::{Part, Stage, Start};

/// Every way in which a start fails.
const FAILURES: [Start; 3] = [Start::Fails, Start::Panics, Start::FailsOutside];

/// A supervisor that bears three restarts, whose children are part of its spec; the second of them.
async fn with_three_static_children(strategy: Strategy) -> (Case, Part) {
    let stage = Stage::new().await;
    let parts = stage.parts(["child1", "child2", "child3"]);
    let sup = stage.supervise(flags(strategy, 3).children(parts.each_ref().map(Part::spec))).await;
    stage.log.take();
    let [_, child2, _] = parts;
    (Case { stage, sup }, child2)
}

#[tokio::test(start_paused = true)]
async fn one_for_one() {
    let mut case = Case::of(flags(Strategy::OneForOne, 2)).await;
    case.start_all(["child1", "child2"]).await;

    case.end_alone("child1", End::Crash).await;
    assert_eq!(case.listed().await, ["child1, life 2", "child2, life 1"]);
    assert_eq!(case.counts().await, [2, 2, 0, 2]);

    case.end_alone("child2", End::Crash).await;
    case.end_all("child2", &["child1"]).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_one_escalation() {
    let mut case = Case::of(flags(Strategy::OneForOne, 4)).await;
    let [child1, _] = case.start_all(["child1", "child2"]).await;
    case.stage.log.take();
    child1.always(Start::Fails);

    case.end("child1", End::Crash).await;

    // The crash and three tries are borne; the fourth try that fails is one too many.
    let tries = ["fail child1"; 4];
    assert_eq!(case.stage.log.take(), [&["crash child1"][..], &tries, &["stop child2"]].concat());
    case.over("intensity_exceeded").await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all() {
    let mut case = Case::of(flags(Strategy::OneForAll, 2)).await;
    case.start_all(["child1", "child2"]).await;

    let exits = case.end("child1", End::Crash).await;
    assert_eq!(exits, ["sup/child1 panicked", "sup/child2 shutdown"]);
    assert_eq!(case.listed().await, ["child1, life 2", "child2, life 2"]);
    assert_eq!(case.counts().await, [2, 2, 0, 2]);

    let exits = case.end("child2", End::Crash).await;
    assert_eq!(exits, ["sup/child2 panicked", "sup/child1 shutdown"]);
    assert_eq!(case.listed().await, ["child1, life 3", "child2, life 3"]);
    case.end_all("child2", &["child1"]).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_escalation() {
    let mut case = Case::of(flags(Strategy::OneForAll, 4)).await;
    let [_, child2] = case.start_all(["child1", "child2"]).await;
    case.stage.log.take();
    child2.always(Start::Fails);

    case.end("child1", End::Crash).await;

    let first = ["crash child1", "stop child2"];
    let each = ["start child1", "fail child2", "stop child1"].repeat(4);
    assert_eq!(case.stage.log.take(), [&first[..], &each].concat());
    case.over("intensity_exceeded").await;
}

/// The one that was restarted already goes down again before all come up in order. The third child is not in OTP's
/// case: nobody is started past the one that failed.
#[tokio::test(start_paused = true)]
async fn one_for_all_other_child_fails_restart() {
    for failure in FAILURES {
        let (mut case, child2) = with_three_static_children(Strategy::OneForAll).await;
        child2.next_starts([failure]);

        let exits = case.end("child1", End::Crash).await;

        let failed = if failure == Start::Panics { "sup/child2 panicked" } else { "sup/child2 failed" };
        let first = ["sup/child1 panicked", "sup/child3 shutdown", "sup/child2 shutdown"];
        assert_eq!(exits, [&first[..], &[failed, "sup/child1 shutdown"]].concat());
        let first = ["crash child1", "stop child3", "stop child2", "start child1", "fail child2"];
        let again = ["stop child1", "start child1", "start child2", "start child3"];
        assert_eq!(case.stage.log.take(), [&first[..], &again].concat());
        assert_eq!(case.listed().await, ["child1, life 3", "child2, life 3", "child3, life 2"]);
        case.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rest_for_one() {
    let mut case = Case::of(flags(Strategy::RestForOne, 2)).await;
    case.start_all(["child1", "child2", "child3"]).await;
    assert_eq!(case.counts().await, [3, 3, 0, 3]);

    let exits = case.end("child2", End::Crash).await;
    assert_eq!(exits, ["sup/child2 panicked", "sup/child3 shutdown"]);
    assert_eq!(case.listed().await, ["child1, life 1", "child2, life 2", "child3, life 2"]);
    assert_eq!(case.counts().await, [3, 3, 0, 3]);

    case.end_alone("child3", End::Crash).await;
    assert_eq!(case.listed().await, ["child1, life 1", "child2, life 2", "child3, life 3"]);
    case.end_all("child2", &["child3", "child1"]).await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_escalation() {
    let mut case = Case::of(flags(Strategy::RestForOne, 4)).await;
    let [_, child2] = case.start_all(["child1", "child2"]).await;
    case.stage.log.take();
    child2.always(Start::Fails);

    case.end("child1", End::Crash).await;

    let first = ["crash child1", "stop child2", "start child1"];
    assert_eq!(case.stage.log.take(), [&first[..], &["fail child2"; 4], &["stop child1"]].concat());
    case.over("intensity_exceeded").await;
}

/// The one that was restarted already stays: only the one that failed, and those after it, are tried again. The third
/// child is not in OTP's case.
#[tokio::test(start_paused = true)]
async fn rest_for_one_other_child_fails_restart() {
    for failure in FAILURES {
        let (mut case, child2) = with_three_static_children(Strategy::RestForOne).await;
        child2.next_starts([failure]);

        case.end("child1", End::Crash).await;

        let first = ["crash child1", "stop child3", "stop child2", "start child1", "fail child2"];
        assert_eq!(case.stage.log.take(), [&first[..], &["start child2", "start child3"]].concat());
        assert_eq!(case.listed().await, ["child1, life 2", "child2, life 3", "child3, life 2"]);
        case.stop().await;
    }
}
