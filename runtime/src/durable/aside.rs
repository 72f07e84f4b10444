//! Messages that were laid aside: to be looked at, taken up again, or deleted.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use super::births::store_error;
use super::recall::read_back;
use crate::actor::held::{Held, HeldSend};
use crate::actor::{Actor, DecodeError};
use crate::address::{ActorPath, ActorRef};
use crate::mailbox::queue::{Queued, Room};
use crate::message::envelope::KeptHead;
use crate::message::{Head, MessageId};
use crate::store::{
    Batch, CommitError, DamagePlace, Delivered, LaidAside, Record, Store, StoreError, StoreHandle,
};

/// Why a message that was laid aside was not taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeUpError {
    /// There is none of that number.
    #[error("no message {id} was laid aside")]
    Unknown {
        /// The number.
        id: MessageId,
    },
    /// The actor's mailbox is full, or takes nothing new. Try again later.
    #[error("the mailbox takes nothing now")]
    NoRoom,
    /// The actor knows no such message, or not in this version. It stays aside.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for TakeUpError {
    fn from(error: CommitError) -> Self {
        TakeUpError::Store(store_error(error))
    }
}

impl<A: Actor> ActorRef<A> {
    /// The messages of this [durable](crate::ActorSpec::durable) actor that were laid aside, oldest first, with their
    /// content and their cause: they had their tries, or expired, or somebody decided so. They survive the process. None
    /// of an actor that is not durable; see [`quarantined`](ActorRef::quarantined).
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot read.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn laid_aside(&self) -> Result<Vec<LaidAside>, StoreError> {
        match self.store() {
            Some(store) => store.laid_aside(self.path().clone()).await.map_err(store_error),
            None => Ok(Vec::new()),
        }
    }

    /// Puts a message that was laid aside behind those that wait, with all its tries ahead of it: after the cause was
    /// mended. Its journal is kept: steps that are through are not made again.
    ///
    /// # Errors
    ///
    /// [`TakeUpError`]; the message stays aside.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the message may be taken up all the same.
    pub async fn take_up(&self, id: MessageId) -> Result<(), TakeUpError> {
        let cell = self.cell();
        let (Some(store), Some(form)) = (self.store(), cell.mail_form()) else {
            return Err(TakeUpError::Unknown { id });
        };
        let aside = store.laid_aside(self.path().clone()).await?;
        let found = aside.into_iter().find(|aside| aside.message.id == id);
        let LaidAside { message, .. } = found.ok_or(TakeUpError::Unknown { id })?;
        let (origin, request) = (Some(message.origin), message.request.clone());
        let Queued { head, parcel } = read_back(form, message)?;
        let head = Head { kept: Some(Box::new(KeptHead { origin, request, ..KeptHead::default() })), ..head };
        match cell.mailbox.reserve() {
            Room::Held => {}
            Room::InLine(waiter) => {
                cell.mailbox.leave_line(&waiter);
                return Err(TakeUpError::NoRoom);
            }
            Room::Full | Room::Refused(_) | Room::ShedNew | Room::HeldAfterShedding(_) => {
                return Err(TakeUpError::NoRoom);
            }
        }
        let to = self.path().clone();
        let mut held = Held::new(cell, head, parcel).with_record(Record::Return { to, message: id });
        let place = store.place().await?;
        drop(store);
        let (told, outcome) = oneshot::channel();
        let records = held.take_record().into_iter().collect();
        place.commit(Batch::from_outside(records), move |committed| {
            let taken_up = committed.map(|committed| {
                let delivered = committed.deliveries.into_iter().next();
                let is_new = matches!(delivered, Some(Delivered::New(_)));
                held.arrive(delivered);
                is_new
            });
            drop(told.send(taken_up)); // who asked may be gone
        });
        // Somebody else may have been faster.
        let is_new = outcome.await.unwrap_or(Err(CommitError::Unavailable))?;
        if is_new { Ok(()) } else { Err(TakeUpError::Unknown { id }) }
    }

    /// Deletes a message that was laid aside, with its journal, for good.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot write. A number that nobody has is no error.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may be deleted all the same.
    pub async fn forget(&self, id: MessageId) -> Result<(), StoreError> {
        let Some(store) = self.store() else { return Ok(()) };
        let forget = Record::Forget { of: self.path().clone(), message: id };
        store.commit(Batch::from_outside(vec![forget])).await.map(drop).map_err(store_error)
    }

    /// Deletes all messages of this actor that were laid aside, with their journals, for good; also those that are damaged
    /// and not [listed](ActorRef::laid_aside). Says how many. In one commit; what is laid aside meanwhile stays.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot read or write.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, they may be deleted all the same.
    pub async fn forget_all(&self) -> Result<usize, StoreError> {
        let Some(store) = self.store() else { return Ok(0) };
        let path = self.path().clone();
        let forget = store.read(move |store| forget_all(store, &path)).await.map_err(store_error)?;
        let many = forget.len();
        if many > 0 {
            store.commit(Batch::from_outside(forget)).await.map_err(store_error)?;
        }
        Ok(many)
    }

    /// The way to the store, if the mail of this actor is kept there.
    fn store(&self) -> Option<StoreHandle> {
        self.cell().mail_form()?;
        self.cell().core.world.store()
    }
}

/// What deletes all that was laid aside of `of`.
fn forget_all(store: &dyn Store, of: &ActorPath) -> Result<Vec<Record>, StoreError> {
    let mut ids: BTreeSet<MessageId> = store.laid_aside(of)?.iter().map(|aside| aside.message.id).collect();
    ids.extend(store.scan(of)?.damage.iter().filter_map(|damage| match damage.place {
        DamagePlace::LaidAside { id } => Some(id),
        _ => None,
    }));
    Ok(ids.into_iter().map(|message| Record::Forget { of: of.clone(), message }).collect())
}
