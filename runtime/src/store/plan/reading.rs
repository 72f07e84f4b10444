//! What a plan finds: the records of the store, with what is planned already.

use std::collections::BTreeMap;

use super::Plan;
use crate::address::ActorPath;
use crate::store::StoreError;
use crate::store::content::{self, Parts};
use crate::store::layout::Engine;
use crate::store::record::{ContentKey, RecordKey, actor_prefix};

impl<E: Engine> Plan<'_, E> {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(planned) => Ok(planned.clone()),
            None => self.engine.get(key),
        }
    }

    pub(super) fn entries(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let mut entries: BTreeMap<_, _> = self.engine.entries(prefix)?.into_iter().collect();
        for (key, value) in self.planned(prefix) {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(entries)
    }

    /// All keys that start with `prefix`, in no order.
    pub(super) fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let planned = self.planned(prefix).filter(|(_, value)| value.is_some());
        let planned: Vec<Vec<u8>> = planned.map(|(key, _)| key.clone()).collect();
        let mut keys = self.engine.keys(prefix)?;
        keys.retain(|key| !self.writes.contains_key(key));
        keys.extend(planned);
        Ok(keys)
    }

    pub(super) fn has_records(&self, actor: &ActorPath) -> Result<bool, StoreError> {
        let prefix = actor_prefix(actor);
        let is_planned = self.planned(&prefix).next().is_some();
        Ok(is_planned || self.engine.next_key(&prefix)?.is_some_and(|key| key.starts_with(&prefix)))
    }

    /// What is planned for keys that start with `prefix`.
    pub(super) fn planned<'p>(
        &'p self,
        prefix: &'p [u8],
    ) -> impl Iterator<Item = (&'p Vec<u8>, &'p Option<Vec<u8>>)> {
        self.writes.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Something long; `None` if it is not there.
    pub(super) fn content(&self, actor: &ActorPath, key: &ContentKey) -> Result<Option<Vec<u8>>, StoreError> {
        let first_key = RecordKey::Content(key.clone(), 0).encode(actor);
        if let Some(first) = self.get(&first_key)?
            && let Some(content) = content::of_one_part(&first_key, first, key.kind())
        {
            return Ok(Some(content));
        }
        let entries = self.entries(&first_key)?;
        let prefix_len = actor_prefix(actor).len();
        let mut parts = Parts::default();
        for (found, value) in &entries {
            if let Some(RecordKey::Content(found_key, part)) = RecordKey::decode(&found[prefix_len..])
                && found_key == *key
            {
                parts.0.insert(part, (found, value));
            }
        }
        // Without the first part, but with others, it was there and is damaged.
        match parts.join(key.kind()) {
            Err(_) if parts.0.is_empty() => Ok(None),
            Ok(content) => Ok(Some(content)),
            Err(broken) => Err(broken.into_error(actor, key)),
        }
    }

    /// Removes something long that was read whole as `content`.
    pub(super) fn remove_read(
        &mut self,
        actor: &ActorPath,
        key: &ContentKey,
        content: &[u8],
    ) -> Result<(), StoreError> {
        if content::is_one_part(content.len()) {
            self.writes.insert(RecordKey::Content(key.clone(), 0).encode(actor), None);
            return Ok(());
        }
        self.remove(actor, key)
    }

    /// Removes something long, whatever is left of it: a damaged first part does not tell how many there are.
    pub(super) fn remove(&mut self, actor: &ActorPath, key: &ContentKey) -> Result<(), StoreError> {
        for part in self.keys(&RecordKey::Content(key.clone(), 0).encode(actor))? {
            self.writes.insert(part, None);
        }
        Ok(())
    }
}

/// The first key that may come after `key`.
pub(in crate::store) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0x00);
    key
}
