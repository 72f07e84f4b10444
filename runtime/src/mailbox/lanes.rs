//! The control lane of one incarnation: stop, drain and kill, heard while a handler runs.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::sync::raced::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::sync::raced::{Mutex, lock};

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

    /// Whether nothing is raised.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.level.load(Ordering::Acquire) == Raised::Nothing as u8
    }

    pub(crate) fn raise(&self, what: Raised) {
        self.level.fetch_max(what as u8, Ordering::AcqRel);
        if what >= Raised::Stop
            && let Some(token) = &*lock(&self.token)
        {
            token.fire();
        }
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The handler that wanted to leave was taken back, and has not wanted anything.
    pub(crate) fn take_leave_back(&self) {
        let (leave, nothing) = (Raised::Leave as u8, Raised::Nothing as u8);
        // Fails where nothing was raised, or something stronger.
        let _was_raised: Result<u8, u8> =
            self.level.compare_exchange(leave, nothing, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Remembers whom to wake, until somebody else is to be woken. Register first, then look at
    /// [`raised`](ControlLane::raised).
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

/// The end of a lane where one task listens, and nobody else.
///
/// It knows the waker of its task. As a lane keeps its waker when it wakes, the waker goes there only when it is new;
/// and whatever else shall wake the task gets it from here, outside of a poll.
#[derive(Debug)]
pub(crate) struct Ear {
    lane: Arc<ControlLane>,
    waker: Waker,
}

impl Ear {
    pub(crate) fn new(lane: Arc<ControlLane>) -> Self {
        Ear { lane, waker: Waker::noop().clone() }
    }

    pub(crate) fn lane(&self) -> &Arc<ControlLane> {
        &self.lane
    }

    /// The waker that the task had when it waited last. Whoever leaves it somewhere waits with [`woken`](Ear::woken).
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// What is raised. The task that polls is woken when something is raised from here on.
    #[inline]
    pub(crate) fn hear(&mut self, context: &Context<'_>) -> Raised {
        self.learn(context);
        self.lane.raised()
    }

    /// Waits until the task is woken, by the lane or by whoever has got its waker.
    ///
    /// Look before, with [`waker`](Ear::waker) left where you looked; and look again afterwards: it is ready at once
    /// when the waker that was left there is not the task's any more.
    pub(crate) fn woken(&mut self) -> impl Future<Output = ()> {
        let mut has_waited = false;
        poll_fn(move |context| {
            let is_new = self.learn(context);
            if is_new || std::mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Whether the task has another waker than before.
    #[inline]
    fn learn(&mut self, context: &Context<'_>) -> bool {
        let is_new = !self.waker.will_wake(context.waker());
        if is_new {
            self.waker.clone_from(context.waker());
            self.lane.register(&self.waker);
        }
        is_new
    }
}

impl Drop for Ear {
    /// The lane may outlive the task by long; its waker would keep the memory of the task.
    fn drop(&mut self) {
        let waker = lock(&self.lane.waker).take();
        drop(waker);
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

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::mailbox::counted::{counted, wakes};

    #[test]
    fn whoever_listens_is_woken_each_time_something_is_raised() {
        let lane = Arc::new(ControlLane::default());
        let mut ear = Ear::new(lane.clone());
        let (woken, waker) = counted();
        let mut context = Context::from_waker(&waker);

        assert_eq!(ear.hear(&context), Raised::Nothing);
        for (times, what) in
            [Raised::Leave, Raised::Drain, Raised::Stop, Raised::Kill].into_iter().enumerate()
        {
            let mut waits = pin!(ear.woken());
            assert!(waits.as_mut().poll(&mut context).is_pending());
            lane.raise(what);
            assert_eq!(wakes(&woken), times + 1);
            assert!(waits.poll(&mut context).is_ready());
            assert_eq!(lane.raised(), what);
        }
        drop(ear);
        assert!(lock(&lane.waker).is_none(), "the lane keeps nothing of a task that is gone");
    }

    #[test]
    fn a_task_with_a_new_waker_looks_again_before_it_waits() {
        let mut ear = Ear::new(Arc::default());
        let wakers = [counted().1, counted().1];

        for waker in &wakers {
            let mut context = Context::from_waker(waker);
            assert!(pin!(ear.woken()).poll(&mut context).is_ready());
            assert!(ear.waker().will_wake(waker));
            assert!(pin!(ear.woken()).poll(&mut context).is_pending());
        }
    }
}
