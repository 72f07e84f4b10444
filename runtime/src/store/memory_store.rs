//! A store that lives in memory, laid out byte for byte as on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::{self, Engine, Entries, Writes};
use super::{
    Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, Ownership, Scan, SoleOwner, Store, StoreError,
    StoreHead, StoreId, StorePromise, StoredBudgets,
};
use crate::address::ActorPath;

/// A store that lives in memory and is gone with its last clone.
///
/// Clones share their content, so a test "restarts the process" by giving a clone to the next runtime, once the one before
/// is shut down.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    content: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    owner: SoleOwner,
    id: StoreId,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_id(StoreId::random())
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store with an id of your own, for tests that know the [keys](crate::Step::key) of their steps.
    pub fn with_id(id: StoreId) -> Self {
        MemoryStore { content: Arc::default(), owner: SoleOwner::default(), id }
    }

    /// Every raw record, for tests that damage them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn raw_records(&self) -> Entries {
        self.content().clone().into_iter().collect()
    }

    /// Puts a raw record in its place, or removes it, for tests that damage them.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let mut content = self.content();
        match value {
            Some(value) => content.insert(key, value),
            None => content.remove(&key),
        };
    }

    fn content(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        // Poison is no news: each change below is complete before anything can panic.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        layout::commit(self, group)
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        layout::scan(self, actor)
    }

    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        layout::unfinished(self)
    }

    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        layout::laid_aside(self, actor)
    }

    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        layout::actors(self)
    }

    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        layout::case(self, case)
    }

    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        layout::cases(self, after, most)
    }

    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        layout::budgets(self)
    }

    fn promise(&self) -> StorePromise {
        StorePromise::Nothing
    }

    fn own(&self) -> Result<Ownership, StoreError> {
        self.owner.take(Path::new("memory"))
    }

    fn head(&self) -> Result<StoreHead, StoreError> {
        layout::head(self)
    }

    fn end(&self) -> Result<(), StoreError> {
        layout::end(self)
    }
}

impl Engine for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.content().get(key).cloned())
    }

    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        let content = self.content();
        let from_prefix = content.range(prefix.to_vec()..);
        Ok(from_prefix
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let content = self.content();
        let from_prefix = content.range(prefix.to_vec()..).map(|(key, _)| key);
        Ok(from_prefix.take_while(|key| key.starts_with(prefix)).cloned().collect())
    }

    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.content().range(from.to_vec()..).next().map(|(key, _)| key.clone()))
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let mut content = self.content();
        for (key, value) in writes {
            match value {
                Some(value) => content.insert(key, value),
                None => content.remove(&key),
            };
        }
        Ok(())
    }

    fn fresh_id(&self) -> StoreId {
        self.id
    }
}
