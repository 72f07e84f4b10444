//! The state alone, stored when its policy says so.

use std::sync::Arc;

use super::durability::{Durability, Journal, Kept};
use crate::actor::{Actor, SnapshotPolicy};
use crate::cell::Cell;
use crate::store::{Batch, CommitError, Record, StoreError};

impl<A: Actor> Durability<A> {
    /// Stores the state after one message, if it is its turn and it changed.
    pub(crate) async fn after_message(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        journal.pending += 1;
        match self.kept {
            Kept::State(SnapshotPolicy::EveryMessages(n)) if journal.pending < n.max(1) => {
                self.encode(&cell.core, actor, journal)?;
                journal.is_not_stored();
                Ok(())
            }
            Kept::State(_) | Kept::Everything(_) => self.flush(cell, actor, journal).await,
        }
    }

    /// Stores the state now, if it changed.
    pub(crate) async fn flush(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        self.encode(&cell.core, actor, journal)?;
        journal.pending = 0;
        if !journal.is_new() {
            return Ok(());
        }
        self.store_scratch(cell, journal).await
    }

    /// Stores the state with which a life begins, if it is new, and what was counted before it.
    pub(super) async fn begin_with(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
        counted: Option<Record>,
    ) -> Result<(), CommitError> {
        let Some(counted) = counted else { return self.flush(cell, actor, journal).await };
        self.encode(&cell.core, actor, journal)?;
        let mut records = vec![counted];
        let is_new = journal.is_new();
        if is_new {
            records.push(Record::Snapshot(self.snapshot(journal.seq + 1, journal.scratch.clone())));
            records.extend(journal.logs.take_records());
        }
        let store = cell.core.world.store().ok_or(CommitError::Store(StoreError::Closed))?;
        store.commit(Batch::of(cell.core.path.clone(), journal.epoch, records)).await?;
        if is_new {
            journal.is_stored();
        }
        Ok(())
    }

    /// Stores the state of after the last message that was handled, if that has not been done.
    pub(crate) async fn flush_last(
        &self,
        cell: &Arc<Cell<A>>,
        journal: &mut Journal,
    ) -> Result<(), CommitError> {
        if !journal.is_dirty {
            return Ok(());
        }
        journal.scratch.clone_from(&journal.last);
        journal.logs.go_back_to_last();
        self.store_scratch(cell, journal).await
    }

    async fn store_scratch(&self, cell: &Arc<Cell<A>>, journal: &mut Journal) -> Result<(), CommitError> {
        let store = cell.core.world.store().ok_or(CommitError::Store(StoreError::Closed))?;
        let mut records = vec![Record::Snapshot(self.snapshot(journal.seq + 1, journal.scratch.clone()))];
        records.extend(journal.logs.take_records());
        let batch = Batch::of(cell.core.path.clone(), journal.epoch, records);
        // From here until the answer of the store, nobody can say whether the message in hand was applied.
        cell.mailbox.mark_settling(journal.incarnation.0, true);
        let committed = store.commit(batch).await;
        cell.mailbox.mark_settling(journal.incarnation.0, false);
        committed?;
        journal.is_stored();
        Ok(())
    }
}
