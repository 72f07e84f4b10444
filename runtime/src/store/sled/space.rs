//! Room on the disk: what is refused while there is little, before sled comes upon a full one.
//!
//! sled does not recover from a full disk: its error lasts until the store is opened again, also when there is room. So it
//! is not let that far.

use std::path::Path;

use crate::store::{Batch, Record, StoreError};

/// How a [`SledStore`](crate::SledStore) is opened.
#[derive(Clone, Debug)]
pub struct SledConfig {
    /// With less free space than this, in bytes, the store takes no new work: what is sent to a durable actor from outside
    /// of the tree, or by an actor that is not durable, what is returned from aside, and new dynamic children, are refused
    /// with [`StoreError::LowSpace`]. What was accepted before is handled, and the store takes new work again as soon as
    /// there is room. Default: 64 MiB. 0: never.
    pub refuse_below_bytes: u64,
    /// With less free space than this, in bytes, nothing is written any more: [`StoreError::NoSpace`], which is final for
    /// the opening, as if the disk were full. Default: 16 MiB. 0: not before it is.
    pub stop_below_bytes: u64,
}

impl Default for SledConfig {
    fn default() -> Self {
        SledConfig { refuse_below_bytes: 64 << 20, stop_below_bytes: 16 << 20 }
    }
}

impl SledConfig {
    /// Refuses `group` if the disk of `folder` has too little room for it, beside the `pending_bytes` that sled has yet to
    /// take. Costs a system call.
    pub(super) fn check_space(
        &self,
        folder: &Path,
        pending_bytes: u64,
        group: &[Batch],
    ) -> Result<(), StoreError> {
        if self.refuse_below_bytes.max(self.stop_below_bytes) == 0 {
            return Ok(());
        }
        match fs2::available_space(folder) {
            Ok(free) => self.decide(free.saturating_sub(pending_bytes), group),
            // Whether there is room shows when it is written.
            Err(error) => {
                tracing::debug!(%error, "the free space cannot be asked for");
                Ok(())
            }
        }
    }

    fn decide(&self, free_bytes: u64, group: &[Batch]) -> Result<(), StoreError> {
        let min_bytes = self.refuse_below_bytes;
        match () {
            () if free_bytes < self.stop_below_bytes => Err(StoreError::NoSpace),
            () if free_bytes < min_bytes && group.iter().any(is_new_work) => {
                Err(StoreError::LowSpace { free_bytes, min_bytes })
            }
            () => Ok(()),
        }
    }
}

fn is_new_work(batch: &Batch) -> bool {
    let adds = |record: &Record| {
        matches!(record, Record::Deliver { .. } | Record::Return { .. } | Record::Birth { .. })
    };
    batch.writer.is_none() && batch.records.iter().any(adds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{ActorPath, Epoch};
    use crate::message::MessageId;
    use crate::store::StoredMessage;

    #[test]
    fn little_room_stops_new_work_and_less_stops_all() {
        let config = SledConfig { refuse_below_bytes: 100, stop_below_bytes: 10 };
        let actor = || ActorPath::parse("a").unwrap();
        let deliver = || Record::Deliver { to: actor(), message: StoredMessage::default() };
        let new_work = Batch::from_outside(vec![deliver()]);
        let birth = Batch::from_outside(vec![Record::Birth { of: actor(), content: Vec::new() }]);
        let again = Batch::from_outside(vec![Record::Return { to: actor(), message: MessageId(1) }]);
        let clears_up = Batch::from_outside(vec![Record::Forget { of: actor(), message: MessageId(1) }]);
        let in_hand = Batch::of(actor(), Epoch(1), vec![deliver()]);
        let claim = Batch::claim(actor(), Epoch(1));

        for batch in [&new_work, &birth, &again] {
            let group = [claim.clone(), batch.clone()];
            assert!(config.decide(100, &group).is_ok());
            let refused = config.decide(99, &group).unwrap_err();
            assert!(matches!(refused, StoreError::LowSpace { free_bytes: 99, min_bytes: 100 }));
            assert!(!refused.is_final(), "the others of the group are tried again");
        }
        for batch in [clears_up, in_hand, claim] {
            assert!(config.decide(10, std::slice::from_ref(&batch)).is_ok(), "{batch:?}");
            let refused = config.decide(9, &[batch]).unwrap_err();
            assert!(matches!(refused, StoreError::NoSpace) && refused.is_final());
        }
    }
}
