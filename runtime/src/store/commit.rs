//! The one writing verb of the store, and the contract of whoever carries it out.

use std::fmt;
use std::sync::Arc;

use super::{
    CaseOwner, Damage, JournalEntry, LaidAside, ListedCase, LogEntry, Ownership, Record, Snapshot,
    StoreError, StoreHead, StoredBudgets, StoredMessage, StoredTimer,
};
use crate::address::{ActorPath, Epoch};
use crate::message::MessageId;

/// Keeps the records of actors.
///
/// # Contract
///
/// * After `commit` answers [`BatchOutcome::Committed`], `scan` returns that record, also after whatever
///   [`promise`](Store::promise) names.
/// * A batch is all or nothing. A batch whose epoch is older than the stored one is refused, and alone refused.
/// * Batches of one group apply in their order; so do the records of a batch.
/// * A message that was delivered is in each later scan of its receiver, in the order of its number, until a batch says
///   that it is [`Done`](Record::Done), or [laid aside](Record::LayAside).
/// * An entry of a log that was [appended](Record::Append) is in each later scan of its writer, until one of that index takes
///   its place or it is [trimmed](Record::Trim).
/// * What is [charged](Record::Charge) is listed in each later [`budgets`](Store::budgets) until it is
///   [settled](Record::Settle), and is settled once.
/// * Of each case there is one record. A batch that changes one holds only if the record says what it
///   [expects](super::CaseChange); else it is refused, and alone refused.
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
    /// A batch of an actor without records only raises the epoch: it is a claim. It also settles, after damage, on the
    /// record that `scan` fell back to.
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

    /// Every actor that has something to see to, sorted: a message that waits, a step, a timer. Blocks; costs some seeks
    /// for each actor.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read.
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError>;

    /// What was laid aside of `actor`, oldest first, with its content. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read. A damaged record is left out: [`scan`](Store::scan) reports it.
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError>;

    /// Every actor with records, sorted. Blocks; costs one seek for each actor.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read.
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError>;

    /// Who owns a case, and to whom it is offered. `None`: nobody has opened it, or it is closed. Blocks; costs one read.
    ///
    /// # Errors
    ///
    /// [`StoreError::CaseDamaged`] if its record is damaged, and [`StoreError`] if the engine cannot read.
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError>;

    /// The first `most` cases behind `after`, sorted by name, of all owners; `None`: from the first. Blocks; costs two
    /// reads for each.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read. A damaged record is listed as such.
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError>;

    /// All budgets and all charges that are not settled. Blocks; costs one read over all of them: about 220 bytes for a
    /// budget and 120 for a charge.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read. A damaged record is listed as such.
    fn budgets(&self) -> Result<StoredBudgets, StoreError>;

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

    /// Which store it is, and whether it was left in order. Blocks; costs one read. The id is the same for as long as the
    /// store lives, whoever opens it, and another than that of each other store.
    ///
    /// # Errors
    ///
    /// As [`actors`](Store::actors), and [`StoreError::HeadDamaged`].
    fn head(&self) -> Result<StoreHead, StoreError>;

    /// Writes down that whoever used the store ends in order: until the next commit [`head`](Store::head) says so. Blocks;
    /// costs one flush, and nothing if that is written down already.
    ///
    /// # Errors
    ///
    /// As [`commit`](Store::commit).
    fn end(&self) -> Result<(), StoreError>;
}

/// A store that is shared: a test keeps one `Arc` of it and gives another to the runtime.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        (**self).commit(group)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        (**self).scan(actor)
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        (**self).unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        (**self).laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        (**self).actors()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        (**self).case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        (**self).cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        (**self).budgets()
    }
    fn promise(&self) -> StorePromise {
        (**self).promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        (**self).own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        (**self).head()
    }
    fn end(&self) -> Result<(), StoreError> {
        (**self).end()
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

/// Position in the store's history: raised by one with each committed batch, and by one with each message that it puts
/// into an inbox. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitSeq(pub u64);

impl fmt::Display for CommitSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Records that are committed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The actor that writes, and which life of it. `None`: somebody outside of the tree, who may only
    /// [deliver](Record::Deliver), [return](Record::Return), [forget](Record::Forget), and write down or erase an actor
    /// ([`Record::Birth`], [`Record::Erase`]), [assign](super::CaseChange::Assign) a case, [settle](Record::Settle) a
    /// charge, and [change](Record::Budget) a budget.
    pub writer: Option<Writer>,
    /// What is written, in order. Empty for a claim.
    pub records: Vec<Record>,
}

/// One life of an actor, as a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Who writes.
    pub actor: ActorPath,
    /// Which life of it. Older than the stored epoch: the batch is refused; newer: it raises the stored one.
    pub epoch: Epoch,
}

impl Batch {
    /// The batch with which a life of `actor` begins: it raises the epoch.
    pub fn claim(actor: ActorPath, epoch: Epoch) -> Self {
        Batch::of(actor, epoch, Vec::new())
    }

    /// What a life of `actor` writes.
    pub fn of(actor: ActorPath, epoch: Epoch, records: Vec<Record>) -> Self {
        Batch { writer: Some(Writer { actor, epoch }), records }
    }

    /// What somebody outside of the tree writes.
    pub fn from_outside(records: Vec<Record>) -> Self {
        Batch { writer: None, records }
    }

    /// Length of the contents in it, in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        self.records.iter().map(Record::len_bytes).sum()
    }

    /// Whether what is kept of a case decides about it.
    pub(super) fn changes_a_case(&self) -> bool {
        self.records.iter().any(|record| matches!(record, Record::Case { .. }))
    }

    /// Whether it writes something of `actor`.
    pub(crate) fn touches(&self, actor: &ActorPath) -> bool {
        let is_writer = self.writer.as_ref().is_some_and(|writer| writer.actor == *actor);
        is_writer || self.records.iter().any(|record| record.receiver() == Some(actor))
    }
}

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// It is kept, as far as [`Store::promise`] says.
    Committed {
        /// Its place in the store's history.
        seq: CommitSeq,
        /// What became of each message it [delivers](Record::Deliver), [returns](Record::Return) or
        /// [fires](Record::Fire), in their order.
        deliveries: Vec<Delivered>,
    },
    /// A newer life of the actor has written or claimed: nothing of the batch was kept.
    Stale {
        /// The newest epoch the store has seen.
        stored: Epoch,
    },
    /// A [case](Record::Case) is not in the state that a change of it expects: nothing of the batch was kept.
    Conflict {
        /// Which case.
        case: String,
        /// What is kept of it.
        found: Option<CaseOwner>,
    },
}

/// What became of one message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the receiver's inbox, under this number.
    New(MessageId),
    /// It was sent before under the same request id, and waits in the inbox under that number: nothing was added.
    Waiting(MessageId),
    /// It was sent before under the same request id, and lies aside: nothing was added.
    LaidAside {
        /// Under which number.
        id: MessageId,
        /// Why, for people to read.
        cause: String,
    },
    /// It was sent before under the same request id, and done: the answer of then. Nothing was added.
    Answered(Vec<u8>),
    /// There was nothing to return, or to fire.
    Unknown,
}

/// What a store knows about one actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Highest epoch that is stored; 0 if none is.
    pub epoch: Epoch,
    /// Newest snapshot that can be vouched for.
    pub snapshot: Option<Snapshot>,
    /// Every message that waits, oldest first.
    pub inbox: Vec<StoredMessage>,
    /// The journals of all its messages, by message and place.
    pub journal: Vec<JournalEntry>,
    /// The entries of its logs, by log and index, whether its state knows them or not.
    pub logs: Vec<LogEntry>,
    /// Its timers, by name.
    pub timers: Vec<StoredTimer>,
    /// How it was made, if that was written down.
    pub birth: Option<Vec<u8>>,
    /// Each record that was refused. Not empty: the snapshot or the epoch may be older than the newest committed, and a
    /// message may be missing.
    pub damage: Vec<Damage>,
}

impl Scan {
    /// Length of the contents in it, in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        let state = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.state.len());
        let birth = self.birth.as_ref().map_or(0, Vec::len);
        let inbox: usize = self.inbox.iter().map(|message| message.body.len()).sum();
        let journal: usize = self.journal.iter().map(|entry| entry.content.len()).sum();
        let timers: usize = self.timers.iter().map(|timer| timer.message.body.len()).sum();
        let logs: usize = self.logs.iter().map(|entry| entry.content.len()).sum();
        state + birth + inbox + journal + logs + timers
    }
}
