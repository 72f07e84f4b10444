//! A zombie: a life that was replaced and still writes.
//!
//! Inside one process the runtime itself sees that an incarnation was replaced; what is left to the store is the write
//! that was under way already. So this store makes such writes: now and then, after a new life has begun, it commits what
//! the life before had, under its epoch. An honest store refuses it, and nothing changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, Epoch, LaidAside, ListedCase, Ownership, Record, Scan,
    Snapshot, Store, StoreError, StoreHead, StorePromise, StoredBudgets, Writer,
};

/// A zombie writes behind every so many groups.
const GROUPS_BETWEEN: u64 = 7;

pub(crate) struct Haunted {
    inner: Arc<dyn Store>,
    /// Sabotage: the zombie comes with the epoch of the living.
    passes_epochs: bool,
    graves: Mutex<Graves>,
}

#[derive(Default)]
struct Graves {
    groups: u64,
    turn: usize,
    of: BTreeMap<ActorPath, Grave>,
}

struct Grave {
    /// What the life before had.
    epoch: Epoch,
    snapshot: Snapshot,
    /// The life of now, once it has claimed.
    living: Option<Epoch>,
    is_outlived: bool,
}

impl Haunted {
    pub(crate) fn new(inner: Arc<dyn Store>, passes_epochs: bool) -> Self {
        Haunted { inner, passes_epochs, graves: Mutex::default() }
    }

    /// The write of a zombie, if it is time.
    fn rise(&self, group: &[Batch]) -> Option<Batch> {
        let mut graves = self.graves.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in group {
            let Some(Writer { actor, epoch }) = &batch.writer else { continue };
            let Some(grave) = graves.of.get_mut(actor) else { continue };
            grave.living = Some(*epoch);
            // Only once the life of now has written something that can be lost.
            grave.is_outlived |= batch.records.iter().any(|record| matches!(record, Record::Snapshot(_)));
        }
        graves.groups += 1;
        if !graves.groups.is_multiple_of(GROUPS_BETWEEN) || graves.of.is_empty() {
            return None;
        }
        graves.turn += 1;
        let turn = graves.turn % graves.of.len();
        let (actor, grave) = graves.of.iter().nth(turn)?;
        let living = grave.living.filter(|living| grave.is_outlived && *living > grave.epoch)?;
        let epoch = if self.passes_epochs { living } else { grave.epoch };
        let snapshot = Snapshot { seq: grave.snapshot.seq + 1, ..grave.snapshot.clone() };
        Some(Batch::of(actor.clone(), epoch, vec![Record::Snapshot(snapshot)]))
    }
}

impl Store for Haunted {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let outcomes = self.inner.commit(group)?;
        if let Some(zombie) = self.rise(group) {
            self.inner.commit(&[zombie])?;
        }
        Ok(outcomes)
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        let scan = self.inner.scan(actor)?;
        if let Some(snapshot) = &scan.snapshot {
            let grave =
                Grave { epoch: scan.epoch, snapshot: snapshot.clone(), living: None, is_outlived: false };
            let mut graves = self.graves.lock().unwrap_or_else(PoisonError::into_inner);
            graves.of.insert(actor.clone(), grave);
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
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.inner.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.inner.cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.inner.budgets()
    }
    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.inner.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.inner.end()
    }
}
