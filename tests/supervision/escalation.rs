//! A supervisor that gives up: everything below it ends in order, and whoever is above decides.

use greenroom::{ChildSpec, ExitReason, Restart, RuntimeEvent, Supervisor, TellError};

use crate::support::{Crash, Note, Stage, Wait, chain, child, secs, sup};

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_stops_the_others_in_reverse_order() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let tree = stage.supervise(sup([a.spec(), b.spec(), c.spec()]).intensity(0, secs(5))).await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    tree.closed().await;

    assert_eq!(stage.log.take(), ["crash b", "stop c", "stop a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn at_the_top_giving_up_closes_everything_below() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let below = Supervisor::named("below").child(c.spec());
    let spec = sup([a.spec(), b.spec(), ChildSpec::supervisor(below)]).intensity(0, secs(5));
    let tree = stage.supervise(spec).await;
    let refs = ["a", "b", "below/c"].map(|name| child(&tree, name));

    refs[0].tell(Crash).await.unwrap();
    tree.closed().await;

    for actor in &refs {
        assert!(matches!(actor.try_tell(Note(1)), Err(TellError::Gone { .. })));
    }
    assert_eq!(stage.paths(), [""; 0]);
    assert!(tree.children().await.is_err());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_top_gives_up_goes_to_dead_letters() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).intensity(0, secs(5))).await;
    child(&tree, "b").tell(Wait).await.unwrap();
    stage.log.until("wait b").await;
    for number in 0..3 {
        child(&tree, "b").tell(Note(number)).await.unwrap();
    }

    child(&tree, "a").tell(Crash).await.unwrap();
    child(&tree, "a").tell(Note(9)).await.unwrap();
    tree.closed().await;

    let expected = ["sup/a crashed", "sup/b cut", "sup/b gone", "sup/b gone", "sup/b gone", "sup/a gone"];
    assert_eq!(stage.letters(), expected);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_waits_when_the_top_gives_up_is_told() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).intensity(0, secs(5))).await;
    let asked = child(&tree, "b");
    asked.tell(Wait).await.unwrap();
    stage.log.until("wait b").await;
    let begun = stage.runtime.clock().now();
    let other = child(&tree, "a");

    let (answer, told) = tokio::join!(asked.ask(Note(1)).within(secs(60)), other.tell(Crash));

    told.unwrap();
    assert!(matches!(answer, Err(greenroom::AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(begun.elapsed(), secs(5)); // what the handler of `b` was granted to come to an end
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn giving_up_names_the_child_and_what_it_died_of() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(0, secs(5))).await;
    let mut events = stage.runtime.events();

    child(&tree, "a").tell(Crash).await.unwrap();
    let reason = tree.closed().await.expect("it has run");

    let causes = ["gave up: sup/a needed too many restarts", "panicked while handling a message: a panics"];
    assert_eq!(chain(&reason), causes);
    let gave_up = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(&event, RuntimeEvent::GaveUp { path, .. } if path.as_str() == "sup"));
    assert!(gave_up);
    stage.end().await;
}

/// OTP's sharp edge: a supervisor that gives up leaves with `shutdown`, so as a transient child it stays away.
#[tokio::test(start_paused = true)]
async fn a_transient_supervisor_that_gives_up_stays_away_and_its_siblings_live() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let below = Supervisor::named("below").intensity(0, secs(5)).child(b.spec());
    let below = ChildSpec::supervisor(below).restart(Restart::Transient);
    let tree = stage.supervise(sup([a.spec(), below])).await;
    stage.log.take();

    child(&tree, "below/b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b"]);
    assert_eq!(child(&tree, "a").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

/// The story: only the place of the supervisor was laid aside, so messages to its children waited for nobody.
#[tokio::test(start_paused = true)]
async fn the_children_of_a_supervisor_that_stays_away_refuse_what_they_are_told() {
    let stage = Stage::new().await;
    let b = stage.part("b");
    let below = Supervisor::named("below").intensity(0, secs(5)).child(b.spec());
    let tree = stage.supervise(sup([ChildSpec::supervisor(below).restart(Restart::Transient)])).await;
    let actor = child(&tree, "below/b");

    actor.tell(Crash).await.unwrap();
    actor.tell(Note(1)).await.unwrap();
    stage.quiet().await;

    assert!(matches!(actor.try_tell(Note(2)), Err(TellError::Stopped { .. })));
    assert_eq!(stage.letters(), ["sup/below/b crashed", "sup/below/b gone"]);
    stage.end().await;
}

/// With an intensity of 1 in each of three supervisors, it takes eight quick falls of a leaf to end the uppermost.
#[tokio::test(start_paused = true)]
async fn limits_multiply_up_the_tree() {
    let stage = Stage::new().await;
    let leaf = stage.part("leaf");
    let low = Supervisor::named("low").child(leaf.spec());
    let middle = Supervisor::named("middle").child(ChildSpec::supervisor(low));
    let tree = stage.supervise(Supervisor::named("top").child(ChildSpec::supervisor(middle))).await;
    let actor = child(&tree, "middle/low/leaf");

    for _ in 0..7 {
        actor.tell(Crash).await.unwrap();
    }
    stage.log.until_times("start leaf", 8).await;
    actor.tell(Crash).await.unwrap();
    let reason = tree.closed().await.expect("it has run");

    let ExitReason::IntensityExceeded { child, caused_by } = reason else { panic!("{reason}") };
    assert_eq!(child.as_str(), "top/middle");
    assert_eq!(caused_by.label(), "intensity_exceeded");
    assert_eq!(stage.log.count("start leaf"), 8);
    stage.end().await;
}
