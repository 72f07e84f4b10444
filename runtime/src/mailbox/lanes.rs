//! The control lane of one incarnation: stop, drain and kill, heard while a handler runs.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use tokio::sync::Notify;

use crate::sync::lock;

/// What was raised in a control lane. Ordered: a stronger word overrides a weaker one, never the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Raised {
    Nothing = 0,
    /// The actor itself wants to end after this message.
    Leave = 1,
    Drain = 2,
    Stop = 3,
    Kill = 4,
}

impl Raised {
    fn from_level(level: u8) -> Self {
        match level {
            0 => Raised::Nothing,
            1 => Raised::Leave,
            2 => Raised::Drain,
            3 => Raised::Stop,
            _ => Raised::Kill,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct ControlLane {
    level: AtomicU8,
    /// Raised while a commit is under way: a cut there could not say whether the message was applied.
    shielded: AtomicBool,
    waker: Mutex<Option<Waker>>,
    token: Mutex<Option<Arc<Signal>>>,
}

impl ControlLane {
    pub(crate) fn raised(&self) -> Raised {
        Raised::from_level(self.level.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, what: Raised) {
        self.level.fetch_max(what as u8, Ordering::AcqRel);
        if what >= Raised::Stop
            && let Some(token) = &*lock(&self.token)
        {
            token.fire();
        }
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Remembers whom to wake. Register first, then look at [`raised`](ControlLane::raised).
    pub(crate) fn register(&self, waker: &Waker) {
        let mut slot = lock(&self.waker);
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    pub(crate) fn shield(&self, on: bool) {
        self.shielded.store(on, Ordering::Release);
    }

    pub(crate) fn is_shielded(&self) -> bool {
        self.shielded.load(Ordering::Acquire)
    }

    pub(crate) fn token(&self) -> StopToken {
        let signal = lock(&self.token).get_or_insert_with(Arc::default).clone();
        if self.raised() >= Raised::Stop {
            signal.fire();
        }
        StopToken(signal)
    }
}

#[derive(Debug, Default)]
struct Signal {
    fired: AtomicBool,
    notify: Notify,
}

impl Signal {
    fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }
}

/// Tells that an incarnation was asked to stop, or killed. For handlers, and for futures they hand to others.
///
/// Belongs to one incarnation: after a restart the old token stays fired.
#[derive(Clone, Debug)]
pub struct StopToken(Arc<Signal>);

impl StopToken {
    /// Whether a stop or kill was raised.
    pub fn is_fired(&self) -> bool {
        self.0.fired.load(Ordering::Acquire)
    }

    /// Waits for a stop or kill; ready at once if there was one.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at will.
    pub async fn fired(&self) {
        loop {
            let notified = self.0.notify.notified();
            if self.is_fired() {
                return;
            }
            notified.await;
        }
    }
}
