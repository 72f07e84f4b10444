//! Promises about who has something to see to, and about journals that are given up.

use super::*;

/// A message that waits, a journal, a timer: each alone makes an actor one of them, whatever its path begins with; a
/// state, an epoch, an answer, a birth, a message that was laid aside do not. Sorted, before reopening and after.
pub fn the_unfinished_have_something_to_see_to(harness: &dyn StoreHarness) {
    let store = open(harness);
    assert_eq!(store.unfinished().expect("the store reads"), []);
    deliver(&*store, "b", message(9_000));
    write(&*store, "a/b/c", 1, vec![set("wake", 1, message(9_000))]);
    write(&*store, "a0", 1, vec![journal(MessageId(77), 0, 9_000)]);
    let tried = deliver(&*store, "a-b", asked("order-17", 1));
    write(&*store, "a-b", 1, vec![tries(tried, 1)]);
    let aside = deliver(&*store, "a/b", message(1));
    write(&*store, "a/b", 1, vec![journal(aside, 0, 1), lay_aside(aside, "no")]);
    // And those that have not.
    let [asks, fell] = [asked("order-17", 1), message(1)].map(|message| deliver(&*store, "a", message));
    write(&*store, "a", 1, vec![answered(asks, "order-17", 1, 2, 9_000), lay_aside(fell, "no")]);
    write(&*store, "a", 1, vec![Record::Snapshot(snapshot(1, 9_000)), birth("a", 9_000)]);
    commit(&*store, claim("ab", 1));
    write(&*store, "c", 1, vec![set("wake", 1, message(1)), cancel("wake")]);
    deliver(&*store, "d", message(1));
    send(&*store, vec![erase("d")]);

    let mut expected = ["b", "a/b/c", "a0", "a-b", "a/b"].map(path);
    expected.sort();
    assert_eq!(store.unfinished().expect("the store reads"), expected);
    drop(store);
    assert_eq!(open(harness).unfinished().expect("the store reads"), expected);
}

/// Done, forgotten, laid aside, cancelled, erased: with the last of it an actor is none of them any more.
pub fn the_unfinished_are_finished_in_the_end(harness: &dyn StoreHarness) {
    let ends: [fn(&dyn Store, MessageId); 5] = [
        |store, id| drop(write(store, "a", 1, vec![done(id), cancel("wake")])),
        |store, id| drop(write(store, "a", 1, vec![lay_aside(id, "no"), cancel("wake"), forget_journal(id)])),
        |store, id| {
            write(store, "a", 1, vec![lay_aside(id, "no"), cancel("wake")]);
            send(store, vec![forget("a", id)]);
        },
        |store, id| {
            let fired = write(store, "a", 1, vec![fire("wake", 1, None), done(id)]);
            let [Delivered::New(fired)] = fired[..] else { panic!("{fired:?}") };
            assert_eq!(store.unfinished().expect("the store reads"), [path("a")]);
            write(store, "a", 1, vec![done(fired)]);
        },
        |store, _| drop(send(store, vec![erase("a")])),
    ];
    for end in ends {
        let store = open(harness);
        let id = deliver(&*store, "a", message(9_000));
        let own = vec![tries(id, 1), journal(id, 0, 9_000), set("wake", 1, message(9_000))];
        let epoch = scan(&*store, "a").epoch.next();
        write(&*store, "a", epoch.0, own);
        assert_eq!(store.unfinished().expect("the store reads"), [path("a")]);

        end(&*store, id);

        assert_eq!(store.unfinished().expect("the store reads"), []);
        drop(store);
        assert_eq!(open(harness).unfinished().expect("the store reads"), []);
        restore(harness, &[]);
    }
}

/// All of it, by the number under which the message was accepted first; no other, and nothing else.
pub fn a_forgotten_journal_leaves_its_message(harness: &dyn StoreHarness) {
    let store = open(harness);
    let [id, other] = [1, 2].map(|len| deliver(&*store, "a", message(len)));
    write(&*store, "a/b", 1, vec![journal(id, 0, 1)]);
    write(
        &*store,
        "a",
        1,
        vec![tries(id, 1), journal(id, 0, 9_000), journal(id, 9, 1), journal(other, 0, 1)],
    );
    write(&*store, "a", 1, vec![lay_aside(id, "no")]);
    let [Delivered::New(back)] = send(&*store, vec![give_back("a", id)])[..] else { panic!("it is back") };
    write(&*store, "a", 1, vec![forget_journal(back), forget_journal(MessageId(77))]);
    assert_eq!(scan(&*store, "a").journal.len(), 3, "it goes by the first number");

    write(&*store, "a", 1, vec![journal(id, 1, 9_000), forget_journal(id), journal(id, 2, 1)]);

    let inbox = [accepted(other, message(2)), StoredMessage { id: back, ..accepted(id, message(1)) }];
    let journal = vec![entry(id, 2, 1), entry(other, 0, 1)];
    assert_eq!(scan(&*store, "a"), Scan { journal, ..waiting(1, &inbox) });
    write(&*store, "a", 1, vec![forget_journal(id), forget_journal(other)]);
    drop(store);
    assert_eq!(scan(&*open(harness), "a"), waiting(1, &inbox));
    assert_eq!(keys_of(harness, "a").len(), 2, "both messages");
    assert_eq!(scan(&*open(harness), "a/b").journal, [entry(id, 0, 1)]);
}
