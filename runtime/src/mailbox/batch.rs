//! The reader's side of the mailbox: the batch that one incarnation works on, one message at a time.
//!
//! It stays in the cell, under the number of the incarnation that may read it.

use std::collections::VecDeque;
use std::task::Waker;

use crate::mailbox::ahead::Ahead;
use crate::mailbox::hand::{Hand, discard};
use crate::mailbox::queue::{Gate, Mailbox, Queued, add};
use crate::mailbox::stamps::{Arrivals, InHandSince};
use crate::message::Head;
use crate::message::envelope::Parcel;
use crate::sync::raced::atomic::Ordering;
use crate::sync::raced::{MutexGuard, lock};

pub(super) struct Batch<E> {
    pub(super) items: VecDeque<Queued<E>>,
    pub(super) arrivals: Arrivals,
    pub(super) since: InHandSince,
    /// Which incarnation may take messages; 0 is nobody.
    reader: u64,
    pub(super) hand: Option<Hand<E>>,
    /// Before the one in hand; made by the first incarnation that runs ahead.
    pub(super) ahead: Option<Box<Ahead<E>>>,
}

impl<E> Default for Batch<E> {
    fn default() -> Self {
        let (arrivals, since) = (Arrivals::default(), InHandSince::default());
        Batch { items: VecDeque::new(), arrivals, since, reader: 0, hand: None, ahead: None }
    }
}

/// Why there is no next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMail {
    /// Nothing is there. The waker is kept for what comes, and for the gate when it is shut.
    Dry,
    /// Nothing is there, and nothing comes: deleted, or laid aside until the next launch.
    Shut,
    /// Another incarnation reads this mailbox now.
    Fenced,
}

impl<E: Parcel> Mailbox<E> {
    /// Makes `reader` the one incarnation that may take messages; 0 is nobody.
    pub(crate) fn hand_to(&self, reader: u64) {
        let left = {
            let mut batch = lock(&self.batch);
            batch.reader = reader;
            batch.since.begin();
            // Nobody waits for mail any more, or not yet.
            lock(&self.inbound).reader.take()
        };
        drop(left);
    }

    /// The batch, if `reader` is the incarnation that may read it.
    pub(super) fn batch_of(&self, reader: u64) -> Option<MutexGuard<'_, Batch<E>>> {
        let batch = lock(&self.batch);
        (batch.reader == reader).then_some(batch)
    }

    /// Lays the message in hand aside as done and takes the next one. If there is none, `waker` is kept: look again
    /// when it was woken.
    #[inline]
    pub(crate) fn next(&self, reader: u64, waker: &Waker) -> Result<Queued<E>, NoMail> {
        let mut batch = lock(&self.batch);
        if batch.reader != reader {
            return Err(NoMail::Fenced);
        }
        let queued = loop {
            if let Some(queued) = batch.items.pop_front() {
                break queued;
            }
            if let Err(why) = self.refill(&mut batch, waker) {
                self.pause(batch);
                return Err(why);
            }
        };
        add(&self.freed, 1);
        batch.since.took(&self.clock);
        let remains = batch.take_in_hand(&queued);
        drop(batch);
        discard(remains);
        // In lots, so that a full mailbox does not cost a wake-up a message. Without a fence: whoever is overlooked here
        // is seen by the next look, at the latest when the handler waits or the mail runs dry.
        if self.in_line.load(Ordering::Relaxed) > 0 && self.free() >= (self.spec.capacity / 4).max(1) {
            self.let_in();
        }
        Ok(queued)
    }

    /// Makes a batch of what came in since the last, or keeps `waker`.
    ///
    /// No wake-up is lost: to look and to keep the waker is one step under the lock of `inbound`, and so is to put
    /// something in, or to shut the gate, and to take the waker. Whoever comes first is seen, whoever comes later wakes.
    /// The lock of `batch`, held meanwhile, keeps an incarnation that is being replaced from leaving its waker in the
    /// place of its successor's: [`hand_to`](Mailbox::hand_to) comes before, and fences it, or after, and then so does
    /// the successor's first look.
    fn refill(&self, batch: &mut Batch<E>, waker: &Waker) -> Result<(), NoMail> {
        let mut inbound = lock(&self.inbound);
        if !inbound.items.is_empty() {
            std::mem::swap(&mut inbound.items, &mut batch.items);
            batch.arrivals.take_over(&mut inbound.arrivals);
            batch.since.not_before(batch.arrivals.first());
            return Ok(());
        }
        if matches!(inbound.gate, Gate::Shelved | Gate::Closed) {
            return Err(NoMail::Shut);
        }
        if !inbound.reader.as_ref().is_some_and(|old| old.will_wake(waker)) {
            inbound.reader = Some(waker.clone());
        }
        Err(NoMail::Dry)
    }

    /// Lays the message in hand aside; there is no next one.
    fn pause(&self, mut batch: MutexGuard<'_, Batch<E>>) {
        let remains = batch.empty_hand();
        batch.since.rests();
        // After a burst the queues keep their room; give it back once they are empty and large.
        if batch.items.capacity() > 4 * 64 {
            batch.items = VecDeque::new();
        }
        drop(batch);
        discard(remains);
        // Without the fence of `admit`, since `inbound` was locked on the way: who stood in line by then is counted
        // here, and who comes to stand there later sees each place that was freed before.
        if self.in_line.load(Ordering::Relaxed) > 0 && self.free() > 0 {
            self.let_in();
        }
    }

    /// A handler waits: whoever is in line gets the places that are free.
    pub(crate) fn reader_waits(&self) {
        self.admit();
    }

    /// Puts a message back in front: nothing overtakes it. May exceed the capacity by this one.
    pub(crate) fn put_back(&self, parcel: E, head: Head) {
        let mut batch = lock(&self.batch);
        add(&self.freed, 1_usize.wrapping_neg());
        batch.arrivals.found(head.id, self.clock.elapsed_ms());
        batch.items.push_front(Queued { head, parcel });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::mailbox::counted::{counted, wakes};
    use crate::mailbox::queue::Pushed;
    use crate::mailbox::{MailboxSpec, Overflow};
    use crate::message::reply::ErasedReply;

    impl Parcel for u32 {
        fn reply(&self) -> Option<ErasedReply> {
            None
        }
        fn again(&self) -> Option<Self> {
            None
        }
        fn without_asker(self) -> Self {
            self
        }
    }

    fn mailbox(capacity: usize, overflow: Overflow) -> Mailbox<u32> {
        let mailbox = Mailbox::new(MailboxSpec { capacity, overflow }, Clock::default());
        mailbox.hand_to(1);
        mailbox
    }

    fn message(number: u32) -> Queued<u32> {
        Queued { head: Head::default(), parcel: number }
    }

    fn next(mailbox: &Mailbox<u32>, reader: u64, waker: &Waker) -> Result<u32, NoMail> {
        mailbox.next(reader, waker).map(|queued| queued.parcel)
    }

    #[test]
    fn a_reader_that_found_nothing_is_woken_once_by_what_comes_and_by_the_gate() {
        let mailbox = mailbox(8, Overflow::Wait);
        let (woken, waker) = counted();

        assert_eq!(next(&mailbox, 1, &waker), Err(NoMail::Dry));
        assert!(matches!(mailbox.push(message(7)), Pushed::Done));
        assert!(matches!(mailbox.push(message(8)), Pushed::Done));
        assert_eq!(wakes(&woken), 1);

        assert_eq!(next(&mailbox, 1, &waker), Ok(7));
        assert_eq!(next(&mailbox, 1, &waker), Ok(8));
        assert_eq!(next(&mailbox, 1, &waker), Err(NoMail::Dry));
        mailbox.drain();
        assert_eq!(wakes(&woken), 2);
        assert_eq!(next(&mailbox, 1, &waker), Err(NoMail::Dry));
        assert!(mailbox.close(Gate::Closed).is_empty());
        assert_eq!(wakes(&woken), 3);
        assert_eq!(next(&mailbox, 1, &waker), Err(NoMail::Shut));
    }

    /// Goal: an incarnation that was declared down must not take the wake-up of the one that came after it.
    /// Method: its thread goes on after its successor has found the mailbox empty and waits.
    #[test]
    fn a_replaced_reader_does_not_take_its_successors_wake_up() {
        let mailbox = mailbox(8, Overflow::Wait);
        let ((old, old_waker), (new, new_waker)) = (counted(), counted());

        mailbox.hand_to(2);
        assert_eq!(next(&mailbox, 2, &new_waker), Err(NoMail::Dry));
        assert_eq!(next(&mailbox, 1, &old_waker), Err(NoMail::Fenced));
        assert!(matches!(mailbox.push(message(7)), Pushed::Done));

        assert_eq!((wakes(&old), wakes(&new)), (0, 1));
        assert_eq!(next(&mailbox, 2, &new_waker), Ok(7));
    }

    struct Bell(SyncSender<()>);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.try_send(()).ok(); // full: it rings already
        }
    }

    fn bell() -> (Waker, Receiver<()>) {
        let (bell, rung) = sync_channel(1);
        (Arc::new(Bell(bell)).into(), rung)
    }

    /// Goal: no wake-up is lost.
    /// Method: a sender whose next message comes only after the one before was read races with a reader that sleeps
    /// when it finds nothing: nobody else would ever wake it.
    #[test]
    fn a_reader_that_falls_asleep_meanwhile_is_woken() {
        const ROUNDS: u32 = 20_000;
        let mailbox = mailbox(8, Overflow::Wait);
        let (waker, rung) = bell();
        let (read, was_read) = sync_channel(1);

        std::thread::scope(|scope| {
            let mailbox = &mailbox;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    (0..round % 64).for_each(|_| std::hint::spin_loop()); // now earlier, now later
                    assert!(matches!(mailbox.push(message(round)), Pushed::Done));
                    // Without sleeping; until the reader has failed.
                    while let Err(TryRecvError::Empty) = was_read.try_recv() {
                        std::thread::yield_now();
                    }
                }
            });
            let (read, mut rounds) = (read, 0); // hung up when the reader fails
            while rounds < ROUNDS {
                match next(mailbox, 1, &waker) {
                    Ok(round) => {
                        assert_eq!(round, rounds);
                        rounds += 1;
                        read.send(()).expect("the sender waits for it");
                    }
                    Err(_) => rung.recv_timeout(Duration::from_secs(60)).expect("a wake-up"),
                }
            }
        });
    }

    /// Goal: who drops the oldest message locks up with nobody; and what was shed and what was read is what was sent,
    /// in order.
    /// Method: two senders race with the reader past a mailbox that is full most of the time.
    #[test]
    fn senders_that_drop_the_oldest_race_with_the_reader() {
        const EACH: u32 = 20_000;
        let mailbox = mailbox(3, Overflow::DropOldest);
        let (waker, rung) = bell();
        let pushed = AtomicU32::new(0);
        let send = |first: u32| {
            let mut shed = 0;
            for number in first..first + EACH {
                match mailbox.push(message(number)) {
                    Pushed::Done => {}
                    Pushed::Shed(_) => shed += 1,
                    Pushed::Full(_) | Pushed::Refused(..) => panic!("the oldest makes room"),
                }
                pushed.fetch_add(1, Ordering::SeqCst);
            }
            shed
        };

        let (read, shed) = std::thread::scope(|scope| {
            let senders = [0, EACH].map(|first| scope.spawn(move || send(first)));
            let (mut read, mut newest) = (0, [None; 2]);
            while pushed.load(Ordering::SeqCst) < 2 * EACH || mailbox.len() > 0 {
                match next(&mailbox, 1, &waker) {
                    Ok(number) => {
                        let newest = &mut newest[(number / EACH) as usize];
                        assert!(*newest < Some(number), "{number} came after {newest:?}");
                        *newest = Some(number);
                        read += 1;
                    }
                    Err(_) if pushed.load(Ordering::SeqCst) == 2 * EACH => {}
                    Err(_) => drop(rung.recv_timeout(Duration::from_millis(1))),
                }
            }
            let shed: u32 = senders.map(|sender| sender.join().expect("a sender")).iter().sum();
            (read, shed)
        });

        assert_eq!(read + shed, 2 * EACH);
    }
}
