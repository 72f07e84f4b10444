//! The queue in front of the store.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::*;
use crate::message::MessageId;
use crate::store::writer::Claim;
use crate::store::{
    BatchOutcome, CONTENT_LEN_MAX, CaseOwner, CommitError, CommitSeq, JournalEntry, LaidAside, ListedCase,
    Ownership, Scan, SoleOwner, Stall, StoreHandle, StoreHead, StoreId, StorePromise, StoredBudgets,
    StoredMessage, StoredTimer, WriterStats, store_writer,
};
use crate::sync::lock;
use crate::testing::{Fault, FaultyStore};

/// No test waits so long.
pub(super) const PATIENT: Stall = Stall { after: Duration::from_secs(3_600), aborts: false };

pub(super) type TestStore = Arc<FaultyStore<MemoryStore>>;

pub(super) fn faulty(store: FaultyStore<MemoryStore>) -> (TestStore, StoreHandle) {
    let store = Arc::new(store);
    let (handle, writer) = store_writer(Arc::clone(&store) as Arc<dyn Store>, PATIENT).unwrap();
    tokio::runtime::Handle::current().spawn(writer);
    (store, handle)
}

pub(super) fn healthy() -> (TestStore, StoreHandle) {
    faulty(FaultyStore::new(MemoryStore::new()))
}

/// Queues `request` and lets it reach the queue.
macro_rules! queued {
    ($handle:expr, $handle_name:ident => $request:expr) => {{
        let $handle_name = $handle.clone();
        let task = tokio::runtime::Handle::current().spawn(async move { $request.await });
        tokio::task::yield_now().await;
        task
    }};
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_answered_with_its_place_in_history() {
    let (store, handle) = healthy();

    assert_eq!(handle.commit(batch("a", 1, 1, 10)).await.unwrap().seq, CommitSeq(1));
    assert_eq!(handle.commit(batch("b", 1, 1, 10)).await.unwrap().seq, CommitSeq(2));
    assert_eq!(store.scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
}

#[tokio::test(start_paused = true)]
async fn what_queues_up_during_a_flush_goes_into_the_next_one() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let mut tasks = vec![queued!(handle, h => h.commit(batch("first", 1, 1, 1)))];
    store.commit_arrived(1).await;
    for number in 0..300 {
        tasks.push(queued!(handle, h => h.commit(batch(&format!("a/{number}"), 1, 1, 1))));
    }

    drop(hold);
    for (seq, task) in (1..).zip(tasks) {
        assert_eq!(task.await.unwrap().unwrap().seq, CommitSeq(seq));
    }

    assert_eq!(handle.stats(), WriterStats { commits: 301, groups: 3, largest_group: 256 });
    assert_eq!(store.commits(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_group_stops_growing_at_one_mebibyte() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let mut tasks = vec![queued!(handle, h => h.commit(batch("first", 1, 1, 1)))];
    store.commit_arrived(1).await;
    for number in 0..4 {
        tasks.push(queued!(handle, h => h.commit(batch(&format!("a/{number}"), 1, 1, 600 << 10))));
    }

    drop(hold);
    for task in tasks {
        task.await.unwrap().unwrap();
    }

    assert_eq!(handle.stats(), WriterStats { commits: 5, groups: 3, largest_group: 2 });
}

/// Goal: virtual time stands still while a group is being written, or every deadline of a test would fire.
/// Method: the runtime has nothing to do but to wait for the flush, which a foreign thread lets go after a while.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_stands_still_during_a_flush() {
    let (store, handle) = healthy();
    let mut hour = tokio::time::interval(std::time::Duration::from_secs(3_600));
    hour.tick().await;
    let hold = store.hold_commits();
    let task = queued!(handle, h => h.commit(batch("a", 1, 1, 1)));
    store.commit_arrived(1).await;

    let releasing = std::thread::spawn(move || {
        (0..10_000).for_each(|_| std::thread::yield_now());
        drop(hold);
    });
    tokio::select! {
        biased;
        committed = task => assert_eq!(committed.unwrap().unwrap().seq, CommitSeq(1)),
        _ = hour.tick() => panic!("an hour passed during one flush"),
    }
    releasing.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_claim_starts_a_higher_life_with_the_newest_snapshot() {
    let (_store, handle) = healthy();
    let fresh = handle.claim(path("a"), Epoch(0)).await.unwrap();
    assert_eq!(fresh, Claim { epoch: Epoch(1), scan: Scan::default(), seq: CommitSeq(1) });

    handle.commit(batch("a", 1, 1, 10)).await.unwrap();

    assert_eq!(handle.claim(path("a"), Epoch(0)).await.unwrap().epoch, Epoch(2));
    let claim = handle.claim(path("a"), Epoch(8)).await.unwrap();
    let scan = Scan { epoch: Epoch(2), snapshot: Some(snapshot(1, 10)), ..Scan::default() };
    assert_eq!(claim, Claim { epoch: Epoch(9), scan, seq: CommitSeq(4) });
}

/// Goal: the order of the queue holds also inside one group: a claim sees the commit before it and fences the one behind.
#[tokio::test(start_paused = true)]
async fn a_claim_sees_what_was_queued_before_and_fences_what_comes_behind() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let first = queued!(handle, h => h.commit(batch("other", 1, 1, 1)));
    store.commit_arrived(1).await;
    let before = queued!(handle, h => h.commit(batch("a", 1, 1, 10)));
    let claim = queued!(handle, h => h.claim(path("a"), Epoch(0)));
    let second_claim = queued!(handle, h => h.claim(path("a"), Epoch(0)));
    let behind = queued!(handle, h => h.commit(batch("a", 1, 2, 10)));

    drop(hold);

    first.await.unwrap().unwrap();
    before.await.unwrap().unwrap();
    let claim = claim.await.unwrap().unwrap();
    assert_eq!((claim.epoch, claim.scan.snapshot), (Epoch(2), Some(snapshot(1, 10))));
    assert_eq!(second_claim.await.unwrap().unwrap().epoch, Epoch(3));
    let behind = behind.await.unwrap();
    assert!(
        matches!(&behind, Err(CommitError::Stale { actor, epoch: Epoch(1), stored: Epoch(3) }) if *actor == path("a")),
        "{behind:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn claims_of_different_actors_share_a_flush() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let first = queued!(handle, h => h.commit(batch("other", 1, 1, 1)));
    store.commit_arrived(1).await;
    let a = queued!(handle, h => h.claim(path("a"), Epoch(0)));
    let b = queued!(handle, h => h.claim(path("b"), Epoch(0)));

    drop(hold);

    for claim in [a, b] {
        assert_eq!(claim.await.unwrap().unwrap().epoch, Epoch(1));
    }
    first.await.unwrap().unwrap();
    assert_eq!(store.commits(), 2);
}

/// Goal: what claims have read waits in memory for the flush they share, so that there is a bound on it, whatever it is.
#[tokio::test(start_paused = true)]
async fn claims_that_read_much_share_no_flush() {
    let len = CONTENT_LEN_MAX;
    let message = || StoredMessage { body: vec![1; len], ..StoredMessage::default() };
    let timer = || StoredTimer { name: "wake".into(), due_ms: 1, every_ms: None, message: message() };
    let entry = || JournalEntry { message: MessageId(1), place: 0, content: vec![1; len] };
    let kinds: [(&str, &dyn Fn(ActorPath) -> Record); 5] = [
        ("state", &|_| Record::Snapshot(snapshot(1, len))),
        ("message", &|to| Record::Deliver { to, message: message() }),
        ("journal", &|_| Record::Journal(entry())),
        ("timer", &|_| Record::SetTimer(timer())),
        ("birth", &|of| Record::Birth { of, content: vec![1; len] }),
    ];
    for (kind, record) in kinds {
        for (count, flushes) in [(0, 1), (1, 2)] {
            let (store, handle) = healthy();
            for actor in ["a", "b"] {
                // One byte more than the bound, or only that.
                let much = (0..count).map(|_| record(path(actor)));
                let little = Record::Deliver {
                    to: path(actor),
                    message: StoredMessage { body: vec![1], ..message() },
                };
                handle
                    .commit(Batch { records: much.chain([little]).collect(), ..claim(actor, 1) })
                    .await
                    .unwrap();
            }
            let before = store.commits();
            let hold = store.hold_commits();
            let first = queued!(handle, h => h.commit(batch("other", 1, 1, 1)));
            store.commit_arrived(before + 1).await;
            let a = queued!(handle, h => h.claim(path("a"), Epoch(0)));
            let b = queued!(handle, h => h.claim(path("b"), Epoch(0)));

            drop(hold);

            for claim in [a, b] {
                assert_eq!(claim.await.unwrap().unwrap().epoch, Epoch(2));
            }
            first.await.unwrap().unwrap();
            assert_eq!(store.commits() - before - 1, flushes, "{count} {kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_reports_damage() {
    let (store, handle) = healthy();
    handle.commit(batch("a", 1, 1, 10)).await.unwrap();
    for (key, _) in store.inner().raw_records().into_iter().skip(1) {
        store.inner().put_raw(key, Some(b"scratched".to_vec()));
    }

    let claim = handle.claim(path("a"), Epoch(4)).await.unwrap();

    assert_eq!((claim.epoch, claim.scan.snapshot), (Epoch(5), None));
    assert!(claim.scan.damage.iter().any(|damage| damage.place == DamagePlace::Head));
}

#[tokio::test(start_paused = true)]
async fn a_store_error_is_final_for_every_handle() {
    for fault in [Fault::NoSpace, Fault::Write] {
        let (store, handle) = faulty(FaultyStore::new(MemoryStore::new()).fail_commit(2, fault));
        let other = handle.clone();
        handle.commit(batch("a", 1, 1, 10)).await.unwrap();
        assert!(handle.is_available() && handle.failure().is_none());

        let failed = handle.commit(batch("a", 1, 2, 10)).await;

        assert!(matches!(failed, Err(CommitError::Store(_))), "{failed:?}");
        assert!(!other.is_available());
        assert_eq!(other.failure().unwrap().to_string(), failed.unwrap_err().to_string());
        assert!(matches!(other.claim(path("a"), Epoch(0)).await, Err(CommitError::Store(_))));
        assert!(matches!(other.commit(batch("b", 1, 1, 10)).await, Err(CommitError::Store(_))));
        assert_eq!(store.commits(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_while_the_store_fails_are_all_answered() {
    let (store, handle) = faulty(FaultyStore::new(MemoryStore::new()).fail_commit(1, Fault::NoSpace));
    let hold = store.hold_commits();
    let mut tasks = vec![queued!(handle, h => h.commit(batch("first", 1, 1, 1)))];
    store.commit_arrived(1).await;
    for number in 0..400 {
        tasks.push(queued!(handle, h => h.commit(batch(&format!("a/{number}"), 1, 1, 1))));
    }
    let claim = queued!(handle, h => h.claim(path("a"), Epoch(0)));

    drop(hold);

    for task in tasks {
        assert!(matches!(task.await.unwrap(), Err(CommitError::Store(StoreError::NoSpace))));
    }
    assert!(matches!(claim.await.unwrap(), Err(CommitError::Store(StoreError::NoSpace))));
    assert_eq!(store.commits(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_behind_the_commit_the_record_is_there() {
    let memory = MemoryStore::new();
    let crashing = FaultyStore::new(memory.clone()).fail_commit(1, Fault::CrashAfterCommit);
    let (handle, writer) = store_writer(Arc::new(crashing), PATIENT).unwrap();
    let commits = async {
        let committed = handle.commit(batch("a", 1, 1, 10)).await;
        drop(handle); // the writer ends, and lets the store go
        committed
    };

    let (committed, ()) = tokio::join!(commits, writer);

    assert!(matches!(committed, Err(CommitError::Store(_))));

    let (_store, handle) = faulty(FaultyStore::new(memory));
    assert_eq!(handle.claim(path("a"), Epoch(0)).await.unwrap().scan.snapshot, Some(snapshot(1, 10)));
}

/// Goal: one actor with an overlong state harms neither the others of its group nor the store.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_is_refused_alone() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let first = queued!(handle, h => h.commit(batch("first", 1, 1, 1)));
    store.commit_arrived(1).await;
    let before = queued!(handle, h => h.commit(batch("a", 1, 1, 10)));
    let large = queued!(handle, h => h.commit(batch("b", 1, 1, (16 << 20) + 1)));

    drop(hold);

    first.await.unwrap().unwrap();
    before.await.unwrap().unwrap();
    assert!(matches!(large.await.unwrap(), Err(CommitError::Store(StoreError::TooLarge { .. }))));
    assert!(handle.is_available());
    handle.commit(batch("b", 1, 1, 10)).await.unwrap();
}

/// An engine with a fault, and what it keeps until it is closed.
struct Panicking<Kept>(Kept);

impl<Kept: Send + Sync + 'static> Store for Panicking<Kept> {
    fn commit(&self, _: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        panic!("an engine with a fault")
    }
    fn scan(&self, _: &ActorPath) -> Result<Scan, StoreError> {
        panic!("an engine with a fault")
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        panic!("the engine falls over")
    }
    fn laid_aside(&self, _: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        panic!("the engine falls over")
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        Ok(Vec::new())
    }
    fn case(&self, _: &str) -> Result<Option<CaseOwner>, StoreError> {
        panic!("the engine falls over")
    }
    fn cases(&self, _: Option<&str>, _: usize) -> Result<Vec<ListedCase>, StoreError> {
        panic!("the engine falls over")
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        panic!("the engine falls over")
    }
    fn promise(&self) -> StorePromise {
        StorePromise::Nothing
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        SoleOwner::default().take(Path::new("panicking"))
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        Ok(StoreHead::empty(StoreId(1)))
    }
    fn end(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_engine_is_an_error_of_the_store() {
    for is_claim in [false, true] {
        let (handle, writer) = store_writer(Arc::new(Panicking(())), PATIENT).unwrap();
        tokio::runtime::Handle::current().spawn(writer);

        let failed = match is_claim {
            true => handle.claim(path("a"), Epoch(0)).await.map(|_| ()),
            false => handle.commit(batch("a", 1, 1, 1)).await.map(|_| ()),
        };

        let is_told = |reason: &str| reason.contains("an engine with a fault");
        assert!(matches!(failed, Err(CommitError::Store(StoreError::Failed { reason })) if is_told(&reason)));
        assert!(!handle.is_available());
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_harms_nobody_in_its_group() {
    let (store, handle) = healthy();
    let hold = store.hold_commits();
    let first = queued!(handle, h => h.commit(batch("first", 1, 1, 1)));
    store.commit_arrived(1).await;
    let leaving = queued!(handle, h => h.commit(batch("a", 1, 1, 10)));
    let staying = queued!(handle, h => h.commit(batch("b", 1, 1, 10)));

    leaving.abort();
    assert!(leaving.await.is_err_and(|error| error.is_cancelled()));
    drop(hold);

    first.await.unwrap().unwrap();
    staying.await.unwrap().unwrap();
    assert_eq!(store.scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
}

#[tokio::test(start_paused = true)]
async fn the_writer_ends_with_its_last_handle() {
    let (handle, writer) = store_writer(Arc::new(MemoryStore::new()), PATIENT).unwrap();
    let task = tokio::runtime::Handle::current().spawn(writer);
    let other = handle.clone();

    drop(handle);
    other.commit(batch("a", 1, 1, 1)).await.unwrap();
    drop(other);

    task.await.unwrap();
}

/// Goal: to close a store takes as long as its engine does, for good if that hangs, and holds nobody up: a shutdown goes by
/// its limit. Method: one thread, and a store that is closed when another task has run meanwhile.
#[tokio::test]
async fn a_store_that_takes_long_to_close_holds_nobody_up_and_is_closed_when_the_writer_ends() {
    struct Closing(Arc<Notify>, Mutex<Receiver<()>>, SyncSender<bool>);
    impl Drop for Closing {
        fn drop(&mut self) {
            self.0.notify_one();
            let was_let = lock(&self.1).recv_timeout(Duration::from_secs(10)).is_ok();
            self.2.send(was_let).unwrap();
        }
    }
    let (closes, (lets, let_go), (tell, told)) = (Arc::new(Notify::new()), sync_channel(1), sync_channel(1));
    let store = Panicking(Closing(Arc::clone(&closes), Mutex::new(let_go), tell));
    let (handle, writer) = store_writer(Arc::new(store), PATIENT).unwrap();
    let writer = tokio::runtime::Handle::current().spawn(writer);

    drop(handle);
    closes.notified().await;
    let _unless_it_gave_up = lets.send(());
    writer.await.unwrap();

    assert_eq!(told.try_recv(), Ok(true));
}

#[tokio::test(start_paused = true)]
async fn without_a_writer_the_store_is_unavailable() {
    let (handle, writer) = store_writer(Arc::new(MemoryStore::new()), PATIENT).unwrap();
    drop(writer);

    assert!(!handle.is_available());
    assert!(matches!(handle.commit(batch("a", 1, 1, 1)).await, Err(CommitError::Unavailable)));
}

/// Goal: a store that does not come back harms nobody but those who need it, and what it does later is not released.
/// Method: a commit that is held, in real time, because a blocked thread holds a paused clock still.
#[tokio::test]
async fn a_stalled_store_is_fenced_and_whoever_waits_is_told() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let stall = Stall { after: Duration::from_millis(50), aborts: false };
    let (handle, writer) = store_writer(Arc::clone(&store) as Arc<dyn Store>, stall).unwrap();
    tokio::runtime::Handle::current().spawn(writer);
    let hold = store.hold_commits();
    let behind = queued!(handle, h => h.commit(batch("a", 1, 1, 1)));
    store.commit_arrived(1).await;
    let waits = queued!(handle, h => h.claim(path("b"), Epoch(0)));

    let is_stalled = |error: &CommitError| matches!(error, CommitError::Store(StoreError::Stalled { .. }));
    let told = behind.await.unwrap().unwrap_err();
    assert!(is_stalled(&told), "{told}");
    let told = waits.await.unwrap().unwrap_err();
    assert!(is_stalled(&told), "{told}");
    assert!(!handle.is_available());
    let told = handle.commit(batch("c", 1, 1, 1)).await.unwrap_err();
    assert!(is_stalled(&told), "{told}");

    drop(hold);
    assert!(handle.commit(batch("d", 1, 1, 1)).await.is_err(), "also when it comes back");
    assert_eq!(store.commits(), 1, "nothing more is asked of it");
}
