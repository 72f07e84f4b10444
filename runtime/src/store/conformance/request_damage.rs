//! Promises about damage of requests and of the answers to them.

use super::message_damage::{damages, one_of_each, records_of};
use super::*;

/// Whether it waits, or was answered: to take it for new would handle it twice.
pub fn a_damaged_request_is_not_taken_for_an_unknown_one(harness: &dyn StoreHarness) {
    one_of_each(&*open(harness));
    for (key, record, sound) in records_of(harness, "a") {
        let RecordKey::Content(ContentKey::Request(request), _) = &record else { continue };
        for (value, reason) in damages(&record, &sound) {
            harness.put_raw(key.clone(), value);
            let before = harness.raw_records();
            let store = open(harness);
            let group = [claim("b", 5), Batch::from_outside(vec![delivery("a", asked(request, 1))])];

            let refused = store.commit(&group);

            let expected = damage("a", DamagePlace::Request, reason);
            assert!(
                matches!(&refused, Err(StoreError::Damaged { damage }) if *damage == expected),
                "{refused:?}"
            );
            drop(store);
            assert_eq!(harness.raw_records(), before);
        }
        harness.put_raw(key, Some(sound));
    }
}

/// When the record of its request was lost, and it was sent again meanwhile, the second one is the one that the sender
/// was told of: whatever becomes of the first, the second is named, and its answer is the one that is kept.
pub fn a_message_disturbs_no_request_but_its_own(harness: &dyn StoreHarness) {
    let ends: [fn(MessageId) -> Vec<Record>; 3] = [
        |id| vec![done(id)],
        |id| vec![answered(id, "order-17", 1, 1_000, 9_000)],
        |id| vec![lay_aside(id, "no"), forget("a", id)],
    ];
    for end in ends {
        let first = deliver(&*open(harness), "a", asked("order-17", 1));
        harness.put_raw(request_key("order-17", 0), None);
        let store = open(harness);
        let second = deliver(&*store, "a", asked("order-17", 1));

        write(&*store, "a", 1, end(first));

        assert_eq!(send(&*store, vec![delivery("a", asked("order-17", 1))]), [Delivered::Waiting(second)]);
        assert_eq!(scan(&*store, "a"), waiting(1, &[accepted(second, asked("order-17", 1))]));
        write(&*store, "a", 1, vec![done(second)]);
        drop(store);
        assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
    }
}

/// The message names its request itself, so its end mends the record.
pub fn a_message_with_a_damaged_request_can_be_done(harness: &dyn StoreHarness) {
    for is_answered in [true, false] {
        let id = deliver(&*open(harness), "a", asked("order-17", 1));
        flip(harness, &request_key("order-17", 0));
        let store = open(harness);
        let end = if is_answered { answered(id, "order-17", 1, 1_000, 1) } else { done(id) };

        write(&*store, "a", 1, vec![end]);

        assert_eq!(scan(&*store, "a"), waiting(1, &[]));
        let again = send(&*store, vec![delivery("a", asked("order-17", 1))]);
        let [Delivered::Answered(_) | Delivered::New(_)] = again[..] else { panic!("{again:?}") };
        assert_eq!(matches!(again[..], [Delivered::Answered(_)]), is_answered);
        drop(store);
        keys_of(harness, "a").into_iter().for_each(|key| harness.put_raw(key, None));
    }
}

/// Of the record of a request that was lost whole: the message that waits under it, or lies aside, is there and names it.
pub fn a_lost_request_is_told_of_by_its_message(harness: &dyn StoreHarness) {
    for is_aside in [false, true] {
        let store = open(harness);
        let id = deliver(&*store, "a", asked("order-17", 9_000));
        commit(&*store, claim("a", 1));
        if is_aside {
            write(&*store, "a", 1, vec![lay_aside(id, "no")]);
        }
        let expected = scan(&*store, "a");
        assert_eq!(expected.damage, []);
        drop(store);

        harness.put_raw(request_key("order-17", 0), None);

        let store = open(harness);
        let lost = vec![damage("a", DamagePlace::Request, DamageReason::Missing)];
        assert_eq!(scan(&*store, "a"), Scan { damage: lost.clone(), ..expected });
        assert_eq!(laid_aside(&*store, "a").len(), usize::from(is_aside));
        // Sent again, it is known once more, whoever it is.
        let again = deliver(&*store, "a", asked("order-17", 1));
        assert_eq!(scan(&*store, "a").damage, []);
        write(&*store, "a", 1, vec![done(again)]);
        assert_eq!(scan(&*store, "a").damage, lost, "that was the other's");
        write(&*store, "a", 1, vec![done(id), forget("a", id)]);
        assert_eq!(scan(&*store, "a"), waiting(1, &[]));
        drop(store);
        assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
    }
}

/// Of a message that was lost whole, waiting or laid aside: its request names it.
pub fn a_lost_message_is_told_of_by_its_request(harness: &dyn StoreHarness) {
    for is_aside in [false, true] {
        for len in [1, 9_000] {
            let store = open(harness);
            let [id, _] = ["order-17", "order-18"].map(|id| deliver(&*store, "a", asked(id, len)));
            let aside = if is_aside { vec![lay_aside(id, "no")] } else { vec![tries(id, 1)] };
            write(&*store, "a", 1, aside);
            let mut expected = scan(&*store, "a");
            drop(store);
            let content = if is_aside { ContentKey::LaidAside(id) } else { ContentKey::Message(id) };
            for part in 0..3 {
                harness.put_raw(key("a", RecordKey::Content(content.clone(), part)), None);
            }

            expected.inbox.retain(|message| message.id != id);
            expected.damage = vec![damage("a", DamagePlace::Message { id }, DamageReason::Missing)];
            assert_eq!(scan(&*open(harness), "a"), expected);
            keys_of(harness, "a").into_iter().for_each(|key| harness.put_raw(key, None));
        }
    }
}

/// Of an answer without its end nobody would know when it may go; of an end without its answer, what it was the end of.
/// Once its time is over, nobody asks any more.
pub fn an_answer_and_its_end_tell_of_each_other(harness: &dyn StoreHarness) {
    let end = |request: &str| key("a", RecordKey::AnswerEnd { until_ms: 100, request: request.into() });
    for lost in [end("order-17"), request_key("order-17", 0)] {
        let store = open(harness);
        for request in ["order-17", "order-1"] {
            let id = deliver(&*store, "a", asked(request, 1));
            write(&*store, "a", 1, vec![answered(id, request, 1, 100, 1)]);
        }
        let id = deliver(&*store, "a", asked("order-2", 1));
        assert_eq!(scan(&*store, "a").damage, []);
        drop(store);

        harness.put_raw(lost.clone(), None);

        let store = open(harness);
        let reported = [damage("a", DamagePlace::Request, DamageReason::Missing)];
        assert_eq!(scan(&*store, "a").damage, reported);
        write(&*store, "a", 1, vec![answered(id, "order-2", 101, 200, 1)]);
        let is_kept_forever = lost == end("order-17");
        assert_eq!(scan(&*store, "a").damage.is_empty(), !is_kept_forever);
        drop(store);
        keys_of(harness, "a").into_iter().for_each(|key| harness.put_raw(key, None));
    }
}

/// Whole, with what was left of it; it stops neither the answer that deletes it nor its request.
pub fn a_damaged_answer_goes_when_its_time_is_over(harness: &dyn StoreHarness) {
    for part in 0..3 {
        let damages: [fn(&dyn StoreHarness, &[u8]); 2] =
            [flip, |harness, key| harness.put_raw(key.to_vec(), None)];
        for do_damage in damages {
            let store = open(harness);
            let ids = ["order-1", "order-2"].map(|request| deliver(&*store, "a", asked(request, 1)));
            write(&*store, "a", 1, vec![answered(ids[0], "order-1", 1, 100, 9_000)]);
            drop(store);
            do_damage(harness, &request_key("order-1", part));
            let store = open(harness);

            write(&*store, "a", 1, vec![answered(ids[1], "order-2", 101, 1_000, 1)]);

            drop(store);
            assert_eq!(keys_of(harness, "a").len(), 2, "an answer, and its end");
            let store = open(harness);
            assert_eq!(scan(&*store, "a"), waiting(1, &[]));
            write(&*store, "a", 1, vec![delivery("a", asked("order-1", 1))]);
            assert_eq!(scan(&*store, "a").inbox.len(), 1);
            drop(store);
            keys_of(harness, "a").into_iter().for_each(|key| harness.put_raw(key, None));
        }
    }
}

/// When the record of an answer was lost, and its request was sent again, the end of the old answer is not that of the
/// new one.
pub fn an_old_end_takes_no_newer_answer(harness: &dyn StoreHarness) {
    let answer = |store: &dyn Store, request: &str, at_ms, until_ms| {
        let id = deliver(store, "a", asked(request, 1));
        write(store, "a", 1, vec![answered(id, request, at_ms, until_ms, 1)]);
    };
    for request in ["answered", "waits"] {
        answer(&*open(harness), request, 1, 100);
        harness.put_raw(request_key(request, 0), None);
    }
    let store = open(harness);
    let waits = deliver(&*store, "a", asked("waits", 1));
    answer(&*store, "answered", 2, 1_000);

    answer(&*store, "another", 101, 1_000);

    let again = ["waits", "answered"].map(|request| delivery("a", asked(request, 1))).to_vec();
    assert_eq!(send(&*store, again), [Delivered::Waiting(waits), Delivered::Answered(bytes(1, 9))]);
    assert_eq!(scan(&*store, "a").damage, []);
    drop(store);
    // Two answers, each with its end; the message that waits, and its request.
    assert_eq!(keys_of(harness, "a").len(), 2 * 2 + 2);
}

/// Nobody can say whether it is one: it stays and is reported, and the answers behind it go in their time.
pub fn a_damaged_end_stops_no_other(harness: &dyn StoreHarness) {
    let store = open(harness);
    let answer = |store: &dyn Store, request: &str, at_ms, until_ms| {
        let id = deliver(store, "a", asked(request, 1));
        write(store, "a", 1, vec![answered(id, request, at_ms, until_ms, 1)]);
    };
    for (request, until_ms) in [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("e", 50)] {
        answer(&*store, request, 1, until_ms);
    }
    drop(store);
    for (request, until_ms) in [("a", 10), ("b", 20), ("c", 30)] {
        flip(harness, &key("a", RecordKey::AnswerEnd { until_ms, request: request.into() }));
    }
    let store = open(harness);

    answer(&*store, "f", 60, 1_000);

    let reported = damage("a", DamagePlace::Request, DamageReason::Checksum);
    assert_eq!(scan(&*store, "a").damage, vec![reported; 3]);
    let again = ["d", "e"].map(|request| delivery("a", asked(request, 1))).to_vec();
    assert!(matches!(send(&*store, again)[..], [Delivered::New(_), Delivered::New(_)]));
}

fn request_key(request: &str, part: u32) -> Vec<u8> {
    key("a", RecordKey::Content(ContentKey::Request(request.into()), part))
}
