//! The store: how an actor's state survives a crash, through one writing verb that is all or nothing.
mod budgets; // what may be spent, what was, what is charged
mod cases; // who owns a case, and when that changes
mod chain; // commits that stand on one another
mod commit; // the verb: batches, outcomes and the contract of an engine
#[cfg(any(test, feature = "testing"))]
pub mod conformance; // what every engine promises, as tests
mod content; // what may be too long for one record
mod damage; // what a read had to refuse, and why
mod error; // why the store did not do it
mod group; // carrying out what was queued
mod head; // which store it is, and whether it was left in order
mod layout; // batches to records and back, the same on every engine
mod memory_store; // the engine for tests: everything lives in a map
mod ownership; // to whom a store belongs: one runtime at a time
mod plan; // the writes of a group
mod record; // one record: key, envelope, checksum
mod recovery; // from records to the newest snapshot that can be vouched for
mod sled; // the engine on disk, and its folder
mod stored; // what is kept of an actor
mod stored_form; // messages and answers as bytes and back
mod ties; // what records tell of one another
mod writer; // the queue in front of the store: many commits, one flush

pub use self::sled::{SledConfig, SledStore};
pub use budgets::{BudgetChange, ChargeKey, StoredBudget, StoredBudgets};
pub use cases::{CaseChange, CaseOffer, CaseOwner, ListedCase};
pub(crate) use chain::{Chain, Link};
pub use commit::{Batch, BatchOutcome, CommitSeq, Delivered, Scan, Store, StorePromise, Writer};
pub use damage::{Damage, DamagePlace, DamageReason};
pub use error::{Cause, StoreError};
pub use head::{StoreHead, StoreId};
pub use memory_store::MemoryStore;
pub use ownership::{Ownership, SoleOwner};
pub use stored::{
    CONTENT_LEN_MAX, JOURNAL_LEN_MAX, JournalEntry, LaidAside, LogEntry, REQUEST_LEN_MAX, Record,
    SNAPSHOT_LEN_MAX, Snapshot, StoredAnswer, StoredMessage, StoredTimer, Tries,
};
pub(crate) use writer::{Claim, Committed, QueuePlace, Stall, StoreHandle, store_writer, whose};
pub use writer::{CommitError, WriterStats};

#[cfg(test)]
mod tests;
