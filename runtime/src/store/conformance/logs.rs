//! Promises about the logs of a state: entries that are appended and trimmed, and their damage.

use std::ops::Range;

use super::*;

/// Whatever their lengths, by log and index, before reopening and after; and nothing is left of those that were trimmed.
pub fn entries_are_there_until_they_are_trimmed(harness: &dyn StoreHarness) {
    let lens = [0, 1, 4_060, 4_061, 9_000, 20_000];
    let store = open(harness);
    let appended = |log| lens.into_iter().enumerate().map(move |(index, len)| logged(log, index as u64, len));
    write(&*store, "a", 1, appended(1).map(Record::Append).collect());
    write(&*store, "a", 1, appended(0).rev().map(Record::Append).collect());
    let all: Vec<_> = appended(0).chain(appended(1)).collect();
    assert_eq!(scan(&*store, "a"), keeping(1, &all));
    drop(store);
    assert_eq!(scan(&*open(harness), "a"), keeping(1, &all));
    assert_eq!(scan(&*open(harness), "a/b"), Scan::default());

    write(&*open(harness), "a", 1, vec![trim(0, 2..4), trim(1, 7..7)]);

    assert_eq!(scan(&*open(harness), "a"), keeping(1, &all[2..4]));
    write(&*open(harness), "a", 1, vec![trim(0, 0..3), trim(5, 0..9)]);
    assert_eq!(scan(&*open(harness), "a"), keeping(1, &all[2..3]));
    write(&*open(harness), "a", 1, vec![trim(0, 3..9)]);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// A longer one, a shorter one, a damaged one.
pub fn an_entry_replaces_the_one_in_its_place(harness: &dyn StoreHarness) {
    for (before, after) in [(1, 9_000), (9_000, 1), (20_000, 9_000)] {
        for is_damaged in [false, true] {
            write(&*open(harness), "a", 1, vec![Record::Append(logged(0, 7, before))]);
            if is_damaged {
                flip(harness, &key("a", RecordKey::Content(ContentKey::Entry(0, 7), 0)));
            }

            write(&*open(harness), "a", 1, vec![Record::Append(logged(0, 7, after))]);

            assert_eq!(scan(&*open(harness), "a"), keeping(1, &[logged(0, 7, after)]));
        }
    }
}

/// A batch of a life that is over writes neither; nor does anybody from outside; and what is too long is refused.
pub fn entries_are_written_with_their_state_or_not_at_all(harness: &dyn StoreHarness) {
    let store = open(harness);
    let with_state =
        |seq, len, index| vec![Record::Snapshot(snapshot(seq, len)), Record::Append(logged(0, index, 9_000))];
    write(&*store, "a", 2, with_state(1, 10, 0));

    let stale = commit(&*store, Batch::of(path("a"), Epoch(1), with_state(2, 10, 1)));
    assert_eq!(stale, BatchOutcome::Stale { stored: Epoch(2) });
    let trimmed = commit(&*store, Batch::of(path("a"), Epoch(1), vec![trim(0, 0..0)]));
    assert_eq!(trimmed, BatchOutcome::Stale { stored: Epoch(2) });
    for record in [Record::Append(logged(0, 1, 1)), trim(0, 0..0)] {
        let refused = store.commit(&[Batch::from_outside(vec![record])]);
        assert!(matches!(refused, Err(StoreError::NoWriter)), "{refused:?}");
    }
    let longest = Record::Append(logged(0, 1, CONTENT_LEN_MAX));
    let too_long = vec![Record::Snapshot(snapshot(2, 10)), Record::Append(logged(0, 2, CONTENT_LEN_MAX + 1))];
    let refused = store.commit(&[Batch::of(path("a"), Epoch(2), too_long)]);
    assert!(matches!(refused, Err(StoreError::TooLarge { what: "log entry", .. })), "{refused:?}");

    assert_eq!(scan(&*store, "a"), Scan { logs: vec![logged(0, 0, 9_000)], ..whole(2, 1, 10) });
    write(&*store, "a", 2, vec![longest]);
    assert_eq!(scan(&*store, "a").logs[1], logged(0, 1, CONTENT_LEN_MAX));
}

/// Batches of one group see what those before them have appended and trimmed.
pub fn a_group_appends_and_trims_in_its_order(harness: &dyn StoreHarness) {
    let store = open(harness);
    let of_a = |records| Batch::of(path("a"), Epoch(1), records);
    let append = |index| Record::Append(logged(0, index, 9_000));
    let group = [
        of_a(vec![append(0), append(1), append(2)]),
        of_a(vec![trim(0, 1..2), append(2), append(3)]),
        of_a(vec![append(4), trim(0, 2..4)]),
    ];
    store.commit(&group).expect("the store writes");

    let kept = [logged(0, 2, 9_000), logged(0, 3, 9_000)];
    assert_eq!(scan(&*store, "a"), keeping(1, &kept));
    store.commit(&[of_a(vec![trim(0, 0..0)]), of_a(vec![append(0)])]).expect("the store writes");
    assert_eq!(scan(&*store, "a"), keeping(1, &[logged(0, 0, 9_000)]));
    send(&*store, vec![erase("a")]);
    assert_eq!(scan(&*store, "a"), Scan { epoch: Epoch(2), ..Scan::default() });
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// Flipped, cut short, or a part of it lost: that entry alone is left out, and named; the state and all other entries are
/// as they were. Trimming takes away whatever is left of it. A newer format is told apart.
pub fn a_damaged_entry_is_left_out_and_reported(harness: &dyn StoreHarness) {
    let entries: Vec<_> = [1, 9_000, 1].into_iter().zip(0..).map(|(len, at)| logged(0, at, len)).collect();
    let mut records = vec![Record::Snapshot(snapshot(1, 10))];
    records.extend(entries.iter().cloned().map(Record::Append));
    write(&*open(harness), "a", 1, records);
    let of_logs = |(_, record, _): &RawRecord| matches!(record, RecordKey::Content(ContentKey::Entry(..), _));
    let records: Vec<_> = records_of(harness, "a").into_iter().filter(of_logs).collect();
    assert_eq!(records.len(), 1 + 3 + 1, "one, or three parts, of each");
    for (key, record, sound) in &records {
        let RecordKey::Content(ContentKey::Entry(log, index), _) = *record else { continue };
        let left: Vec<_> = entries.iter().filter(|entry| entry.index != index).cloned().collect();
        for (value, reason) in damages(record, sound) {
            harness.put_raw(key.clone(), value);

            let damage = vec![damage("a", DamagePlace::LogEntry { log, index }, reason)];
            let found = scan(&*open(harness), "a");
            assert_eq!(found, Scan { logs: left.clone(), damage, ..whole(1, 1, 10) }, "{record:?}");
        }
        let mut newer = sound.clone();
        reformat(key, &mut newer, FORMAT + 1);
        harness.put_raw(key.clone(), Some(newer));
        let refused = open(harness).scan(&path("a"));
        assert!(matches!(refused, Err(StoreError::Format { .. })), "{refused:?}");
        harness.put_raw(key.clone(), Some(sound.clone()));
    }
    records.iter().for_each(|(key, ..)| flip(harness, key));
    write(&*open(harness), "a", 1, vec![trim(0, 5..5)]);
    assert_eq!(scan(&*open(harness), "a"), whole(1, 1, 10));
}

fn logged(log: u32, index: u64, len: usize) -> LogEntry {
    LogEntry { log, index, content: bytes(len, u64::from(log) * 7 + index) }
}

fn trim(log: u32, keep: Range<u64>) -> Record {
    Record::Trim { log, keep }
}

fn keeping(epoch: u64, logs: &[LogEntry]) -> Scan {
    Scan { epoch: Epoch(epoch), logs: logs.to_vec(), ..Scan::default() }
}
