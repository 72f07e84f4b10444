//! Tests of the store that are too long to stand below their code.
mod contents;
mod queue_place;
mod random;
mod sled_store;
mod writer;

use super::conformance::StoreHarness;
use super::{Batch, DamagePlace, DamageReason, MemoryStore, Record, Snapshot, Store, StoreError};
use crate::address::{ActorPath, Epoch};

crate::store_conformance!(memory_store, MemoryStore::new());

impl StoreHarness for MemoryStore {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn raw_records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        MemoryStore::raw_records(self)
    }

    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        MemoryStore::put_raw(self, key, value);
    }
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).unwrap()
}

fn claim(actor: &str, epoch: u64) -> Batch {
    Batch::claim(path(actor), Epoch(epoch))
}

fn batch(actor: &str, epoch: u64, seq: u64, len: usize) -> Batch {
    Batch { records: vec![Record::Snapshot(snapshot(seq, len))], ..claim(actor, epoch) }
}

fn snapshot(seq: u64, len: usize) -> Snapshot {
    Snapshot { type_name: "test.state".into(), version: 1, seq, state: vec![seq as u8; len] }
}

/// Goal: records that agree on everything but the content still do not pass for a snapshot. Method: the header of a
/// snapshot with the same number, epoch and length, from another store.
#[test]
fn chunks_that_do_not_make_the_state_of_their_header_are_refused() {
    let stores = [1, 2].map(|byte| {
        let store = MemoryStore::new();
        let state = vec![byte; 4_100]; // not beside its header
        let records = vec![Record::Snapshot(Snapshot { state, ..snapshot(1, 0) })];
        store.commit(&[Batch { records, ..claim("a", 1) }]).unwrap();
        store
    });
    let (header, value) = stores[0].raw_records().swap_remove(2);
    stores[1].put_raw(header, Some(value));

    let found = stores[1].scan(&path("a")).unwrap();

    assert_eq!(found.snapshot, None);
    let damage = found.damage.first().map(|damage| (damage.place, damage.reason));
    assert_eq!(damage, Some((DamagePlace::SlotHeader { slot: 0 }, DamageReason::OutOfStep)));
}
