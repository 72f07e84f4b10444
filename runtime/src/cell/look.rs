//! What a cell shows to those who look at the tree, beyond [`Observation`](crate::Observation): how its lives ended, and
//! what the floors above have left on it. Taken from the cell, so no look waits for an actor.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::actor::ExitReason;
use crate::address::Epoch;
use crate::cell::{Incarnation, Place, Whereabouts};
use crate::resilience::{Breaker, BreakerSpec};
use crate::runtime::Runtime;
use crate::sync::lock;

/// What an overseer shows of itself: see [`Overseer::shows`](crate::overseer::Overseer::shows).
pub type Shown = Arc<dyn Any + Send + Sync>;

/// How one life ended, and when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PastExit {
    /// Which life.
    pub epoch: Epoch,
    /// When it ended, counted from the start of the runtime, in whole milliseconds.
    pub at: Duration,
    /// How.
    pub reason: ExitReason,
}

/// An exit as the cell keeps it.
pub(crate) struct Exit {
    pub(crate) incarnation: Incarnation,
    pub(crate) epoch: Epoch,
    pub(crate) at_ms: u64,
    pub(crate) reason: ExitReason,
}

impl From<&Exit> for PastExit {
    fn from(exit: &Exit) -> Self {
        PastExit { epoch: exit.epoch, at: Duration::from_millis(exit.at_ms), reason: exit.reason.clone() }
    }
}

impl Place {
    /// Records an end that the task itself cannot record now. `false`, and without effect, if it has ended already.
    pub(crate) fn end_in_its_stead(&self, incarnation: Incarnation, reason: ExitReason) -> bool {
        let blocked_lives = &self.0.core().blocked_lives;
        // Counted first: the task may come back as soon as its end is recorded.
        blocked_lives.fetch_add(1, Ordering::Relaxed);
        let has_ended = self.0.end(incarnation, reason);
        if !has_ended {
            blocked_lives.fetch_sub(1, Ordering::Relaxed);
        }
        has_ended
    }

    /// What the overseer that lives here shows of itself, or its last life did; `None` for an actor.
    pub fn shown(&self) -> Option<Shown> {
        self.0.shown()
    }

    /// The breaker that calls by way of a pool go through, if the pool has chosen to have them.
    pub fn breaker(&self) -> Option<Breaker> {
        lock(&self.0.core().breaker).clone()
    }

    /// Lets calls by way of a pool go through a breaker from now on, or through none. The one that is there stays, with
    /// what it knows, as long as the spec is the same. For the crates that build on this one.
    #[doc(hidden)]
    pub fn set_breaker(&self, spec: Option<&BreakerSpec>, runtime: &Runtime) -> Option<Breaker> {
        let core = self.0.core();
        let mut breaker = lock(&core.breaker);
        if breaker.as_ref().map(Breaker::spec) != spec {
            *breaker = spec.map(|spec| runtime.breaker(core.path.as_str(), spec.clone()));
        }
        breaker.clone()
    }

    /// Where it is in its life, and which incarnation came through its start last.
    #[doc(hidden)]
    pub fn whereabouts(&self) -> Whereabouts {
        self.0.core().whereabouts()
    }

    /// Leaves two words on the cell, which it keeps and never reads; for the crates that build on this one.
    #[doc(hidden)]
    pub fn set_mark(&self, mark: [u64; 2]) {
        let words = &self.0.core().mark;
        words.iter().zip(mark).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }

    /// The words that were left last; zeros before.
    #[doc(hidden)]
    pub fn mark(&self) -> [u64; 2] {
        self.0.core().mark.each_ref().map(|word| word.load(Ordering::Relaxed))
    }
}
