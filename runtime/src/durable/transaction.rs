//! One message as a transaction: the state after it, what it sent, its answer, and that it is done, in one commit.
//!
//! What leaves does so in the writer's own turn, right after the flush: whoever ends the life meanwhile cannot keep a
//! reply back that is on disk.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::ahead::Outcome;
use super::durability::{Durability, Journal};
use super::parking::{Parked, ParkedFor, Resolution};
use super::step_log::{Completion, Intent, Recorded, StepId, StepLog};
use super::timers::TimerChange;
use crate::actor::Actor;
use crate::actor::held::{HeldBack, Release, Work};
use crate::cell::Cell;
use crate::message::{Head, MessageId, NoReply};
use crate::store::{Batch, CommitError, CommitSeq, Committed, Link, Record, StoreError, StoredAnswer};
use crate::sync::{drop_quietly, give_way};

impl<A: Actor> Durability<A> {
    /// Commits what the handler of the message with that head did and held back, and lets it go. Returns the work that is
    /// to begin now.
    pub(crate) async fn transact(
        &self,
        cell: &Arc<Cell<A>>,
        actor: &mut A,
        journal: &mut Journal,
        head: &Head,
        mut held: HeldBack,
    ) -> Result<Vec<Work>, CommitError> {
        self.encode(&cell.core, actor, journal)?;
        // Whoever has to spawn something after the commit waits for it; to wait for the next message might be too late. And
        // a change of a case may be refused by the store alone, without those that are queued behind it.
        let spawns = !held.work.is_empty() || !(held.timers.is_empty() || journal.are_tended);
        let is_waited_for = spawns || !held.cases.is_empty();
        let mut records = Vec::new();
        let has_new_state = journal.is_new();
        if has_new_state {
            records.push(Record::Snapshot(self.snapshot(journal.seq + 1, journal.scratch.clone())));
            records.extend(journal.logs.take_records());
        }
        let message = head.id;
        let answer = held.answer.take();
        if message != MessageId::default() {
            let answer = answer.clone().and_then(|body| self.answer(cell, head, body));
            records.push(Record::Done { message, answer });
        }
        let timers = (journal.timers.clone(), std::mem::take(&mut held.timers));
        records.extend(timers.1.iter().map(TimerChange::record));
        let cases = std::mem::take(&mut held.cases).into_iter();
        records.extend(cases.map(|(case, change)| Record::Case { case, change }));
        records.extend(held.sends.iter_mut().filter_map(|send| send.take_record()));
        let incarnation = journal.incarnation.0;
        let release = {
            let (cell, log, origin) = (cell.clone(), journal.log.clone(), head.origin());
            move |committed: &Committed| {
                // Whatever happens from here on, the message is done: it must not run a second time.
                cell.mailbox.is_done(incarnation, message);
                log.forget(origin);
                let (timers, changes) = timers;
                timers.apply(changes);
                match &answer {
                    Some(answer) => cell.answer_repeats(message, answer),
                    None => cell.give_up_repeats(message, &NoReply::Dropped),
                }
                release_all(&mut held, committed)
            }
        };
        if records.is_empty() {
            // The hook of a new life that had nothing to do.
            return Ok(release(&Committed { seq: CommitSeq::default(), deliveries: Vec::new() }));
        }
        let batch = Batch::of(cell.core.path.clone(), journal.epoch, records);
        if !is_waited_for && journal.ahead.may_begin(message) && cell.mailbox.run_ahead(incarnation) {
            journal.log.drop_pending(); // it goes with the message, and nobody else may take it along
            let bytes = batch.len_bytes();
            let release = move |committed: &Committed| drop(release(committed));
            let outcome = submit(cell, batch, journal.ahead.carries(), release).await?;
            journal.runs_ahead(message, outcome, bytes, has_new_state);
            // The writer's turn: it must not wait for the next handler to begin with this.
            give_way().await;
            journal.ahead.has_room().await;
            return Ok(Vec::new());
        }
        cell.mailbox.mark_settling(incarnation, true);
        let work = commit_then(cell, batch, journal.follows(), release).await;
        cell.mailbox.mark_settling(incarnation, false);
        let work = work?;
        if has_new_state {
            journal.is_stored();
        }
        Ok(work)
    }

    fn answer(&self, cell: &Cell<A>, head: &Head, body: Vec<u8>) -> Option<StoredAnswer> {
        let request = head.kept.as_ref()?.request.clone()?;
        let world = &cell.core.world;
        let at_ms = world.clock.wall_ms();
        let kept_ms = u64::try_from(world.config.answers_kept.as_millis()).unwrap_or(u64::MAX);
        Some(StoredAnswer { request, at_ms, until_ms: at_ms.saturating_add(kept_ms), body })
    }

    /// Commits that the message in hand is done, though its handler did nothing; or that it is laid aside for `cause`.
    /// Whoever asked for it again is told `why`.
    pub(crate) async fn close(
        &self,
        cell: &Arc<Cell<A>>,
        journal: &Journal,
        head: &Head,
        cause: Option<String>,
        why: NoReply,
    ) -> Result<(), CommitError> {
        let message = head.id;
        // What is laid aside may be taken up again, on its journal.
        let forgotten = cause.is_none().then(|| head.origin());
        let record = match cause {
            Some(cause) => Record::LayAside { message, cause },
            None => Record::Done { message, answer: None },
        };
        let incarnation = journal.incarnation.0;
        let release = {
            let (cell, log) = (cell.clone(), journal.log.clone());
            move |_: &Committed| {
                cell.mailbox.settled(incarnation);
                if let Some(origin) = forgotten {
                    log.forget(origin);
                }
                cell.give_up_repeats(message, &why);
            }
        };
        cell.mailbox.mark_settling(incarnation, true);
        let batch = Batch::of(cell.core.path.clone(), journal.epoch, vec![record]);
        let closed = commit_then(cell, batch, Link::Free, release).await;
        cell.mailbox.mark_settling(incarnation, false);
        closed
    }
}

impl<A: Actor> Durability<A> {
    /// Writes down what was decided about a message that cannot go on by itself.
    pub(crate) async fn decide(
        &self,
        cell: &Arc<Cell<A>>,
        journal: &Journal,
        parked: &Parked,
        decision: Resolution,
    ) -> Result<(), CommitError> {
        let (message, log) = (parked.message, &journal.log);
        let number = match &parked.why {
            ParkedFor::InDoubt { number, .. } | ParkedFor::Diverged { number, .. } => *number,
        };
        let write = async |records: Vec<Record>, entries: Vec<(StepId, Recorded)>| {
            let batch = Batch::of(cell.core.path.clone(), journal.epoch, records);
            let log = log.clone();
            commit_then(cell, batch, Link::Free, move |_| log.written(entries)).await
        };
        let intent = log.recorded(message, number).and_then(|recorded| recorded.intent);
        match (decision, intent) {
            (Resolution::Done(result), Some(intent)) => {
                let done = Recorded::through(intent, Completion::Result(result));
                let entries = vec![((message, number), done)];
                write(StepLog::records(&entries), entries).await?;
            }
            (Resolution::NotDone, Some(intent)) => {
                let intent = Intent { may_repeat: true, ..intent };
                let entries = vec![((message, number), Recorded::intent(intent))];
                write(StepLog::records(&entries), entries).await?;
            }
            (Resolution::StartOver, _) => {
                write(vec![Record::ForgetJournal { message }], Vec::new()).await?;
                log.forget(message);
            }
            (Resolution::TryAgain | Resolution::LayAside | Resolution::Done(_) | Resolution::NotDone, _) => {}
        }
        Ok(())
    }
}

/// Delivers the held sends of an actor that is no transaction itself, and lets the others go.
pub(crate) async fn deliver<A: Actor>(
    cell: &Arc<Cell<A>>,
    mut held: HeldBack,
) -> Result<Vec<Work>, CommitError> {
    let records = held.sends.iter_mut().filter_map(|send| send.take_record()).collect();
    let release = move |committed: &Committed| release_all(&mut held, committed);
    commit_then(cell, Batch::from_outside(records), Link::Free, release).await
}

fn release_all(held: &mut HeldBack, committed: &Committed) -> Vec<Work> {
    let mut delivered = committed.deliveries.iter();
    for send in held.sends.drain(..) {
        let how = if send.is_stored() { Release::Delivered(delivered.next().cloned()) } else { Release::Now };
        send.release(how);
    }
    std::mem::take(&mut held.work)
}

/// Commits `batch`, and calls `release` in the writer's turn if it was kept.
pub(super) async fn commit_then<A: Actor, T: Send + 'static>(
    cell: &Cell<A>,
    batch: Batch,
    link: Link,
    release: impl FnOnce(&Committed) -> T + Send + 'static,
) -> Result<T, CommitError> {
    submit(cell, batch, link, release).await?.await.unwrap_or(Err(CommitError::Unavailable))
}

/// As [`commit_then`], without waiting for the outcome.
async fn submit<A: Actor, T: Send + 'static>(
    cell: &Cell<A>,
    batch: Batch,
    link: Link,
    release: impl FnOnce(&Committed) -> T + Send + 'static,
) -> Result<Outcome<T>, CommitError> {
    let store = cell.core.world.store().ok_or(CommitError::Store(StoreError::Closed))?;
    let place = store.place().await?;
    drop(store);
    let (told, outcome) = oneshot::channel();
    place.commit_linked(batch, link, move |committed| {
        let released = committed.map(|committed| release(&committed));
        // The life may be gone: what leaves has left, and the work of the author that was to begin does not.
        drop_quietly(told.send(released));
    });
    Ok(outcome)
}
