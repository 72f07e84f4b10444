//! Logs: entries that are appended to a part of a state, and trimmed.

use std::ops::Range;

use super::Plan;
use super::behind;
use crate::address::ActorPath;
use crate::store::layout::Engine;
use crate::store::record::{ContentKey, RecordKey, log_prefix};
use crate::store::{LogEntry, StoreError, content};

impl<E: Engine> Plan<'_, E> {
    pub(super) fn append(&mut self, actor: &ActorPath, entry: &LogEntry) -> Result<(), StoreError> {
        let key = ContentKey::Entry(entry.log, entry.index);
        self.remove(actor, &key)?;
        content::put(&mut self.writes, actor, &key, &entry.content);
        Ok(())
    }

    /// Costs a look at each entry that goes, and at none that stays.
    pub(super) fn trim(&mut self, actor: &ActorPath, log: u32, keep: &Range<u64>) -> Result<(), StoreError> {
        let prefix = log_prefix(actor, log);
        let first_of = |index| RecordKey::Content(ContentKey::Entry(log, index), 0).encode(actor);
        if keep.is_empty() {
            return self.remove_between(&prefix, None, &prefix);
        }
        self.remove_between(&prefix, Some(&first_of(keep.start)), &prefix)?;
        self.remove_between(&first_of(keep.end), None, &prefix)
    }

    /// Removes all that lies from `from` on, under `prefix`, up to `end`.
    fn remove_between(&mut self, from: &[u8], end: Option<&[u8]>, prefix: &[u8]) -> Result<(), StoreError> {
        let is_within = |key: &Vec<u8>| key.starts_with(prefix) && end.is_none_or(|end| key.as_slice() < end);
        let planned = self.writes.range_mut(from.to_vec()..).take_while(|(key, _)| is_within(key));
        planned.for_each(|(_, value)| *value = None);
        let mut next = from.to_vec();
        while let Some(key) = self.engine.next_key(&next)?.filter(is_within) {
            next = behind(key.clone());
            self.writes.insert(key, None);
        }
        Ok(())
    }
}
