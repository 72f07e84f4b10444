//! Timers that outlive the process: they are set with a commit, and fire with one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::recall::read_back;
use crate::actor::Actor;
use crate::actor::held::{Held, OwnMail};
use crate::address::tell::hold_place;
use crate::mailbox::queue::Queued;
use crate::store::{Batch, Delivered, Record, StoredMessage, StoredTimer};
use crate::sync::lock;

/// What a handler does to the timers of its actor.
#[derive(Debug)]
pub(crate) enum TimerChange {
    Set(StoredTimer),
    Cancel(String),
}

impl TimerChange {
    pub(crate) fn record(&self) -> Record {
        match self {
            TimerChange::Set(timer) => Record::SetTimer(timer.clone()),
            TimerChange::Cancel(name) => Record::CancelTimer { name: name.clone() },
        }
    }
}

/// The timers of an actor, as they are on disk.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: Mutex<BTreeMap<String, StoredTimer>>,
    changed: Notify,
}

impl Timers {
    pub(crate) fn new(stored: Vec<StoredTimer>) -> Self {
        let set = stored.into_iter().map(|timer| (timer.name.clone(), timer)).collect();
        Timers { set: Mutex::new(set), changed: Notify::new() }
    }

    /// Changes that are on disk now.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = TimerChange>) {
        let mut set = lock(&self.set);
        for change in changes {
            match change {
                TimerChange::Set(timer) => drop(set.insert(timer.name.clone(), timer)),
                TimerChange::Cancel(name) => drop(set.remove(&name)),
            }
        }
        drop(set);
        self.changed.notify_one();
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.set).is_empty()
    }

    /// The one that is due first.
    fn next(&self) -> Option<StoredTimer> {
        lock(&self.set).values().min_by_key(|timer| timer.due_ms).cloned()
    }

    /// It fired, or there was nothing to fire: unless it was set anew since, it is due again then, or never.
    fn fired(&self, name: &str, due_ms: u64, next_ms: Option<u64>) {
        let mut set = lock(&self.set);
        if let Some(timer) = set.get_mut(name).filter(|timer| timer.due_ms == due_ms) {
            match next_ms {
                Some(next_ms) => timer.due_ms = next_ms,
                None => drop(set.remove(name)),
            }
        }
    }
}

/// When a timer that was due at `due_ms` and fires now is due again: what was missed is not made up for.
fn due_again(due_ms: u64, every_ms: Option<u64>, now_ms: u64) -> Option<u64> {
    let every_ms = every_ms?.max(1);
    let missed = now_ms.saturating_sub(due_ms) / every_ms;
    Some(due_ms.saturating_add((missed + 1).saturating_mul(every_ms)))
}

/// Fires what is due, for as long as the incarnation lives.
pub(crate) async fn tend<A: Actor>(mail: OwnMail<A>, timers: Arc<Timers>) {
    let clock = mail.cell.core.world.clock;
    while !mail.has_ended() {
        let Some(timer) = timers.next() else {
            timers.changed.notified().await;
            continue;
        };
        let left = Duration::from_millis(timer.due_ms.saturating_sub(clock.wall_ms()));
        tokio::select! {
            biased;
            () = timers.changed.notified() => continue,
            () = clock.sleep(left) => {}
        }
        if !fire(&mail, &timers, timer).await {
            return;
        }
    }
}

/// `false`: the actor takes nothing any more; the timer stays set, for its next life.
async fn fire<A: Actor>(mail: &OwnMail<A>, timers: &Arc<Timers>, timer: StoredTimer) -> bool {
    let cell = &mail.cell;
    let world = &cell.core.world;
    let Some(form) = cell.mail_form() else { return false };
    let StoredTimer { name, due_ms, every_ms, message } = timer;
    // It was read once, when the life began or when it was set.
    let message = StoredMessage { due_ms: Some(due_ms), ..message };
    let Ok(Queued { head, parcel }) = read_back(form, message) else { return false };
    if !matches!(hold_place(cell, Some(Duration::from_secs(u32::MAX.into()))).await, Ok(true)) {
        return false;
    }
    let held = Held::new(cell, head, parcel);
    let Some(store) = world.store() else { return false };
    let Ok(place) = store.place().await else { return false };
    drop(store);
    let next_ms = due_again(due_ms, every_ms, world.clock.wall_ms());
    let fire = Record::Fire { name: name.clone(), due_ms, next_ms };
    let (told, outcome) = oneshot::channel();
    let timers = timers.clone();
    place.commit(Batch { writer: Some(mail.writer()), records: vec![fire] }, move |committed| {
        let is_kept = committed.is_ok();
        if let Ok(committed) = committed {
            timers.fired(&name, due_ms, next_ms);
            held.arrive(committed.deliveries.into_iter().next().filter(|it| *it != Delivered::Unknown));
        }
        _ = told.send(is_kept); // the incarnation may be gone
    });
    outcome.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_due_again_in_its_own_rhythm_and_what_was_missed_is_not_made_up_for() {
        assert_eq!(due_again(100, None, 500), None);
        assert_eq!(due_again(100, Some(10), 100), Some(110));
        assert_eq!(due_again(100, Some(10), 109), Some(110));
        assert_eq!(due_again(100, Some(10), 110), Some(120));
        assert_eq!(due_again(100, Some(10), 1_005), Some(1_010));
        assert_eq!(due_again(100, Some(0), 100), Some(101));
        assert_eq!(due_again(100, Some(10), 90), Some(110), "a clock that was set back");
        assert_eq!(due_again(100, Some(u64::MAX), 100), Some(u64::MAX));
    }
}
