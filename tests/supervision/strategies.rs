//! Who goes down and comes up with a child that falls, in exactly which order.

use greenroom::{Restart, Strategy, TellError};

use crate::support::{Crash, Note, Stage, Start, Wait, child, sup};

#[tokio::test(start_paused = true)]
async fn one_for_one_replaces_the_fallen_child_alone() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let tree = stage.supervise(sup([a.spec(), b.spec(), c.spec()])).await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "start b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let spec = sup([a.spec(), b.spec(), c.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "stop c", "stop a", "start a", "start b", "start c"]);
    stage.end().await;
}

/// OTP: order_of_children.
#[tokio::test(start_paused = true)]
async fn rest_for_one_stops_the_later_ones_in_reverse_and_starts_from_the_fallen_on() {
    let stage = Stage::new().await;
    let parts = stage.parts(["a", "b", "c", "d", "e"]);
    let spec = sup(parts.iter().map(|part| part.spec())).strategy(Strategy::RestForOne);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "c").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash c", "stop e", "stop d", "start c", "start d", "start e"]);
    stage.end().await;
}

/// OTP: temporary_bystander.
#[tokio::test(start_paused = true)]
async fn a_temporary_sibling_goes_down_with_its_group_and_does_not_come_back() {
    let stage = Stage::new().await;
    let [a, x, c] = stage.parts(["a", "x", "c"]);
    let spec = sup([a.spec(), x.spec().restart(Restart::Temporary), c.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    let bystander = child(&tree, "x");
    stage.log.take();

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash a", "stop c", "stop x", "start a", "start c"]);
    assert!(matches!(bystander.try_tell(Note(1)), Err(TellError::Gone { .. })));
    assert_eq!(stage.paths(), ["sup", "sup/a", "sup/c"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_temporary_sibling_goes_to_dead_letters() {
    let stage = Stage::new().await;
    let [a, x] = stage.parts(["a", "x"]);
    let spec = sup([a.spec(), x.spec().restart(Restart::Temporary)]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    child(&tree, "x").tell(Wait).await.unwrap();
    child(&tree, "x").tell(Note(1)).await.unwrap();
    stage.log.until("wait x").await;

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until_times("start a", 2).await;

    assert_eq!(stage.letters(), ["sup/a crashed", "sup/x cut", "sup/x gone"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_leaves_an_earlier_temporary_sibling_alone() {
    let stage = Stage::new().await;
    let [x, b, y] = stage.parts(["x", "b", "y"]);
    let temporary = |part: &crate::support::Part| part.spec().restart(Restart::Temporary);
    let spec = sup([temporary(&x), b.spec(), temporary(&y)]).strategy(Strategy::RestForOne);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "stop y", "start b"]);
    assert_eq!(stage.paths(), ["sup", "sup/b", "sup/x"]);
    stage.end().await;
}

/// OTP: one_for_all_other_child_fails_restart.
#[tokio::test(start_paused = true)]
async fn one_for_all_takes_the_restarted_down_again_when_a_sibling_does_not_start() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let spec = sup([a.spec(), b.spec(), c.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    b.next_starts([Start::Fails]);
    child(&tree, "c").tell(Crash).await.unwrap();
    stage.quiet().await;

    let first = ["crash c", "stop b", "stop a", "start a", "fail b"];
    let second = ["stop a", "start a", "start b", "start c"];
    assert_eq!(stage.log.take(), [&first[..], &second[..]].concat());
    stage.end().await;
}

/// OTP: rest_for_one_other_child_fails_restart.
#[tokio::test(start_paused = true)]
async fn rest_for_one_keeps_the_restarted_when_a_later_sibling_does_not_start() {
    let stage = Stage::new().await;
    let [a, b, c, d] = stage.parts(["a", "b", "c", "d"]);
    let spec = sup([a.spec(), b.spec(), c.spec(), d.spec()]).strategy(Strategy::RestForOne);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    c.next_starts([Start::Fails]);
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;

    let expected = ["crash b", "stop d", "stop c", "start b", "fail c", "start c", "start d"];
    assert_eq!(stage.log.take(), expected);
    stage.end().await;
}

/// Both tell of their end before the supervisor looks: the second is news of a child that was brought down already.
#[tokio::test(start_paused = true)]
async fn two_that_fall_together_make_one_group_restart() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let spec = sup([a.spec(), b.spec()]).strategy(Strategy::OneForAll).intensity(1, crate::support::secs(5));
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "a").try_tell(Crash).unwrap();
    child(&tree, "b").try_tell(Crash).unwrap();
    stage.quiet().await;

    let mut log = stage.log.take();
    log[..2].sort(); // who of the two falls first is nobody's promise
    assert_eq!(log, ["crash a", "crash b", "start a", "start b"]);
    stage.end().await;
}
