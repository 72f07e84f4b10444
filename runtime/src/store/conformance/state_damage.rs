//! Promises about damage of states and heads.

use super::*;

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
    let len = 4_100; // one chunk and more
    commit(&*open(harness), batch("a", 1, 1, len));
    let old = harness.raw_records();
    commit(&*open(harness), batch("a", 1, 2, len));
    commit(&*open(harness), batch("a", 1, 3, len));
    let new = harness.raw_records();

    let out_of_step = |place| damage("a", place, DamageReason::OutOfStep);
    let slot = DamagePlace::SlotHeader { slot: 0 };
    let cases = [
        (vec![head], 3, out_of_step(DamagePlace::Head)),
        (vec![chunk.clone()], 2, out_of_step(DamagePlace::Chunk { slot: 0, index: 0 })),
        (vec![header.clone()], 2, out_of_step(DamagePlace::Chunk { slot: 0, index: 0 })),
        (vec![header, chunk, key("a", RecordKey::Chunk(Slot::Zero, 1))], 2, out_of_step(slot)),
    ];
    for (lost, seq, reported) in cases {
        for key in &lost {
            harness.put_raw(key.clone(), value_of(&old, key));
        }

        let found = scan(&*open(harness), "a");

        assert_eq!(found.snapshot, whole(1, seq, len).snapshot);
        assert!(found.damage.contains(&reported), "{:?}", found.damage);
        for key in &lost {
            harness.put_raw(key.clone(), value_of(&new, key));
        }
    }
}

/// A state that is in one record with its header: the same.
pub fn a_lost_write_of_a_short_state_is_reported(harness: &dyn StoreHarness) {
    let header = key("a", RecordKey::SlotHeader(Slot::Zero));
    commit(&*open(harness), batch("a", 1, 1, 10));
    let old = harness.raw_records();
    commit(&*open(harness), batch("a", 1, 2, 10));
    commit(&*open(harness), batch("a", 1, 3, 10));
    harness.put_raw(header.clone(), value_of(&old, &header));

    let found = scan(&*open(harness), "a");

    assert_eq!(found.snapshot, whole(1, 2, 10).snapshot);
    let place = DamagePlace::SlotHeader { slot: 0 };
    assert!(found.damage.contains(&damage("a", place, DamageReason::OutOfStep)), "{:?}", found.damage);
}

/// The snapshot before is gone, all of it: reported until a claim settles on what is left.
pub fn a_lost_spare_slot_is_reported(harness: &dyn StoreHarness) {
    for (actor, len) in [("a", 0), ("b", 10)] {
        for seq in [1, 2] {
            commit(&*open(harness), batch(actor, 1, seq, len));
        }
        harness.put_raw(key(actor, RecordKey::SlotHeader(Slot::Zero)), None);

        let found = scan(&*open(harness), actor);

        let reported = vec![damage(actor, DamagePlace::SlotHeader { slot: 0 }, DamageReason::Missing)];
        assert_eq!(found, Scan { damage: reported, ..whole(1, 2, len) });
        commit(&*open(harness), claim(actor, 2));
        assert_eq!(scan(&*open(harness), actor), Scan { epoch: Epoch(2), ..whole(1, 2, len) });
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
    let header = (["a", "b"], 10, RecordKey::SlotHeader(Slot::Zero), DamagePlace::SlotHeader { slot: 0 });
    let place = DamagePlace::Chunk { slot: 0, index: 0 };
    let chunk = (["c", "d"], 4_100, RecordKey::Chunk(Slot::Zero, 0), place);
    for (actors, len, record, place) in [header, chunk] {
        for actor in actors {
            commit(&*open(harness), batch(actor, 1, 1, len));
        }
        let [from, to] = actors;
        let foreign = value_of(&harness.raw_records(), &key(from, record.clone()));
        harness.put_raw(key(to, record), foreign);

        let found = scan(&*open(harness), to);

        assert_eq!(found.snapshot, None);
        assert!(found.damage.contains(&damage(to, place, DamageReason::Checksum)), "{:?}", found.damage);
    }
}

/// After a fall-back a claim settles on what was found: the next snapshot takes the damaged slot's place, so the one
/// that was fallen back to is there until another is whole.
pub fn after_damage_the_next_snapshot_spares_the_good_slot(harness: &dyn StoreHarness) {
    two_snapshots(harness);
    flip(harness, &key("a", RecordKey::Chunk(Slot::One, 0)));
    commit(&*open(harness), claim("a", 2));
    commit(&*open(harness), batch("a", 2, 2, 7_700));
    assert_eq!(scan(&*open(harness), "a"), whole(2, 2, 7_700));

    flip(harness, &key("a", RecordKey::Chunk(Slot::One, 0)));

    assert_eq!(scan(&*open(harness), "a").snapshot, whole(1, 1, 10_000).snapshot);
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
