//! The bounded queue in front of an actor. It belongs to the cell, so a crash loses nothing that waits.
//!
//! Two locks: senders share `inbound`; the incarnation takes one message at a time from `batch`, which it refills by
//! swapping the whole inbound queue. The batch stays in the cell, under the number of the incarnation that may read
//! it: an incarnation that was replaced gets no more messages, and what it had not begun is still here, in order.
//! Lock order: `batch` before `inbound`, so that the reader goes from the one to the other without letting go; those of
//! one mailbox before those of another only where messages move between them, and there one move at a time
//! (`World::moving`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::clock::Clock;
use crate::mailbox::batch::Batch;
use crate::mailbox::line::{Turn, Waiter};
use crate::mailbox::stamps::Arrivals;
use crate::mailbox::{MailboxSpec, Overflow};
use crate::message::envelope::Parcel;
use crate::message::{Head, MessageId};
use crate::sync::raced::atomic::{AtomicUsize, Ordering, fence};
use crate::sync::raced::{Mutex, MutexGuard, lock};

/// What senders write and what the reader writes must not share a cache line, or each waits for the other's core with
/// every message: the order of the fields keeps them apart. Nothing is aligned for it, which costs memory and time where
/// there are many actors.
#[repr(C)]
pub(crate) struct Mailbox<E> {
    pub(super) inbound: Mutex<Inbound<E>>,
    /// Places ever given away, to a message or on a promise. Written only under the lock of `inbound`.
    pub(super) given: AtomicUsize,
    pub(super) spec: MailboxSpec,
    pub(super) clock: Clock,
    /// Senders in line, so that the reader need not lock to see that there are none. Written only under the lock of
    /// `inbound`.
    pub(super) in_line: AtomicUsize,
    _between: Line,
    /// Places ever freed. Written only under the lock of `batch`. What is given and not freed is the length: two
    /// counters with one writer each, so that neither side pays for the other's.
    pub(super) freed: AtomicUsize,
    _behind: Line,
    pub(super) batch: Mutex<Batch<E>>,
}

/// Adds to a counter whose writers hold a lock: no read-modify-write on the bus.
pub(super) fn add(counter: &AtomicUsize, n: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
}

/// As long as a line of the cache.
type Line = [u8; 64];

/// A message that waits, and what is known of it.
pub(crate) struct Queued<E> {
    pub(crate) head: Head,
    pub(crate) parcel: E,
}

pub(super) struct Inbound<E> {
    pub(super) items: VecDeque<Queued<E>>,
    pub(super) arrivals: Arrivals,
    /// Of the reader that found nothing; whoever has something for it takes this and wakes it.
    pub(super) reader: Option<Waker>,
    line: VecDeque<Arc<Waiter>>,
    pub(super) gate: Gate,
    last_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Nothing new is taken, what waits is handled.
    Draining,
    /// No incarnation runs, and none will before the supervisor decides so.
    Shelved,
    Closed,
}

/// What became of a push.
pub(crate) enum Pushed<E> {
    Done,
    /// Done, and this one had to go for it; or it is the new one itself that had to.
    Shed(Queued<E>),
    /// Refused by the policy.
    Full(E),
    Refused(E, Gate),
}

/// The answer to a request for a place.
pub(crate) enum Room<E> {
    /// A place is held; fill it or give it back.
    Held,
    /// A place is held, and this message had to go for it.
    HeldAfterShedding(Queued<E>),
    /// In line for a place.
    InLine(Arc<Waiter>),
    Full,
    /// The policy sheds the new message.
    ShedNew,
    Refused(Gate),
}

impl<E: Parcel> Mailbox<E> {
    pub(crate) fn new(spec: MailboxSpec, clock: Clock) -> Self {
        Mailbox {
            spec: MailboxSpec { capacity: spec.capacity.max(1), ..spec },
            clock,
            inbound: Mutex::new(Inbound {
                items: VecDeque::new(),
                arrivals: Arrivals::default(),
                reader: None,
                line: VecDeque::new(),
                gate: Gate::Open,
                last_id: 0,
            }),
            given: AtomicUsize::new(0),
            in_line: AtomicUsize::new(0),
            _between: [0; 64],
            _behind: [0; 64],
            batch: Mutex::new(Batch::default()),
            freed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.spec.capacity
    }

    /// Messages waiting, places promised to senders included.
    pub(crate) fn len(&self) -> usize {
        // Freed first: what is given meanwhile makes the answer too large by it, never negative.
        let freed = self.freed.load(Ordering::Acquire);
        self.given.load(Ordering::Acquire).wrapping_sub(freed)
    }

    // ---- senders ----

    /// Once in many messages, after which a sender that never had to wait gives way to others.
    #[inline]
    pub(crate) fn is_turn_of_others(&self) -> bool {
        const SENDS_IN_A_ROW: usize = 1_024;
        self.given.load(Ordering::Relaxed) % SENDS_IN_A_ROW == SENDS_IN_A_ROW - 1
    }

    /// Puts `queued` in, or says why not. Never waits.
    #[inline(always)]
    pub(crate) fn push(&self, queued: Queued<E>) -> Pushed<E> {
        let inbound = self.behind_the_line();
        if inbound.gate != Gate::Open {
            let gate = inbound.gate;
            return Pushed::Refused(queued.parcel, gate);
        }
        if self.free() == 0 || !inbound.line.is_empty() {
            return match self.spec.overflow {
                Overflow::Wait | Overflow::Reject => Pushed::Full(queued.parcel),
                Overflow::DropNewest => Pushed::Shed(queued),
                Overflow::DropOldest => {
                    drop(inbound);
                    self.push_out_oldest(queued)
                }
            };
        }
        add(&self.given, 1);
        self.enqueue(inbound, queued);
        Pushed::Done
    }

    /// As [`push`](Mailbox::push) into a mailbox that was found full, whose oldest message may go for the new one.
    #[cold]
    fn push_out_oldest(&self, queued: Queued<E>) -> Pushed<E> {
        let (inbound, room) = self.reserve_oldest();
        match room {
            Room::Held => {
                self.enqueue(inbound, queued);
                Pushed::Done
            }
            Room::HeldAfterShedding(oldest) => {
                self.enqueue(inbound, queued);
                Pushed::Shed(oldest)
            }
            Room::Refused(gate) => Pushed::Refused(queued.parcel, gate),
            Room::Full | Room::InLine(_) | Room::ShedNew => Pushed::Full(queued.parcel),
        }
    }

    /// Asks for a place. Who has to wait stands in line; nobody overtakes the line.
    pub(crate) fn reserve(&self) -> Room<E> {
        let mut inbound = self.behind_the_line();
        if inbound.gate != Gate::Open {
            return Room::Refused(inbound.gate);
        }
        if self.free() > 0 && inbound.line.is_empty() {
            add(&self.given, 1);
            return Room::Held;
        }
        match self.spec.overflow {
            Overflow::Reject => Room::Full,
            Overflow::DropNewest => Room::ShedNew,
            Overflow::DropOldest => {
                drop(inbound);
                self.reserve_oldest().1
            }
            Overflow::Wait => {
                let waiter = Arc::new(Waiter::default());
                inbound.line.push_back(waiter.clone());
                self.in_line.fetch_add(1, Ordering::Relaxed);
                drop(inbound);
                // The reader takes without this lock: it may have freed a place and seen nobody in line.
                self.admit();
                Room::InLine(waiter)
            }
        }
    }

    /// Asks for a place, that of the oldest message if there is no other, and keeps `inbound` for whoever fills it.
    #[cold]
    fn reserve_oldest(&self) -> (MutexGuard<'_, Inbound<E>>, Room<E>) {
        // `batch` is locked before `inbound`: who comes here has let go of it, and looks again.
        let mut batch = lock(&self.batch);
        let mut inbound = lock(&self.inbound);
        let room = if inbound.gate != Gate::Open {
            Room::Refused(inbound.gate)
        } else if self.free() > 0 {
            add(&self.given, 1);
            Room::Held
        } else if let Some(oldest) = batch.items.pop_front().or_else(|| inbound.items.pop_front()) {
            if inbound.items.is_empty() {
                inbound.arrivals = Arrivals::default();
            }
            add(&self.freed, 1);
            add(&self.given, 1);
            Room::HeldAfterShedding(oldest)
        } else {
            Room::Full // all places are promised, none is filled: there is nothing old to drop
        };
        (inbound, room)
    }

    /// The inbound queue, after those in line were let to the places that are free: the reader lets them in by lots,
    /// and who comes now must not overtake them.
    #[inline(always)]
    fn behind_the_line(&self) -> MutexGuard<'_, Inbound<E>> {
        let inbound = lock(&self.inbound);
        if inbound.line.is_empty() {
            return inbound;
        }
        drop(inbound);
        self.admit();
        lock(&self.inbound)
    }

    /// Whether the message with that number has been put in and not been taken yet.
    pub(crate) fn is_waiting(&self, id: MessageId) -> bool {
        let batch = lock(&self.batch);
        let inbound = lock(&self.inbound);
        // Numbers rise along the queue, and a message put back is older than those behind it.
        batch.items.front().or_else(|| inbound.items.front()).is_some_and(|first| first.head.id <= id)
    }

    /// Fills a place that was held, and says which number the message got.
    pub(crate) fn fill(&self, queued: Queued<E>) -> Result<MessageId, (Queued<E>, Gate)> {
        let inbound = lock(&self.inbound);
        if matches!(inbound.gate, Gate::Shelved | Gate::Closed) {
            return Err((queued, inbound.gate));
        }
        // A place promised before a drain began is honoured.
        Ok(self.enqueue(inbound, queued))
    }

    /// Gives a held place back.
    pub(crate) fn give_back(&self) {
        {
            let _batch = lock(&self.batch);
            add(&self.freed, 1);
        }
        self.admit();
    }

    #[inline(always)]
    fn enqueue(&self, mut inbound: MutexGuard<'_, Inbound<E>>, mut queued: Queued<E>) -> MessageId {
        inbound.last_id += 1;
        queued.head.id = MessageId(inbound.last_id);
        self.enqueue_as(inbound, queued)
    }

    /// As [`enqueue`](Mailbox::enqueue), with the number that it has.
    #[inline(always)]
    pub(super) fn enqueue_as(&self, mut inbound: MutexGuard<'_, Inbound<E>>, queued: Queued<E>) -> MessageId {
        let id = queued.head.id;
        inbound.items.push_back(queued);
        let reader = inbound.reader.take();
        // Whoever is woken takes it at once, so most asks need no look at the clock.
        if Arrivals::is_due(id) || (inbound.arrivals.is_blank() && reader.is_none()) {
            self.note_arrival(&mut inbound, id);
        }
        drop(inbound);
        if let Some(reader) = reader {
            reader.wake();
        }
        id
    }

    #[cold]
    #[inline(never)]
    fn note_arrival(&self, inbound: &mut Inbound<E>, id: MessageId) {
        let oldest = inbound.items.front().map_or(id, |first| first.head.id);
        inbound.arrivals.note(id, oldest, self.clock.elapsed_ms());
    }

    /// Lets the line move, if there is a place for it.
    #[inline]
    pub(super) fn admit(&self) {
        // Whoever freed a place must not miss a sender that saw none: that one is in line before it looks again.
        fence(Ordering::SeqCst);
        if self.in_line.load(Ordering::Relaxed) > 0 && self.free() > 0 {
            self.let_in();
        }
    }

    pub(super) fn free(&self) -> usize {
        self.spec.capacity.saturating_sub(self.len())
    }

    #[cold]
    pub(super) fn let_in(&self) {
        let mut wakers = Vec::new();
        {
            let mut inbound = lock(&self.inbound);
            let mut free = self.free();
            while free > 0 {
                let Some(waiter) = inbound.line.pop_front() else { break };
                self.in_line.fetch_sub(1, Ordering::Relaxed);
                // The place is counted before the waiter can see it, so that nobody else takes it.
                add(&self.given, 1);
                match waiter.settle(Turn::Granted) {
                    Some(waker) => {
                        free -= 1;
                        wakers.extend(waker);
                    }
                    // It gave up: its place goes to the next.
                    None => add(&self.given, 1_usize.wrapping_neg()),
                }
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Leaves the line, which costs the more the longer it is; nothing, for those who have had their turn. A place that
    /// was granted and not seen yet is given back.
    pub(crate) fn leave_line(&self, waiter: &Arc<Waiter>) {
        match waiter.leave() {
            Turn::Refused(_) | Turn::Left => {}
            Turn::Granted => self.give_back(),
            Turn::New | Turn::Waiting(_) => {
                let mut inbound = lock(&self.inbound);
                let before = inbound.line.len();
                inbound.line.retain(|other| !Arc::ptr_eq(other, waiter));
                // Not there any more: its turn came between the two locks, and it was passed over.
                if inbound.line.len() < before {
                    self.in_line.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    // ---- the cell ----

    /// Whether new messages are taken, were there room.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.inbound).gate == Gate::Open
    }

    /// Whether the place was deleted.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inbound).gate == Gate::Closed
    }

    /// Opens the gate for the next life, unless the place was closed, or is being drained and `drains_on`. Says whether
    /// it drains on.
    pub(crate) fn reopen(&self, drains_on: bool) -> bool {
        let mut inbound = lock(&self.inbound);
        match inbound.gate {
            Gate::Draining if drains_on => return true,
            Gate::Open | Gate::Draining | Gate::Shelved => inbound.gate = Gate::Open,
            Gate::Closed => {}
        }
        false
    }

    /// Refuses what comes from now on. Whoever stands in line is refused too.
    pub(crate) fn drain(&self) {
        self.shut(Gate::Draining);
    }

    /// Offers what waits to others, oldest first: `give` takes a message, or hands it back and it keeps its place. Says
    /// how many went.
    ///
    /// Nobody sends, takes or closes meanwhile: `give` must be quick, and must not reach for this mailbox.
    pub(crate) fn give_away(&self, mut give: impl FnMut(Queued<E>) -> Option<Queued<E>>) -> usize {
        let given = {
            let mut batch = lock(&self.batch);
            let mut inbound = lock(&self.inbound);
            let before = batch.items.len() + inbound.items.len();
            batch.items = batch.items.drain(..).filter_map(&mut give).collect();
            inbound.items = inbound.items.drain(..).filter_map(&mut give).collect();
            if inbound.items.is_empty() {
                inbound.arrivals = Arrivals::default();
            }
            if batch.items.is_empty() {
                batch.arrivals = Arrivals::default();
            }
            let given = before - batch.items.len() - inbound.items.len();
            add(&self.freed, given);
            given
        };
        self.admit();
        given
    }

    /// Puts in a message that was accepted elsewhere, if there is room that nobody stands in line for. Nothing is shed
    /// for it.
    pub(crate) fn take_over(&self, queued: Queued<E>) -> Result<(), Queued<E>> {
        let inbound = lock(&self.inbound);
        if inbound.gate != Gate::Open || !inbound.line.is_empty() || self.free() == 0 {
            return Err(queued);
        }
        add(&self.given, 1);
        self.enqueue(inbound, queued);
        Ok(())
    }

    /// Refuses everything from now on and gives back what waits, oldest first.
    pub(crate) fn close(&self, gate: Gate) -> Vec<Queued<E>> {
        self.shut(gate);
        self.clear()
    }

    /// Gives back what waits, oldest first, and stays as open as it is.
    pub(crate) fn clear(&self) -> Vec<Queued<E>> {
        let left = {
            let mut batch = lock(&self.batch);
            let mut inbound = lock(&self.inbound);
            let mut left: Vec<Queued<E>> = batch.items.drain(..).collect();
            left.extend(inbound.items.drain(..));
            // Some may be put back.
            batch.arrivals.append(&mut inbound.arrivals);
            add(&self.freed, left.len());
            left
        };
        self.admit();
        left
    }

    fn shut(&self, gate: Gate) {
        let mut inbound = lock(&self.inbound);
        let stays = inbound.gate == Gate::Closed || (inbound.gate == Gate::Shelved && gate == Gate::Draining);
        if !stays {
            inbound.gate = gate;
        }
        let line = std::mem::take(&mut inbound.line);
        self.in_line.fetch_sub(line.len(), Ordering::Relaxed);
        let reader = inbound.reader.take();
        let gate = inbound.gate;
        drop(inbound);
        line.into_iter()
            .filter_map(|waiter| waiter.settle(Turn::Refused(gate)))
            .flatten()
            .for_each(Waker::wake);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}
