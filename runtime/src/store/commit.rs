//! The one writing verb of the store, and the contract of whoever carries it out.

use std::fmt;
use std::sync::Arc;

use super::{Damage, Ownership, StoreError};
use crate::address::{ActorPath, Epoch};

/// Longest state of one snapshot: 16 MiB.
pub const SNAPSHOT_LEN_MAX: usize = 16 << 20;

/// Keeps the records of actors.
///
/// # Contract
///
/// * After `commit` answers [`BatchOutcome::Committed`], `scan` returns that record, also after whatever
///   [`promise`](Store::promise) names.
/// * A batch is all or nothing. A batch whose epoch is older than the stored one is refused, and alone refused.
/// * Batches of one group apply in their order.
/// * `scan` returns nothing it cannot vouch for: it falls back to the record before, and says so in
///   [`Scan::damage`].
/// * A failed write is final: each later call of the same opening answers [`StoreError::Failed`].
/// * It belongs to one runtime at a time, whatever handles there are on it: see [`own`](Store::own).
///
/// One caller at a time: `scan` and `commit` are not called while another `commit` runs (the runtime's writer sees to
/// that). `store_conformance!` tests all of this on an engine.
pub trait Store: Send + Sync + 'static {
    /// Writes `group` in one flush and answers each batch at its place. Blocks.
    ///
    /// A batch without records only raises the epoch: it is a claim. It also settles, after damage, on the record
    /// that `scan` fell back to.
    ///
    /// # Errors
    ///
    /// No batch was answered. [`StoreError::is_final`] tells whether this opening of the store can go on.
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError>;

    /// Reads what is kept of `actor`: an empty [`Scan`] if it never committed. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read. A damaged record is no error: see [`Scan::damage`].
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError>;

    /// Every actor with records, sorted. Blocks; costs one seek for each actor.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read.
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError>;

    /// What an acknowledged commit survives here.
    fn promise(&self) -> StorePromise;

    /// Gives the store to one runtime, until the [`Ownership`] is dropped: two of them would claim the same actors, and
    /// each would acknowledge what the other overwrites. A store around another one asks that; an engine keeps a
    /// [`SoleOwner`](super::SoleOwner).
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while another runtime has it; that one is not disturbed.
    fn own(&self) -> Result<Ownership, StoreError>;
}

/// A store that is shared: a test keeps one `Arc` of it and gives another to the runtime.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        (**self).commit(group)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        (**self).scan(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        (**self).actors()
    }
    fn promise(&self) -> StorePromise {
        (**self).promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        (**self).own()
    }
}

const _STAYS_OBJECT_SAFE: fn(&dyn Store) = |_| ();

/// What an acknowledged commit survives, from weak to strong: `a >= b` means that `a` promises all of `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorePromise {
    /// Nothing: the content goes with the process.
    Nothing,
    /// The process may be killed at any instant.
    ProcessCrash,
    /// The machine may lose power at any instant.
    PowerLoss,
}

/// Position of a batch in the store's history: raised by one with each committed batch, never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitSeq(pub u64);

impl fmt::Display for CommitSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Records that are committed together or not at all, fenced by the epoch of their writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The actor that writes.
    pub writer: ActorPath,
    /// Which life of it writes. Older than the stored epoch: the batch is refused; newer: it raises the stored one.
    pub epoch: Epoch,
    /// What is written, in order. Empty for a claim.
    pub records: Vec<Record>,
}

impl Batch {
    /// Length of the states in it, in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        self.records.iter().map(|Record::Snapshot(snapshot)| snapshot.state.len()).sum()
    }
}

/// One thing to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The whole state of the writer; it takes the place of the snapshot before.
    Snapshot(Snapshot),
}

/// The whole state of an actor at one point of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Registered, stable name of the state's type; at most 255 bytes.
    pub type_name: String,
    /// Version of that type.
    pub version: u16,
    /// Number of this snapshot in the actor's history. It rises with each snapshot; the caller sees to that.
    pub seq: u64,
    /// The encoded state; at most [`SNAPSHOT_LEN_MAX`] bytes.
    pub state: Vec<u8>,
}

/// What became of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It is kept, as far as [`Store::promise`] says.
    Committed(CommitSeq),
    /// A newer life of the actor has written or claimed: nothing of the batch was kept.
    Stale {
        /// The newest epoch the store has seen.
        stored: Epoch,
    },
}

/// What a store knows about one actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Highest epoch that is stored; 0 if none is.
    pub epoch: Epoch,
    /// Newest snapshot that can be vouched for.
    pub snapshot: Option<Snapshot>,
    /// Each record that was refused. Not empty: the snapshot or the epoch may be older than the newest committed.
    pub damage: Vec<Damage>,
}
