//! What only a mailbox needs whose mail is stored: the store gives the numbers, and says what waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use crate::mailbox::queue::{Gate, Mailbox, Queued, add};
use crate::message::MessageId;
use crate::message::envelope::Parcel;
use crate::store::Tries;
use crate::sync::{drop_quietly, raced};

impl<E: Parcel> Mailbox<E> {
    /// Fills a place that was held with a message that has its number. `Err`: nobody reads here for now.
    pub(crate) fn fill_as(&self, mut queued: Queued<E>, id: MessageId) -> Result<(), Queued<E>> {
        let inbound = raced::lock(&self.inbound);
        if matches!(inbound.gate, Gate::Shelved | Gate::Closed) {
            return Err(queued);
        }
        queued.head.id = id;
        self.enqueue_as(inbound, queued);
        Ok(())
    }

    /// The numbers of all that wait, oldest first.
    pub(crate) fn waiting_ids(&self) -> Vec<MessageId> {
        let batch = raced::lock(&self.batch);
        let inbound = raced::lock(&self.inbound);
        batch.items.iter().chain(&inbound.items).map(|queued| queued.head.id).collect()
    }

    /// How long the long ones are that wait, in bytes. Looks at each.
    pub(crate) fn long_bytes(&self) -> usize {
        let batch = raced::lock(&self.batch);
        let inbound = raced::lock(&self.inbound);
        let waiting = batch.items.iter().chain(&inbound.items);
        waiting.filter_map(|queued| queued.head.kept.as_ref()).map(|kept| kept.long_bytes).sum()
    }

    /// The first in line and how often it was tried, this opening of the store included if it is one.
    pub(crate) fn count_opening(&self, is_opening: bool) -> Option<(MessageId, Tries)> {
        let mut batch = raced::lock(&self.batch);
        let head = &mut batch.items.front_mut()?.head;
        if is_opening {
            head.kept.get_or_insert_default().openings += 1;
        }
        let openings = head.kept.as_ref().map_or(0, |kept| kept.openings);
        Some((head.id, Tries { falls: head.tries, openings }))
    }

    /// Adds `missing`, all with numbers up to `upto`, each in its place, and takes out what has such a number and is not
    /// stored. May exceed the capacity.
    pub(crate) fn reconcile(
        &self,
        missing: Vec<Queued<E>>,
        upto: MessageId,
        is_stored: impl Fn(MessageId) -> bool,
    ) -> Vec<Queued<E>> {
        let mut batch = raced::lock(&self.batch);
        let mut inbound = raced::lock(&self.inbound);
        let waiting = batch.items.drain(..).collect::<Vec<_>>().into_iter().chain(inbound.items.drain(..));
        let (mut all, gone): (Vec<_>, Vec<_>) =
            waiting.partition(|queued| queued.head.id > upto || is_stored(queued.head.id));
        add(&self.given, missing.len());
        add(&self.freed, gone.len());
        all.extend(missing);
        all.sort_by_key(|queued| queued.head.id);
        let mut later = std::mem::take(&mut inbound.arrivals);
        batch.arrivals.append(&mut later);
        if let Some(first) = all.first() {
            batch.arrivals.found(first.head.id, self.clock.elapsed_ms());
        }
        batch.items = all.into();
        gone
    }
}

/// Messages that were sent again under a request id while the first still waits: who asked with them is answered with it.
///
/// Made when the first comes: most actors never have one.
pub(crate) struct Repeats<E>(OnceLock<Box<Mutex<Waiting<E>>>>);

type Waiting<E> = BTreeMap<MessageId, Vec<Queued<E>>>;

impl<E> Default for Repeats<E> {
    fn default() -> Self {
        Repeats(OnceLock::new())
    }
}

impl<E: Parcel> Repeats<E> {
    /// Keeps `repeat` until the message `first` is done; gives it back if nobody asked with it.
    pub(crate) fn wait_with(&self, first: MessageId, repeat: Queued<E>) -> Option<Queued<E>> {
        if repeat.parcel.reply().is_none() {
            return Some(repeat);
        }
        let is_open = |repeat: &Queued<E>| repeat.parcel.reply().is_some_and(|reply| reply.is_open());
        let gone: Vec<_> = {
            let mut repeats = crate::sync::lock(self.0.get_or_init(Box::default));
            let waiting = repeats.entry(first).or_default();
            // Who gave up goes, or whoever asks again and again would fill the memory.
            let gone = waiting.extract_if(.., |repeat| !is_open(repeat)).collect();
            waiting.push(repeat);
            gone
        };
        drop_quietly(gone);
        None
    }

    /// All that wait for anything.
    pub(crate) fn take_all(&self) -> Vec<Queued<E>> {
        let Some(waiting) = self.0.get() else { return Vec::new() };
        std::mem::take(&mut *crate::sync::lock(waiting)).into_values().flatten().collect()
    }

    /// Those that wait for `first`, which is done.
    pub(crate) fn take(&self, first: MessageId) -> Vec<Queued<E>> {
        let Some(waiting) = self.0.get() else { return Vec::new() };
        crate::sync::lock(waiting).remove(&first).unwrap_or_default()
    }
}
