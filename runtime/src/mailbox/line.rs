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

    pub(crate) fn take_grant(&self) -> bool {
        matches!(std::mem::replace(&mut *lock(&self.0), Turn::Left), Turn::Granted)
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
