//! A typed reference to a place in the tree.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::{Accepts, Actor, ExitReason, Handler};
use crate::address::ring::with_running;
use crate::address::tell::{Put, Refusal, put};
use crate::address::ticket::post;
use crate::address::{ActorPath, Address, Ask, Tell, TellError, Ticket};
use crate::cell::{Cell, Observation, Place, Seat};
use crate::durable::{Parked, Resolution};
use crate::mailbox::Quarantined;
use crate::message::envelope::{Envelope, KeptHead, Whom};
use crate::message::{Message, MessageId};

/// A reference to the actor that lives at one place in the tree, whichever incarnation runs there.
///
/// It keeps working across restarts; once the place is deleted it answers [`TellError::Gone`], also when another actor
/// is put at the same path later. Cloning is one reference count. Not serialisable: store its [`Address`].
///
/// Messages of one sender arrive in the order in which its awaited sends returned.
pub struct ActorRef<A: Actor> {
    cell: Arc<Cell<A>>,
    whom: Whom,
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>) -> Self {
        ActorRef { cell, whom: Whom::ThisOne }
    }

    /// The same place, chosen by a pool: what is sent through this reference may move to another member while this one
    /// is down ([`Place::move_waiting`]). For the crates that build on this one.
    #[doc(hidden)]
    #[must_use]
    pub fn routed(&self) -> Self {
        ActorRef { cell: self.cell.clone(), whom: Whom::AnyOfPool }
    }

    /// Whom the messages are for that are sent through this reference.
    pub(crate) fn whom(&self) -> Whom {
        self.whom
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<A>> {
        &self.cell
    }

    /// Where the actor lives.
    pub fn path(&self) -> &ActorPath {
        &self.cell.core.path
    }

    /// What can be stored in its stead.
    pub fn address(&self) -> Address<A> {
        Address::new(self.path().clone())
    }

    /// The same place without its type.
    pub fn place(&self) -> Place {
        Place(self.cell.clone() as Arc<dyn Seat>)
    }

    /// Whether what this code sends is sent by a handler of this very actor. For the crates that build on this one.
    #[doc(hidden)]
    #[must_use]
    pub fn is_sender(&self) -> bool {
        with_running(|running| running.is_some_and(|inner| Arc::ptr_eq(&inner.core, &self.cell.core)))
    }

    /// Tells the actor `message`: ready when it is in the mailbox. Waits for room there, at most 5 s (inside a handler
    /// 1 s), or as [`within`](Tell::within) says.
    ///
    /// Inside a handler prefer [`Context::tell`](crate::Context::tell), which sends only if the handler succeeds.
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message in it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing was sent and the message is dropped with it.
    pub fn tell<M>(&self, message: M) -> Tell<'_, A, M>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        Tell::new(self, message)
    }

    /// Tells the actor `message` now, or not at all. To a [durable](crate::ActorSpec::durable) actor it is a
    /// [`post`](ActorRef::post) whose ticket nobody keeps.
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message in it; a full mailbox under [`Overflow::Wait`](crate::Overflow::Wait) is
    /// [`TellError::MailboxFull`] at once.
    pub fn try_tell<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.post(message).map(drop)
    }

    /// Tells the actor `message` without waiting: for one that is [durable](crate::ActorSpec::durable) it has its place
    /// in the mailbox and in the queue of the store when this returns, and is on disk when the [`Ticket`] is ready. Killed
    /// before that, the process has lost it.
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message in it. [`TellError::MailboxFull`] also when the queue of the store is full.
    pub fn post<M>(&self, message: M) -> Result<Ticket, TellError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.post_until(message, None)
    }

    /// As [`post`](ActorRef::post), of a message that expires as [`Tell::expires_within`] says.
    ///
    /// # Errors
    ///
    /// As [`post`](ActorRef::post).
    pub fn post_expiring<M>(&self, message: M, after: Duration) -> Result<Ticket, TellError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.post_until(message, Some(self.cell.core.world.clock.wall_ms_in(after)))
    }

    fn post_until<M>(&self, message: M, expires_ms: Option<u64>) -> Result<Ticket, TellError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let put = match put(self, Envelope::told(message)) {
            Put::Done => return Ok(Ticket::done()),
            Put::Refused(refusal, envelope) => Err((refusal, envelope)),
            Put::Wait(envelope) if self.cell.mail_form().is_some() => {
                post(self, envelope, KeptHead::sent(None, expires_ms))
            }
            Put::Wait(envelope) => Err((Refusal::Full { waited: Duration::ZERO }, envelope)),
        };
        put.map_err(|(refusal, envelope)| refusal.with(&self.cell, envelope.message))
    }

    /// Asks the actor: ready with the reply, or a typed reason, within 5 s or as [`within`](Ask::within) says.
    ///
    /// # Errors
    ///
    /// [`AskError`](crate::AskError). A message that nobody accepted is in it.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nobody waits any more: a message whose turn has not come is not handled but becomes
    /// a dead letter; a handler that runs goes on.
    pub fn ask<M>(&self, message: M) -> Ask<'_, A, M>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        Ask::new(self, message)
    }

    /// A look at the actor, without waiting for it: also while a handler runs or blocks.
    pub fn observe(&self) -> Observation {
        self.place().observe()
    }

    /// Asks the running incarnation to end in order, and says how it ended; `None` if none ran. After `patience` it is
    /// killed at its next `.await`, and fenced if there is none. Its supervisor decides what follows.
    ///
    /// # Cancel safety
    ///
    /// The stop stays raised; call it again to wait for the end.
    pub async fn stop(&self, patience: Duration) -> Option<ExitReason> {
        self.place().bring_down(Some(patience)).await
    }

    /// Kills the running incarnation at its next `.await`, without waiting. Its supervisor decides what follows.
    pub fn kill(&self) {
        self.place().kill();
    }

    /// Lets the actor handle what waits, refuses what comes, and then end normally.
    pub fn drain(&self) {
        self.place().drain();
    }

    /// The messages that this actor fell over too often, oldest first: see
    /// [`ActorSpec::quarantine_after`](crate::ActorSpec::quarantine_after). At most
    /// [`QUARANTINE_MAX`](crate::QUARANTINE_MAX).
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.cell.quarantine.list()
    }

    /// Puts a message from the quarantine behind those that wait, with all its tries ahead of it: after the cause was
    /// mended. `false`: there is none of that number, or the mailbox does not take it now; then it stays.
    pub fn inject_again(&self, id: MessageId) -> bool {
        self.cell.inject_again(id)
    }

    /// Sends a message from the quarantine to dead letters. `false`: there is none of that number.
    pub fn discard(&self, id: MessageId) -> bool {
        self.cell.discard(id)
    }

    /// Over which message the actor is parked, and why; `None` if it is not. A parked actor handles nothing until somebody
    /// [decides](ActorRef::decide).
    pub fn parked(&self) -> Option<Parked> {
        self.cell.parking.parked()
    }

    /// Decides what becomes of the message over which the actor is parked. `false`: it is not parked, or somebody was
    /// faster, or the decision does not fit: [`Done`](Resolution::Done) and [`NotDone`](Resolution::NotDone) speak of a
    /// step [in doubt](crate::ParkedFor::InDoubt).
    ///
    /// The decision is written down by the actor: if it is stopped or killed in this very moment, it parks again.
    pub fn decide(&self, decision: Resolution) -> bool {
        self.cell.parking.decide(decision)
    }

    /// Waits until the place is deleted, and says how its last incarnation ended.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn closed(&self) -> Option<ExitReason> {
        self.place().closed().await
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        ActorRef { cell: self.cell.clone(), whom: self.whom }
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef({})", self.path())
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    /// Whether both mean the same place, however it was chosen; a later one at the same path is another.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<A: Actor> Eq for ActorRef<A> {}
