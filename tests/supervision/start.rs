//! The start of a tree: left to right, all or nothing, and never deaf.

use greenroom::supervision::SpecComplaint;
use greenroom::{ActorSpec, ChildSpec, SpawnError, SuperviseError, SuperviseExt, Supervisor};
use tokio::task::JoinSet;

use crate::support::{Child, Note, Stage, Start, chain, child, secs, sup};

#[tokio::test(start_paused = true)]
async fn a_tree_is_ready_when_all_have_started_left_to_right() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let below = Supervisor::named("below").children([a.spec(), b.spec()]);

    let tree = stage.supervise(sup([ChildSpec::supervisor(below), c.spec()])).await;

    assert_eq!(stage.log.take(), ["start a", "start b", "start c"]);
    assert_eq!(child(&tree, "below/b").ask(Note(7)).await.unwrap(), 7);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_rolls_back_in_reverse_and_leaves_nothing() {
    let stage = Stage::new().await;
    let [a, b, c, d] = stage.parts(["a", "b", "c", "d"]);
    c.next_starts([Start::Fails]);

    let refused = stage.runtime.supervise(sup([a.spec(), b.spec(), c.spec(), d.spec()])).await;

    assert!(refused.is_err());
    assert_eq!(stage.log.take(), ["start a", "start b", "fail c", "stop b", "stop a"]);
    assert_eq!(stage.paths(), [""; 0]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_told_with_all_its_causes() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    b.next_starts([Start::Fails]);
    let below = Supervisor::named("below").children([a.spec(), b.spec()]);

    let refused = stage.runtime.supervise(sup([ChildSpec::supervisor(below)])).await;

    let expected = [
        "sup did not start",
        "could not start sup/below",
        "could not start sup/below/b",
        "failed while starting",
        "the start is broken",
        &std::fmt::Error.to_string(),
    ];
    assert_eq!(chain(&refused.unwrap_err()), expected);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_panics_is_a_failed_start() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    a.next_starts([Start::Panics]);

    let refused = stage.runtime.supervise(sup([a.spec()])).await;

    let causes = chain(&refused.unwrap_err());
    assert_eq!(causes.last().unwrap(), "panicked while starting: the start of a panics");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_fails_at_its_deadline() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    b.next_starts([Start::Hangs]);
    let hangs = ChildSpec::of(ActorSpec::<Child>::new("b", b.clone()).start_within(secs(3)));
    let begun = stage.runtime.clock().now();

    let refused = stage.runtime.supervise(sup([a.spec(), hangs])).await;

    assert_eq!(begun.elapsed(), secs(3));
    assert_eq!(chain(&refused.unwrap_err()).last().unwrap(), "did not start within its deadline");
    assert_eq!(stage.log.take(), ["start a", "hang b", "stop a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_hears_a_stop_while_a_child_hangs_in_its_start() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    b.next_starts([Start::Hangs]);
    let begun = stage.runtime.clock().now();
    let shutdown = async {
        stage.log.until("hang b").await;
        stage.runtime.shutdown(secs(20)).await
    };

    let (refused, report) = tokio::join!(stage.runtime.supervise(sup([a.spec(), b.spec()])), shutdown);

    assert!(refused.is_err());
    assert!(report.is_clean());
    assert_eq!(begun.elapsed(), secs(0));
    assert_eq!(stage.log.take(), ["start a", "hang b", "stop a"]);
}

mod ledger {
    //! A durable actor, which a runtime without a store refuses.
    use greenroom::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Entry;
    impl Message for Entry {
        type Reply = ();
        const NAME: Option<&'static str> = Some("entry");
    }
    impl DurableMessage for Entry {}

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Ledger;
    inbox!(durable pub(crate) LedgerInbox for Ledger: Entry);
    impl Actor for Ledger {
        type Args = ();
        type Inbox = LedgerInbox;
        async fn start(_: &()) -> Result<Self, Failure> {
            Ok(Ledger)
        }
    }
    impl Durable for Ledger {
        const NAME: &'static str = "ledger";
    }
    impl Handler<Entry> for Ledger {
        async fn handle(&mut self, _: Entry, _: &mut Context<'_, Self>) -> Result<(), Failure> {
            Ok(())
        }
    }
}

/// The story: the first child was named, although it was the second that could not have its place.
#[tokio::test(start_paused = true)]
async fn the_child_that_could_not_have_its_place_is_the_one_that_is_named() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let durable = ActorSpec::<ledger::Ledger>::new("ledger", ()).durable();

    let refused = stage.runtime.supervise(sup([a.spec(), ChildSpec::of(durable)])).await;

    assert_eq!(chain(&refused.unwrap_err())[1], "could not start sup/ledger");
    assert_eq!(stage.log.take(), [""; 0]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_did_not_start_can_be_started_again_at_once() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    a.next_starts([Start::Fails]);
    stage.runtime.supervise(sup([a.spec()])).await.unwrap_err();

    let tree = stage.supervise(sup([a.spec()])).await;
    stage.quiet().await;

    assert_eq!(child(&tree, "a").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_was_stopped_can_be_replaced_by_another_of_its_name_at_once() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let first = stage.supervise(sup([a.spec()])).await;
    let old = child(&first, "a");
    first.stop(secs(1)).await.unwrap();

    let second = stage.supervise(sup([b.spec()])).await;
    stage.quiet().await;

    assert_eq!(stage.paths(), ["sup", "sup/b"]);
    assert!(old.try_tell(Note(1)).is_err());
    assert_eq!(child(&second, "b").ask(Note(2)).await.unwrap(), 2);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_and_the_one_there_is_unharmed() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec()])).await;

    let refused = stage.runtime.supervise(sup([b.spec()])).await;

    assert!(matches!(refused, Err(SuperviseError::Spawn(SpawnError::Taken { .. }))), "{refused:?}");
    assert_eq!(child(&tree, "a").ask(Note(1)).await.unwrap(), 1);
    stage.end().await;
}

/// The story: the root's mailbox takes 1,024 messages, and one more looked like the end of the runtime.
#[tokio::test(start_paused = true)]
async fn thousands_of_trees_may_be_started_at_once() {
    let stage = Stage::new().await;
    let mut starting = JoinSet::new();
    for number in 0..2_000 {
        let runtime = stage.runtime.clone();
        starting.spawn(async move { runtime.supervise(Supervisor::named(format!("s-{number}"))).await });
    }

    let started = starting.join_all().await;

    assert_eq!(started.iter().filter(|one| one.is_ok()).count(), 2_000);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_spec_is_refused_with_all_complaints_and_nothing_is_started() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let below = Supervisor::named("below").intensity(1, secs(0)).children([a.spec(), a.spec()]);
    let spec = Supervisor::named("Top").children([a.spec(), ChildSpec::supervisor(below)]);

    let refused = stage.runtime.supervise(spec).await;

    let Err(SuperviseError::Spec(complaints)) = refused else { panic!("{refused:?}") };
    assert!(matches!(&complaints[0], SpecComplaint::BadName { supervisor, .. } if supervisor == "Top"));
    assert!(matches!(&complaints[1], SpecComplaint::EmptyWindow { supervisor } if supervisor == "below"));
    assert!(matches!(&complaints[2], SpecComplaint::DuplicateChild { name, .. } if name == "a"));
    assert_eq!(complaints.len(), 3);
    assert_eq!((stage.log.take().len(), stage.paths().len()), (0, 0));
    stage.end().await;
}
