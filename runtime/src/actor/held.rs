//! What a handler holds back until it is done: sends with their place, answers, work beside it.

use std::sync::Arc;
use std::time::Duration;

use crate::actor::{Accepts, Actor, Handler};
use crate::address::tell::hold_place;
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, Incarnation};
use crate::mailbox::DeadLetterReason;
use crate::mailbox::queue::Queued;
use crate::message::envelope::Parcel;
use crate::message::{Envelope, Head, Message, MessageId, NoReply, ReplyPort};

/// What takes effect when the handler is done.
#[derive(Default)]
pub(crate) struct HeldBack {
    pub(crate) sends: Vec<Box<dyn HeldSend>>,
    /// Work beside the actor.
    pub(crate) work: Vec<BoxFuture<'static, ()>>,
}

/// Mail of an incarnation to itself: refused once it has ended.
pub(crate) struct OwnMail<A: Actor> {
    pub(crate) cell: Arc<Cell<A>>,
    pub(crate) incarnation: Incarnation,
}

impl<A: Actor> OwnMail<A> {
    /// The number the message got; `None`: the incarnation has ended, or the place is closed.
    pub(crate) async fn deliver<M>(&self, message: M) -> Option<MessageId>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let Ok(true) = hold_place(&self.cell, Some(FOREVER)).await else { return None };
        let head = Head { sender: Some(self.cell.core.path.clone()), ..Head::of::<M>() };
        let held = Held::new(&self.cell, head, A::Inbox::wrap(Envelope::told(message)));
        held.put(self.cell.core.is_current(self.incarnation))
    }

    pub(crate) fn is_waiting(&self, message: MessageId) -> bool {
        self.cell.mailbox.is_waiting(message)
    }
}

/// A wait that ends with the incarnation anyway.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A send that has its place in the receiver's mailbox and waits for its handler to be done.
pub(crate) trait HeldSend: Send {
    fn release(self: Box<Self>, sender_is_current: bool);
}

pub(crate) struct HeldReply<R: Send + 'static> {
    pub(crate) port: ReplyPort<R>,
    pub(crate) value: R,
}

impl<R: Send + 'static> HeldSend for HeldReply<R> {
    fn release(self: Box<Self>, sender_is_current: bool) {
        if sender_is_current {
            // Nobody may be waiting any more: then the value is dropped, as the asker was told in `ask`.
            drop(self.port.send(self.value));
        }
    }
}

pub(crate) struct Held<A: Actor> {
    pub(crate) cell: Arc<Cell<A>>,
    pub(crate) queued: Option<Queued<A::Inbox>>,
}

impl<A: Actor> Held<A> {
    pub(crate) fn new(cell: &Arc<Cell<A>>, head: Head, parcel: A::Inbox) -> Self {
        Held { cell: cell.clone(), queued: Some(Queued { head, parcel }) }
    }

    /// Fills its place. `None`: it became a dead letter.
    pub(crate) fn put(mut self, sender_is_current: bool) -> Option<MessageId> {
        let queued = self.queued.take()?;
        let (queued, reason) = if sender_is_current {
            match self.cell.mailbox.fill(queued) {
                Ok(id) => return Some(id),
                Err((queued, _)) => (queued, DeadLetterReason::Gone),
            }
        } else {
            (queued, DeadLetterReason::Fenced)
        };
        self.cell.mailbox.give_back();
        self.cell.bury(queued, reason, NoReply::Stopped);
        None
    }
}

impl<A: Actor> HeldSend for Held<A> {
    fn release(self: Box<Self>, sender_is_current: bool) {
        self.put(sender_is_current);
    }
}

impl<A: Actor> Drop for Held<A> {
    fn drop(&mut self) {
        if let Some(queued) = self.queued.take() {
            self.cell.mailbox.give_back();
            if let Some(reply) = queued.parcel.reply() {
                reply.fail(NoReply::Dropped);
            }
        }
    }
}
