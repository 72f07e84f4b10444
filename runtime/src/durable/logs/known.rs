//! What one life knows of the logs of its state: the entries in memory, and how far each log has got on disk.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::handover::{Reading, Set, Source, Task, reading};
use crate::actor::MigrateError;
use crate::store::{Damage, DamagePlace, LogEntry, Record};

/// An entry that a state shares with the states it may go back to: it is never changed.
pub(super) type Shared = Arc<dyn Any + Send + Sync>;

/// Entries by log.
type Ranges = BTreeMap<u32, Range<u64>>;

/// What one life knows of the logs of its state.
#[derive(Default)]
pub(crate) struct Logs(Option<Box<Known>>);

#[derive(Default)]
pub(super) struct Known {
    pub(super) marks: Marks,
    /// The entries of the state after the last message, and of those before it that may come back.
    pub(super) entries: BTreeMap<u32, Kept>,
    /// Of `last`, and not written yet: of a state that is stored now and then.
    unwritten: Vec<LogEntry>,
    pub(super) draft: Draft,
}

/// How far each log has got.
#[derive(Clone, Debug, Default)]
pub(in crate::durable) struct Marks {
    /// The number of the next new log.
    pub(super) next: u32,
    /// What the state after the last message knows.
    pub(super) last: Ranges,
    /// What the newest snapshot knows.
    snapshot: Ranges,
    /// Where there are records.
    on_disk: Ranges,
}

/// The entries of one log. Those that never were in a state that was encoded are left out.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) first: u64,
    pub(super) entries: VecDeque<Option<Shared>>,
}

impl Kept {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn get(&self, index: u64) -> Option<&Shared> {
        self.entries.get(usize::try_from(index.checked_sub(self.first)?).ok()?)?.as_ref()
    }

    fn put(&mut self, index: u64, entry: Shared) {
        if self.entries.is_empty() {
            self.first = index;
        }
        self.entries.resize(index.saturating_sub(self.first) as usize, None);
        self.entries.push_back(Some(entry));
    }

    fn drop_before(&mut self, first: u64) {
        let gone = first.saturating_sub(self.first).min(self.entries.len() as u64);
        self.entries.drain(..gone as usize);
        self.first += gone;
    }

    /// Whether `entries`, from `first` on, are those that a state `knows` here, trimmed and appended to. Entries are shared
    /// and not made anew, so the last one that both have tells of all before it.
    pub(super) fn goes_on_in<T>(&self, knows: &Range<u64>, first: u64, entries: &VecDeque<Arc<T>>) -> bool {
        let is_within = knows.start <= first && knows.end <= first + entries.len() as u64;
        if !is_within || knows.end <= first {
            return is_within; // with nothing that both have, all that there is will be written
        }
        let (own, theirs) = (self.get(knows.end - 1), entries.get((knows.end - 1 - first) as usize));
        own.zip(theirs).is_some_and(|(own, theirs)| std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(theirs)))
    }
}

/// The logs of the state that was encoded last.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) next: u32,
    pub(super) knows: Ranges,
    pub(super) appended: Vec<(LogEntry, Shared)>,
    /// Length of an entry that is too long.
    pub(super) too_long: Option<usize>,
}

impl Logs {
    /// Reads a state by `read`, whose entries are among `stored`, or were refused for what `damage` says.
    ///
    /// # Errors
    ///
    /// What `read` says, and why an entry cannot be had, whatever `read` makes of that.
    pub(in crate::durable) fn read<A>(
        stored: Vec<LogEntry>,
        damage: &[Damage],
        read: impl FnOnce() -> Result<A, MigrateError>,
    ) -> Result<(A, Self), MigrateError> {
        let damaged = damage.iter().filter_map(|damage| match damage.place {
            DamagePlace::LogEntry { log, index } => Some(((log, index), Err(damage.reason))),
            _ => None,
        });
        let sound = stored.into_iter().map(|LogEntry { log, index, content }| ((log, index), Ok(content)));
        let entries: BTreeMap<_, _> = sound.chain(damaged).collect();
        let mut on_disk = Ranges::new();
        entries.keys().for_each(|(log, index)| reach(&mut on_disk, *log, *index));
        let (state, Reading { found, .. }) = reading(Source::Store(entries), read);
        let state = state?;
        let last: Ranges = found.iter().map(|(log, kept)| (*log, kept.first..kept.end())).collect();
        // A log that was not read may be one that a snapshot knows: it goes later than it could.
        let snapshot: Ranges = on_disk.clone().into_iter().chain(last.clone()).collect();
        let next = snapshot.last_key_value().map_or(0, |(log, _)| log + 1);
        let marks = Marks { next, last, snapshot, on_disk };
        Ok((state, Logs(Some(Box::new(Known { marks, entries: found, ..Known::default() })))))
    }

    /// Reads the state of after the last message again, by `read`.
    pub(in crate::durable) fn read_last<A>(
        &mut self,
        read: impl FnOnce() -> Result<A, MigrateError>,
    ) -> Result<A, MigrateError> {
        let (state, reading) = reading(Source::Memory(self.0.take().unwrap_or_default()), read);
        if let Source::Memory(known) = reading.source {
            self.0 = Some(known);
        }
        state
    }

    /// Encodes a state by `encode`.
    pub(in crate::durable) fn encode<T>(&mut self, encode: impl FnOnce() -> T) -> T {
        let mut known = self.0.take().unwrap_or_default();
        known.draft = Draft { next: known.marks.next, ..Draft::default() };
        let mut back = None;
        let encoded = {
            let _set = Set::begin(Task::Encode(known), &mut back);
            encode()
        };
        if let Some(Task::Encode(known)) = back {
            self.0 = Some(known);
        }
        encoded
    }

    /// The length of an entry that is too long, of the state that was encoded last.
    pub(in crate::durable) fn too_long(&self) -> Option<usize> {
        self.0.as_ref()?.draft.too_long
    }

    /// The state of after the last message is to be stored, and not the one that was encoded last.
    pub(in crate::durable) fn go_back_to_last(&mut self) {
        let Some(known) = &mut self.0 else { return };
        let (next, knows) = (known.marks.next, known.marks.last.clone());
        known.draft = Draft { next, knows, ..Draft::default() };
    }

    /// What goes along with the snapshot of the state that was encoded last. Once for each time that it was encoded.
    pub(in crate::durable) fn take_records(&mut self) -> Vec<Record> {
        let Some(known) = &mut self.0 else { return Vec::new() };
        let Known { marks, unwritten, draft, .. } = &mut **known;
        let trims = marks.trims().map(|(log, keep)| Record::Trim { log, keep });
        let is_known =
            |entry: &&LogEntry| draft.knows.get(&entry.log).is_some_and(|knows| knows.contains(&entry.index));
        let mut records: Vec<_> = trims.collect();
        records.extend(unwritten.iter().filter(is_known).cloned().map(Record::Append));
        records.extend(draft.appended.iter_mut().map(|(LogEntry { log, index, content }, _)| {
            Record::Append(LogEntry { log: *log, index: *index, content: std::mem::take(content) })
        }));
        records
    }

    /// The state that was encoded last, and what went along with it, is stored, or will be before anything that follows.
    pub(in crate::durable) fn is_stored(&mut self) {
        let Some(known) = &mut self.0 else { return };
        let Known { marks, unwritten, draft, .. } = &mut **known;
        for (log, keep) in marks.trims().collect::<Vec<_>>() {
            match keep.is_empty() {
                true => drop(marks.on_disk.remove(&log)),
                false => drop(marks.on_disk.insert(log, keep)),
            }
        }
        let appended = draft.appended.iter().map(|(entry, _)| entry);
        for entry in unwritten.iter().chain(appended) {
            reach(&mut marks.on_disk, entry.log, entry.index);
        }
        unwritten.clear();
        marks.snapshot.clone_from(&draft.knows);
        known.is_last();
    }

    /// The state that was encoded last is that of after the last message, and not stored yet.
    pub(in crate::durable) fn is_not_stored(&mut self) {
        let Some(known) = &mut self.0 else { return };
        known.unwritten.extend(known.draft.appended.iter_mut().map(|(entry, _)| {
            let content = std::mem::take(&mut entry.content);
            LogEntry { content, ..*entry }
        }));
        known.is_last();
    }

    /// How far they have got: for [`rewind`](Logs::rewind).
    pub(in crate::durable) fn marks(&self) -> Marks {
        self.0.as_ref().map_or_else(Marks::default, |known| known.marks.clone())
    }

    /// Lets go what no state knows that may come back: that of `oldest`, or the last one.
    pub(in crate::durable) fn forget_before(&mut self, oldest: Option<&Marks>) {
        let Some(Known { marks, entries, .. }) = self.0.as_deref_mut() else { return };
        let oldest = oldest.unwrap_or(marks);
        entries.retain(|log, kept| match oldest.last.get(log) {
            Some(knows) => {
                kept.drop_before(knows.start);
                true
            }
            // One that is newer may be known to a state in between.
            None => *log >= oldest.next,
        });
    }

    /// They are as they were at `marks`: what was encoded since was refused.
    pub(in crate::durable) fn rewind(&mut self, marks: Marks) {
        let Some(known) = &mut self.0 else { return };
        known.entries.retain(|log, kept| match marks.last.get(log) {
            Some(knows) => {
                kept.entries.truncate(knows.end.saturating_sub(kept.first) as usize);
                true
            }
            None => false,
        });
        known.marks = marks;
    }
}

#[cfg(test)]
impl Logs {
    pub(super) fn entries_in_memory(&self) -> usize {
        let kept = self.0.iter().flat_map(|known| known.entries.values());
        kept.map(|kept| kept.entries.len()).sum()
    }
}

impl Known {
    fn is_last(&mut self) {
        for (LogEntry { log, index, .. }, entry) in self.draft.appended.drain(..) {
            self.entries.entry(log).or_default().put(index, entry);
        }
        self.marks.next = self.draft.next;
        self.marks.last = std::mem::take(&mut self.draft.knows);
    }
}

impl Marks {
    /// What is to be kept of each log of which there is more on disk than the newest snapshot knows.
    fn trims(&self) -> impl Iterator<Item = (u32, Range<u64>)> {
        self.on_disk.iter().filter_map(|(log, on_disk)| {
            let keep = self.snapshot.get(log).cloned().unwrap_or_default();
            let is_kept = keep.start <= on_disk.start && on_disk.end <= keep.end;
            (!is_kept).then_some((*log, keep))
        })
    }
}

/// Stretches the range of `log` to `index`.
fn reach(ranges: &mut Ranges, log: u32, index: u64) {
    let range = ranges.entry(log).or_insert(index..index);
    *range = range.start.min(index)..range.end.max(index + 1);
}
