//! Places in the queue in front of the store: outcomes that are told before anything is committed later.

use super::writer::PATIENT;
use std::sync::{Arc, Mutex};

use super::writer::{TestStore, faulty, healthy};
use super::*;
use crate::message::MessageId;
use crate::store::writer::{Committed, QueuePlace};
use crate::store::{CommitError, Delivered, LaidAside, StoreHandle, StoredMessage, store_writer};
use crate::testing::{Fault, FaultyStore};

/// What was told, in order: of which batch, what, and how many commits had arrived at the store by then.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Outcome>>>);

type Outcome = (usize, Result<Committed, CommitError>, u64);

impl Told {
    fn commit(&self, place: QueuePlace, number: usize, batch: Batch, store: &TestStore) {
        let (told, store) = (self.clone(), Arc::clone(store));
        place.commit(batch, move |outcome| {
            told.0.lock().unwrap().push((number, outcome, store.commits()));
        });
    }

    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn numbers(&self) -> Vec<usize> {
        self.take().into_iter().map(|(number, ..)| number).collect()
    }
}

fn delivery(to: &str) -> Batch {
    let message = StoredMessage { name: "test.message".into(), ..StoredMessage::default() };
    Batch::from_outside(vec![Record::Deliver { to: path(to), message }])
}

fn lay_aside(actor: &str, message: MessageId) -> Batch {
    let records = vec![Record::LayAside { message, cause: "no".into() }];
    Batch { records, ..claim(actor, 1) }
}

/// Goal: whoever wants to act on an outcome before anything that was committed later can. Method: more batches than fit
/// into one group; each outcome notes how many commits had begun when it was told.
#[tokio::test(start_paused = true)]
async fn outcomes_are_told_once_each_in_order_and_before_the_writer_goes_on() {
    let (store, handle) = healthy();
    let told = Told::default();
    let hold = store.hold_commits();
    told.commit(handle.place().await.unwrap(), 0, delivery("a"), &store);
    store.commit_arrived(1).await;
    for number in 1..=300 {
        let place = handle.try_place().unwrap().unwrap();
        told.commit(place, number, delivery(&format!("a/{number}")), &store);
    }
    assert_eq!(told.0.lock().unwrap().len(), 0, "nothing is told before it is kept");

    drop(hold);
    handle.commit(claim("last", 1)).await.unwrap();

    let outcomes = told.take();
    assert_eq!(outcomes.len(), 301);
    for (at, (number, outcome, commits)) in outcomes.into_iter().enumerate() {
        let Committed { seq, deliveries } = outcome.unwrap();
        assert_eq!((number, seq.0), (at, 2 * at as u64 + 2));
        assert_eq!(deliveries, [Delivered::New(MessageId(seq.0 - 1))]);
        let group = 1 + at.div_ceil(256) as u64;
        assert_eq!(commits, group, "outcome {at}");
    }
}

/// Goal: the same when a group is taken apart, because one batch is refused or because somebody reads in between.
#[tokio::test(start_paused = true)]
async fn outcomes_keep_their_order_when_a_group_is_taken_apart() {
    let (store, handle) = healthy();
    handle.commit(claim("a", 5)).await.unwrap();
    let told = Told::default();
    let hold = store.hold_commits();
    told.commit(handle.place().await.unwrap(), 0, delivery("a"), &store);
    store.commit_arrived(2).await;
    let batches = [
        delivery("a"),
        claim("a", 4),
        Batch::from_outside(vec![Record::Snapshot(snapshot(1, 1))]),
        delivery("a"),
        batch("b", 1, 1, (16 << 20) + 1),
        delivery("b"),
    ];
    for (number, batch) in (1..).zip(batches) {
        told.commit(handle.place().await.unwrap(), number, batch, &store);
    }
    let reader = handle.clone();
    let read = tokio::runtime::Handle::current().spawn(async move { reader.laid_aside(path("a")).await });
    tokio::task::yield_now().await;
    told.commit(handle.place().await.unwrap(), 7, delivery("a"), &store);

    drop(hold);
    handle.commit(claim("last", 1)).await.unwrap();

    assert_eq!(read.await.unwrap().unwrap(), []);
    let outcomes = told.take();
    assert!(outcomes.iter().map(|(number, ..)| *number).eq(0..8), "{outcomes:?}");
    for (number, outcome, _) in &outcomes {
        let is_as_expected = match number {
            2 => matches!(outcome, Err(CommitError::Stale { stored: Epoch(5), .. })),
            3 => matches!(outcome, Err(CommitError::Store(StoreError::NoWriter))),
            5 => matches!(outcome, Err(CommitError::Store(StoreError::TooLarge { .. }))),
            _ => outcome.is_ok(),
        };
        assert!(is_as_expected, "outcome {number}: {outcome:?}");
    }
    let kept = outcomes.iter().filter_map(|(_, outcome, _)| outcome.as_ref().ok());
    assert!(kept.is_sorted_by(|before, after| before.seq < after.seq));
}

#[tokio::test(start_paused = true)]
async fn what_was_laid_aside_is_read_in_the_order_of_the_queue() {
    let (store, handle) = healthy();
    handle.commit(claim("a", 1)).await.unwrap();
    let hold = store.hold_commits();
    let told = Told::default();
    told.commit(handle.place().await.unwrap(), 0, claim("other", 1), &store); // commit 2
    store.commit_arrived(2).await;
    let first = MessageId(3);
    let read = |handle: &StoreHandle| {
        let handle = handle.clone();
        tokio::runtime::Handle::current().spawn(async move { handle.laid_aside(path("a")).await })
    };
    told.commit(handle.place().await.unwrap(), 1, delivery("a"), &store); // 3, commit 4
    told.commit(handle.place().await.unwrap(), 2, lay_aside("a", first), &store);
    let before = read(&handle);
    tokio::task::yield_now().await;
    let back = Batch::from_outside(vec![Record::Return { to: path("a"), message: first }]);
    told.commit(handle.place().await.unwrap(), 3, back, &store);
    let behind = read(&handle);
    tokio::task::yield_now().await;

    drop(hold);

    let ids = |asides: Vec<LaidAside>| asides.into_iter().map(|aside| aside.message.id).collect::<Vec<_>>();
    assert_eq!(ids(before.await.unwrap().unwrap()), [first]);
    assert_eq!(ids(behind.await.unwrap().unwrap()), []);
    assert_eq!(told.numbers(), [0, 1, 2, 3]);
}

/// Goal: nobody waits for ever on a writer that is gone: neither for what was queued, nor for what is put into a place
/// that was reserved before. (The queue alone keeps the latter, unseen, until its last handle is dropped.)
#[tokio::test(start_paused = true)]
async fn a_writer_that_is_dropped_answers_what_was_queued_and_what_comes_behind() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (handle, writer) = store_writer(Arc::clone(&store) as Arc<dyn Store>, PATIENT).unwrap();
    let told = Told::default();
    for number in 0..3 {
        told.commit(handle.place().await.unwrap(), number, delivery("a"), &store);
    }
    let reserved = handle.try_place().unwrap().unwrap();

    drop(writer);
    assert_eq!(told.0.lock().unwrap().len(), 3, "they are told at once");
    told.commit(reserved, 3, delivery("a"), &store);

    let outcomes = told.take();
    assert!(outcomes.iter().map(|(number, ..)| *number).eq(0..4), "{outcomes:?}");
    let is_unavailable = |(_, outcome, _): &Outcome| matches!(outcome, Err(CommitError::Unavailable));
    assert!(outcomes.iter().all(is_unavailable), "{outcomes:?}");
    assert!(matches!(handle.place().await, Err(CommitError::Unavailable)));
    assert!(matches!(handle.try_place(), Err(CommitError::Unavailable)));
    assert!(matches!(handle.laid_aside(path("a")).await, Err(CommitError::Unavailable)));
    assert_eq!(store.commits(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_to_all_that_were_queued() {
    for fault in [Fault::NoSpace, Fault::Write, Fault::CrashAfterCommit] {
        let (store, handle) = faulty(FaultyStore::new(MemoryStore::new()).fail_commit(2, fault));
        let told = Told::default();
        let hold = store.hold_commits();
        told.commit(handle.place().await.unwrap(), 0, delivery("a"), &store);
        store.commit_arrived(1).await;
        for number in 1..=300 {
            told.commit(handle.place().await.unwrap(), number, delivery("a"), &store);
        }
        let reserved = handle.try_place().unwrap().unwrap();

        drop(hold);
        assert!(matches!(handle.commit(claim("last", 1)).await, Err(CommitError::Store(_))));
        told.commit(reserved, 301, delivery("a"), &store);
        drop(handle.laid_aside(path("a")).await.unwrap_err());
        while told.0.lock().unwrap().len() < 302 {
            tokio::task::yield_now().await;
        }

        let outcomes = told.take();
        assert!(outcomes.iter().map(|(number, ..)| *number).eq(0..302));
        assert!(outcomes[0].1.is_ok());
        let is_told = |(_, outcome, _): &Outcome| matches!(outcome, Err(CommitError::Store(_)));
        assert!(outcomes[1..].iter().all(is_told), "{outcomes:?}");
        assert_eq!(store.commits(), 2);
        assert!(matches!(handle.try_place(), Err(CommitError::Store(_))));
    }
}

/// Goal: one outcome that panics takes nobody else's with it.
#[tokio::test(start_paused = true)]
async fn an_outcome_that_panics_leaves_nobody_untold() {
    let (store, handle) = healthy();
    let told = Told::default();
    let hold = store.hold_commits();
    told.commit(handle.place().await.unwrap(), 0, delivery("a"), &store);
    store.commit_arrived(1).await;
    told.commit(handle.place().await.unwrap(), 1, delivery("a"), &store);
    handle.place().await.unwrap().commit(delivery("a"), |_| panic!("an outcome with a fault"));
    told.commit(handle.place().await.unwrap(), 2, delivery("a"), &store);

    drop(hold);
    let behind = handle.commit(claim("a", 1)).await;

    assert!(behind.is_err(), "{behind:?}");
    assert!(matches!(handle.commit(claim("a", 1)).await, Err(CommitError::Store(StoreError::Failed { .. }))));
    let outcomes = told.take();
    assert!(outcomes.iter().map(|(number, ..)| *number).eq(0..3), "{outcomes:?}");
    assert!(outcomes[1].1.is_ok() && outcomes[2].1.is_err());
    assert!(!handle.is_available());
}

/// Goal: the queue is bounded, and a place that is not used is free again.
#[tokio::test(start_paused = true)]
async fn a_full_queue_gives_no_place_until_one_is_free() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let (handle, writer) = store_writer(Arc::clone(&store) as Arc<dyn Store>, PATIENT).unwrap();
    let mut places: Vec<_> = std::iter::from_fn(|| handle.try_place().unwrap()).collect();
    assert_eq!(places.len(), 1_024);

    drop(places.pop());
    let told = Told::default();
    told.commit(handle.place().await.unwrap(), 0, delivery("a"), &store);
    assert!(handle.try_place().unwrap().is_none());
    drop(places);
    tokio::runtime::Handle::current().spawn(writer);
    handle.commit(claim("last", 1)).await.unwrap();

    assert_eq!(told.numbers(), [0]);
}
