//! What threads do to one another: locks, and panics that were caught.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a panic without a text");
    let end = (0..=PANIC_TEXT_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    let text = text[..end.unwrap_or(0)].to_owned();
    // An author's value as well. What its drop panics with is leaked: that must end somewhere.
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
    text
}

/// Drops an author's value; a panic in its `Drop` must not keep the runtime from going on.
#[inline]
pub(crate) fn drop_quietly<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        drop_and_catch(value);
    }
}

#[inline(never)]
fn drop_and_catch<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let (value, text) = (std::any::type_name::<T>(), panic_text(payload));
        tracing::warn!(value, text, "dropping a value panicked");
    }
}

/// An author's value that is dropped quietly by whoever happens to be the last to hold it.
pub(crate) struct Quiet<T>(Option<T>);

impl<T> Quiet<T> {
    pub(crate) fn new(value: T) -> Self {
        Quiet(Some(value))
    }
}

impl<T> Deref for Quiet<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken out only by the drop")
    }
}

impl<T: fmt::Debug> fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
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
