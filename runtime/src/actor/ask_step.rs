//! Asking inside a durable handler: the question is a step, so that it is asked, and answered, once.

use std::future::{IntoFuture, poll_fn};
use std::task::Waker;
use std::time::Duration;

use serde::Serialize;

use crate::actor::held::{Held, HeldSend};
use crate::actor::{Accepts, Actor, Context, DurableMessage, Handler};
use crate::address::ActorRef;
use crate::address::ring::{WaitOn, Waiting};
use crate::address::tell::hold_place;
use crate::cell::place::BoxFuture;
use crate::durable::{Effect, Step};
use crate::message::envelope::KeptHead;
use crate::message::reply::{AnyReply, ReplySlot};
use crate::message::{Chain, Envelope, Failure, FailureClass, Head, NoReply, message_name};
use crate::store::Record;

/// A question of a handler, made by [`Context::ask`]. Await it.
#[must_use = "nothing is asked before it is awaited"]
pub struct AskStep<'x, A: Actor, B: Actor, M> {
    cx: &'x Context<'x, A>,
    step: Step<'x, A>,
    to: ActorRef<B>,
    message: M,
    limit: Option<Duration>,
}

impl<A: Actor> Context<'_, A> {
    /// Asks `to`, as a [step](Context::step): when this message is handled again, the answer comes from the journal.
    ///
    /// A [durable](crate::ActorSpec::durable) actor handles the question once, even if this process is killed at any
    /// instant: it recognises it by its id, and answers a repetition from its record (for
    /// [`RuntimeConfig::answers_kept`](crate::RuntimeConfig::answers_kept)). Another actor may be asked again.
    ///
    /// Two commits, as for every step; to a durable actor of the same runtime the first brings the question into its inbox.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the class that the other had, and [`External`](FailureClass::External) when there was no answer in
    /// time: handled again, the same question is asked again.
    ///
    /// # Cancel safety
    ///
    /// As [`Step::run`].
    pub fn ask<B, M>(&self, to: &ActorRef<B>, message: M) -> AskStep<'_, A, B, M>
    where
        M: DurableMessage,
        B: Handler<M>,
        B::Inbox: Accepts<M, B>,
    {
        let input = (to.path(), M::VERSION, Encoded(&message));
        let step = self.step(message_name::<M>(), Effect::Idempotent, &input);
        AskStep { cx: self, step, to: to.clone(), message, limit: None }
    }
}

/// A message is hashed by its encoded form; `DurableMessage` says that it has one.
struct Encoded<'a, M>(&'a M);

impl<M: Serialize> Serialize for Encoded<'_, M> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<A: Actor, B: Actor, M> AskStep<'_, A, B, M> {
    /// Waits at most `limit`, for room in a full mailbox and for the answer. Default: 5 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl<'x, A, B, M> IntoFuture for AskStep<'x, A, B, M>
where
    A: Actor,
    M: DurableMessage,
    B: Handler<M>,
    B::Inbox: Accepts<M, B>,
{
    type Output = Result<M::Reply, Failure>;
    type IntoFuture = BoxFuture<'x, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}

impl<A, B, M> AskStep<'_, A, B, M>
where
    A: Actor,
    M: DurableMessage,
    B: Handler<M>,
    B::Inbox: Accepts<M, B>,
{
    async fn ask(self) -> Result<M::Reply, Failure> {
        let AskStep { cx, step, to, message, limit } = self;
        let cell = to.cell();
        let world = &cell.core.world;
        let limit = limit.unwrap_or(world.config.ask_deadline);
        if let Some(answered) = step.answered()? {
            return answered;
        }
        let deadline = world.clock.after(limit);
        let (slot, port) = ReplySlot::<M::Reply>::new(deadline, Waker::noop());
        slot.set_holder(Some(cell.core.clone()));
        let waiting = Waiting::begin(WaitOn::Reply(slot.clone()))
            .map_err(|ring| Failure::bug(format!("the ask would close a ring: {ring:?}")))?;
        let has_place = hold_place(cell, Some(limit)).await.map_err(|refusal| refusal.into_failure(cell))?;
        let is_stored = cell.mail_form().is_some() && cx.is_of(world);
        let kept = cell.mail_form().is_some().then(|| KeptHead::requested(step.key().to_owned()));
        let head = Head { kept, whom: to.whom(), ..cx.head_for::<M>() };
        if !has_place {
            return Err(Failure::external("a full mailbox shed the question"));
        }
        let mut held = Held::<B>::new(cell, head, B::Inbox::wrap(Envelope::asked(message, port)));
        let mut records: Vec<Record> = Vec::new();
        if is_stored {
            held.make_record().map_err(Failure::bug)?;
            records.extend(held.take_record());
        }
        // The intent and the question, in one commit.
        step.begin(records, move |committed| match is_stored {
            true => held.arrive(committed.deliveries.first().cloned()),
            false => drop(held.put(true)),
        })
        .await?;
        let answer = poll_fn(|context| slot.poll(context.waker()));
        let answer = world.clock.within(limit, Waiting::during(waiting, answer)).await;
        if answer.is_none() {
            slot.close();
        }
        let outcome = match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(why)) => Err(failure_of(*why)),
            None => Err(Failure::external(format!("no answer from {} within {limit:?}", to.path()))),
        };
        step.end(outcome).await
    }
}

fn failure_of(why: NoReply) -> Failure {
    match why {
        NoReply::Refused(failure) => Failure::of(FailureClass::Invalid, failure),
        NoReply::Failed(failure) if failure.class() == FailureClass::Exhausted => failure,
        why => Failure::external(Chain(&why).to_string()),
    }
}
