//! What a store says of itself: which one it is, where its history stands, and whether it was left in order.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::CommitSeq;
use super::record::{Envelope, FORMAT, Kind, Refused, STORE_HEAD_KEY, take};
use crate::address::Epoch;

/// Which store it is: a number drawn when it is made, so that what is named in one store is not taken for something of
/// another, nor of the one that was in its place before.
///
/// A copy of a store, such as a backup, has the same: it *is* that store, at an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

impl StoreId {
    /// One that no other store has, as far as chance goes.
    pub fn random() -> Self {
        // Keyed by the system's random numbers.
        StoreId(RandomState::new().build_hasher().finish())
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a store says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHead {
    /// Which store it is.
    pub id: StoreId,
    /// Position of the newest commit; 0 in an empty store.
    pub seq: CommitSeq,
    /// Whether nothing was committed since [`Store::end`](super::Store::end): then the process before ended in order. True
    /// of an empty store.
    pub ended_in_order: bool,
}

impl StoreHead {
    /// That of a store without records, which gets this id with its first commit.
    pub fn empty(id: StoreId) -> Self {
        StoreHead { id, seq: CommitSeq(0), ended_in_order: true }
    }

    pub(crate) fn seal(self) -> Vec<u8> {
        let payload = &[FORMAT, self.ended_in_order.into()];
        let head = Envelope { kind: Kind::StoreHead, seq: self.seq.0, epoch: Epoch(0), payload };
        head.seal_with(&[&self.id.0.to_be_bytes()], STORE_HEAD_KEY)
    }

    pub(crate) fn open(value: &[u8]) -> Result<Self, Refused> {
        let head = Envelope::open(STORE_HEAD_KEY, value, Kind::StoreHead)?;
        Self::read(head).ok_or(Refused::Malformed)
    }

    fn read(head: Envelope<'_>) -> Option<Self> {
        let mut rest = head.payload;
        let [_format, ended_in_order] = *take(&mut rest)?;
        let id = StoreId(u64::from_be_bytes(*take(&mut rest)?));
        let ended_in_order = ended_in_order == 1;
        rest.is_empty().then_some(StoreHead { id, seq: CommitSeq(head.seq), ended_in_order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for ended_in_order in [false, true] {
            let head = StoreHead { id: StoreId::random(), seq: CommitSeq(7), ended_in_order };
            assert_eq!(StoreHead::open(&head.seal()), Ok(head));
        }
    }

    #[test]
    fn two_stores_have_two_ids() {
        assert_ne!(StoreId::random(), StoreId::random());
    }
}
