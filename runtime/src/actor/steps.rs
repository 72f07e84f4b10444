//! What a handler does outside, and what it must not make up anew when it runs again: calls, time, chance, names.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::actor::{Actor, Context};
use crate::dice;
use crate::durable::{Completion, Effect, Found, Parked, ParkedFor, Step, StepLog, StepPlace, describe};

impl<A: Actor> Context<'_, A> {
    /// One call to the world outside, whose result is kept: `step.run(|| async { … step.key() … }).await`.
    ///
    /// Its number within the message is fixed here, so make steps in an order that the message and the state alone decide.
    /// `input` is what the call depends on: when the message is handled again, it must be the same. `name` is for people,
    /// and must be the same as well.
    ///
    /// ```
    /// # use greenroom_runtime::{Actor, Context, Effect, Failure};
    /// # async fn classify(text: &str, key: &str) -> Result<String, Failure> { Ok(format!("{text} {key}")) }
    /// # async fn example<A: Actor>(cx: &Context<'_, A>, text: &str) -> Result<String, Failure> {
    /// let step = cx.step("classify", Effect::Pure, text);
    /// let label = step.run(|| async { classify(text, step.key()).await }).await?;
    /// # Ok(label)
    /// # }
    /// ```
    pub fn step<I: Serialize + ?Sized>(&self, name: &str, effect: Effect, input: &I) -> Step<'_, A> {
        Step::new(self.next_place(), name, effect, input)
    }

    /// The time, in milliseconds since 1970: the same when the message is handled again after a step that came later.
    pub fn time_ms(&self) -> u64 {
        let place = self.next_place();
        let Some(log) = &place.log else { return self.clock().wall_ms() };
        match log.recorded(place.message, place.number).and_then(|recorded| recorded.completion) {
            Some(Completion::Time(ms)) => ms,
            Some(_) => {
                place.park(diverged(&place, log, "a look at the clock"));
                self.clock().wall_ms()
            }
            None => {
                let ms = self.clock().wall_ms();
                log.note(place.message, place.number, Completion::Time(ms));
                ms
            }
        }
    }

    /// A number by chance: the same when the message is handled again. Not for secrets.
    pub fn random(&self) -> u64 {
        let place = self.next_place();
        dice::hash(format!("{}-{}-{}", self.path(), place.message, place.number).bytes())
    }

    /// A name that nothing else has in this store: the same when the message is handled again.
    pub fn new_id(&self) -> String {
        let place = self.next_place();
        format!("{}-{}-{}", self.path(), place.message, place.number)
    }

    /// Whether the code that `name` stands for may run: not while a message is handled again that did without it. So that
    /// a program may be changed while journals of the old one are around:
    /// `if cx.changed("ask-twice") { cx.step("second opinion", …) … }`.
    pub fn changed(&self, name: &str) -> bool {
        let place = self.place_at(self.steps.load(Ordering::Relaxed));
        let Some(log) = &place.log else { return true };
        match log.recorded(place.message, place.number) {
            Some(recorded) => {
                let is_new = recorded.completion == Some(Completion::Changed(name.to_owned()));
                self.steps.fetch_add(u32::from(is_new), Ordering::Relaxed);
                is_new
            }
            // Nothing from here on: whatever is written now, this code writes.
            None => {
                self.steps.fetch_add(1, Ordering::Relaxed);
                log.note(place.message, place.number, Completion::Changed(name.to_owned()));
                true
            }
        }
    }

    /// What kept the message from its end, if the handler found it or did not make a step of its journal any more.
    pub(crate) fn trouble(&mut self, is_handled: bool) -> Option<Found> {
        self.journal.as_ref()?;
        let found = self.trouble.take();
        if found.is_some() || !is_handled {
            return found;
        }
        let made = *self.steps.get_mut();
        let place = self.place_at(made);
        let log = place.log.clone()?;
        let (number, recorded) = log.next_from(place.message, place.number)?;
        let message = place.message;
        let why = ParkedFor::Diverged { number, recorded: describe(&recorded), made: String::new() };
        Some(Found::Parked(Parked { message, why }))
    }

    fn next_place(&self) -> StepPlace<'_, A> {
        self.place_at(self.steps.fetch_add(1, Ordering::Relaxed))
    }

    fn place_at(&self, number: u32) -> StepPlace<'_, A> {
        let journal = self.journal.as_ref().filter(|_| self.is_transaction());
        StepPlace {
            cell: self.cell,
            incarnation: self.incarnation,
            log: journal.map(|journal| journal.log().clone()),
            epoch: self.epoch(),
            message: self.head.origin(),
            number,
            trouble: &self.trouble,
        }
    }
}

fn diverged<A: Actor>(place: &StepPlace<'_, A>, log: &StepLog, made: &str) -> ParkedFor {
    let recorded = log.recorded(place.message, place.number);
    let recorded = recorded.map_or_else(String::new, |recorded| describe(&recorded));
    ParkedFor::Diverged { number: place.number, recorded, made: made.to_owned() }
}
