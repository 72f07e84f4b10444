//! A step: one call to the world outside, whose result is kept, so that it is not made twice.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::parking::{Parked, ParkedFor};
use super::step_log::{Completion, Effect, Intent, Recorded, StepLog};
use super::transaction::commit_then;
use crate::actor::Actor;
use crate::address::Epoch;
use crate::cell::{Cell, Incarnation};
use crate::dice;
use crate::events::RuntimeEvent;
use crate::message::{Failure, FailureClass, MessageId};
use crate::store::{Batch, CommitError, CommitSeq, Committed, Record, StoreError};

/// The most steps that one message may make.
pub const STEPS_MAX: u32 = 10_000;

/// One call to the world outside, made by [`Context::step`](crate::Context::step).
///
/// Its identity (its number within the message, its name, effect and input) and its key are fixed when the handle is made,
/// in the order of the program, whatever the order of polling. Run it with [`run`](Step::run), or let it go.
pub struct Step<'x, A: Actor> {
    pub(super) at: StepPlace<'x, A>,
    intent: Intent,
    key: String,
    tries: u32,
    timeout: Option<Duration>,
}

/// Where a step stands: its message, its number, and the journal in which it is written.
pub(crate) struct StepPlace<'x, A: Actor> {
    pub(crate) cell: &'x Arc<Cell<A>>,
    pub(crate) incarnation: Incarnation,
    /// `None`: the actor keeps no journal, and steps are plain calls.
    pub(crate) log: Option<Arc<StepLog>>,
    pub(crate) epoch: Epoch,
    /// The number under which the message was accepted first.
    pub(crate) message: MessageId,
    pub(crate) number: u32,
    pub(crate) trouble: &'x Trouble,
}

/// What keeps a message from its end, found on the way: the handler need not know.
#[derive(Default)]
pub(crate) struct Trouble(std::sync::Mutex<Option<Found>>);

pub(crate) enum Found {
    Parked(Parked),
    Unstored(CommitError),
}

impl Trouble {
    /// Keeps the first that was found, and gives the failure with which the handler should end.
    fn found(&self, found: Found) -> Failure {
        let failure = match &found {
            Found::Parked(parked) => Failure::cancelled(parked.to_string()),
            Found::Unstored(error) => Failure::external(error.clone()),
        };
        crate::sync::lock(&self.0).get_or_insert(found);
        failure
    }

    pub(crate) fn take(&mut self) -> Option<Found> {
        self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl<'x, A: Actor> Step<'x, A> {
    pub(crate) fn new<I: Serialize + ?Sized>(
        at: StepPlace<'x, A>,
        name: &str,
        effect: Effect,
        input: &I,
    ) -> Self {
        let key = format!("{}-{}-{}", at.cell.core.path, at.message, at.number);
        // What has no encoded form hashes to 0: the same each time.
        let input = rmp_serde::to_vec_named(input).map_or(0, dice::hash);
        let intent = Intent { name: name.to_owned(), effect, input, may_repeat: false };
        Step { at, intent, key, tries: 3, timeout: None }
    }

    /// The same each time this step is made, whatever happens in between, and of no other step of this store: for the
    /// other side to recognise a repetition by.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How often the call is made before an [`External`](FailureClass::External) failure is the handler's, at least once;
    /// with the waits of [`RuntimeConfig::external_backoff`](crate::RuntimeConfig::external_backoff) between. Default: 3.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// How long one try may take; one that takes longer is an [`External`](FailureClass::External) failure. Default: no
    /// limit.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Makes the call, unless its result is in the journal: then that.
    ///
    /// What it intends is on disk before the call is made, and its result before this returns: two flushes. Only for the
    /// message of a [durable](crate::ActorSpec::durable) actor; elsewhere it is a plain call with retries.
    ///
    /// `call` must not change the actor's state: a result from the journal does not call it.
    ///
    /// # Errors
    ///
    /// What `call` fails with. A failure of class [`External`](FailureClass::External) or
    /// [`Cancelled`](FailureClass::Cancelled) is an attempt: run again, it is made again. Any other is a result, and comes
    /// again from the journal, as class and text. And a failure that the handler must hand on, if the step cannot be made
    /// now: it is in doubt, or the journal tells of another step ([`Parked`]), or the store failed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the step is written down as dropped: run again, it fails as
    /// [`Cancelled`](FailureClass::Cancelled).
    pub async fn run<T, Fut>(&self, call: impl Fn() -> Fut) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.run_or_ask(call, || std::future::ready(Ok(Known::Nothing))).await
    }

    /// As [`run`](Step::run), and asks `check` when an [`Effect::Once`] is in doubt, whether it happened.
    ///
    /// # Errors
    ///
    /// As [`run`](Step::run), and what `check` fails with.
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Step::run).
    pub async fn run_checked<T, Fut, Check>(
        &self,
        call: impl Fn() -> Fut,
        check: impl Fn() -> Check,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<T, Failure>>,
        Check: Future<Output = Result<Known<T>, Failure>>,
    {
        self.run_or_ask(call, check).await
    }

    async fn run_or_ask<T, Fut, Check>(
        &self,
        call: impl Fn() -> Fut,
        check: impl Fn() -> Check,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<T, Failure>>,
        Check: Future<Output = Result<Known<T>, Failure>>,
    {
        let Some(log) = &self.at.log else { return self.attempts(call).await };
        if let Some(answered) = self.answered()? {
            return answered;
        }
        let begun = log.recorded(self.at.message, self.at.number).and_then(|recorded| recorded.intent);
        match begun {
            None => self.intend(log).await?,
            // In flight when the life before ended.
            Some(Intent { may_repeat: false, .. }) if self.intent.effect == Effect::Once => {
                match check().await? {
                    Known::Done(value) => return self.complete(log, Ok(value)).await,
                    Known::NotDone => self.intend(log).await?,
                    Known::Nothing => return Err(self.in_doubt()),
                }
            }
            Some(Intent { may_repeat: true, .. }) => self.intend(log).await?,
            Some(_) => self.tell_repeated(),
        }
        let unless_through = DropNote { step: self, log, is_through: false };
        let outcome = self.attempts(call).await;
        unless_through.let_go();
        self.complete(log, outcome).await
    }

    /// What the journal says, if the step is through.
    pub(crate) fn answered<T: DeserializeOwned>(&self) -> Result<Option<Result<T, Failure>>, Failure> {
        let Some(log) = &self.at.log else { return Ok(None) };
        if self.at.number >= STEPS_MAX {
            return Err(Failure::exhausted(format!("a message makes at most {STEPS_MAX} steps")));
        }
        let answered = match self.at.recorded(log, &self.intent)? {
            None => return Ok(None),
            Some(Completion::Result(result)) => rmp_serde::from_slice(&result).map_err(Failure::bug),
            Some(Completion::Failed { class, text }) => Err(Failure::of(class, text)),
            Some(Completion::Dropped) => {
                Err(Failure::cancelled(format!("the step `{}` was dropped", self.intent.name)))
            }
            Some(Completion::Time(_) | Completion::Changed(_)) => return Err(self.at.diverged(&self.intent)),
        };
        Ok(Some(answered))
    }

    async fn intend(&self, log: &StepLog) -> Result<(), Failure> {
        self.at.commit(log, vec![self.intent_record()], |_| ()).await?;
        log.intended(self.at.message, self.at.number, self.intent.clone());
        Ok(())
    }

    fn intent_record(&self) -> Record {
        StepLog::intent_record(self.at.message, self.at.number, &self.intent)
    }

    /// Writes down what it intends, if that is not on disk, together with `records`, and calls `then` in the writer's turn.
    /// Without a journal `then` is called at once.
    pub(crate) async fn begin(
        &self,
        mut records: Vec<Record>,
        then: impl FnOnce(&Committed) + Send + 'static,
    ) -> Result<(), Failure> {
        let at = &self.at;
        let Some(log) = at.log.as_ref() else {
            if records.is_empty() {
                then(&Committed { seq: CommitSeq(0), deliveries: Vec::new() });
                return Ok(());
            }
            let sent = commit_then(at.cell, Batch::from_outside(records), then).await;
            return sent.map_err(Failure::external);
        };
        let is_begun = log.recorded(at.message, at.number).is_some();
        if is_begun {
            self.tell_repeated();
        } else {
            records.insert(0, self.intent_record());
        }
        at.commit(log, records, then).await?;
        if !is_begun {
            log.intended(at.message, at.number, self.intent.clone());
        }
        Ok(())
    }

    /// Writes down what came of it.
    pub(crate) async fn end<T: Serialize>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &self.at.log {
            Some(log) => self.complete(log, outcome).await,
            None => outcome,
        }
    }

    /// Writes down what came of it, and gives that back.
    async fn complete<T: Serialize>(&self, log: &StepLog, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let completion = match &outcome {
            Ok(value) => Completion::Result(rmp_serde::to_vec_named(value).map_err(Failure::bug)?),
            Err(failure) if matches!(failure.class(), FailureClass::External | FailureClass::Cancelled) => {
                return outcome;
            }
            Err(failure) => Completion::of_failure(failure),
        };
        let (message, number) = (self.at.message, self.at.number);
        self.at.commit(log, vec![StepLog::completion_record(message, number, &completion)], |_| ()).await?;
        log.completed(message, number, completion);
        outcome
    }

    async fn attempts<T, Fut>(&self, call: impl Fn() -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, Failure>>,
    {
        let world = &self.at.cell.core.world;
        let mut tried = 0;
        loop {
            let outcome = match self.timeout {
                None => call().await,
                Some(limit) => world.clock.within(limit, call()).await.unwrap_or_else(|| {
                    Err(Failure::external(format!(
                        "the step `{}` took longer than {limit:?}",
                        self.intent.name
                    )))
                }),
            };
            match outcome {
                Err(failure) if failure.class() == FailureClass::External && tried + 1 < self.tries => {
                    world.clock.sleep(world.config.external_backoff.delay(tried, world.random())).await;
                    tried += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn in_doubt(&self) -> Failure {
        let (number, step, key) = (self.at.number, self.intent.name.clone(), self.key.clone());
        self.at.park(ParkedFor::InDoubt { number, step, key })
    }

    fn tell_repeated(&self) {
        let core = &self.at.cell.core;
        let (path, step, key) = (core.path.clone(), self.intent.name.clone(), self.key.clone());
        tracing::warn!(actor = %path, step, key, "a step that was in flight is repeated");
        core.world.publish(RuntimeEvent::StepRepeated { path, step, key });
    }
}

impl<A: Actor> StepPlace<'_, A> {
    /// What came of this step, if the journal tells of this very one.
    fn recorded(&self, log: &StepLog, intent: &Intent) -> Result<Option<Completion>, Failure> {
        match log.recorded(self.message, self.number) {
            None => Ok(None),
            Some(Recorded { intent: Some(before), completion })
                if (&before.name, before.effect, before.input)
                    == (&intent.name, intent.effect, intent.input) =>
            {
                Ok(completion)
            }
            Some(_) => Err(self.diverged(intent)),
        }
    }

    /// Parks the message: the journal tells of another step in this place.
    pub(crate) fn diverged(&self, intent: &Intent) -> Failure {
        let recorded = self.log.as_ref().and_then(|log| log.recorded(self.message, self.number));
        let recorded = recorded.map_or_else(String::new, |recorded| describe(&recorded));
        let made = format!("`{}` ({:?}, input {:016x})", intent.name, intent.effect, intent.input);
        self.park(ParkedFor::Diverged { number: self.number, recorded, made })
    }

    pub(crate) fn park(&self, why: ParkedFor) -> Failure {
        self.trouble.found(Found::Parked(Parked { message: self.message, why }))
    }

    /// Commits `written`, behind whatever was noted.
    pub(crate) async fn commit(
        &self,
        log: &StepLog,
        written: Vec<Record>,
        then: impl FnOnce(&Committed) + Send + 'static,
    ) -> Result<(), Failure> {
        let core = &self.cell.core;
        if !core.is_current(self.incarnation) {
            return Err(Failure::cancelled("the incarnation was replaced"));
        }
        let mut records = log.take_pending();
        records.extend(written);
        let batch = Batch::of(core.path.clone(), self.epoch, records);
        match commit_then(self.cell, batch, then).await {
            Ok(()) => Ok(()),
            // Too large to be kept: the handler's doing, not the store's.
            Err(CommitError::Store(error @ StoreError::TooLarge { .. })) => Err(Failure::exhausted(error)),
            Err(error) => Err(self.trouble.found(Found::Unstored(error))),
        }
    }
}

/// What a step was, for people to read.
pub(crate) fn describe(recorded: &Recorded) -> String {
    match recorded {
        Recorded { intent: Some(Intent { name, effect, input, .. }), .. } => {
            format!("`{name}` ({effect:?}, input {input:016x})")
        }
        Recorded { completion: Some(Completion::Changed(name)), .. } => format!("the change `{name}`"),
        Recorded { .. } => "a look at the clock".to_owned(),
    }
}

/// What is known of an effect that was in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// It happened, with this result.
    Done(T),
    /// It did not happen: it is made now.
    NotDone,
    /// Nobody can say: the actor is parked.
    Nothing,
}

/// Writes down that a step was dropped in the middle of its call.
struct DropNote<'a, 'x, A: Actor> {
    step: &'a Step<'x, A>,
    log: &'a StepLog,
    is_through: bool,
}

impl<A: Actor> DropNote<'_, '_, A> {
    fn let_go(mut self) {
        self.is_through = true;
    }
}

impl<A: Actor> Drop for DropNote<'_, '_, A> {
    fn drop(&mut self) {
        // With the handler itself, or by it? Only what goes along with a later commit of this handler counts.
        if !self.is_through {
            self.log.note(self.step.at.message, self.step.at.number, Completion::Dropped);
        }
    }
}
