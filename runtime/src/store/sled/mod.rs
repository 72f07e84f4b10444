//! The store on disk: sled 0.34.7 behind our own checks.
//!
//! A group is acknowledged once it is in a log of our own in front of sled, written and synced (`front`). sled gets it later:
//! its flush survives the kill of the process but is no sync of the disk, so it is followed by an `fdatasync` of our own
//! before the log begins anew. Even so only [`StorePromise::ProcessCrash`] is promised: what sled moves in the background
//! cannot be ordered from outside. Each record carries its own checksum (`record`).

mod folder; // lock and mending
mod front; // the logs in front of sled, by which groups are acknowledged
mod marker; // the newest acknowledged commit, kept outside of sled, against a silently shortened log
mod nudge; // against a flush that waits for a write that has failed
mod space; // what is refused while the disk has little room

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use folder::StoreFolder;
use front::{Front, LogSync};
use marker::CommitMarker;
use nudge::Nudges;
pub use space::SledConfig;

use super::error::catching;
use super::layout::{self, Engine, Entries, Writes};
use super::{
    Batch, BatchOutcome, CaseOwner, Cause, LaidAside, ListedCase, Ownership, Scan, SoleOwner, Store,
    StoreError, StoreHead, StoreId, StorePromise, StoredBudgets,
};
use crate::address::ActorPath;
use crate::sync::{Quiet, panic_text};

/// Length of a log in front of sled, in bytes, from which on it is given to sled. More would save sled more work, and cost
/// memory, twice as much.
const ROUND_BYTES: u64 = 4 << 20;
/// Memory for pages that were read, in bytes.
const CACHE_BYTES_MAX: u64 = 64 << 20;

/// A store in a folder on disk; an acknowledged commit survives `kill -9` at any instant.
///
/// One opening at a time, across processes. A failed write, a failed sync or a panic of the engine is final for the
/// opening: drop it, mend the cause, open again.
///
/// ```
/// use greenroom_runtime::{SledStore, StoreError};
///
/// # let parent = tempfile::tempdir()?;
/// # let path = parent.path().join("store");
/// let store = SledStore::open(&path)?;
/// assert!(matches!(SledStore::open(&path), Err(StoreError::Locked { .. })));
/// drop(store);
/// assert!(SledStore::open(&path).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SledStore {
    engine: Front<SledEngine>,
    config: SledConfig,
    /// Held while the engine works: one caller at a time, and none after a failure.
    opening: Mutex<Opening>,
    owner: SoleOwner,
    /// Dropped last: the lock outlives the engine.
    folder: StoreFolder,
}

#[derive(Debug)]
struct Opening {
    marker: CommitMarker,
    /// What every call is told once one has failed.
    failed: Option<StoreError>,
}

impl SledStore {
    /// Opens the store at `path`, creating it if there is none. Blocks; reads the log written since sled's last own
    /// snapshot, at worst all of it.
    ///
    /// # Errors
    ///
    /// * [`StoreError::Locked`] at once if another opening has it; that one is not disturbed.
    /// * [`StoreError::Open`] if the folder or the engine cannot be opened. Nothing was deleted.
    /// * [`StoreError::LogDamaged`] and [`StoreError::Shortened`] if acknowledged commits are missing. Nothing was changed.
    /// * [`StoreError::Format`] if a newer version wrote it, [`StoreError::HeadDamaged`] if that cannot be told.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, SledConfig::default())
    }

    /// As [`open`](Self::open), with bounds for the free space of your own. Blocks.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, config: SledConfig) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), config, LogSync::EachCommit, ROUND_BYTES)
    }

    /// A store with a bug on purpose, to show that the tests would find it: it skips the sync behind each flush.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn open_skipping_fdatasync(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), SledConfig::default(), LogSync::Skipped, ROUND_BYTES)
    }

    /// A store whose log is given to sled whenever it is this long, in bytes, so that tests come by there often.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn open_in_rounds(path: impl AsRef<Path>, round_bytes: u64) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), SledConfig::default(), LogSync::EachCommit, round_bytes)
    }

    fn open_as(path: &Path, config: SledConfig, sync: LogSync, round_bytes: u64) -> Result<Self, StoreError> {
        let folder = StoreFolder::lock(path)?;
        let open_error = |source: Cause| StoreError::Open { path: folder.path().into(), source };
        let io_error = |error: std::io::Error| open_error(Arc::new(error));

        folder.remove_torn_files().map_err(io_error)?;
        let db = open_mended(&folder).map_err(|failure| match failure {
            OpenFailure::Locked => StoreError::Locked { path: folder.path().into() },
            OpenFailure::Damage(source) | OpenFailure::Other(source) => open_error(source),
        })?;
        let log = File::options().read(true).write(true).open(folder.log()).map_err(io_error)?;
        log.sync_data().map_err(io_error)?;
        let marker = CommitMarker::open(&folder.marker()).map_err(io_error)?;
        let engine = SledEngine::new(db, log);
        let engine = Front::new(engine, folder.front(), sync, round_bytes).map_err(io_error)?;
        folder.settle().map_err(io_error)?;

        {
            let _watched = engine.engine().nudges.call();
            catching(|| engine.recover(marker.acknowledged(), &folder.marker()))?;
        }
        let opening = Mutex::new(Opening { marker, failed: None });
        Ok(SledStore { engine, config, opening, owner: SoleOwner::default(), folder })
    }

    /// Every raw record of a closed store, for tests that damage them.
    #[cfg(test)]
    pub(crate) fn raw_records(path: &Path) -> Entries {
        Self::open_raw(path)
            .db
            .iter()
            .map(|entry| entry.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap())
            .collect()
    }

    /// Puts a raw record of a closed store in its place, or removes it, for tests that damage them.
    #[cfg(test)]
    pub(crate) fn put_raw(path: &Path, key: Vec<u8>, value: Option<Vec<u8>>) {
        Self::open_raw(path).apply(Writes::from([(key, value)])).unwrap();
    }

    #[cfg(test)]
    fn open_raw(path: &Path) -> SledEngine {
        let db = open_sled(path).ok().unwrap();
        SledEngine::new(db, File::open(path.join("db")).unwrap())
    }

    /// Runs `work` unless the opening has failed, and remembers if it fails now.
    fn run<T>(
        &self,
        work: impl FnOnce(&Front<SledEngine>, &mut CommitMarker) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Poison is no news: a panic of the engine is caught below and remembered.
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = &opening.failed {
            return Err(failed.clone());
        }
        let result = {
            let _watched = self.engine.engine().nudges.call();
            catching(|| work(&self.engine, &mut opening.marker))
        };
        if let Err(error) = &result
            && error.is_final()
        {
            opening.failed = Some(error.clone().into_failed());
        }
        result
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // So that the next opening is quick. If it fails, that one does it.
        if let Err(error) = self.run(|engine, _| engine.settle()) {
            tracing::debug!(%error, "the store's log is left to the next opening");
        }
    }
}

/// Beneath all checks, for tests that damage records.
#[cfg(any(test, feature = "testing"))]
impl crate::testing::RawStore for SledStore {
    fn raw_records(&self) -> Result<Vec<crate::testing::RawRecord>, StoreError> {
        self.run(|engine, _| engine.entries(&[]))
    }

    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        // Past the logs, which take whole groups alone.
        self.run(|engine, _| engine.apply_beneath(Writes::from([(key, value)])))
    }
}

impl Store for SledStore {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        self.run(|engine, marker| {
            self.config.check_space(self.folder.path(), engine.pending_bytes(), group)?;
            let outcomes = layout::commit(engine, group)?;
            let newest = outcomes.iter().rev().find_map(|outcome| match outcome {
                BatchOutcome::Committed { seq, .. } => Some(*seq),
                BatchOutcome::Stale { .. } | BatchOutcome::Conflict { .. } => None,
            });
            // After the flush and before the answer: the marker never names what may still be lost.
            newest.map_or(Ok(()), |seq| marker.acknowledge(seq)).map_err(StoreError::write)?;
            Ok(outcomes)
        })
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.run(|engine, _| layout::scan(engine, actor))
    }

    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.run(|engine, _| layout::unfinished(engine))
    }

    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.run(|engine, _| layout::laid_aside(engine, actor))
    }

    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.run(|engine, _| layout::actors(engine))
    }

    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.run(|engine, _| layout::case(engine, case))
    }

    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.run(|engine, _| layout::cases(engine, after, most))
    }

    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.run(|engine, _| layout::budgets(engine))
    }

    fn promise(&self) -> StorePromise {
        StorePromise::ProcessCrash
    }

    fn own(&self) -> Result<Ownership, StoreError> {
        self.owner.take(self.folder.path())
    }

    fn head(&self) -> Result<StoreHead, StoreError> {
        self.run(|engine, _| layout::head(engine))
    }

    fn end(&self) -> Result<(), StoreError> {
        self.run(|engine, _| layout::end(engine))
    }
}

/// Why sled did not open.
enum OpenFailure {
    Locked,
    /// It found something that it cannot read, or panicked over it: worth mending.
    Damage(Cause),
    Other(Cause),
}

/// Opens sled; on damage it mends what can be mended without loss and tries again.
fn open_mended(folder: &StoreFolder) -> Result<Quiet<sled::Db>, OpenFailure> {
    let first = match open_sled(folder.path()) {
        Err(OpenFailure::Damage(cause)) => cause,
        other => return other,
    };
    let mends: [(&str, Mend); 2] = [
        ("its settings were restored", StoreFolder::restore_settings),
        ("its whole log was read", StoreFolder::set_short_cuts_aside),
    ];
    let io_error = |error: std::io::Error| OpenFailure::Other(Arc::new(error));
    for (mend, carry_out) in mends {
        if carry_out(folder).map_err(io_error)? {
            // What the failed opening left behind must let go of the log first.
            File::open(folder.log()).map(SledLog).map(drop).map_err(io_error)?;
            if let Ok(db) = open_sled(folder.path()) {
                tracing::warn!(path = %folder.path().display(), error = &*first, mend, "the store was damaged");
                return Ok(db);
            }
        }
    }
    folder.put_back().map_err(io_error)?;
    Err(OpenFailure::Damage(first))
}

/// Changes the folder; `false` if there was nothing to change.
type Mend = fn(&StoreFolder) -> std::io::Result<bool>;

fn open_sled(path: &Path) -> Result<Quiet<sled::Db>, OpenFailure> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES_MAX);
    // Unwind safe: nothing of a panicked opening is kept.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Ok(Quiet::new(db)),
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            Err(OpenFailure::Locked)
        }
        Ok(Err(error @ sled::Error::Io(_))) => Err(OpenFailure::Other(Arc::new(error))),
        Ok(Err(error)) => Err(OpenFailure::Damage(Arc::new(error))),
        Err(panic) => {
            let reason = format!("the engine panicked: {}", panic_text(panic));
            Err(OpenFailure::Damage(Arc::new(StoreError::Failed { reason })))
        }
    }
}

#[derive(Debug)]
struct SledEngine {
    /// Dropped first: its nudges hold sled as well. For whoever calls the store.
    nudges: Nudges,
    /// For whoever gives sled what is in the logs, which is another thread.
    giving: Nudges,
    /// Quiet: while it is dropped sled syncs once more, and panics if it cannot. That costs nothing acknowledged.
    db: Quiet<sled::Db>,
    /// Dropped after `db`.
    log: SledLog,
    /// What the store is called if there is nothing in it yet.
    fresh_id: StoreId,
}

impl SledEngine {
    fn new(db: Quiet<sled::Db>, log: File) -> Self {
        let nudges = || {
            let nudged = Quiet::new(db.clone());
            // What it finds, whoever waits finds as well.
            Nudges::new(move || drop(catch_unwind(AssertUnwindSafe(|| nudged.flush()))))
        };
        SledEngine { nudges: nudges(), giving: nudges(), db, log: SledLog(log), fresh_id: StoreId::random() }
    }
}

/// A second handle on sled's log, to sync it.
///
/// Dropping it waits until sled has let go of the log. A dropped `sled::Db` leaves jobs behind that hold its lock for
/// some milliseconds, and whoever opens the store again in that time would be refused.
#[derive(Debug)]
struct SledLog(File);

impl Drop for SledLog {
    fn drop(&mut self) {
        // Unlocked by word, not by closing: see `StoreFolder`.
        if let Err(error) = self.0.lock().and_then(|()| self.0.unlock()) {
            tracing::debug!(%error, "cannot wait for the end of sled");
        }
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(read_error)?.map(|value| value.to_vec()))
    }

    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        let entries = self.db.scan_prefix(prefix);
        entries
            .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(read_error))
            .collect()
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = self.db.scan_prefix(prefix).keys();
        keys.map(|key| key.map(|key| key.to_vec()).map_err(read_error)).collect()
    }

    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let next = self.db.range(from..).keys().next();
        Ok(next.transpose().map_err(read_error)?.map(|key| key.to_vec()))
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let _watched = self.giving.call();
        // Flushed each time: sled deadlocks when too many writes are in flight.
        let db = &self.db;
        db.apply_batch(batch).and_then(|()| db.flush()).map_err(|e| StoreError::write(e.into()))?;
        self.log.0.sync_data().map_err(StoreError::write)
    }

    fn fresh_id(&self) -> StoreId {
        self.fresh_id
    }
}

fn read_error(error: sled::Error) -> StoreError {
    match error {
        // sled gives the error of its background writer to whoever comes next, a reader too: final like any other.
        sled::Error::Io(error) => StoreError::write(error),
        error => StoreError::Read { source: Arc::new(error) },
    }
}
