//! What a handler can reach: itself, its message, others, time, and work beside it.

use std::future::Future;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::held::{Held, HeldBack, HeldReply, HeldSend, OwnMail, Release};
use crate::actor::protection::{Protection, ProtectionOver};
use crate::actor::scope::Scope;
use crate::actor::{Accepts, Actor, Handler};
use crate::address::ring;
use crate::address::tell::{Refusal, hold_place};
use crate::address::{ActorPath, ActorRef, Address, Epoch, ResolveError, TellError};
use crate::cell::{Cell, Incarnation};
use crate::clock::Clock;
use crate::durable::{Journal, Trouble, deliver, tend};
use crate::mailbox::lanes::{ControlLane, Raised};
use crate::mailbox::queue::Queued;
use crate::mailbox::{DeadLetterReason, StopToken};
use crate::message::envelope::StoredForm;
use crate::message::reply::refusal as no_reply;
use crate::message::{Envelope, Failure, Head, Message, MessageId, NoReply, ReplyPort};
use crate::runtime::Runtime;
use crate::store::{CommitError, StoreError};
use crate::sync::{drop_quietly, lock};
use crate::world::World;

/// What a handler can reach while it handles one message.
///
/// Sends made through [`tell`](Context::tell) are held back until the handler is done, and, for a durable actor, until
/// its state is stored; a failure drops them. Timers, monitors and spawned work end with the incarnation.
pub struct Context<'c, A: Actor> {
    pub(super) cell: &'c Arc<Cell<A>>,
    pub(super) incarnation: Incarnation,
    control: &'c Arc<ControlLane>,
    pub(super) scope: &'c Scope<A>,
    pub(super) journal: Option<&'c mut Journal>,
    pub(super) head: &'c Head,
    /// Steps made so far.
    pub(super) steps: AtomicU32,
    pub(super) trouble: Trouble,
    /// Made by the first thing that is held back: most handlers hold nothing, and pay for a look at a null pointer.
    pub(super) held: Mutex<Option<Box<HeldBack>>>,
}

impl<'c, A: Actor> Context<'c, A> {
    pub(crate) fn new(
        cell: &'c Arc<Cell<A>>,
        incarnation: Incarnation,
        control: &'c Arc<ControlLane>,
        scope: &'c Scope<A>,
        journal: Option<&'c mut Journal>,
        head: &'c Head,
    ) -> Self {
        let (steps, trouble) = (AtomicU32::new(0), Trouble::default());
        Context { cell, incarnation, control, scope, journal, head, steps, trouble, held: Mutex::default() }
    }

    /// Whether there is anything to [`settle`](Context::settle).
    pub(crate) fn has_to_settle(&mut self) -> bool {
        self.journal.is_some() || self.held_back().is_some()
    }

    /// The handler is done: stores the state where that is due, then lets the held sends go.
    pub(crate) async fn settle(&mut self, actor: &mut A) -> Result<(), CommitError> {
        if self.journal.is_some() {
            // Boxed, so that an actor without a store does not move the room for it along with each message.
            Box::pin(self.store(actor)).await?;
        }
        if let Some(timers) = self.journal.as_mut().and_then(|journal| journal.untended()) {
            self.scope.spawn(tend(self.own_mail(), timers));
        }
        if self.held_back().as_ref().is_some_and(|held| held.is_stored) {
            Box::pin(self.deliver()).await?;
        }
        self.release();
        Ok(())
    }

    /// Whether what is handled here is a transaction.
    pub(crate) fn is_transaction(&self) -> bool {
        self.cell.mail_form().is_some()
    }

    /// Whether this actor lives in that world.
    pub(super) fn is_of(&self, world: &Arc<World>) -> bool {
        Arc::ptr_eq(&self.cell.core.world, world)
    }

    /// Holds the answer to the message in hand back until its commit.
    pub(crate) fn hold_answer<R: Send + 'static>(
        &mut self,
        port: ReplyPort<R>,
        value: Option<R>,
        stored_form: StoredForm<R>,
    ) -> Result<(), StoreError> {
        let is_repeatable = self.head.kept.as_ref().is_some_and(|kept| kept.request.is_some());
        let path = &self.cell.core.path;
        let unencodable =
            |error| StoreError::Encode { actor: path.clone(), what: "answer", source: Arc::new(error) };
        let answer = is_repeatable.then(|| stored_form(&value).map_err(unencodable)).transpose()?;
        let held = self.held_back().get_or_insert_default();
        held.answer = answer;
        if let Some(value) = value {
            held.sends.push(Box::new(HeldReply { port, value }));
        }
        Ok(())
    }

    fn held_back(&mut self) -> &mut Option<Box<HeldBack>> {
        self.held.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets what is held back go, of which some goes by way of the store.
    async fn deliver(&mut self) -> Result<(), CommitError> {
        let Some(held) = self.held_back().take() else { return Ok(()) };
        if !self.cell.core.is_current(self.incarnation) {
            return Ok(()); // and gives the places back
        }
        // No cut in the middle of a commit: it could not say whether what was sent has left.
        self.control.shield(true);
        self.cell.mailbox.mark_settling(self.incarnation.0, true);
        let delivered = deliver(self.cell, *held).await;
        self.cell.mailbox.mark_settling(self.incarnation.0, false);
        self.control.shield(false);
        self.held_back().get_or_insert_default().work = delivered?;
        Ok(())
    }

    async fn store(&mut self, actor: &mut A) -> Result<(), CommitError> {
        if let (Some(durability), Some(journal)) = (&self.cell.durability, &mut self.journal) {
            // No cut in the middle of a commit: it could not say whether the message was applied.
            self.control.shield(true);
            let stored = if !self.cell.core.is_current(self.incarnation) {
                // Fenced while it handled: the store would refuse it as well.
                let (actor, stored) = (self.cell.core.path.clone(), self.cell.core.epoch());
                Err(CommitError::Stale { actor, epoch: journal.epoch(), stored })
            } else if durability.mail().is_some() {
                let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
                let held_back = held.take().map(|held| *held).unwrap_or_default();
                let work = durability.transact(self.cell, actor, journal, self.head, held_back).await;
                work.map(|work| {
                    if !work.is_empty() {
                        held.get_or_insert_default().work = work;
                    }
                })
            } else {
                durability.after_message(self.cell, actor, journal).await
            };
            self.control.shield(false);
            stored?;
        }
        Ok(())
    }

    fn release(&mut self) {
        // Whatever happens from here on, the message is done: it must not run a second time.
        self.cell.mailbox.settled(self.incarnation.0);
        let Some(mut held) = self.held_back().take() else { return };
        for send in held.sends.drain(..) {
            let is_current = self.cell.core.is_current(self.incarnation);
            send.release(if is_current { Release::Now } else { Release::Fenced });
        }
        for work in held.work.drain(..) {
            if self.cell.core.is_current(self.incarnation) {
                self.scope.spawn(work);
            } else {
                drop_quietly(work);
            }
        }
    }

    // ---- who and what ----

    /// A reference to this actor.
    pub fn me(&self) -> ActorRef<A> {
        ActorRef::new(self.cell.clone())
    }

    /// Where this actor lives.
    pub fn path(&self) -> &ActorPath {
        &self.cell.core.path
    }

    /// What this incarnation was started with.
    pub fn args(&self) -> &'c A::Args {
        self.scope.args()
    }

    /// Which life of the actor this is.
    pub fn epoch(&self) -> Epoch {
        self.cell.core.epoch()
    }

    /// The number of the message in hand.
    pub fn message_id(&self) -> MessageId {
        self.head.id
    }

    /// How often a handler fell over this message before; 0 the first time.
    pub fn tries(&self) -> u32 {
        self.head.tries
    }

    /// The actor whose handler sent this message; `None` when it came from outside the tree.
    pub fn sender(&self) -> Option<&ActorPath> {
        self.head.sender.as_ref()
    }

    /// Names the work this message belongs to, inherited along the chain of messages.
    pub fn trace(&self) -> u64 {
        self.head.trace()
    }

    /// Until when the asker waits; `None` for a tell.
    pub fn deadline(&self) -> Option<Instant> {
        self.cell.mailbox.reply_in_hand(self.incarnation.0).map(|reply| reply.deadline())
    }

    /// Whether somebody still waits for the answer to this message.
    pub fn is_awaited(&self) -> bool {
        self.cell.mailbox.reply_in_hand(self.incarnation.0).is_some_and(|reply| reply.is_open())
    }

    /// The runtime this actor lives in.
    pub fn runtime(&self) -> Runtime {
        Runtime::guest(self.cell.core.world.clone())
    }

    /// The clock of the runtime.
    pub fn clock(&self) -> Clock {
        self.cell.core.world.clock
    }

    /// Something the builder was given under its type, such as a model client: [`Builder::resource`].
    ///
    /// # Errors
    ///
    /// A [`FailureClass::Bug`](crate::FailureClass::Bug) naming the type, if the builder was not given one.
    ///
    /// [`Builder::resource`]: crate::Builder::resource
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, Failure> {
        self.cell.core.world.resource::<T>().ok_or_else(|| {
            Failure::bug(format!("the runtime was built without a resource `{}`", std::any::type_name::<T>()))
        })
    }

    // ---- stop ----

    /// Waits until this incarnation is asked to stop, or killed. A handler that may wait long selects on it.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn stopping(&self) {
        self.stop_token().fired().await;
    }

    /// The same as a value, for futures that outlive the borrow.
    pub fn stop_token(&self) -> StopToken {
        self.control.token()
    }

    /// Ends this actor normally after this message. What waits stays for the next life, if there is one.
    pub fn stop(&self) {
        self.control.raise(Raised::Leave);
    }

    /// Lets `work`, such as a paid call, come to its end although a stop or a group restart wants this actor gone: the
    /// supervisor waits for it beyond the child's patience, until `deadline` from now. A kill, a
    /// brutal shutdown, the end of the whole runtime's deadline and the progress deadline of the actor cut it all the same,
    /// and in [`started`](Actor::started) the first stop does. When it is done, the handler goes on, and is cut at its
    /// next wait if the patience is over.
    ///
    /// # Errors
    ///
    /// [`ProtectionOver`]: the deadline has passed, and `work` was dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, `work` is dropped and no longer protected.
    pub async fn protect<F: Future>(&self, deadline: Duration, work: F) -> Result<F::Output, ProtectionOver> {
        let clock = self.clock();
        let _protection = Protection::begin(&self.cell.core, self.incarnation, clock.after(deadline));
        clock.within(deadline, work).await.ok_or(ProtectionOver { after: deadline })
    }

    // ---- others ----

    /// Sends `message` when this handler is done: waits here for a place in the receiver's mailbox (at most 1 s, see
    /// [`RoomPatience`](crate::RoomPatience)), holds it, and fills it after the state is stored. If the handler fails,
    /// nothing leaves.
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message. Between place and message the receiver may be deleted: then it becomes a dead
    /// letter.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is held.
    pub async fn tell<B, M>(&self, to: &ActorRef<B>, message: M) -> Result<(), TellError<M>>
    where
        M: Message,
        B: Handler<M>,
        B::Inbox: Accepts<M, B>,
    {
        let held = self.hold(to, Envelope::told(message)).await;
        held.map_err(|(refusal, envelope)| refusal.with(to.cell(), envelope.message))
    }

    /// Gives the right to answer this message to `keep`, to be used later. The tail of the handler:
    /// `cx.reply_later(|port| self.waiting.push(port))`.
    ///
    /// # Errors
    ///
    /// Always returns an `Err`, which tells the runtime that the answer comes from elsewhere; nobody else sees it.
    pub fn reply_later<R: Send + 'static>(&self, keep: impl FnOnce(ReplyPort<R>)) -> Result<R, Failure> {
        let slot = self.cell.mailbox.release_reply(self.incarnation.0);
        let port = match slot {
            Some(slot) => {
                // Whoever holds the port now may be anywhere: it can no longer be said who waits for whom.
                slot.set_holder(None);
                slot.typed()
            }
            None => ReplyPort::nobody(),
        };
        keep(port);
        Err(Failure::answered_elsewhere())
    }

    /// Answers through a port that was kept by [`reply_later`](Context::reply_later), when this handler is done, and, for
    /// a durable actor, when its state is stored. If the handler fails, nothing leaves and the asker is told
    /// [`NoReply::Dropped`]. ([`ReplyPort::send`] answers at once.)
    pub fn reply<R: Send + 'static>(&self, port: ReplyPort<R>, value: R) {
        lock(&self.held).get_or_insert_default().sends.push(Box::new(HeldReply { port, value }));
    }

    /// Lets `to` answer in this actor's place: `message` goes there with the way back of the one in hand.
    ///
    /// # Errors
    ///
    /// An `Err` in any case: the answer comes from elsewhere. If the message is not accepted, the asker is told so.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the asker is told [`NoReply::Dropped`].
    pub async fn forward<B, M>(&self, to: &ActorRef<B>, message: M) -> Result<M::Reply, Failure>
    where
        M: Message,
        B: Handler<M>,
        B::Inbox: Accepts<M, B>,
    {
        let slot = self.cell.mailbox.release_reply(self.incarnation.0);
        let port = match slot {
            Some(slot) => {
                slot.set_holder(Some(to.cell().core.clone()));
                slot.typed()
            }
            None => ReplyPort::nobody(),
        };
        let cell = to.cell();
        if let Some(ring) = ring::through(&cell.core) {
            port.give_up(NoReply::ForwardedInRing(ring));
            return Err(Failure::answered_elsewhere());
        }
        if let Err((refusal, Envelope { message, reply })) =
            self.hold(to, Envelope::asked(message, port)).await
        {
            // The runtime's own word, not the handler's: said also when that was fenced while it waited.
            reply.give_up(no_reply(refusal.with(cell, message).into()));
        }
        Err(Failure::answered_elsewhere())
    }

    /// A reference to whoever lives at `address` now.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]: nobody lives there, or another type does.
    pub fn resolve<B: Actor>(&self, address: &Address<B>) -> Result<ActorRef<B>, ResolveError> {
        self.runtime().resolve(address)
    }

    // ---- what is held back ----

    /// Waits for a place in the mailbox of `to` and holds `envelope` for it until this handler is done. A message that
    /// the policy sheds there is a dead letter at once.
    async fn hold<B, M>(&self, to: &ActorRef<B>, envelope: Envelope<M>) -> Result<(), (Refusal, Envelope<M>)>
    where
        M: Message,
        B: Handler<M>,
        B::Inbox: Accepts<M, B>,
    {
        let cell = to.cell();
        if cell.mail_form().is_some() && !self.is_of(&cell.core.world) {
            // Its inbox is in another store, which this commit does not reach.
            return Err((Refusal::OtherStore, envelope));
        }
        let has_place = match hold_place(cell, None).await {
            Ok(has_place) => has_place,
            Err(refusal) => return Err((refusal, envelope)),
        };
        if has_place && !self.cell.core.is_current(self.incarnation) {
            // Fenced while it waited.
            cell.mailbox.give_back();
            return Err((Refusal::Fenced, envelope));
        }
        let head = Head { whom: to.whom(), ..self.head_for::<M>() };
        let parcel = B::Inbox::wrap(envelope);
        if has_place {
            let mut send = Held::new(cell, head, parcel);
            if let Err(error) = send.make_record() {
                let envelope =
                    send.take_back().unwrap().expect("an inbox gives back what was wrapped into it");
                return Err((Refusal::Unstorable(error), envelope));
            }
            let mut held = lock(&self.held);
            let held = held.get_or_insert_default();
            held.is_stored |= send.is_stored();
            held.sends.push(Box::new(send));
        } else {
            cell.bury(Queued { head, parcel }, DeadLetterReason::Shed, NoReply::Shed);
        }
        Ok(())
    }

    /// The head of a message of type `M` that this handler sends.
    pub(super) fn head_for<M: Message>(&self) -> Head {
        let sender = Some(self.cell.core.path.clone());
        Head { sender, trace: self.trace(), ..Head::of::<M>() }
    }

    pub(super) fn own_mail(&self) -> OwnMail<A> {
        // Its own: that of the cell is the successor's already, if this life was replaced.
        let epoch = self.journal.as_ref().map_or_else(|| self.cell.core.epoch(), |journal| journal.epoch());
        OwnMail { cell: self.cell.clone(), incarnation: self.incarnation, epoch }
    }
}

impl<A: Actor> std::fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("path", self.path()).field("message_id", &self.head.id).finish()
    }
}
