//! Promises about how actors were made, and about their end.

use super::message_damage::one_of_each;
use super::*;

/// Whoever writes it: somebody outside, another actor, the actor itself. A later one leaves nothing of it.
pub fn a_birth_is_there_until_the_next_one(harness: &dyn StoreHarness) {
    let born = |epoch, len| Scan { epoch: Epoch(epoch), birth: Some(bytes(len, 5)), ..Scan::default() };
    let store = open(harness);
    send(&*store, vec![birth("a", 9_000)]);
    assert_eq!(scan(&*store, "a"), born(0, 9_000));
    write(&*store, "b", 7, vec![birth("a", 4_061), birth("a/b", 1)]);
    assert_eq!(scan(&*store, "a"), born(0, 4_061));
    drop(store);

    let store = open(harness);
    assert_eq!(scan(&*store, "a"), born(0, 4_061));
    write(&*store, "a", 3, vec![birth("a", 10)]);
    assert_eq!(scan(&*store, "a"), born(3, 10));
    // What else is written of an actor leaves its birth.
    let id = deliver(&*store, "a", message(1));
    write(&*store, "a", 4, vec![done(id), Record::Snapshot(snapshot(1, 10))]);
    drop(store);
    let snapshot = Some(snapshot(1, 10));
    assert_eq!(scan(&*open(harness), "a"), Scan { snapshot, ..born(4, 10) });
    assert_eq!(scan(&*open(harness), "a/b"), born(0, 1));
    assert_eq!(keys_of(harness, "a").len(), 1 + 1, "the birth; the state in its header");
}

/// Also around the edges of a part, and whatever length was there before. No value exceeds 4 KiB.
pub fn births_of_every_length_come_back_and_leave_nothing(harness: &dyn StoreHarness) {
    let lens = [CONTENT_LEN_MAX, 0, 4_060, 1, 4_061, 20_000, 8_128, 8_129, 8_127, 0];
    for len in lens {
        send(&*open(harness), vec![birth("a", len)]);

        assert!(scan(&*open(harness), "a").birth == Some(bytes(len, 5)), "{len} bytes");
        let parts = 1 + len.saturating_sub(4_060).div_ceil(4_068);
        assert_eq!(keys_of(harness, "a").len(), parts, "{len} bytes");
    }
    let store = open(harness);
    send(&*store, lens.map(|len| birth("a", len)).to_vec());
    assert_eq!(scan(&*store, "a").birth, Some(Vec::new()), "the last of one batch");
}

/// It is listed, and begins with any epoch.
pub fn a_birth_makes_no_new_life(harness: &dyn StoreHarness) {
    let store = open(harness);
    send(&*store, vec![birth("a", 10)]);

    assert_eq!(store.actors().expect("the store reads"), [path("a")]);
    assert_eq!(commit(&*store, claim("a", 1)), committed(2));
    send(&*store, vec![birth("a", 10)]);
    assert_eq!(scan(&*store, "a").epoch, Epoch(1));
    assert_eq!(commit(&*store, claim("a", 0)), BatchOutcome::Stale { stored: Epoch(1) });
}

/// Whatever was kept of it is gone, and the lives before are fenced. A new one begins as the first did: with its own
/// state, its own mail, and no request that is known.
pub fn an_erased_actor_is_empty_and_its_lives_are_over(harness: &dyn StoreHarness) {
    let store = open(harness);
    let before = everything(&*store);
    let [neighbour, other] = ["a/b", "b"].map(|actor| scan(&*store, actor));

    send(&*store, vec![erase("a")]);

    let found = scan(&*store, "a");
    assert!(found.epoch > before, "{:?} after {before:?}", found.epoch);
    assert_eq!(found, Scan { epoch: found.epoch, ..Scan::default() });
    drop(store);
    assert_eq!(keys_of(harness, "a"), [] as [Vec<u8>; 0]);
    let store = open(harness);
    assert_eq!((scan(&*store, "a"), laid_aside(&*store, "a")), (found.clone(), Vec::new()));
    let late = vec![delivery("b", message(1)), birth("a", 1)];
    for old in [vec![], late, vec![Record::Snapshot(snapshot(9, 1))]] {
        let outcome = commit(&*store, Batch::of(path("a"), before, old));
        assert_eq!(outcome, BatchOutcome::Stale { stored: found.epoch });
    }
    assert_eq!(["a/b", "b"].map(|actor| scan(&*store, actor)), [neighbour, other]);

    let requests = ["waits", "done"].map(|request| delivery("a", asked(request, 1))).to_vec();
    let [Delivered::New(first), Delivered::New(second)] = send(&*store, requests)[..] else {
        panic!("nothing is known of them")
    };
    let epoch = found.epoch.next();
    commit(&*store, Batch::claim(path("a"), epoch));
    write(&*store, "a", epoch.0, vec![Record::Snapshot(snapshot(1, 10)), birth("a", 2)]);
    drop(store);
    let inbox = vec![accepted(first, asked("waits", 1)), accepted(second, asked("done", 1))];
    let again = Scan { inbox, birth: Some(bytes(2, 5)), ..whole(epoch.0, 1, 10) };
    assert_eq!(scan(&*open(harness), "a"), again);
}

/// Also where nothing but the epoch was left, or where the epoch is known from a state alone.
pub fn each_erasure_raises_the_epoch(harness: &dyn StoreHarness) {
    let mut before = Epoch(0);
    let rises = |before: &mut Epoch| {
        send(&*open(harness), vec![erase("a")]);
        let found = scan(&*open(harness), "a");
        assert_eq!(found, Scan { epoch: found.epoch, ..Scan::default() });
        assert!(found.epoch > *before, "{:?} after {before:?}", found.epoch);
        *before = found.epoch;
    };
    deliver(&*open(harness), "a", message(1));
    rises(&mut before);
    rises(&mut before);
    commit(&*open(harness), claim("a", 1_000));
    before = Epoch(1_000);
    rises(&mut before);
    commit(&*open(harness), batch("a", 5_000, 1, 10));
    harness.put_raw(key("a", RecordKey::ActorHead), None);
    before = Epoch(5_000);
    rises(&mut before);
}

/// Nothing is written of somebody of whom nothing is known.
pub fn whoever_has_nothing_is_not_erased(harness: &dyn StoreHarness) {
    commit(&*open(harness), batch("a/b", 1, 1, 1));
    let left = harness.raw_records();

    assert_eq!(send(&*open(harness), vec![erase("a"), erase("b")]), []);
    write(&*open(harness), "a/b", 1, vec![erase("a")]);

    assert_eq!(harness.raw_records()[1..], left[1..], "all but the head of the store is as it was");
    assert_eq!(scan(&*open(harness), "a"), Scan::default());
    assert_eq!(open(harness).actors().expect("the store reads"), [path("a/b")]);
}

/// In a batch as in a group.
pub fn an_erasure_takes_what_came_before_it_and_not_what_comes_after(harness: &dyn StoreHarness) {
    for is_one_batch in [true, false] {
        let store = open(harness);
        deliver(&*store, "a", asked("old", 9_000));
        let records = [delivery("a", asked("new", 9_000)), birth("a", 9_000), erase("a"), birth("a", 1)];
        let again = delivery("a", asked("new", 1));
        let group: Vec<_> = match is_one_batch {
            true => vec![Batch::from_outside([&records[..], &[again]].concat())],
            false => {
                let all = records.into_iter().chain([again]);
                all.map(|record| Batch::from_outside(vec![record])).collect()
            }
        };

        let outcomes = store.commit(&group).expect("the store writes");

        let sent: Vec<_> = outcomes.into_iter().flat_map(deliveries).collect();
        let [Delivered::New(gone), Delivered::New(kept)] = sent[..] else { panic!("{sent:?}") };
        assert!(gone < kept, "no number is given twice");
        let epoch = scan(&*store, "a").epoch;
        assert!(epoch > Epoch(0));
        let birth = Some(bytes(1, 5));
        let expected = Scan { birth, ..waiting(epoch.0, &[accepted(kept, asked("new", 1))]) };
        assert_eq!(scan(&*store, "a"), expected);
        drop(store);
        assert_eq!(keys_of(harness, "a").len(), 3, "the message, its request, the birth");
        restore(harness, &[]);
    }
}

/// Not in this batch, and in none behind it, be it of the same group.
pub fn an_actor_that_erases_itself_writes_no_more(harness: &dyn StoreHarness) {
    let states = [vec![], vec![Record::Snapshot(snapshot(9, 9_000))]];
    for (actor, state) in ["a", "c"].into_iter().zip(states) {
        let store = open(harness);
        let before = if actor == "a" { everything(&*store) } else { Epoch(3) };
        let by_it = |epoch: Epoch, records| Batch::of(path(actor), epoch, records);
        // A life that the store has not seen yet: the end is above it, too.
        let last = before.next();
        let own = [&state[..], &[delivery("b", message(3)), erase(actor)]].concat();
        let group = [by_it(last, own), by_it(last, vec![delivery("b", message(4))])];

        let outcomes = store.commit(&group).expect("the store writes");

        let found = scan(&*store, actor);
        assert!(found.epoch > last, "{:?} after {last:?}", found.epoch);
        assert_eq!(found, Scan { epoch: found.epoch, ..Scan::default() });
        assert!(matches!(outcomes[0], BatchOutcome::Committed { .. }));
        assert_eq!(outcomes[1], BatchOutcome::Stale { stored: found.epoch });
        assert_eq!(scan(&*store, "b").inbox.last().map(|message| message.body.len()), Some(3));
        drop(store);
        assert_eq!(keys_of(harness, actor), [] as [Vec<u8>; 0]);
        assert_eq!(scan(&*open(harness), actor), found);
    }
}

/// Nor does it erase itself: its next life has begun.
pub fn a_stale_life_neither_makes_nor_erases(harness: &dyn StoreHarness) {
    everything(&*open(harness));
    commit(&*open(harness), claim("b", 2));
    let left = harness.raw_records();
    for record in [birth("a", 1), erase("a"), erase("b"), birth("b", 1), erase("c"), birth("c", 1)] {
        let outcome = commit(&*open(harness), Batch::of(path("b"), Epoch(1), vec![record]));
        assert_eq!(outcome, BatchOutcome::Stale { stored: Epoch(2) });
    }
    assert_eq!(harness.raw_records(), left);
}

/// Of `a` whatever can be kept of an actor, two states of several chunks among it. Says its epoch.
fn everything(store: &dyn Store) -> Epoch {
    one_of_each(store);
    for seq in [1, 2] {
        commit(store, batch("a", 6, seq, 9_000));
    }
    deliver(store, "a/b", message(1));
    scan(store, "a").epoch
}
