//! Stores that break one promise of their contract, and keep the others.

use std::sync::{Arc, Mutex, PoisonError};

use greenroom::{
    ActorPath, Batch, BatchOutcome, LaidAside, Ownership, Record, Scan, Store, StoreError, StorePromise,
};

use crate::bank::Front;
use crate::item::{SENDERS, path};

/// What is bent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bend {
    /// What came of a step is not written.
    StepResults,
    /// The fronts come back without the numbers they have seen.
    SeenNumbers,
    /// That a message is done is written with the next group.
    Removals,
}

pub(crate) struct Bent {
    inner: Arc<dyn Store>,
    bend: Bend,
    /// Removals for the next group.
    late: Mutex<Vec<Batch>>,
}

impl Bent {
    pub(crate) fn new(inner: Arc<dyn Store>, bend: Bend) -> Self {
        Bent { inner, bend, late: Mutex::default() }
    }
}

impl Store for Bent {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let mut bent = group.to_vec();
        match self.bend {
            Bend::SeenNumbers => {}
            Bend::StepResults => {
                for batch in &mut bent {
                    // Intents have the even places.
                    batch.records.retain(
                        |record| !matches!(record, Record::Journal(entry) if !entry.place.is_multiple_of(2)),
                    );
                }
            }
            Bend::Removals => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                let before = std::mem::take(&mut *late);
                for batch in &mut bent {
                    let is_removal = |record: &mut Record| matches!(record, Record::Done { .. });
                    let records: Vec<Record> = batch.records.extract_if(.., is_removal).collect();
                    if !records.is_empty() {
                        late.push(Batch { writer: batch.writer.clone(), records });
                    }
                }
                bent.extend(before);
            }
        }
        let mut outcomes = self.inner.commit(&bent)?;
        outcomes.truncate(group.len());
        Ok(outcomes)
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        let mut scan = self.inner.scan(actor)?;
        if self.bend == Bend::SeenNumbers && (0..SENDERS).any(|n| path("front", n) == *actor) {
            forget_seen(&mut scan);
        }
        Ok(scan)
    }

    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.inner.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.actors()
    }
    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }
}

fn forget_seen(scan: &mut Scan) {
    let Some(snapshot) = &mut scan.snapshot else { return };
    if let Ok(front) = rmp_serde::from_slice::<Front>(&snapshot.state) {
        let forgetful = Front { seen: Default::default(), ..front };
        snapshot.state = rmp_serde::to_vec_named(&forgetful).unwrap_or_default();
    }
}
