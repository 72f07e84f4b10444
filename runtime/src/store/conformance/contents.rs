//! Promises about what is kept of a message: its body, its journal, its tries.

use super::*;

/// Bodies come back whole, from nothing to the longest and around the edges of a part; no value exceeds 4 KiB, and all
/// parts go with their message.
pub fn bodies_of_every_length_come_back_and_leave_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    // What is stored beside a body moves the edges: the first lies somewhere below 4,068 bytes, the second below 8,136.
    let edges = [3_940..4_072, 8_010..8_140].into_iter().flatten();
    let lens: Vec<_> =
        [0, 1, 300 << 10, CONTENT_LEN_MAX - 1, CONTENT_LEN_MAX].into_iter().chain(edges).collect();
    let records = lens.iter().map(|len| delivery("a", message(*len))).collect();
    let ids = send(&*store, records);
    drop(store);

    let longest = harness.raw_records().iter().map(|(_, value)| value.len()).max();
    assert_eq!(longest, Some(4_096));

    let store = open(harness);
    let found = scan(&*store, "a");
    let sent = ids.iter().zip(&lens).map(|(delivered, len)| match delivered {
        Delivered::New(id) => accepted(*id, message(*len)),
        other => panic!("{other:?}"),
    });
    let sent: Vec<_> = sent.collect();
    assert!(found == waiting(0, &sent), "of {} messages {} came back", sent.len(), found.inbox.len());

    write(&*store, "a", 1, sent.iter().map(|message| done(message.id)).collect());
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// A later entry takes the place of the one before, of whatever length, and leaves nothing of it.
pub fn a_journal_entry_replaces_the_one_in_its_place(harness: &dyn StoreHarness) {
    let id = deliver(&*open(harness), "a", message(1));
    for lens in [[0, 4_060], [4_061, 20_000], [20_000, 4_060], [9_000, 1], [CONTENT_LEN_MAX, 0], [0, 9_000]] {
        for is_one_batch in [true, false] {
            let store = open(harness);
            let records = lens.map(|len| journal(id, 3, len)).to_vec();
            match is_one_batch {
                true => drop(write(&*store, "a", 1, records)),
                false => records.into_iter().for_each(|record| drop(write(&*store, "a", 1, vec![record]))),
            }
            drop(store);

            let inbox = [accepted(id, message(1))];
            let journal = vec![entry(id, 3, lens[1])];
            assert!(scan(&*open(harness), "a") == Scan { journal, ..waiting(1, &inbox) }, "{lens:?}");
            let parts = 1 + lens[1].saturating_sub(4_060).div_ceil(4_068);
            assert_eq!(keys_of(harness, "a").len(), 1 + parts, "{lens:?}");
        }
    }
}

/// The newest count is found with its message; a message that does not wait here has none.
pub fn tries_are_those_of_a_message_that_waits(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "a", message(1));
    for count in [1, 2, u32::MAX] {
        write(&*store, "a", 1, vec![tries(id, count)]);
        assert_eq!(
            scan(&*store, "a").inbox,
            [StoredMessage { tries: counted(count), ..accepted(id, message(1)) }]
        );
    }
    write(&*store, "a", 1, vec![tries(MessageId(77), 1), done(id), tries(id, 4)]);
    write(&*store, "b", 1, vec![tries(id, 1)]);
    drop(store);
    for actor in ["a", "b"] {
        assert_eq!(keys_of(harness, actor), [] as [Vec<u8>; 0]);
    }
}

/// Whatever is longer than the store takes is named, with whose it is; the whole group is refused. The limit itself is
/// taken.
pub fn contents_beyond_the_limits_are_refused(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "b", asked("r", 1));
    let name = |len| StoredMessage { name: "n".repeat(len), ..message(1) };
    let request = |len: usize| "r".repeat(len);
    let named = |len| set("t", 1, name(len));
    let limits: [(&str, usize, OfLen<'_>); 11] = [
        ("message", CONTENT_LEN_MAX, &|len| delivery("b", message(len))),
        ("message name", 255, &|len| delivery("b", name(len))),
        ("request id", REQUEST_LEN_MAX, &|len| delivery("b", asked(&request(len), 1))),
        ("request id", REQUEST_LEN_MAX, &|len| answered(id, &request(len), 1, 2, 1)),
        ("answer", CONTENT_LEN_MAX, &|len| answered(id, "r", 1, 2, len)),
        ("journal entry", JOURNAL_LEN_MAX, &|len| journal(id, 0, len)),
        ("timer name", REQUEST_LEN_MAX, &|len| set(&"t".repeat(len), 1, message(1))),
        ("message", CONTENT_LEN_MAX, &|len| set("t", 1, message(len))),
        ("message name", 255, &named),
        ("request id", REQUEST_LEN_MAX, &|len| set("t", 1, asked(&request(len), 1))),
        ("birth", CONTENT_LEN_MAX, &|len| birth("b", len)),
    ];
    for (name, limit, record) in limits {
        let by_b = |len| Batch::of(path("b"), Epoch(1), vec![record(len)]);
        match store.commit(&[batch("a", 1, 1, 1), by_b(limit + 1)]) {
            Err(StoreError::TooLarge { actor, what, len, max }) => {
                assert_eq!((actor, what, len, max), (path("b"), name, limit + 1, limit));
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(scan(&*store, "a"), Scan::default());
        commit(&*store, by_b(limit));
    }
    assert_eq!(scan(&*store, "b").damage, []);
}

/// A record whose content has the given length.
type OfLen<'a> = &'a dyn Fn(usize) -> Record;
