//! A store that fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::address::ActorPath;
use crate::store::{
    Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, Ownership, Scan, Store, StoreError, StorePromise,
};

/// A store that fails, crashes or waits when told to, and otherwise does what the store inside it does.
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
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    state: Mutex<State>,
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
    /// Writing failed; nothing was written.
    Write,
    /// The group was written, then the store died without an answer. Every later call finds it closed.
    CrashAfterCommit,
}

#[derive(Debug, Default)]
struct State {
    /// By number of the commit.
    faults: BTreeMap<u64, Fault>,
    /// From this commit on each one fails like this.
    faults_from: Option<(u64, Fault)>,
    /// For each [`HeldCommits`] that is alive, the number of the first commit it holds.
    held: Vec<u64>,
    has_crashed: bool,
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

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Poison is no news: no section below panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the commit, waits while commits are held, and tells what shall go wrong with it.
    fn arrive(&self) -> Option<Fault> {
        let mut number = 0;
        self.arrived.send_modify(|arrived| {
            *arrived += 1;
            number = *arrived;
        });
        let held = |state: &mut State| state.held.iter().any(|from| *from <= number);
        let waited = self.released.wait_while(self.state(), held);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let lasting = state.faults_from.filter(|(from, _)| number >= *from).map(|(_, fault)| fault);
        state.faults.remove(&number).or(lasting)
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
            Some(Fault::NoSpace) => Err(StoreError::NoSpace),
            Some(Fault::Write) => {
                Err(StoreError::Write { source: Arc::new(io::Error::other("a fault of the test")) })
            }
            Some(Fault::CrashAfterCommit) => {
                self.inner.commit(group)?;
                self.state().has_crashed = true;
                Err(StoreError::Failed { reason: "the test lets the store die after the commit".into() })
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

    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }

    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
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
