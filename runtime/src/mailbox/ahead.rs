//! The messages whose commits are under way while the incarnation that handled them has gone on to the next.
//!
//! They stay in the cell, in their order, until the store has spoken: whoever ends the incarnation meanwhile, or rewinds
//! it, puts them back in front of those that wait.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cell::CellCore;
use crate::mailbox::hand::{Hand, discard};
use crate::mailbox::queue::{Mailbox, Queued, add};
use crate::message::MessageId;
use crate::message::envelope::Parcel;

/// Oldest first.
pub(super) struct Ahead<E>(pub(super) VecDeque<Hand<E>>);

impl<E> Default for Ahead<E> {
    fn default() -> Self {
        Ahead(VecDeque::new())
    }
}

impl<E: Parcel> Mailbox<E> {
    /// The commit of the message in hand begins, and the incarnation does not wait for it. `false`: it has to, for there is
    /// no copy of the message to put back, or it was replaced.
    pub(crate) fn run_ahead(&self, reader: u64) -> bool {
        let Some(mut batch) = self.batch_of(reader) else { return false };
        if batch.hand.as_ref().is_none_or(|hand| hand.again.is_none()) {
            return false;
        }
        let Some(mut hand) = batch.hand.take() else { return false };
        hand.settling = true;
        if let Some(reply) = &hand.reply {
            reply.set_holder(None); // it waits for the store alone: the incarnation may ask the asker
        }
        batch.ahead.get_or_insert_default().0.push_back(hand);
        true
    }

    /// The message with that number is done: whatever ends its incarnation now, it does not come again.
    pub(crate) fn is_done(&self, reader: u64, id: MessageId) {
        let done = {
            let Some(mut batch) = self.batch_of(reader) else { return };
            match batch.ahead.as_mut().map(|ahead| &mut ahead.0) {
                // In the order in which they were queued: it is the first.
                Some(ahead) if ahead.front().is_some_and(|first| first.head.id == id) => ahead.pop_front(),
                _ => {
                    if let Some(hand) = batch.hand.as_mut().filter(|hand| hand.head.id == id) {
                        hand.is_done = true;
                    }
                    None
                }
            }
        };
        drop_hands(done); // outside the lock: the copy is the author's type
    }

    /// Takes the messages that the incarnation has run ahead with away from it, oldest first.
    pub(crate) fn take_ahead(&self, reader: u64) -> VecDeque<Hand<E>> {
        let ahead = self.batch_of(reader).and_then(|mut batch| batch.ahead.take());
        ahead.map_or_else(VecDeque::new, |ahead| ahead.0)
    }

    /// Puts the messages that the incarnation has run ahead with back in front, and behind them the one in hand, as if it
    /// had taken none of them. May exceed the capacity by as many. Their askers wait for `core` again.
    pub(crate) fn rewind(&self, reader: u64, core: &Arc<CellCore>) {
        let left = {
            let Some(mut batch) = self.batch_of(reader) else { return };
            let mut hands = batch.ahead.take().map_or_else(VecDeque::new, |ahead| ahead.0);
            hands.extend(batch.hand.take());
            let mut left = Vec::new();
            while let Some(mut hand) = hands.pop_back() {
                match hand.again.take() {
                    Some(again) if !hand.is_done => {
                        if let Some(reply) = again.reply() {
                            reply.set_holder(Some(core.clone()));
                        }
                        add(&self.freed, 1_usize.wrapping_neg());
                        batch.arrivals.found(hand.head.id, self.clock.elapsed_ms());
                        batch.items.push_front(Queued { head: hand.head.clone(), parcel: *again });
                    }
                    again => hand.again = again,
                }
                left.push(hand);
            }
            left
        };
        drop_hands(left);
    }
}

/// Lets go of what is left of messages.
pub(crate) fn drop_hands<E>(hands: impl IntoIterator<Item = Hand<E>>) {
    hands.into_iter().for_each(|Hand { reply, again, .. }| discard((reply, again)));
}
