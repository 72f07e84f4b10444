//! What is refused comes back with its reason, and leaves nothing on disk.

use greenroom::testing::Fault;
use greenroom::{AskError, CONTENT_LEN_MAX, Overflow, StoreError, TellError};

use super::{Disk, Freight, Then, clerk, entry, forgetful, load, plain};
use crate::support::secs;

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_bounds_the_stored_inbox_too() {
    for overflow in [Overflow::Wait, Overflow::Reject] {
        let disk = Disk::default();
        let process = disk.process().await;
        let spec = clerk("clerk", &process.office).capacity(2).overflow(overflow);
        let clerk = process.runtime.spawn_spec(spec).await.unwrap();
        clerk.tell(entry(0, Then::Waits)).await.unwrap();
        process.office.gate.entered().await;
        clerk.tell(plain(1)).await.unwrap();
        clerk.post(plain(2)).unwrap().await.unwrap();
        let commits = process.store.commits();

        let told = clerk.tell(plain(3)).within(secs(1)).await;
        let posted = clerk.post(plain(4));

        assert!(matches!(told, Err(TellError::MailboxFull { message, .. }) if message == plain(3)));
        assert!(matches!(posted, Err(TellError::MailboxFull { message, .. }) if message == plain(4)));
        assert_eq!((disk.inbox("clerk"), process.store.commits()), (vec![0, 1, 2], commits), "{overflow:?}");
        process.dies().await;
    }
}

/// Goal: a thousand messages of a megabyte each are within the number that may wait, and are too much all the same.
#[tokio::test(start_paused = true)]
async fn long_messages_that_wait_are_bounded_in_bytes_also_in_the_next_process() {
    let disk = Disk::default();
    let spec = |office: &_| clerk("clerk", office).inbox_bytes(100_000);
    let process = disk.process().await;
    let kept = process.runtime.spawn_spec(spec(&process.office)).await.unwrap();
    kept.tell(entry(0, Then::Waits)).await.unwrap();
    process.office.gate.entered().await;
    for _ in 0..3 {
        kept.tell(load(30_000, false)).await.unwrap();
    }
    let commits = process.store.commits();

    let told = kept.tell(load(30_000, false)).await;
    let posted = kept.post(load(30_000, false));

    for refused in [told, posted.map(drop)] {
        let Err(TellError::Unstorable { cause: StoreError::InboxFull { max_bytes, .. }, message, .. }) =
            refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!((max_bytes, message.load.len()), (100_000, 30_000));
    }
    assert_eq!(process.store.commits(), commits, "nothing was written");
    kept.tell(plain(1)).await.unwrap();
    process.dies().await;

    let process = disk.process().await;
    let kept = process.runtime.spawn_spec(spec(&process.office)).await.unwrap();
    process.office.gate.entered().await;
    let told = kept.tell(load(30_000, false)).await;
    assert!(
        matches!(told, Err(TellError::Unstorable { cause: StoreError::InboxFull { .. }, .. })),
        "{told:?}"
    );
    process.office.gate.open();
    assert_eq!(kept.ask(plain(2)).await.unwrap().last(), Some(&2));
    assert!(kept.ask(load(200_000, false)).await.unwrap(), "one alone may always come");
    process.dies().await;
}

/// Of many that come at once no more get in than of many that come in turn.
#[tokio::test(start_paused = true)]
async fn long_messages_on_their_way_to_the_disk_count_too() {
    let disk = Disk::default();
    let process = disk.process().await;
    let kept =
        process.runtime.spawn_spec(clerk("clerk", &process.office).inbox_bytes(100_000)).await.unwrap();
    let held = process.store.hold_commits();

    let posted: Vec<_> = (0..10).map(|_| kept.post(load(30_000, false))).collect();

    drop(held);
    assert_eq!(posted.iter().filter(|posted| posted.is_ok()).count(), 3);
    for ticket in posted.into_iter().flatten() {
        ticket.await.unwrap();
    }
    kept.ask(plain(1)).await.unwrap();
    kept.tell(load(30_000, false)).await.unwrap();
    process.dies().await;
}

/// Goal: what is of no use any more when its turn comes is not handled, however often the process ended meanwhile.
#[tokio::test(start_paused = true)]
async fn a_message_that_expires_before_its_turn_is_laid_aside_and_a_dead_letter() {
    let disk = Disk::default();
    let process = disk.process().await;
    let kept = process.clerk("clerk").await;
    kept.tell(entry(0, Then::Waits)).await.unwrap();
    process.office.gate.entered().await;
    kept.tell(plain(1)).expires_within(secs(10)).await.unwrap();
    kept.tell(plain(2)).expires_within(secs(100)).with_id("x").await.unwrap();
    kept.post_expiring(plain(3), secs(10)).unwrap().await.unwrap();
    process.runtime.clock().sleep(secs(50)).await;

    process.office.gate.open();

    assert_eq!(kept.ask(plain(4)).await.unwrap(), [0, 2, 4]);
    let aside = kept.laid_aside().await.unwrap();
    assert_eq!(aside.len(), 2);
    assert!(aside.iter().all(|aside| aside.cause == aside_cause()), "{aside:?}");
    let letters = crate::support::letters(&process.runtime);
    assert_eq!(letters, [("entry", "expired"), ("entry", "expired")]);
    process.dies().await;
}

fn aside_cause() -> String {
    greenroom::DeadLetterReason::Expired.to_string()
}

/// The next process has more in its mailbox than that may hold: nothing is lost for it, and nobody else gets in.
#[tokio::test(start_paused = true)]
async fn what_comes_back_may_exceed_the_capacity_and_lets_nobody_in_until_there_is_room() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    for number in 1..=4 {
        clerk.tell(plain(number)).await.unwrap();
    }
    process.dies().await;

    let process = disk.process().await;
    let clerk = process.runtime.spawn_spec(super::clerk("clerk", &process.office).capacity(2)).await.unwrap();
    process.office.gate.entered().await;
    let waiting = clerk.observe().waiting;
    let refused = clerk.tell(plain(5)).within(secs(1)).await;
    process.office.gate.open();

    assert_eq!(waiting, 4);
    assert!(matches!(refused, Err(TellError::MailboxFull { .. })), "{refused:?}");
    assert_eq!(clerk.ask(plain(6)).await.unwrap(), [0, 1, 2, 3, 4, 6]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_comes_back_to_its_sender_and_nobody_else_minds() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;

    for unstorable in [load(CONTENT_LEN_MAX, false), load(1, true)] {
        let (len, has_no_form) = (unstorable.load.len(), unstorable.has_no_form);

        let (told, beside) = tokio::join!(clerk.tell(unstorable), clerk.tell(plain(1)));

        let Err(TellError::Unstorable { message, .. }) = told else { panic!("{told:?}") };
        assert_eq!((message.load.len(), message.has_no_form), (len, has_no_form));
        beside.unwrap();
        assert!(matches!(clerk.post(message).map(drop), Err(TellError::Unstorable { .. })));
    }

    assert!(clerk.ask(load(CONTENT_LEN_MAX - 100, false)).await.unwrap(), "one that just fits");
    assert_eq!(clerk.ask(plain(2)).await.unwrap(), [1, 1, 2]);
    process.dies().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_hears_at_once_that_what_it_sends_cannot_be_stored() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.clerk("next").await;
    let durable = process.clerk("giver").await;
    let plain = process.runtime.spawn_spec(forgetful("plain", &process.office)).await.unwrap();

    for giver in [&durable, &plain] {
        for (len, has_no_form, is_accepted) in
            [(1, true, false), (CONTENT_LEN_MAX, false, false), (1, false, true)]
        {
            let told = Freight { passes_on: Some((len, has_no_form)), ..load(1, false) };

            let accepted = giver.ask(told).await.unwrap();

            assert_eq!(accepted, is_accepted, "{len} from {}", giver.path());
        }
    }
    process.dies().await;
}

/// Goal: guard G9, from the side of whoever sends.
#[tokio::test(start_paused = true)]
async fn while_the_disk_is_nearly_full_a_message_comes_back_with_the_cause_and_is_taken_when_there_is_room() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.clerk("clerk").await;

    process.store.fail_next_commit(Fault::LowSpace);
    let told = clerk.tell(plain(1)).await;
    process.store.fail_next_commit(Fault::LowSpace);
    let asked = clerk.ask(plain(2)).await;

    let is_low = |cause: &StoreError| matches!(cause, StoreError::LowSpace { .. });
    assert!(matches!(told, Err(TellError::Unstorable { message, cause, .. })
        if message == plain(1) && is_low(&cause)));
    assert!(matches!(asked, Err(AskError::NotDelivered(TellError::Unstorable { message, cause, .. }))
        if message == plain(2) && is_low(&cause)));
    assert_eq!(clerk.ask(plain(3)).await.unwrap(), [3], "there is room again");
    process.dies().await;
}
