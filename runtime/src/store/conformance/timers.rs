//! Promises about timers: set, cancelled, fired.

use super::*;

/// By name, with everything that is sent, before reopening and after. One that is set anew takes the place of the one
/// before and leaves nothing of it; no other is touched, neither of this actor nor of another.
pub fn a_timer_is_there_until_it_is_cancelled(harness: &dyn StoreHarness) {
    let store = open(harness);
    let full = StoredMessage {
        sender: Some(path("b/c")),
        trace: u64::MAX,
        expires_ms: Some(0),
        version: u16::MAX,
        ..asked("order-17", 9_000)
    };
    let again = StoredTimer { every_ms: Some(u64::MAX), ..timer("wake", u64::MAX, full) };
    let mut expected = [timer("", 0, message(0)), again.clone(), timer("wake-up", 5, message(300))].to_vec();
    for set in [2, 0, 1].map(|at| Record::SetTimer(expected[at].clone())) {
        write(&*store, "a", 1, vec![set]);
    }
    write(&*store, "a/b", 3, vec![set("wake", 1, message(1))]);
    assert_eq!(scan(&*store, "a"), timed(1, &expected));
    drop(store);
    let store = open(harness);
    assert_eq!(scan(&*store, "a"), timed(1, &expected));

    // What is said of number, origin and tries is not read.
    let forged = StoredMessage { id: MessageId(1), tries: counted(7), ..message(2) };
    write(&*store, "a", 1, vec![set("wake", 7, forged)]);
    expected[1] = timer("wake", 7, message(2));
    assert_eq!(scan(&*store, "a"), timed(1, &expected));
    write(&*store, "a", 2, vec![cancel(""), cancel("wak"), cancel("wake-up"), cancel("who?")]);
    drop(store);

    assert_eq!(scan(&*open(harness), "a"), timed(2, &expected[1..2]));
    assert_eq!(scan(&*open(harness), "a/b"), timed(3, &[timer("wake", 1, message(1))]));
    assert_eq!(keys_of(harness, "a").len(), 1);
    write(&*open(harness), "a", 2, vec![cancel("wake")]);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// It is a message like any other, in the actor's own inbox, that knows when it was due; the timer is gone.
pub fn a_timer_puts_its_message_behind_those_that_wait(harness: &dyn StoreHarness) {
    let store = open(harness);
    let sent = StoredMessage { expires_ms: Some(9), ..message(9_000) };
    write(&*store, "a", 1, vec![set("wake", 500, sent.clone()), set("other", 500, message(1))]);
    let before = deliver(&*store, "a", message(1));

    let fired = write(&*store, "a", 1, vec![fire("wake", 500, None), delivery("b", message(1))]);

    let [Delivered::New(id), Delivered::New(_)] = fired[..] else { panic!("{fired:?}") };
    assert_eq!(id, MessageId(before.0 + 2), "behind the commit that delivered the other");
    let due = accepted(id, StoredMessage { due_ms: Some(500), ..sent });
    let inbox = vec![accepted(before, message(1)), due.clone()];
    let expected = Scan { inbox, ..timed(1, &[timer("other", 500, message(1))]) };
    assert_eq!(scan(&*store, "a"), expected);
    assert_eq!(write(&*store, "a", 1, vec![fire("wake", 500, None)]), [Delivered::Unknown]);
    drop(store);

    let store = open(harness);
    assert_eq!(scan(&*store, "a"), expected);
    write(&*store, "a", 1, vec![journal(id, 0, 1), lay_aside(id, "no")]);
    assert_eq!(laid_aside(&*store, "a")[0].message, due);
    send(&*store, vec![forget("a", id)]);
    write(&*store, "a", 1, vec![done(before), cancel("other")]);
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// Its message comes each time, and each time says when it was due; the rest of the timer stays as it is.
pub fn a_timer_that_is_due_again_is_set_anew(harness: &dyn StoreHarness) {
    for len in [1, 9_000] {
        let each = StoredTimer { every_ms: Some(10), ..timer("tick", 100, message(len)) };
        write(&*open(harness), "a", 1, vec![Record::SetTimer(each.clone())]);
        for due_ms in [100, 110, 150] {
            let next_ms = due_ms + if due_ms == 110 { 40 } else { 10 };

            let fired = write(&*open(harness), "a", 1, vec![fire("tick", due_ms, Some(next_ms))]);

            let [Delivered::New(id)] = fired[..] else { panic!("{fired:?}") };
            let inbox = vec![accepted(id, StoredMessage { due_ms: Some(due_ms), ..message(len) })];
            let next = StoredTimer { due_ms: next_ms, ..each.clone() };
            assert_eq!(scan(&*open(harness), "a"), Scan { inbox, ..timed(1, &[next]) });
            write(&*open(harness), "a", 1, vec![done(id)]);
        }
        assert!(matches!(
            write(&*open(harness), "a", 1, vec![fire("tick", 160, None)])[..],
            [Delivered::New(_)]
        ));
        assert_eq!(scan(&*open(harness), "a").timers, []);
        let left = scan(&*open(harness), "a").inbox[0].id;
        write(&*open(harness), "a", 1, vec![done(left)]);
        assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
    }
}

/// Set anew since, cancelled, fired, never set, or another's: nothing is added, and no timer changes.
pub fn a_timer_that_is_not_due_then_adds_nothing(harness: &dyn StoreHarness) {
    let store = open(harness);
    for due_ms in [500, 600] {
        write(&*store, "a", 1, vec![set("anew", due_ms, message(9_000))]);
    }
    write(&*store, "a", 1, vec![set("cancelled", 500, message(1)), cancel("cancelled")]);
    write(&*store, "a", 1, vec![set("fired", 500, message(1)), fire("fired", 500, Some(700))]);
    write(&*store, "b", 1, vec![set("another's", 500, message(1))]);
    drop(store);
    let left = harness.raw_records();

    for next_ms in [None, Some(500), Some(900)] {
        for name in ["anew", "cancelled", "fired", "never", "another's", "", "ane"] {
            let fired = write(&*open(harness), "a", 1, vec![fire(name, 500, next_ms)]);
            assert_eq!(fired, [Delivered::Unknown], "{name}");
        }
    }

    assert_eq!(harness.raw_records()[1..], left[1..], "all but the head of the store is as it was");
}

/// While the first waits it is named, and so is the answer once it is done. The timer goes, or goes on, all the same.
pub fn a_timer_with_a_request_id_adds_nothing_twice(harness: &dyn StoreHarness) {
    let store = open(harness);
    let due = |due_ms| StoredMessage { due_ms: Some(due_ms), ..asked("order-17", 10) };
    write(&*store, "a", 1, vec![set("ask", 1, asked("order-17", 10))]);
    let [Delivered::New(id)] = write(&*store, "a", 1, vec![fire("ask", 1, Some(2))])[..] else {
        panic!("it is new")
    };
    drop(store);

    let store = open(harness);
    assert_eq!(write(&*store, "a", 1, vec![fire("ask", 2, Some(3))]), [Delivered::Waiting(id)]);
    assert_eq!(send(&*store, vec![delivery("a", asked("order-17", 1))]), [Delivered::Waiting(id)]);
    let expected =
        Scan { inbox: vec![accepted(id, due(1))], ..timed(1, &[timer("ask", 3, asked("order-17", 10))]) };
    assert_eq!(scan(&*store, "a"), expected);
    write(&*store, "a", 1, vec![lay_aside(id, "no")]);
    let aside = Delivered::LaidAside { id, cause: "no".into() };
    assert_eq!(write(&*store, "a", 1, vec![fire("ask", 3, Some(4))]), [aside]);
    let [Delivered::New(back)] = send(&*store, vec![give_back("a", id)])[..] else { panic!("it is back") };
    write(&*store, "a", 1, vec![answered(back, "order-17", 1, 1_000, 9_000)]);

    let fired = write(&*store, "a", 1, vec![fire("ask", 4, None)]);

    assert_eq!(fired, [Delivered::Answered(bytes(9_000, 9))]);
    assert_eq!(scan(&*store, "a"), waiting(1, &[]));
    drop(store);
    // The answer in three parts, and its end.
    assert_eq!(keys_of(harness, "a").len(), 4);
}

/// What the life before would have done, the next one does.
pub fn a_stale_life_neither_sets_nor_fires(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(&*store, "a", 1, vec![set("wake", 500, message(1))]);
    commit(&*store, claim("a", 2));
    drop(store);
    let left = harness.raw_records();
    let stale = [
        fire("wake", 500, None),
        fire("wake", 500, Some(600)),
        set("wake", 600, message(1)),
        set("other", 600, message(1)),
        cancel("wake"),
    ];
    for record in stale {
        let outcome = commit(&*open(harness), Batch::of(path("a"), Epoch(1), vec![record]));
        assert_eq!(outcome, BatchOutcome::Stale { stored: Epoch(2) });
    }
    assert_eq!(harness.raw_records(), left);
    assert!(matches!(write(&*open(harness), "a", 2, vec![fire("wake", 500, None)])[..], [Delivered::New(_)]));
}

/// Also around the edges of a part, and whatever length was there before. No value exceeds 4 KiB.
pub fn timers_of_every_length_come_back_and_leave_nothing(harness: &dyn StoreHarness) {
    let edges = [3_940..4_072, 8_010..8_140].into_iter().flatten();
    let lens: Vec<_> = [0, 1, CONTENT_LEN_MAX].into_iter().chain(edges).collect();
    let longest_name = "n".repeat(REQUEST_LEN_MAX);
    let store = open(harness);
    let timers = |shift: usize| -> Vec<StoredTimer> {
        let lens = lens.iter().cycle().skip(shift).take(lens.len());
        let timers = (0..).zip(lens).map(|(at, len)| timer(&format!("{at:03}"), at, message(*len)));
        timers.chain([timer(&longest_name, 1, message(1))]).collect()
    };
    for shift in [0, 1, 200] {
        write(&*store, "a", 1, timers(shift).into_iter().map(Record::SetTimer).collect());
        assert!(scan(&*store, "a") == timed(1, &timers(shift)), "shifted by {shift}");
    }
    drop(store);
    let longest = harness.raw_records().iter().map(|(_, value)| value.len()).max();
    assert_eq!(longest, Some(4_096));

    let store = open(harness);
    assert!(scan(&*store, "a") == timed(1, &timers(200)), "after reopening");
    let fired = timers(200).into_iter().map(|timer| fire(&timer.name, timer.due_ms, None)).collect();
    let ids = write(&*store, "a", 1, fired).into_iter().map(|delivered| match delivered {
        Delivered::New(id) => id,
        other => panic!("{other:?}"),
    });
    write(&*store, "a", 1, ids.map(done).collect());
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
}

/// Each record sees what those before it in its batch, and the batches before it in its group, did.
pub fn a_group_sets_and_fires_in_its_order(harness: &dyn StoreHarness) {
    let by_a = |records| Batch::of(path("a"), Epoch(1), records);
    let wake = |due_ms| set("wake", due_ms, message(9_000));
    let store = open(harness);
    write(&*store, "a", 1, vec![wake(1)]);
    let group = [
        by_a(vec![fire("wake", 1, Some(2)), fire("wake", 1, None), fire("wake", 2, Some(3))]),
        by_a(vec![wake(4), wake(5), fire("wake", 3, None), fire("wake", 4, None)]),
        by_a(vec![fire("wake", 5, None), wake(6)]),
        by_a(vec![cancel("wake"), fire("wake", 6, None), wake(7)]),
        Batch::of(path("a"), Epoch(2), vec![]),
        by_a(vec![fire("wake", 7, None)]),
    ];

    let outcomes = store.commit(&group).expect("the store writes");

    let (last, before) = outcomes.split_last().expect("there are some");
    assert_eq!(*last, BatchOutcome::Stale { stored: Epoch(2) });
    let fired = before.iter().cloned().flat_map(deliveries);
    let is_new: Vec<_> = fired.map(|delivered| matches!(delivered, Delivered::New(_))).collect();
    assert_eq!(is_new, [true, false, true, false, false, true, false]);
    let found = scan(&*store, "a");
    let due: Vec<_> = found.inbox.iter().map(|message| message.due_ms).collect();
    assert_eq!(due, [Some(1), Some(2), Some(5)]);
    assert_eq!(found.timers, [timer("wake", 7, message(9_000))]);
}

/// An actor with nothing but timers.
fn timed(epoch: u64, timers: &[StoredTimer]) -> Scan {
    Scan { epoch: Epoch(epoch), timers: timers.to_vec(), ..Scan::default() }
}
