//! State that outlives its incarnation: when it is stored, and how it comes back.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::actor::Actor;
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, Incarnation};
use crate::events::RuntimeEvent;
use crate::message::Failure;
use crate::runtime::SpawnError;
use crate::store::{Batch, CommitError, Record, SNAPSHOT_LEN_MAX, Snapshot, StoreError, StoreHandle};

/// An actor whose state is kept in the store of its runtime.
///
/// The state is the actor itself, by serde; what does not belong in it is `#[serde(skip)]` and made anew in
/// [`resume`](Durable::resume). With the default [`SnapshotPolicy`] the state is on disk before the reply leaves, and
/// what the handler sends through its [`Context`](crate::Context). What it sends through an
/// [`ActorRef`](crate::ActorRef) itself leaves at once, and is not taken back.
///
/// The state outlives its place: whoever is put at the same path later, under the same [`NAME`](Durable::NAME), starts
/// from it. There is no way yet to delete it.
pub trait Durable: Actor + Serialize + DeserializeOwned + Sync {
    /// The stable name of the state, at most 255 bytes. Never reuse one for another state.
    const NAME: &'static str;

    /// Raised whenever the stored form of the state changes. Default: 1.
    const VERSION: u16 = 1;

    /// Makes the state out of bytes that an older version wrote. Called with each `version` but the current one.
    ///
    /// # Errors
    ///
    /// [`MigrateError::UnknownVersion`] (the default for every version) makes the start fail, and names both.
    fn migrate(version: u16, _bytes: &[u8]) -> Result<Self, MigrateError> {
        Err(MigrateError::UnknownVersion { name: Self::NAME, stored: version, known: Self::VERSION })
    }

    /// Called after the state was read back, before the first message. Default: nothing.
    ///
    /// # Errors
    ///
    /// A [`Failure`] is a failed start.
    ///
    /// # Cancel safety
    ///
    /// As [`Actor::start`].
    fn resume(&mut self, _args: &Self::Args) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }
}

/// Why stored state could not be made into today's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// Nobody wrote how to get from there to here. Run the program that wrote it, or write the migration.
    #[error("the state `{name}` is stored as version {stored}, this program knows version {known}")]
    UnknownVersion {
        /// Name of the state.
        name: &'static str,
        /// Version of the stored bytes.
        stored: u16,
        /// Version of this program.
        known: u16,
    },
    /// Another state lives at this path. Give the actor another path, or the state its old name.
    #[error("the state `{stored}` is stored here, this program expects `{expected}`")]
    OtherState {
        /// Name of the stored state.
        stored: String,
        /// Name in this program.
        expected: &'static str,
    },
    /// The bytes cannot be read as this state: its form was changed without raising the version.
    #[error("the stored state cannot be read")]
    Decode(#[from] rmp_serde::decode::Error),
}

/// When the state of a durable actor is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotPolicy {
    /// After each message, before its reply and its sends leave. A message that leaves the state as it was costs no
    /// write.
    #[default]
    EveryMessage,
    /// After every n-th message, and at an orderly end. **A crash loses the effect of up to n - 1 messages whose
    /// replies and sends have left already.** For state that can be rebuilt. A message that fails without a crash costs
    /// only itself, as always.
    EveryMessages(u32),
}

type Resume<A> = for<'a> fn(&'a mut A, &'a <A as Actor>::Args) -> BoxFuture<'a, Result<(), Failure>>;

/// How a cell stores its state; the part that needs `A: Durable`, behind plain function pointers.
pub(crate) struct Durability<A: Actor> {
    name: &'static str,
    version: u16,
    policy: SnapshotPolicy,
    encode: fn(&A, &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error>,
    decode: fn(&Snapshot) -> Result<A, MigrateError>,
    resume: Resume<A>,
    state: PhantomData<fn() -> A>,
}

impl<A: Actor> Clone for Durability<A> {
    fn clone(&self) -> Self {
        Durability { ..*self }
    }
}

/// What one life knows of its stored state.
pub(crate) struct Journal {
    incarnation: Incarnation,
    epoch: crate::address::Epoch,
    seq: u64,
    /// The state after the last message that was handled: what a failure rolls back to.
    last: Vec<u8>,
    /// Whether `last` is newer than what is stored.
    is_dirty: bool,
    scratch: Vec<u8>,
    /// Messages handled since.
    pending: u32,
}

impl Journal {
    /// The epoch with which this life writes.
    pub(crate) fn epoch(&self) -> crate::address::Epoch {
        self.epoch
    }

    /// The hook of a new life is done, and it is no message: the next one is the first.
    pub(crate) fn count_from_here(&mut self) {
        self.pending = 0;
    }
}

impl<A: Durable> Durability<A> {
    pub(crate) fn new(policy: SnapshotPolicy) -> Self {
        Durability {
            name: A::NAME,
            version: A::VERSION,
            policy,
            encode: |actor, bytes| {
                let mut writer = rmp_serde::Serializer::new(bytes).with_struct_map();
                actor.serialize(&mut writer)
            },
            decode: |snapshot| {
                if snapshot.type_name != A::NAME {
                    let stored = snapshot.type_name.clone();
                    return Err(MigrateError::OtherState { stored, expected: A::NAME });
                }
                if snapshot.version != A::VERSION {
                    return A::migrate(snapshot.version, &snapshot.state);
                }
                Ok(rmp_serde::from_slice(&snapshot.state)?)
            },
            resume: |actor, args| Box::pin(actor.resume(args)),
            state: PhantomData,
        }
    }
}

impl<A: Actor> Durability<A> {
    /// The state of a new life: the newest that can be vouched for, or a fresh one.
    pub(crate) async fn begin(
        &self,
        cell: &Arc<Cell<A>>,
        args: &A::Args,
        incarnation: Incarnation,
    ) -> Result<(A, Journal), Failure> {
        let core = &cell.core;
        let store = store_of(cell)?;
        let before = core.epoch().0.saturating_sub(1);
        let claim = match store.claim(core.path.clone(), crate::address::Epoch(before)).await {
            Ok(claim) => claim,
            Err(error) => return Err(external(core, error)),
        };
        // Before the author's code runs, which may take its time: the store is closed when its last handle is gone.
        drop(store);
        core.set_epoch(claim.epoch);
        for damage in claim.scan.damage {
            tracing::error!(actor = %core.path, %damage, "a stored record was refused; the one before is used");
            core.world.publish(RuntimeEvent::RecordDamaged { path: core.path.clone(), damage });
        }
        let mut journal = Journal {
            incarnation,
            epoch: claim.epoch,
            seq: 0,
            last: Vec::new(),
            is_dirty: false,
            scratch: Vec::new(),
            pending: 0,
        };
        let mut actor = match claim.scan.snapshot {
            Some(snapshot) => {
                let mut actor = (self.decode)(&snapshot).map_err(Failure::bug)?;
                (self.resume)(&mut actor, args).await?;
                journal.seq = snapshot.seq;
                // A migrated state is stored at once, in its new form.
                journal.is_dirty = snapshot.version != self.version;
                journal.last = snapshot.state;
                actor
            }
            None => A::start(args).await?,
        };
        self.flush(cell, &mut actor, &mut journal).await.map_err(|error| external(core, error))?;
        Ok((actor, journal))
    }

    /// The state of before the message that failed, in place of what its handler left.
    pub(crate) async fn before(&self, args: &A::Args, journal: &Journal) -> Result<A, Failure> {
        let snapshot = Snapshot {
            type_name: self.name.to_owned(),
            version: self.version,
            seq: journal.seq,
            state: journal.last.clone(),
        };
        let mut actor = (self.decode)(&snapshot).map_err(Failure::bug)?;
        (self.resume)(&mut actor, args).await?;
        Ok(actor)
    }

    /// Stores the state after one message, if it is its turn and it changed.
    pub(crate) async fn after_message(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        journal.pending += 1;
        match self.policy {
            SnapshotPolicy::EveryMessages(n) if journal.pending < n.max(1) => {
                self.encode(cell, actor, journal)?;
                journal.is_dirty |= journal.scratch != journal.last;
                std::mem::swap(&mut journal.last, &mut journal.scratch);
                Ok(())
            }
            SnapshotPolicy::EveryMessages(_) | SnapshotPolicy::EveryMessage => {
                self.flush(cell, actor, journal).await
            }
        }
    }

    fn encode(&self, cell: &Arc<Cell<A>>, actor: &A, journal: &mut Journal) -> Result<(), CommitError> {
        journal.scratch.clear();
        (self.encode)(actor, &mut journal.scratch).map_err(|error| {
            let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
            CommitError::Store(StoreError::Encode { actor: cell.core.path.clone(), source })
        })?;
        // At once, also where it is not its turn to be stored: what a failure rolls back to is always storable.
        let len = journal.scratch.len();
        if len > SNAPSHOT_LEN_MAX {
            let actor = cell.core.path.clone();
            let error = StoreError::TooLarge { actor, what: "state", len, max: SNAPSHOT_LEN_MAX };
            return Err(CommitError::Store(error));
        }
        Ok(())
    }

    /// Stores the state now, if it changed.
    pub(crate) async fn flush(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        self.encode(cell, actor, journal)?;
        journal.pending = 0;
        // The first life writes even an empty state: from then on its place is known to the store.
        if journal.seq > 0 && !journal.is_dirty && journal.scratch == journal.last {
            return Ok(());
        }
        self.store_scratch(cell, journal).await
    }

    /// Stores the state of after the last message that was handled, if that has not been done.
    pub(crate) async fn flush_last(
        &self,
        cell: &Arc<Cell<A>>,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        if !journal.is_dirty {
            return Ok(());
        }
        journal.scratch.clone_from(&journal.last);
        self.store_scratch(cell, journal).await
    }

    async fn store_scratch(&self, cell: &Arc<Cell<A>>, journal: &mut Journal) -> Result<(), CommitError> {
        let store = cell.core.world.store().ok_or(CommitError::Store(StoreError::Closed))?;
        let snapshot = Snapshot {
            type_name: self.name.to_owned(),
            version: self.version,
            seq: journal.seq + 1,
            state: journal.scratch.clone(),
        };
        let batch = Batch::of(cell.core.path.clone(), journal.epoch, vec![Record::Snapshot(snapshot)]);
        // From here until the answer of the store, nobody can say whether the message in hand was applied.
        cell.mailbox.mark_settling(journal.incarnation.0, true);
        let committed = store.commit(batch).await;
        cell.mailbox.mark_settling(journal.incarnation.0, false);
        committed?;
        journal.seq += 1;
        journal.is_dirty = false;
        std::mem::swap(&mut journal.last, &mut journal.scratch);
        Ok(())
    }
}

fn store_of<A: Actor>(cell: &Arc<Cell<A>>) -> Result<StoreHandle, Failure> {
    let path = cell.core.path.clone();
    cell.core.world.store().ok_or_else(|| Failure::external(SpawnError::NoStore { path }))
}

fn external(core: &crate::cell::CellCore, error: CommitError) -> Failure {
    if let CommitError::Store(error) = &error
        && error.is_final()
    {
        core.world.store_failed(error);
    }
    Failure::external(error)
}
