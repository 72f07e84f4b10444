//! What a new life begins with: the state as it was stored, and the mail that waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ahead::RunAhead;
use super::durability::{Durability, Journal, MailForm, external, store_of};
use super::leftovers::LeftInStore;
use super::logs::Logs;
use super::step_log::StepLog;
use super::timers::Timers;
use crate::actor::{Actor, DecodeError, MigrateError};
use crate::address::Epoch;
use crate::cell::{Cell, CellCore, Incarnation};
use crate::events::RuntimeEvent;
use crate::mailbox::queue::Queued;
use crate::message::{Failure, Head, MessageId};
use crate::store::{Claim, CommitSeq, Damage, DamagePlace, DamageReason, Record, StoredMessage};
use crate::sync::drop_quietly;

impl<A: Actor> Durability<A> {
    /// The state of a new life: the newest that can be vouched for, or a fresh one.
    pub(crate) async fn begin(
        &self,
        cell: &Arc<Cell<A>>,
        args: &A::Args,
        incarnation: Incarnation,
    ) -> Result<(A, Journal), Failure> {
        let core = &cell.core;
        let store = store_of(cell)?;
        let before = core.epoch().0.saturating_sub(1);
        let claimed = store.claim(core.path.clone(), Epoch(before)).await;
        let Claim { epoch, scan, seq } = claimed.map_err(|error| external(core, error))?;
        // Before the author's code runs, which may take its time: the store is closed when its last handle is gone.
        drop(store);
        core.set_epoch(epoch);
        match self.mail() {
            Some(_) => core.world.leftovers.may_be_at(&core.path),
            None => {
                if let Some(left) = LeftInStore::of(&core.path, &scan) {
                    return Err(Failure::bug(left));
                }
            }
        }
        let (log, mut damaged) = StepLog::read(scan.journal);
        damaged.extend(scan.damage.iter().filter_map(|damage| match damage.place {
            DamagePlace::Journal { message, .. } => Some(message),
            _ => None,
        }));
        let lost = scan.damage.clone();
        report(core, scan.damage);
        let mut ahead = RunAhead::new(cell.terms().settings.run_ahead);
        let mut tried = None;
        if let Some(form) = self.mail() {
            recall_mail(cell, form, scan.inbox, seq)?;
            for timer in &scan.timers {
                read_back(form, timer.message.clone()).map_err(Failure::bug)?;
            }
            tried = count_try(cell, &mut ahead);
        }
        let mut journal = Journal {
            incarnation,
            epoch,
            seq: 0,
            last: Vec::new(),
            is_dirty: false,
            scratch: Vec::new(),
            logs: Logs::default(),
            pending: 0,
            log: Arc::new(log),
            timers: Arc::new(Timers::new(scan.timers)),
            are_tended: false,
            damaged,
            ahead,
        };
        let mut actor = match scan.snapshot {
            Some(snapshot) => {
                let read = Logs::read(scan.logs, &lost, || (self.decode)(&snapshot));
                let (mut actor, logs) = read.map_err(|error| unread(core, error))?;
                journal.logs = logs;
                (self.resume)(&mut actor, args).await?;
                journal.seq = snapshot.seq;
                // A migrated state is stored at once, in its new form.
                journal.is_dirty = snapshot.version != self.version;
                journal.last = snapshot.state;
                actor
            }
            None => {
                let read = Logs::read(scan.logs, &lost, || Ok(()));
                journal.logs = read.map_err(|error| unread(core, error))?.1;
                A::start(args).await?
            }
        };
        self.begin_with(cell, &mut actor, &mut journal, tried)
            .await
            .map_err(|error| external(core, error))?;
        Ok((actor, journal))
    }
}

/// Counts, of the message that is first in line, how often it was tried before it runs: a message over which the process
/// ends leaves nobody to count afterwards.
fn count_try<A: Actor>(cell: &Cell<A>, ahead: &mut RunAhead) -> Option<Record> {
    let is_first = !cell.is_opened.swap(true, Ordering::AcqRel);
    let is_opening = is_first && cell.core.world.begins_after_crash(&cell.core.path);
    let (message, tries) = cell.mailbox.count_opening(is_opening)?;
    if tries.openings > 1 {
        ahead.is_suspect(&cell.mailbox.waiting_ids());
    }
    (is_opening || tries.falls > 0).then_some(Record::Tries { message, tries })
}

fn report(core: &CellCore, damage: Vec<Damage>) {
    for damage in damage {
        tracing::error!(actor = %core.path, %damage, "a stored record was refused; the one before is used");
        core.world.publish(RuntimeEvent::RecordDamaged { path: core.path.clone(), damage });
    }
}

/// What became of a life whose state cannot be read.
fn unread(core: &CellCore, error: MigrateError) -> Failure {
    // Of a damaged entry the scan has told.
    if let MigrateError::LostEntry { log, index, reason: reason @ DamageReason::Missing } = error {
        let place = DamagePlace::LogEntry { log, index };
        report(core, vec![Damage { actor: core.path.clone(), place, reason }]);
    }
    Failure::bug(error)
}

/// Makes the mailbox what `stored` says of everything up to `seq`; what came later is in it already.
///
/// A message that waits in memory keeps its asker and its tries; one whose life ended in the middle of its commit is
/// there, or not, as the store has it; all others are read back.
fn recall_mail<A: Actor>(
    cell: &Arc<Cell<A>>,
    form: MailForm<A::Inbox>,
    stored: Vec<StoredMessage>,
    seq: CommitSeq,
) -> Result<(), Failure> {
    let kept: Vec<MessageId> = stored.iter().map(|message| message.id).collect();
    let waiting = cell.mailbox.waiting_ids();
    let mut missing = Vec::new();
    for message in stored {
        if waiting.binary_search(&message.id).is_err() {
            // What cannot be read is no reason to lose it, nor to let others overtake it.
            missing.push(read_back(form, message).map_err(Failure::bug)?);
        }
    }
    let gone = cell.mailbox.reconcile(missing, MessageId(seq.0), |id| kept.binary_search(&id).is_ok());
    gone.into_iter().for_each(drop_quietly);
    Ok(())
}

pub(super) fn read_back<E>(form: MailForm<E>, message: StoredMessage) -> Result<Queued<E>, DecodeError> {
    let parcel = (form.decode)(&message.name, message.version, &message.body)?;
    let kept = crate::message::envelope::KeptHead::of(&message);
    let StoredMessage { id, tries, sender, trace, .. } = message;
    let head = Head { id, tries: tries.falls, sender, trace, kept, ..(form.head)(&parcel) };
    Ok(Queued { head, parcel })
}
