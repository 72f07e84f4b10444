//! A store that refuses what it is told to, without being the worse for it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, MemoryStore, Ownership, Record, Scan,
    Store, StoreError, StorePromise,
};

use super::Runner;
use crate::support::path;

/// Refuses states of the runner at `runner` after certain jobs.
pub(super) struct Picky {
    inner: MemoryStore,
    /// By the job, how often its commit is refused when it comes alone: in a group it is refused each time.
    refused: Mutex<BTreeMap<u32, u32>>,
}

impl Picky {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Picky { inner, refused: Mutex::default() }
    }

    pub(super) fn refuse(&self, job: u32, times: u32) {
        self.refused.lock().expect("nobody panics").insert(job, times);
    }

    fn refuses(&self, batch: &Batch, is_alone: bool) -> bool {
        let is_runners = |of: &ActorPath| *of == path("runner") || *of == path("keeper/runner");
        if !batch.writer.as_ref().is_some_and(|writer| is_runners(&writer.actor)) {
            return false;
        }
        batch.records.iter().any(|record| {
            let Record::Snapshot(snapshot) = record else { return false };
            let state: Runner = rmp_serde::from_slice(&snapshot.state).expect("a runner");
            let mut refused = self.refused.lock().expect("nobody panics");
            let times = state.done.last().and_then(|job| refused.get_mut(job)).filter(|times| **times > 0);
            times.map(|times| *times -= u32::from(is_alone)).is_some()
        })
    }
}

impl Store for Picky {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        if group.iter().any(|batch| self.refuses(batch, group.len() == 1)) {
            return Err(StoreError::Read { source: Arc::new(io::Error::other("as the test wants")) });
        }
        self.inner.commit(group)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.inner.scan(actor)
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
    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }
}
