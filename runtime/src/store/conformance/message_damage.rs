//! Promises about damage of messages and of what belongs to them, and of whatever else is kept in parts.

use super::*;

/// Flipped, cut short, or a part of it lost: each record that cannot be vouched for is named, once and with the reason,
/// it alone is left out, and everything else is as it was.
pub fn damage_of_messages_is_reported_where_it_is(harness: &dyn StoreHarness) {
    one_of_each(&*open(harness));
    let [expected, other] = ["a", "b"].map(|actor| scan(&*open(harness), actor));
    let aside = laid_aside(&*open(harness), "a");
    let records = records_of(harness, "a");
    assert_eq!(
        records.len(),
        1 + 3 + 1 + 3 + 1 + 1 + 3 + 1 + 1 + 3 + 1 + 3 + 3,
        "one, or three parts, of each"
    );
    for (key, record, sound) in &records {
        for (value, reason) in damages(record, sound).into_iter().chain(loss(record)) {
            harness.put_raw(key.clone(), value);
            let store = open(harness);
            let place = place_of(record);

            let damaged = Scan { damage: vec![damage("a", place, reason)], ..without(&expected, record) };
            assert_eq!(scan(&*store, "a"), damaged, "{record:?}");
            let whole = |aside: &&LaidAside| place != DamagePlace::LaidAside { id: aside.message.id };
            assert!(laid_aside(&*store, "a").iter().eq(aside.iter().filter(whole)), "{record:?}");
            assert_eq!(scan(&*store, "b"), other);
        }
        harness.put_raw(key.clone(), Some(sound.clone()));
    }

    // Parts of two writings, each of them sound.
    let part = key("a", RecordKey::Content(ContentKey::Journal(SHORT, 0), 1));
    write(&*open(harness), "a", 1, vec![journal(SHORT, 0, 9_001)]);
    let old = records.iter().find(|(key, ..)| *key == part).map(|(.., value)| value.clone());
    harness.put_raw(part.clone(), old.clone());
    let place = DamagePlace::Journal { message: SHORT, place: 0 };
    let reported = [damage("a", place, DamageReason::OutOfStep)];
    assert_eq!(scan(&*open(harness), "a").damage, reported);

    // A part whose removal was lost.
    write(&*open(harness), "a", 1, vec![journal(SHORT, 0, 1)]);
    assert_eq!(scan(&*open(harness), "a").damage, []);
    harness.put_raw(part, old);
    assert_eq!(scan(&*open(harness), "a").damage, reported);
}

/// By whoever would read it, with its format and ours in the error.
pub fn a_newer_format_of_a_message_is_refused(harness: &dyn StoreHarness) {
    one_of_each(&*open(harness));
    let is_format = |refused: &StoreError| {
        let (newer, ours) = (u32::from(FORMAT) + 1, u32::from(FORMAT));
        matches!(refused, StoreError::Format { found, known } if (*found, *known) == (newer, ours))
    };
    for (key, record, sound) in records_of(harness, "a") {
        let mut reformatted = sound.clone();
        reformat(&key, &mut reformatted, FORMAT + 1);
        harness.put_raw(key.clone(), Some(reformatted));
        let store = open(harness);

        let scanned = store.scan(&path("a"));
        assert!(scanned.as_ref().is_err_and(is_format), "{record:?}: {scanned:?}");
        let claimed = store.commit(&[claim("a", 2)]);
        assert!(claimed.as_ref().is_err_and(is_format), "{record:?}: {claimed:?}");
        let needed_by = match &record {
            RecordKey::Content(ContentKey::Message(id), _) => vec![done(*id), lay_aside(*id, "no")],
            RecordKey::Content(ContentKey::Request(request), _) => vec![delivery("a", asked(request, 1))],
            RecordKey::Content(ContentKey::LaidAside(id), _) => vec![give_back("a", *id), forget("a", *id)],
            RecordKey::Content(ContentKey::Timer(name), _) => vec![fire(name, 500, None)],
            _ => Vec::new(),
        };
        for needing in needed_by.into_iter().chain([erase("a")]) {
            let refused = store.commit(&[Batch::of(path("a"), Epoch(1), vec![needing])]);
            assert!(refused.as_ref().is_err_and(is_format), "{record:?}: {refused:?}");
        }
        if matches!(record, RecordKey::Content(ContentKey::LaidAside(_), _)) {
            let listed = store.laid_aside(&path("a"));
            assert!(listed.as_ref().is_err_and(is_format), "{record:?}: {listed:?}");
        }
        drop(store);
        harness.put_raw(key, Some(sound));
    }
}

/// An actor whose every message is damaged keeps nobody from writing, itself included.
pub fn damage_in_one_inbox_leaves_the_others_alone(harness: &dyn StoreHarness) {
    one_of_each(&*open(harness));
    let mut other = scan(&*open(harness), "b");
    let records = records_of(harness, "a");
    records.iter().for_each(|(key, ..)| flip(harness, key));
    let store = open(harness);

    let (to_b, to_a) = (deliver(&*store, "b", message(9_000)), deliver(&*store, "a", message(9_000)));
    write(&*store, "a", 2, vec![]);
    write(&*store, "a", 2, vec![Record::Snapshot(snapshot(1, 10)), delivery("b", message(1))]);

    other.inbox.extend([accepted(to_b, message(9_000)), accepted(MessageId(to_a.0 + 3), message(1))]);
    assert_eq!(scan(&*store, "b"), other);
    let found = scan(&*store, "a");
    assert_eq!((found.epoch, found.snapshot), (Epoch(2), Some(snapshot(1, 10))));
    assert_eq!(found.inbox, [accepted(to_a, message(9_000))]);
    let mut places: Vec<_> = records.iter().map(|(_, record, _)| place_of(record)).collect();
    places.dedup(); // parts of one content
    assert_eq!(
        found.damage.len(),
        places.len() + 3,
        "both requests, the end, both timers: {:?}",
        found.damage
    );
    let needing = store.commit(&[Batch::of(path("a"), Epoch(2), vec![done(SHORT)]), claim("b", 9)]);
    assert!(matches!(&needing, Err(error @ StoreError::Damaged { .. }) if !error.is_final()), "{needing:?}");
    assert_eq!(scan(&*store, "b"), other);
}

/// Whatever was left of the one before.
pub fn a_new_journal_entry_replaces_a_damaged_one(harness: &dyn StoreHarness) {
    let id = deliver(&*open(harness), "a", message(1));
    for part in 0..3 {
        for is_lost in [false, true] {
            for len in [1, 9_000] {
                write(&*open(harness), "a", 1, vec![journal(id, 0, 9_001)]);
                let damaged = key("a", RecordKey::Content(ContentKey::Journal(id, 0), part));
                match is_lost {
                    true => harness.put_raw(damaged, None),
                    false => flip(harness, &damaged),
                }
                assert_eq!(scan(&*open(harness), "a").damage.len(), 1);

                write(&*open(harness), "a", 1, vec![journal(id, 0, len)]);

                let inbox = [accepted(id, message(1))];
                let journal = vec![entry(id, 0, len)];
                assert_eq!(scan(&*open(harness), "a"), Scan { journal, ..waiting(1, &inbox) });
            }
        }
    }
    write(&*open(harness), "a", 1, vec![done(id)]);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// A sender knows neither epoch nor slot of an actor: the loss stays reported, and the life before stays fenced.
pub fn a_delivery_makes_up_no_lost_head(harness: &dyn StoreHarness) {
    let store = open(harness);
    for seq in [1, 2] {
        commit(&*store, batch("a", 3, seq, 10));
    }
    drop(store);
    harness.put_raw(key("a", RecordKey::ActorHead), None);
    let store = open(harness);

    let id = deliver(&*store, "a", message(1));

    let lost = vec![damage("a", DamagePlace::Head, DamageReason::Missing)];
    let inbox = vec![accepted(id, message(1))];
    assert_eq!(scan(&*store, "a"), Scan { inbox, damage: lost, ..whole(3, 2, 10) });
    assert_eq!(commit(&*store, batch("a", 2, 3, 10)), BatchOutcome::Stale { stored: Epoch(3) });
    commit(&*store, batch("a", 3, 3, 10));
    drop(store);
    flip(harness, &key("a", RecordKey::SlotHeader(Slot::Zero)));
    assert_eq!(scan(&*open(harness), "a").snapshot, whole(3, 2, 10).snapshot, "it was spared");
}

const SHORT: MessageId = MessageId(1);

/// Of `a` a short and a long one of each record that belongs to messages, two timers and a birth; and a message for `b`.
pub(super) fn one_of_each(store: &dyn Store) {
    let short = deliver(store, "a", message(1));
    assert_eq!(short, SHORT);
    let long = deliver(store, "a", asked("waits", 9_000));
    write(store, "a", 1, vec![tries(short, 1), journal(short, 0, 9_000), journal(long, 1, 1)]);
    let done = deliver(store, "a", asked("done", 1));
    write(store, "a", 1, vec![answered(done, "done", 1, 1_000, 9_000)]);
    for len in [1, 9_000] {
        let id = deliver(store, "a", message(len));
        write(store, "a", 1, vec![lay_aside(id, "no")]);
    }
    write(
        store,
        "a",
        1,
        vec![set("late", 500, message(1)), set("wake", 500, message(9_000)), birth("a", 9_000)],
    );
    deliver(store, "b", message(1));
}

pub(super) type RawRecord = (Vec<u8>, RecordKey, Vec<u8>);

/// The raw records of `actor`, but its head.
pub(super) fn records_of(harness: &dyn StoreHarness, actor: &str) -> Vec<RawRecord> {
    let raw = harness.raw_records();
    let read = |key: Vec<u8>| {
        let record = RecordKey::decode(&key[actor_prefix(&path(actor)).len()..]).expect("it was written");
        let value = value_of(&raw, &key).expect("it was found");
        (key, record, value)
    };
    keys_of(harness, actor).into_iter().map(read).collect()
}

/// Each way to damage a record that a store can notice, and what it is to say. The loss of a whole content is none.
pub(super) fn damages(record: &RecordKey, sound: &[u8]) -> Vec<(Option<Vec<u8>>, DamageReason)> {
    let mut flipped = sound.to_vec();
    flipped[sound.len() / 2] ^= 0x10;
    let cut = sound[..sound.len() - 1].to_vec();
    let values = [Some(flipped), Some(cut), Some(Vec::new())];
    let mut damages: Vec<_> = values.into_iter().map(|value| (value, DamageReason::Checksum)).collect();
    let is_part_of_more = match record {
        RecordKey::Content(_, 0) => sound.len() == super::super::record::VALUE_LEN_MAX,
        RecordKey::Content(..) => true,
        _ => false,
    };
    damages.extend(is_part_of_more.then_some((None, DamageReason::Missing)));
    damages
}

/// The loss of a record of which another one tells.
fn loss(record: &RecordKey) -> Option<(Option<Vec<u8>>, DamageReason)> {
    let is_told_of = match record {
        RecordKey::Content(ContentKey::Request(request), 0) => request == "waits",
        RecordKey::AnswerEnd { .. } => true,
        _ => false,
    };
    is_told_of.then_some((None, DamageReason::Missing))
}

fn place_of(record: &RecordKey) -> DamagePlace {
    match record {
        RecordKey::Tries(id) => DamagePlace::Tries { id: *id },
        RecordKey::Content(ContentKey::Message(id), _) => DamagePlace::Message { id: *id },
        RecordKey::Content(ContentKey::LaidAside(id), _) => DamagePlace::LaidAside { id: *id },
        RecordKey::Content(ContentKey::Journal(message, place), _) => {
            DamagePlace::Journal { message: *message, place: *place }
        }
        RecordKey::Content(ContentKey::Request(_), _) | RecordKey::AnswerEnd { .. } => DamagePlace::Request,
        RecordKey::Content(ContentKey::Timer(_), _) => DamagePlace::Timer,
        RecordKey::Content(ContentKey::Birth, _) => DamagePlace::Birth,
        other => panic!("{other:?} belongs to no message"),
    }
}

/// `scan` without what `record` is a part of.
fn without(scan: &Scan, record: &RecordKey) -> Scan {
    let mut left = scan.clone();
    if let RecordKey::Content(ContentKey::Timer(name), _) = record {
        left.timers.retain(|timer| timer.name != *name);
    }
    match place_of(record) {
        DamagePlace::Message { id } => left.inbox.retain(|message| message.id != id),
        DamagePlace::Tries { id } => {
            left.inbox
                .iter_mut()
                .filter(|message| message.id == id)
                .for_each(|message| message.tries = Tries::default());
        }
        DamagePlace::Journal { message, place } => {
            left.journal.retain(|entry| (entry.message, entry.place) != (message, place));
        }
        DamagePlace::Birth => left.birth = None,
        _ => {}
    }
    left
}
