//! The layout every engine shares: how batches become records, and how records are found again.
//!
//! A snapshot goes into the slot that is not in use, cut into chunks; the actor's head flips in the same batch. So the
//! snapshot before stays whole until the next one, and a damaged one has something to fall back to. Nothing is
//! remembered between calls: each decision is taken from the records themselves.

use std::collections::BTreeMap;

use super::record::{
    ACTOR_PREFIX, Envelope, FORMAT, Kind, PAYLOAD_LEN_MAX, RecordKey, STORE_HEAD_KEY, Slot, actor_prefix,
};
use super::recovery::{ActorHead, Recovered, SlotHeader, recover};
use super::{Batch, BatchOutcome, CommitSeq, Record, SNAPSHOT_LEN_MAX, Scan, Snapshot, StoreError};
use crate::address::{ActorPath, Epoch};

/// Longest type name of a snapshot in bytes; it shares a record with the slot's header.
const TYPE_NAME_LEN_MAX: usize = 255;

/// Keys with their values.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;
/// What to put (`Some`) or remove (`None`), by key.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What an engine does for the layout: an ordered map of bytes with one atomic, durable write.
pub(crate) trait Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// All entries whose key starts with `prefix`, sorted.
    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError>;
    /// The first key that is not below `from`.
    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Makes all of `writes` durable, or none of them.
    fn apply(&self, writes: Writes) -> Result<(), StoreError>;
}

/// [`Store::commit`](super::Store::commit) on any engine.
pub(crate) fn commit(engine: &impl Engine, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
    group.iter().try_for_each(check_size)?;
    let mut plan = Plan { engine, seq: position(engine)?, writes: Writes::new() };
    let outcomes = group.iter().map(|batch| plan.add(batch)).collect::<Result<_, _>>()?;
    if !plan.writes.is_empty() {
        engine.apply(plan.finish())?;
    }
    Ok(outcomes)
}

/// [`Store::scan`](super::Store::scan) on any engine.
pub(crate) fn scan(engine: &impl Engine, actor: &ActorPath) -> Result<Scan, StoreError> {
    position(engine)?;
    let Recovered { epoch, newest, damage } = recover(actor, &engine.entries(&actor_prefix(actor))?)?;
    Ok(Scan { epoch, snapshot: newest.map(|(_, snapshot)| snapshot), damage })
}

/// [`Store::actors`](super::Store::actors) on any engine.
pub(crate) fn actors(engine: &impl Engine) -> Result<Vec<ActorPath>, StoreError> {
    position(engine)?;
    let mut actors = Vec::new();
    let mut from = vec![ACTOR_PREFIX];
    while let Some(key) = engine.next_key(&from)?.filter(|key| key[0] == ACTOR_PREFIX) {
        match actor_of(&key) {
            Some(actor) => {
                from = actor_prefix(&actor);
                actors.push(actor);
                // Behind the last record of this actor: its prefix with the zero raised to one.
                from.pop();
                from.push(0x01);
            }
            None => {
                tracing::warn!(?key, "a key of the store belongs to no actor");
                from = key;
                from.push(0x00);
            }
        }
    }
    Ok(actors)
}

/// The newest commit of the store, once its format is known to be ours; 0 for an empty store.
pub(crate) fn position(engine: &impl Engine) -> Result<CommitSeq, StoreError> {
    match engine.get(STORE_HEAD_KEY)? {
        Some(value) => match Envelope::open(STORE_HEAD_KEY, &value, Kind::StoreHead) {
            Ok(head) => Ok(CommitSeq(head.seq)),
            Err(refused) => Err(refused.newer_format().unwrap_or(StoreError::HeadDamaged)),
        },
        None if engine.next_key(&[])?.is_none() => Ok(CommitSeq(0)),
        // Records without a head: it was lost.
        None => Err(StoreError::HeadDamaged),
    }
}

fn actor_of(key: &[u8]) -> Option<ActorPath> {
    let path = key.strip_prefix(&[ACTOR_PREFIX])?.split(|byte| *byte == 0x00).next()?;
    ActorPath::parse(std::str::from_utf8(path).ok()?).ok()
}

fn check_size(batch: &Batch) -> Result<(), StoreError> {
    let too_large =
        |what, len, max| Err(StoreError::TooLarge { actor: batch.writer.clone(), what, len, max });
    for Record::Snapshot(snapshot) in &batch.records {
        match (snapshot.type_name.len(), snapshot.state.len()) {
            (len, _) if len > TYPE_NAME_LEN_MAX => return too_large("type name", len, TYPE_NAME_LEN_MAX),
            (_, len) if len > SNAPSHOT_LEN_MAX => return too_large("state", len, SNAPSHOT_LEN_MAX),
            _ => {}
        }
    }
    Ok(())
}

/// The writes of a group, seen by its later batches as if they had happened.
struct Plan<'a, E> {
    engine: &'a E,
    seq: CommitSeq,
    writes: Writes,
}

impl<E: Engine> Plan<'_, E> {
    fn add(&mut self, batch: &Batch) -> Result<BatchOutcome, StoreError> {
        let actor = &batch.writer;
        let mut head = self.actor_head(batch)?;
        if batch.epoch < head.epoch {
            return Ok(BatchOutcome::Stale { stored: head.epoch });
        }
        head.epoch = batch.epoch;
        for Record::Snapshot(snapshot) in &batch.records {
            debug_assert!(snapshot.seq > head.seq, "the snapshots of an actor are numbered upwards");
            let slot = head.active.map_or(Slot::Zero, Slot::other);
            self.put_snapshot(actor, slot, batch.epoch, snapshot)?;
            head.active = Some(slot);
            head.seq = snapshot.seq;
        }
        self.put_head(actor, head);
        self.seq.0 += 1;
        Ok(BatchOutcome::Committed(self.seq))
    }

    /// The head of the writer. A claim, or a head that is missing or damaged, gets one that says what a scan finds:
    /// then the next snapshot overwrites the damaged slot and not the one that was fallen back to.
    fn actor_head(&self, batch: &Batch) -> Result<ActorHead, StoreError> {
        let key = RecordKey::ActorHead.encode(&batch.writer);
        let stored = match self.get(&key)? {
            Some(value) => ActorHead::open(&key, &value).ok(),
            None => None,
        };
        match stored {
            Some(head) if !batch.records.is_empty() => Ok(head),
            _ => {
                let entries: Entries = self.entries(&actor_prefix(&batch.writer))?.into_iter().collect();
                Ok(recover(&batch.writer, &entries)?.head())
            }
        }
    }

    fn put_head(&mut self, actor: &ActorPath, head: ActorHead) {
        let key = RecordKey::ActorHead.encode(actor);
        let value = head.seal(&key);
        self.writes.insert(key, Some(value));
    }

    fn put_snapshot(
        &mut self,
        actor: &ActorPath,
        slot: Slot,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let header_key = RecordKey::SlotHeader(slot).encode(actor);
        // First out with all that the slot holds, header and chunks: a longer snapshot must leave nothing behind.
        for key in self.entries(&header_key)?.into_keys() {
            self.writes.insert(key, None);
        }
        let header = SlotHeader::of(snapshot, epoch);
        let value = header.seal(&header_key);
        self.writes.insert(header_key, Some(value));
        for (index, payload) in (0..).zip(snapshot.state.chunks(PAYLOAD_LEN_MAX)) {
            let key = RecordKey::Chunk(slot, index).encode(actor);
            let value = Envelope { kind: Kind::Chunk, seq: snapshot.seq, epoch, payload }.seal(&key);
            self.writes.insert(key, Some(value));
        }
        Ok(())
    }

    fn finish(mut self) -> Writes {
        let head = Envelope { kind: Kind::StoreHead, seq: self.seq.0, epoch: Epoch(0), payload: &[FORMAT] };
        self.writes.insert(STORE_HEAD_KEY.to_vec(), Some(head.seal(STORE_HEAD_KEY)));
        self.writes
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(planned) => Ok(planned.clone()),
            None => self.engine.get(key),
        }
    }

    fn entries(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let mut entries: BTreeMap<_, _> = self.engine.entries(prefix)?.into_iter().collect();
        let planned = self.writes.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, value) in planned {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(entries)
    }
}
