//! Into an inbox by way of the store: a message is accepted when it is on disk.

use tokio::sync::oneshot;

use super::durability::unencodable;
use crate::actor::Actor;
use crate::actor::held::{Held, HeldSend};
use crate::address::tell::Refusal;
use crate::cell::Cell;
use crate::mailbox::queue::Queued;
use crate::message::MessageId;
use crate::store::{
    Batch, CONTENT_LEN_MAX, CommitError, Delivered, Record, StoreError, StoredMessage, Writer,
};
use crate::sync::drop_quietly;

/// Why it was not accepted, and what it was.
pub(crate) type NotAccepted<A> = (Refusal, <A as Actor>::Inbox);

/// Stores the message that `held` has a place for, and puts it there. Says which number it has.
///
/// `writer`: the life that sends it to itself; it is refused once that was replaced.
///
/// Dropped early, the message may be accepted all the same.
pub(crate) async fn accept<A: Actor>(
    mut held: Held<A>,
    writer: Option<Writer>,
) -> Result<Option<MessageId>, NotAccepted<A>> {
    if let Err(error) = held.make_record() {
        return Err((Refusal::Unstorable(error), held.take_back()));
    }
    let store = held.cell.core.world.store();
    let place = match &store {
        Some(store) => store.place().await,
        None => Err(CommitError::Unavailable),
    };
    drop(store);
    let place = match place {
        Ok(place) => place,
        Err(error) => return Err((refusal(error), held.take_back())),
    };
    let (told, outcome) = oneshot::channel();
    let records = held.take_record().into_iter().collect();
    place.commit(Batch { writer, records }, move |committed| {
        let accepted = match committed {
            Ok(committed) => match committed.deliveries.into_iter().next() {
                Some(Delivered::LaidAside { id, cause }) => {
                    Err((Refusal::LaidAside { id, cause }, held.take_back()))
                }
                delivered => {
                    let id = number(delivered.as_ref());
                    held.arrive(delivered);
                    Ok(id)
                }
            },
            Err(error) => Err((refusal(error), held.take_back())),
        };
        // A teller that is gone does not want its answer, nor the message.
        if let Err(Err((_, parcel))) = told.send(accepted) {
            drop_quietly(parcel);
        }
    });
    outcome.await.expect("the writer answers each batch")
}

pub(crate) fn refusal(error: CommitError) -> Refusal {
    match error {
        CommitError::Stale { .. } => Refusal::Fenced,
        CommitError::Conflict { .. } => unreachable!("an acceptance changes no case"),
        CommitError::Store(error) if !error.is_final() => Refusal::Unstorable(error),
        CommitError::Store(_) | CommitError::Unavailable => Refusal::StoreUnavailable,
    }
}

/// The record that puts `queued` into the inbox of `cell`; `None` if that is in memory.
pub(crate) fn record_of<A: Actor>(
    cell: &Cell<A>,
    queued: &Queued<A::Inbox>,
) -> Result<Option<Record>, StoreError> {
    let Some(form) = cell.mail_form() else { return Ok(None) };
    let body = (form.encode)(&queued.parcel).map_err(|error| unencodable(&cell.core, "message", error))?;
    // Here and not only in the store: whoever sends it is told before anything is done.
    let len = body.len();
    if len > CONTENT_LEN_MAX {
        let actor = cell.core.path.clone();
        return Err(StoreError::TooLarge { actor, what: "message", len, max: CONTENT_LEN_MAX });
    }
    let kind = queued.head.kind.look_up();
    let kept = queued.head.kept.as_deref();
    let message = StoredMessage {
        name: kind.name.to_owned(),
        version: kind.version,
        sender: queued.head.sender.clone(),
        trace: queued.head.trace,
        request: kept.and_then(|kept| kept.request.clone()),
        expires_ms: kept.and_then(|kept| kept.expires_ms),
        body,
        ..StoredMessage::default()
    };
    Ok(Some(Record::Deliver { to: cell.core.path.clone(), message }))
}

/// The number of a message that was delivered.
fn number(delivered: Option<&Delivered>) -> Option<MessageId> {
    match delivered? {
        Delivered::New(id) | Delivered::Waiting(id) => Some(*id),
        Delivered::Answered(_) | Delivered::LaidAside { .. } | Delivered::Unknown => None,
    }
}
