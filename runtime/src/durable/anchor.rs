//! An anchor: what a call notes while it runs, so that a later run of its step goes on from there instead of beginning anew.

use std::sync::{Arc, Mutex};

use super::step_log::{Intent, Recorded, StepId, StepLog};
use crate::address::{ActorPath, Epoch};
use crate::message::Failure;
use crate::store::{Batch, Link};
use crate::sync::lock;
use crate::world::World;

/// Longest anchor: 4 KiB.
pub const ANCHOR_LEN_MAX: usize = 4 << 10;

/// One attempt at the call of a [`ChargedStep`](crate::ChargedStep): whether it begins anew or goes on, and where it notes
/// what a later one needs to go on. Cheap to clone.
#[derive(Clone)]
pub struct StepAttempt(Arc<AnchorPoint>);

pub(super) struct AnchorPoint {
    /// What an attempt before has noted.
    before: Option<Vec<u8>>,
    now: Mutex<Now>,
    /// `None`: the actor keeps no journal.
    journal: Option<AnchorJournal>,
}

struct Now {
    anchor: Option<Vec<u8>>,
    /// Until the attempt is over.
    is_open: bool,
}

/// Where an anchor is written.
pub(super) struct AnchorJournal {
    pub(super) world: Arc<World>,
    pub(super) path: ActorPath,
    pub(super) epoch: Epoch,
    pub(super) link: Link,
    pub(super) log: Arc<StepLog>,
    pub(super) id: StepId,
    pub(super) intent: Intent,
}

impl StepAttempt {
    pub(super) fn new(before: Option<Vec<u8>>, journal: Option<AnchorJournal>) -> Self {
        let now = Now { anchor: before.clone(), is_open: true };
        StepAttempt(Arc::new(AnchorPoint { before, now: Mutex::new(now), journal }))
    }

    /// What an attempt before has noted, such as the id of a response: go on from there. It was made in this life, in one
    /// before or in another process. `None`: the call is made anew.
    pub fn anchored(&self) -> Option<&[u8]> {
        self.0.before.as_deref()
    }

    /// Notes something for a later attempt to go on from; it takes the place of what was noted before. It is queued for the
    /// disk and not waited for: a crash in the next moment may lose it, and so does a full queue. Costs a share of a flush.
    /// What is noted after the attempt is over is nothing.
    ///
    /// # Errors
    ///
    /// [`Exhausted`](crate::FailureClass::Exhausted) for more than [`ANCHOR_LEN_MAX`] bytes.
    pub fn anchor(&self, note: &[u8]) -> Result<(), Failure> {
        if note.len() > ANCHOR_LEN_MAX {
            return Err(Failure::exhausted(format!("an anchor has at most {ANCHOR_LEN_MAX} bytes")));
        }
        // Held until it is queued: the end of the step must not come before it.
        let mut now = lock(&self.0.now);
        if now.is_open && now.anchor.as_deref() != Some(note) {
            now.anchor = Some(note.to_vec());
            if let Some(journal) = &self.0.journal {
                journal.write(note);
            }
        }
        Ok(())
    }

    /// What was noted is of no use: the next attempt begins anew, with a reservation of its own, and what this one may have
    /// cost is suspected.
    pub fn forget_anchor(&self) {
        lock(&self.0.now).anchor = None;
    }

    /// The attempt is over. What was noted, for the next.
    pub(super) fn end(&self) -> Option<Vec<u8>> {
        let mut now = lock(&self.0.now);
        now.is_open = false;
        now.anchor.clone()
    }
}

/// Ends an attempt whose call was dropped.
pub(super) struct EndsWith(pub(super) StepAttempt);

impl Drop for EndsWith {
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

impl AnchorJournal {
    fn write(&self, note: &[u8]) {
        let place = self.world.store().and_then(|store| store.try_place().ok().flatten());
        let Some(place) = place else {
            tracing::debug!(actor = %self.path, "no place in the queue of the store: an anchor is not written");
            return;
        };
        let anchored = Intent { anchor: Some(note.to_vec()), ..self.intent.clone() };
        let entries = vec![(self.id, Recorded::intent(anchored))];
        let batch = Batch::of(self.path.clone(), self.epoch, StepLog::records(&entries));
        let log = self.log.clone();
        place.commit_linked(batch, self.link.clone(), move |committed| {
            if committed.is_ok() {
                log.written(entries);
            }
        });
    }
}
