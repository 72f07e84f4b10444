//! Watches one actor with a progress deadline while it has work: a handler that waits for too long is cut by its own
//! timer, but one that blocks its thread can be seen from outside alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::cell::{Incarnation, Place};
use crate::sync::{give_way, lock};

/// The watch over one cell; there is none before the first handler with a progress deadline begins.
#[derive(Debug, Default)]
pub(crate) struct Watched(OnceLock<Arc<Watch>>);

/// Whether somebody watches a cell already, and whose handler runs there.
#[derive(Debug, Default)]
struct Watch {
    is_watched: AtomicBool,
    /// The incarnation; 0 is nobody.
    handles: AtomicU64,
    /// How long a handler of the life that runs may take: the next may have another limit.
    limit: Mutex<Duration>,
}

impl Watched {
    /// A handler begins.
    pub(crate) fn handles(&self, incarnation: Incarnation) {
        if let Some(watch) = self.0.get() {
            watch.handles.store(incarnation.0, Ordering::Release);
        }
    }

    /// A handler is done: what follows it, such as a roll-back, is not its time. Of an incarnation that was replaced
    /// meanwhile this means nothing.
    pub(crate) fn has_handled(&self, incarnation: Incarnation) {
        let Some(watch) = self.0.get() else { return };
        let mine = watch.handles.compare_exchange(incarnation.0, 0, Ordering::AcqRel, Ordering::Relaxed);
        let _or_another_runs: Result<u64, u64> = mine;
    }

    /// Begins to watch `place`, unless somebody does. Ends when the actor has nothing in hand.
    pub(crate) async fn begin(&self, place: impl FnOnce() -> Place, limit: Duration) {
        let watch = self.0.get_or_init(Arc::default).clone();
        *lock(&watch.limit) = limit;
        if watch.is_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let place = place();
        let world = place.0.core().world.clone();
        let clock = world.clock;
        world.track(async move {
            let in_hand = || {
                // A commit under way is not the handler's time either.
                let glance = place.0.glance();
                let hand = glance.in_hand.filter(|_| !glance.is_settling)?;
                Some((place.0.core().occupant()?, hand.id, hand.tries))
            };
            let mut seen = in_hand();
            loop {
                // Somewhat longer than the handler's own timer, which is the better way.
                let waits = *lock(&watch.limit);
                clock.sleep(waits.saturating_add(waits / 8)).await;
                let now = in_hand();
                if let Some((incarnation, ..)) = now
                    && now == seen
                    && watch.handles.load(Ordering::Acquire) == incarnation.0
                {
                    watch.is_watched.store(false, Ordering::Release);
                    if place.0.core().occupant() == Some(incarnation) {
                        place.bring_down(Some(Duration::ZERO)).await;
                    }
                    return;
                }
                if now.is_none() {
                    watch.is_watched.store(false, Ordering::Release);
                    // Who took a message in between found itself watched.
                    if in_hand().is_none() || watch.is_watched.swap(true, Ordering::AcqRel) {
                        return;
                    }
                }
                seen = now;
            }
        });
        // What was spawned runs next on this very thread, where nobody else can fetch it: before the thread is blocked.
        give_way().await;
    }
}
