//! Stores that break one promise of their contract, and keep the others.

use std::sync::{Arc, Mutex, PoisonError};

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, Ownership, Record, Scan, Store,
    StoreError, StoreHead, StorePromise, StoredBudgets,
};

/// What is bent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bend {
    /// What came of a step is not written.
    StepResults,
    /// Under which id a message was sent is not written, nor what was answered.
    Requests,
    /// That a message is done is written with the next group.
    Removals,
    /// An actor comes back without its timers.
    Timers,
    /// How an actor was made is not written.
    Births,
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
            Bend::Requests => bent.iter_mut().flat_map(|batch| &mut batch.records).for_each(forget_request),
            Bend::StepResults => {
                for batch in &mut bent {
                    batch.records.retain(
                        |record| !matches!(record, Record::Journal(entry) if has_result(&entry.content)),
                    );
                }
            }
            Bend::Births => {
                for batch in &mut bent {
                    batch.records.retain(|record| !matches!(record, Record::Birth { .. }));
                }
            }
            Bend::Timers => {}
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
        if self.bend == Bend::Timers {
            scan.timers.clear();
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

fn forget_request(record: &mut Record) {
    match record {
        Record::Deliver { message, .. } => message.request = None,
        Record::Done { answer, .. } => *answer = None,
        _ => {}
    }
}

/// Whether an entry of a journal says what came of a step: that stands behind what it intends, which has its length in
/// front.
fn has_result(entry: &[u8]) -> bool {
    let intent = entry.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize);
    intent.is_some_and(|len| entry.len() > 4 + len)
}
