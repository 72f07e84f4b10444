//! What a log hands over when its state is encoded, and gets when it is read. It is serde that comes by, which takes no
//! argument of ours, so it lies with the thread meanwhile.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::known::{Kept, Known, Shared};
use crate::actor::MigrateError;
use crate::message::encoding::stored_bytes;
use crate::store::{CONTENT_LEN_MAX, DamageReason, LogEntry};

/// The number of a log that has none yet.
pub(crate) const NO_LOG: u32 = u32::MAX;

/// What a stored state holds of one log.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) log: u32,
    pub(crate) first: u64,
    len: u64,
}

/// A map, whatever the encoder makes of structs: a sequence would pass for entries.
impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("log", self.log.into()), ("first", self.first), ("len", self.len)])
    }
}

/// What a state that is being encoded or read has to do with.
pub(super) enum Task {
    Encode(Box<Known>),
    Read(Box<Reading>),
}

/// Where a state that is being read finds its entries.
pub(super) struct Reading {
    pub(super) source: Source,
    pub(super) found: BTreeMap<u32, Kept>,
    trouble: Option<MigrateError>,
}

pub(super) enum Source {
    /// What was scanned; or why an entry was refused.
    Store(BTreeMap<(u32, u64), Result<Vec<u8>, DamageReason>>),
    /// The state that a failure goes back to.
    Memory(Box<Known>),
}

thread_local! {
    /// Set while the state of an actor is encoded or read, and at no other time.
    static TASK: RefCell<Option<Task>> = const { RefCell::new(None) };
}

fn swap_task(task: Option<Task>) -> Option<Task> {
    TASK.with(|current| current.replace(task))
}

/// Takes the task off the thread, and puts it back: meanwhile the author's code runs, and a log within an entry is a part
/// of that entry.
struct Aside(Option<Task>);

impl Aside {
    fn begin() -> Self {
        Aside(swap_task(None))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        swap_task(self.0.take());
    }
}

/// A task of the thread, until it goes: then what was there before is put back, also when the author's code panics.
pub(super) struct Set<'a> {
    outer: Option<Task>,
    /// Where the task goes.
    back: &'a mut Option<Task>,
}

impl<'a> Set<'a> {
    pub(super) fn begin(task: Task, back: &'a mut Option<Task>) -> Self {
        Set { outer: swap_task(Some(task)), back }
    }
}

impl Drop for Set<'_> {
    fn drop(&mut self) {
        *self.back = swap_task(self.outer.take());
    }
}

/// Called by a log that is encoded: what stands in its state for it. `None`: it is no part of a stored state.
///
/// # Errors
///
/// Why an entry cannot be stored.
pub(crate) fn note<T: Serialize + Send + Sync + 'static>(
    log: u32,
    first: u64,
    entries: &VecDeque<Arc<T>>,
) -> Option<Result<Reference, String>> {
    let mut aside = Aside::begin();
    let Some(Task::Encode(known)) = &mut aside.0 else { return None };
    let Known { marks, entries: kept, draft, .. } = &mut **known;
    let knows = marks.last.get(&log).filter(|_| !draft.knows.contains_key(&log));
    let none = Kept::default();
    let goes_on = |knows: &&Range<u64>| kept.get(&log).unwrap_or(&none).goes_on_in(knows, first, entries);
    let (log, written) = match knows.filter(goes_on) {
        Some(knows) => (log, knows.end),
        None => {
            draft.next += 1;
            (draft.next - 1, 0)
        }
    };
    let new = usize::try_from(written.saturating_sub(first)).unwrap_or(usize::MAX);
    for (index, entry) in (first.max(written)..).zip(entries.iter().skip(new)) {
        let content = match stored_bytes(&**entry) {
            Ok(content) => content,
            Err(error) => return Some(Err(error.to_string())),
        };
        if content.len() > CONTENT_LEN_MAX {
            draft.too_long = Some(content.len());
            return Some(Err(format!("an entry of a log has {} bytes", content.len())));
        }
        draft.appended.push((LogEntry { log, index, content }, entry.clone()));
    }
    draft.knows.insert(log, first..first + entries.len() as u64);
    Some(Ok(Reference { log, first, len: entries.len() as u64 }))
}

/// Whether the state of an actor is being read.
pub(crate) fn is_reading() -> bool {
    TASK.with(|task| matches!(*task.borrow(), Some(Task::Read(_))))
}

/// Called by a log that is read: its entries.
///
/// # Errors
///
/// Why there is one that cannot be had.
pub(crate) fn fetch<T>(reference: &Reference) -> Result<VecDeque<Arc<T>>, String>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let mut aside = Aside::begin();
    let Some(Task::Read(reading)) = &mut aside.0 else { return Err("no state is being read".into()) };
    let Reference { log, first, len } = *reference;
    let mut entries = VecDeque::new();
    for index in first..first.saturating_add(len) {
        match reading.source.entry(log, index) {
            Ok(entry) => entries.push_back(entry),
            Err(error) => {
                let text = error.to_string();
                reading.trouble = Some(error);
                return Err(text);
            }
        }
    }
    let shared = entries.iter().map(|entry: &Arc<T>| Some(entry.clone() as Shared)).collect();
    reading.found.insert(log, Kept { first, entries: shared });
    Ok(entries)
}

impl Source {
    fn entry<T>(&self, log: u32, index: u64) -> Result<Arc<T>, MigrateError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let lost = |reason| MigrateError::LostEntry { log, index, reason };
        match self {
            Source::Store(entries) => match entries.get(&(log, index)) {
                Some(Ok(content)) => rmp_serde::from_slice(content)
                    .map(Arc::new)
                    .map_err(|source| MigrateError::UnreadableEntry { log, index, source }),
                Some(Err(reason)) => Err(lost(*reason)),
                None => Err(lost(DamageReason::Missing)),
            },
            Source::Memory(known) => {
                let entry = known.entries.get(&log).and_then(|kept| kept.get(index)).cloned();
                let entry = entry.ok_or_else(|| lost(DamageReason::Missing))?;
                entry.downcast().map_err(|_| lost(DamageReason::OutOfStep))
            }
        }
    }
}

/// Reads a state by `read`, with its entries from `source`.
pub(super) fn reading<A>(
    source: Source,
    read: impl FnOnce() -> Result<A, MigrateError>,
) -> (Result<A, MigrateError>, Reading) {
    let mut back = None;
    let state = {
        let reading = Reading { source, found: BTreeMap::new(), trouble: None };
        let _set = Set::begin(Task::Read(Box::new(reading)), &mut back);
        read()
    };
    let Some(Task::Read(mut reading)) = back else {
        unreachable!("whoever takes the task off the thread puts it back")
    };
    let state = match (reading.trouble.take(), state) {
        // Also where the author's code made something else of it: a lost entry is never skipped.
        (Some(lost @ MigrateError::LostEntry { .. }), _) => Err(lost),
        (Some(trouble), Err(_)) => Err(trouble),
        (_, state) => state,
    };
    (state, *reading)
}
