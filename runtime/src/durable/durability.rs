//! How a cell stores its state and its mail; the part that needs the types, behind plain function pointers.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::actor::{Actor, DecodeError, Durable, DurableInbox, MigrateError, SnapshotPolicy};
use crate::address::Epoch;
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, CellCore, Incarnation, Keeps};
use crate::durable::ahead::RunAhead;
use crate::durable::logs::Logs;
use crate::durable::{StepLog, Timers};
use crate::message::{Failure, Head, MessageId};
use crate::runtime::SpawnError;
use crate::store::{CONTENT_LEN_MAX, CommitError, SNAPSHOT_LEN_MAX, Snapshot, StoreError, StoreHandle};

type Resume<A> = for<'a> fn(&'a mut A, &'a <A as Actor>::Args) -> BoxFuture<'a, Result<(), Failure>>;

/// How a cell stores what is to be kept.
pub(crate) struct Durability<A: Actor> {
    pub(super) name: &'static str,
    pub(super) version: u16,
    encode: fn(&A, &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error>,
    pub(super) decode: fn(&Snapshot) -> Result<A, MigrateError>,
    pub(super) resume: Resume<A>,
    pub(super) kept: Kept<A::Inbox>,
    state: PhantomData<fn() -> A>,
}

/// What is kept.
pub(crate) enum Kept<E> {
    /// The state, now and then.
    State(SnapshotPolicy),
    /// The state and the mail: each message is a transaction.
    Everything(MailForm<E>),
}

/// The stored form of the messages of an inbox.
pub(crate) struct MailForm<E> {
    pub(super) encode: fn(&E) -> Result<Vec<u8>, rmp_serde::encode::Error>,
    pub(super) decode: fn(&str, u16, &[u8]) -> Result<E, DecodeError>,
    /// The head of such a message that nobody has sent yet.
    pub(super) head: fn(&E) -> Head,
    /// Answers whoever asked with the stored form of an answer.
    pub(super) answer: fn(E, &[u8]),
}

impl<E> Clone for MailForm<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for MailForm<E> {}

impl<E> MailForm<E> {
    /// The stored form of `message`.
    pub(crate) fn body(self, message: &E) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        (self.encode)(message)
    }

    /// Answers whoever asked with `message` with the stored form of an answer.
    pub(crate) fn answer(self, message: E, answer: &[u8]) {
        (self.answer)(message, answer);
    }
}

impl<E> Clone for Kept<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Kept<E> {}

impl<A: Actor> Clone for Durability<A> {
    fn clone(&self) -> Self {
        Durability { ..*self }
    }
}

/// What one life knows of its stored state.
pub(crate) struct Journal {
    pub(super) incarnation: Incarnation,
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    /// The state after the last message that was handled, also if its commit is under way: what a failure rolls back to.
    pub(super) last: Vec<u8>,
    /// Whether `last` is newer than what is stored.
    pub(super) is_dirty: bool,
    pub(super) scratch: Vec<u8>,
    /// The logs of the two.
    pub(super) logs: Logs,
    /// Messages handled since.
    pub(super) pending: u32,
    /// The journals of its messages.
    pub(super) log: Arc<StepLog>,
    pub(super) timers: Arc<Timers>,
    /// Whether somebody tends the timers.
    pub(super) are_tended: bool,
    /// Messages whose journal is damaged: what they did is not known any more.
    pub(super) damaged: Vec<MessageId>,
    pub(super) ahead: RunAhead,
}

impl Journal {
    /// The epoch with which this life writes.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The journals of its messages.
    pub(crate) fn log(&self) -> &Arc<StepLog> {
        &self.log
    }

    /// The timers that somebody should tend from now on, if nobody does yet.
    pub(crate) fn untended(&mut self) -> Option<Arc<Timers>> {
        if self.are_tended || self.timers.is_empty() {
            return None;
        }
        self.are_tended = true;
        Some(self.timers.clone())
    }

    /// Whether the journal of that message is damaged.
    pub(crate) fn has_lost(&self, message: MessageId) -> bool {
        self.damaged.contains(&message)
    }

    /// The hook of a new life is done, and it is no message: the next one is the first.
    pub(crate) fn count_from_here(&mut self) {
        self.pending = 0;
    }

    /// Whether the state in `scratch` is to be stored. The first life writes even an empty state: from then on its place
    /// is known to the store.
    pub(super) fn is_new(&self) -> bool {
        self.seq == 0 || self.is_dirty || self.scratch != self.last
    }

    /// The state in `scratch` was stored.
    pub(super) fn is_stored(&mut self) {
        self.is_queued();
        self.forget_old_entries();
    }

    /// The state in `scratch` was stored, or will be before anything that follows.
    pub(super) fn is_queued(&mut self) {
        self.seq += 1;
        self.is_dirty = false;
        std::mem::swap(&mut self.last, &mut self.scratch);
        self.logs.is_stored();
    }

    /// The state in `scratch` is the newest, and not stored yet.
    pub(super) fn is_not_stored(&mut self) {
        self.is_dirty |= self.scratch != self.last;
        std::mem::swap(&mut self.last, &mut self.scratch);
        self.logs.is_not_stored();
        self.logs.forget_before(None);
    }
}

impl<A: Durable> Durability<A> {
    /// The state alone.
    pub(crate) fn of_state(policy: SnapshotPolicy) -> Self {
        Self::new(Kept::State(policy))
    }

    /// The state and the mail.
    pub(crate) fn of_everything() -> Self
    where
        A::Inbox: DurableInbox,
    {
        Self::new(Kept::Everything(MailForm {
            encode: A::Inbox::encode,
            decode: A::Inbox::decode,
            head: A::Inbox::head,
            answer: A::Inbox::answer,
        }))
    }

    fn new(kept: Kept<A::Inbox>) -> Self {
        Durability {
            name: A::NAME,
            version: A::VERSION,
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
            kept,
            state: PhantomData,
        }
    }
}

impl<A: Actor> Durability<A> {
    pub(crate) fn keeps(&self) -> Keeps {
        match self.kept {
            Kept::State(_) => Keeps::State,
            Kept::Everything(_) => Keeps::Everything,
        }
    }

    /// The stored form of its mail, if that is kept.
    pub(crate) fn mail(&self) -> Option<MailForm<A::Inbox>> {
        match self.kept {
            Kept::Everything(mail) => Some(mail),
            Kept::State(_) => None,
        }
    }

    /// The state of before the message that failed, in place of what its handler left.
    pub(crate) async fn before(&self, args: &A::Args, journal: &mut Journal) -> Result<A, Failure> {
        let last = self.snapshot(journal.seq, journal.last.clone());
        let mut actor = journal.logs.read_last(|| (self.decode)(&last)).map_err(Failure::bug)?;
        (self.resume)(&mut actor, args).await?;
        Ok(actor)
    }

    pub(super) fn snapshot(&self, seq: u64, state: Vec<u8>) -> Snapshot {
        Snapshot { type_name: self.name.to_owned(), version: self.version, seq, state }
    }

    /// Encodes the state into `journal.scratch`.
    pub(super) fn encode(
        &self,
        core: &CellCore,
        actor: &A,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        journal.scratch.clear();
        let Journal { scratch, logs, .. } = journal;
        let encoded = logs.encode(|| (self.encode)(actor, scratch));
        if let Some(len) = logs.too_long() {
            let (actor, max) = (core.path.clone(), CONTENT_LEN_MAX);
            let error = StoreError::TooLarge { actor, what: "log entry", len, max };
            return Err(CommitError::Store(error));
        }
        encoded.map_err(|error| CommitError::Store(unencodable(core, "state", error)))?;
        // At once, also where it is not its turn to be stored: what a failure rolls back to is always storable.
        let len = journal.scratch.len();
        if len > SNAPSHOT_LEN_MAX {
            let actor = core.path.clone();
            let error = StoreError::TooLarge { actor, what: "state", len, max: SNAPSHOT_LEN_MAX };
            return Err(CommitError::Store(error));
        }
        Ok(())
    }
}

/// What is to be stored has no encoded form.
pub(super) fn unencodable(
    core: &CellCore,
    what: &'static str,
    error: rmp_serde::encode::Error,
) -> StoreError {
    StoreError::Encode { actor: core.path.clone(), what, source: Arc::new(error) }
}

pub(super) fn store_of<A: Actor>(cell: &Cell<A>) -> Result<StoreHandle, Failure> {
    let path = cell.core.path.clone();
    cell.core.world.store().ok_or_else(|| Failure::external(SpawnError::NoStore { path }))
}

/// The store has failed somebody: says so, once.
pub(crate) fn external(core: &CellCore, error: CommitError) -> Failure {
    if let CommitError::Store(error) = &error
        && error.is_final()
    {
        core.world.store_failed(error);
    }
    Failure::external(error)
}
