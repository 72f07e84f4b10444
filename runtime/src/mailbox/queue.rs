//! The bounded queue in front of an actor. It belongs to the cell, so a crash loses nothing that waits.
//!
//! Two locks: senders share `inbound`; the incarnation takes one message at a time from `batch`, which it refills by
//! swapping the whole inbound queue. The batch stays in the cell, under the number of the incarnation that may read
//! it: an incarnation that was replaced gets no more messages, and what it had not begun is still here, in order.
//! Lock order: `inbound` before `batch`; those of one mailbox before those of another only where messages move between
//! them, and there one move at a time (`World::moving`).

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::cell::InHand;
use crate::clock::Clock;
use crate::mailbox::line::{Turn, Waiter};
use crate::mailbox::stamps::{Arrivals, InHandSince};
use crate::mailbox::{MailboxSpec, Overflow};
use crate::message::envelope::Parcel;
use crate::message::reply::ErasedReply;
use crate::message::{Head, MessageId};
use crate::sync::lock;

pub(crate) struct Mailbox<E> {
    spec: MailboxSpec,
    clock: Clock,
    /// Senders in line, so that the reader need not lock to see that there are none.
    in_line: AtomicUsize,
    inbound: OwnLine<Mutex<Inbound<E>>>,
    /// Places ever given away, to a message or on a promise. Written only under the lock of `inbound`.
    given: AtomicUsize,
    batch: OwnLine<Mutex<Batch<E>>>,
    /// Places ever freed. Written only under the lock of `batch`. What is given and not freed is the length: two
    /// counters with one writer each, so that neither side pays for the other's.
    freed: AtomicUsize,
}

/// Adds to a counter whose writers hold a lock: no read-modify-write on the bus.
fn add(counter: &AtomicUsize, n: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Release);
}

/// Begins at a cache line: what senders write and what the reader writes must not share one, or each waits for the
/// other's core with every message.
#[repr(align(64))]
struct OwnLine<T>(T);

impl<T> Deref for OwnLine<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A message that waits, and what is known of it.
pub(crate) struct Queued<E> {
    pub(crate) head: Head,
    pub(crate) parcel: E,
}

struct Inbound<E> {
    items: VecDeque<Queued<E>>,
    arrivals: Arrivals,
    reader: Option<Waker>,
    line: VecDeque<Arc<Waiter>>,
    gate: Gate,
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

struct Batch<E> {
    items: VecDeque<Queued<E>>,
    arrivals: Arrivals,
    since: InHandSince,
    /// Which incarnation may take messages.
    reader: u64,
    hand: Option<Hand<E>>,
}

/// The message that the incarnation has in hand.
pub(crate) struct Hand<E> {
    pub(crate) head: Head,
    pub(crate) reply: Option<ErasedReply>,
    /// What a further delivery would get.
    pub(crate) again: Option<E>,
    /// Its commit has begun: nobody can say from outside whether it was applied.
    pub(crate) settling: bool,
    /// It was handled, and stored where that is due.
    pub(crate) is_done: bool,
}

pub(crate) enum Next<E> {
    Message(Queued<E>),
    Empty,
    /// Another incarnation reads this mailbox now.
    Fenced,
}

/// What one look shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Glance {
    pub(crate) waiting: usize,
    pub(crate) capacity: usize,
    /// When the oldest of those waiting came, in milliseconds since the start of the runtime: see [`Arrivals`].
    pub(crate) oldest_ms: Option<u64>,
    pub(crate) in_hand: Option<InHand>,
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
            in_line: AtomicUsize::new(0),
            inbound: OwnLine(Mutex::new(Inbound {
                items: VecDeque::new(),
                arrivals: Arrivals::default(),
                reader: None,
                line: VecDeque::new(),
                gate: Gate::Open,
                last_id: 0,
            })),
            given: AtomicUsize::new(0),
            batch: OwnLine(Mutex::new(Batch {
                items: VecDeque::new(),
                arrivals: Arrivals::default(),
                since: InHandSince::default(),
                reader: 0,
                hand: None,
            })),
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

    /// Puts `parcel` in, or says why not. Never waits.
    #[inline(always)]
    pub(crate) fn push(&self, head: Head, parcel: E) -> Pushed<E> {
        let mut inbound = self.behind_the_line();
        if inbound.gate != Gate::Open {
            let gate = inbound.gate;
            return Pushed::Refused(parcel, gate);
        }
        let mut shed = None;
        if self.len() >= self.spec.capacity || !inbound.line.is_empty() {
            match self.spec.overflow {
                Overflow::Wait | Overflow::Reject => return Pushed::Full(parcel),
                Overflow::DropNewest => return Pushed::Shed(Queued { head, parcel }),
                Overflow::DropOldest => match self.pop_oldest(&mut inbound) {
                    Some(oldest) => shed = Some(oldest),
                    // All places are promised, none is filled: there is nothing old to drop.
                    None => return Pushed::Full(parcel),
                },
            }
        }
        add(&self.given, 1);
        self.enqueue(inbound, head, parcel);
        shed.map_or(Pushed::Done, Pushed::Shed)
    }

    /// Asks for a place. Who has to wait stands in line; nobody overtakes the line.
    pub(crate) fn reserve(&self) -> Room<E> {
        let mut inbound = self.behind_the_line();
        if inbound.gate != Gate::Open {
            return Room::Refused(inbound.gate);
        }
        if self.len() < self.spec.capacity && inbound.line.is_empty() {
            add(&self.given, 1);
            return Room::Held;
        }
        match self.spec.overflow {
            Overflow::Reject => Room::Full,
            Overflow::DropNewest => Room::ShedNew,
            Overflow::DropOldest => match self.pop_oldest(&mut inbound) {
                Some(oldest) => {
                    add(&self.given, 1);
                    Room::HeldAfterShedding(oldest)
                }
                None => Room::Full,
            },
            Overflow::Wait => {
                let waiter = Arc::new(Waiter::default());
                inbound.line.push_back(waiter.clone());
                self.in_line.fetch_add(1, Ordering::Relaxed);
                drop(inbound);
                // The reader takes without this lock: it may have freed a place and seen nobody in line.
                self.admit(1);
                Room::InLine(waiter)
            }
        }
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
        self.admit(1);
        lock(&self.inbound)
    }

    /// Whether the message with that number has been put in and not been taken yet.
    pub(crate) fn is_waiting(&self, id: MessageId) -> bool {
        let inbound = lock(&self.inbound);
        let batch = lock(&self.batch);
        // Numbers rise along the queue, and a message put back is older than those behind it.
        batch.items.front().or_else(|| inbound.items.front()).is_some_and(|first| first.head.id <= id)
    }

    /// Fills a place that was held, and says which number the message got.
    pub(crate) fn fill(&self, head: Head, parcel: E) -> Result<MessageId, (Queued<E>, Gate)> {
        let inbound = lock(&self.inbound);
        if matches!(inbound.gate, Gate::Shelved | Gate::Closed) {
            return Err((Queued { head, parcel }, inbound.gate));
        }
        // A place promised before a drain began is honoured.
        Ok(self.enqueue(inbound, head, parcel))
    }

    /// Gives a held place back.
    pub(crate) fn give_back(&self) {
        {
            let _batch = lock(&self.batch);
            add(&self.freed, 1);
        }
        self.admit(1);
    }

    #[inline(always)]
    fn enqueue(&self, mut inbound: MutexGuard<'_, Inbound<E>>, mut head: Head, parcel: E) -> MessageId {
        inbound.last_id += 1;
        let id = MessageId(inbound.last_id);
        head.id = id;
        inbound.items.push_back(Queued { head, parcel });
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

    fn pop_oldest(&self, inbound: &mut Inbound<E>) -> Option<Queued<E>> {
        let mut batch = lock(&self.batch);
        let oldest = batch.items.pop_front().or_else(|| inbound.items.pop_front());
        if inbound.items.is_empty() {
            inbound.arrivals = Arrivals::default();
        }
        if oldest.is_some() {
            add(&self.freed, 1);
        }
        oldest
    }

    /// Lets the line move, if at least `least` places are free (or the whole mailbox is).
    #[inline]
    fn admit(&self, least: usize) {
        // Whoever freed a place must not miss a sender that saw none: that one is in line before it looks again.
        fence(Ordering::SeqCst);
        if self.in_line.load(Ordering::Relaxed) > 0 && self.free() >= least.min(self.spec.capacity) {
            self.let_in();
        }
    }

    fn free(&self) -> usize {
        self.spec.capacity.saturating_sub(self.len())
    }

    #[cold]
    fn let_in(&self) {
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

    /// Leaves the line. A place that was granted meanwhile is given back.
    pub(crate) fn leave_line(&self, waiter: &Arc<Waiter>) {
        let granted = {
            let mut inbound = lock(&self.inbound);
            let before = inbound.line.len();
            inbound.line.retain(|other| !Arc::ptr_eq(other, waiter));
            if inbound.line.len() < before {
                self.in_line.fetch_sub(1, Ordering::Relaxed);
            }
            waiter.take_grant()
        };
        if granted {
            self.give_back();
        }
    }

    // ---- the incarnation ----

    /// Makes `reader` the one incarnation that may take messages; 0 is nobody.
    pub(crate) fn hand_to(&self, reader: u64) {
        // Nobody waits for mail any more, or not yet.
        let left = lock(&self.inbound).reader.take();
        let mut batch = lock(&self.batch);
        batch.reader = reader;
        batch.since.begin();
        drop(batch);
        drop(left);
    }

    /// Lays the message in hand aside as done and takes the next one.
    #[inline]
    pub(crate) fn next(&self, reader: u64) -> Next<E> {
        {
            let mut batch = lock(&self.batch);
            if batch.reader != reader {
                return Next::Fenced;
            }
            if let Some(queued) = batch.items.pop_front() {
                let done = self.take_in_hand(&mut batch, &queued);
                drop(batch);
                drop(done); // outside the lock: a copy of a message is the author's type
                // In lots, so that a full mailbox does not cost a wake-up a message. Without a fence: whoever is
                // overlooked here is seen by the next look, at the latest when the handler waits or the mail runs dry.
                if self.in_line.load(Ordering::Relaxed) > 0 && self.free() >= (self.spec.capacity / 4).max(1)
                {
                    self.let_in();
                }
                return Next::Message(queued);
            }
        }
        self.refill(reader)
    }

    fn refill(&self, reader: u64) -> Next<E> {
        let mut inbound = lock(&self.inbound);
        let mut batch = lock(&self.batch);
        if batch.reader != reader {
            return Next::Fenced;
        }
        std::mem::swap(&mut inbound.items, &mut batch.items);
        if !batch.items.is_empty() {
            batch.arrivals.take_over(&mut inbound.arrivals);
        }
        drop(inbound);
        let done;
        let next = match batch.items.pop_front() {
            Some(queued) => {
                let came_ms = batch.arrivals.first();
                batch.since.not_before(came_ms);
                done = self.take_in_hand(&mut batch, &queued);
                Next::Message(queued)
            }
            None => {
                done = batch.hand.take();
                batch.since.rests();
                // After a burst the queues keep their room; give it back once they are empty and large.
                if batch.items.capacity() > 4 * 64 {
                    batch.items = VecDeque::new();
                }
                Next::Empty
            }
        };
        drop(batch);
        drop(done);
        self.admit(1);
        next
    }

    #[inline]
    fn take_in_hand(&self, batch: &mut Batch<E>, queued: &Queued<E>) -> Option<Hand<E>> {
        add(&self.freed, 1);
        batch.since.took(&self.clock);
        let reply = queued.parcel.reply();
        match &mut batch.hand {
            // Most messages leave nothing behind that must be dropped outside the lock: then nothing is moved.
            Some(hand) if hand.again.is_none() && hand.reply.is_none() => {
                hand.head.copy_from(&queued.head);
                hand.reply = reply;
                hand.settling = false;
                hand.is_done = false;
                None
            }
            hand => hand.replace(Hand {
                head: queued.head.clone(),
                reply,
                again: None,
                settling: false,
                is_done: false,
            }),
        }
    }

    /// Waits for a message to take. The caller has registered in the control lane before.
    pub(crate) fn register_reader(&self, waker: &Waker) -> Poll<()> {
        let mut inbound = lock(&self.inbound);
        if !inbound.items.is_empty() || inbound.gate != Gate::Open {
            return Poll::Ready(());
        }
        if !inbound.reader.as_ref().is_some_and(|old| old.will_wake(waker)) {
            inbound.reader = Some(waker.clone());
        }
        Poll::Pending
    }

    /// A handler waits: whoever is in line gets the places that are free.
    pub(crate) fn reader_waits(&self) {
        self.admit(1);
    }

    /// The handler of the message in hand waits for the first time.
    pub(crate) fn hand_waits(&self, reader: u64) {
        let mut batch = lock(&self.batch);
        if batch.reader == reader {
            batch.since.waits(&self.clock);
        }
    }

    /// Keeps a copy of the message in hand for a further delivery.
    pub(crate) fn keep_copy(&self, reader: u64, again: E) {
        let mut batch = lock(&self.batch);
        if batch.reader == reader
            && let Some(hand) = &mut batch.hand
        {
            hand.again = Some(again);
        }
    }

    pub(crate) fn mark_settling(&self, reader: u64, settling: bool) -> bool {
        let mut batch = lock(&self.batch);
        let mine = batch.reader == reader;
        if mine && let Some(hand) = &mut batch.hand {
            hand.settling = settling;
        }
        mine
    }

    /// The message in hand is done: whatever ends its incarnation now, it does not come again.
    pub(crate) fn settled(&self, reader: u64) {
        let mut batch = lock(&self.batch);
        if batch.reader == reader
            && let Some(hand) = &mut batch.hand
        {
            hand.is_done = true;
        }
    }

    /// Whether nothing new is taken for good, or until the next launch.
    pub(crate) fn is_shut(&self) -> bool {
        matches!(lock(&self.inbound).gate, Gate::Shelved | Gate::Closed)
    }

    /// Whether new messages are taken, were there room.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.inbound).gate == Gate::Open
    }

    /// Whether the place was deleted.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inbound).gate == Gate::Closed
    }

    /// Puts `parcel` in if there is room, whatever the policy says about a full mailbox; else gives it back.
    pub(crate) fn push_if_room(&self, head: Head, parcel: E) -> Option<E> {
        let inbound = self.behind_the_line();
        if inbound.gate != Gate::Open || self.len() >= self.spec.capacity || !inbound.line.is_empty() {
            return Some(parcel);
        }
        add(&self.given, 1);
        self.enqueue(inbound, head, parcel);
        None
    }

    /// Whether a message is in hand that is not done.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.batch).hand.as_ref().is_some_and(|hand| !hand.is_done)
    }

    /// The asker of the message in hand.
    pub(crate) fn reply_in_hand(&self, reader: u64) -> Option<ErasedReply> {
        let batch = lock(&self.batch);
        if batch.reader == reader { batch.hand.as_ref().and_then(|hand| hand.reply.clone()) } else { None }
    }

    /// The handler gave its port away: whoever ends the message must not answer it.
    pub(crate) fn release_reply(&self, reader: u64) -> Option<ErasedReply> {
        let mut batch = lock(&self.batch);
        if batch.reader == reader { batch.hand.as_mut().and_then(|hand| hand.reply.take()) } else { None }
    }

    pub(crate) fn glance(&self) -> Glance {
        // Most mailboxes are empty: then senders are not held up.
        let mut inbound = (self.len() > 0).then(|| lock(&self.inbound));
        let mut batch = lock(&self.batch);
        let Batch { items, arrivals, since, hand, .. } = &mut *batch;
        let oldest_ms = match (items.front(), inbound.as_deref_mut()) {
            (Some(first), _) => Some(arrivals.found(first.head.id, self.clock.elapsed_ms())),
            (None, Some(Inbound { items, arrivals, .. })) => {
                items.front().map(|first| arrivals.found(first.head.id, self.clock.elapsed_ms()))
            }
            (None, None) => None,
        };
        let in_hand = hand.as_ref().map(|Hand { head, .. }| InHand {
            message: head.kind.look_up().name,
            id: head.id,
            tries: head.tries,
            // What waits in the inbound queue came after this was taken.
            since: Duration::from_millis(since.found(oldest_ms.unwrap_or_else(|| self.clock.elapsed_ms()))),
        });
        Glance { waiting: self.len(), capacity: self.spec.capacity, oldest_ms, in_hand }
    }

    /// Takes the message in hand away from the incarnation that has it.
    pub(crate) fn take_hand(&self, reader: u64) -> Option<Hand<E>> {
        let mut batch = lock(&self.batch);
        if batch.reader == reader { batch.hand.take() } else { None }
    }

    /// Undoes [`take_hand`](Mailbox::take_hand).
    pub(crate) fn return_hand(&self, reader: u64, hand: Hand<E>) {
        let mut batch = lock(&self.batch);
        if batch.reader == reader {
            batch.hand = Some(hand);
        }
    }

    /// Puts a message back in front: nothing overtakes it. May exceed the capacity by this one.
    pub(crate) fn put_back(&self, parcel: E, head: Head) {
        let mut batch = lock(&self.batch);
        add(&self.freed, 1_usize.wrapping_neg());
        batch.arrivals.found(head.id, self.clock.elapsed_ms());
        batch.items.push_front(Queued { head, parcel });
    }

    // ---- the cell ----

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
            let (mut inbound, mut batch) = (lock(&self.inbound), lock(&self.batch));
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
        self.admit(1);
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
        self.enqueue(inbound, queued.head, queued.parcel);
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
            let mut inbound = lock(&self.inbound);
            let mut batch = lock(&self.batch);
            let mut left: Vec<Queued<E>> = batch.items.drain(..).collect();
            left.extend(inbound.items.drain(..));
            // Some may be put back.
            batch.arrivals.append(&mut inbound.arrivals);
            add(&self.freed, left.len());
            left
        };
        self.admit(1);
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
