//! What a durable actor left in the store, where somebody starts who would not see to it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::OnceCell;

use crate::address::ActorPath;
use crate::cell::CellCore;
use crate::message::Failure;
use crate::store::{CommitError, Scan, StoreHandle};
use crate::sync::lock;

/// Why an actor does not start at its path: a durable one left there what it would not see to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{path} is not durable, and the store holds what a durable actor left there: {messages} messages, {journal} entries \
     of journals, {timers} timers. Start it as durable, or delete that with `Runtime::erase`"
)]
pub struct LeftInStore {
    /// Where.
    pub path: ActorPath,
    /// How many messages wait.
    pub messages: usize,
    /// How many entries there are in journals.
    pub journal: usize,
    /// How many timers are set.
    pub timers: usize,
}

impl LeftInStore {
    /// What `scan` says of `path`, unless nothing was left.
    pub(crate) fn of(path: &ActorPath, scan: &Scan) -> Option<Self> {
        let (messages, journal, timers) = (scan.inbox.len(), scan.journal.len(), scan.timers.len());
        let is_empty = messages + journal + timers == 0;
        (!is_empty).then(|| LeftInStore { path: path.clone(), messages, journal, timers })
    }
}

/// The paths at which something may have been left: those that had something to see to when it was looked, and those at
/// which a durable actor has lived here. Looked up once, when the runtime starts and before the first commit: an actor without a
/// store must not wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    found: OnceCell<BTreeSet<ActorPath>>,
    since: Mutex<BTreeSet<ActorPath>>,
}

impl Leftovers {
    /// A durable actor lives there.
    pub(crate) fn may_be_at(&self, path: &ActorPath) {
        let is_known = self.found.get().is_some_and(|found| found.contains(path));
        if !is_known {
            lock(&self.since).insert(path.clone());
        }
    }

    /// Refuses the start of an actor that is not durable where one that was has left something. A store that cannot be read
    /// is no reason: the actor does not need it.
    pub(crate) async fn refuse(&self, core: &CellCore) -> Result<(), Failure> {
        let Some(store) = core.world.store() else { return Ok(()) };
        match self.look(&store, &core.path).await {
            Some(left) => Err(Failure::bug(left)),
            None => Ok(()),
        }
    }

    /// Reads some records of each actor in the store.
    pub(crate) async fn look_up(&self, store: &StoreHandle) -> Result<&BTreeSet<ActorPath>, CommitError> {
        let look = async || store.read(|store| store.unfinished()).await.map(BTreeSet::from_iter);
        self.found.get_or_try_init(look).await
    }

    async fn look(&self, store: &StoreHandle, path: &ActorPath) -> Option<LeftInStore> {
        let found = self.look_up(store).await;
        let is_suspect = found.is_ok_and(|found| found.contains(path)) || lock(&self.since).contains(path);
        if !is_suspect {
            return None;
        }
        let of = path.clone();
        let scan = store.read(move |store| store.scan(&of)).await.ok()?;
        LeftInStore::of(path, &scan)
    }
}
