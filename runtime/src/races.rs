//! The ground for the proofs of races: what locks and atomics decide, under every schedule.
//!
//! loom runs a test once for each order in which its threads can pass a lock or an atomic, and for each value that a
//! relaxed load may see. The code is the runtime's own, on loom's locks (`crate::sync::raced`). A task is a thread here that
//! sleeps until its [`Bell`] rings: if a wake-up is lost it sleeps for ever, and loom reports a deadlock.
//!
//! Run by `.ci/races`; the proofs are in `mailbox/races` and `message/races.rs`.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use loom::model::Builder;
use loom::sync::{Condvar, Mutex, MutexGuard};

/// As [`crate::sync::lock`].
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test` under every schedule.
pub(crate) fn in_every_schedule(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = None;
    builder.check(test);
}

/// Runs `test` under every schedule that takes the processor from a thread at most `preemptions` times: for tests
/// whose schedules are too many. Nearly all bugs of this kind need two.
pub(crate) fn in_schedules_of(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// What a sleeping task is woken by. Once rung it stays so until somebody has heard it.
#[derive(Default)]
pub(crate) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(crate) fn new() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell::default());
        (bell.clone(), bell.into())
    }

    /// Sleeps until the bell rings, or returns at once if it has rung.
    pub(crate) fn sleep(&self) {
        let mut has_rung = lock(&self.has_rung);
        while !*has_rung {
            has_rung = self.rings.wait(has_rung).unwrap_or_else(PoisonError::into_inner);
        }
        *has_rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *lock(&self.has_rung) = true;
        self.rings.notify_one();
    }
}

/// Polls `future` until it is ready, and sleeps in between.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    let (bell, waker) = Bell::new();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => bell.sleep(),
        }
    }
}
