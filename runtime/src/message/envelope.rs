//! A message on its way: the head every message has, the message, and the way back.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::actor::{Context, DurableMessage, Handler};
use crate::address::ActorPath;
use crate::clock::Clock;
use crate::durable::{Found, Parked};
use crate::message::encoding::stored_bytes;
use crate::message::reply::{ErasedReply, ReplyPort};
use crate::message::{Failure, FailureClass, Message, message_name};
use crate::store::{CommitError, StoredMessage};
use crate::sync::{drop_quietly, panic_text};

/// The number of a message: rising in the order in which its receiver accepted them, unique within the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub u64);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of every message, whatever its type.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The receiver's number for it.
    pub id: MessageId,
    /// How often a handler fell over it before: 0 on the first delivery.
    pub tries: u32,
    /// Whether an incarnation ended over it before; a failure outside is a try, and no fall.
    pub(crate) has_fallen: bool,
    /// The actor whose handler sent it; `None` when it came from outside the tree.
    pub sender: Option<ActorPath>,
    /// Names the work this message belongs to: inherited from the message under which it was sent, 0 outside.
    pub trace: u64,
    pub(crate) kind: KindOf,
    pub(crate) whom: Whom,
    /// Only of messages that are stored, and of few of them.
    pub(crate) kept: Option<Box<KeptHead>>,
}

/// What else is known of a message that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptHead {
    /// The number under which it was accepted first, if that is another.
    pub(crate) origin: Option<MessageId>,
    pub(crate) request: Option<String>,
    pub(crate) expires_ms: Option<u64>,
    /// How often the store was opened with this message first in line.
    pub(crate) openings: u32,
    /// When the timer was due that sent it.
    pub(crate) due_ms: Option<u64>,
    /// The length of its stored form, if it is long: see [`LONG_MIN`].
    pub(crate) long_bytes: usize,
}

impl KeptHead {
    pub(crate) fn requested(request: String) -> Box<Self> {
        Box::new(KeptHead { request: Some(request), ..KeptHead::default() })
    }

    /// `None`: nothing out of the ordinary.
    pub(crate) fn sent(request: Option<String>, expires_ms: Option<u64>) -> Option<Box<Self>> {
        let kept = KeptHead { request, expires_ms, ..KeptHead::default() };
        (kept != KeptHead::default()).then(|| Box::new(kept))
    }

    /// `None`: nothing out of the ordinary.
    pub(crate) fn of(message: &StoredMessage) -> Option<Box<Self>> {
        let origin = (message.origin != message.id).then_some(message.origin);
        let (request, expires_ms) = (message.request.clone(), message.expires_ms);
        let openings = message.tries.openings;
        let long_bytes = long_bytes(message.body.len());
        let due_ms = message.due_ms;
        let kept = KeptHead { origin, request, expires_ms, openings, due_ms, long_bytes };
        (kept != KeptHead::default()).then(|| Box::new(kept))
    }
}

/// Length from which on a stored message counts for the [bound](crate::ActorSpec::inbox_bytes) of its inbox, in bytes: those
/// that are shorter are bounded by their number, and carry no length about.
pub(crate) const LONG_MIN: usize = 4 << 10;

/// What a stored form of that length counts.
pub(crate) fn long_bytes(len: usize) -> usize {
    if len < LONG_MIN { 0 } else { len }
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The very actor it was sent to: its timers, what names it, an offer to it.
    #[default]
    ThisOne,
    /// Whoever of a pool can take it: the pool chose the actor, and a colleague may handle it in its stead.
    AnyOfPool,
}

/// Name and version of a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageKind {
    pub(crate) name: &'static str,
    pub(crate) version: u16,
}

/// The kind of a message, worked out only when somebody reads it: to shorten the name of a Rust type costs more than a
/// whole tell.
#[derive(Clone, Copy)]
pub(crate) struct KindOf(fn() -> MessageKind);

impl KindOf {
    pub(crate) fn look_up(self) -> MessageKind {
        (self.0)()
    }
}

impl Default for KindOf {
    fn default() -> Self {
        KindOf(|| MessageKind { name: "", version: 0 })
    }
}

impl fmt::Debug for KindOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.look_up().fmt(f)
    }
}

fn kind<M: Message>() -> MessageKind {
    MessageKind { name: message_name::<M>(), version: M::VERSION }
}

impl Head {
    /// As `clone_from`, which a derived `Clone` would carry out as a clone, a drop and a move.
    #[inline]
    pub(crate) fn copy_from(&mut self, other: &Head) {
        (self.id, self.tries, self.trace, self.kind) = (other.id, other.tries, other.trace, other.kind);
        self.has_fallen = other.has_fallen;
        self.whom = other.whom;
        if self.kept.is_some() || other.kept.is_some() || self.sender.is_some() || other.sender.is_some() {
            self.copy_shared_from(other);
        }
    }

    /// Apart, so that the rest stays small where neither is there.
    #[inline(never)]
    fn copy_shared_from(&mut self, other: &Head) {
        self.kept.clone_from(&other.kept);
        self.sender.clone_from(&other.sender);
    }

    /// The number under which the message was accepted first.
    pub(crate) fn origin(&self) -> MessageId {
        self.kept.as_ref().and_then(|kept| kept.origin).unwrap_or(self.id)
    }

    /// The work this message belongs to: what it was sent under, else itself.
    pub(crate) fn trace(&self) -> u64 {
        if self.trace == 0 { self.id.0 } else { self.trace }
    }

    /// The head of a message of type `M` that nobody has sent yet.
    #[inline]
    pub(crate) fn of<M: Message>() -> Self {
        Head { kind: KindOf(kind::<M>), ..Head::default() }
    }
}

/// A message of type `M` and the way back. Its [`Head`] travels beside it.
///
/// Made by [`ActorRef::tell`](crate::ActorRef::tell) and friends; named here because [`inbox!`](crate::inbox!)
/// writes enums of it.
pub struct Envelope<M: Message> {
    pub(crate) message: M,
    pub(crate) reply: ReplyPort<M::Reply>,
}

/// How the delivery of one message ended, without its type. `Ok`: handled, committed where that applies, answered.
#[doc(hidden)]
pub type Verdict = Result<(), Box<NotDone>>;

/// What makes the stored form of an answer. `None`: it was given, or will be, from elsewhere.
pub(crate) type StoredForm<R> = fn(&Option<R>) -> Result<Vec<u8>, rmp_serde::encode::Error>;

/// As a list, for some answers have the same form in MessagePack as no answer: `()` and `None`.
fn answer_to_bytes<R: Serialize>(answer: &Option<R>) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    stored_bytes(answer.as_slice())
}

/// What [`answer_to_bytes`] wrote.
pub(crate) fn answer_from_bytes<R: DeserializeOwned>(
    bytes: &[u8],
) -> Result<Option<R>, rmp_serde::decode::Error> {
    Ok(rmp_serde::from_slice::<Vec<R>>(bytes)?.pop())
}

/// Why a message was not handled to its end.
#[derive(Debug)]
#[doc(hidden)]
pub enum NotDone {
    /// The asker gave up before the handler ran.
    Expired,
    /// The handler returned a failure.
    Failed(Failure),
    /// The handler panicked with this text.
    Panicked(String),
    /// The handler was not done within the progress deadline.
    OutOfTime,
    /// The message cannot go on before somebody decides.
    Parked(Parked),
    /// The handler was done but its state could not be stored: nothing happened.
    Unstored(CommitError),
}

/// What the mailbox needs to know of the thing it holds. Implemented by inboxes.
#[doc(hidden)]
pub trait Parcel: Sized + Send + 'static {
    fn reply(&self) -> Option<ErasedReply>;
    /// The copy that a further delivery would get.
    fn again(&self) -> Option<Self>;
    /// The same message, as if nobody had asked.
    fn without_asker(self) -> Self;
}

impl<M: Message> Envelope<M> {
    pub(crate) fn told(message: M) -> Self {
        Envelope { message, reply: ReplyPort::nobody() }
    }

    pub(crate) fn asked(message: M, reply: ReplyPort<M::Reply>) -> Self {
        Envelope { message, reply }
    }

    /// An envelope for a message that was read back from bytes.
    #[doc(hidden)]
    pub fn restored(message: M) -> Self {
        Self::told(message)
    }

    /// The same way back round a copy of the message.
    #[doc(hidden)]
    pub fn twin(&self, message: M) -> Self {
        Envelope { message, reply: self.reply.twin() }
    }

    /// When the asker gives up, in milliseconds since 1970; `None`: nobody asks.
    pub(crate) fn expires_ms(&self, clock: &Clock) -> Option<u64> {
        self.reply.expires_ms(clock)
    }

    /// The message itself.
    #[doc(hidden)]
    pub fn message(&self) -> &M {
        &self.message
    }

    /// Delivers the message.
    #[doc(hidden)]
    pub fn run<A: Handler<M>>(self, actor: &mut A, cx: &mut Context<'_, A>) -> impl Future<Output = Verdict> {
        self.deliver(actor, cx, None)
    }

    /// Delivers the message of an inbox that may be stored.
    #[doc(hidden)]
    pub fn run_stored<A: Handler<M>>(
        self,
        actor: &mut A,
        cx: &mut Context<'_, A>,
    ) -> impl Future<Output = Verdict>
    where
        M: DurableMessage,
    {
        self.deliver(actor, cx, Some(answer_to_bytes))
    }

    /// The one generic place where an author's handler runs.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would keep room for each argument twice")]
    fn deliver<A: Handler<M>>(
        self,
        actor: &mut A,
        cx: &mut Context<'_, A>,
        stored_form: Option<StoredForm<M::Reply>>,
    ) -> impl Future<Output = Verdict> {
        async move {
            let Envelope { message, reply } = self;
            if !reply.is_nobody() && !reply.is_open() && !cx.is_wanted_anyway() {
                drop_quietly(message);
                return Err(Box::new(NotDone::Expired));
            }
            let outcome = caught(pin!(actor.handle(message, cx))).await;
            if cx.has_journal()
                && let Some(found) = cx.trouble(is_end(&outcome))
            {
                drop_quietly(outcome);
                return Err(Box::new(match found {
                    Found::Parked(parked) => NotDone::Parked(parked),
                    Found::Unstored(error) => NotDone::Unstored(error),
                }));
            }
            let mut value = match outcome {
                Ok(Ok(value)) => Some(value),
                Ok(Err(failure)) if failure.is_answered_elsewhere() => None,
                Ok(Err(failure)) => return Err(Box::new(NotDone::Failed(failure))),
                Err(panic) => return Err(Box::new(NotDone::Panicked(panic))),
            };
            // Output gate: nothing the handler did is seen by anybody before the state that explains it is stored.
            if cx.has_to_settle() {
                if let Some(stored_form) = stored_form.filter(|_| cx.is_transaction())
                    && let Err(error) = cx.hold_answer(reply.twin(), value.take(), stored_form)
                {
                    return Err(Box::new(NotDone::Unstored(CommitError::Store(error))));
                }
                if let Err(error) = cx.settle(actor).await {
                    drop_quietly(value);
                    return Err(Box::new(NotDone::Unstored(error)));
                }
            }
            match value {
                Some(value) if reply.is_nobody() => drop_quietly(value),
                // Nobody may be waiting any more: then the value is dropped, as the asker was told in `ask`.
                Some(value) => drop_quietly(reply.answer(value)),
                None => {}
            }
            Ok(())
        }
    }
}

/// Whether this is the end of the message, as far as its handler is concerned.
fn is_end<R>(outcome: &Result<Result<R, Failure>, String>) -> bool {
    match outcome {
        Ok(Ok(_)) => true,
        Ok(Err(failure)) => {
            failure.is_answered_elsewhere()
                || matches!(failure.class(), FailureClass::Invalid | FailureClass::Exhausted)
        }
        Err(_) => false,
    }
}

impl<M: Message> Parcel for Envelope<M> {
    fn reply(&self) -> Option<ErasedReply> {
        self.reply.erased()
    }
    fn again(&self) -> Option<Self> {
        self.message.again().map(|message| self.twin(message))
    }
    fn without_asker(self) -> Self {
        Envelope::told(self.message)
    }
}

/// Polls an author's future, and turns a panic into its text.
///
/// Takes a pin, because an async fn that takes a future by value stores it twice.
pub(crate) fn caught<F: Future>(mut future: Pin<&mut F>) -> impl Future<Output = Result<F::Output, String>> {
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(panic_text(payload))),
    })
}
