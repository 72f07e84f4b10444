//! Telling: a message goes into a mailbox, or comes back with the reason.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::{consume_budget, poll_proceed};

use crate::actor::held::Held;
use crate::actor::{Accepts, Actor, Handler};
use crate::address::ring::{NotSent, WaitOn, Waiting, stamp, with_running};
use crate::address::{ActorPath, ActorRef};
use crate::cell::Cell;
use crate::durable::accept;
use crate::mailbox::line::InLine;
use crate::mailbox::queue::{Gate, Pushed, Queued, Room};
use crate::mailbox::{DeadLetterReason, Overflow};
use crate::message::envelope::{Envelope, KeptHead};
use crate::message::{Failure, Head, Message, MessageId, NoReply, message_name};
use crate::store::StoreError;

/// Why a message was not accepted. It is in here: take it back with [`into_message`](TellError::into_message).
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TellError<M> {
    /// The mailbox is full, and stayed so for as long as the sender would wait. Retry later or shed load.
    #[error("the mailbox of {to} is full ({capacity} messages; waited {waited:?})")]
    MailboxFull {
        /// Whose mailbox.
        to: ActorPath,
        /// Its bound.
        capacity: usize,
        /// How long the sender waited for room.
        waited: Duration,
        /// What was not accepted.
        message: M,
    },
    /// The place was deleted. Resolve its address anew, if something else may live there now.
    #[error("{to} is gone")]
    Gone {
        /// Who is gone.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The actor finishes what it has and takes nothing new.
    #[error("{to} is draining")]
    Draining {
        /// Who drains.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// No incarnation runs, and none will before its supervisor starts it again by request.
    #[error("{to} is stopped")]
    Stopped {
        /// Who is stopped.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The actor is durable and its store has failed: it could not keep what it was told.
    #[error("the store behind {to} is unavailable")]
    StoreUnavailable {
        /// Who cannot take it.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The actor is durable, and the message has no stored form, or one that is too long: mend the message. Or the disk is
    /// nearly full ([`StoreError::LowSpace`]): send it again when there is room.
    #[error("the message to {to} cannot be stored")]
    Unstorable {
        /// For whom it was.
        to: ActorPath,
        /// What the store says.
        #[source]
        cause: StoreError,
        /// What was not accepted.
        message: M,
    },
    /// Waiting for room there would close a ring of actors that wait for one another. Break the ring: use `try_tell`,
    /// or send from a task ([`Context::spawn`](crate::Context::spawn)).
    #[error("waiting would close a ring: {}", Ring(ring))]
    WaitsInRing {
        /// The actors of the ring, beginning and ending with the sender.
        ring: Vec<ActorPath>,
        /// What was not accepted.
        message: M,
    },
    /// The handler of a durable actor sent it past its transaction. Use [`Context::tell`](crate::Context::tell) or
    /// [`Context::ask`](crate::Context::ask), or send from a task ([`Context::spawn`](crate::Context::spawn)).
    #[error("a durable handler sends through its context; the message to {to} was refused")]
    OutsideTransaction {
        /// For whom it was.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The message was sent before under the same request id, and lies aside: nothing was done. Take that one up
    /// ([`ActorRef::take_up`]), or forget it and send again.
    #[error("the message to {to} lies aside as {id}: {cause}")]
    LaidAside {
        /// For whom it was.
        to: ActorPath,
        /// Under which number it lies aside.
        id: MessageId,
        /// Why, for people to read.
        cause: String,
        /// What was not accepted.
        message: M,
    },
    /// A handler sent it through its context to a durable actor of another runtime, whose store the commit of the handler
    /// does not reach. Use [`Context::ask`](crate::Context::ask), or send from a task
    /// ([`Context::spawn`](crate::Context::spawn)).
    #[error("{to} keeps its mail in another store; the message was refused")]
    OtherStore {
        /// For whom it was.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The incarnation that sends has been replaced meanwhile; what it does no longer counts.
    #[error("the sending incarnation was replaced; the message to {to} was refused")]
    SenderFenced {
        /// For whom it was.
        to: ActorPath,
        /// What was not accepted.
        message: M,
    },
}

impl<M> TellError<M> {
    /// The message that was not accepted.
    pub fn into_message(self) -> M {
        match self {
            TellError::MailboxFull { message, .. }
            | TellError::Gone { message, .. }
            | TellError::Draining { message, .. }
            | TellError::Stopped { message, .. }
            | TellError::StoreUnavailable { message, .. }
            | TellError::Unstorable { message, .. }
            | TellError::WaitsInRing { message, .. }
            | TellError::OutsideTransaction { message, .. }
            | TellError::LaidAside { message, .. }
            | TellError::OtherStore { message, .. }
            | TellError::SenderFenced { message, .. } => message,
        }
    }
}

// By hand: a derived one would ask `M: Debug` of everybody who writes `unwrap()` or `?`.
impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TellError({self})")
    }
}

impl<M> From<TellError<M>> for Failure {
    /// A neighbour that takes no message is no bug of ours: `External`. The message is dropped; keep the error if it
    /// is needed.
    fn from(error: TellError<M>) -> Self {
        match error {
            TellError::OutsideTransaction { .. } | TellError::OtherStore { .. } => {
                Failure::bug(error.to_string())
            }
            error => Failure::external(error.to_string()),
        }
    }
}

pub(crate) struct Ring<'a>(pub(crate) &'a [ActorPath]);

impl fmt::Display for Ring<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, path) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" -> ")?;
            }
            path.fmt(f)?;
        }
        Ok(())
    }
}

/// Why there is no place; joined with the message, it becomes a [`TellError`].
pub(crate) enum Refusal {
    Full { waited: Duration },
    Gate(Gate),
    StoreUnavailable,
    Unstorable(StoreError),
    Ring(Vec<ActorPath>),
    OutsideTransaction,
    LaidAside { id: MessageId, cause: String },
    OtherStore,
    Fenced,
}

impl From<NotSent> for Refusal {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::Fenced => Refusal::Fenced,
            NotSent::OutsideTransaction => Refusal::OutsideTransaction,
        }
    }
}

impl Refusal {
    /// As the handler that waits for the place sees it.
    pub(crate) fn into_failure<A: Actor>(self, cell: &Cell<A>) -> Failure {
        self.with(cell, ()).into()
    }

    pub(crate) fn with<A: Actor, M>(self, cell: &Cell<A>, message: M) -> TellError<M> {
        let to = cell.core.path.clone();
        match self {
            Refusal::Full { waited } => {
                cell.core.metrics.refused.increment(1);
                TellError::MailboxFull { to, capacity: cell.mailbox.capacity(), waited, message }
            }
            Refusal::Gate(Gate::Draining) => TellError::Draining { to, message },
            Refusal::Gate(Gate::Shelved) => TellError::Stopped { to, message },
            Refusal::Gate(Gate::Open | Gate::Closed) => TellError::Gone { to, message },
            Refusal::StoreUnavailable => TellError::StoreUnavailable { to, message },
            Refusal::Unstorable(cause) => TellError::Unstorable { to, cause, message },
            Refusal::Ring(ring) => TellError::WaitsInRing { ring, message },
            Refusal::OutsideTransaction => TellError::OutsideTransaction { to, message },
            Refusal::LaidAside { id, cause } => TellError::LaidAside { to, id, cause, message },
            Refusal::OtherStore => TellError::OtherStore { to, message },
            Refusal::Fenced => TellError::SenderFenced { to, message },
        }
    }
}

/// How putting a message in at once went.
pub(crate) enum Put<M: Message> {
    Done,
    Refused(Refusal, Envelope<M>),
    /// Full, and the policy lets the sender wait; or it goes by way of the store.
    Wait(Envelope<M>),
}

/// Puts `envelope` in, if that needs no waiting.
#[inline]
pub(crate) fn put<A, M>(to: &ActorRef<A>, envelope: Envelope<M>) -> Put<M>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    let cell = to.cell();
    if cell.core.is_durable {
        if !cell.core.world.store_available() {
            return Put::Refused(Refusal::StoreUnavailable, envelope);
        }
        if cell.mail_form().is_some() {
            return Put::Wait(envelope); // for the disk
        }
    }
    let mut head = match stamp::<M>() {
        Ok(head) => head,
        Err(why) => return Put::Refused(why.into(), envelope),
    };
    head.whom = to.whom();
    let back = taken_out::<A, M>;
    match cell.mailbox.push(Queued { head, parcel: A::Inbox::wrap(envelope) }) {
        Pushed::Done => Put::Done,
        Pushed::Shed(shed) => {
            cell.bury(shed, DeadLetterReason::Shed, NoReply::Shed);
            Put::Done
        }
        Pushed::Full(parcel) => match cell.overflow {
            Overflow::Wait => Put::Wait(back(parcel)),
            _ => Put::Refused(Refusal::Full { waited: Duration::ZERO }, back(parcel)),
        },
        Pushed::Refused(parcel, gate) => Put::Refused(Refusal::Gate(gate), back(parcel)),
    }
}

/// Waits for a place in the mailbox of `cell`. `Ok(false)`: the policy sheds the new message.
///
/// Dropped early it leaves the line; a place that was held is the caller's to fill or give back.
pub(crate) async fn hold_place<A: Actor>(
    cell: &Arc<Cell<A>>,
    limit: Option<Duration>,
) -> Result<bool, Refusal> {
    consume_budget().await; // a handler that only ever tells must hear a stop
    if cell.core.is_durable && !cell.core.world.store_available() {
        return Err(Refusal::StoreUnavailable);
    }
    let inside = with_running(|running| running.map(|inner| inner.core.is_current(inner.incarnation)));
    if inside == Some(false) {
        return Err(Refusal::Fenced);
    }
    let waiter = match cell.mailbox.reserve() {
        Room::Held => return Ok(true),
        Room::HeldAfterShedding(oldest) => {
            cell.bury(oldest, DeadLetterReason::Shed, NoReply::Shed);
            return Ok(true);
        }
        Room::ShedNew => return Ok(false),
        Room::Full => return Err(Refusal::Full { waited: Duration::ZERO }),
        Room::Refused(gate) => return Err(Refusal::Gate(gate)),
        Room::InLine(waiter) => waiter,
    };
    let in_line = InLine::new(ByRef(cell), waiter);
    let waiting = Waiting::begin(WaitOn::Room(cell.core.clone())).map_err(Refusal::Ring)?;
    let patience = cell.core.world.config.room_patience;
    let limit = limit.unwrap_or(if inside.is_some() { patience.in_handler } else { patience.outside });
    match cell.core.world.clock.within(limit, Waiting::during(waiting, in_line)).await {
        Some(Ok(())) => Ok(true),
        Some(Err(gate)) => Err(Refusal::Gate(gate)),
        None => Err(Refusal::Full { waited: limit }),
    }
}

struct ByRef<'a, A: Actor>(&'a Arc<Cell<A>>);

impl<A: Actor> AsRef<crate::mailbox::queue::Mailbox<A::Inbox>> for ByRef<'_, A> {
    fn as_ref(&self) -> &crate::mailbox::queue::Mailbox<A::Inbox> {
        &self.0.mailbox
    }
}

/// Waits for a place and fills it.
pub(crate) async fn put_in_line<A, M>(
    to: &ActorRef<A>,
    envelope: Envelope<M>,
    limit: Option<Duration>,
    kept: Option<Box<KeptHead>>,
) -> Result<(), (Refusal, Envelope<M>)>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    let cell = to.cell();
    if let Err(why @ NotSent::OutsideTransaction) = stamp::<M>() {
        return Err((why.into(), envelope)); // before it waits
    }
    match hold_place(cell, limit).await {
        Ok(true) => {}
        Ok(false) => {
            let head = stamp::<M>().unwrap_or_else(|_| Head::of::<M>());
            let shed = Queued { head, parcel: A::Inbox::wrap(envelope) };
            cell.bury(shed, DeadLetterReason::Shed, NoReply::Shed);
            return Ok(());
        }
        Err(refusal) => return Err((refusal, envelope)),
    }
    let mut head = match stamp::<M>() {
        Ok(head) => head,
        Err(why) => {
            cell.mailbox.give_back();
            return Err((why.into(), envelope));
        }
    };
    head.whom = to.whom();
    if cell.mail_form().is_some() {
        let clock = cell.core.world.clock;
        // Who sends it again under its request id wants it done, however long that takes.
        head.kept = kept.or_else(|| KeptHead::sent(None, envelope.expires_ms(&clock)));
        let left = envelope.reply.left(&clock);
        let accepted = accept(Held::new(cell, head, A::Inbox::wrap(envelope)), None);
        let accepted = match left {
            None => accepted.await,
            Some(left) => match clock.within(left, accepted).await {
                Some(accepted) => accepted,
                None => return Ok(()), // on its way still, and its asker sees by itself that the time is up
            },
        };
        return accepted.map(drop).map_err(|(refusal, parcel)| (refusal, taken_out::<A, M>(parcel)));
    }
    let queued = Queued { head, parcel: A::Inbox::wrap(envelope) };
    cell.mailbox.fill(queued).map(drop).map_err(|(queued, gate)| {
        cell.mailbox.give_back();
        (Refusal::Gate(gate), taken_out::<A, M>(queued.parcel))
    })
}

fn taken_out<A: Actor, M: Message>(parcel: A::Inbox) -> Envelope<M>
where
    A::Inbox: Accepts<M, A>,
{
    parcel.unwrap().expect("an inbox gives back what was wrapped into it")
}

/// A tell under way: made by [`ActorRef::tell`], ready when the message is in the mailbox.
#[must_use = "nothing is sent before the future is awaited"]
pub struct Tell<'a, A: Actor, M: Message> {
    to: &'a ActorRef<A>,
    message: Option<M>,
    limit: Option<Duration>,
    request: Option<String>,
    expires_within: Option<Duration>,
    in_line: Option<InLineTell<'a, M>>,
    gave_way: bool,
    of: PhantomData<fn() -> A>,
}

type InLineTell<'a, M> = Pin<Box<dyn Future<Output = Result<(), TellError<M>>> + Send + 'a>>;

impl<'a, A: Actor, M: Message> Tell<'a, A, M> {
    pub(crate) fn new(to: &'a ActorRef<A>, message: M) -> Self {
        Tell {
            to,
            message: Some(message),
            limit: None,
            request: None,
            expires_within: None,
            in_line: None,
            gave_way: false,
            of: PhantomData,
        }
    }

    /// Names what is asked for, so that it is done once, however often it is sent: a
    /// [durable](crate::ActorSpec::durable) actor keeps the id (at most [`REQUEST_LEN_MAX`](crate::REQUEST_LEN_MAX) bytes)
    /// with the message, and for [`RuntimeConfig::answers_kept`](crate::RuntimeConfig::answers_kept) after it was done.
    /// Sent again meanwhile, the message is accepted and nothing happens. Without effect on other actors.
    ///
    /// A message that its handler refused its asker is forgotten with its id. One that was [laid
    /// aside](ActorRef::laid_aside) keeps it: sent again it is refused with [`TellError::LaidAside`], until it is taken up,
    /// or forgotten.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.request = Some(id.into());
        self
    }

    /// Lets the message expire `after` that much time, from now on and by the clock on the wall, also while no process runs:
    /// one whose turn comes later is [laid aside](ActorRef::laid_aside) unhandled, and is a dead letter
    /// ([`DeadLetterReason::Expired`](crate::DeadLetterReason::Expired)). One that has begun does not expire, nor one that
    /// was taken up. Only for [durable](crate::ActorSpec::durable) actors; without effect on others. Default: never.
    pub fn expires_within(mut self, after: Duration) -> Self {
        self.expires_within = Some(after);
        self
    }

    /// Waits at most `limit` for room in a full mailbox. Default: 5 s, inside a handler 1 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// A sender that never has to wait must not keep its thread from everybody else.
    #[inline]
    fn give_way(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let cell = self.to.cell();
        match cell.overflow {
            // Seldom: one that is faster than the receiver has to wait for room anyway.
            Overflow::Wait => {
                if self.gave_way || !cell.mailbox.is_turn_of_others() {
                    return Poll::Ready(());
                }
                self.gave_way = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Overflow::Reject | Overflow::DropOldest | Overflow::DropNewest => {
                ready!(poll_proceed(context)).made_progress();
                Poll::Ready(())
            }
        }
    }
}

// Nothing in it is pinned in place.
impl<A: Actor, M: Message> Unpin for Tell<'_, A, M> {}

impl<A, M> Future for Tell<'_, A, M>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    type Output = Result<(), TellError<M>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.message.is_some() {
            ready!(self.give_way(context));
        }
        if let Some(message) = self.message.take() {
            let (to, cell) = (self.to, self.to.cell());
            let envelope = match put(to, Envelope::told(message)) {
                Put::Done => return Poll::Ready(Ok(())),
                Put::Refused(refusal, envelope) => {
                    return Poll::Ready(Err(refusal.with(cell, envelope.message)));
                }
                Put::Wait(envelope) => envelope,
            };
            let limit = self.limit;
            let expires_ms = self.expires_within.map(|after| cell.core.world.clock.wall_ms_in(after));
            let kept = KeptHead::sent(self.request.take(), expires_ms);
            self.in_line = Some(Box::pin(async move {
                let put = put_in_line(to, envelope, limit, kept).await;
                put.map_err(|(refusal, envelope)| refusal.with(cell, envelope.message))
            }));
        }
        match &mut self.in_line {
            Some(in_line) => in_line.as_mut().poll(context),
            None => panic!("a tell of {} was polled after it was ready", message_name::<M>()),
        }
    }
}
