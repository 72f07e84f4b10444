//! Supervisors under supervisors: what a restarted one claims, and what a killed one leaves behind (nothing).

use greenroom::overseer::PlaceSpec;
use greenroom::{ActorSpec, ChildSpec, LifeState, Restart, Shutdown, Strategy, Supervisor, TellError};

use crate::support::{Child, Crash, Note, Stage, Start, Stop, Wait, child, path, secs, sup};

fn below(children: impl IntoIterator<Item = ChildSpec>) -> Supervisor {
    Supervisor::named("below").children(children)
}

/// OTP: tree.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_is_restarted_by_its_parent() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let nested = below([b.spec(), c.spec()]).intensity(0, secs(5));
    let tree = stage.supervise(sup([a.spec(), ChildSpec::supervisor(nested)])).await;
    stage.log.take();

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "stop c", "start b", "start c"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn under_one_for_all_a_supervisor_that_gives_up_restarts_its_siblings() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let nested = ChildSpec::supervisor(below([b.spec()]).intensity(0, secs(5)));
    let spec = sup([a.spec(), nested, c.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "stop c", "stop a", "start a", "start b", "start c"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_supervisor_claims_its_children_with_their_mailboxes() {
    let stage = Stage::new().await;
    let [b, c] = stage.parts(["b", "c"]);
    let nested = below([b.spec(), c.spec()]).intensity(0, secs(5));
    let backoff = greenroom::Backoff::default();
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested).backoff(backoff)])).await;
    let (fallen, sibling) = (child(&tree, "below/b"), child(&tree, "below/c"));
    fallen.try_tell(Crash).unwrap();
    fallen.try_tell(Note(1)).unwrap();
    stage.quiet().await;
    assert_eq!(sibling.observe().state, LifeState::Vacant);
    stage.log.take();

    // Told while nobody is there, the supervisor included.
    for number in 2..=4 {
        fallen.tell(Note(number)).await.unwrap();
        sibling.tell(Note(number)).await.unwrap();
    }
    stage.log.until("4 c").await;
    stage.quiet().await;

    let log = stage.log.take();
    let of = |name: &str| log.iter().filter(|line| line.ends_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("b"), ["start b", "1 b", "2 b", "3 b", "4 b"]);
    assert_eq!(of("c"), ["start c", "2 c", "3 c", "4 c"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn references_survive_the_restart_of_the_supervisor() {
    let stage = Stage::new().await;
    let b = stage.part("b");
    let nested = below([b.spec()]).intensity(0, secs(5));
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    let before = child(&tree, "below/b");

    before.tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(before.ask(Note(1)).await.unwrap(), 1);
    assert!(before == child(&tree, "below/b"));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_supervisor_bears_restarts_anew() {
    let stage = Stage::new().await;
    let b = stage.part("b");
    let nested = below([b.spec()]).intensity(1, secs(5));
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    let actor = child(&tree, "below/b");

    // The second is one too many, the third is the first of the next life.
    for falls in 1..=3 {
        actor.tell(Crash).await.unwrap();
        stage.log.until_times("start b", falls + 1).await;
    }
    stage.quiet().await;

    assert_eq!(tree.children().await.unwrap()[0].restarts, 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_is_restarted_with_its_children() {
    let mut stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let tree = stage.supervise(sup([a.spec(), ChildSpec::supervisor(below([b.spec(), c.spec()]))])).await;
    let waiting = child(&tree, "below/b");
    waiting.tell(Wait).await.unwrap();
    waiting.tell(Note(1)).await.unwrap();
    stage.log.until("wait b").await;
    stage.log.take();

    stage.runtime.place(&path("sup/below")).unwrap().kill();
    stage.quiet().await;

    let log: Vec<_> = stage.log.take().into_iter().filter(|line| line != "1 b").collect();
    assert_eq!(log, ["start b", "start c"]);
    let exits = stage.exits();
    assert_eq!(exits.len(), 3, "{exits:?}");
    assert!(exits.iter().all(|exit| exit.ends_with("killed")), "{exits:?}");
    assert_eq!(tree.children().await.unwrap()[1].restarts, 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_kill_of_a_supervisor_costs_its_parent_one_restart() {
    let stage = Stage::new().await;
    let [b, c] = stage.parts(["b", "c"]);
    let spec = sup([ChildSpec::supervisor(below([b.spec(), c.spec()]))]).intensity(1, secs(5));
    let tree = stage.supervise(spec).await;

    stage.runtime.place(&path("sup/below")).unwrap().kill();
    stage.quiet().await;

    assert_eq!(child(&tree, "below/c").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_killed_in_the_middle_of_a_group_restart_comes_back_whole() {
    let stage = Stage::new().await;
    let [b, c] = stage.parts(["b", "c"]);
    let nested = below([b.spec(), c.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    c.next_starts([Start::Hangs]);
    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.log.until("hang c").await;
    stage.log.take();

    stage.runtime.place(&path("sup/below")).unwrap().kill();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["start b", "start c"]);
    assert_eq!(child(&tree, "below/c").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_top_supervisor_leaves_nobody() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), ChildSpec::supervisor(below([b.spec()]))])).await;
    let actor = child(&tree, "below/b");
    actor.tell(Wait).await.unwrap();
    stage.log.until("wait b").await;

    tree.place().kill();
    tree.closed().await;
    stage.quiet().await;

    assert!(matches!(actor.try_tell(Note(1)), Err(TellError::Gone { .. })));
    assert_eq!(stage.paths(), [""; 0]);
    assert_eq!(stage.exits().len(), 4);
    stage.end().await;
}

/// The story: a supervisor without children heard the kill as a stop, ended with `shutdown`, and stayed away.
#[tokio::test(start_paused = true)]
async fn a_killed_transient_supervisor_comes_back_even_without_children() {
    let mut stage = Stage::new().await;
    let nested = ChildSpec::supervisor(below([])).restart(Restart::Transient);
    stage.supervise(sup([nested])).await;

    stage.runtime.place(&path("sup/below")).unwrap().kill();
    stage.quiet().await;

    assert_eq!(stage.exits(), ["sup/below killed"]);
    assert_eq!(stage.runtime.place(&path("sup/below")).unwrap().state(), LifeState::Running);
    stage.end().await;
}

/// A group restart kills a supervisor that takes too long to stop; the next life finds the places vacant.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_was_too_slow_for_a_group_restart_comes_back_with_its_children() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let never = b.clone().stopping(Stop::Never);
    let nested = below([never.spec().shutdown(Shutdown::Infinity)]);
    let nested = ChildSpec::supervisor(nested).shutdown(Shutdown::Within(secs(2)));
    let spec = sup([a.spec(), nested]).strategy(Strategy::OneForAll).intensity(1, secs(60));
    let tree = stage.supervise(spec).await;
    stage.log.take();

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("start b").await;

    assert_eq!(stage.log.take(), ["crash a", "stop b", "start a", "start b"]);
    assert_eq!(stage.runtime.shutdown(secs(1)).await.late, [path("sup")]);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_whose_restart_fails_is_tried_again() {
    let stage = Stage::new().await;
    let [b, c] = stage.parts(["b", "c"]);
    let nested = below([b.spec(), c.spec()]).intensity(0, secs(5));
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    stage.log.take();
    c.next_starts([Start::Fails]);

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    let expected = ["crash b", "stop c", "start b", "fail c", "stop b", "start b", "start c"];
    assert_eq!(stage.log.take(), expected);
    stage.end().await;
}

/// The temporary child that the first life lost is named by the spec, so the next life has it again: as in OTP, where
/// `init` runs anew.
#[tokio::test(start_paused = true)]
async fn a_restarted_supervisor_starts_its_temporary_children_anew() {
    let stage = Stage::new().await;
    let [b, x] = stage.parts(["b", "x"]);
    let nested = below([b.spec(), x.spec().restart(Restart::Temporary)]).intensity(0, secs(5));
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    let old = child(&tree, "below/x");
    old.kill();
    stage.quiet().await;

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert!(matches!(old.try_tell(Note(1)), Err(TellError::Gone { .. })));
    assert_eq!(child(&tree, "below/x").ask(Note(2)).await.unwrap(), 2);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_the_restarted_supervisor_does_not_claim_is_closed() {
    let stage = Stage::new().await;
    let [b, stray] = stage.parts(["b", "stray"]);
    let nested = below([b.spec()]).intensity(0, secs(5));
    let tree = stage.supervise(sup([ChildSpec::supervisor(nested)])).await;
    let spec = PlaceSpec::from(ActorSpec::<Child>::new("stray", stray));
    spec.place(&stage.runtime, Some(&path("sup/below"))).expect("nobody lives there");
    let unclaimed = child(&tree, "below/stray");
    unclaimed.tell(Note(1)).await.unwrap();

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert!(matches!(unclaimed.try_tell(Note(2)), Err(TellError::Gone { .. })));
    assert_eq!(stage.letters(), ["sup/below/b crashed", "sup/below/stray gone"]);
    stage.end().await;
}

/// The story: a temporary child supervisor had ended, and a worker had been added under its name. When their supervisor
/// was restarted, it could not claim the worker's place for the supervisor of its spec, and failed to start for good.
/// Found by a random history.
#[tokio::test(start_paused = true)]
async fn whoever_was_added_under_the_name_of_a_static_child_makes_room_for_it_after_a_restart() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let guest = Supervisor::named("guest").child(a.spec());
    let middle = Supervisor::named("middle")
        .intensity(0, secs(5))
        .child(ChildSpec::supervisor(guest).restart(Restart::Temporary))
        .child(b.spec());
    let tree = stage.supervise(sup([ChildSpec::supervisor(middle)])).await;
    let middle = tree.below("middle").unwrap();
    middle.terminate_child("guest").await.unwrap();
    let worker = ChildSpec::actor::<Child>("guest", stage.part("guest"));
    middle.start_child(worker).await.unwrap();

    child(&tree, "middle/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    let names: Vec<String> = middle.children().await.unwrap().into_iter().map(|child| child.name).collect();
    assert_eq!(names, ["guest", "b"]);
    assert_eq!(middle.below("guest").unwrap().children().await.unwrap()[0].name, "a");
    stage.end().await;
}
