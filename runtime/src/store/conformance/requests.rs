//! Promises about messages with a request id, and the answers to them.

use super::*;

/// While the first waits it is named, whatever else comes under its id; nothing is added.
pub fn a_repeated_request_adds_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    let ids = ["", "order-17", "order-1"].map(|request| {
        let id = deliver(&*store, "a", asked(request, 10));
        (request, id)
    });
    drop(store);
    let left = keys_of(harness, "a");
    for (request, id) in ids {
        let again = vec![delivery("a", asked(request, 9_000)), delivery("a", asked(request, 10))];

        assert_eq!(send(&*open(harness), again), [Delivered::Waiting(id), Delivered::Waiting(id)]);
    }
    assert_eq!(keys_of(harness, "a"), left);
    let store = open(harness);
    let inbox = ids.map(|(request, id)| accepted(id, asked(request, 10)));
    assert_eq!(scan(&*store, "a"), waiting(0, &inbox));
    let twice = vec![delivery("a", asked("order-2", 1)), delivery("a", asked("order-2", 1))];
    let sent = send(&*store, twice);
    assert!(matches!(sent[..], [Delivered::New(new), Delivered::Waiting(known)] if new == known), "{sent:?}");
}

/// Answers of every length, also around the edges of a part.
pub fn an_answered_request_is_answered_as_then(harness: &dyn StoreHarness) {
    for (request, len) in [0, 1, 4_050, 4_051, 4_052, 8_119, 8_120, CONTENT_LEN_MAX].into_iter().enumerate() {
        let store = open(harness);
        let request = format!("order-{request}");
        let id = deliver(&*store, "a", asked(&request, 10));
        write(&*store, "a", 1, vec![answered(id, &request, 1, 1_000, len)]);
        drop(store);
        let left = keys_of(harness, "a");

        let store = open(harness);
        for _ in 0..2 {
            let again = send(&*store, vec![delivery("a", asked(&request, 99))]);
            assert!(again == [Delivered::Answered(bytes(len, 9))], "{len} bytes");
        }
        assert_eq!(scan(&*store, "a"), waiting(1, &[]));
        drop(store);
        assert_eq!(keys_of(harness, "a"), left);
    }
}

/// Then it may come again like a new one.
pub fn done_without_an_answer_forgets_the_request(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "a", asked("order-17", 10));
    write(&*store, "a", 1, vec![done(id)]);

    let again = deliver(&*store, "a", asked("order-17", 10));

    assert_eq!(scan(&*store, "a").inbox, [accepted(again, asked("order-17", 10))]);
    write(&*store, "a", 1, vec![done(again)]);
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// An answer is kept through its last millisecond. Later answers, and nothing else, delete those that ended: each at
/// least as many as it adds, and the oldest first.
pub fn ended_answers_are_deleted_by_later_ones_and_not_before(harness: &dyn StoreHarness) {
    let store = open(harness);
    let answer = |request: &str, at_ms, until_ms| {
        let id = deliver(&*store, "a", asked(request, 1));
        write(&*store, "a", 1, vec![answered(id, request, at_ms, until_ms, 9_000)]);
    };
    let is_known = |request: &str| {
        let store = &*store;
        match &send(store, vec![delivery("a", asked(request, 1))])[..] {
            [Delivered::Answered(_)] => true,
            [Delivered::New(id)] => {
                write(store, "a", 1, vec![done(*id)]);
                false
            }
            other => panic!("{other:?}"),
        }
    };
    for (request, until_ms) in [("c", 300), ("a", 100), ("d", 400), ("b", 200), ("e", 500)] {
        answer(request, 1, until_ms);
    }
    answer("at-its-end", 100, 10_000);
    commit(&*store, claim("a", 1));
    assert!(["a", "b", "c", "d", "e"].into_iter().all(is_known), "each of them is in its time");

    answer("behind-its-end", 101, 10_000);
    assert!(!is_known("a") && is_known("b"), "a alone has ended");

    answer("much-later", 9_999, 10_000);
    assert!(!is_known("b"), "the oldest goes first");
    answer("much-later-2", 9_999, 10_000);
    answer("much-later-3", 9_999, 10_000);
    answer("much-later-4", 9_999, 10_000);
    assert!(!["a", "b", "c", "d", "e"].into_iter().any(is_known), "all of them have ended");
    assert!(["at-its-end", "behind-its-end", "much-later"].into_iter().all(is_known));
    drop(store);
    // Six answers in three parts, each with its end.
    assert_eq!(keys_of(harness, "a").len(), 6 * 4);
}

/// The same within one group: ends and answers that are not flushed yet count too, and none is deleted twice.
pub fn answers_of_a_group_are_deleted_like_others(harness: &dyn StoreHarness) {
    let store = open(harness);
    let mut group = Vec::new();
    for number in 0..20 {
        let request = format!("order-{number}");
        let id = deliver(&*store, "a", asked(&request, 1));
        // The first ten end at once.
        let until_ms = if number < 10 { 5 } else { 100 };
        let at_ms = if number < 10 { 1 } else { 6 };
        group.push(Batch::of(path("a"), Epoch(1), vec![answered(id, &request, at_ms, until_ms, 9_000)]));
    }
    let (first, second) = group.split_at(5);

    for group in [first, second] {
        store.commit(group).expect("the store writes");
    }

    drop(store);
    assert_eq!(keys_of(harness, "a").len(), 10 * 4);
}

/// Who is done with one message does not speak for another.
pub fn an_answer_to_another_request_is_not_kept(harness: &dyn StoreHarness) {
    let store = open(harness);
    let plain = deliver(&*store, "a", message(1));
    let first = deliver(&*store, "a", asked("order-1", 1));
    let second = deliver(&*store, "a", asked("order-2", 1));

    let wrong = [plain, first].map(|id| answered(id, "order-2", 1, 1_000, 1));
    write(&*store, "a", 1, wrong.to_vec());

    assert_eq!(send(&*store, vec![delivery("a", asked("order-2", 1))]), [Delivered::Waiting(second)]);
    write(&*store, "a", 1, vec![done(second)]);
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// A request id is known to its receiver only.
pub fn requests_of_different_actors_are_different(harness: &dyn StoreHarness) {
    let store = open(harness);
    let ids = ALIKE.map(|actor| (actor, deliver(&*store, actor, asked("order-17", 1))));
    let [(answered_by, id), rest @ ..] = ids;

    write(&*store, answered_by, 1, vec![answered(id, "order-17", 1, 1_000, 1)]);

    let again = |actor| send(&*store, vec![delivery(actor, asked("order-17", 1))]);
    assert_eq!(again(answered_by), [Delivered::Answered(bytes(1, 9))]);
    for (actor, id) in rest {
        assert_eq!(again(actor), [Delivered::Waiting(id)]);
        assert_eq!(scan(&*store, actor), waiting(0, &[accepted(id, asked("order-17", 1))]));
    }
}
