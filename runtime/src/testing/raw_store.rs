//! Records as bytes, beneath all checks: for tests that damage them.

use std::sync::Arc;

use crate::store::{MemoryStore, Store, StoreError};

/// A record as it lies in the engine: key and value.
pub type RawRecord = (Vec<u8>, Vec<u8>);

/// A store whose records a test can reach beneath all checks.
///
/// [`FaultyStore`](super::FaultyStore) tears and flips through it. An engine of your own needs it for that alone.
pub trait RawStore: Store {
    /// Every record, sorted by key. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot read.
    fn raw_records(&self) -> Result<Vec<RawRecord>, StoreError>;

    /// Puts a record in its place, or removes it. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot write.
    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError>;
}

impl RawStore for MemoryStore {
    fn raw_records(&self) -> Result<Vec<RawRecord>, StoreError> {
        Ok(MemoryStore::raw_records(self))
    }

    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        MemoryStore::put_raw(self, key, value);
        Ok(())
    }
}

impl<S: RawStore + ?Sized> RawStore for Arc<S> {
    fn raw_records(&self) -> Result<Vec<RawRecord>, StoreError> {
        (**self).raw_records()
    }

    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        (**self).put_raw(key, value)
    }
}

/// Writes `group` and then cuts the record in which byte number `byte` of all that it wrote lies; `None` if it wrote less.
/// Returns the key of what was cut.
pub(super) fn tear<S: RawStore>(
    store: &S,
    group: &[crate::store::Batch],
    byte: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let before = store.raw_records()?;
    store.commit(group)?;
    let written = store.raw_records()?.into_iter().filter(|record| before.binary_search(record).is_err());
    let Some((key, mut value, at)) = find_byte(written, byte) else { return Ok(None) };
    value.truncate(at);
    store.put_raw(key.clone(), Some(value))?;
    Ok(Some(key))
}

/// Flips bit number `bit` of all values, in the order of their keys. Returns the key of what was hit.
pub(super) fn flip<S: RawStore>(store: &S, bit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((key, mut value, at)) = find_byte(store.raw_records()?.into_iter(), bit / 8) else {
        return Ok(None);
    };
    value[at] ^= 1 << (bit % 8);
    store.put_raw(key.clone(), Some(value))?;
    Ok(Some(key))
}

/// The record in which byte number `byte` of the values lies, and where in it.
fn find_byte(records: impl Iterator<Item = RawRecord>, mut byte: u64) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    for (key, value) in records {
        match usize::try_from(byte).ok().filter(|at| *at < value.len()) {
            Some(at) => return Some((key, value, at)),
            None => byte -= value.len() as u64,
        }
    }
    None
}
