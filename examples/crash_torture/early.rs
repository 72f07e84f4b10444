//! A store that answers before it has written: some batches are held back in memory for a while.
//!
//! It says beforehand how the store will answer: each message takes the next number, then the batch itself does. What it
//! cannot foretell (claims, timers, what may have been sent before) it carries out at once, behind all that it holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, CommitSeq, Delivered, Epoch, LaidAside, ListedCase, MessageId,
    Ownership, Record, Scan, Store, StoreError, StoreHead, StorePromise, StoredBudgets,
};

use crate::item::Item;

const HELD_FOR: Duration = Duration::from_millis(15);

/// Whose batches are answered early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// All of them: nothing is flushed before it is acknowledged.
    All,
    /// Those of the actors; what comes from outside is written first.
    Releases,
}

pub(crate) struct EarlyAnswers {
    held: Arc<Held>,
    early: Early,
}

struct Held {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
    nobody_waits: Condvar,
}

#[derive(Default)]
struct State {
    batches: Vec<Batch>,
    foretold: Vec<BatchOutcome>,
    /// The store's position with all that is held; `None` before the first commit.
    seq: Option<u64>,
    lives: BTreeMap<ActorPath, Epoch>,
    /// By client, above which number this life has seen nothing, and no earlier one can have.
    seen: BTreeMap<u8, u64>,
}

impl EarlyAnswers {
    pub(crate) fn new(inner: Arc<dyn Store>, early: Early) -> Self {
        let held = Arc::new(Held { inner, state: Mutex::default(), nobody_waits: Condvar::new() });
        let writes = Arc::downgrade(&held);
        std::thread::spawn(move || {
            while let Some(held) = writes.upgrade() {
                let state = held.lock();
                let waited = held.nobody_waits.wait_timeout(state, HELD_FOR);
                let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if held.carry_out(&mut state).is_err() {
                    return;
                }
            }
        });
        EarlyAnswers { held, early }
    }
}

impl State {
    /// Whether the batch brings work that was never handed in before: a client repeats the last that it handed in, or the
    /// one before it.
    fn is_new(&mut self, batch: &Batch) -> bool {
        let [Record::Deliver { message, .. }] = &batch.records[..] else { return false };
        let Some(item) = message.request.as_deref().and_then(Item::of_request) else { return false };
        let first = item.number + 1;
        let seen = self.seen.entry(item.sender).or_insert(first);
        let is_new = item.number > *seen;
        *seen = item.number.max(*seen);
        is_new
    }

    fn foretell(&mut self, batch: &Batch, early: Early) -> Option<BatchOutcome> {
        let is_new = self.is_new(batch);
        let seq = self.seq.as_mut()?;
        let is_early = match &batch.writer {
            None => early == Early::All,
            Some(writer) => !batch.records.is_empty() && self.lives.get(&writer.actor) == Some(&writer.epoch),
        };
        let is_foreseeable = |record: &Record| match record {
            Record::Deliver { message, .. } => message.request.is_none() || is_new,
            Record::Snapshot(_) | Record::Done { .. } | Record::Tries { .. } | Record::Journal(_) => true,
            _ => false,
        };
        if !is_early || !batch.records.iter().all(is_foreseeable) {
            return None;
        }
        let mut deliveries = Vec::new();
        for record in &batch.records {
            if matches!(record, Record::Deliver { .. }) {
                *seq += 1;
                deliveries.push(Delivered::New(MessageId(*seq)));
            }
        }
        *seq += 1;
        Some(BatchOutcome::Committed { seq: CommitSeq(*seq), deliveries })
    }
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, state: &mut State) -> Result<(), StoreError> {
        let (batches, foretold) = (std::mem::take(&mut state.batches), std::mem::take(&mut state.foretold));
        if batches.is_empty() {
            return Ok(());
        }
        let outcomes = self.inner.commit(&batches)?;
        assert_eq!(outcomes, foretold, "the store answers as it was foretold");
        Ok(())
    }

    fn commit_now(&self, state: &mut State, batch: &Batch) -> Result<BatchOutcome, StoreError> {
        self.carry_out(state)?;
        let outcome = self.inner.commit(std::slice::from_ref(batch))?.remove(0);
        if let BatchOutcome::Committed { seq, .. } = &outcome {
            state.seq = Some(seq.0);
            if let Some(writer) = &batch.writer {
                state.lives.insert(writer.actor.clone(), writer.epoch);
            }
        }
        Ok(outcome)
    }
}

impl Store for EarlyAnswers {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let mut state = self.held.lock();
        let mut outcomes = Vec::new();
        for batch in group {
            match state.foretell(batch, self.early) {
                Some(outcome) => {
                    state.batches.push(batch.clone());
                    state.foretold.push(outcome.clone());
                    outcomes.push(outcome);
                }
                None => outcomes.push(self.held.commit_now(&mut state, batch)?),
            }
        }
        Ok(outcomes)
    }

    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.held.carry_out(&mut self.held.lock())?;
        self.held.inner.scan(actor)
    }

    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.held.inner.unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.held.inner.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.held.inner.actors()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.held.carry_out(&mut self.held.lock())?;
        self.held.inner.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.held.inner.cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.held.inner.budgets()
    }
    fn promise(&self) -> StorePromise {
        self.held.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.held.inner.own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.held.carry_out(&mut self.held.lock())?;
        self.held.inner.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.held.carry_out(&mut self.held.lock())?;
        self.held.inner.end()
    }
}
