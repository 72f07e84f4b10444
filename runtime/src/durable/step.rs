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
use crate::message::encoding::{encoded, stored_bytes};
use crate::message::{Failure, FailureClass, MessageId};
use crate::store::{
    Batch, CONTENT_LEN_MAX, CommitError, CommitSeq, Committed, JOURNAL_LEN_MAX, Link, REQUEST_LEN_MAX,
    Record, StoreError,
};

/// The most steps that one message may make.
pub const STEPS_MAX: u32 = 10_000;

/// Longest result of a step, in bytes.
const RESULT_LEN_MAX: usize = CONTENT_LEN_MAX;

/// Longest name of a step, in bytes: it stands in the journal beside the result.
const NAME_LEN_MAX: usize = 4 << 10;
const _BOTH_FIT: () = assert!(RESULT_LEN_MAX + NAME_LEN_MAX + 256 <= JOURNAL_LEN_MAX);

/// One call to the world outside, made by [`Context::step`](crate::Context::step).
///
/// Its identity (its number within the message, its name, effect and input) and its key are fixed when the handle is made,
/// in the order of the program, whatever the order of polling. Run it with [`run`](Step::run), or let it go.
pub struct Step<'x, A: Actor> {
    pub(super) at: StepPlace<'x, A>,
    pub(super) intent: Intent,
    key: String,
    pub(super) tries: u32,
    pub(super) timeout: Option<Duration>,
}

/// Where a step stands: its message, its number, and the journal in which it is written.
pub(crate) struct StepPlace<'x, A: Actor> {
    pub(crate) cell: &'x Arc<Cell<A>>,
    pub(crate) incarnation: Incarnation,
    /// `None`: the actor keeps no journal, and steps are plain calls.
    pub(crate) log: Option<Arc<StepLog>>,
    pub(crate) epoch: Epoch,
    /// What is written of it stands on the commits of the messages before.
    pub(crate) link: Link,
    /// The number under which the message was accepted first.
    pub(crate) message: MessageId,
    pub(crate) number: u32,
    pub(crate) trouble: &'x Trouble,
}

/// What keeps a message from its end, found on the way: the handler need not know. Boxed, for each actor has room for it.
#[derive(Default)]
pub(crate) struct Trouble(std::sync::Mutex<Option<Box<Found>>>);

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
        crate::sync::lock(&self.0).get_or_insert(Box::new(found));
        failure
    }

    pub(crate) fn take(&mut self) -> Option<Found> {
        self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take().map(|found| *found)
    }
}

impl<'x, A: Actor> Step<'x, A> {
    pub(crate) fn new<I: Serialize + ?Sized>(
        at: StepPlace<'x, A>,
        name: &str,
        effect: Effect,
        input: &I,
    ) -> Self {
        let key = at.name();
        // What has no encoded form hashes to 0: the same each time.
        let input = encoded(input, |bytes| dice::hash(bytes.iter().copied())).unwrap_or(0);
        let intent = Intent { name: name.to_owned(), effect, input, may_repeat: false, anchor: None };
        Step { at, intent, key, tries: 3, timeout: None }
    }

    /// For the other side to recognise a repetition by: the same each time this step is made, whatever happens in between,
    /// and of no other step, of this store or another: the [id of the store](crate::StoreId) is in it. (Two copies of one
    /// store, such as a backup that is opened beside it, give the same keys.) Of an actor that is not durable: the same for
    /// the tries in this runtime, and in no later one.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How often the call is made before an [`External`](FailureClass::External) failure is the handler's, at least once,
    /// with the waits of [`RuntimeConfig::external_backoff`](crate::RuntimeConfig::external_backoff) between. An
    /// [`Effect::Once`] is made again only if its failure says that [nothing
    /// happened](Failure::nothing_happened); else the actor is parked, or [`check`](Step::run_checked) is asked, as after a
    /// failure of class [`Cancelled`](FailureClass::Cancelled). Default: 3.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries.max(1);
        self
    }

    /// How long one try may take; one that takes longer is an [`External`](FailureClass::External) failure, and of an
    /// [`Effect::Once`] a doubt. Default: no limit.
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
    /// `call` must not change the actor's state, nor make steps: a result from the journal does not call it.
    ///
    /// # Errors
    ///
    /// What `call` fails with. A failure of class [`External`](FailureClass::External) or
    /// [`Cancelled`](FailureClass::Cancelled) is an attempt: run again, it is made again. Any other is a result, and comes
    /// again from the journal, as class and text; so does that of a value that cannot be kept, for it is longer than 1 MiB
    /// ([`Exhausted`](FailureClass::Exhausted)) or has no encoded form ([`Bug`](FailureClass::Bug)).
    /// [`Exhausted`](FailureClass::Exhausted) for a step beyond [`STEPS_MAX`], or with a name of more than 4 KiB. And a
    /// failure that the handler must hand on,
    /// if the step cannot be made now: it is in doubt, or the journal tells of another step ([`Parked`]), or the store
    /// failed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the step is written down as dropped, with the next commit of the handler: run again, it
    /// fails as [`Cancelled`](FailureClass::Cancelled). Dropped with its handler, it is in flight.
    pub async fn run<T, Fut>(&self, call: impl Fn() -> Fut) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<T, Failure>>,
    {
        self.run_checked(call, || std::future::ready(Ok(Known::Nothing))).await
    }

    /// As [`run`](Step::run), and asks `check` when an [`Effect::Once`] is in doubt, whether it happened. One flush for its
    /// answer, and those of the call if that is made.
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
        let Some(log) = &self.at.log else { return self.attempts(call).await };
        if let Some(answered) = self.answered()? {
            return answered;
        }
        let unless_through = self.unless_through();
        let outcome = self.run_in(log, call, check).await;
        unless_through.let_go();
        outcome
    }

    async fn run_in<T, Fut, Check>(
        &self,
        log: &Arc<StepLog>,
        call: impl Fn() -> Fut,
        check: impl Fn() -> Check,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<T, Failure>>,
        Check: Future<Output = Result<Known<T>, Failure>>,
    {
        let (message, number) = (self.at.message, self.at.number);
        let begun = log.recorded(message, number).and_then(|recorded| recorded.intent);
        // Of a message that was taken up, it may have begun long before the messages whose commits are under way now.
        if begun.is_some() && !self.at.link.is_free() {
            self.intend(log).await?;
        }
        match begun {
            None | Some(Intent { may_repeat: true, .. }) => self.intend(log).await?,
            // Begun in this life, and not in flight: the handler failed over it, and runs again.
            Some(_) if log.try_begins(message, number) => {}
            // In flight when the life before ended.
            Some(_) if self.intent.effect == Effect::Once => match check().await? {
                Known::Done(value) => return self.complete(log, Ok(value)).await,
                Known::NotDone => self.intend(log).await?,
                Known::Nothing => return Err(self.in_doubt()),
            },
            Some(_) => self.tell_repeated(),
        }
        let mut tried = 0;
        loop {
            let outcome = match self.attempt(&call).await {
                Err(failure) if self.leaves_doubt(&failure) => {
                    tracing::warn!(step = self.intent.name, key = self.key, %failure, "perhaps it happened");
                    match check().await? {
                        Known::Done(value) => Ok(value),
                        Known::NotDone => Err(failure.nothing_happened()),
                        Known::Nothing => return Err(self.in_doubt()),
                    }
                }
                outcome => outcome,
            };
            match outcome {
                Err(failure) if self.comes_again(&failure, tried) => tried = self.pause(tried).await,
                outcome => return self.complete(log, outcome).await,
            }
        }
    }

    /// Whether it is written down, and so made once.
    pub(crate) fn is_journaled(&self) -> bool {
        self.at.log.is_some()
    }

    /// The key as a request id: as long as such may be.
    pub(crate) fn request(&self) -> String {
        if self.key.len() <= REQUEST_LEN_MAX {
            return self.key.clone();
        }
        let (path, message, number) = (self.at.cell.core.path.to_string(), self.at.message, self.at.number);
        let (hash, other) = (dice::hash(path.bytes()), dice::hash(path.bytes().rev()));
        let store = self.at.cell.core.world.store_id();
        format!("{hash:016x}{other:016x}-{store}-{message}-{number}")
    }

    /// Writes down that the step was dropped, unless it is told otherwise.
    pub(crate) fn unless_through(&self) -> DropNote<'_, 'x, A> {
        DropNote { step: self, is_through: false }
    }

    /// What the journal says, if the step is through.
    pub(crate) fn answered<T: DeserializeOwned>(&self) -> Result<Option<Result<T, Failure>>, Failure> {
        let Some(log) = &self.at.log else { return Ok(None) };
        if self.at.number >= STEPS_MAX {
            return Err(Failure::exhausted(format!("a message makes at most {STEPS_MAX} steps")));
        }
        if self.intent.name.len() > NAME_LEN_MAX {
            return Err(Failure::exhausted(format!("a name of a step has at most {NAME_LEN_MAX} bytes")));
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

    async fn intend(&self, log: &Arc<StepLog>) -> Result<(), Failure> {
        let intended = Recorded::intent(self.intent.clone());
        self.at.commit(log, Some(intended), Vec::new(), |_| ()).await
    }

    /// Writes down what it intends, if that is not on disk, together with `records`, and calls `then` in the writer's turn.
    /// Without a journal `then` is called at once.
    pub(crate) async fn begin(
        &self,
        records: Vec<Record>,
        then: impl FnOnce(&Committed) + Send + 'static,
    ) -> Result<(), Failure> {
        let at = &self.at;
        let Some(log) = at.log.as_ref() else {
            if records.is_empty() {
                then(&Committed { seq: CommitSeq(0), deliveries: Vec::new() });
                return Ok(());
            }
            let sent = commit_then(at.cell, Batch::from_outside(records), Link::Free, then).await;
            return sent.map_err(Failure::external);
        };
        let is_begun = log.recorded(at.message, at.number).is_some();
        if is_begun && !log.try_begins(at.message, at.number) {
            self.tell_repeated();
        }
        let intended = (!is_begun).then(|| Recorded::intent(self.intent.clone()));
        at.commit(log, intended, records, then).await
    }

    /// Writes down what came of it.
    pub(crate) async fn end<T: Serialize>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &self.at.log {
            Some(log) => self.complete(log, outcome).await,
            None => outcome,
        }
    }

    /// Writes down what came of it, and gives that back.
    async fn complete<T: Serialize>(
        &self,
        log: &Arc<StepLog>,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (outcome, through) = self.through(log, outcome)?;
        self.at.commit(log, Some(through), Vec::new(), |_| ()).await?;
        outcome
    }

    /// What is to be written of that outcome. `Err`: it was an attempt, and nothing is.
    pub(super) fn through<T: Serialize>(
        &self,
        log: &StepLog,
        outcome: Result<T, Failure>,
    ) -> Result<(Result<T, Failure>, Recorded), Failure> {
        let encoded = match &outcome {
            Ok(value) => self.encoded(value),
            Err(failure) => Err(failure.clone()),
        };
        let (outcome, completion) = match encoded {
            Ok(result) => (outcome, Completion::Result(result)),
            Err(failure) if matches!(failure.class(), FailureClass::External | FailureClass::Cancelled) => {
                log.try_ended(self.at.message, self.at.number);
                return Err(failure);
            }
            Err(failure) => {
                let completion = Completion::of_failure(&failure);
                (Err(failure), completion)
            }
        };
        Ok((outcome, Recorded::through(self.intent.clone(), completion)))
    }

    /// What cannot be kept is a failure of its own, and that is kept: the call was made, and must not be made again.
    fn encoded<T: Serialize>(&self, value: &T) -> Result<Vec<u8>, Failure> {
        let result = stored_bytes(value).map_err(Failure::bug)?;
        let (len, max) = (result.len(), RESULT_LEN_MAX);
        if len > max {
            let actor = self.at.cell.core.path.clone();
            return Err(Failure::exhausted(StoreError::TooLarge {
                actor,
                what: "result of a step",
                len,
                max,
            }));
        }
        Ok(result)
    }

    pub(super) fn in_doubt(&self) -> Failure {
        let (number, step, key) = (self.at.number, self.intent.name.clone(), self.key.clone());
        self.at.park(ParkedFor::InDoubt { number, step, key })
    }

    pub(super) fn tell_repeated(&self) {
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

    /// What chance depends on: the same in every store, so that a test with a fresh one runs as before.
    pub(crate) fn seed(&self) -> String {
        let StepPlace { cell, message, number, .. } = self;
        match &self.log {
            Some(_) => format!("{}-{message}-{number}", cell.core.path),
            None => self.name(),
        }
    }

    /// Of no other step of any store; without a journal, of no other step of this runtime.
    pub(crate) fn name(&self) -> String {
        let StepPlace { cell, message, number, .. } = self;
        let core = &cell.core;
        if self.log.is_some() {
            return format!("{}-{}-{message}-{number}", core.path, core.world.store_id());
        }
        // Its numbers begin anew with each runtime and each cell, and what is no message has none.
        let life = if *message == MessageId::default() { self.incarnation.0 } else { 0 };
        let born = [core.world.clock.started_ms(), core.id, life];
        let born = dice::hash(born.into_iter().flat_map(u64::to_be_bytes));
        format!("{}-{born:016x}-{message}-{number}", core.path)
    }

    /// Commits what was noted, then `written` of this step, then `records`; and calls `then` in the writer's turn.
    ///
    /// Dropped early, it may be committed all the same, and then the log knows of it.
    pub(crate) async fn commit(
        &self,
        log: &Arc<StepLog>,
        written: Option<Recorded>,
        records: Vec<Record>,
        then: impl FnOnce(&Committed) + Send + 'static,
    ) -> Result<(), Failure> {
        let core = &self.cell.core;
        if !core.is_current(self.incarnation) {
            return Err(Failure::cancelled("the incarnation was replaced"));
        }
        let mut entries = log.pending();
        entries.extend(written.map(|written| ((self.message, self.number), written)));
        let mut all = StepLog::records(&entries);
        // What a handler notes goes in front of what it sends: deliveries are told apart by their place among themselves.
        all.extend(records);
        let log = log.clone();
        let then = move |committed: &Committed| {
            log.written(entries);
            then(committed);
        };
        let batch = Batch::of(core.path.clone(), self.epoch, all);
        match commit_then(self.cell, batch, self.link.clone(), then).await {
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

/// Writes down that a step was dropped before it was through.
pub(crate) struct DropNote<'a, 'x, A: Actor> {
    step: &'a Step<'x, A>,
    is_through: bool,
}

impl<A: Actor> DropNote<'_, '_, A> {
    pub(crate) fn let_go(mut self) {
        self.is_through = true;
    }
}

impl<A: Actor> Drop for DropNote<'_, '_, A> {
    fn drop(&mut self) {
        let Step { at, intent, .. } = self.step;
        // With the handler itself, or by it? Only what goes along with a later commit of this handler counts. The intent
        // goes with it, for nobody knows whether that is on its way.
        if !self.is_through
            && let Some(log) = &at.log
        {
            let dropped = Recorded { intent: Some(intent.clone()), completion: Some(Completion::Dropped) };
            log.note(at.message, at.number, dropped);
        }
    }
}
