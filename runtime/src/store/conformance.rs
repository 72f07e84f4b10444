//! What every engine promises, as tests: one function each, named as the promise.
//!
//! `store_conformance!` makes a test of each of them for an engine. They panic when the promise is broken.
#![expect(clippy::missing_panics_doc, reason = "that is what all of them are for")]

use super::record::{FORMAT, RecordKey, STORE_HEAD_KEY, Slot, actor_prefix, reformat};
use super::{
    Batch, BatchOutcome, CommitSeq, Damage, DamagePlace, DamageReason, Record, SNAPSHOT_LEN_MAX, Scan,
    Snapshot, Store, StoreError,
};
use crate::address::{ActorPath, Epoch};

/// How the tests reach an engine: they open its content, and damage it while it is closed.
pub trait StoreHarness {
    /// Opens the content; the opening before was dropped. The first time the content is empty.
    ///
    /// # Errors
    ///
    /// What the engine says.
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
    /// Every raw record, sorted by key. Called between openings.
    fn raw_records(&self) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// Puts a raw record in its place, or removes it. Called between openings.
    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>);
}

/// Runs all promises of a [`Store`] on an engine: `store_conformance!(my_store, MyHarness::new());`.
///
/// The harness is made anew for each promise.
#[macro_export]
macro_rules! store_conformance {
    ($name:ident, $harness:expr) => {
        mod $name {
            use super::*;

            $crate::store_conformance!(@tests $harness;
                an_actor_without_records_is_empty
                the_newest_record_is_there_after_a_commit
                the_newest_record_is_there_after_reopening
                a_refused_group_leaves_nothing
                batches_of_one_actor_apply_in_their_order
                a_stale_epoch_fails_only_its_own_batch
                a_claim_fences_the_life_before
                the_epoch_survives_reopening
                commits_are_numbered_without_gaps
                snapshots_of_every_length_come_back
                a_shorter_snapshot_leaves_nothing_of_a_longer_one
                a_damaged_chunk_costs_one_snapshot_and_is_reported
                a_damaged_slot_header_costs_one_snapshot_and_is_reported
                a_damaged_head_costs_no_snapshot_and_is_reported
                a_lost_write_is_reported
                damage_in_both_slots_leaves_no_snapshot_and_is_reported
                damage_in_the_spare_slot_is_reported
                a_record_under_a_foreign_key_is_refused
                after_damage_the_next_snapshot_spares_the_good_slot
                actors_do_not_see_one_another
                actors_are_listed_sorted
                a_newer_format_is_refused_with_both_named
                a_damaged_head_of_the_store_is_refused
                a_store_has_one_owner_at_a_time
            );
        }
    };
    (@tests $harness:expr; $($promise:ident)*) => {
        $(#[test]
        fn $promise() {
            $crate::store::conformance::$promise(&$harness);
        })*
    };
}

/// An actor that never committed has epoch 0, no snapshot and no damage.
pub fn an_actor_without_records_is_empty(harness: &dyn StoreHarness) {
    let store = open(harness);

    assert_eq!(scan(&*store, "a"), Scan::default());
    assert_eq!(store.actors().expect("the store reads"), []);
}

/// Whoever owns it keeps everybody else out until it lets go.
pub fn a_store_has_one_owner_at_a_time(harness: &dyn StoreHarness) {
    let store = open(harness);
    for _ in 0..2 {
        let owner = store.own().expect("it is free");
        assert!(matches!(store.own(), Err(StoreError::Locked { .. })), "it belongs to another");
        assert!(matches!(store.own(), Err(StoreError::Locked { .. })), "and still does");
        drop(owner);
    }
}

/// Each commit is what the next scan finds.
pub fn the_newest_record_is_there_after_a_commit(harness: &dyn StoreHarness) {
    let store = open(harness);
    for seq in 1..=5 {
        commit(&*store, batch("a", 1, seq, 10));

        assert_eq!(scan(&*store, "a"), whole(1, seq, 10));
    }
}

/// What was committed is there in the next opening.
pub fn the_newest_record_is_there_after_reopening(harness: &dyn StoreHarness) {
    for seq in 1..=5 {
        commit(&*open(harness), batch("a", 1, seq, 5_000));

        assert_eq!(scan(&*open(harness), "a"), whole(1, seq, 5_000));
    }
}

/// A group with a batch that the store refuses leaves nothing, and the store goes on.
pub fn a_refused_group_leaves_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    let type_name = "x".repeat(256);
    let records = vec![Record::Snapshot(Snapshot { type_name, ..snapshot(1, 10) })];
    let long_name = Batch { records, ..claim("b", 1) };

    for refused in [long_name, batch("b", 1, 1, SNAPSHOT_LEN_MAX + 1)] {
        let group = [batch("a", 1, 1, 10), refused];
        assert!(
            matches!(store.commit(&group), Err(StoreError::TooLarge { actor, .. }) if actor == path("b"))
        );
        assert_eq!(store.actors().expect("the store reads"), []);
    }
    assert_eq!(commit(&*store, batch("a", 1, 1, 10)), committed(1));
}

/// A group may hold several batches of one actor, also a new life of it.
pub fn batches_of_one_actor_apply_in_their_order(harness: &dyn StoreHarness) {
    let store = open(harness);
    let group = [
        batch("a", 1, 1, 9_000),
        batch("a", 1, 2, 20_000),
        claim("a", 2),
        batch("a", 1, 3, 1),
        batch("a", 2, 3, 30),
    ];

    let outcomes = store.commit(&group).expect("the store writes");

    let stale = BatchOutcome::Stale { stored: Epoch(2) };
    assert_eq!(outcomes, [committed(1), committed(2), committed(3), stale, committed(4)]);
    assert_eq!(scan(&*store, "a"), whole(2, 3, 30));
}

/// A batch of an older life is refused whole, and the others of its group are kept.
pub fn a_stale_epoch_fails_only_its_own_batch(harness: &dyn StoreHarness) {
    let store = open(harness);
    commit(&*store, batch("b", 5, 1, 10));

    let group = [batch("a", 1, 1, 10), batch("b", 4, 2, 10), batch("c", 1, 1, 10)];
    let outcomes = store.commit(&group).expect("the store writes");

    assert_eq!(outcomes[0], committed(2));
    assert_eq!(outcomes[1], BatchOutcome::Stale { stored: Epoch(5) });
    assert_eq!(outcomes[2], committed(3));
    for (actor, epoch) in [("a", 1), ("b", 5), ("c", 1)] {
        assert_eq!(scan(&*store, actor), whole(epoch, 1, 10));
    }
}

/// A batch without records raises the epoch and keeps the snapshot.
pub fn a_claim_fences_the_life_before(harness: &dyn StoreHarness) {
    let store = open(harness);
    commit(&*store, batch("a", 1, 1, 10));

    commit(&*store, claim("a", 2));

    assert_eq!(commit(&*store, batch("a", 1, 2, 10)), BatchOutcome::Stale { stored: Epoch(2) });
    assert_eq!(commit(&*store, claim("a", 1)), BatchOutcome::Stale { stored: Epoch(2) });
    assert_eq!(scan(&*store, "a"), whole(2, 1, 10));
}

/// A claim is as durable as a record, also for an actor that has nothing else.
pub fn the_epoch_survives_reopening(harness: &dyn StoreHarness) {
    commit(&*open(harness), claim("a", 7));

    let store = open(harness);

    assert_eq!(scan(&*store, "a"), Scan { epoch: Epoch(7), ..Scan::default() });
    assert_eq!(commit(&*store, batch("a", 6, 1, 10)), BatchOutcome::Stale { stored: Epoch(7) });
}

/// Each committed batch raises the number by one, across openings; a stale one takes none.
pub fn commits_are_numbered_without_gaps(harness: &dyn StoreHarness) {
    for opening in 0..3 {
        let store = open(harness);
        let group = [claim("a", 9), batch("a", 1, 1, 10), claim("b", 9)];

        let outcomes = store.commit(&group).expect("the store writes");

        let expected = [committed(opening * 2 + 1), committed(opening * 2 + 2)];
        assert_eq!([&outcomes[0], &outcomes[2]], [&expected[0], &expected[1]]);
        let alone = store.commit(&[batch("a", 1, 1, 10)]).expect("the store writes");
        assert_eq!(alone, [BatchOutcome::Stale { stored: Epoch(9) }]);
    }
}

/// States come back whole, from nothing to 300 KiB and around the edges of a chunk; no value exceeds 4 KiB.
pub fn snapshots_of_every_length_come_back(harness: &dyn StoreHarness) {
    let lens = [0, 1, 4_067, 4_068, 4_069, 4_095, 4_096, 4_097, 8_136, 8_137, 300 << 10];
    for (seq, len) in (1..).zip(lens) {
        commit(&*open(harness), batch("a", 1, seq, len));

        assert_eq!(scan(&*open(harness), "a"), whole(1, seq, len), "{len} bytes");
    }
    let longest = harness.raw_records().iter().map(|(_, value)| value.len()).max();
    assert_eq!(longest, Some(4_096));
}

/// Chunks of a longer snapshot in the same slot are gone with the batch that replaces it.
pub fn a_shorter_snapshot_leaves_nothing_of_a_longer_one(harness: &dyn StoreHarness) {
    for (seq, len) in [(1, 50_000), (2, 50_000), (3, 10), (4, 0)] {
        commit(&*open(harness), batch("a", 1, seq, len));
    }

    let keys: Vec<_> = harness.raw_records().into_iter().map(|(key, _)| key).collect();

    let left = [
        STORE_HEAD_KEY.to_vec(),
        key("a", RecordKey::ActorHead),
        key("a", RecordKey::SlotHeader(Slot::Zero)),
        key("a", RecordKey::Chunk(Slot::Zero, 0)),
        key("a", RecordKey::SlotHeader(Slot::One)),
    ];
    assert_eq!(keys, left);
}

/// A chunk of the newest snapshot is damaged, lost or of another time: the snapshot before, reported.
pub fn a_damaged_chunk_costs_one_snapshot_and_is_reported(harness: &dyn StoreHarness) {
    let place = DamagePlace::Chunk { slot: 1, index: 1 };
    falls_back(harness, RecordKey::Chunk(Slot::One, 1), place, whole(1, 1, 10_000));
}

/// The header of the newest snapshot is damaged or lost: the snapshot before, reported.
pub fn a_damaged_slot_header_costs_one_snapshot_and_is_reported(harness: &dyn StoreHarness) {
    let place = DamagePlace::SlotHeader { slot: 1 };
    falls_back(harness, RecordKey::SlotHeader(Slot::One), place, whole(1, 1, 10_000));
}

/// The head is damaged or lost: the newest snapshot all the same, with the epoch it was written in, reported.
pub fn a_damaged_head_costs_no_snapshot_and_is_reported(harness: &dyn StoreHarness) {
    falls_back(harness, RecordKey::ActorHead, DamagePlace::Head, whole(1, 2, 10_000));
}

/// Records that are sound but older than those around them are a lost write: reported, each of them.
pub fn a_lost_write_is_reported(harness: &dyn StoreHarness) {
    let head = key("a", RecordKey::ActorHead);
    let header = key("a", RecordKey::SlotHeader(Slot::Zero));
    let chunk = key("a", RecordKey::Chunk(Slot::Zero, 0));
    commit(&*open(harness), batch("a", 1, 1, 10));
    let old = harness.raw_records();
    commit(&*open(harness), batch("a", 1, 2, 10));
    commit(&*open(harness), batch("a", 1, 3, 10));
    let new = harness.raw_records();

    let out_of_step = |place| damage("a", place, DamageReason::OutOfStep);
    let slot = DamagePlace::SlotHeader { slot: 0 };
    let cases = [
        (vec![head], 3, out_of_step(DamagePlace::Head)),
        (vec![chunk.clone()], 2, out_of_step(DamagePlace::Chunk { slot: 0, index: 0 })),
        (vec![header.clone()], 2, out_of_step(DamagePlace::Chunk { slot: 0, index: 0 })),
        (vec![header, chunk], 2, out_of_step(slot)),
    ];
    for (lost, seq, reported) in cases {
        for key in &lost {
            harness.put_raw(key.clone(), value_of(&old, key));
        }

        let found = scan(&*open(harness), "a");

        assert_eq!(found.snapshot, whole(1, seq, 10).snapshot);
        assert!(found.damage.contains(&reported), "{:?}", found.damage);
        for key in &lost {
            harness.put_raw(key.clone(), value_of(&new, key));
        }
    }
}

/// Without a whole slot there is no snapshot, but the epoch holds and everything is reported.
pub fn damage_in_both_slots_leaves_no_snapshot_and_is_reported(harness: &dyn StoreHarness) {
    two_snapshots(harness);
    for slot in Slot::BOTH {
        flip(harness, &key("a", RecordKey::Chunk(slot, 0)));
    }

    let found = scan(&*open(harness), "a");

    assert_eq!((found.epoch, found.snapshot), (Epoch(1), None));
    for slot in [0, 1] {
        let place = DamagePlace::Chunk { slot, index: 0 };
        assert!(found.damage.contains(&damage("a", place, DamageReason::Checksum)), "{:?}", found.damage);
    }
}

/// Damage in the slot that is not in use costs nothing yet, and is reported before it does.
pub fn damage_in_the_spare_slot_is_reported(harness: &dyn StoreHarness) {
    two_snapshots(harness);
    flip(harness, &key("a", RecordKey::Chunk(Slot::Zero, 0)));

    let found = scan(&*open(harness), "a");

    let place = DamagePlace::Chunk { slot: 0, index: 0 };
    let reported = vec![damage("a", place, DamageReason::Checksum)];
    assert_eq!(found, Scan { damage: reported, ..whole(1, 2, 10_000) });
}

/// A sound record of one actor is damage at another: the key is under the checksum.
pub fn a_record_under_a_foreign_key_is_refused(harness: &dyn StoreHarness) {
    commit(&*open(harness), batch("a", 1, 1, 10));
    commit(&*open(harness), batch("b", 1, 1, 10));
    let records = harness.raw_records();
    let chunk = RecordKey::Chunk(Slot::Zero, 0);
    harness.put_raw(key("b", chunk.clone()), value_of(&records, &key("a", chunk)));

    let found = scan(&*open(harness), "b");

    assert_eq!(found.snapshot, None);
    let place = DamagePlace::Chunk { slot: 0, index: 0 };
    assert!(found.damage.contains(&damage("b", place, DamageReason::Checksum)), "{:?}", found.damage);
}

/// After a fall-back a claim settles on what was found: the next snapshot takes the damaged slot's place, so the one
/// that was fallen back to is there until another is whole.
pub fn after_damage_the_next_snapshot_spares_the_good_slot(harness: &dyn StoreHarness) {
    two_snapshots(harness);
    flip(harness, &key("a", RecordKey::Chunk(Slot::One, 0)));
    commit(&*open(harness), claim("a", 2));
    commit(&*open(harness), batch("a", 2, 2, 77));
    assert_eq!(scan(&*open(harness), "a"), whole(2, 2, 77));

    flip(harness, &key("a", RecordKey::Chunk(Slot::One, 0)));

    assert_eq!(scan(&*open(harness), "a").snapshot, whole(1, 1, 10_000).snapshot);
}

/// Paths that begin alike are different actors, in scans as in commits.
pub fn actors_do_not_see_one_another(harness: &dyn StoreHarness) {
    let store = open(harness);
    for (epoch, actor) in (1..).zip(ALIKE) {
        commit(&*store, batch(actor, epoch, 1, 9_000));
        commit(&*store, batch(actor, epoch, 2, 9_000 + epoch as usize));
    }
    for (epoch, actor) in (1..).zip(ALIKE) {
        assert_eq!(scan(&*store, actor), whole(epoch, 2, 9_000 + epoch as usize));
    }
}

/// Every actor with records once, those that only claimed among them, in the order of paths.
pub fn actors_are_listed_sorted(harness: &dyn StoreHarness) {
    let store = open(harness);
    for actor in ALIKE.iter().rev() {
        commit(&*store, batch(actor, 1, 1, 9_000));
    }
    commit(&*store, claim("b", 1));

    let mut expected: Vec<_> = ALIKE.iter().chain(&["b"]).map(|actor| path(actor)).collect();
    expected.sort();
    assert_eq!(store.actors().expect("the store reads"), expected);
}

/// A store, or a record, of a newer version is refused, with its format and ours in the error.
pub fn a_newer_format_is_refused_with_both_named(harness: &dyn StoreHarness) {
    let newer = FORMAT + 1;
    two_snapshots(harness);
    let written = harness.raw_records();
    for (key, value) in &written {
        let mut reformatted = value.clone();
        reformat(key, &mut reformatted, newer);
        harness.put_raw(key.clone(), Some(reformatted));

        let refused = harness.open().and_then(|store| store.scan(&path("a")));

        let (found, known) = (u32::from(newer), u32::from(FORMAT));
        assert!(
            matches!(refused, Err(StoreError::Format { found: f, known: k }) if (f, k) == (found, known)),
            "{refused:?}"
        );
        harness.put_raw(key.clone(), Some(value.clone()));
    }
}

/// Without its own head a store neither reads nor writes: a typed error, not a new history.
pub fn a_damaged_head_of_the_store_is_refused(harness: &dyn StoreHarness) {
    two_snapshots(harness);
    let head = STORE_HEAD_KEY.to_vec();
    let damages: [fn(&dyn StoreHarness, &[u8]); 2] =
        [flip, |harness, key| harness.put_raw(key.to_vec(), None)];
    for do_damage in damages {
        do_damage(harness, &head);

        let scanned = harness.open().and_then(|store| store.scan(&path("a")));
        let committed = harness.open().and_then(|store| store.commit(&[claim("b", 1)]));

        assert!(matches!(scanned, Err(StoreError::HeadDamaged)), "{scanned:?}");
        assert!(matches!(committed, Err(StoreError::HeadDamaged)), "{committed:?}");
    }
}

/// Paths of which one is the start of another, or sorts oddly beside it.
const ALIKE: [&str; 6] = ["a", "a/b", "a-b", "ab", "a0", "a/b/c"];

/// Two snapshots of 10,000 bytes: number 1 in slot 0, number 2 in slot 1, which is in use.
fn two_snapshots(harness: &dyn StoreHarness) {
    for seq in [1, 2] {
        commit(&*open(harness), batch("a", 1, seq, 10_000));
    }
}

/// Flips a bit of, cuts short and removes the record under `record`: each time `expected` is found and `place` reported.
fn falls_back(harness: &dyn StoreHarness, record: RecordKey, place: DamagePlace, expected: Scan) {
    two_snapshots(harness);
    let key = key("a", record);
    let sound = value_of(&harness.raw_records(), &key).expect("the record was written");

    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    let cut = sound[..sound.len() - 1].to_vec();
    let cases = [
        (Some(flipped), DamageReason::Checksum),
        (Some(cut), DamageReason::Checksum),
        (Some(Vec::new()), DamageReason::Checksum),
        (None, DamageReason::Missing),
    ];
    for (value, reason) in cases {
        harness.put_raw(key.clone(), value);

        let found = scan(&*open(harness), "a");

        assert_eq!((found.epoch, &found.snapshot), (expected.epoch, &expected.snapshot));
        assert!(found.damage.contains(&damage("a", place, reason)), "{:?}", found.damage);
    }
}

fn flip(harness: &dyn StoreHarness, key: &[u8]) {
    let mut value = value_of(&harness.raw_records(), key).expect("the record was written");
    let middle = value.len() / 2;
    value[middle] ^= 0x01;
    harness.put_raw(key.to_vec(), Some(value));
}

fn value_of(records: &[(Vec<u8>, Vec<u8>)], key: &[u8]) -> Option<Vec<u8>> {
    records.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone())
}

fn open(harness: &dyn StoreHarness) -> Box<dyn Store> {
    harness.open().expect("the store opens")
}

fn commit(store: &dyn Store, batch: Batch) -> BatchOutcome {
    store.commit(&[batch]).expect("the store writes").remove(0)
}

/// A batch that put no message into an inbox.
fn committed(seq: u64) -> BatchOutcome {
    BatchOutcome::Committed { seq: CommitSeq(seq), deliveries: Vec::new() }
}

fn scan(store: &dyn Store, actor: &str) -> Scan {
    store.scan(&path(actor)).expect("the store reads")
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).expect("a path of the tests is well formed")
}

fn key(actor: &str, record: RecordKey) -> Vec<u8> {
    let key = record.encode(&path(actor));
    debug_assert!(key.starts_with(&actor_prefix(&path(actor))));
    key
}

fn damage(actor: &str, place: DamagePlace, reason: DamageReason) -> Damage {
    Damage { actor: path(actor), place, reason }
}

fn claim(actor: &str, epoch: u64) -> Batch {
    Batch::claim(path(actor), Epoch(epoch))
}

fn batch(actor: &str, epoch: u64, seq: u64, len: usize) -> Batch {
    Batch { records: vec![Record::Snapshot(snapshot(seq, len))], ..claim(actor, epoch) }
}

fn whole(epoch: u64, seq: u64, len: usize) -> Scan {
    Scan { epoch: Epoch(epoch), snapshot: Some(snapshot(seq, len)), ..Scan::default() }
}

/// No two numbers give the same bytes, and no two places in them are alike.
fn snapshot(seq: u64, len: usize) -> Snapshot {
    let state = (0..len as u64).map(|at| (at ^ (at >> 8) ^ (seq * 31)) as u8).collect();
    Snapshot { type_name: "test.state".into(), version: seq as u16, seq, state }
}
