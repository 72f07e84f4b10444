//! What a picture of the tree shows of messages: how many wait, for how long, and what is in hand since when.

use std::sync::mpsc::channel;

use greenroom::{
    ActorSpec, Backoff, ChildSpec, Context, Failure, Handler, Message, Overflow, Pool, SuperviseExt, Tree,
};

use crate::support::{Block, Child, Crash, Note, Stage, Wait, child, millis, secs, sup};
use crate::tree::node;

/// The handler takes a picture of the tree it is in, without ever waiting.
struct Picture;

impl Message for Picture {
    type Reply = Tree;
}

impl Handler<Picture> for Child {
    async fn handle(&mut self, _: Picture, cx: &mut Context<'_, Self>) -> Result<Tree, Failure> {
        Ok(cx.runtime().tree())
    }
}

/// Comes again, and hangs when it does.
#[derive(Clone)]
struct Stubborn;

impl Message for Stubborn {
    type Reply = ();
    fn again(&self) -> Option<Self> {
        Some(Stubborn)
    }
}

impl Handler<Stubborn> for Child {
    async fn handle(&mut self, _: Stubborn, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        assert!(cx.tries() > 0, "the first delivery fails");
        std::future::pending().await
    }
}

/// Goal: a message that woke its actor, and blocks its thread, is in hand since the first look that found it; the next one
/// is not shown with that time. In real time, since a blocked thread stops a paused clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_is_shown_since_the_first_look_at_least() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let (actor, clock) = (child(&tree, "a"), stage.runtime.clock());
    let in_hand = |tree: &Tree| node(tree, "sup/a").in_hand.clone().expect("it is at work");
    actor.ask(Note(1)).await.unwrap();
    while node(&tree.tree(), "sup/a").in_hand.is_some() {
        clock.sleep(millis(1)).await; // it rests as soon as its answer has left
    }
    let (release, released) = channel();
    actor.tell(Block(released)).await.unwrap();
    stage.log.until("block a").await;

    let first_look = tree.tree();
    clock.sleep(millis(20)).await;
    let second_look = tree.tree();
    let behind = actor.ask(Picture).within(secs(60));
    let release = async {
        clock.sleep(millis(20)).await;
        drop(release);
    };
    let (behind, ()) = tokio::join!(behind, release);

    assert_eq!(in_hand(&first_look).message, "Block");
    assert_eq!(in_hand(&first_look), in_hand(&second_look));
    let behind = in_hand(&behind.unwrap());
    assert_eq!(behind.message, "Picture");
    assert!(behind.since >= second_look.taken_at, "{behind:?} came after {:?}", second_look.taken_at);
    stage.end().await;
}

struct Sleep;

impl Message for Sleep {
    type Reply = ();
}

impl Handler<Sleep> for Child {
    async fn handle(&mut self, _: Sleep, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.clock().sleep(secs(30)).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn depth_and_the_age_of_the_oldest_waiting_message_are_shown() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let (actor, clock) = (child(&tree, "a"), stage.runtime.clock());
    let mailbox = || node(&tree.tree(), "sup/a").mailbox.expect("a worker has one");
    assert_eq!((mailbox().waiting, mailbox().oldest_age), (0, None));
    actor.tell(Wait).await.unwrap();
    stage.log.until("wait a").await;

    clock.sleep(secs(5)).await;
    for number in 0..200 {
        actor.tell(Note(number)).await.unwrap();
        clock.sleep(millis(10)).await;
    }

    assert_eq!((mailbox().waiting, mailbox().capacity), (200, 1_024));
    assert_eq!(mailbox().oldest_age, Some(secs(2)), "the first that was put into the empty queue");
    // The next life begins with the first note; a crash leaves the others where they are.
    actor.kill();
    stage.log.until("199 a").await;
    assert_eq!((mailbox().waiting, mailbox().oldest_age), (0, None));
    stage.end().await;
}

/// Goal: the age of a message without a stamp of its own is never too small, and too large by 63 messages at most.
/// Method: the actor takes part of a long queue, then hangs; each message came 10 ms after the one before.
#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_errs_by_less_than_64_messages() {
    for before in [1, 5, 62, 63, 64, 65, 127, 128, 150] {
        let stage = Stage::new().await;
        let a = stage.part("a");
        let tree = stage.supervise(sup([a.spec()])).await;
        let (actor, clock) = (child(&tree, "a"), stage.runtime.clock());
        actor.tell(Wait).await.unwrap();
        stage.log.until("wait a").await;
        for number in 0..before {
            actor.tell(Note(number)).await.unwrap();
            clock.sleep(millis(10)).await;
        }
        actor.tell(Wait).await.unwrap();
        clock.sleep(millis(10)).await;
        let came = clock.elapsed();
        for number in 0..300 {
            actor.tell(Note(number)).await.unwrap();
            clock.sleep(millis(10)).await;
        }
        actor.kill();
        stage.log.until_times("wait a", 2).await;

        let mailbox = node(&tree.tree(), "sup/a").mailbox.expect("a worker has one");

        let too_large = mailbox.oldest_age.expect("300 wait") - (clock.elapsed() - came);
        assert!(too_large < millis(640), "after {before} messages: {too_large:?} too large");
        assert_eq!(mailbox.waiting, 300);
        stage.runtime.shutdown(secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_in_hand_is_shown_with_its_tries_and_since_when() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let clock = stage.runtime.clock();
    assert_eq!(node(&tree.tree(), "sup/a").in_hand, None);

    clock.sleep(secs(7)).await;
    let since = clock.elapsed();
    child(&tree, "a").tell(Stubborn).await.unwrap();
    clock.sleep(secs(3)).await;

    let seen = tree.tree();
    let in_hand = node(&seen, "sup/a").in_hand.clone().expect("it hangs");
    assert_eq!((in_hand.message, in_hand.tries, in_hand.since), ("Stubborn", 1, since));
    assert!(seen.to_string().contains("Stubborn for 3 s, try 2"), "{seen}");
    stage.runtime.shutdown(secs(60)).await;
}

/// Goal: also a handler that never waits is shown since the time it was taken, however long its actor had nothing to do.
/// Method: the handler itself takes the picture.
#[tokio::test(start_paused = true)]
async fn a_handler_that_has_not_waited_is_shown_since_it_was_taken() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let backoff = Backoff { first: secs(50), max: secs(50), jitter: 0.0, ..Backoff::default() };
    let tree = stage.supervise(sup([a.spec(), b.spec().backoff(backoff)])).await;
    let clock = stage.runtime.clock();

    for _ in 0..3 {
        clock.sleep(secs(60)).await;
        let seen = child(&tree, "a").ask(Picture).await.unwrap();
        let in_hand = node(&seen, "sup/a").in_hand.clone().expect("it is at work");
        assert_eq!((in_hand.message, in_hand.since), ("Picture", clock.elapsed()));
    }
    // What waited while nobody was there is in hand since the next life took it, not since it came.
    child(&tree, "b").tell(Crash).await.unwrap();
    let seen = child(&tree, "b").ask(Picture).within(secs(100)).await.unwrap();
    assert_eq!(node(&seen, "sup/b").in_hand.as_ref().expect("it is at work").since, clock.elapsed());
    // Nor is the wait of the handler before it counted.
    child(&tree, "b").tell(Sleep).await.unwrap();
    let seen = child(&tree, "b").ask(Picture).within(secs(100)).await.unwrap();
    assert_eq!(node(&seen, "sup/b").in_hand.as_ref().expect("it is at work").since, clock.elapsed());
    stage.end().await;
}

/// Goal: what waits at an actor that is down has waited since it came, whatever the actor did when it fell.
/// Method: one fell over the message itself, one was idle; nobody looks before the end.
#[tokio::test(start_paused = true)]
async fn what_waits_for_the_next_life_is_as_old_as_it_is() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let backoff = Backoff { first: secs(60), max: secs(60), jitter: 0.0, ..Backoff::default() };
    let tree = stage.supervise(sup([&a, &b].map(|part| part.spec().backoff(backoff)))).await;
    let clock = stage.runtime.clock();

    child(&tree, "a").tell(Stubborn).await.unwrap();
    child(&tree, "b").kill();
    clock.sleep(secs(1)).await;
    child(&tree, "b").tell(Note(1)).await.unwrap();
    clock.sleep(secs(4)).await;

    let seen = tree.tree();
    let oldest_age = |path| node(&seen, path).mailbox.expect("a worker has one").oldest_age;
    assert_eq!((oldest_age("sup/a"), oldest_age("sup/b")), (Some(secs(5)), Some(secs(4))));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_for_which_another_was_shed_does_not_inherit_its_age() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let narrow = ActorSpec::<Child>::new("a", a.clone()).capacity(1).overflow(Overflow::DropOldest);
    let tree = stage.supervise(sup([ChildSpec::of(narrow)])).await;
    let (actor, clock) = (child(&tree, "a"), stage.runtime.clock());
    actor.tell(Wait).await.unwrap();
    stage.log.until("wait a").await;

    for number in 0..3 {
        actor.tell(Note(number)).await.unwrap();
        clock.sleep(secs(5)).await;
    }

    let mailbox = node(&tree.tree(), "sup/a").mailbox.expect("a worker has one");
    assert_eq!((mailbox.waiting, mailbox.oldest_age), (1, Some(secs(5))));
    stage.runtime.shutdown(secs(60)).await;
}

/// What waits at a member of a pool is offered to the others, and laid back when none of them is up.
#[tokio::test(start_paused = true)]
async fn what_found_no_other_place_keeps_its_age() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let backoff = Backoff { first: secs(60), max: secs(60), jitter: 0.0, ..Backoff::default() };
    let pool = Pool::<Child>::new("pool", 2, a.clone()).intensity(9, secs(1)).backoff(backoff);
    let tree = stage.supervise(sup([ChildSpec::pool(pool)])).await;
    for member in ["pool/1", "pool/2"] {
        child(&tree, member).tell(Crash).await.unwrap();
    }
    stage.quiet().await;

    for number in 0..3 {
        child(&tree, "pool/1").tell(Note(number)).await.unwrap();
        stage.runtime.clock().sleep(secs(2)).await;
    }

    let mailbox = node(&tree.tree(), "sup/pool/1").mailbox.expect("a worker has one");
    assert_eq!((mailbox.waiting, mailbox.oldest_age), (3, Some(secs(6))));
    stage.end().await;
}
