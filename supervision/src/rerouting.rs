//! Moves on what waits at a member of a pool that is down for too long.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use greenroom_runtime::overseer::Whereabouts;
use greenroom_runtime::{LifeState, Place, Runtime, RuntimeEvent};

/// How long a member may be down; shared with those who watch. They go when the life of the supervisor that holds this
/// is over.
///
/// They stand beside the supervisor, which may be waiting for a member to start, and hear for themselves what becomes
/// of theirs.
#[derive(Debug)]
pub(crate) struct Rerouting(Mutex<Option<Duration>>);

impl Rerouting {
    pub(crate) fn new(after: Option<Duration>) -> Arc<Self> {
        Arc::new(Rerouting(Mutex::new(after)))
    }

    /// From the next fall on.
    pub(crate) fn set(&self, after: Option<Duration>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = after;
    }

    fn after(&self) -> Option<Duration> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a member from now on.
    pub(crate) fn watch(self: &Arc<Self>, member: &Place, runtime: &Runtime) {
        runtime.track(watch(Arc::downgrade(self), member.clone(), runtime.clone()));
    }
}

async fn watch(rerouting: Weak<Rerouting>, member: Place, runtime: Runtime) {
    loop {
        let fallen = member.until(|now| now.state != LifeState::Running).await;
        // Also when it fell again before anybody looked: then its time begins anew.
        let is_over = |now: Whereabouts| {
            matches!(now.state, LifeState::Running | LifeState::Closed) || now.started != fallen.started
        };
        loop {
            let Some(after) = rerouting.upgrade().map(|rerouting| rerouting.after()) else { return };
            let ended = match after {
                Some(after) => runtime.clock().within(after, member.until(is_over)).await,
                None => Some(member.until(is_over).await),
            };
            match ended {
                Some(now) if now.state == LifeState::Closed => return,
                Some(_) => break,
                None => {}
            }
            let load = member.load();
            if !load.is_open {
                // Laid aside, or draining: nothing comes before that is over.
                member.until(|now| now.state != load.state).await;
            } else if load.state != LifeState::Running {
                move_on(&member, &runtime);
            }
        }
    }
}

fn move_on(member: &Place, runtime: &Runtime) {
    let Some(pool) = member.path().parent() else { return };
    let mut takers: Vec<(usize, Place)> = Vec::new();
    for other in runtime.places_below(&pool) {
        let load = other.load();
        let is_colleague = other.path() != member.path() && other.path().parent().as_ref() == Some(&pool);
        if is_colleague && load.is_open && load.state == LifeState::Running {
            takers.push((load.waiting + usize::from(load.is_busy), other));
        }
    }
    takers.sort_by_key(|(load, _)| *load);
    let takers: Vec<Place> = takers.into_iter().map(|(_, taker)| taker).collect();
    let count = member.move_waiting(&takers);
    if count > 0 {
        tracing::info!(member = %member.path(), count, "messages moved from a member that is down");
        runtime.publish(RuntimeEvent::Rerouted { path: member.path().clone(), count });
    }
}
