//! To whom a store belongs: to one runtime at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;

/// What an engine keeps so that it is given to one runtime at a time. Clones mean the same store.
#[derive(Clone, Debug, Default)]
pub struct SoleOwner(Arc<AtomicBool>);

impl SoleOwner {
    /// Gives the store away until the [`Ownership`] is dropped.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] while somebody has it; `path` names the store there.
    pub fn take(&self, path: &Path) -> Result<Ownership, StoreError> {
        if self.0.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Locked { path: path.into() });
        }
        Ok(Ownership(self.0.clone()))
    }
}

/// The store belongs to whoever holds this.
#[derive(Debug)]
#[must_use = "dropping it lets the store go"]
pub struct Ownership(Arc<AtomicBool>);

impl Drop for Ownership {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
