//! What waits survives: a crash, a group restart, a supervisor; and what nobody will handle does not wait.

use greenroom::{AskError, ExitReason, LifeState, Mailbox, Restart, Shutdown, Strategy, TellError};

use crate::support::{Crash, Finish, Note, Stage, Wait, child, secs, sup};

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_crash_is_handled_after_it_in_order() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let actor = child(&tree, "a");
    stage.log.take();

    actor.try_tell(Note(1)).unwrap();
    actor.try_tell(Crash).unwrap();
    actor.try_tell(Note(2)).unwrap();
    actor.try_tell(Note(3)).unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["1 a", "crash a", "start a", "2 a", "3 a"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_message_that_crashed_its_handler_is_a_dead_letter_and_its_asker_is_told() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;

    let answer = child(&tree, "a").ask(Crash).await;

    let Err(AskError::ActorFailed { cause: ExitReason::Panicked { .. }, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(stage.letters(), ["sup/a crashed"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn siblings_of_a_group_restart_keep_their_mailboxes() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()]).strategy(Strategy::OneForAll)).await;
    let sibling = child(&tree, "b");
    sibling.tell(Wait).await.unwrap();
    stage.log.until("wait b").await;
    for number in 1..=3 {
        sibling.tell(Note(number)).await.unwrap();
    }
    stage.log.take();

    child(&tree, "a").tell(Crash).await.unwrap();
    stage.log.until("3 b").await;

    assert_eq!(stage.log.take(), ["crash a", "start a", "start b", "1 b", "2 b", "3 b"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_told_while_the_actor_is_away_waits_for_it() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().backoff(greenroom::Backoff::default())])).await;
    let actor = child(&tree, "a");
    actor.tell(Crash).await.unwrap();
    stage.quiet().await;
    assert_eq!(actor.observe().state, LifeState::Vacant);

    let answer = actor.ask(Note(5)).await;

    assert_eq!(answer.unwrap(), 5);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_that_is_done_refuses_what_it_is_told() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().restart(Restart::Transient)])).await;
    let actor = child(&tree, "a");

    actor.ask(Finish).await.unwrap();
    stage.quiet().await;

    let refused = actor.try_tell(Note(4)).unwrap_err();
    assert!(matches!(refused, TellError::Stopped { .. }), "{refused:?}");
    assert_eq!(refused.into_message().0, 4);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_a_transient_child_is_done_goes_to_dead_letters() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().restart(Restart::Transient)])).await;
    let actor = child(&tree, "a");

    actor.try_tell(Finish).unwrap();
    actor.try_tell(Note(1)).unwrap();
    actor.try_tell(Note(2)).unwrap();
    stage.quiet().await;

    assert_eq!(stage.letters(), ["sup/a gone", "sup/a gone"]);
    stage.end().await;
}

/// OTP: tree, where a terminated transient child comes back with its group.
#[tokio::test(start_paused = true)]
async fn a_group_restart_revives_a_transient_child_that_was_done() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let spec = sup([a.spec().restart(Restart::Transient), b.spec()]).strategy(Strategy::OneForAll);
    let tree = stage.supervise(spec).await;
    let done = child(&tree, "a");
    done.ask(Finish).await.unwrap();
    stage.quiet().await;
    stage.log.take();

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;

    assert_eq!(stage.log.take(), ["crash b", "start a", "start b"]);
    assert_eq!(done.ask(Note(6)).await.unwrap(), 6);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn references_stay_valid_across_restarts() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()])).await;
    let before = child(&tree, "a");

    before.kill();
    stage.quiet().await;

    assert_eq!(before.ask(Note(1)).await.unwrap(), 1);
    assert!(before == child(&tree, "a"));
    stage.end().await;
}

/// Two siblings that wait in a handler with a message behind it, and an asker behind that; the third crashes the group.
async fn reset(mailbox: Mailbox) -> (Vec<String>, Vec<String>, Result<u32, AskError<Note>>) {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let b = b.spec().mailbox(mailbox).shutdown(Shutdown::Brutal);
    let tree = stage.supervise(sup([a.spec(), b]).strategy(Strategy::OneForAll)).await;
    let (crashing, waiting) = (child(&tree, "a"), child(&tree, "b"));
    waiting.tell(Wait).await.expect("room");
    stage.log.until("wait b").await;
    waiting.tell(Note(1)).await.expect("room");
    crashing.tell(Note(2)).await.expect("room");
    stage.log.until("2 a").await;
    stage.log.take();

    let (answer, told) = tokio::join!(waiting.ask(Note(3)), crashing.tell(Crash));
    told.expect("room");
    stage.quiet().await;

    let (log, letters) = (stage.log.take(), stage.letters());
    stage.end().await;
    (log, letters, answer)
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_sibling_of_a_group_restart_is_kept() {
    let (log, letters, answer) = reset(Mailbox::Keep).await;

    assert_eq!(log, ["crash a", "start a", "start b", "1 b", "3 b"]);
    assert_eq!(letters, ["sup/a crashed", "sup/b cut"]);
    assert_eq!(answer.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_sibling_that_is_cleared_goes_to_dead_letters_and_its_askers_are_told() {
    let (log, letters, answer) = reset(Mailbox::Clear).await;

    assert_eq!(log, ["crash a", "start a", "start b"]);
    assert_eq!(letters, ["sup/a crashed", "sup/b cut", "sup/b cleared", "sup/b cleared"]);
    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
}

/// The story: a drain that came between two lives ended the next one at once, and the supervisor with it.
#[tokio::test(start_paused = true)]
async fn a_drain_of_a_child_that_was_terminated_does_not_touch_its_next_life() {
    let stage = Stage::new().await;
    let tree = stage.supervise(sup([stage.part("a").spec()]).intensity(0, secs(60))).await;
    let a = child(&tree, "a");
    tree.terminate_child("a").await.unwrap();

    a.drain();
    tree.restart_child("a").await.unwrap();
    stage.quiet().await;

    assert_eq!(a.ask(Note(1)).await.unwrap(), 1);
    assert_eq!(tree.place().state(), LifeState::Running);
    stage.end().await;
}
