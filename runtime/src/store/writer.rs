//! The store's writer: the queue in which many commits wait for one flush.
//!
//! One future owns the receiving end, so the store has one writer and needs no lock. It takes what is queued (at
//! most 256 requests or 1 MiB), carries the group out, answers everybody, and takes again: the slower the disk, the
//! larger the group. Each group runs in [`tokio::task::spawn_blocking`], not on a thread of its own: a blocking task
//! holds tokio's paused clock still, whereas during a flush on a foreign thread a paused clock runs away and every
//! deadline of a test fires.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::catching;
use super::group::carry_out;
use super::{
    Batch, BatchOutcome, CaseOwner, CommitSeq, Delivered, LaidAside, Link, Ownership, Scan, Store,
    StoreError, StoreHead,
};
use crate::address::{ActorPath, Epoch};
use crate::clock::Clock;
use crate::sync::lock;

/// Requests that may wait; whoever comes then waits for a place.
const QUEUE_LEN_MAX: usize = 1_024;
/// Requests taken into one group.
const GROUP_LEN_MAX: usize = 256;
/// States, in bytes, after which a group takes no further request.
pub(super) const GROUP_BYTES_MAX: usize = 1 << 20;

/// Makes the queue in front of `store` and the future that serves it.
///
/// The future ends when all handles are dropped and everything queued is answered. It must run on a tokio runtime.
/// Dropped early, it leaves the group in hand to finish on its own and answers [`CommitError::Unavailable`] to the
/// requests behind it. The store is owned until then.
///
/// # Errors
///
/// [`StoreError::Locked`]: another runtime has it. And [`StoreError`] if its head cannot be read.
pub(crate) fn store_writer(
    store: Arc<dyn Store>,
    stall: Stall,
) -> Result<(StoreHandle, impl Future<Output = ()> + Send + 'static), StoreError> {
    let store = Arc::new(Owned { _ownership: store.own()?, store });
    let found = catching(|| store.store.head())?;
    let (queue, requests) = mpsc::channel(QUEUE_LEN_MAX);
    let shared = Arc::new(Shared::default());
    let handle = StoreHandle { queue, shared: Arc::clone(&shared), found };
    let requests = Requests { _end: End(Arc::clone(&shared)), queue: requests };
    Ok((handle, serve(store, requests, shared, stall)))
}

/// When the store counts as stalled, and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    /// How long one group may take.
    pub(crate) after: Duration,
    /// Whether the process is aborted then.
    pub(crate) aborts: bool,
}

impl Stall {
    /// The store does not come back: it is fenced, and whoever waits is told so. What it does later is not released.
    fn happened(self, shared: &Shared, waiting: Vec<Abandon>) {
        let error = StoreError::Stalled { after: self.after };
        if self.aborts {
            tracing::error!(%error, "the process is aborted, as its configuration says");
            std::process::abort();
        }
        shared.fail(&error);
        waiting.into_iter().for_each(|abandon| abandon.tell(&error));
    }
}

/// A store that is ours alone.
struct Owned {
    store: Arc<dyn Store>,
    /// Dropped last: the next owner may begin at once.
    _ownership: Ownership,
}

/// The way to the store: commits and claims, in the order in which they were queued.
///
/// Cloning is cheap; all clones share the queue and the fate of the store. After a final store error every request is
/// answered with it: only a new opening of the store helps.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    queue: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    /// The head of the store before anything was asked of it.
    found: StoreHead,
}

/// An actor's new life: the epoch it writes with, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The new epoch, higher than every one before; it is stored.
    pub epoch: Epoch,
    /// What was kept before. With damage, its snapshot may be older than the newest committed.
    pub scan: Scan,
    /// Everything committed up to here is in the scan, and nothing later.
    pub seq: CommitSeq,
}

/// A batch that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub seq: CommitSeq,
    /// What became of each message that it delivers or returns, in their order.
    pub deliveries: Vec<Delivered>,
}

/// Why a commit or a claim did not happen.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A newer life of the actor has claimed. Nothing was kept; the writer must stop.
    #[error("{actor} writes with epoch {epoch}, but epoch {stored} is stored")]
    Stale {
        /// Who wrote.
        actor: ActorPath,
        /// The epoch it wrote with.
        epoch: Epoch,
        /// The newest epoch in the store.
        stored: Epoch,
    },
    /// A case that the batch changes is not in the state that the change expects. Nothing was kept.
    #[error("case {case} is not as it was: {}", whose(found.as_ref()))]
    Conflict {
        /// Which case.
        case: String,
        /// What is kept of it.
        found: Option<CaseOwner>,
    },
    /// The store failed or refused. After a final error it is unknown whether the batch was kept: claim and look.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer has ended, as at shutdown. It is unknown whether the batch was kept.
    #[error("the store's writer has ended")]
    Unavailable,
}

/// For people to read.
pub(crate) fn whose(found: Option<&CaseOwner>) -> String {
    match found {
        None => "nobody has it".into(),
        Some(CaseOwner { owner, offer: None, .. }) => format!("{owner} has it"),
        Some(CaseOwner { owner, offer: Some(offer), .. }) => {
            format!("{owner} has it, and offers it to {} in handoff {}", offer.to, offer.hop)
        }
    }
}

/// What the writer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterStats {
    /// Batches committed, claims among them.
    pub commits: u64,
    /// Groups written, each with one flush: `commits / groups` is the mean group size.
    pub groups: u64,
    /// Batches in the largest group.
    pub largest_group: u64,
}

impl StoreHandle {
    /// Commits `batch`, and says what became of it once it is durable.
    ///
    /// Waits for a place in the queue, then for the flush.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says what is known about the batch.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place, nothing is queued. Dropped later, the batch is committed all the same and
    /// the answer is lost. The other batches of the group are not harmed.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.request(|answer| Request::Commit { batch, link: Link::Free, answer }).await
    }

    /// A place in the queue, for a batch whose outcome others must see before anything that is committed later.
    ///
    /// # Errors
    ///
    /// As [`commit`](StoreHandle::commit).
    pub(crate) async fn place(&self) -> Result<QueuePlace, CommitError> {
        if let Some(failure) = self.failure() {
            return Err(failure.into());
        }
        let place = self.queue.clone().reserve_owned().await;
        let shared = || Arc::clone(&self.shared);
        place.map(|place| QueuePlace { place, shared: shared() }).map_err(|_| self.unavailable())
    }

    /// As [`place`](StoreHandle::place), without waiting. `None`: the queue is full.
    ///
    /// # Errors
    ///
    /// As [`commit`](StoreHandle::commit).
    pub(crate) fn try_place(&self) -> Result<Option<QueuePlace>, CommitError> {
        use tokio::sync::mpsc::error::TrySendError;
        if let Some(failure) = self.failure() {
            return Err(failure.into());
        }
        match self.queue.clone().try_reserve_owned() {
            Ok(place) => Ok(Some(QueuePlace { place, shared: Arc::clone(&self.shared) })),
            Err(TrySendError::Full(_)) => Ok(None),
            Err(TrySendError::Closed(_)) => Err(self.unavailable()),
        }
    }

    /// Starts a new life of `actor`: stores an epoch higher than the stored one and `at_least`, and returns it with the
    /// newest snapshot. Whatever writes with an older epoch is refused from here on.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; whether the epoch was raised is then unknown, which harms nobody: claim again.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was queued, the epoch is raised and the answer is lost.
    pub(crate) async fn claim(&self, actor: ActorPath, at_least: Epoch) -> Result<Claim, CommitError> {
        self.request(|answer| Request::Claim { actor, at_least, answer }).await
    }

    /// Whether the store still takes requests. Costs two atomic reads.
    pub(crate) fn is_available(&self) -> bool {
        self.shared.failure.get().is_none() && !self.queue.is_closed()
    }

    /// The final error of the store, if it had one.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.shared.failure.get().cloned()
    }

    /// The head of the store as the writer found it.
    pub(crate) fn found(&self) -> StoreHead {
        self.found
    }

    /// What the writer has done so far, read field by field.
    pub(crate) fn stats(&self) -> WriterStats {
        WriterStats {
            commits: self.shared.commits.load(Relaxed),
            groups: self.shared.groups.load(Relaxed),
            largest_group: self.shared.largest_group.load(Relaxed),
        }
    }

    /// What was laid aside of `actor`. In the order of the queue, as everything.
    ///
    /// # Errors
    ///
    /// [`CommitError`] when the store cannot read.
    pub(crate) async fn laid_aside(&self, actor: ActorPath) -> Result<Vec<LaidAside>, CommitError> {
        self.read(move |store| store.laid_aside(&actor)).await
    }

    /// Reads something. In the order of the queue, as everything: it finds all that was queued before.
    ///
    /// # Errors
    ///
    /// [`CommitError`] when the store cannot read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, CommitError> {
        let shared = Arc::clone(&self.shared);
        self.request(|answer| {
            let abandon = Abandon::Read(answer.abandon());
            let read: Read = Box::new(move |store| {
                let found = store.and_then(|store| catching(|| read(store)));
                let found = found.inspect_err(|error| shared.fail(error));
                answer.give(found.map_err(CommitError::Store));
            });
            Request::Read { read, abandon }
        })
        .await
    }

    async fn request<T: Send + 'static>(
        &self,
        make: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, CommitError> {
        let place = self.place().await?;
        let (answer, answered) = oneshot::channel();
        // A waiter that is gone does not want its answer.
        place.send(make(Answer::new(move |result| drop(answer.send(result)))));
        answered.await.unwrap_or_else(|_| Err(self.unavailable()))
    }

    fn unavailable(&self) -> CommitError {
        self.failure().map_or(CommitError::Unavailable, CommitError::Store)
    }
}

/// A place in the queue.
pub(crate) struct QueuePlace {
    place: mpsc::OwnedPermit<Request>,
    shared: Arc<Shared>,
}

impl QueuePlace {
    /// Queues `batch`. `then` is called with its outcome, in the order in which batches are committed and before the
    /// writer goes on: it must be quick. It runs on a thread that may block, or where the writer was dropped.
    pub(crate) fn commit(
        self,
        batch: Batch,
        then: impl FnOnce(Result<Committed, CommitError>) + Send + 'static,
    ) {
        self.commit_linked(batch, Link::Free, then);
    }

    /// As [`commit`](QueuePlace::commit), of a batch that stands on those before it.
    pub(crate) fn commit_linked(
        self,
        batch: Batch,
        link: Link,
        then: impl FnOnce(Result<Committed, CommitError>) + Send + 'static,
    ) {
        self.send(Request::Commit { batch, link, answer: Answer::new(then) });
    }

    fn send(self, request: Request) {
        // A place outlives the writer, and what is put there then nobody takes, nor drops. Held while it is sent: the
        // writer that ends meanwhile finds the request in its queue.
        let has_ended = self.shared.has_ended();
        match *has_ended {
            false => drop(self.place.send(request)),
            true => {
                drop(has_ended); // the answer may ask for another place
                drop(request);
            }
        }
    }
}

type Then<T> = Box<dyn FnOnce(Result<T, CommitError>) + Send>;
type Waiting<T> = Arc<Mutex<Option<Then<T>>>>;

/// Who waits for an outcome. It hears of one in any case, and of the first.
pub(super) struct Answer<T>(Waiting<T>);

/// Tells whoever waits that the store is stalled.
pub(super) enum Abandon {
    Commit(Waiting<Committed>),
    Claim(Waiting<Claim>),
    Read(Box<dyn FnOnce(&StoreError) + Send>),
    /// Nobody is left to be told.
    Nobody,
}

impl Abandon {
    fn tell(self, error: &StoreError) {
        match self {
            Abandon::Commit(waiting) => call(&waiting, Err(CommitError::Store(error.clone()))),
            Abandon::Claim(waiting) => call(&waiting, Err(CommitError::Store(error.clone()))),
            Abandon::Read(abandon) => abandon(error),
            Abandon::Nobody => {}
        }
    }
}

impl<T: Send + 'static> Answer<T> {
    fn new(then: impl FnOnce(Result<T, CommitError>) + Send + 'static) -> Self {
        Answer(Arc::new(Mutex::new(Some(Box::new(then)))))
    }

    fn abandon(&self) -> Box<dyn FnOnce(&StoreError) + Send> {
        let twin = Arc::clone(&self.0);
        Box::new(move |error| call(&twin, Err(CommitError::Store(error.clone()))))
    }
}

impl<T> Answer<T> {
    pub(super) fn give(self, result: Result<T, CommitError>) {
        call(&self.0, result);
    }
}

fn call<T>(then: &Mutex<Option<Then<T>>>, result: Result<T, CommitError>) {
    let then = lock(then).take(); // called outside of the lock
    if let Some(then) = then {
        then(result);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        call(&self.0, Err(CommitError::Unavailable));
    }
}

pub(super) enum Request {
    Commit { batch: Batch, link: Link, answer: Answer<Committed> },
    Claim { actor: ActorPath, at_least: Epoch, answer: Answer<Claim> },
    Read { read: Read, abandon: Abandon },
}

/// Reads from the store, or hears why there is none to read from.
pub(super) type Read = Box<dyn FnOnce(Result<&dyn Store, StoreError>) + Send>;

impl Request {
    /// How to tell whoever waits for it.
    fn abandon(&mut self) -> Abandon {
        match self {
            Request::Commit { answer, .. } => Abandon::Commit(Arc::clone(&answer.0)),
            Request::Claim { answer, .. } => Abandon::Claim(Arc::clone(&answer.0)),
            Request::Read { abandon, .. } => std::mem::replace(abandon, Abandon::Nobody),
        }
    }

    fn len_bytes(&self) -> usize {
        match self {
            Request::Commit { batch, .. } => batch.len_bytes(),
            Request::Claim { .. } | Request::Read { .. } => 0,
        }
    }
}

/// What handles and writer both see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set once, by the first final error.
    pub(super) failure: OnceLock<StoreError>,
    /// Whether the writer is gone.
    has_ended: Mutex<bool>,
    commits: AtomicU64,
    groups: AtomicU64,
    largest_group: AtomicU64,
}

impl Shared {
    pub(super) fn fail(&self, error: &StoreError) {
        if error.is_final() {
            // Whoever asked for the commit tells of it: `World::store_failed`.
            let _unless_known: Result<(), StoreError> = self.failure.set(error.clone());
        }
    }

    fn has_ended(&self) -> MutexGuard<'_, bool> {
        // Poison is no news: the flag is set in one step.
        self.has_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, outcomes: &[BatchOutcome]) {
        let committed =
            outcomes.iter().filter(|outcome| matches!(outcome, BatchOutcome::Committed { .. })).count();
        self.commits.fetch_add(committed as u64, Relaxed);
        self.groups.fetch_add(1, Relaxed);
        self.largest_group.fetch_max(outcomes.len() as u64, Relaxed);
    }
}

/// The receiving end of the queue.
struct Requests {
    /// Dropped first: a request is either in the queue by then, and dropped with it, or turned away.
    _end: End,
    queue: mpsc::Receiver<Request>,
}

/// Marks on drop that the writer is gone.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.has_ended() = true;
    }
}

async fn serve(owned: Arc<Owned>, mut requests: Requests, shared: Arc<Shared>, stall: Stall) {
    while let Some(first) = requests.queue.recv().await {
        let mut bytes = first.len_bytes();
        let mut taken = vec![first];
        while taken.len() < GROUP_LEN_MAX
            && bytes < GROUP_BYTES_MAX
            && let Ok(next) = requests.queue.try_recv()
        {
            bytes += next.len_bytes();
            taken.push(next);
        }
        let (owned, group_shared) = (Arc::clone(&owned), Arc::clone(&shared));
        if shared.failure.get().is_some() {
            // Nothing is asked of the store any more: each is only told why.
            carry_out(&*owned.store, &group_shared, taken);
            continue;
        }
        let waiting: Vec<Abandon> = taken.iter_mut().map(Request::abandon).collect();
        let group = tokio::task::spawn_blocking(move || carry_out(&*owned.store, &group_shared, taken));
        match Clock::default().within(stall.after, group).await {
            Some(Ok(())) => {}
            Some(Err(_)) => {
                shared.fail(&StoreError::Failed { reason: "the writer panicked or its runtime ends".into() });
            }
            None => stall.happened(&shared, waiting),
        }
    }
    // Not here: to close a store takes as long as its engine does, which may hang.
    let closed = tokio::task::spawn_blocking(move || drop(owned)).await;
    if let Err(error) = closed {
        tracing::debug!(%error, "the store did not close in order");
    }
}
