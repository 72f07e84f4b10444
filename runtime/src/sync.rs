//! What threads do to one another: locks, and panics that were caught.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. A poisoned lock is taken over: no critical section in this crate runs user code or leaves its
/// data half-changed, so a panic elsewhere on that thread says nothing about what the lock protects.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a caught panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// Drops an author's value; a panic in its `Drop` must not keep the runtime from going on.
pub(crate) fn drop_quietly<T>(value: T) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::warn!(value = std::any::type_name::<T>(), "dropping an author's value panicked");
    }
}
