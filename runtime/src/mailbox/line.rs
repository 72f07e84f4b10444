//! The line of senders that wait for room, first come, first served.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::mailbox::queue::{Gate, Mailbox};
use crate::message::envelope::Parcel;
use crate::sync::raced::{Mutex, lock};

/// A sender in line.
#[derive(Debug, Default)]
pub(crate) struct Waiter(Mutex<Turn>);

#[derive(Debug, Default)]
pub(crate) enum Turn {
    #[default]
    New,
    Waiting(Waker),
    Granted,
    Refused(Gate),
    Left,
}

impl Waiter {
    /// `None`: it has left the line.
    pub(crate) fn settle(&self, turn: Turn) -> Option<Option<Waker>> {
        let mut mine = lock(&self.0);
        match std::mem::replace(&mut *mine, turn) {
            Turn::New => Some(None),
            Turn::Waiting(waker) => Some(Some(waker)),
            old @ (Turn::Granted | Turn::Refused(_) | Turn::Left) => {
                *mine = old;
                None
            }
        }
    }

    /// It goes away. Says how far it had come.
    pub(crate) fn leave(&self) -> Turn {
        std::mem::replace(&mut *lock(&self.0), Turn::Left)
    }

    fn poll(&self, waker: &Waker) -> Poll<Result<(), Gate>> {
        let mut turn = lock(&self.0);
        match &mut *turn {
            Turn::New => *turn = Turn::Waiting(waker.clone()),
            Turn::Waiting(old) if old.will_wake(waker) => {}
            Turn::Waiting(old) => *old = waker.clone(),
            Turn::Granted => {
                *turn = Turn::Left;
                return Poll::Ready(Ok(()));
            }
            Turn::Refused(gate) => return Poll::Ready(Err(*gate)),
            Turn::Left => return Poll::Ready(Err(Gate::Closed)),
        }
        Poll::Pending
    }
}

/// The wait of one sender. Ready with a held place, or with the gate that was shut before its turn came.
///
/// Dropping it leaves the line; a place granted meanwhile goes to the next.
pub(crate) struct InLine<E: Parcel, B: AsRef<Mailbox<E>>> {
    pub(crate) mailbox: B,
    pub(crate) waiter: Arc<Waiter>,
    pub(crate) of: std::marker::PhantomData<fn() -> E>,
}

impl<E: Parcel, B: AsRef<Mailbox<E>>> InLine<E, B> {
    pub(crate) fn new(mailbox: B, waiter: Arc<Waiter>) -> Self {
        InLine { mailbox, waiter, of: std::marker::PhantomData }
    }
}

impl<E: Parcel, B: AsRef<Mailbox<E>> + Unpin> Future for InLine<E, B> {
    type Output = Result<(), Gate>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.waiter.poll(context.waker())
    }
}

impl<E: Parcel, B: AsRef<Mailbox<E>>> Drop for InLine<E, B> {
    fn drop(&mut self) {
        self.mailbox.as_ref().leave_line(&self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::mailbox::queue::{Pushed, Queued, Room};
    use crate::mailbox::{MailboxSpec, Overflow};
    use crate::message::Head;

    struct ByRef<'a>(&'a Mailbox<u32>);

    impl AsRef<Mailbox<u32>> for ByRef<'_> {
        fn as_ref(&self) -> &Mailbox<u32> {
            self.0
        }
    }

    fn mailbox() -> Mailbox<u32> {
        let spec = MailboxSpec { capacity: 1, overflow: Overflow::Wait };
        let mailbox = Mailbox::new(spec, Clock::default());
        mailbox.hand_to(1);
        assert!(matches!(mailbox.push(Queued { head: Head::default(), parcel: 0 }), Pushed::Done));
        mailbox
    }

    fn stand(mailbox: &Mailbox<u32>) -> InLine<u32, ByRef<'_>> {
        let Room::InLine(waiter) = mailbox.reserve() else { panic!("there is no room") };
        InLine::new(ByRef(mailbox), waiter)
    }

    /// Goal: with many in line, each that gets its place costs the same, however many stand behind it.
    /// Method: it goes away, with its place, while somebody else holds the lock of the line.
    #[test]
    fn who_has_got_a_place_goes_without_a_look_at_the_line() {
        let mailbox = mailbox();
        let mut first = stand(&mailbox);
        let behind = stand(&mailbox);
        let waker = Waker::noop();
        assert!(mailbox.next(1, waker).is_ok());
        mailbox.reader_waits();
        assert_eq!(Pin::new(&mut first).poll(&mut Context::from_waker(waker)), Poll::Ready(Ok(())));

        let (gone, is_gone) = sync_channel(1);
        let in_time = std::thread::scope(|scope| {
            let held = lock(&mailbox.inbound);
            scope.spawn(move || {
                drop(first);
                gone.send(()).expect("the test waits for it");
            });
            let in_time = is_gone.recv_timeout(Duration::from_secs(10)).is_ok();
            drop(held);
            in_time
        });

        assert!(in_time, "it waits for the lock of the line");
        drop(behind);
    }

    /// Whoever leaves early is skipped, and a place that was granted meanwhile goes to the next.
    #[test]
    fn who_leaves_early_takes_no_place_along() {
        let mailbox = mailbox();
        let (first, second, mut third) = (stand(&mailbox), stand(&mailbox), stand(&mailbox));
        let waker = Waker::noop();
        drop(first);
        assert!(mailbox.next(1, waker).is_ok());
        mailbox.reader_waits();

        drop(second); // its place was granted, and it has not looked

        assert_eq!(Pin::new(&mut third).poll(&mut Context::from_waker(waker)), Poll::Ready(Ok(())));
        assert_eq!(mailbox.len(), 1, "the place of the third");
    }
}
