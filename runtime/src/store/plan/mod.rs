//! The writes of a group: what each record of each batch means for the records of the store.

mod budgets; // what may be spent, what was, what is charged
mod lives; // an actor as a whole: head, state, how it was made, its end
mod logs; // entries of logs: appended, trimmed
mod messages; // delivered, done, laid aside, returned, forgotten
mod owners; // who owns a case
mod reading; // what is there, with what is planned already
mod requests; // what is known of a request, and how long
mod sizes; // how long what a record carries may be
mod timers; // set, cancelled, fired

pub(super) use reading::behind;
#[cfg(test)]
pub(super) use requests::ANSWERS_DELETED_MAX;

use super::content;
use super::layout::{Engine, Writes};
use super::record::{ContentKey, RecordKey, STORE_HEAD_KEY, Slot};
use super::recovery::{ActorHead, seal_tries};
use super::{
    Batch, BatchOutcome, CommitSeq, DamageReason, JournalEntry, Record, StoreError, StoreHead, Writer,
};
use crate::address::ActorPath;
use budgets::{is_of_a_budget, whose_charge};
use owners::{is_from_nobody_to_nobody, whose_change};
use sizes::check_size;

/// The writes of a group, seen by its later batches as if they had happened.
pub(crate) struct Plan<'a, E> {
    engine: &'a E,
    begun: StoreHead,
    seq: CommitSeq,
    writes: Writes,
}

impl<'a, E: Engine> Plan<'a, E> {
    pub(crate) fn begin(engine: &'a E, begun: StoreHead) -> Self {
        Plan { engine, begun, seq: begun.seq, writes: Writes::new() }
    }

    /// # Errors
    ///
    /// The whole group is refused: nothing of the plan is to be used.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<BatchOutcome, StoreError> {
        for record in &batch.records {
            match whose(batch, record) {
                Some(actor) => check_size(actor, record)?,
                None if is_from_nobody_to_nobody(record) || is_of_a_budget(record) => {}
                None => return Err(StoreError::NoWriter),
            }
        }
        let mut stored_head = None;
        let mut head = match &batch.writer {
            Some(writer) => {
                let (head, stored) = self.head_of_writer(writer, batch.records.is_empty())?;
                if writer.epoch < head.epoch {
                    return Ok(BatchOutcome::Stale { stored: head.epoch });
                }
                stored_head = stored;
                Some(ActorHead { epoch: writer.epoch, ..head })
            }
            None => None,
        };
        let cases = match self.change_cases(batch)? {
            Ok(writes) => writes,
            Err(conflict) => return Ok(conflict),
        };
        self.writes.extend(cases);
        let mut deliveries = Vec::new();
        for record in &batch.records {
            match (record, &batch.writer, &mut head) {
                (Record::Deliver { to, message }, ..) => deliveries.push(self.deliver(to, message)?),
                (Record::Return { to, message }, ..) => deliveries.push(self.give_back(to, *message)?),
                (Record::Case { .. }, ..) => {} // above, before anything else
                (Record::Settle { charge, spent }, ..) => self.settle(charge, *spent)?,
                (Record::Budget { path, change }, ..) => self.change_budget(path, change)?,
                (Record::Forget { of, message }, ..) => self.forget(of, *message)?,
                (Record::Birth { of, content }, ..) => self.put_birth(of, content)?,
                (Record::Erase { of }, Some(writer), Some(head)) if *of == writer.actor => {
                    self.put_head(of, *head); // its own epoch is one of those before
                    *head = self.erase(of)?.unwrap_or(*head);
                    stored_head = Some(*head);
                }
                (Record::Erase { of }, ..) => drop(self.erase(of)?),
                (Record::Fire { name, due_ms, next_ms }, Some(writer), _) => {
                    deliveries.push(self.fire(&writer.actor, name, *due_ms, *next_ms)?);
                }
                (record, Some(writer), Some(head)) => self.own_record(writer, head, record)?,
                (_, None, _) | (_, _, None) => return Err(StoreError::NoWriter),
            }
        }
        // A head that says what it said before is not written again: a step changes nothing there.
        if let (Some(writer), Some(head)) = (&batch.writer, head)
            && stored_head != Some(head)
        {
            self.put_head(&writer.actor, head);
        }
        self.seq.0 += 1;
        Ok(BatchOutcome::Committed { seq: self.seq, deliveries })
    }

    /// What is to be written, unless nothing is.
    pub(crate) fn finish(mut self) -> Option<Writes> {
        if self.seq == self.begun.seq {
            return None;
        }
        // Also if nothing else is written: a number that was answered is never given again.
        let head = StoreHead { seq: self.seq, ended_in_order: false, ..self.begun };
        self.writes.insert(STORE_HEAD_KEY.to_vec(), Some(head.seal()));
        Some(self.writes)
    }

    fn own_record(
        &mut self,
        writer: &Writer,
        head: &mut ActorHead,
        record: &Record,
    ) -> Result<(), StoreError> {
        let actor = &writer.actor;
        match record {
            Record::Snapshot(snapshot) => {
                debug_assert!(snapshot.seq > head.seq, "the snapshots of an actor are numbered upwards");
                let slot = head.active.map_or(Slot::Zero, Slot::other);
                let extent = &mut head.extents[slot as usize];
                *extent = self.put_snapshot(actor, slot, *extent, writer.epoch, snapshot);
                head.active = Some(slot);
                head.seq = snapshot.seq;
                Ok(())
            }
            Record::Done { message, answer } => self.done(actor, *message, answer.as_ref()),
            Record::Tries { message, tries } => {
                let waits = RecordKey::Content(ContentKey::Message(*message), 0).encode(actor);
                if self.get(&waits)?.is_some() {
                    let key = RecordKey::Tries(*message).encode(actor);
                    let value = seal_tries(*tries, &key);
                    self.writes.insert(key, Some(value));
                }
                Ok(())
            }
            Record::ForgetJournal { message } => self.remove_journal(actor, *message),
            Record::LayAside { message, cause } => self.lay_aside(actor, *message, cause),
            Record::Journal(JournalEntry { message, place, content }) => {
                self.remove(actor, &ContentKey::Journal(*message, *place))?;
                content::put(&mut self.writes, actor, &ContentKey::Journal(*message, *place), content);
                Ok(())
            }
            Record::Charge { charge, amount } => {
                debug_assert!(charge.actor == *actor, "an actor charges its own calls");
                self.charge(charge, *amount);
                Ok(())
            }
            Record::Append(entry) => self.append(actor, entry),
            Record::Trim { log, keep } => self.trim(actor, *log, keep),
            Record::SetTimer(timer) => self.set_timer(actor, timer),
            Record::CancelTimer { name } => self.remove(actor, &ContentKey::Timer(name.clone())),
            Record::Deliver { .. }
            | Record::Return { .. }
            | Record::Forget { .. }
            | Record::Fire { .. }
            | Record::Birth { .. }
            | Record::Case { .. }
            | Record::Settle { .. }
            | Record::Budget { .. }
            | Record::Erase { .. } => unreachable!("these are dealt with before"),
        }
    }
}

fn malformed(actor: &ActorPath, key: &ContentKey) -> StoreError {
    StoreError::Damaged { damage: content::damage(actor, key, DamageReason::Malformed) }
}

/// Of whom `record` is.
fn whose<'a>(batch: &'a Batch, record: &'a Record) -> Option<&'a ActorPath> {
    let writer = || batch.writer.as_ref().map(|writer| &writer.actor);
    let of_case = || match record {
        Record::Case { change, .. } => whose_change(change),
        _ => None,
    };
    record.receiver().or_else(writer).or_else(of_case).or_else(|| whose_charge(record))
}
