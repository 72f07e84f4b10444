//! A part of a state that is only appended to: what was added since the last commit is written, and no more.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::durable::logs::{self, NO_LOG, Reference};

/// A field of a durable state that grows at its end, such as the history of a conversation.
///
/// A [`Durable`](crate::Durable) state is written whole with each message that changes it. A log in it is not: each entry is
/// a record of its own, written once, with the commit of the message that pushed it. The rest of the state should be short
/// then. What a failed message has pushed is gone, like everything else that its handler left in the state.
///
/// Entries are read, and never changed; those at the front go with [`keep_last`](Log::keep_last) and [`clear`](Log::clear).
/// All that are kept are in memory, and are read when a life begins: that alone, and 2^64 pushes, bounds their number. An
/// entry has at most [`CONTENT_LEN_MAX`](crate::CONTENT_LEN_MAX) bytes in its stored form; a message that pushes a longer
/// one fails as [`Exhausted`](crate::FailureClass::Exhausted). An entry costs 36 bytes and its key on
/// disk, and about 40 bytes in memory, beside itself.
///
/// It may stand anywhere in a state, also in an `Option` or a map, and moves like any other value. A clone is a log of its
/// own: its entries are written once more. Elsewhere than in the state of an actor with a store it is, by serde, the sequence
/// of its entries; a state that was stored with a `Vec` in this place is read, and from then on stored as a log.
///
/// ```
/// use greenroom_runtime::Log;
///
/// let mut history: Log<String> = Log::new();
/// for said in ["hello", "how are you?", "fine"] {
///     history.push(said.to_owned());
/// }
/// history.keep_last(2);
/// assert_eq!(history.iter().map(String::as_str).collect::<Vec<_>>(), ["how are you?", "fine"]);
/// ```
pub struct Log<T> {
    /// Which log of its state it is, as far as that was stored.
    id: AtomicU32,
    /// The index of the first entry.
    first: u64,
    entries: VecDeque<Arc<T>>,
}

impl<T> Log<T> {
    /// A log without entries.
    pub fn new() -> Self {
        Log { id: AtomicU32::new(NO_LOG), first: 0, entries: VecDeque::new() }
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: T) {
        self.entries.push_back(Arc::new(entry));
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at that position, from 0: the oldest that is kept.
    pub fn get(&self, position: usize) -> Option<&T> {
        self.entries.get(position).map(|entry| &**entry)
    }

    /// The newest entry.
    pub fn last(&self) -> Option<&T> {
        self.entries.back().map(|entry| &**entry)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.entries.iter().map(|entry| &**entry)
    }

    /// Lets all entries go but the newest `len`. They leave the disk with the second commit from here that changes the
    /// state: until then, the snapshot of before knows them.
    pub fn keep_last(&mut self, len: usize) {
        let gone = self.len().saturating_sub(len);
        self.entries.drain(..gone);
        self.first += gone as u64;
    }

    /// Lets all entries go, as [`keep_last`](Log::keep_last) does.
    pub fn clear(&mut self) {
        self.keep_last(0);
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Log::new()
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        // The number is no more than a guess: of two logs that have one, the second to be stored gets another.
        let id = AtomicU32::new(self.id.load(Ordering::Relaxed));
        Log { id, first: self.first, entries: self.entries.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Log<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: PartialEq> PartialEq for Log<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for Log<T> {}

impl<T> Extend<T> for Log<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        self.entries.extend(entries.into_iter().map(Arc::new));
    }
}

impl<T> FromIterator<T> for Log<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut log = Log::new();
        log.extend(entries);
        log
    }
}

impl<T: Serialize + Send + Sync + 'static> Serialize for Log<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match logs::note(self.id.load(Ordering::Relaxed), self.first, &self.entries) {
            None => serializer.collect_seq(self.iter()),
            Some(Ok(reference)) => {
                self.id.store(reference.log, Ordering::Relaxed);
                reference.serialize(serializer)
            }
            Some(Err(text)) => Err(S::Error::custom(text)),
        }
    }
}

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Deserialize<'de> for Log<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match logs::is_reading() {
            true => deserializer.deserialize_any(Stored(PhantomData)),
            false => deserializer.deserialize_seq(Stored(PhantomData)),
        }
    }
}

/// Reads the reference to a log that is stored, or its entries.
struct Stored<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned + Send + Sync + 'static> Visitor<'de> for Stored<T> {
    type Value = Log<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log, or a sequence of entries")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut entries: S) -> Result<Log<T>, S::Error> {
        let mut log = Log::new();
        while let Some(entry) = entries.next_element()? {
            log.push(entry);
        }
        Ok(log)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Log<T>, M::Error> {
        let reference = Reference::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let entries = logs::fetch(&reference).map_err(M::Error::custom)?;
        Ok(Log { id: AtomicU32::new(reference.log), first: reference.first, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_like_what_was_pushed() {
        let mut log: Log<u32> = (0..5).collect();
        log.push(5);
        log.keep_last(4);

        assert_eq!((log.len(), log.get(0), log.get(4), log.last()), (4, Some(&2), None, Some(&5)));
        assert_eq!(log.iter().rev().copied().collect::<Vec<_>>(), [5, 4, 3, 2]);
        assert_eq!(format!("{log:?}"), "[2, 3, 4, 5]");
        assert_eq!(log, (2..6).collect(), "what went before makes no difference");
        log.clear();
        assert!(log.is_empty() && log.last().is_none());
    }

    #[test]
    fn elsewhere_than_in_a_stored_state_a_log_is_a_sequence() {
        let log: Log<u32> = (0..3).collect();

        let bytes = rmp_serde::to_vec_named(&log).unwrap();

        assert_eq!(bytes, rmp_serde::to_vec_named(&vec![0, 1, 2]).unwrap());
        assert_eq!(rmp_serde::from_slice::<Log<u32>>(&bytes).unwrap(), log);
    }
}
