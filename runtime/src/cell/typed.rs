//! A cell with its type: the mailbox, and what becomes of a message whose incarnation ends.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::actor::{Actor, ExitReason};
use crate::address::ring;
use crate::cell::place::BoxFuture;
use crate::cell::watch::Watched;
use crate::cell::{CellCore, Incarnation, LaunchError, Link, Place, Seat, ractor_bridge};
use crate::durable::{Durability, Journal, MailForm, ParkingPlace};
use crate::events::RuntimeEvent;
use crate::mailbox::glance::Glance;
use crate::mailbox::hand::Hand;
use crate::mailbox::lanes::Raised;
use crate::mailbox::quarantine::Quarantine;
use crate::mailbox::queue::{Gate, Mailbox, Queued};
use crate::mailbox::stored::Repeats;
use crate::mailbox::{DeadLetterReason, MailboxSpec, Overflow};
use crate::message::envelope::{Parcel, Whom};
use crate::message::{Head, MessageId, NoReply};
use crate::store::StoreError;
use crate::sync::{Quiet, drop_quietly, lock};

/// What the spec of an actor says about its cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellSettings {
    pub(crate) mailbox: MailboxSpec,
    pub(crate) start_within: Duration,
    /// How often a message comes again after the handler fell over it.
    pub(crate) redeliveries: u32,
    /// Whether a message that comes no more is laid aside.
    pub(crate) quarantines: bool,
    /// How many openings of the store may find the same message first in line.
    pub(crate) openings: u32,
    /// How long the long messages that wait for a durable actor may be in all, in bytes.
    pub(crate) inbox_bytes: usize,
    /// How many messages of a durable actor may wait for their commits.
    pub(crate) run_ahead: u32,
    /// How long a handler may take.
    pub(crate) progress_within: Option<Duration>,
}

/// What a life begins with.
pub(crate) struct Terms<A: Actor> {
    /// Dropped by whoever lets go of the place last: a supervisor, or the root.
    pub(crate) args: Arc<Quiet<A::Args>>,
    pub(crate) settings: CellSettings,
}

/// A cell with its type: what an [`ActorRef`](crate::ActorRef) points to.
///
/// In this order: what is only read with each message, then more than a cache line that is hardly used, then the mailbox,
/// where each message writes.
#[repr(C)]
pub(crate) struct Cell<A: Actor> {
    pub(crate) core: Arc<CellCore>,
    pub(crate) durability: Option<Arc<Durability<A>>>,
    /// What its mailbox was made with: that stays, whatever later terms say.
    pub(crate) overflow: Overflow,
    /// Whether a life has begun here since the store was opened.
    pub(crate) is_opened: AtomicBool,
    ending: Mutex<()>,
    /// Those of the next life; the one that runs keeps its own.
    terms: Mutex<Arc<Terms<A>>>,
    pub(crate) quarantine: Quarantine<A::Inbox>,
    pub(crate) repeats: Repeats<A::Inbox>,
    /// Long messages on their way to the disk, in bytes.
    pub(crate) on_their_way: AtomicUsize,
    pub(crate) parking: ParkingPlace,
    pub(crate) watched: Watched,
    pub(crate) mailbox: Mailbox<A::Inbox>,
}

impl<A: Actor> Cell<A> {
    pub(crate) fn new(
        core: Arc<CellCore>,
        terms: Arc<Terms<A>>,
        durability: Option<Arc<Durability<A>>>,
    ) -> Self {
        let mailbox = terms.settings.mailbox;
        Cell {
            terms: Mutex::new(terms),
            overflow: mailbox.overflow,
            mailbox: Mailbox::new(mailbox, core.world.clock),
            durability,
            quarantine: Quarantine::default(),
            repeats: Repeats::default(),
            on_their_way: AtomicUsize::new(0),
            parking: ParkingPlace::default(),
            is_opened: AtomicBool::new(false),
            watched: Watched::default(),
            core,
            ending: Mutex::default(),
        }
    }

    /// The stored form of its mail, if that is kept.
    pub(crate) fn mail_form(&self) -> Option<MailForm<A::Inbox>> {
        self.durability.as_ref()?.mail()
    }

    /// Answers whoever asked with `repeat`, a message that is done already. Not here and now: to read the answer is the
    /// author's code, which may take its time or panic, and here is the writer's turn.
    pub(crate) fn answer(&self, repeat: A::Inbox, answer: &[u8]) {
        if let Some(form) = self.mail_form() {
            let answer = answer.to_vec();
            self.core.world.track(async move { form.answer(repeat, &answer) });
        }
    }

    /// Lets a long message of so many bytes be on its way into the inbox, unless it has too much already; one alone may
    /// always come.
    pub(crate) fn let_in(&self, len: usize) -> Result<(), StoreError> {
        let max_bytes = self.terms().settings.inbox_bytes;
        // Counted first, so that of two that come at once one sees the other.
        let before = self.on_their_way.fetch_add(len, Ordering::Relaxed);
        let waiting_bytes = before + self.mailbox.long_bytes();
        if waiting_bytes > 0 && waiting_bytes + len > max_bytes {
            self.on_their_way.fetch_sub(len, Ordering::Relaxed);
            let actor = self.core.path.clone();
            return Err(StoreError::InboxFull { actor, waiting_bytes, len, max_bytes });
        }
        Ok(())
    }

    pub(crate) fn terms(&self) -> Arc<Terms<A>> {
        lock(&self.terms).clone()
    }

    /// The next life begins with these.
    pub(crate) fn renew(&self, terms: Arc<Terms<A>>) {
        let old = std::mem::replace(&mut *lock(&self.terms), terms);
        drop_quietly(old); // outside the lock: the arguments are the author's type
    }

    fn clear_out(&self, gate: Gate) {
        let is_stored = self.mail_form().is_some();
        self.give_up_all_repeats(&NoReply::Stopped);
        for queued in self.mailbox.close(gate) {
            if !is_stored {
                self.bury(queued, DeadLetterReason::Gone, NoReply::Stopped);
                continue;
            }
            self.turn_away(queued, NoReply::Stopped);
        }
    }

    /// Lets go of a message that is on disk, for the next life at this path.
    pub(crate) fn turn_away(&self, queued: Queued<A::Inbox>, answer: NoReply) {
        if let Some(reply) = queued.parcel.reply() {
            reply.fail(answer);
        }
        drop_quietly(queued.parcel);
    }

    /// Why the message with that head, which is on disk, is not handled any more.
    pub(crate) fn past(&self, journal: &Journal, head: &Head) -> Option<DeadLetterReason> {
        self.mail_form()?;
        if journal.has_lost(head.origin()) {
            return Some(DeadLetterReason::JournalDamaged);
        }
        if head.tries > self.terms().settings.redeliveries {
            let last = self.core.exits_after(Incarnation(0)).pop().map(|(.., reason)| reason);
            return Some(last.map_or(DeadLetterReason::Cut, DeadLetterReason::Crashed));
        }
        let kept = head.kept.as_ref()?;
        if kept.openings > self.terms().settings.openings {
            return Some(DeadLetterReason::ProcessEnded { times: kept.openings - 1 });
        }
        // One that has begun does not expire: what it did outside must not be forgotten.
        let expires_ms = kept.expires_ms.filter(|_| !journal.log().knows(head.origin()))?;
        (expires_ms < self.core.world.clock.wall_ms()).then_some(DeadLetterReason::Expired)
    }

    /// A message was laid aside in the store: says so.
    pub(crate) fn laid_aside(&self, head: &Head, reason: DeadLetterReason) {
        match reason {
            DeadLetterReason::Crashed(cause) if self.terms().settings.quarantines => {
                let (path, message) = (self.core.path.clone(), head.kind.look_up().name);
                self.core.world.publish(RuntimeEvent::Quarantined { path, message, id: head.id, cause });
            }
            reason => self.core.dead_letter(head.clone(), reason),
        }
    }

    /// Answers those who asked again while the message was waiting.
    pub(crate) fn answer_repeats(&self, of: MessageId, answer: &[u8]) {
        self.repeats.take(of).into_iter().for_each(|repeat| self.answer(repeat.parcel, answer));
    }

    /// Those who asked again hear the same as who asked first.
    pub(crate) fn give_up_repeats(&self, of: MessageId, why: &NoReply) {
        self.repeats.take(of).into_iter().for_each(|repeat| self.turn_away(repeat, why.clone()));
    }

    /// As [`give_up_repeats`](Cell::give_up_repeats), of every message.
    pub(crate) fn give_up_all_repeats(&self, why: &NoReply) {
        self.repeats.take_all().into_iter().for_each(|repeat| self.turn_away(repeat, why.clone()));
    }

    /// The dead letter of a message that waited, and the word to its asker.
    pub(crate) fn bury(&self, queued: Queued<A::Inbox>, reason: DeadLetterReason, answer: NoReply) {
        if let Some(reply) = queued.parcel.reply() {
            reply.fail(answer);
        }
        self.core.dead_letter(queued.head, reason);
        drop_quietly(queued.parcel);
    }

    /// The dead letter of a message that was in hand, and the word to its asker. Returns what is left of it.
    fn bury_hand(
        &self,
        hand: Hand<A::Inbox>,
        reason: DeadLetterReason,
        answer: NoReply,
    ) -> Option<Box<A::Inbox>> {
        if let Some(reply) = hand.reply {
            reply.fail(answer);
        }
        self.core.dead_letter(hand.head, reason);
        hand.again
    }

    /// A stop is nobody's fault, and no try.
    fn was_last_try(&self, head: &Head, reason: &ExitReason) -> bool {
        head.tries >= self.terms().settings.redeliveries && !matches!(reason, ExitReason::Shutdown)
    }

    /// Lays a message aside that the actor fell over once too often.
    fn lay_aside(&self, hand: Hand<A::Inbox>, again: A::Inbox, cause: &ExitReason) {
        let head = Head { tries: hand.head.tries + 1, has_fallen: true, ..hand.head };
        let (message, id) = (head.kind.look_up().name, head.id);
        let parcel = again.without_asker();
        self.put_into_quarantine(Queued { head, parcel }, cause.clone());
        // Told afterwards: whoever hears of it finds it there.
        let (path, cause) = (self.core.path.clone(), cause.clone());
        self.core.world.publish(RuntimeEvent::Quarantined { path, message, id, cause: cause.clone() });
        if let Some(reply) = hand.reply {
            reply.fail(NoReply::ActorFailed(cause));
        }
    }

    /// The one that had to go for it becomes a dead letter, and so does all of it if the place was deleted meanwhile.
    fn put_into_quarantine(&self, queued: Queued<A::Inbox>, cause: ExitReason) {
        let oldest = self.quarantine.add(queued, cause);
        oldest.into_iter().for_each(|(queued, cause)| self.expel(queued, cause));
        if self.mailbox.is_closed() {
            self.empty_quarantine();
        }
    }

    fn empty_quarantine(&self) {
        self.quarantine.take_all().into_iter().for_each(|(queued, cause)| self.expel(queued, cause));
    }

    fn expel(&self, queued: Queued<A::Inbox>, cause: ExitReason) {
        self.core.dead_letter(queued.head, DeadLetterReason::Crashed(cause));
        drop_quietly(queued.parcel);
    }

    /// Puts a message from the quarantine behind those that wait. `false`: there is none of that number, or the mailbox
    /// does not take it.
    pub(crate) fn inject_again(&self, id: MessageId) -> bool {
        // No message is shed for one that has its place in quarantine, nor this one for want of room.
        if self.mailbox.len() >= self.mailbox.capacity() {
            return false;
        }
        let Some((queued, cause)) = self.quarantine.take(id) else { return false };
        let Queued { head: before, parcel } = queued;
        let head = Head { tries: 0, has_fallen: false, ..before.clone() };
        match self.mailbox.take_over(Queued { head, parcel }) {
            Ok(()) => true,
            Err(Queued { parcel, .. }) => {
                self.put_into_quarantine(Queued { head: before, parcel }, cause);
                false
            }
        }
    }

    /// Sends a message from the quarantine to dead letters.
    pub(crate) fn discard(&self, id: MessageId) -> bool {
        let Some((queued, cause)) = self.quarantine.take(id) else { return false };
        self.expel(queued, cause);
        true
    }

    /// What becomes of the message in hand when its incarnation ends: the table of `docs/guarantees.md`, section 7.
    /// Returns what is left to be dropped: author's code, so not before the end is recorded.
    fn settle_hand(&self, hand: Hand<A::Inbox>, reason: &ExitReason) -> Option<Box<A::Inbox>> {
        if hand.is_done {
            return hand.again;
        }
        if self.mail_form().is_some() {
            return self.settle_stored(hand, reason);
        }
        if hand.settling {
            // Killed in the middle of its commit: run again it might be applied twice, so it is reported instead.
            return self.bury_hand(hand, DeadLetterReason::Unstored, NoReply::Stopped);
        }
        let has_failed = reason.is_fall();
        let comes_again = has_failed || self.core.is_durable;
        match hand.again {
            Some(again) if comes_again && !self.was_last_try(&hand.head, reason) => {
                // A stop is nobody's fault: the message of a durable actor keeps its place and its tries. After a
                // kill it is counted, or a stuck message would come back for ever.
                let is_stop = matches!(reason, ExitReason::Shutdown);
                let tries = hand.head.tries + u32::from(!is_stop);
                let has_fallen = has_failed || hand.head.has_fallen;
                self.mailbox.put_back(*again, Head { tries, has_fallen, ..hand.head });
                None
            }
            // After a kill as well, or a message that has to be killed would come back for ever.
            Some(again) if comes_again && self.terms().settings.quarantines => {
                self.lay_aside(Hand { again: None, ..hand }, *again, reason);
                None
            }
            again => {
                let hand = Hand { again, ..hand };
                if has_failed {
                    let answer = NoReply::ActorFailed(reason.clone());
                    self.bury_hand(hand, DeadLetterReason::Crashed(reason.clone()), answer)
                } else {
                    self.bury_hand(hand, DeadLetterReason::Cut, NoReply::Stopped)
                }
            }
        }
    }

    /// As [`settle_hand`](Cell::settle_hand), of a message that is on disk: it keeps its place. The next life finds out
    /// whether a commit under way has removed it, and lays aside what has had its tries.
    fn settle_stored(&self, hand: Hand<A::Inbox>, reason: &ExitReason) -> Option<Box<A::Inbox>> {
        let Hand { head, reply, again, settling, .. } = hand;
        // A stop is nobody's fault. After a kill it is counted, or a stuck message would come back for ever.
        let is_try = !settling && !matches!(reason, ExitReason::Shutdown);
        if is_try
            && self.was_last_try(&head, reason)
            && let Some(reply) = &reply
        {
            reply.fail(NoReply::ActorFailed(reason.clone()));
        }
        let head = Head {
            tries: head.tries + u32::from(is_try),
            has_fallen: head.has_fallen || reason.is_fall(),
            ..head
        };
        if let Some(again) = again {
            self.mailbox.put_back(*again, head);
        }
        None
    }

    /// Whoever looks for rings of waits finds the message here from now on. `false`: it would close one, for the handler
    /// that runs here waits, by way of others, for this very asker.
    fn may_hold(&self, parcel: &A::Inbox) -> bool {
        let Some(reply) = parcel.reply() else { return true };
        reply.set_holder(Some(self.core.clone()));
        ring::through(&self.core).is_none()
    }
}

impl<A: Actor> AsRef<Mailbox<A::Inbox>> for Cell<A> {
    fn as_ref(&self) -> &Mailbox<A::Inbox> {
        &self.mailbox
    }
}

impl<A: Actor> Seat for Cell<A> {
    fn core(&self) -> &Arc<CellCore> {
        &self.core
    }

    fn launch<'a>(self: Arc<Self>, under: &'a Link) -> BoxFuture<'a, Result<Incarnation, LaunchError>> {
        ractor_bridge::launch_worker(self, under)
    }

    fn end(&self, incarnation: Incarnation, reason: ExitReason) -> bool {
        let left = {
            // One at a time: a fence may meet the end by itself, and the later must not reach into the next life.
            let _one = lock(&self.ending);
            // The hand first: once the cell counts as vacant, the next life may begin to read.
            let hand = self.mailbox.take_hand(incarnation.0);
            let ahead = self.mailbox.take_ahead(incarnation.0);
            if self.core.occupant() != Some(incarnation) {
                return false;
            }
            self.mailbox.hand_to(0);
            let is_repeat = self.terms().settings.quarantines
                && reason.is_fall()
                && hand.as_ref().is_some_and(|hand| hand.head.has_fallen && !hand.is_done);
            if is_repeat {
                self.core.repeats(incarnation);
            }
            let left = hand.and_then(|hand| self.settle_hand(hand, &reason));
            // In front of it, the last one first: those whose commits are under way. None of them was tried in vain.
            let left: Vec<_> = ahead
                .into_iter()
                .rev()
                .filter_map(|hand| {
                    if let Some(reply) = &hand.reply {
                        reply.set_holder(Some(self.core.clone()));
                    }
                    self.settle_hand(hand, &reason)
                })
                .chain(left)
                .collect();
            self.core.ended(incarnation, &reason);
            left
        };
        left.into_iter().for_each(drop_quietly);
        true
    }

    fn close(&self) {
        self.clear_out(Gate::Closed);
        self.empty_quarantine();
    }

    fn shelve(&self) {
        self.clear_out(Gate::Shelved);
    }

    fn clear(&self) {
        if self.core.is_durable {
            return; // what it has accepted stays accepted
        }
        for queued in self.mailbox.clear() {
            self.bury(queued, DeadLetterReason::Cleared, NoReply::Stopped);
        }
    }
    fn drain(&self) {
        self.mailbox.drain();
        self.core.raise(Raised::Drain);
    }

    fn waiting(&self) -> (usize, usize) {
        (self.mailbox.len(), self.mailbox.capacity())
    }

    fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }
    fn is_busy(&self) -> bool {
        self.mailbox.is_busy()
    }
    fn move_waiting(&self, to: &[Place]) -> usize {
        if self.core.is_durable {
            return 0; // what it has accepted stays accepted
        }
        let taker = |place: &Place| {
            let cell = place.0.clone().as_any().downcast::<Cell<A>>().ok()?;
            // Of the same runtime: the lock below is for the moves within one.
            let is_other = !Arc::ptr_eq(&cell.core, &self.core);
            (is_other && Arc::ptr_eq(&cell.core.world, &self.core.world)).then_some(cell)
        };
        let takers: Vec<Arc<Cell<A>>> = to.iter().filter_map(taker).collect();
        if takers.is_empty() {
            return 0;
        }
        let _alone = lock(&self.core.world.moving);
        let mut turns = (0..takers.len()).cycle();
        let mut is_full = false;
        self.mailbox.give_away(|mut queued| {
            // Who found no room is not overtaken by those behind.
            if is_full || queued.head.whom == Whom::ThisOne {
                return Some(queued);
            }
            for at in turns.by_ref().take(takers.len()) {
                if !takers[at].may_hold(&queued.parcel) {
                    continue;
                }
                match takers[at].mailbox.take_over(queued) {
                    Ok(()) => return None,
                    Err(back) => (queued, is_full) = (back, true),
                }
            }
            if let Some(reply) = queued.parcel.reply() {
                reply.set_holder(Some(self.core.clone()));
            }
            Some(queued)
        })
    }
    fn glance(&self) -> Glance {
        self.mailbox.glance()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
