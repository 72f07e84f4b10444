//! Asking: a message goes into a mailbox, and its reply, or a typed reason why there is none, comes back in time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use crate::actor::{Accepts, Actor, ExitReason, Handler};
use crate::address::ring::{WaitOn, Waiting, with_running};
use crate::address::tell::{Put, Refusal, Ring, TellError, put, put_in_line};
use crate::address::{ActorPath, ActorRef};
use crate::message::envelope::{Envelope, KeptHead};
use crate::message::reply::{Answer, AnyReply, ReplySlot};
use crate::message::{Chain, Failure, Message, MessageId, NoReply, message_name};
use crate::resilience::{Breaker, BreakerOpen, CallOutcome};
use crate::store::StoreError;

/// Why an ask got no answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AskError<M> {
    /// The message was not accepted; it is in the error. Nothing happened.
    #[error(transparent)]
    NotDelivered(TellError<M>),
    /// A breaker ([`Ask::through`]) keeps calls away from this actor. The message is here; nothing happened. The cause says
    /// when to try again.
    #[error("{to} was not asked")]
    BreakerOpen {
        /// Who was not asked.
        to: ActorPath,
        /// Which breaker, and for how long.
        #[source]
        open: BreakerOpen,
        /// What was not sent.
        message: M,
    },
    /// Waiting for this answer would close a ring of actors that wait for one another. The message is here; nothing
    /// happened. Break the ring: ask from a task ([`Context::spawn`](crate::Context::spawn)), or tell.
    #[error("the ask would close a ring: {}", Ring(ring))]
    WaitsInRing {
        /// The actors of the ring, beginning and ending with the asker.
        ring: Vec<ActorPath>,
        /// What was not sent.
        message: M,
    },
    /// The deadline passed. The handler may still have run: repeat only what may happen twice.
    #[error("no reply from {to} within {waited:?}")]
    DeadlinePassed {
        /// Who did not answer in time.
        to: ActorPath,
        /// The deadline that was given.
        waited: Duration,
    },
    /// The actor failed while handling the message. Its supervisor decides about a restart.
    #[error("{to} failed while handling the message")]
    ActorFailed {
        /// Who failed.
        to: ActorPath,
        /// How.
        #[source]
        cause: ExitReason,
    },
    /// The handler refused the input. Mend the message; repeating it is of no use.
    #[error("{to} refused the message")]
    Refused {
        /// Who refused.
        to: ActorPath,
        /// Why.
        #[source]
        failure: Failure,
    },
    /// The handler failed without falling over; the class of the failure says whether to try again.
    #[error("{to} could not do it")]
    Failed {
        /// Who failed.
        to: ActorPath,
        /// Why.
        #[source]
        failure: Failure,
    },
    /// The actor was stopped, or its place deleted, before it answered. The handler may have run in part,
    /// or in full.
    #[error("{to} was stopped before it answered")]
    Stopped {
        /// Who was stopped.
        to: ActorPath,
    },
    /// The message was shed by the overflow policy. The handler did not run.
    #[error("a full mailbox of {to} shed the message")]
    Shed {
        /// Whose mailbox.
        to: ActorPath,
    },
    /// The message was forwarded to an actor that waits, perhaps by way of others, for this very answer. Nothing was
    /// handled. Break the ring where it is forwarded.
    #[error("the message to {to} was forwarded in a ring: {}", Ring(ring))]
    ForwardedInRing {
        /// Who was asked.
        to: ActorPath,
        /// The actors of the ring, beginning and ending with the one it was forwarded to.
        ring: Vec<ActorPath>,
    },
    /// Whoever was to answer let the reply port go.
    #[error("{to} dropped the reply port")]
    NoReply {
        /// Who was asked.
        to: ActorPath,
    },
    /// The message was sent before under the same request id, and lies aside: nothing was done. Take that one up
    /// ([`ActorRef::take_up`]), or forget it and send again.
    #[error("the message to {to} lies aside as {id}: {cause}")]
    LaidAside {
        /// Who was asked.
        to: ActorPath,
        /// Under which number.
        id: MessageId,
        /// Why, for people to read.
        cause: String,
    },
    /// The actor's state could not be stored. No reply and no held send left; whether the state was kept shows only when
    /// the store is opened again: repeat only what may happen twice.
    #[error("{to} could not store its state")]
    StoreUnavailable {
        /// Who was asked.
        to: ActorPath,
        /// What the store said.
        #[source]
        cause: StoreError,
    },
}

// By hand, as for `TellError`.
impl<M> fmt::Debug for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskError({self})")
    }
}

impl<M> AskError<M> {
    /// The message, if it was not accepted by anybody.
    pub fn into_message(self) -> Option<M> {
        match self {
            AskError::NotDelivered(error) => Some(error.into_message()),
            AskError::BreakerOpen { message, .. } | AskError::WaitsInRing { message, .. } => Some(message),
            _ => None,
        }
    }

    fn from_no_reply(to: &ActorPath, why: NoReply) -> Self {
        let to = to.clone();
        match why {
            NoReply::ActorFailed(cause) => AskError::ActorFailed { to, cause },
            NoReply::Refused(failure) => AskError::Refused { to, failure },
            NoReply::Failed(failure) => AskError::Failed { to, failure },
            NoReply::Stopped => AskError::Stopped { to },
            NoReply::Shed => AskError::Shed { to },
            NoReply::Dropped => AskError::NoReply { to },
            NoReply::ForwardedInRing(ring) => AskError::ForwardedInRing { to, ring },
            NoReply::LaidAside { id, cause } => AskError::LaidAside { to, id, cause },
            NoReply::StoreUnavailable(cause) => AskError::StoreUnavailable { to, cause },
        }
    }
}

impl<M> From<AskError<M>> for Failure {
    /// A neighbour that gives no answer is no bug of ours: `External`. A question asked past a transaction is one.
    fn from(error: AskError<M>) -> Self {
        match error {
            AskError::NotDelivered(error) => error.into(),
            error => Failure::external(Chain(&error).to_string()),
        }
    }
}

pin_project! {
    /// An ask under way: made by [`ActorRef::ask`], ready with the reply.
    #[must_use = "nothing is asked before the future is awaited"]
    pub struct Ask<'a, A: Actor, M: Message> {
        to: &'a ActorRef<A>,
        message: Option<M>,
        limit: Option<Duration>,
        request: Option<String>,
        in_line: Option<InLineAsk<'a, M>>,
        asked: Option<Asked<M::Reply>>,
        // Armed when the answer is not there at once.
        #[pin]
        deadline: Option<Sleep>,
    }
}

type InLineAsk<'a, M> = Pin<Box<dyn Future<Output = Result<(), (Refusal, Envelope<M>)>> + Send + 'a>>;

/// The asker's end of the slot. Dropping it unanswered tells the other end that nobody waits any more.
struct Asked<R: Send + 'static> {
    slot: Arc<ReplySlot<R>>,
    is_answered: bool,
    waiting: Option<Waiting>,
}

impl<R: Send + 'static> Asked<R> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Answer<R>> {
        let answer = self.slot.poll(context.waker());
        self.is_answered = answer.is_ready();
        answer
    }
}

impl<R: Send + 'static> Drop for Asked<R> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.slot.close();
        }
    }
}

impl<'a, A: Actor, M: Message> Ask<'a, A, M> {
    pub(crate) fn new(to: &'a ActorRef<A>, message: M) -> Self {
        let message = Some(message);
        Ask { to, message, limit: None, request: None, in_line: None, asked: None, deadline: None }
    }

    /// Names what is asked for, so that it is done once, however often it is asked: as
    /// [`Tell::with_id`](crate::Tell::with_id). Asked again, the answer is that of the first time, once it is there.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.request = Some(id.into());
        self
    }

    /// Waits at most `limit` in all: for room in a full mailbox and for the reply. Default: 5 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Asks if `breaker` admits it, and tells it what the answer says about the actor; [`CallOutcome`] has the table.
    ///
    /// # Errors
    ///
    /// [`AskError::BreakerOpen`] with the message; else as the ask itself.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::ask`]. Dropped early, it counts as neither success nor failure.
    pub async fn through(mut self, breaker: &Breaker) -> Result<M::Reply, AskError<M>>
    where
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let permit = match breaker.admit() {
            Ok(permit) => permit,
            Err(open) => {
                let Some(message) = self.message.take() else {
                    unreachable!("an ask that was polled is pinned and cannot come here")
                };
                return Err(AskError::BreakerOpen { to: self.to.path().clone(), open, message });
            }
        };
        let answer = self.await;
        permit.settle(CallOutcome::of(&answer));
        answer
    }
}

impl<A, M> Future for Ask<'_, A, M>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    type Output = Result<M::Reply, AskError<M>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let cell = this.to.cell();
        let limit = this.limit.unwrap_or(cell.core.world.config.ask_deadline);
        let mut just_asked = false;
        if let Some(message) = this.message.take() {
            just_asked = true;
            let deadline = cell.core.world.clock.after(limit);
            let (slot, port) = ReplySlot::<M::Reply>::new(deadline, context.waker());
            let asked = this.asked.insert(Asked { slot, is_answered: false, waiting: None });
            if with_running(|running| running.is_some()) {
                asked.slot.set_holder(Some(cell.core.clone()));
                match Waiting::begin(WaitOn::Reply(asked.slot.clone())) {
                    Ok(waiting) => asked.waiting = waiting,
                    Err(ring) => {
                        *this.asked = None;
                        return Poll::Ready(Err(AskError::WaitsInRing { ring, message }));
                    }
                }
            }
            match put(this.to, Envelope::asked(message, port)) {
                Put::Done => {}
                Put::Refused(refusal, envelope) => {
                    *this.asked = None;
                    let error = refusal.with(cell, envelope.message);
                    return Poll::Ready(Err(AskError::NotDelivered(error)));
                }
                Put::Wait(envelope) => {
                    let kept = KeptHead::sent(this.request.take(), None);
                    *this.in_line = Some(Box::pin(put_in_line(this.to, envelope, Some(limit), kept)));
                }
            }
        } else if let Some(asked) = this.asked {
            Waiting::end_if_moved(&mut asked.waiting);
        }
        if let Some(in_line) = this.in_line {
            match in_line.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err((refusal, envelope))) => {
                    *this.in_line = None;
                    let error = refusal.with(cell, envelope.message);
                    return Poll::Ready(Err(AskError::NotDelivered(error)));
                }
                Poll::Ready(Ok(())) => *this.in_line = None,
            }
        }
        let Some(asked) = this.asked else {
            panic!("an ask of {} was polled after it was ready", message_name::<M>())
        };
        // Just asked, the slot has this very waker: there is nothing to look for unless the answer came at once.
        let is_sure_to_wait = just_asked && asked.slot.is_open();
        if !is_sure_to_wait && let Poll::Ready(answer) = asked.poll(context) {
            *this.asked = None;
            return Poll::Ready(answer.map_err(|why| AskError::from_no_reply(&cell.core.path, *why)));
        }
        if this.deadline.is_none() {
            let left = AnyReply::deadline(&*asked.slot);
            this.deadline.set(Some(cell.core.world.clock.sleep_until(left)));
        }
        let deadline = this.deadline.as_mut().as_pin_mut().expect("armed above");
        match deadline.poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                *this.asked = None;
                let to = cell.core.path.clone();
                Poll::Ready(Err(AskError::DeadlinePassed { to, waited: limit }))
            }
        }
    }
}
