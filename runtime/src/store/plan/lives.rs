//! An actor as a whole: its head, its state, how it was made, and its end.

use super::Plan;
use crate::address::{ActorPath, Epoch};
use crate::store::layout::{Engine, Entries};
use crate::store::record::{ContentKey, Envelope, Kind, PAYLOAD_LEN_MAX, RecordKey, Slot, actor_prefix};
use crate::store::recovery::{ActorHead, SlotHeader, recover};
use crate::store::{Snapshot, StoreError, Writer, content};

impl<E: Engine> Plan<'_, E> {
    /// The head of the writer, and what is stored as such if that can be read. A claim, or a head that is missing or
    /// damaged, gets one that says what a scan finds: then the next snapshot overwrites the damaged slot and not the one
    /// that was fallen back to.
    pub(super) fn head_of_writer(
        &self,
        writer: &Writer,
        is_claim: bool,
    ) -> Result<(ActorHead, Option<ActorHead>), StoreError> {
        let key = RecordKey::ActorHead.encode(&writer.actor);
        let stored = match self.get(&key)? {
            Some(value) => ActorHead::open(&key, &value).ok(),
            None => None,
        };
        match stored {
            Some(head) if !is_claim => Ok((head, stored)),
            _ => {
                let entries: Entries = self.entries(&actor_prefix(&writer.actor))?.into_iter().collect();
                Ok((recover(&writer.actor, &entries)?.head(), stored))
            }
        }
    }

    pub(super) fn put_head(&mut self, actor: &ActorPath, head: ActorHead) {
        let key = RecordKey::ActorHead.encode(actor);
        let value = head.seal(&key);
        self.writes.insert(key, Some(value));
    }

    /// Puts a snapshot into a slot of which `extent` records are there at most, and says how many are from now on.
    pub(super) fn put_snapshot(
        &mut self,
        actor: &ActorPath,
        slot: Slot,
        extent: u32,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> u32 {
        let header = SlotHeader::of(snapshot, epoch);
        let (inside, rest) = snapshot.state.split_at(header.len_inside());
        let header_key = RecordKey::SlotHeader(slot).encode(actor);
        let value = header.seal(&header_key, inside);
        self.writes.insert(header_key, Some(value));
        for (index, payload) in (0..).zip(rest.chunks(PAYLOAD_LEN_MAX)) {
            let key = RecordKey::Chunk(slot, index).encode(actor);
            let value = Envelope { kind: Kind::Chunk, seq: snapshot.seq, epoch, payload }.seal(&key);
            self.writes.insert(key, Some(value));
        }
        // A longer snapshot must leave nothing behind.
        for index in header.chunks()..extent.saturating_sub(1) {
            self.writes.insert(RecordKey::Chunk(slot, index).encode(actor), None);
        }
        1 + header.chunks()
    }

    /// Each actor with records has a head, so that a lost one is noticed; a lost one stays lost until its writer settles
    /// on what is left.
    pub(super) fn plant_head(&mut self, of: &ActorPath) -> Result<(), StoreError> {
        if self.get(&RecordKey::ActorHead.encode(of))?.is_none() && !self.has_records(of)? {
            self.put_head(of, ActorHead::empty(Epoch(0)));
        }
        Ok(())
    }

    pub(super) fn put_birth(&mut self, of: &ActorPath, content: &[u8]) -> Result<(), StoreError> {
        self.plant_head(of)?;
        self.remove(of, &ContentKey::Birth)?;
        content::put(&mut self.writes, of, &ContentKey::Birth, content);
        Ok(())
    }

    /// The head that is left. `None`: there was nothing.
    pub(super) fn erase(&mut self, of: &ActorPath) -> Result<Option<ActorHead>, StoreError> {
        let entries: Entries = self.entries(&actor_prefix(of))?.into_iter().collect();
        if entries.is_empty() {
            return Ok(None);
        }
        let epoch = recover(of, &entries)?.epoch.next();
        for (key, _) in entries {
            self.writes.insert(key, None);
        }
        let head = ActorHead::empty(epoch);
        self.put_head(of, head);
        Ok(Some(head))
    }
}
