//! The additions to OTP that a child chooses: it waits before it comes back, and an outage costs no restart.

use std::time::Duration;

use greenroom::{
    AskError, AutoShutdown, Backoff, ChildSpec, ChildState, Restart, RuntimeEvent, Strategy, Supervisor,
    SupervisorRef, TellError,
};

use crate::support::{Crash, Finish, Note, Part, Stage, Start, child, millis, secs, sup};

fn steady() -> Backoff {
    Backoff { jitter: 0.0, ..Backoff::default() }
}

fn patient(part: &Part) -> ChildSpec {
    part.spec().backoff(steady())
}

/// Lets the child fall and says how long it was away.
async fn away(stage: &Stage, tree: &SupervisorRef, name: &str) -> Duration {
    let started = format!("start {name}");
    let before = stage.log.count(&started);
    let begun = stage.runtime.clock().now();
    child(tree, name).tell(Crash).await.expect("the mailbox has room");
    stage.log.until_times(&started, before + 1).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn each_restart_waits_longer_up_to_the_longest() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)])).await;

    let mut waits = Vec::new();
    for _ in 0..7 {
        waits.push(away(&stage, &tree, "a").await.as_millis());
    }

    assert_eq!(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_run_lets_the_waits_begin_anew() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)])).await;
    for _ in 0..3 {
        away(&stage, &tree, "a").await;
    }

    stage.runtime.clock().sleep(millis(10_001)).await;

    assert_eq!(away(&stage, &tree, "a").await, millis(100));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_not_quiet_long_enough_does_not_reset_the_waits() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)])).await;
    for _ in 0..3 {
        away(&stage, &tree, "a").await;
    }

    stage.runtime.clock().sleep(secs(10)).await;

    assert_eq!(away(&stage, &tree, "a").await, millis(800));
    stage.end().await;
}

/// The story: the time that failing starts took was counted as quiet, so slow failures never waited longer.
#[tokio::test(start_paused = true)]
async fn a_start_that_fails_slowly_is_no_quiet_run() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)])).await;
    a.next_starts([Start::FailsOutsideAfter(secs(11)); 3]);

    let away = away(&stage, &tree, "a").await;

    assert_eq!(away, millis(100 + 200 + 400 + 800) + 3 * secs(11));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn jitter_adds_at_most_its_share() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let jittery = Backoff { first: secs(1), max: secs(1), jitter: 0.2, reset_after: secs(3_600) };
    let tree = stage.supervise(sup([a.spec().backoff(jittery)])).await;

    let mut waits = Vec::new();
    for _ in 0..50 {
        waits.push(away(&stage, &tree, "a").await);
    }

    assert!(waits.iter().all(|wait| (secs(1)..=millis(1_201)).contains(wait)), "{waits:?}");
    assert!(waits.iter().max() > waits.iter().min().map(|least| *least + millis(50)).as_ref());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_world_outside_never_burns_the_intensity() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    // One restart is borne, for the fall itself.
    let tree = stage.supervise(sup([patient(&a)]).intensity(1, secs(3_600))).await;
    a.next_starts([Start::FailsOutside; 100]);

    away(&stage, &tree, "a").await;

    assert_eq!(stage.log.count("fail a"), 100);
    assert_eq!(tree.children().await.unwrap()[0].restarts, 101);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_backoff_an_outage_counts_as_in_otp() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(5, secs(3_600))).await;
    a.always(Start::FailsOutside);

    child(&tree, "a").tell(Crash).await.unwrap();

    assert_eq!(tree.closed().await.expect("it has run").label(), "intensity_exceeded");
    assert_eq!(stage.log.count("fail a"), 5);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bug_in_the_start_counts_with_a_backoff_too() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)]).intensity(3, secs(3_600))).await;
    a.always(Start::Fails);

    child(&tree, "a").tell(Crash).await.unwrap();

    assert_eq!(tree.closed().await.expect("it has run").label(), "intensity_exceeded");
    assert_eq!(stage.log.count("fail a"), 3);
    stage.end().await;
}

/// Goal: an outage has a limit of its own, which takes down the child alone.
#[tokio::test(start_paused = true)]
async fn an_outage_beyond_its_own_limit_lays_the_child_aside_and_the_tree_goes_on() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([patient(&a).outage_tries(3), b.spec()]).intensity(1, secs(3_600))).await;
    let mut events = stage.runtime.events();
    let actor = child(&tree, "a");
    a.always(Start::FailsOutside);

    actor.tell(Crash).await.unwrap();
    stage.runtime.clock().sleep(secs(60)).await;

    assert_eq!(stage.log.count("fail a"), 3);
    assert_eq!(tree.child("a").await.unwrap().state, ChildState::Stopped);
    let refused = actor.ask(Note(1)).await;
    assert!(matches!(refused, Err(AskError::NotDelivered(TellError::Stopped { .. }))), "{refused:?}");
    a.always(Start::Works);
    tree.restart_child("a").await.unwrap();
    assert_eq!(actor.ask(Note(2)).await.unwrap(), 2);
    assert_eq!(child(&tree, "b").observe().epoch.0, 1, "its sibling never noticed");
    let laid_aside = std::iter::from_fn(|| events.try_recv().ok()).filter_map(|event| match event {
        RuntimeEvent::LaidAside { path, .. } => Some(path.to_string()),
        _ => None,
    });
    assert_eq!(laid_aside.collect::<Vec<_>>(), ["sup/a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_succeeds_gives_a_child_all_its_tries_again() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a).outage_tries(3)]).intensity(2, secs(3_600))).await;

    for _ in 0..2 {
        a.next_starts([Start::FailsOutside; 2]);
        away(&stage, &tree, "a").await;
    }

    assert_eq!(tree.child("a").await.unwrap().state, ChildState::Running);
    stage.end().await;
}

/// The story that must not happen: the siblings that the group had not reached yet stay down with the one that is laid
/// aside.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_group_comes_up_without_the_one_that_an_outage_keeps_away() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let stage = Stage::new().await;
        let [a, b, c] = stage.parts(["a", "b", "c"]);
        let spec = sup([a.spec(), patient(&b).outage_tries(2), c.spec()]).strategy(strategy);
        let tree = stage.supervise(spec.intensity(1, secs(3_600))).await;
        b.always(Start::FailsOutside);

        child(&tree, "b").tell(Crash).await.unwrap();
        stage.runtime.clock().sleep(secs(60)).await;

        let states: Vec<ChildState> =
            tree.children().await.unwrap().iter().map(|child| child.state).collect();
        assert_eq!(states, [ChildState::Running, ChildState::Stopped, ChildState::Running], "{strategy:?}");
        assert_eq!(child(&tree, "c").ask(Note(1)).await.unwrap(), 1);
        stage.end().await;
    }
}

/// The story: a supervisor that came back during an outage did not start, because one of its children did not; for the
/// supervisor above that was a failure like any other, and after two of them it gave up.
#[tokio::test(start_paused = true)]
async fn an_outage_below_a_supervisor_never_burns_the_intensity_above_it() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let below = Supervisor::named("below").child(patient(&a));
    let spec = sup([ChildSpec::supervisor(below).backoff(steady())]).intensity(1, secs(3_600));
    let tree = stage.supervise(spec).await;
    a.next_starts([Start::FailsOutside; 20]);

    tree.below("below").unwrap().place().kill();
    stage.log.until_times("start a", 2).await;

    assert_eq!(stage.log.count("fail a"), 20);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_backoff() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let slow = Backoff { first: secs(60), max: secs(60), ..steady() };
    let tree = stage.supervise(sup([a.spec(), b.spec().backoff(slow)])).await;
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;
    let begun = stage.runtime.clock().now();

    tree.stop(secs(120)).await.expect("it was running");

    assert_eq!(begun.elapsed(), secs(0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_others_are_looked_after_while_one_waits_for_its_backoff() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([patient(&a), b.spec()])).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;

    let away = away(&stage, &tree, "b").await;

    assert_eq!(away, secs(0));
    assert_eq!(stage.log.count("start a"), 1);
    stage.end().await;
}

/// The story: `b` waited for its backoff when the earlier `a` fell. The try of `b` was not called off, so `b` came up
/// before `a`, on which it stands, and the try of `a` then found a place that was taken.
#[tokio::test(start_paused = true)]
async fn a_try_that_waits_is_called_off_when_an_earlier_sibling_falls() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let slow = Backoff { first: secs(5), max: secs(5), ..steady() };
    let spec = sup([a.spec().backoff(slow), patient(&b), c.spec()]).strategy(Strategy::RestForOne);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.log.until("stop c").await;
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.runtime.clock().sleep(secs(20)).await;

    assert_eq!(stage.log.take(), ["crash b", "stop c", "crash a", "start a", "start b", "start c"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn under_one_for_all_the_whole_group_waits_for_the_fallen() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), patient(&b)]).strategy(Strategy::OneForAll)).await;
    stage.log.take();

    let away = away(&stage, &tree, "b").await;

    assert_eq!(away, millis(100));
    assert_eq!(stage.log.take(), ["crash b", "stop a", "start a", "start b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_announced() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([patient(&a)])).await;
    let mut events = stage.runtime.events();

    away(&stage, &tree, "a").await;

    let announced = std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
        RuntimeEvent::Restarting { path, delay } => Some((path.to_string(), delay)),
        _ => None,
    });
    assert_eq!(announced, Some(("sup/a".to_owned(), millis(100))));
    stage.end().await;
}

/// The story: the fallen child of a group was terminated while it waited for its backoff. Nobody started its siblings, and
/// their mailboxes took messages for ever.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_terminated_while_it_waits_holds_up_its_siblings_no_longer() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let stage = Stage::new().await;
        let parts = stage.parts(["a", "b", "c"]);
        let [_, b, c] = &parts;
        let tree = stage.supervise(sup([patient(&parts[0]), b.spec(), c.spec()]).strategy(strategy)).await;
        child(&tree, "a").tell(Crash).await.unwrap();
        stage.log.until_times("stop b", 1).await;
        let begun = stage.runtime.clock().now();

        tree.terminate_child("a").await.unwrap();
        let noted = child(&tree, "c").ask(Note(1)).await;

        assert_eq!(noted.unwrap(), 1, "{strategy:?}");
        assert_eq!(stage.log.count("start b"), 2);
        assert_eq!(begun.elapsed(), millis(0), "they wait for nobody's backoff");
        let refused = child(&tree, "a").tell(Note(1)).await;
        assert!(matches!(refused, Err(TellError::Stopped { .. })), "{refused:?}");
        tree.restart_child("a").await.unwrap();
        assert_eq!(tree.count_children().await.unwrap().active, 3);
        stage.end().await;
    }
}

/// Without a backoff it is as in OTP: who is terminated between two tries leaves the siblings stopped. They say so.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_terminated_between_two_tries_leaves_its_siblings_stopped_and_they_say_so() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).strategy(Strategy::OneForAll)).await;
    a.always(Start::FailsAfter(secs(1)));
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until_times("fail a", 1).await;

    tree.terminate_child("a").await.unwrap();

    assert_eq!(tree.count_children().await.unwrap().active, 0);
    let refused = child(&tree, "b").tell(Note(1)).await;
    assert!(matches!(refused, Err(TellError::Stopped { .. })), "{refused:?}");
    tree.restart_child("b").await.unwrap();
    assert_eq!(child(&tree, "b").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

/// A group of two, of which `a` has fallen and waits for its backoff.
async fn waiting_group(stage: &Stage) -> SupervisorRef {
    let [a, b] = stage.parts(["a", "b"]);
    let tree = sup([patient(&a), b.spec()]).strategy(Strategy::OneForAll).intensity(3, secs(3_600));
    let tree = stage.supervise(tree).await;
    child(&tree, "a").tell(Crash).await.expect("the mailbox has room");
    stage.log.until_times("stop b", 1).await;
    tree
}

/// The story: a sibling that was started by request while its group waited was in the way of the group: its start failed
/// again and again, until the supervisor gave up.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_is_started_by_request_meanwhile_is_not_in_the_way_of_its_group() {
    let stage = Stage::new().await;
    let tree = waiting_group(&stage).await;

    tree.restart_child("b").await.unwrap();
    stage.log.until_times("start a", 2).await;

    assert_eq!(stage.log.count("start b"), 2, "it runs already");
    assert_eq!(tree.count_children().await.unwrap().active, 2);
    stage.end().await;
}

/// As above, with another child under the name of the sibling.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_is_replaced_meanwhile_is_not_in_the_way_of_its_group() {
    let stage = Stage::new().await;
    let tree = waiting_group(&stage).await;

    tree.delete_child("b").await.unwrap();
    tree.start_child(stage.part("b").spec()).await.unwrap();
    stage.log.until_times("start a", 2).await;

    assert_eq!(stage.log.count("start b"), 2, "it runs already");
    assert_eq!(tree.count_children().await.unwrap().active, 2);
    stage.end().await;
}

/// The story: who was stopped with its group, and waited for it to come up, counted as ended for good: the end of the last
/// significant child that ran took the supervisor down with it.
#[tokio::test(start_paused = true)]
async fn a_significant_child_that_waits_with_its_group_keeps_the_supervisor_up() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let significant = |part: &Part| part.spec().restart(Restart::Transient).significant();
    let backoff = Backoff { first: secs(3), jitter: 0.0, ..Backoff::default() };
    let spec = sup([significant(&a), b.spec().backoff(backoff), significant(&c)]);
    let tree = spec.strategy(Strategy::RestForOne).auto_shutdown(AutoShutdown::AllSignificant);
    let tree = stage.supervise(tree).await;
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;
    stage.log.take();

    child(&tree, "a").tell(Finish).await.unwrap();
    stage.runtime.clock().sleep(secs(4)).await;

    assert_eq!(stage.log.take(), ["stop a", "start b", "start c"]);
    child(&tree, "c").tell(Finish).await.unwrap();
    let reason = tree.closed().await.expect("it has run");
    assert_eq!(reason.label(), "auto_shutdown");
    stage.end().await;
}
