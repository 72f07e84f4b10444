//! Promises about states, epochs and the numbers of commits.

use super::*;

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

/// What is named in one store must not pass for something of the one that was in its place before.
pub fn a_store_keeps_its_id_and_shares_it_with_no_other(harness: &dyn StoreHarness) {
    let head = |store: &dyn Store| store.head().expect("the store reads");
    let store = open(harness);
    let empty = head(&*store);
    commit(&*store, batch("a", 1, 1, 10));
    let begun = head(&*store);
    assert_eq!((empty.seq, begun.seq, begun.id), (CommitSeq(0), CommitSeq(1), empty.id));
    drop(store);
    let store = open(harness);
    commit(&*store, batch("a", 1, 2, 10));
    assert_eq!((head(&*store).seq, head(&*store).id), (CommitSeq(2), begun.id));
    drop(store);
    assert_ne!(super::super::MemoryStore::new().head().expect("memory reads").id, begun.id);
}

/// Whoever opens the store next can tell an end in order from any other.
pub fn an_end_in_order_is_known_until_the_next_commit(harness: &dyn StoreHarness) {
    let has_ended = |store: &dyn Store| store.head().expect("the store reads").ended_in_order;
    let end = |store: &dyn Store| store.end().expect("the store writes");
    let store = open(harness);
    assert!(has_ended(&*store), "nothing was begun");
    end(&*store);
    commit(&*store, batch("a", 1, 1, 10));
    assert!(!has_ended(&*store));
    drop(store);
    let store = open(harness);
    assert!(!has_ended(&*store), "killed");
    end(&*store);
    end(&*store);
    drop(store);
    let store = open(harness);
    assert!(has_ended(&*store));
    assert_eq!(scan(&*store, "a"), whole(1, 1, 10));
    assert_eq!(commit(&*store, claim("a", 2)), committed(2));
    assert!(!has_ended(&*store));
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
    // 4,047 fit beside the header and the name of the test's type.
    let lens = [0, 1, 4_046, 4_047, 4_048, 4_067, 4_068, 4_069, 4_095, 4_096, 4_097, 8_136, 8_137, 300 << 10];
    for (seq, len) in (1..).zip(lens) {
        commit(&*open(harness), batch("a", 1, seq, len));

        assert_eq!(scan(&*open(harness), "a"), whole(1, seq, len), "{len} bytes");
    }
    let longest = harness.raw_records().iter().map(|(_, value)| value.len()).max();
    assert_eq!(longest, Some(4_096));
}

/// Chunks of a longer snapshot in the same slot are gone with the batch that replaces it.
pub fn a_shorter_snapshot_leaves_nothing_of_a_longer_one(harness: &dyn StoreHarness) {
    for (seq, len) in [(1, 50_000), (2, 5_000), (3, 10), (4, 0)] {
        commit(&*open(harness), batch("a", 1, seq, len));
    }

    let keys: Vec<_> = harness.raw_records().into_iter().map(|(key, _)| key).collect();

    let left = [
        STORE_HEAD_KEY.to_vec(),
        key("a", RecordKey::ActorHead),
        key("a", RecordKey::SlotHeader(Slot::Zero)),
        key("a", RecordKey::SlotHeader(Slot::One)),
    ];
    assert_eq!(keys, left);
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
