//! Promises about messages that were laid aside, returned and forgotten.

use super::*;

/// It is not in the inbox, but kept as it was, with its cause; its sender is still told that it is known.
pub fn what_is_laid_aside_keeps_request_and_journal(harness: &dyn StoreHarness) {
    let store = open(harness);
    let [short, long] = two_aside(&*store);

    assert_eq!(scan(&*store, "a"), Scan { journal: journals(short, long), ..waiting(1, &[]) });
    let again = ["order-1", "order-2"].map(|request| delivery("a", asked(request, 1)));
    let aside = |id, cause: &str| Delivered::LaidAside { id, cause: cause.into() };
    assert_eq!(send(&*store, again.to_vec()), [aside(short, "it fell"), aside(long, "")]);
    // What is gone from the inbox is neither done nor laid aside again.
    write(&*store, "a", 1, vec![done(short), lay_aside(short, "again"), lay_aside(MessageId(77), "who?")]);
    drop(store);
    let store = open(harness);
    let expected = [
        LaidAside { message: accepted(short, asked("order-1", 10)), cause: "it fell".into() },
        LaidAside { message: accepted(long, asked("order-2", 9_000)), cause: String::new() },
    ];
    assert_eq!(laid_aside(&*store, "a"), expected);
    assert_eq!(scan(&*store, "a").journal, journals(short, long));
    for actor in ["b", "a/b"] {
        assert_eq!(laid_aside(&*store, actor), []);
    }
}

/// Behind all that wait, with its first number as its origin and its journal under that; the request follows it, and so
/// does its end.
pub fn what_is_returned_waits_under_a_new_number(harness: &dyn StoreHarness) {
    let store = open(harness);
    let [short, long] = two_aside(&*store);
    let waits = deliver(&*store, "a", message(1));

    let returned = send(&*store, vec![give_back("a", long)]);

    let [Delivered::New(id)] = returned[..] else { panic!("{returned:?}") };
    assert!(id > waits);
    let back = StoredMessage { id, origin: long, ..asked("order-2", 9_000) };
    let inbox = [accepted(waits, message(1)), back.clone()];
    assert_eq!(scan(&*store, "a"), Scan { journal: journals(short, long), ..waiting(1, &inbox) });
    assert_eq!(laid_aside(&*store, "a").len(), 1);
    assert_eq!(send(&*store, vec![delivery("a", asked("order-2", 1))]), [Delivered::Waiting(id)]);

    // Once more round: the origin stays the first number.
    write(&*store, "a", 1, vec![tries(id, 3), lay_aside(id, "once more")]);
    assert_eq!(laid_aside(&*store, "a")[1].message, back);
    let [Delivered::New(last)] = send(&*store, vec![give_back("a", id)])[..] else {
        panic!("it is returned")
    };
    let back = StoredMessage { id: last, ..back };
    assert_eq!(scan(&*store, "a").inbox, [accepted(waits, message(1)), back]);

    write(&*store, "a", 1, vec![answered(last, "order-2", 1, 1_000, 1), done(waits)]);
    let again = send(&*store, vec![delivery("a", asked("order-2", 1))]);
    assert_eq!(again, [Delivered::Answered(bytes(1, 9))]);
    let journal = journals(short, long).into_iter().filter(|entry| entry.message == short).collect();
    assert_eq!(scan(&*store, "a"), Scan { journal, ..waiting(1, &[]) });
    send(&*store, vec![forget("a", short)]);
    drop(store);
    // The answer, and its end.
    assert_eq!(keys_of(harness, "a").len(), 2);
}

/// Its time was over while it lay aside, or is not: whoever returns it wants it to be handled.
pub fn what_is_returned_expires_no_more(harness: &dyn StoreHarness) {
    let store = open(harness);
    let sent = StoredMessage { expires_ms: Some(1), due_ms: Some(7), ..asked("order-17", 9_000) };
    let id = deliver(&*store, "a", sent.clone());
    assert_eq!(scan(&*store, "a").inbox, [accepted(id, sent.clone())]);
    write(&*store, "a", 1, vec![lay_aside(id, "late")]);
    assert_eq!(laid_aside(&*store, "a")[0].message, accepted(id, sent.clone()));

    let [Delivered::New(back)] = send(&*store, vec![give_back("a", id)])[..] else { panic!("it is back") };
    drop(store);

    let expected = StoredMessage { id: back, origin: id, expires_ms: None, ..sent };
    assert_eq!(scan(&*open(harness), "a"), waiting(1, &[expected]));
}

/// Message, journal and request; nothing of others.
pub fn what_is_forgotten_leaves_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    let [short, long] = two_aside(&*store);

    send(&*store, vec![forget("a", long), forget("b", short)]);

    assert_eq!(laid_aside(&*store, "a").len(), 1);
    assert_eq!(scan(&*store, "a").journal, [entry(short, 0, 10)]);
    let again = send(&*store, ["order-1", "order-2"].map(|id| delivery("a", asked(id, 1))).to_vec());
    let [Delivered::LaidAside { id: known, .. }, Delivered::New(new)] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(*known, short);
    let new = *new;
    write(&*store, "a", 1, vec![done(new)]);
    let [Delivered::New(back)] = send(&*store, vec![give_back("a", short)])[..] else {
        panic!("it is there")
    };
    write(&*store, "a", 1, vec![lay_aside(back, "no")]);
    send(&*store, vec![forget("a", back), forget("a", back)]);
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// Nobody can return it any more; but whoever gives it up is rid of it, and may send it again.
pub fn what_is_damaged_can_be_forgotten(harness: &dyn StoreHarness) {
    let [short, long] = two_aside(&*open(harness));
    for (id, part) in [(short, 0), (long, 0)] {
        flip(harness, &key("a", RecordKey::Content(ContentKey::LaidAside(id), part)));
    }
    let store = open(harness);
    let repeats = || ["order-1", "order-2"].map(|request| delivery("a", asked(request, 1))).to_vec();
    assert_eq!(laid_aside(&*store, "a"), []);
    for known in send(&*store, repeats()) {
        assert!(matches!(known, Delivered::LaidAside { .. }), "{known:?}");
    }
    let returned = store.commit(&[Batch::from_outside(vec![give_back("a", long)])]);
    assert!(matches!(returned, Err(StoreError::Damaged { .. })), "{returned:?}");

    send(&*store, vec![forget("a", short), forget("a", long)]);

    let again = send(&*store, repeats());
    let [Delivered::New(one), Delivered::New(two)] = again[..] else { panic!("{again:?}") };
    assert_eq!(scan(&*store, "a").damage, []);
    write(&*store, "a", 1, vec![done(one), done(two)]);
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// Neither what never was, nor what waits, is done, was returned or forgotten, or is another's.
pub fn what_was_not_laid_aside_is_not_returned(harness: &dyn StoreHarness) {
    let store = open(harness);
    let [short, long] = two_aside(&*store);
    let waits = deliver(&*store, "a", message(1));
    let finished = deliver(&*store, "a", message(1));
    write(&*store, "a", 1, vec![done(finished)]);
    send(&*store, vec![give_back("a", short), forget("a", long)]);
    let expected = scan(&*store, "a");

    for id in [MessageId(0), MessageId(77), waits, finished, short, long] {
        assert_eq!(send(&*store, vec![give_back("a", id)]), [Delivered::Unknown], "{id}");
        assert_eq!(send(&*store, vec![forget("a", id)]), []);
    }
    let other = deliver(&*store, "b", message(1));
    write(&*store, "b", 1, vec![lay_aside(other, "no")]);
    assert_eq!(write(&*store, "b", 1, vec![give_back("a", other)]), [Delivered::Unknown]);
    write(&*store, "b", 1, vec![forget("a", other)]);

    assert_eq!(scan(&*store, "a"), expected);
    assert_eq!(laid_aside(&*store, "b").len(), 1);
    assert_eq!(write(&*store, "a", 1, vec![give_back("b", other)]).len(), 1);
    assert_eq!(scan(&*store, "b").inbox.len(), 1);
}

/// When the record of its request was lost, and it was sent again meanwhile, the other one keeps the request: it is
/// named while it waits, and its answer is given and not overwritten. The returned one is handled beside it.
pub fn a_returned_message_disturbs_no_request_but_its_own(harness: &dyn StoreHarness) {
    for is_answered in [false, true] {
        let store = open(harness);
        let first = deliver(&*store, "a", asked("order-17", 1));
        write(&*store, "a", 1, vec![lay_aside(first, "no")]);
        drop(store);
        harness.put_raw(key("a", RecordKey::Content(ContentKey::Request("order-17".into()), 0)), None);
        let store = open(harness);
        let second = deliver(&*store, "a", asked("order-17", 1));
        let mut known = Delivered::Waiting(second);
        if is_answered {
            write(&*store, "a", 1, vec![answered(second, "order-17", 1, 1_000, 9_000)]);
            known = Delivered::Answered(bytes(9_000, 9));
        }

        let [Delivered::New(back)] = send(&*store, vec![give_back("a", first)])[..] else {
            panic!("it is back")
        };

        let again = || send(&*store, vec![delivery("a", asked("order-17", 1))]);
        assert_eq!(again(), std::slice::from_ref(&known));
        write(&*store, "a", 1, vec![answered(back, "order-17", 1, 1_000, 1)]);
        assert_eq!(again(), [known]);
        assert_eq!(scan(&*store, "a").damage, []);
        write(&*store, "a", 1, vec![done(second)]);
        drop(store);
        // The answer in three parts and its end, if there was one.
        assert_eq!(keys_of(harness, "a").len(), if is_answered { 4 } else { 0 });
        keys_of(harness, "a").into_iter().for_each(|key| harness.put_raw(key, None));
    }
}

/// A cause is for people to read: of a very long one the first 4 KiB are kept, and whole letters only.
pub fn a_long_cause_is_cut_between_letters(harness: &dyn StoreHarness) {
    let store = open(harness);
    for cause in ["x".repeat(9_000), "ä".repeat(9_000), format!("x{}", "語".repeat(9_000))] {
        let id = deliver(&*store, "a", message(CONTENT_LEN_MAX));
        write(&*store, "a", 1, vec![lay_aside(id, &cause)]);

        let aside = laid_aside(&*store, "a").pop().expect("it is aside");

        assert_eq!(aside.message, accepted(id, message(CONTENT_LEN_MAX)));
        assert!(cause.starts_with(&aside.cause) && (4_094..=4_096).contains(&aside.cause.len()));
    }
}

/// Two messages of `a` that were laid aside, one with a long body, each with a request id, tries and a journal.
fn two_aside(store: &dyn Store) -> [MessageId; 2] {
    let asides = [("order-1", 10, "it fell"), ("order-2", 9_000, "")];
    asides.map(|(request, len, cause)| {
        let id = deliver(store, "a", asked(request, len));
        write(store, "a", 1, vec![tries(id, 2), journal(id, 0, len)]);
        write(store, "a", 1, vec![lay_aside(id, cause)]);
        id
    })
}

fn journals(short: MessageId, long: MessageId) -> Vec<JournalEntry> {
    vec![entry(short, 0, 10), entry(long, 0, 9_000)]
}
