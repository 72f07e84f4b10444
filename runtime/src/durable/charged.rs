//! A step whose call is charged to a budget: reserved at its worst case before it leaves, settled with its result.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::anchor::{AnchorJournal, EndsWith, StepAttempt};
use super::step::Step;
use super::step_log::{Effect, Intent, Recorded, StepLog};
use crate::actor::Actor;
use crate::budget::{Amount, Budget, BudgetError, Hold};
use crate::message::Failure;
use crate::store::{ChargeKey, Committed, Record};

/// What a call returned, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed<T> {
    /// What it returned: kept in the journal.
    pub value: T,
    /// What it came to: booked in the same commit.
    pub spent: Amount,
}

/// A [`Step`] whose calls are charged to a budget: see [`Step::charged`].
pub struct ChargedStep<'x, A: Actor> {
    step: Step<'x, A>,
    budget: Budget,
    worst: Amount,
}

impl<'x, A: Actor> Step<'x, A> {
    /// Charges each call of this step to `budget`: `worst`, the most that one call can come to, is reserved before it
    /// leaves, and what it did come to is booked with its result. Set [`tries`](Step::tries) and
    /// [`timeout`](Step::timeout) before.
    ///
    /// ```
    /// # use greenroom_runtime::*;
    /// # async fn classify(text: &str, key: &str) -> Result<(String, u64), Failure> { Ok((format!("{text} {key}"), 12)) }
    /// # async fn example<A: Actor>(cx: &Context<'_, A>, text: &str) -> Result<String, Failure> {
    /// let budget = cx.budget("acme/run-7")?;
    /// let worst = Amount { tokens: text.len() as u64 + 500, ..Amount::call() };
    /// let step = cx.step("classify", Effect::Pure, text).charged(&budget, worst);
    /// let label = step.run_billed(|_| async {
    ///     let (value, tokens) = classify(text, step.key()).await?;
    ///     Ok(Billed { value, spent: Amount { tokens, ..Amount::call() } })
    /// });
    /// label.await
    /// # }
    /// ```
    #[must_use]
    pub fn charged(self, budget: &Budget, worst: Amount) -> ChargedStep<'x, A> {
        ChargedStep { step: self, budget: budget.clone(), worst }
    }
}

/// What is known of what a call came to.
enum Bill {
    Known(Amount),
    /// It is suspected.
    Unknown,
}

/// What an attempt begins with.
struct Begun {
    hold: Hold,
    anchored: Option<Vec<u8>>,
}

impl<A: Actor> ChargedStep<'_, A> {
    /// As [`Step::key`].
    pub fn key(&self) -> &str {
        self.step.key()
    }

    /// As [`Step::tries`].
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.step = self.step.tries(tries);
        self
    }

    /// As [`Step::timeout`].
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.step = self.step.timeout(limit);
        self
    }

    /// Makes the call, unless its result is in the journal: then that, and nothing is charged.
    ///
    /// The reservation is on disk together with the intent, before the call is made, and what the call came to together with its
    /// result: two flushes, as for any step. A call that failed is settled with what the failure says it was
    /// [billed](Failure::billed), or with nothing if it says that [nothing happened](Failure::nothing_happened). Else nobody
    /// knows, as of one that took too long, was cut, or was in flight at a crash: it stays charged, and is
    /// [listed](crate::Budgets::suspected), until somebody [reconciles](crate::Budgets::reconcile) it. The next attempt
    /// reserves anew, at the cost of one more flush; but one that can [go on](StepAttempt::anchored) where the one before
    /// was keeps its charge. An [`Effect::Once`] with an anchor goes on as well, and is not parked for it.
    ///
    /// Without a journal, as of an actor that is not durable, the same holds in memory alone.
    ///
    /// # Errors
    ///
    /// As [`Step::run`]. If the budget refuses, nothing is written and nothing called, and the failure is of class
    /// [`Exhausted`](crate::FailureClass::Exhausted), with the [`BudgetError`] as its [cause](Failure::cause_as).
    ///
    /// # Cancel safety
    ///
    /// As [`Step::run`]; a call that may have left is suspected.
    pub async fn run_billed<T, Fut>(&self, call: impl Fn(StepAttempt) -> Fut) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<Billed<T>, Failure>>,
    {
        let Some(log) = &self.step.at.log else { return self.attempts(None, call).await };
        if let Some(answered) = self.step.answered()? {
            return answered;
        }
        let unless_through = self.step.unless_through();
        let outcome = self.attempts(Some(log), call).await;
        unless_through.let_go();
        outcome
    }

    async fn attempts<T, Fut>(
        &self,
        log: Option<&Arc<StepLog>>,
        call: impl Fn(StepAttempt) -> Fut,
    ) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        Fut: Future<Output = Result<Billed<T>, Failure>>,
    {
        let step = &self.step;
        let Begun { mut hold, mut anchored } = self.begin(log).await?;
        let mut tried = 0;
        loop {
            let attempt = StepAttempt::new(anchored.take(), log.map(|log| self.anchors(log)));
            let ends = EndsWith(attempt.clone());
            hold.mark_charged();
            let outcome = step.attempt(&|| call(attempt.clone())).await;
            let noted = attempt.end();
            drop(ends);
            let failure = match outcome {
                Ok(Billed { value, spent }) => {
                    return self.end(log, hold, Ok(value), Bill::Known(spent)).await;
                }
                Err(failure) => failure,
            };
            let bill = failure.bill().map_or(Bill::Unknown, Bill::Known);
            let goes_on = noted.is_some() && matches!(bill, Bill::Unknown);
            if !step.comes_again(&failure, tried) {
                let is_doubtful = step.leaves_doubt(&failure) && !goes_on && matches!(bill, Bill::Unknown);
                if log.is_some() && is_doubtful {
                    return Err(step.in_doubt());
                }
                return self.end(log, hold, Err(failure), bill).await;
            }
            tried = step.pause(tried).await;
            if goes_on {
                anchored = noted;
                continue;
            }
            hold = match bill {
                // Nothing was charged, so what is set aside is still there.
                Bill::Known(Amount::ZERO) if noted.is_none() => hold,
                Bill::Known(spent) => match self.reserve() {
                    Ok(next) => {
                        let settled = [(&hold, spent)];
                        self.write(log, Some(self.intent(None)), &settled, Some(&next)).await?;
                        next
                    }
                    Err(refused) => {
                        return self.end(log, hold, Err(refused.into()), Bill::Known(spent)).await;
                    }
                },
                Bill::Unknown => {
                    drop(hold); // suspected, before the next is reserved
                    self.charge_anew(log).await?
                }
            };
        }
    }

    /// What the first attempt of this run begins with.
    async fn begin(&self, log: Option<&Arc<StepLog>>) -> Result<Begun, Failure> {
        let (at, anchored) = (&self.step.at, None);
        let Some(log) = log else { return Ok(Begun { hold: self.reserve()?, anchored }) };
        let begun = log.recorded(at.message, at.number).and_then(|recorded| recorded.intent);
        let begun = begun.filter(|intent| !intent.may_repeat);
        let Some(begun) = begun else {
            return Ok(Begun { hold: self.charge_anew(Some(log)).await?, anchored });
        };
        // Begun in this life, and not in flight: the handler failed over it, and runs again.
        let has_ended = log.try_begins(at.message, at.number);
        let remember = || {
            if has_ended {
                log.try_ended(at.message, at.number);
            }
        };
        if let Some(anchor) = begun.anchor {
            let before = self.key_of_charge().and_then(|key| self.budget.take_up(&key, self.worst));
            let (hold, is_new) = match before {
                Some(hold) => (hold, false),
                // Somebody has reconciled it meanwhile.
                None => (self.reserve().inspect_err(|_| remember())?, true),
            };
            // Of a message that was taken up, it may have begun long before the messages whose commits are under way now.
            if is_new || !at.link.is_free() {
                let new = is_new.then_some(&hold);
                self.write(Some(log), Some(self.intent(Some(anchor.clone()))), &[], new).await?;
            }
            return Ok(Begun { hold, anchored: Some(anchor) });
        }
        if !has_ended && self.step.intent.effect == Effect::Once {
            return Err(self.step.in_doubt());
        }
        let hold = self.reserve().inspect_err(|_| remember())?;
        if !has_ended {
            self.step.tell_repeated();
        }
        self.write(Some(log), Some(self.intent(None)), &[], Some(&hold)).await?;
        Ok(Begun { hold, anchored })
    }

    /// The last attempt is over: writes down what came of it, and what it came to.
    async fn end<T: Serialize>(
        &self,
        log: Option<&Arc<StepLog>>,
        hold: Hold,
        outcome: Result<T, Failure>,
        bill: Bill,
    ) -> Result<T, Failure> {
        let (outcome, through) = match log {
            None => (outcome, None),
            Some(log) => match self.step.through(log, outcome) {
                Ok((outcome, through)) => (outcome, Some(through)),
                // An attempt: run again, it is made again.
                Err(failure) => (Err(failure), None),
            },
        };
        match bill {
            Bill::Known(spent) => self.write(log, through, &[(&hold, spent)], None).await?,
            Bill::Unknown if through.is_some() => self.write(log, through, &[], None).await?,
            Bill::Unknown => {}
        }
        outcome
    }

    async fn charge_anew(&self, log: Option<&Arc<StepLog>>) -> Result<Hold, Failure> {
        let hold = self.reserve()?;
        self.write(log, Some(self.intent(None)), &[], Some(&hold)).await?;
        Ok(hold)
    }

    /// In memory; on disk with the next [`write`](ChargedStep::write).
    fn reserve(&self) -> Result<Hold, BudgetError> {
        self.budget.reserve(self.worst, self.key_of_charge())
    }

    /// `None`: it is in memory alone.
    fn key_of_charge(&self) -> Option<ChargeKey> {
        let at = &self.step.at;
        at.log.as_ref()?;
        let (node, actor) = (self.budget.path().clone(), at.cell.core.path.clone());
        Some(ChargeKey { node, actor, message: at.message, step: at.number, attempt: 0 })
    }

    fn intent(&self, anchor: Option<Vec<u8>>) -> Recorded {
        Recorded::intent(Intent { anchor, ..self.step.intent.clone() })
    }

    /// One commit: what is written of the step, what is settled, what is charged. Memory follows in the writer's turn.
    async fn write(
        &self,
        log: Option<&Arc<StepLog>>,
        written: Option<Recorded>,
        settled: &[(&Hold, Amount)],
        charged: Option<&Hold>,
    ) -> Result<(), Failure> {
        let records: Vec<Record> = settled
            .iter()
            .filter_map(|(hold, spent)| hold.settle_record(*spent))
            .chain(charged.and_then(Hold::charge_record))
            .collect();
        let settled: Vec<(Hold, Amount)> =
            settled.iter().map(|(hold, spent)| ((*hold).clone(), *spent)).collect();
        let charged = charged.cloned();
        let then = move || {
            settled.iter().for_each(|(hold, spent)| hold.settle(*spent));
            charged.iter().for_each(Hold::mark_charged);
        };
        match log {
            Some(log) => self.step.at.commit(log, written, records, move |_: &Committed| then()).await,
            None => {
                then();
                Ok(())
            }
        }
    }

    fn anchors(&self, log: &Arc<StepLog>) -> AnchorJournal {
        let (at, core) = (&self.step.at, &self.step.at.cell.core);
        AnchorJournal {
            world: core.world.clone(),
            path: core.path.clone(),
            epoch: at.epoch,
            link: at.link.clone(),
            log: log.clone(),
            id: (at.message, at.number),
            intent: self.step.intent.clone(),
        }
    }
}
