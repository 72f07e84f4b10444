//! The way back of an ask: a slot that is answered once, by whoever is first.
//!
//! Not a oneshot channel, because a third party must be able to answer it: when an incarnation blocks its thread and
//! is fenced, its supervisor answers the asker in its place, and what the old incarnation says later is refused.

use std::any::Any;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::ExitReason;
use crate::address::tell::Ring;
use crate::address::{ActorPath, ring};
use crate::cell::CellCore;
use crate::clock::Clock;
use crate::mailbox::DeadLetterReason;
use crate::message::{Failure, MessageId};
use crate::store::StoreError;
use crate::sync::raced::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::raced::{Mutex, lock};

/// Why an ask that was delivered brought no reply.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// The actor fell over the message and it does not come again. Its supervisor decides about a restart.
    #[error("the actor failed while handling the message")]
    ActorFailed(#[source] ExitReason),
    /// The handler refused the input ([`FailureClass::Invalid`](crate::FailureClass::Invalid)). Mend the message.
    #[error("the message was refused")]
    Refused(#[source] Failure),
    /// The handler failed for another reason. The class says whether to try again.
    #[error("the handler failed")]
    Failed(#[source] Failure),
    /// The actor was stopped before it could answer. The handler may have run in part, or in full.
    #[error("the actor was stopped before it could answer")]
    Stopped,
    /// The message was shed by the overflow policy of a full mailbox. The handler did not run.
    #[error("the message was shed by a full mailbox")]
    Shed,
    /// The message was forwarded to somebody who waits for this very answer.
    #[error("the message was forwarded in a ring: {}", Ring(.0))]
    ForwardedInRing(Vec<ActorPath>),
    /// Whoever held the reply port let it go unanswered.
    #[error("the reply port was dropped unanswered")]
    Dropped,
    /// The message was sent before under the same request id, and lies aside: nothing was done. Take that one up, or forget
    /// it and send again.
    #[error("the message lies aside as {id}: {cause}")]
    LaidAside {
        /// Under which number.
        id: MessageId,
        /// Why, for people to read.
        cause: String,
    },
    /// The state could not be stored. No reply and no held send left; whether the state was kept shows only when the store
    /// is opened again: repeat only what may happen twice.
    #[error("the state could not be stored")]
    StoreUnavailable(#[source] StoreError),
}

impl NoReply {
    /// What those hear who asked for a message that is laid aside unhandled.
    pub(crate) fn of_dead_letter(reason: &DeadLetterReason) -> Self {
        match reason {
            DeadLetterReason::Crashed(cause) => NoReply::ActorFailed(cause.clone()),
            reason => NoReply::Failed(Failure::cancelled(reason.to_string())),
        }
    }
}

pub(crate) type Answer<R> = Result<R, Box<NoReply>>;

enum State<R> {
    /// The asker waits, and is woken with this.
    Waiting(Waker),
    /// The failure is boxed, so that a slot is no larger than what is mostly in it.
    Answered(Answer<R>),
    /// The asker took the answer or gave up.
    Closed,
}

pub(crate) struct ReplySlot<R> {
    state: Mutex<State<R>>,
    /// Whether `state` is [`State::Waiting`]: written under its lock, read without.
    is_open: AtomicBool,
    /// Where the message is now; only kept for asks made inside a handler, to find rings of waits.
    holder: Mutex<Option<Arc<CellCore>>>,
    ports: AtomicUsize,
    deadline: Instant,
}

/// A slot without its type: what the cell, the supervisor and the ring search need.
pub(crate) trait AnyReply: Send + Sync {
    /// Answers with a failure, unless somebody was faster.
    fn fail(&self, why: NoReply);
    fn is_open(&self) -> bool;
    fn deadline(&self) -> Instant;
    /// Who must move before the asker can: `None` once answered or given away.
    fn holder(&self) -> Option<Arc<CellCore>>;
    fn set_holder(&self, holder: Option<Arc<CellCore>>);
    /// One port more, or one less: the last one to go unanswered tells the asker.
    fn retain(&self);
    fn release(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The asker of a message, whatever it asked for: a port without its type.
#[doc(hidden)]
pub struct ErasedReply(Arc<dyn AnyReply>);

impl ErasedReply {
    pub(crate) fn fail(&self, why: NoReply) {
        self.0.fail(why);
    }
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_open()
    }
    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline()
    }
    pub(crate) fn set_holder(&self, holder: Option<Arc<CellCore>>) {
        self.0.set_holder(holder);
    }
    /// The typed port again; nobody's, if the type is another: then the asker hears at once that nobody answers.
    pub(crate) fn typed<R: Send + 'static>(self) -> ReplyPort<R> {
        let slot = self.0.clone().into_any().downcast::<ReplySlot<R>>().ok();
        if let Some(slot) = &slot {
            slot.retain();
        }
        ReplyPort { slot }
    }
}

impl Clone for ErasedReply {
    fn clone(&self) -> Self {
        self.0.retain();
        ErasedReply(self.0.clone())
    }
}

impl Drop for ErasedReply {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<R: Send + 'static> ReplySlot<R> {
    /// A slot whose asker is woken with `waker`.
    pub(crate) fn new(deadline: Instant, waker: &Waker) -> (Arc<Self>, ReplyPort<R>) {
        let slot = Arc::new(ReplySlot {
            state: Mutex::new(State::Waiting(waker.clone())),
            is_open: AtomicBool::new(true),
            holder: Mutex::new(None),
            ports: AtomicUsize::new(1),
            deadline,
        });
        (slot.clone(), ReplyPort { slot: Some(slot) })
    }

    #[inline(always)]
    fn answer(&self, answer: Answer<R>) -> Result<(), Answer<R>> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Waiting(_)) {
            return Err(answer); // somebody was faster
        }
        let before = std::mem::replace(&mut *state, State::Answered(answer));
        self.is_open.store(false, Ordering::Release);
        drop(state);
        if let State::Waiting(asker) = before {
            asker.wake();
        }
        Ok(())
    }

    /// The answer, once: after that, and after [`close`](ReplySlot::close), there is none any more.
    #[inline(always)]
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Answer<R>> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Waiting(old) => {
                if !old.will_wake(waker) {
                    old.clone_from(waker);
                }
                Poll::Pending
            }
            State::Answered(_) => match std::mem::replace(&mut *state, State::Closed) {
                State::Answered(answer) => Poll::Ready(answer),
                State::Waiting(_) | State::Closed => Poll::Pending,
            },
            State::Closed => Poll::Pending,
        }
    }

    /// The asker goes away: a message still waiting is not handled for nobody.
    #[cold]
    pub(crate) fn close(&self) {
        let old = {
            let mut state = lock(&self.state);
            self.is_open.store(false, Ordering::Release);
            std::mem::replace(&mut *state, State::Closed)
        };
        drop(old); // outside the lock: dropping the answer may run user code
    }
}

impl<R: Send + 'static> AnyReply for ReplySlot<R> {
    fn fail(&self, why: NoReply) {
        drop(self.answer(Err(Box::new(why))));
    }
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
    fn deadline(&self) -> Instant {
        self.deadline
    }
    fn holder(&self) -> Option<Arc<CellCore>> {
        if self.is_open() { lock(&self.holder).clone() } else { None }
    }
    fn set_holder(&self, holder: Option<Arc<CellCore>>) {
        *lock(&self.holder) = holder;
    }
    fn retain(&self) {
        self.ports.fetch_add(1, Ordering::Relaxed);
    }
    fn release(&self) {
        if self.ports.fetch_sub(1, Ordering::AcqRel) == 1 {
            AnyReply::fail(self, NoReply::Dropped);
        }
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The right to answer one ask, later or from elsewhere; see [`Context::reply_later`](crate::Context::reply_later).
///
/// Dropping it unanswered tells the asker [`NoReply::Dropped`]. The port of a message that was *told* answers nobody.
pub struct ReplyPort<R: Send + 'static> {
    slot: Option<Arc<ReplySlot<R>>>,
}

impl<R: Send + 'static> ReplyPort<R> {
    /// A port that nobody listens to.
    pub(crate) fn nobody() -> Self {
        ReplyPort { slot: None }
    }

    /// Answers the asker. A port may outlive the incarnation that kept it, in the hand of another actor or of a task of
    /// your own; whoever holds it may answer, but not the incarnation itself once it was replaced.
    ///
    /// # Errors
    ///
    /// The value comes back when nobody waits for it: the message was told, or the asker gave up, or was answered
    /// by somebody else (the supervisor of an incarnation that was fenced). And when the handler that sends was fenced: then
    /// the asker is told [`NoReply::Dropped`], unless somebody else holds a port.
    pub fn send(self, value: R) -> Result<(), R> {
        if ring::is_fenced() { Err(value) } else { self.answer(value) }
    }

    /// As [`send`](ReplyPort::send), for the message in hand: fenced, it was answered by who fenced it.
    pub(crate) fn answer(mut self, value: R) -> Result<(), R> {
        match self.slot.take() {
            Some(slot) => slot.answer(Ok(value)).map_err(|value| match value {
                Ok(value) => value,
                Err(_) => unreachable!("the slot gives back what it was given"),
            }),
            None => Err(value),
        }
    }

    /// Answers the asker with a failure instead. Without effect when nobody waits; refused as by [`send`](ReplyPort::send)
    /// when the handler was fenced.
    pub fn fail(self, failure: Failure) {
        if !ring::is_fenced() {
            self.give_up(refusal(failure));
        }
    }

    pub(crate) fn give_up(mut self, why: NoReply) {
        if let Some(slot) = self.slot.take() {
            AnyReply::fail(&*slot, why);
        }
    }

    /// Whether somebody still waits for the answer.
    pub fn is_open(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| AnyReply::is_open(&**slot))
    }

    /// When the asker gives up, in milliseconds since 1970.
    pub(crate) fn expires_ms(&self, clock: &Clock) -> Option<u64> {
        let left = self.left(clock)?;
        Some(clock.wall_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long the asker still waits; `None`: nobody asked.
    pub(crate) fn left(&self, clock: &Clock) -> Option<Duration> {
        Some(self.slot.as_ref()?.deadline.saturating_duration_since(clock.now()))
    }

    pub(crate) fn is_nobody(&self) -> bool {
        self.slot.is_none()
    }

    /// A second port on the same slot, for a copy of the message.
    pub(crate) fn twin(&self) -> Self {
        if let Some(slot) = &self.slot {
            slot.retain();
        }
        ReplyPort { slot: self.slot.clone() }
    }

    /// A second port on the same slot, without the type.
    pub(crate) fn erased(&self) -> Option<ErasedReply> {
        let slot = self.slot.clone()?;
        slot.retain();
        Some(ErasedReply(slot))
    }
}

impl<R: Send + 'static> Drop for ReplyPort<R> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.release();
        }
    }
}

/// How a failure looks to the asker.
pub(crate) fn refusal(failure: Failure) -> NoReply {
    match failure.class() {
        crate::FailureClass::Invalid => NoReply::Refused(failure),
        _ => NoReply::Failed(failure),
    }
}

impl<R: Send + 'static> std::fmt::Debug for ReplyPort<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyPort").field("open", &self.is_open()).finish()
    }
}
