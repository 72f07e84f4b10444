//! Watches one actor with a progress deadline while it has work: a handler that waits for too long is cut by its own
//! timer, but one that blocks its thread can be seen from outside alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cell::Place;
use crate::sync::give_way;

/// Whether somebody watches a cell already, and whether a handler runs there.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    is_watched: Arc<AtomicBool>,
    handles: Arc<AtomicBool>,
}

impl Watched {
    /// A handler begins, or is done: what follows it, such as a roll-back, is not its time.
    pub(crate) fn handles(&self, begins: bool) {
        self.handles.store(begins, Ordering::Release);
    }

    /// Begins to watch `place`, unless somebody does. Ends when the actor has nothing in hand.
    pub(crate) async fn begin(&self, place: impl FnOnce() -> Place, limit: Duration) {
        if self.is_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let (place, is_watched, handles) = (place(), self.is_watched.clone(), self.handles.clone());
        let world = place.0.core().world.clone();
        let clock = world.clock;
        world.track(async move {
            let in_hand = || {
                let hand = place.0.glance().in_hand?;
                Some((place.0.core().occupant()?, hand.id, hand.tries))
            };
            let mut seen = in_hand();
            loop {
                // Somewhat longer than the handler's own timer, which is the better way.
                clock.sleep(limit + limit / 8).await;
                let now = in_hand();
                if now.is_some() && now == seen && handles.load(Ordering::Acquire) {
                    is_watched.store(false, Ordering::Release);
                    if place.0.core().occupant() == now.map(|(incarnation, ..)| incarnation) {
                        place.bring_down(Some(Duration::ZERO)).await;
                    }
                    return;
                }
                if now.is_none() {
                    is_watched.store(false, Ordering::Release);
                    // Who took a message in between found itself watched.
                    if in_hand().is_none() || is_watched.swap(true, Ordering::AcqRel) {
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
