//! A message that is on its way to the disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::actor::held::{Held, HeldSend};
use crate::actor::{Accepts, Handler};
use crate::address::ActorRef;
use crate::address::ring::stamp;
use crate::address::tell::Refusal;
use crate::durable::{refusal, store_error};
use crate::mailbox::DeadLetterReason;
use crate::mailbox::queue::{Queued, Room};
use crate::message::envelope::KeptHead;
use crate::message::{Envelope, Head, Message, NoReply};
use crate::store::{Batch, StoreError};

/// What [`ActorRef::post`] gives: awaited, it says whether the message is on disk. Need not be awaited.
#[derive(Debug)]
pub struct Ticket(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl Ticket {
    /// Of a message that is where it belongs already.
    pub(crate) fn done() -> Self {
        Ticket(None)
    }
}

impl Future for Ticket {
    /// An error: the message was not kept, and became a dead letter.
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => Poll::Ready(Ok(())),
            Some(outcome) => {
                Pin::new(outcome).poll(context).map(|told| told.unwrap_or(Err(StoreError::Closed)))
            }
        }
    }
}

/// Queues a message for the disk, if there is room for it at once.
pub(crate) fn post<A, M>(
    to: &ActorRef<A>,
    envelope: Envelope<M>,
    kept: Option<Box<KeptHead>>,
) -> Result<Ticket, (Refusal, Envelope<M>)>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    let cell = to.cell();
    let refused = |refusal, held: Held<A>| {
        let envelope = held.take_back().unwrap().expect("an inbox gives back what was wrapped into it");
        Err((refusal, envelope))
    };
    let full = || Refusal::Full { waited: std::time::Duration::ZERO };
    let head = match stamp::<M>() {
        Ok(head) => Head { kept, ..head },
        Err(why) => return Err((why.into(), envelope)),
    };
    match cell.mailbox.reserve() {
        Room::Held => {}
        Room::HeldAfterShedding(oldest) => cell.bury(oldest, DeadLetterReason::Shed, NoReply::Shed),
        Room::InLine(waiter) => {
            cell.mailbox.leave_line(&waiter);
            return Err((full(), envelope));
        }
        Room::Full | Room::ShedNew => return Err((full(), envelope)),
        Room::Refused(gate) => return Err((Refusal::Gate(gate), envelope)),
    }
    let mut held = Held::new(cell, head, A::Inbox::wrap(envelope));
    if let Err(error) = held.make_record() {
        return refused(Refusal::Unstorable(error), held);
    }
    let place = match cell.core.world.store().map(|store| store.try_place()) {
        Some(Ok(Some(place))) => place,
        Some(Ok(None)) => return refused(full(), held),
        Some(Err(error)) => return refused(refusal(error), held),
        None => return refused(Refusal::StoreUnavailable, held),
    };
    let (told, outcome) = oneshot::channel();
    let records = held.take_record().into_iter().collect();
    let cell = Arc::clone(cell);
    place.commit(Batch::from_outside(records), move |committed| {
        let kept = match committed {
            Ok(committed) => {
                held.arrive(committed.deliveries.into_iter().next());
                Ok(())
            }
            Err(error) => {
                let (head, parcel) = held.take_apart();
                cell.bury(Queued { head, parcel }, DeadLetterReason::Unstored, NoReply::Stopped);
                Err(store_error(error))
            }
        };
        drop(told.send(kept)); // the ticket need not be awaited
    });
    Ok(Ticket(Some(outcome)))
}
