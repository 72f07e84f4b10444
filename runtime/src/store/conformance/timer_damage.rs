//! Promises about damage of timers, and of how an actor was made.

use super::message_damage::{damages, one_of_each, records_of};
use super::*;

/// To fire it would need what it says; to set it anew, or to cancel it, does not.
pub fn a_damaged_timer_is_set_or_cancelled_and_not_fired(harness: &dyn StoreHarness) {
    for len in [1, 9_000] {
        write(&*open(harness), "a", 1, vec![set("wake", 500, message(len)), set("wake-up", 1, message(1))]);
        let other = timer("wake-up", 1, message(1));
        for (key, record, sound) in timer_records(harness, "wake") {
            for (value, reason) in damages(&record, &sound) {
                for is_cancelled in [true, false] {
                    let left = harness.raw_records();
                    harness.put_raw(key.clone(), value.clone());
                    let damaged = harness.raw_records();
                    let reported = damage("a", DamagePlace::Timer, reason);
                    let expected = Scan { epoch: Epoch(1), timers: vec![other.clone()], ..Scan::default() };
                    let lost = Scan { damage: vec![reported.clone()], ..expected.clone() };
                    assert_eq!(scan(&*open(harness), "a"), lost);

                    let fires = Batch::of(path("a"), Epoch(1), vec![fire("wake", 500, None)]);
                    let refused = open(harness).commit(&[claim("b", 1), fires]);
                    assert!(
                        matches!(&refused, Err(StoreError::Damaged { damage }) if *damage == reported),
                        "{refused:?}"
                    );
                    assert_eq!(harness.raw_records(), damaged, "nothing was written");

                    let again = timer("wake", 600, message(2));
                    match is_cancelled {
                        true => drop(write(&*open(harness), "a", 1, vec![cancel("wake")])),
                        false => drop(write(&*open(harness), "a", 1, vec![Record::SetTimer(again.clone())])),
                    }
                    let timers = if is_cancelled { vec![other.clone()] } else { vec![again, other.clone()] };
                    assert_eq!(scan(&*open(harness), "a"), Scan { timers, ..expected });
                    assert_eq!(keys_of(harness, "a").len(), if is_cancelled { 1 } else { 2 });
                    restore(harness, &left);
                }
            }
        }
    }
}

/// Whatever was left of the one before.
pub fn a_new_birth_replaces_a_damaged_one(harness: &dyn StoreHarness) {
    send(&*open(harness), vec![birth("a", 9_000)]);
    let sound = records_of(harness, "a");
    assert_eq!(sound.len(), 3);
    for (key, record, value) in &sound {
        for (value, reason) in damages(record, value) {
            for len in [1, 20_000] {
                let left = harness.raw_records();
                harness.put_raw(key.clone(), value.clone());
                let reported = vec![damage("a", DamagePlace::Birth, reason)];
                assert_eq!(scan(&*open(harness), "a"), Scan { damage: reported, ..Scan::default() });

                send(&*open(harness), vec![birth("a", len)]);

                let expected = Scan { birth: Some(bytes(len, 5)), ..Scan::default() };
                assert!(scan(&*open(harness), "a") == expected, "{len} bytes");
                restore(harness, &left);
            }
        }
    }
}

/// Each record of the actor is damaged, and none is left: it can begin anew.
pub fn an_erasure_mends_all_damage(harness: &dyn StoreHarness) {
    one_of_each(&*open(harness));
    commit(&*open(harness), batch("a", 3, 1, 9_000));
    let other = scan(&*open(harness), "b");
    records_of(harness, "a").iter().for_each(|(key, ..)| flip(harness, key));
    harness.put_raw([actor_prefix(&path("a")), vec![0xfe]].concat(), Some(vec![1]));
    assert!(scan(&*open(harness), "a").damage.len() > 15);

    send(&*open(harness), vec![erase("a")]);

    assert_eq!(scan(&*open(harness), "a"), Scan { epoch: Epoch(4), ..Scan::default() });
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
    assert_eq!(scan(&*open(harness), "b"), other);
}

/// The raw records of one timer of `a`.
fn timer_records(harness: &dyn StoreHarness, name: &str) -> Vec<super::message_damage::RawRecord> {
    let is_it = |record: &RecordKey| matches!(record, RecordKey::Content(ContentKey::Timer(found), _) if found == name);
    records_of(harness, "a").into_iter().filter(|(_, record, _)| is_it(record)).collect()
}
