//! A store that fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::raw_store::{self, RawStore};
use crate::address::ActorPath;
use crate::store::{
    Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, Ownership, Scan, Store, StoreError, StoreHead,
    StorePromise, StoredBudgets,
};

/// A store that fails, crashes, waits, tears what it writes or flips a bit when told to, and otherwise does what the store
/// inside it does.
///
/// Commits are counted from 1; one commit is one group, so one call of [`Store::commit`]. Everything takes `&self`:
/// keep one `Arc` of it and give another to the runtime.
///
/// ```
/// use greenroom_runtime::testing::{Fault, FaultyStore};
/// use greenroom_runtime::{MemoryStore, Store, StoreError};
///
/// let store = FaultyStore::new(MemoryStore::new()).fail_commit(2, Fault::NoSpace);
///
/// assert!(store.commit(&[]).is_ok());
/// assert!(matches!(store.commit(&[]), Err(StoreError::NoSpace)));
/// assert!(store.commit(&[]).is_ok());
/// ```
///
/// Damage is done beneath all checks, so the store inside must be a [`RawStore`]. A clone of a [`MemoryStore`] is the disk
/// that the next process finds:
///
/// ```
/// use greenroom_runtime::testing::FaultyStore;
/// use greenroom_runtime::{ActorPath, Batch, Epoch, MemoryStore, Record, Snapshot, Store};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let desk = ActorPath::parse("desk")?;
/// let state = |seq| Snapshot { type_name: "desk".into(), version: 1, seq, state: vec![7; 100] };
/// let write = |seq| Batch::of(desk.clone(), Epoch(1), vec![Record::Snapshot(state(seq))]);
/// let disk = MemoryStore::new();
/// disk.commit(&[write(1)])?;
///
/// // The second state reaches the disk only in part, and the process dies of it.
/// let store = FaultyStore::new(disk.clone()).tear_commit(1, 150);
/// assert!(store.commit(&[write(2)]).is_err());
///
/// let scan = disk.scan(&desk)?;
/// assert_eq!(scan.snapshot, Some(state(1)), "the one before");
/// assert!(!scan.damage.is_empty(), "and that is told");
/// # Ok(())
/// # }
/// ```
///
/// [`MemoryStore`]: crate::MemoryStore
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    state: Mutex<State<S>>,
    /// Told whenever `state.held` changes.
    released: Condvar,
    /// Commits that have arrived, held ones included.
    arrived: watch::Sender<u64>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The disk is full; nothing was written.
    NoSpace,
    /// The disk is nearly full: this group is refused, nothing was written, and the store goes on.
    LowSpace,
    /// Writing failed; nothing was written.
    Write,
    /// The group was written, then the store died without an answer. Every later call finds it closed.
    CrashAfterCommit,
}

/// Writes a group and tears it at a byte: [`raw_store::tear`], by those who can.
type Tear<S> = fn(&S, &[Batch], u64) -> Result<Option<Vec<u8>>, StoreError>;

#[derive(Debug)]
struct State<S> {
    /// By number of the commit.
    faults: BTreeMap<u64, Fault>,
    /// By number of the commit: at which byte it is torn.
    tears: BTreeMap<u64, (u64, Tear<S>)>,
    /// Key of the record that was torn.
    torn: Option<Vec<u8>>,
    /// From this commit on each one fails like this.
    faults_from: Option<(u64, Fault)>,
    /// For each [`HeldCommits`] that is alive, the number of the first commit it holds.
    held: Vec<u64>,
    has_crashed: bool,
}

impl<S> Default for State<S> {
    fn default() -> Self {
        State {
            faults: BTreeMap::new(),
            tears: BTreeMap::new(),
            torn: None,
            faults_from: None,
            held: Vec::new(),
            has_crashed: false,
        }
    }
}

/// What goes wrong with one commit.
enum Wrong<S> {
    Fault(Fault),
    Tear(u64, Tear<S>),
}

impl<S: RawStore> FaultyStore<S> {
    /// Tears commit number `nth` at byte number `byte` of the values that it writes, from 0, in the order of their keys: the
    /// record in which that byte lies ends before it, the others are whole, and the store dies without an answer. A commit
    /// that writes less is whole; it dies all the same.
    ///
    /// This is a torn write that the engine does not notice, so that only the checksums of the records can. An engine that
    /// notices it, as it promises, takes the whole group back: that is [`Fault::Write`].
    #[must_use]
    pub fn tear_commit(self, nth: u64, byte: u64) -> Self {
        self.state().tears.insert(nth, (byte, raw_store::tear::<S>));
        self
    }

    /// Tears the next commit but `passing`, as [`tear_commit`](Self::tear_commit) does.
    pub fn tear_commit_after(&self, passing: u64, byte: u64) {
        let number = self.commits() + passing + 1;
        self.state().tears.insert(number, (byte, raw_store::tear::<S>));
    }

    /// Flips bit number `bit` of the values that are stored, from 0, in the order of their keys. Returns the key of the
    /// record, or `None` if there are not so many bits. Do it between two processes: a store in use may have read that
    /// record already.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store inside cannot read or write.
    pub fn flip_bit(&self, bit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        raw_store::flip(&self.inner, bit)
    }
}

impl<S: Store> FaultyStore<S> {
    /// A store that does what `inner` does, until told otherwise.
    pub fn new(inner: S) -> Self {
        FaultyStore {
            inner,
            state: Mutex::default(),
            released: Condvar::new(),
            arrived: watch::Sender::new(0),
        }
    }

    /// Lets commit number `nth`, and no other, fail.
    #[must_use]
    pub fn fail_commit(self, nth: u64, fault: Fault) -> Self {
        self.state().faults.insert(nth, fault);
        self
    }

    /// Lets commit number `nth` and all after it fail.
    #[must_use]
    pub fn fail_commits_from(self, nth: u64, fault: Fault) -> Self {
        self.state().faults_from = Some((nth, fault));
        self
    }

    /// Lets the next commit fail.
    pub fn fail_next_commit(&self, fault: Fault) {
        self.fail_commit_after(0, fault);
    }

    /// Lets the next commit but `passing` fail: to ask a durable actor is one commit to accept the message, and one to
    /// handle it.
    pub fn fail_commit_after(&self, passing: u64, fault: Fault) {
        let number = self.commits() + passing + 1;
        self.state().faults.insert(number, fault);
    }

    /// Commits that have arrived so far, whatever became of them.
    pub fn commits(&self) -> u64 {
        *self.arrived.borrow()
    }

    /// Waits until commit number `nth` has arrived: with [`hold_commits`](Self::hold_commits), until it is held.
    ///
    /// # Cancel safety
    ///
    /// Dropping it has no effect.
    pub async fn commit_arrived(&self, nth: u64) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.arrived.subscribe().wait_for(|arrived| *arrived >= nth).await;
    }

    /// Holds every commit that arrives from here on, until the returned guard is dropped.
    ///
    /// A held commit blocks its thread: drop the guard before the runtime, which waits for it.
    #[must_use = "dropping the guard lets the commits go"]
    pub fn hold_commits(self: &Arc<Self>) -> HeldCommits<S> {
        self.hold_commits_after(0)
    }

    /// As [`hold_commits`](Self::hold_commits), but lets the next `passing` commits through.
    #[must_use = "dropping the guard lets the commits go"]
    pub fn hold_commits_after(self: &Arc<Self>, passing: u64) -> HeldCommits<S> {
        let from = self.commits() + passing + 1;
        self.state().held.push(from);
        HeldCommits { store: Arc::clone(self), from }
    }

    /// Key of the record that was torn, if one was.
    pub fn torn(&self) -> Option<Vec<u8>> {
        self.state().torn.clone()
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        // Poison is no news: no section below panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the commit, waits while commits are held, and tells what shall go wrong with it.
    fn arrive(&self) -> Option<Wrong<S>> {
        let mut number = 0;
        self.arrived.send_modify(|arrived| {
            *arrived += 1;
            number = *arrived;
        });
        let held = |state: &mut State<S>| state.held.iter().any(|from| *from <= number);
        let waited = self.released.wait_while(self.state(), held);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some((byte, tear)) = state.tears.remove(&number) {
            return Some(Wrong::Tear(byte, tear));
        }
        let lasting = state.faults_from.filter(|(from, _)| number >= *from).map(|(_, fault)| fault);
        state.faults.remove(&number).or(lasting).map(Wrong::Fault)
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.state().has_crashed { Err(StoreError::Closed) } else { Ok(()) }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let fault = self.arrive();
        self.check_open()?;
        match fault {
            None => self.inner.commit(group),
            Some(Wrong::Fault(Fault::NoSpace)) => Err(StoreError::NoSpace),
            Some(Wrong::Fault(Fault::LowSpace)) => {
                Err(StoreError::LowSpace { free_bytes: 0, min_bytes: 64 << 20 })
            }
            Some(Wrong::Fault(Fault::Write)) => {
                Err(StoreError::Write { source: Arc::new(io::Error::other("a fault of the test")) })
            }
            Some(Wrong::Fault(Fault::CrashAfterCommit)) => {
                self.inner.commit(group)?;
                self.state().has_crashed = true;
                Err(StoreError::Failed { reason: "the test lets the store die after the commit".into() })
            }
            Some(Wrong::Tear(byte, tear)) => {
                let torn = tear(&self.inner, group, byte)?;
                let mut state = self.state();
                state.torn = torn;
                state.has_crashed = true;
                Err(StoreError::Failed {
                    reason: "the test lets the store die in the middle of a write".into(),
                })
            }
        }
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.check_open()?;
        self.inner.scan(actor)
    }

    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.check_open()?;
        self.inner.unfinished()
    }

    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.check_open()?;
        self.inner.laid_aside(actor)
    }

    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.check_open()?;
        self.inner.actors()
    }

    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.check_open()?;
        self.inner.case(case)
    }

    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.check_open()?;
        self.inner.cases(after, most)
    }

    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.check_open()?;
        self.inner.budgets()
    }

    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }

    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }

    fn head(&self) -> Result<StoreHead, StoreError> {
        self.check_open()?;
        self.inner.head()
    }

    fn end(&self) -> Result<(), StoreError> {
        self.check_open()?;
        self.inner.end()
    }
}

/// While it lives, commits wait. See [`FaultyStore::hold_commits`].
#[derive(Debug)]
pub struct HeldCommits<S: Store> {
    store: Arc<FaultyStore<S>>,
    from: u64,
}

impl<S: Store> Drop for HeldCommits<S> {
    fn drop(&mut self) {
        let mut state = self.store.state();
        if let Some(at) = state.held.iter().position(|from| *from == self.from) {
            state.held.swap_remove(at);
        }
        drop(state);
        self.store.released.notify_all();
    }
}
