//! The ordered stop: reverse start order, one after the other, each child its own patience.

use greenroom::{ChildSpec, Shutdown, Strategy, Supervisor, TellError};

use crate::support::{Crash, Finish, Note, Stage, Start, Stop, Wait, child, millis, path, secs, sup};

#[tokio::test(start_paused = true)]
async fn children_stop_in_reverse_start_order_down_the_whole_tree() {
    let stage = Stage::new().await;
    let [a, b, c, d] = stage.parts(["a", "b", "c", "d"]);
    let below = Supervisor::named("below").children([b.spec(), c.spec()]);
    let tree = stage.supervise(sup([a.spec(), ChildSpec::supervisor(below), d.spec()])).await;
    stage.log.take();

    let reason = tree.stop(secs(5)).await.expect("it was running");

    assert_eq!(reason.label(), "shutdown");
    assert_eq!(stage.log.take(), ["stop d", "stop c", "stop b", "stop a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_child_has_its_own_patience_and_one_stops_after_the_other() {
    let mut stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]).map(|part| part.stopping(Stop::Takes(secs(3))));
    let within = |limit| Shutdown::Within(secs(limit));
    let specs = [a.spec().shutdown(within(4)), b.spec().shutdown(within(2)), c.spec().shutdown(within(4))];
    let tree = stage.supervise(sup(specs)).await;
    let begun = stage.runtime.clock().now();

    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(3 + 2 + 3));
    assert_eq!(stage.exits(), ["sup/c shutdown", "sup/b killed", "sup/a shutdown", "sup shutdown"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_may_take_all_of_its_patience() {
    let mut stage = Stage::new().await;
    let a = stage.part("a").stopping(Stop::Takes(millis(4_999)));
    let tree = stage.supervise(sup([a.spec()])).await;

    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(stage.exits(), ["sup/a shutdown", "sup shutdown"]);
    stage.end().await;
}

/// OTP: sup_stop_brutal_kill.
#[tokio::test(start_paused = true)]
async fn a_brutal_shutdown_does_not_ask() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec().shutdown(Shutdown::Brutal)])).await;
    stage.log.take();

    tree.stop(secs(5)).await.expect("it was running");

    assert_eq!(stage.log.take(), ["stop a"]);
    assert_eq!(stage.exits(), ["sup/b killed", "sup/a shutdown", "sup shutdown"]);
    stage.end().await;
}

/// OTP: sup_stop_infinity.
#[tokio::test(start_paused = true)]
async fn an_infinite_patience_waits_for_hours() {
    let mut stage = Stage::new().await;
    let a = stage.part("a").stopping(Stop::Takes(secs(7_200)));
    let tree = stage.supervise(sup([a.spec().shutdown(Shutdown::Infinity)])).await;

    tree.stop(secs(10_000)).await.expect("it was running");

    assert_eq!(stage.exits(), ["sup/a shutdown", "sup shutdown"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_on_is_cut_when_the_patience_is_over() {
    let mut stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    child(&tree, "a").tell(Wait).await.unwrap();
    stage.log.until("wait a").await;
    let begun = stage.runtime.clock().now();

    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(5));
    assert_eq!(stage.exits(), ["sup/a killed", "sup shutdown"]);
    assert_eq!(stage.letters(), ["sup/a cut"]);
    stage.end().await;
}

/// OTP: sup_stop_race.
#[tokio::test(start_paused = true)]
async fn nobody_who_ends_by_itself_during_the_stop_comes_back() {
    let mut stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let slow = stage.part("slow").stopping(Stop::Takes(secs(3)));
    let spec = sup([a.spec(), b.spec(), c.spec(), slow.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    let (one, two, three) = (child(&tree, "a"), child(&tree, "b"), child(&tree, "c"));
    let others = async {
        stage.log.until("stop slow").await;
        one.tell(Crash).await.unwrap();
        two.tell(Finish).await.unwrap();
        three.kill();
    };
    stage.log.take();

    let (reason, ()) = tokio::join!(tree.stop(secs(60)), others);

    assert_eq!(reason.expect("it was running").label(), "shutdown");
    assert_eq!(stage.log.take(), ["stop slow", "crash a", "stop b"]);
    let mut exits = stage.exits();
    exits[..3].sort();
    let expected = ["sup/a panicked", "sup/b normal", "sup/c killed", "sup/slow shutdown", "sup shutdown"];
    assert_eq!(exits, expected);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_group_restart_starts_nobody_more() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let slow = stage.part("slow").stopping(Stop::Takes(secs(3)));
    let spec = sup([a.spec(), b.spec(), slow.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    stage.log.take();
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("stop slow").await;

    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(stage.log.take(), ["crash a", "stop slow", "stop b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_references_answer_gone() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let actor = child(&tree, "a");

    tree.stop(secs(5)).await.expect("it was running");
    tree.closed().await;

    assert!(matches!(actor.try_tell(Note(1)), Err(TellError::Gone { .. })));
    assert_eq!(stage.paths(), [""; 0]);
    stage.end().await;
}

/// OTP: the reason of a child that ends otherwise than asked does not disturb the stop.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_exceeds_its_patience_is_killed_and_takes_its_children_along() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let never = stage.part("never").stopping(Stop::Never);
    let below = Supervisor::named("below").children([b.spec(), never.spec().shutdown(Shutdown::Infinity)]);
    let below = ChildSpec::supervisor(below).shutdown(Shutdown::Within(secs(2)));
    let tree = stage.supervise(sup([a.spec(), below])).await;
    let begun = stage.runtime.clock().now();

    tree.stop(secs(60)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(2));
    let exits = stage.exits();
    assert_eq!(exits[0], "sup/below killed");
    assert_eq!(exits[3..], ["sup/a shutdown", "sup shutdown"]);
    assert!(exits[1..3].contains(&"sup/below/b killed".to_owned()), "{exits:?}");
    assert!(exits[1..3].contains(&"sup/below/never killed".to_owned()), "{exits:?}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_runtime_cuts_an_infinite_patience() {
    let stage = Stage::new().await;
    let a = stage.part("a").stopping(Stop::Never);
    stage.supervise(sup([a.spec().shutdown(Shutdown::Infinity)])).await;
    let begun = stage.runtime.clock().now();

    let report = stage.runtime.shutdown(secs(10)).await;

    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!(report.late, [crate::support::path("sup")]);
    assert_eq!(stage.paths(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_tree_whose_child_never_starts() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    a.always(Start::Fails);
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until_times("fail a", 50).await;

    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_names_a_nested_child_that_ran_out_of_patience_and_not_one_that_had_none() {
    let stage = Stage::new().await;
    let [slow, brutal, quick] = stage.parts(["slow", "brutal", "quick"]);
    let slow = slow.stopping(Stop::Never).spec().shutdown(Shutdown::Within(secs(1)));
    let brutal = brutal.stopping(Stop::Never).spec().shutdown(Shutdown::Brutal);
    let below = Supervisor::named("below").children([slow, brutal, quick.spec()]);
    stage.supervise(sup([ChildSpec::supervisor(below)])).await;

    let report = stage.runtime.shutdown(secs(60)).await;

    assert_eq!(report.late, [path("sup/below/slow")]);
}
