//! Locking without ceremony.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. A poisoned lock is taken over: no critical section in this crate runs user code or leaves its
/// data half-changed, so a panic elsewhere on that thread says nothing about what the lock protects.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
