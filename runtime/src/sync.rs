//! What threads do to one another: locks, and panics that were caught.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// Locks `mutex`. A poisoned lock is taken over: no critical section in this crate runs user code or leaves its
/// data half-changed, so a panic elsewhere on that thread says nothing about what the lock protects.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The locks and atomics of what threads race for: the mailbox, its line and its control lane, the reply slot.
///
/// They are the standard library's. Only in the tests of `crate::races` they are loom's, which tries every schedule.
pub(crate) mod raced {
    #[cfg(not(all(test, greenroom_races)))]
    pub(crate) use {
        super::lock,
        std::sync::{Mutex, MutexGuard, atomic},
    };
    #[cfg(all(test, greenroom_races))]
    pub(crate) use {
        crate::races::lock,
        loom::sync::{Mutex, MutexGuard, atomic},
    };
}

/// Most of what a panic says that is kept, in bytes: it travels in exits, events and dead letters.
const PANIC_TEXT_MAX: usize = 2_048;

/// What a caught panic said, or the beginning of it.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a text");
    let end = (0..=PANIC_TEXT_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// Drops an author's value; a panic in its `Drop` must not keep the runtime from going on.
pub(crate) fn drop_quietly<T>(value: T) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::warn!(value = std::any::type_name::<T>(), "dropping an author's value panicked");
    }
}

/// Lets other tasks run first.
///
/// Unlike `tokio::task::yield_now`, which keeps the task aside on its own thread until that thread has nothing else to
/// do: should the next task there block its thread, nobody else could take this one over. A task that wakes itself
/// stands at the end of the thread's queue, from which others steal.
pub(crate) fn give_way() -> impl Future<Output = ()> {
    let mut gave_way = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
