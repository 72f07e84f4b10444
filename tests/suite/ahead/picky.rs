//! A store that refuses what it is told to, without being the worse for it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, MemoryStore, Ownership, Record, Scan,
    Store, StoreError, StoreHead, StorePromise, StoredBudgets,
};

use super::Runner;
use crate::support::path;

/// The job that leaves the state as it was.
pub(super) const NO_TRACE: u32 = u32::MAX;

/// Refuses states of the runner at `runner` after certain jobs.
pub(super) struct Picky {
    inner: MemoryStore,
    /// By the job, how often its commit is refused when it comes alone: in a group it is refused each time.
    refused: Mutex<BTreeMap<u32, u32>>,
    /// Whether nothing reaches it any more, held commits included.
    is_cut_off: AtomicBool,
}

impl Picky {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Picky { inner, refused: Mutex::default(), is_cut_off: AtomicBool::default() }
    }

    pub(super) fn refuse(&self, job: u32, times: u32) {
        self.refused.lock().expect("nobody panics").insert(job, times);
    }

    pub(super) fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::Relaxed);
    }

    fn refuses(&self, batch: &Batch, is_alone: bool) -> bool {
        let is_runners = |of: &ActorPath| *of == path("runner") || *of == path("keeper/runner");
        if !batch.writer.as_ref().is_some_and(|writer| is_runners(&writer.actor)) {
            return false;
        }
        let last_job = |record: &Record| {
            let Record::Snapshot(snapshot) = record else { return None };
            let state: Runner = rmp_serde::from_slice(&snapshot.state).expect("a runner");
            state.done.last().copied()
        };
        let is_done = |record: &Record| matches!(record, Record::Done { .. });
        let without_trace = batch.records.iter().any(is_done).then_some(NO_TRACE);
        let Some(job) = batch.records.iter().find_map(last_job).or(without_trace) else { return false };
        let mut refused = self.refused.lock().expect("nobody panics");
        let times = refused.get_mut(&job).filter(|times| **times > 0);
        times.map(|times| *times -= u32::from(is_alone)).is_some()
    }
}

impl Store for Picky {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        if self.is_cut_off.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
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
