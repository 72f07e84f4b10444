//! Why a store did not do what it was asked.

use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{CommitSeq, Damage, DamageReason};
use crate::address::ActorPath;
use crate::sync::panic_text;

/// What lies below a [`StoreError`], shared because one failed flush answers many waiters.
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has this store open, and goes on undisturbed. Stop the other one, or use another folder.
    #[error("the store at {} is open elsewhere", path.display())]
    Locked {
        /// Folder of the store.
        path: PathBuf,
    },
    /// The store cannot be opened. Mend the cause and open again, or restore the folder from a backup.
    #[error(
        "the store at {} cannot be opened; nothing was deleted: \
         mend the cause, or move the folder away and restore it from a backup",
        path.display()
    )]
    Open {
        /// Folder of the store.
        path: PathBuf,
        /// What stood in the way.
        #[source]
        source: Cause,
    },
    /// The store has lost its newest commits. Restore a backup, or accept the loss by deleting `marker`.
    #[error(
        "the store ends at commit {stored}, but commit {acknowledged} was acknowledged: \
         restore it from a backup, or delete {} to go on without the lost commits",
        marker.display()
    )]
    Shortened {
        /// File that remembers the newest acknowledged commit.
        marker: PathBuf,
        /// Newest commit in the store.
        stored: CommitSeq,
        /// Newest commit that was acknowledged.
        acknowledged: CommitSeq,
    },
    /// A log in front of the engine is damaged, or was cut: what follows is missing, though it was acknowledged. Nothing was
    /// changed. Restore a backup, or accept the loss by deleting
    /// `greenroom.marker` beside it.
    #[error(
        "the store's log {} is damaged at byte {offset}: what is before it ends at commit {stored}, but commit {acknowledged} \
         was acknowledged: restore the store from a backup, or delete greenroom.marker beside it to go on without the lost commits",
        log.display()
    )]
    LogDamaged {
        /// Which log.
        log: PathBuf,
        /// Where what is whole of it ends.
        offset: u64,
        /// Newest commit that is whole.
        stored: CommitSeq,
        /// Newest commit that is known to have been acknowledged.
        acknowledged: CommitSeq,
    },
    /// The store's own head is damaged. Restore a backup: without it neither format nor history are known.
    #[error("the head of the store is damaged: restore the store from a backup")]
    HeadDamaged,
    /// The store, or a record in it, was written by a newer version. Run that version, or a newer one.
    #[error("the store has format {found}, this version knows up to {known}")]
    Format {
        /// Format of the store.
        found: u32,
        /// Newest format that this version reads.
        known: u32,
    },
    /// A record that a batch needs is damaged. Nothing was written; restore the store from a backup, or delete the actor's
    /// records.
    #[error("{damage}")]
    Damaged {
        /// Which record, and what is wrong with it.
        damage: Damage,
    },
    /// The record of who owns a case is damaged: it is not known who does. Nothing was written; restore the store from a
    /// backup, or decide it with [`CaseChange::Assign`](super::CaseChange::Assign).
    #[error("it is not known who owns case {case}: its record is damaged: {reason}")]
    CaseDamaged {
        /// Which case.
        case: String,
        /// What is wrong with its record.
        reason: DamageReason,
    },
    /// A batch from outside of the tree holds a record that only an actor may write. Nothing was written.
    #[error(
        "a batch without a writer may only deliver, return and forget messages, write down or erase an actor, \
         and assign a case"
    )]
    NoWriter,
    /// A batch is larger than the store takes. Nothing was written; make the state smaller.
    #[error("the {what} of {actor} is {len} bytes long, at most {max} are allowed")]
    TooLarge {
        /// Who wrote it.
        actor: ActorPath,
        /// What is too large, such as `state` or `message`.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A state, a message or an answer has no encoded form. Nothing was written; mend its `Serialize`.
    #[error("the {what} of {actor} cannot be encoded")]
    Encode {
        /// Whose state, or to whom it was sent, or who answered.
        actor: ActorPath,
        /// What has none: `state`, `message` or `answer`.
        what: &'static str,
        /// What serde says.
        #[source]
        source: Cause,
    },
    /// The messages that wait for the actor are as long as its spec allows
    /// ([`ActorSpec::inbox_bytes`](crate::ActorSpec::inbox_bytes)), or would be with this one. Nothing was written; send it
    /// again when some are handled.
    #[error(
        "{actor} has {waiting_bytes} bytes of long messages waiting, one of {len} bytes more is over its bound of {max_bytes}"
    )]
    InboxFull {
        /// Whose inbox.
        actor: ActorPath,
        /// What waits, in bytes.
        waiting_bytes: usize,
        /// The length of the message, in bytes.
        len: usize,
        /// The bound, in bytes.
        max_bytes: usize,
    },
    /// The engine could not read. Nothing was changed; other actors may be unharmed.
    #[error("the store cannot be read")]
    Read {
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// The disk is nearly full, so no new work is taken. Nothing was written; make room, and send it again. What was
    /// accepted before is handled. See `SledConfig::refuse_below_bytes`.
    #[error("the disk of the store is nearly full: {free_bytes} bytes are free, new work needs {min_bytes}")]
    LowSpace {
        /// What is free, in bytes.
        free_bytes: u64,
        /// The bound below which new work is refused, in bytes.
        min_bytes: u64,
    },
    /// The disk is full, or all but full. Final for this opening: make room, then open the store again.
    #[error("no space is left for the store")]
    NoSpace,
    /// A write or sync failed. Final for this opening: mend the cause, then open the store again.
    #[error("the store cannot be written")]
    Write {
        /// What the engine says.
        #[source]
        source: Cause,
    },
    /// This opening of the store has failed before, or its engine panicked. Open the store again.
    #[error("the store has failed and must be opened again: {reason}")]
    Failed {
        /// The first failure.
        reason: String,
    },
    /// A commit did not come back. Final for this opening: whether it was kept shows when the store is opened again, by
    /// another process if this one's thread hangs in it for good.
    #[error("the store has not answered for {after:?}")]
    Stalled {
        /// How long it was waited for.
        after: Duration,
    },
    /// The store was closed. Open it again.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether this opening of the store is done for.
    ///
    /// If not, nothing was written and the next call may fare better; a group may be committed batch by batch.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            StoreError::TooLarge { .. }
                | StoreError::Damaged { .. }
                | StoreError::CaseDamaged { .. }
                | StoreError::NoWriter
                | StoreError::Encode { .. }
                | StoreError::Read { .. }
                | StoreError::Format { .. }
                | StoreError::LowSpace { .. }
                | StoreError::InboxFull { .. }
        )
    }

    /// A failed write, told apart from a full disk.
    pub(crate) fn write(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace,
            _ => StoreError::Write { source: Arc::new(source) },
        }
    }

    /// What later calls are told after this error.
    pub(crate) fn into_failed(self) -> Self {
        match self {
            StoreError::Failed { .. } => self,
            first => {
                let cause = first.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                StoreError::Failed { reason: format!("{first}{cause}") }
            }
        }
    }
}

/// Runs `call` and makes a panic of the engine an error: it must not take the caller's thread with it.
pub(crate) fn catching<T>(call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // Unwind safe: after a panic the opening counts as failed and its content is not used again.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(StoreError::Failed { reason: format!("the engine panicked: {}", panic_text(panic)) })
    })
}
