//! What a handler holds back until it is done: sends with their place, answers, work beside it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::actor::{Accepts, Actor, Handler};
use crate::address::Epoch;
use crate::address::tell::{Refusal, hold_place};
use crate::cell::place::BoxFuture;
use crate::cell::{Cell, Incarnation};
use crate::durable::{TimerChange, accept, record_of};
use crate::mailbox::DeadLetterReason;
use crate::mailbox::queue::{Gate, Queued};
use crate::message::envelope::{Parcel, long_bytes};
use crate::message::{Envelope, Head, Message, MessageId, NoReply, ReplyPort};
use crate::store::{CaseChange, Delivered, Record, StoreError, Writer};
use crate::sync::drop_quietly;

/// Work beside an actor.
pub(crate) type Work = BoxFuture<'static, ()>;

/// What takes effect when the handler is done.
#[derive(Default)]
pub(crate) struct HeldBack {
    pub(crate) sends: Vec<Box<dyn HeldSend>>,
    pub(crate) work: Vec<Work>,
    /// The stored form of the answer to the message in hand, if that is to be kept.
    pub(crate) answer: Option<Vec<u8>>,
    /// What becomes of timers that outlive the process.
    pub(crate) timers: Vec<TimerChange>,
    /// What becomes of cases.
    pub(crate) cases: Vec<(String, CaseChange)>,
    /// Whether one of the sends goes by way of the store.
    pub(crate) is_stored: bool,
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
    /// Its epoch.
    pub(crate) epoch: Epoch,
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
        let (refusal, parcel) = match place {
            Ok(true) if self.cell.mail_form().is_some() && !self.has_ended() => {
                let held = Held::new(&self.cell, head.clone(), parcel);
                match accept(held, Some(self.writer())).await {
                    Ok(id) => return id,
                    Err((refusal, parcel)) => (Some(refusal), parcel),
                }
            }
            Ok(true) => return Held::new(&self.cell, head, parcel).put(!self.has_ended()),
            Ok(false) => (None, parcel),
            Err(refusal) => (Some(refusal), parcel),
        };
        let reason = match refusal {
            _ if self.has_ended() => DeadLetterReason::Fenced,
            None | Some(Refusal::Full { .. } | Refusal::Ring(_)) => DeadLetterReason::Shed,
            Some(Refusal::Gate(Gate::Draining)) => DeadLetterReason::Draining,
            Some(Refusal::Gate(Gate::Open | Gate::Shelved | Gate::Closed)) => DeadLetterReason::Gone,
            // What an actor sends itself has no request id, and is in its own store.
            Some(Refusal::LaidAside { .. } | Refusal::OtherStore) => DeadLetterReason::Gone,
            Some(Refusal::StoreUnavailable | Refusal::Unstorable(_)) => DeadLetterReason::Unstored,
            Some(Refusal::Fenced | Refusal::OutsideTransaction) => DeadLetterReason::Fenced,
        };
        self.cell.bury(Queued { head, parcel }, reason, NoReply::Stopped);
        None
    }

    pub(crate) fn writer(&self) -> Writer {
        Writer { actor: self.cell.core.path.clone(), epoch: self.epoch }
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

/// How a held send leaves.
pub(crate) enum Release {
    Now,
    /// It went with a commit.
    Delivered(Option<Delivered>),
    /// Its sender was replaced.
    Fenced,
}

/// A send that has its place in the receiver's mailbox and waits for its handler to be done.
pub(crate) trait HeldSend: Send {
    /// Whether the receiver's mail is stored.
    fn is_stored(&self) -> bool;
    /// What is to be stored then.
    fn take_record(&mut self) -> Option<Record>;
    fn release(self: Box<Self>, how: Release);
}

pub(crate) struct HeldReply<R: Send + 'static> {
    pub(crate) port: ReplyPort<R>,
    pub(crate) value: R,
}

impl<R: Send + 'static> HeldSend for HeldReply<R> {
    fn is_stored(&self) -> bool {
        false
    }
    fn take_record(&mut self) -> Option<Record> {
        None
    }
    fn release(self: Box<Self>, how: Release) {
        let HeldReply { port, value } = *self;
        match how {
            // Nobody may be waiting any more: then the value is dropped, as the asker was told in `ask`.
            Release::Now | Release::Delivered(_) => drop_quietly(port.answer(value)),
            Release::Fenced => drop_quietly(value),
        }
    }
}

pub(crate) struct Held<A: Actor> {
    pub(crate) cell: Arc<Cell<A>>,
    queued: Option<Queued<A::Inbox>>,
    record: Option<Record>,
    /// What it counts for the bound of the inbox on its way there, in bytes.
    on_its_way: usize,
}

impl<A: Actor> Held<A> {
    pub(crate) fn new(cell: &Arc<Cell<A>>, head: Head, parcel: A::Inbox) -> Self {
        Held { cell: cell.clone(), queued: Some(Queued { head, parcel }), record: None, on_its_way: 0 }
    }

    /// Makes the stored form, if the receiver's mail is stored: what has none is refused before anything is done.
    pub(crate) fn make_record(&mut self) -> Result<(), StoreError> {
        let Some(queued) = &mut self.queued else { return Ok(()) };
        self.record = record_of(&self.cell, queued)?;
        if let Some(Record::Deliver { message, .. }) = &self.record
            && let bytes @ 1.. = long_bytes(message.body.len())
        {
            self.cell.let_in(bytes)?;
            self.on_its_way = bytes;
            queued.head.kept.get_or_insert_default().long_bytes = bytes;
        }
        Ok(())
    }

    /// Is stored by this record: what the message was before.
    pub(crate) fn with_record(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    /// Gives the place back, and the message.
    pub(crate) fn take_back(self) -> A::Inbox {
        self.take_apart().1
    }

    /// Gives the place back, and the message with its head.
    pub(crate) fn take_apart(mut self) -> (Head, A::Inbox) {
        let queued = self.queued.take().expect("a send is released, or taken back, once");
        self.cell.mailbox.give_back();
        (queued.head, queued.parcel)
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

    /// It is on disk: now into the mailbox with it.
    pub(crate) fn arrive(mut self, delivered: Option<Delivered>) {
        let Some(queued) = self.queued.take() else { return };
        let not_there = match delivered {
            Some(Delivered::New(id)) => match self.cell.mailbox.fill_as(queued, id) {
                Ok(()) => return,
                // It is on disk, and comes back with the next life there.
                Err(queued) => {
                    if let Some(reply) = queued.parcel.reply() {
                        reply.fail(NoReply::Stopped);
                    }
                    Some(queued)
                }
            },
            Some(Delivered::Waiting(id)) => self.cell.repeats.wait_with(id, queued),
            Some(Delivered::Answered(answer)) => {
                self.cell.answer(queued.parcel, &answer);
                None
            }
            Some(Delivered::LaidAside { id, cause }) => {
                if let Some(reply) = queued.parcel.reply() {
                    reply.fail(NoReply::LaidAside { id, cause });
                }
                Some(queued)
            }
            Some(Delivered::Unknown) | None => Some(queued),
        };
        self.cell.mailbox.give_back();
        drop_quietly(not_there.map(|queued| queued.parcel));
    }
}

impl<A: Actor> HeldSend for Held<A> {
    fn is_stored(&self) -> bool {
        self.cell.mail_form().is_some()
    }
    fn take_record(&mut self) -> Option<Record> {
        self.record.take()
    }
    fn release(self: Box<Self>, how: Release) {
        match how {
            Release::Now => drop(self.put(true)),
            Release::Fenced => drop(self.put(false)),
            Release::Delivered(delivered) => self.arrive(delivered),
        }
    }
}

impl<A: Actor> Drop for Held<A> {
    fn drop(&mut self) {
        if self.on_its_way > 0 {
            // It waits by now, or is gone.
            self.cell.on_their_way.fetch_sub(self.on_its_way, Ordering::Relaxed);
        }
        if let Some(queued) = self.queued.take() {
            self.cell.mailbox.give_back();
            // Who asked hears that it was dropped, unless there is a copy that comes again.
            drop_quietly(queued.parcel);
        }
    }
}
