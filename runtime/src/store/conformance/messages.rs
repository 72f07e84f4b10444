//! Promises about messages that wait, their tries and their journals.

use super::*;

/// Oldest first, with everything it was sent with, before reopening and after.
pub fn a_delivered_message_is_in_each_later_scan(harness: &dyn StoreHarness) {
    let store = open(harness);
    let full = StoredMessage {
        sender: Some(path("b/c")),
        trace: u64::MAX,
        expires_ms: Some(0),
        version: u16::MAX,
        ..asked("order-17", 5_000)
    };
    let mut expected = Vec::new();
    for message in [message(0), full.clone(), message(300)] {
        let id = deliver(&*store, "a", message.clone());
        expected.push(accepted(id, message));
        assert_eq!(scan(&*store, "a"), waiting(0, &expected));
    }
    let sent = write(&*store, "b", 3, vec![delivery("a", message(1)), delivery("a", message(2))]);
    for (message, delivered) in [message(1), message(2)].into_iter().zip(sent) {
        let Delivered::New(id) = delivered else { panic!("{delivered:?}") };
        expected.push(accepted(id, message));
    }
    drop(store);

    let store = open(harness);
    assert_eq!(scan(&*store, "a"), waiting(0, &expected));
    // The same content twice is two messages, and what a sender says about number, origin and tries is not read.
    let forged = StoredMessage { id: MessageId(1), origin: MessageId(1), tries: counted(7), ..message(1) };
    let id = deliver(&*store, "a", forged);
    expected.push(accepted(id, message(1)));
    assert_eq!(scan(&*store, "a"), waiting(0, &expected));
    assert!(expected.is_sorted_by(|before, after| before.id < after.id), "{expected:?}");
    write(&*store, "a", 2, vec![Record::Snapshot(snapshot(1, 10))]);
    let found = Scan { snapshot: Some(snapshot(1, 10)), ..waiting(2, &expected) };
    assert_eq!(scan(&*store, "a"), found);
}

/// Each committed batch takes a number, and so does each message it puts into an inbox, just before; no number twice,
/// none left out, whatever the batch comes to, across openings. What is stale or refused takes none.
pub fn messages_and_commits_share_their_numbers(harness: &dyn StoreHarness) {
    let mut next = 0;
    for round in 0..2 {
        let store = open(harness);
        let request = format!("order-{round}");
        let (new, waits) = (Delivered::New, Delivered::Waiting);
        let id = |ahead| MessageId(next + ahead);
        let cases = [
            (Batch::claim(path("a"), Epoch(9)), vec![]),
            (Batch::from_outside(vec![delivery("a", message(1)); 2]), vec![new(id(2)), new(id(3))]),
            (Batch::from_outside(vec![delivery("b", asked(&request, 1))]), vec![new(id(5))]),
            (Batch::from_outside(vec![delivery("b", asked(&request, 1))]), vec![waits(id(5))]),
            (Batch::from_outside(vec![give_back("a", MessageId(u64::MAX))]), vec![Delivered::Unknown]),
            (Batch::from_outside(vec![forget("a", MessageId(u64::MAX))]), vec![]),
            (Batch::from_outside(vec![]), vec![]),
            (Batch::of(path("a"), Epoch(9), vec![lay_aside(id(3), "no")]), vec![]),
            (Batch::from_outside(vec![give_back("a", id(3))]), vec![new(id(12))]),
        ];
        for (batch, deliveries) in cases {
            next += 1 + deliveries.iter().filter(|delivered| matches!(delivered, Delivered::New(_))).count()
                as u64;
            let refused =
                [batch.clone(), Batch::from_outside(vec![delivery("b", message(CONTENT_LEN_MAX + 1))])];
            assert!(store.commit(&refused).is_err());
            let stale = Batch::of(path("a"), Epoch(8), vec![delivery("b", message(1))]);
            let group = [stale, batch];
            // The very first claim makes the other one stale, not before.
            let group = if next == 1 { &group[1..] } else { &group };

            let outcomes = store.commit(group).expect("the store writes");

            let committed = BatchOutcome::Committed { seq: CommitSeq(next), deliveries };
            assert_eq!(outcomes.last(), Some(&committed));
        }
    }
}

/// A commit that changes nothing but the numbers is kept like any other.
pub fn a_store_that_was_only_asked_again_opens(harness: &dyn StoreHarness) {
    let id = deliver(&*open(harness), "a", asked("order-17", 1));
    let repeated = || vec![delivery("a", asked("order-17", 1))];
    for _ in 0..2 {
        assert_eq!(send(&*open(harness), repeated()), [Delivered::Waiting(id)]);
    }
    assert_eq!(commit(&*open(harness), claim("b", 1)), committed(5));
}

/// All of it, and nothing of others.
pub fn a_done_message_leaves_with_its_tries_and_its_journal(harness: &dyn StoreHarness) {
    let store = open(harness);
    let before = deliver(&*store, "a", message(1));
    let other = deliver(&*store, "a/b", message(1));
    write(&*store, "a/b", 1, vec![tries(other, 3), journal(other, 0, 9_000)]);
    write(&*store, "a", 1, vec![tries(before, 2), journal(before, 0, 9_000), journal(before, 1, 1)]);
    drop(store);
    let left = harness.raw_records();
    let store = open(harness);
    let id = deliver(&*store, "a", message(9_000));
    write(
        &*store,
        "a",
        1,
        vec![tries(id, 1), journal(id, 0, 9_000), journal(id, 7, 1), journal(id, u32::MAX, 0)],
    );

    write(&*store, "a", 1, vec![done(id)]);
    write(&*store, "a", 1, vec![done(id), done(MessageId(77))]);
    // It is nobody else's to finish.
    write(&*store, "a/b", 1, vec![done(before)]);

    let message = StoredMessage { tries: counted(2), ..accepted(before, message(1)) };
    let journal = vec![entry(before, 0, 9_000), entry(before, 1, 1)];
    assert_eq!(scan(&*store, "a"), Scan { journal, ..waiting(1, &[message]) });
    drop(store);
    let (left, found) = (&left[1..], &harness.raw_records()[1..]);
    assert_eq!(found, left, "all but the head of the store is as it was");
}

/// A life that is done with a message, sends others and keeps its state does all of that or nothing.
pub fn done_is_all_or_nothing_with_the_state_and_the_deliveries_beside_it(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "a", message(10));
    let all = |len| {
        let state = Record::Snapshot(snapshot(1, 10));
        vec![done(id), state, delivery("b", message(20)), delivery("a", message(len))]
    };
    let refused = Batch::of(path("a"), Epoch(1), all(CONTENT_LEN_MAX + 1));

    assert!(matches!(store.commit(&[refused]), Err(StoreError::TooLarge { .. })));
    assert_eq!(scan(&*store, "a"), waiting(0, &[accepted(id, message(10))]));
    assert_eq!(scan(&*store, "b"), Scan::default());

    let sent = write(&*store, "a", 1, all(30));
    drop(store);
    let store = open(harness);

    let (to_other, to_self) = (MessageId(id.0 + 2), MessageId(id.0 + 3));
    assert_eq!(sent, [Delivered::New(to_other), Delivered::New(to_self)]);
    let inbox = vec![accepted(to_self, message(30))];
    assert_eq!(scan(&*store, "a"), Scan { inbox, ..whole(1, 1, 10) });
    assert_eq!(scan(&*store, "b"), waiting(0, &[accepted(to_other, message(20))]));
}

/// A life that is over neither sends nor finishes anything.
pub fn a_stale_batch_delivers_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    let aside = deliver(&*store, "a", message(1));
    let id = deliver(&*store, "a", asked("order-17", 1));
    write(&*store, "a", 2, vec![lay_aside(aside, "no"), journal(id, 0, 1), tries(id, 1)]);
    drop(store);
    let left = harness.raw_records();
    let store = open(harness);
    let stale = vec![
        answered(id, "order-17", 1, 2, 1),
        delivery("b", message(1)),
        delivery("a", asked("order-18", 1)),
        give_back("a", aside),
        forget("a", aside),
        lay_aside(id, "no"),
        journal(id, 0, 2),
        forget_journal(id),
        tries(id, 2),
    ];

    let outcome = commit(&*store, Batch::of(path("a"), Epoch(1), stale));

    assert_eq!(outcome, BatchOutcome::Stale { stored: Epoch(2) });
    drop(store);
    assert_eq!(harness.raw_records(), left);
}

/// Whoever is no actor has neither state nor inbox to write about: the group is refused, and nothing of it is kept.
pub fn from_outside_only_messages_are_written(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "a", message(1));
    drop(store);
    let left = harness.raw_records();
    let store = open(harness);
    let own = [
        Record::Snapshot(snapshot(1, 1)),
        done(id),
        answered(id, "order-17", 1, 2, 1),
        tries(id, 1),
        lay_aside(id, "no"),
        journal(id, 0, 1),
        forget_journal(id),
        set("wake", 1, message(1)),
        cancel("wake"),
        fire("wake", 1, None),
    ];
    for record in own {
        let outside = Batch::from_outside(vec![delivery("b", message(1)), record]);

        let refused = store.commit(&[batch("c", 1, 1, 1), outside]);

        assert!(matches!(refused, Err(StoreError::NoWriter)), "{refused:?}");
        assert!(!StoreError::NoWriter.is_final(), "the batches beside it may be tried again");
    }
    drop(store);
    assert_eq!(harness.raw_records(), left);
}

/// A batch finds what the batches before it in its group did, as if each had been flushed.
pub fn batches_of_a_group_see_one_another(harness: &dyn StoreHarness) {
    let store = open(harness);
    let by_a = |records| Batch::of(path("a"), Epoch(1), records);
    let [first, second] = [MessageId(1), MessageId(7)];
    let group = [
        Batch::from_outside(vec![delivery("a", asked("order-17", 9_000))]), // 1, 2
        Batch::from_outside(vec![delivery("a", asked("order-17", 9_000))]), // 3
        by_a(vec![tries(first, 1), journal(first, 0, 9_000)]),              // 4
        by_a(vec![answered(first, "order-17", 1, 2, 9_000)]),               // 5
        Batch::from_outside(vec![delivery("a", asked("order-17", 1))]),     // 6
        Batch::from_outside(vec![delivery("a", message(9_000))]),           // 7, 8
        by_a(vec![journal(second, 0, 9_000), lay_aside(second, "no")]),     // 9
        Batch::from_outside(vec![give_back("a", second)]),                  // 10, 11
        by_a(vec![lay_aside(MessageId(10), "still no")]),                   // 12
        Batch::from_outside(vec![forget("a", MessageId(10))]),              // 13
        by_a(vec![delivery("a", message(9_000)), done(MessageId(14))]),     // 14, 15
    ];

    let outcomes = store.commit(&group).expect("the store writes");

    let deliveries: Vec<_> = outcomes.into_iter().flat_map(deliveries).collect();
    let expected = [
        Delivered::New(first),
        Delivered::Waiting(first),
        Delivered::Answered(bytes(9_000, 9)),
        Delivered::New(second),
        Delivered::New(MessageId(10)),
        Delivered::New(MessageId(14)),
    ];
    assert_eq!(deliveries, expected);
    assert_eq!(scan(&*store, "a"), waiting(1, &[]));
    drop(store);
    // The answer in three parts, and its end.
    assert_eq!(keys_of(harness, "a").len(), 4);
}

/// What one batch of a group removes is gone for the next, also if it was there before the group.
pub fn batches_of_a_group_see_what_is_gone(harness: &dyn StoreHarness) {
    let by_a = |records| Batch::of(path("a"), Epoch(1), records);
    let store = open(harness);
    let asks = deliver(&*store, "a", asked("order-1", 9_000));
    write(&*store, "a", 1, vec![answered(asks, "order-1", 1, 2, 9_000)]);
    let id = deliver(&*store, "a", message(9_000));
    let later = deliver(&*store, "a", asked("order-2", 9_000));
    let group = [
        by_a(vec![done(id)]),
        by_a(vec![lay_aside(id, "no"), tries(id, 1)]),
        by_a(vec![answered(later, "order-2", 3, 4, 9_000)]), // the other answer has ended by then
        Batch::from_outside(vec![delivery("a", asked("order-1", 1))]),
    ];

    let outcomes = store.commit(&group).expect("the store writes");

    let delivered: Vec<_> = outcomes.into_iter().flat_map(deliveries).collect();
    let [Delivered::New(again)] = delivered[..] else { panic!("{delivered:?}") };
    assert_eq!(laid_aside(&*store, "a"), []);
    assert_eq!(scan(&*store, "a"), waiting(1, &[accepted(again, asked("order-1", 1))]));
}

/// Messages do not wait for the actor to have lived: it is listed, and begins with any epoch.
pub fn an_inbox_makes_no_new_life(harness: &dyn StoreHarness) {
    let store = open(harness);
    let id = deliver(&*store, "a", message(1));

    assert_eq!(store.actors().expect("the store reads"), [path("a")]);
    assert_eq!(scan(&*store, "a"), waiting(0, &[accepted(id, message(1))]));
    assert_eq!(commit(&*store, claim("a", 1)), committed(3));
    write(&*store, "a", 1, vec![done(id)]);
    write(&*store, "a", 1, vec![delivery("a", message(1))]);
    assert_eq!(scan(&*store, "a").epoch, Epoch(1));
    send(&*store, vec![delivery("a", message(1))]);
    assert_eq!(commit(&*store, claim("a", 0)), BatchOutcome::Stale { stored: Epoch(1) });
}
