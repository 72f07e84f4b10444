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
use crate::durable::{Effect, Step, accept};
use crate::message::envelope::KeptHead;
use crate::message::reply::{AnyReply, ReplySlot};
use crate::message::{Chain, Envelope, Failure, FailureClass, Head, NoReply, message_name};
use crate::store::{Record, StoreError};

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
    /// An [`Invalid`](FailureClass::Invalid) or [`Exhausted`](FailureClass::Exhausted) failure of the other, which comes
    /// again from the journal. [`External`](FailureClass::External) for whatever else it failed with, and when there was no
    /// answer in time: handled again, the same question is asked again. A [`Bug`](FailureClass::Bug) if the wait would
    /// close a ring of actors that wait for one another. And as [`Step::run`] when the step cannot be made now.
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
        if let Some(answered) = step.answered()? {
            return answered;
        }
        let unless_through = step.unless_through();
        let outcome = ask(cx, &step, &to, message, limit).await;
        unless_through.let_go();
        outcome
    }
}

async fn ask<A, B, M>(
    cx: &Context<'_, A>,
    step: &Step<'_, A>,
    to: &ActorRef<B>,
    message: M,
    limit: Option<Duration>,
) -> Result<M::Reply, Failure>
where
    A: Actor,
    M: DurableMessage,
    B: Handler<M>,
    B::Inbox: Accepts<M, B>,
{
    let cell = to.cell();
    let world = &cell.core.world;
    let limit = limit.unwrap_or(world.config.ask_deadline);
    let deadline = world.clock.after(limit);
    let (slot, port) = ReplySlot::<M::Reply>::new(deadline, Waker::noop());
    slot.set_holder(Some(cell.core.clone()));
    let waiting = Waiting::begin(WaitOn::Reply(slot.clone()))
        .map_err(|ring| Failure::bug(format!("the ask would close a ring: {ring:?}")))?;
    let has_place = hold_place(cell, Some(limit)).await.map_err(|refusal| refusal.into_failure(cell))?;
    if !has_place {
        return Err(Failure::external("a full mailbox shed the question"));
    }
    let is_stored = cell.mail_form().is_some();
    let envelope = Envelope::asked(message, port);
    let kept = match step.is_journaled() {
        _ if !is_stored => None,
        true => Some(KeptHead::requested(step.request())),
        // Not asked again under this name, so nobody waits for it when the asker is gone.
        false => KeptHead::sent(None, envelope.expires_ms(&world.clock)),
    };
    let head = Head { kept, whom: to.whom(), ..cx.head_for::<M>() };
    let mut held = Held::<B>::new(cell, head, B::Inbox::wrap(envelope));
    if is_stored && !cx.is_of(world) {
        // Into another store, so not in one commit: the intent first.
        step.begin(Vec::new(), |_| ()).await?;
        let accepted = accept(held, None).await;
        accepted.map_err(|(refusal, _)| refusal.into_failure(cell))?;
    } else {
        let mut records: Vec<Record> = Vec::new();
        if is_stored {
            held.make_record().map_err(|error| match error {
                StoreError::TooLarge { .. } => Failure::exhausted(error),
                StoreError::InboxFull { .. } => Failure::external(error),
                error => Failure::bug(error),
            })?;
            records.extend(held.take_record());
        }
        // The intent and the question, in one commit.
        step.begin(records, move |committed| match is_stored {
            true => held.arrive(committed.deliveries.first().cloned()),
            false => drop(held.put(true)),
        })
        .await?;
    }
    let answer = poll_fn(|context| slot.poll(context.waker()));
    let left = deadline.saturating_duration_since(world.clock.now());
    let answer = world.clock.within(left, Waiting::during(waiting, answer)).await;
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

fn failure_of(why: NoReply) -> Failure {
    match why {
        NoReply::Refused(failure) => Failure::of(FailureClass::Invalid, failure),
        NoReply::Failed(failure) if failure.class() == FailureClass::Exhausted => failure,
        why => Failure::external(Chain(&why).to_string()),
    }
}
