//! What a handler does outside, and what it must not make up anew when it runs again: calls, time, chance, names.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::actor::{Actor, Context};
use crate::dice;
use crate::durable::{
    Completion, Effect, Found, Parked, ParkedFor, Recorded, Step, StepLog, StepPlace, describe,
};
use crate::message::MessageId;

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

    /// The time, in milliseconds since 1970: the same when the message is handled again after a step that came later. Has a
    /// number, as a step has, and costs no flush of its own.
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
                log.note(place.message, place.number, Recorded::completion(Completion::Time(ms)));
                ms
            }
        }
    }

    /// A number by chance: the same when the message is handled again. Not for secrets. Has a number, as a step has, and
    /// leaves nothing in the journal. Two stores may give the same numbers.
    pub fn random(&self) -> u64 {
        dice::hash(self.next_unwritten("a number by chance").seed().bytes())
    }

    /// A name that nothing else has, in this store or another: the same when the message is handled again. Of an actor that is not
    /// durable: that nothing else has in this runtime.
    pub fn new_id(&self) -> String {
        self.next_unwritten("a new name").name()
    }

    /// Whether the code that `name` stands for may run: not while a message is handled again that did without it. So that
    /// a program may be changed while journals of the old one are around:
    /// `if cx.changed("ask-twice") { cx.step("second opinion", …) … }`. Decided anew at each place where it stands.
    pub fn changed(&self, name: &str) -> bool {
        let place = self.place_at(self.steps.load(Ordering::Relaxed));
        let Some(log) = &place.log else { return true };
        // Not this number alone: what is no call leaves none behind.
        match log.next_from(place.message, place.number) {
            Some((number, recorded)) => {
                let changed = Completion::Changed(name.to_owned());
                let is_new = number == place.number && recorded.completion == Some(changed);
                self.steps.fetch_add(u32::from(is_new), Ordering::Relaxed);
                is_new
            }
            // Nothing from here on: whatever is written now, this code writes.
            None => {
                self.steps.fetch_add(1, Ordering::Relaxed);
                let changed = Recorded::completion(Completion::Changed(name.to_owned()));
                log.note(place.message, place.number, changed);
                true
            }
        }
    }

    /// Whether the message is to be handled though its asker gave up: it was sent under a request id, to be done once; or
    /// it has begun, and what it did outside must not be forgotten.
    pub(crate) fn is_wanted_anyway(&self) -> bool {
        let is_requested = || self.head.kept.as_ref().is_some_and(|kept| kept.request.is_some());
        let journal = self.journal.as_ref().filter(|_| self.is_transaction());
        journal.is_some_and(|journal| is_requested() || journal.log().knows(self.head.origin()))
    }

    /// Whether there can be any [`trouble`](Context::trouble).
    #[inline]
    pub(crate) fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// What kept the message from its end, if the handler found it or, at its end, did not make a step of its journal any
    /// more.
    pub(crate) fn trouble(&mut self, is_end: bool) -> Option<Found> {
        self.journal.as_ref()?;
        let found = self.trouble.take();
        if found.is_some() || !is_end {
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

    /// What has a number of its own, and leaves nothing in the journal.
    fn next_unwritten(&self, made: &str) -> StepPlace<'_, A> {
        let place = self.next_place();
        if let Some(log) = &place.log
            && log.recorded(place.message, place.number).is_some()
        {
            place.park(diverged(&place, log, made));
        }
        place
    }

    fn next_place(&self) -> StepPlace<'_, A> {
        self.place_at(self.steps.fetch_add(1, Ordering::Relaxed))
    }

    fn place_at(&self, number: u32) -> StepPlace<'_, A> {
        // What is no message is no transaction either: nobody would ever delete its journal.
        let is_kept = self.is_transaction() && self.head.id != MessageId::default();
        let journal = self.journal.as_ref().filter(|_| is_kept);
        StepPlace {
            cell: self.cell,
            incarnation: self.incarnation,
            log: journal.map(|journal| journal.log().clone()),
            epoch: self.epoch(),
            link: journal.map_or_else(Default::default, |journal| journal.follows()),
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
