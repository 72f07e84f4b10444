//! The message that an incarnation has in hand. It stays in the cell, so that whoever ends the incarnation can settle it.
//!
//! Every look at it names the incarnation: one that was replaced has nothing in hand any more.

use crate::mailbox::batch::Batch;
use crate::mailbox::queue::{Mailbox, Queued};
use crate::message::Head;
use crate::message::envelope::Parcel;
use crate::message::reply::ErasedReply;
use crate::sync::drop_quietly;
use crate::sync::raced::lock;

/// The message that the incarnation has in hand.
pub(crate) struct Hand<E> {
    pub(crate) head: Head,
    pub(crate) reply: Option<ErasedReply>,
    /// What a further delivery would get; boxed, as most messages have no such copy.
    pub(crate) again: Option<Box<E>>,
    /// Its commit has begun: nobody can say from outside whether it was applied.
    pub(crate) settling: bool,
    /// It was handled, and stored where that is due.
    pub(crate) is_done: bool,
}

/// What is left of a message that is done, to be dropped outside the lock: its copy is the author's type.
pub(super) type Remains<E> = (Option<ErasedReply>, Option<Box<E>>);

/// Whoever drops it may have the next message in hand already.
#[inline]
pub(super) fn discard<E>((reply, again): Remains<E>) {
    drop(reply);
    if let Some(again) = again {
        drop_quietly(again);
    }
}

impl<E: Parcel> Batch<E> {
    /// Takes `queued` in hand, in the place of what was there before.
    #[inline]
    pub(super) fn take_in_hand(&mut self, queued: &Queued<E>) -> Remains<E> {
        let reply = queued.parcel.reply();
        let Some(hand) = &mut self.hand else {
            let head = queued.head.clone();
            self.hand = Some(Hand { head, reply, again: None, settling: false, is_done: false });
            return (None, None);
        };
        hand.head.copy_from(&queued.head);
        (hand.settling, hand.is_done) = (false, false);
        (std::mem::replace(&mut hand.reply, reply), hand.again.take())
    }

    /// Lays what is in hand aside.
    #[inline]
    pub(super) fn empty_hand(&mut self) -> Remains<E> {
        let Some(hand) = &mut self.hand else { return (None, None) };
        let remains = (hand.reply.take(), hand.again.take());
        self.hand = None;
        remains
    }
}

impl<E: Parcel> Mailbox<E> {
    /// Keeps a copy of the message in hand for a further delivery.
    pub(crate) fn keep_copy(&self, reader: u64, again: E) {
        let mut again = Some(Box::new(again)); // what nobody keeps is dropped outside the lock: it is the author's type
        self.with_hand(reader, |hand| hand.again = again.take());
        drop_quietly(again);
    }

    /// The commit of the message in hand begins, or is over.
    pub(crate) fn mark_settling(&self, reader: u64, settling: bool) {
        self.with_hand(reader, |hand| hand.settling = settling);
    }

    /// The message in hand is done: whatever ends its incarnation now, it does not come again.
    pub(crate) fn settled(&self, reader: u64) {
        self.with_hand(reader, |hand| hand.is_done = true);
    }

    /// The asker of the message in hand.
    pub(crate) fn reply_in_hand(&self, reader: u64) -> Option<ErasedReply> {
        self.with_hand(reader, |hand| hand.reply.clone())?
    }

    /// The handler gave its port away: whoever ends the message must not answer it.
    pub(crate) fn release_reply(&self, reader: u64) -> Option<ErasedReply> {
        self.with_hand(reader, |hand| hand.reply.take())?
    }

    /// Takes the message in hand away from the incarnation that has it.
    pub(crate) fn take_hand(&self, reader: u64) -> Option<Hand<E>> {
        self.batch_of(reader)?.hand.take()
    }

    /// Undoes [`take_hand`](Mailbox::take_hand).
    pub(crate) fn return_hand(&self, reader: u64, hand: Hand<E>) {
        if let Some(mut batch) = self.batch_of(reader) {
            batch.hand = Some(hand);
        }
    }

    /// Whether a message is in hand that is not done, or its commit is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let batch = lock(&self.batch);
        let is_ahead = batch.ahead.as_ref().is_some_and(|ahead| !ahead.0.is_empty());
        is_ahead || batch.hand.as_ref().is_some_and(|hand| !hand.is_done)
    }

    fn with_hand<T>(&self, reader: u64, look: impl FnOnce(&mut Hand<E>) -> T) -> Option<T> {
        self.batch_of(reader)?.hand.as_mut().map(look)
    }
}
