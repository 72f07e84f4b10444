//! One look at a mailbox, for those who look at the tree: nobody who works is waited for.

use std::time::Duration;

use crate::cell::InHand;
use crate::mailbox::batch::Batch;
use crate::mailbox::queue::{Inbound, Mailbox};
use crate::message::envelope::Parcel;
use crate::sync::raced::lock;

/// What one look shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Glance {
    pub(crate) waiting: usize,
    pub(crate) capacity: usize,
    /// When the oldest of those waiting came, in milliseconds since the start of the runtime: see
    /// [`Arrivals`](crate::mailbox::stamps::Arrivals).
    pub(crate) oldest_ms: Option<u64>,
    pub(crate) in_hand: Option<InHand>,
    /// Whether it is being committed.
    pub(crate) is_settling: bool,
}

impl<E: Parcel> Mailbox<E> {
    pub(crate) fn glance(&self) -> Glance {
        let mut batch = lock(&self.batch);
        // Most mailboxes are empty: then senders are not held up.
        let mut inbound = (self.len() > 0).then(|| lock(&self.inbound));
        let Batch { items, arrivals, since, hand, ahead, .. } = &mut *batch;
        // With none in hand, the last one that waits for its commit.
        let hand = hand.as_ref().or_else(|| ahead.as_ref()?.0.back());
        let oldest_ms = match (items.front(), inbound.as_deref_mut()) {
            (Some(first), _) => Some(arrivals.found(first.head.id, self.clock.elapsed_ms())),
            (None, Some(Inbound { items, arrivals, .. })) => {
                items.front().map(|first| arrivals.found(first.head.id, self.clock.elapsed_ms()))
            }
            (None, None) => None,
        };
        let is_settling = hand.is_some_and(|hand| hand.settling);
        let in_hand = hand.map(|hand| InHand {
            message: hand.head.kind.look_up().name,
            id: hand.head.id,
            tries: hand.head.tries,
            // What waits in the inbound queue came after this was taken.
            since: Duration::from_millis(since.found(oldest_ms.unwrap_or_else(|| self.clock.elapsed_ms()))),
        });
        Glance { waiting: self.len(), capacity: self.capacity(), oldest_ms, in_hand, is_settling }
    }

    /// The handler of the message in hand waits for the first time.
    pub(crate) fn hand_waits(&self, reader: u64) {
        if let Some(mut batch) = self.batch_of(reader) {
            batch.since.waits(&self.clock);
        }
    }
}
