//! What a handler holds back until it is done: sends with their place, answers, work beside it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::actor::{Accepts, Actor, Handler};
use crate::address::tell::{Refusal, hold_place};
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, Incarnation};
use crate::mailbox::DeadLetterReason;
use crate::mailbox::queue::{Gate, Queued};
use crate::message::envelope::Parcel;
use crate::message::{Envelope, Head, Message, MessageId, NoReply, ReplyPort};
use crate::sync::drop_quietly;

/// What takes effect when the handler is done.
#[derive(Default)]
pub(crate) struct HeldBack {
    pub(crate) sends: Vec<Box<dyn HeldSend>>,
    /// Work beside the actor.
    pub(crate) work: Vec<BoxFuture<'static, ()>>,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.sends.drain(..).for_each(drop_quietly);
        self.work.drain(..).for_each(drop_quietly);
    }
}

/// Mail of an incarnation to itself. Nobody waits for an error there, so what the mailbox does not take is a dead letter.
pub(crate) struct OwnMail<A: Actor> {
    pub(crate) cell: Arc<Cell<A>>,
    pub(crate) incarnation: Incarnation,
}

impl<A: Actor> OwnMail<A> {
    /// The number the message got; `None`: it became a dead letter.
    pub(crate) async fn deliver<M>(&self, message: M) -> Option<MessageId>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let place = hold_place(&self.cell, Some(FOREVER)).await;
        let head = Head { sender: Some(self.cell.core.path.clone()), ..Head::of::<M>() };
        let parcel = A::Inbox::wrap(Envelope::told(message));
        let reason = match place {
            Ok(true) => return Held::new(&self.cell, head, parcel).put(!self.has_ended()),
            _ if self.has_ended() => DeadLetterReason::Fenced,
            Ok(false) | Err(Refusal::Full { .. } | Refusal::Ring(_)) => DeadLetterReason::Shed,
            Err(Refusal::Gate(Gate::Draining)) => DeadLetterReason::Draining,
            Err(Refusal::Gate(Gate::Open | Gate::Shelved | Gate::Closed)) => DeadLetterReason::Gone,
            Err(Refusal::StoreUnavailable) => DeadLetterReason::Unstored,
            Err(Refusal::Fenced) => DeadLetterReason::Fenced,
        };
        self.cell.bury(Queued { head, parcel }, reason, NoReply::Stopped);
        None
    }

    /// Whether the incarnation has ended: then nothing it sends itself arrives any more.
    pub(crate) fn has_ended(&self) -> bool {
        !self.cell.core.is_current(self.incarnation)
    }

    /// What `work` brings, if the incarnation lives so long. The tasks of one that was fenced go on until its thread comes
    /// back: what they do counts no more, so they are not polled again.
    pub(crate) async fn while_it_lives<F: Future>(&self, mut work: Pin<&mut F>) -> Option<F::Output> {
        poll_fn(move |context| {
            if self.has_ended() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
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
        let HeldReply { port, value } = *self;
        if sender_is_current {
            // Nobody may be waiting any more: then the value is dropped, as the asker was told in `ask`.
            drop_quietly(port.send(value));
        } else {
            drop_quietly(value);
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
