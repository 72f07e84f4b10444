//! Promises about cases: one owner each, and what it takes to change that.

use super::*;

fn change(case: &str, change: CaseChange) -> Record {
    Record::Case { case: case.into(), change }
}

fn opened(case: &str) -> Record {
    change(case, CaseChange::Open)
}

fn offered(case: &str, hop: u32) -> Record {
    change(case, CaseChange::Offer(CaseOffer { hop, to: "billing".into() }))
}

fn taken(case: &str, from: &str, hop: u32) -> Record {
    change(case, CaseChange::Accept { from: path(from), hop })
}

fn closed(case: &str) -> Record {
    change(case, CaseChange::Close)
}

fn assigned(case: &str, from: Option<&str>, to: Option<&str>) -> Record {
    change(case, CaseChange::Assign { from: from.map(path), to: to.map(path) })
}

fn owner(owner: &str, hop: u32, offer: Option<u32>) -> Option<CaseOwner> {
    let offer = offer.map(|hop| CaseOffer { hop, to: "billing".into() });
    Some(CaseOwner { owner: path(owner), hop, offer })
}

fn kept(store: &dyn Store, case: &str) -> Option<CaseOwner> {
    store.case(case).expect("the store reads")
}

fn conflict(case: &str, found: Option<CaseOwner>) -> BatchOutcome {
    BatchOutcome::Conflict { case: case.into(), found }
}

/// One at each instant, before reopening and after: opened, offered, accepted, offered on, closed. Then it may begin anew.
pub fn a_case_has_one_owner_until_it_is_closed(harness: &dyn StoreHarness) {
    let steps: [(&str, Record, Option<CaseOwner>); 8] = [
        ("a", opened("t-1"), owner("a", 0, None)),
        ("a", offered("t-1", 1), owner("a", 0, Some(1))),
        ("a", offered("t-1", 2), owner("a", 0, Some(2))),
        ("a/b", taken("t-1", "a", 2), owner("a/b", 2, None)),
        ("a/b", offered("t-1", 3), owner("a/b", 2, Some(3))),
        ("a/b", change("t-1", CaseChange::Withdraw), owner("a/b", 2, None)),
        ("a/b", closed("t-1"), None),
        ("b", opened("t-1"), owner("b", 0, None)),
    ];
    for (actor, record, expected) in steps {
        let store = open(harness);
        write(&*store, actor, 1, vec![record.clone()]);
        assert_eq!(kept(&*store, "t-1"), expected, "{record:?}");
        drop(store);
        assert_eq!(kept(&*open(harness), "t-1"), expected, "{record:?}, opened again");
        assert_eq!(kept(&*open(harness), "t-"), None);
        assert_eq!(keys_of(harness, actor), [] as [Vec<u8>; 0], "a case is no record of its owner");
    }
}

/// Nothing of its batch is kept, neither state nor messages nor other cases, whatever stands before it; and it uses up no
/// number. The other batches of its group are not touched.
pub fn a_change_that_does_not_hold_fails_only_its_own_batch(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(&*store, "a", 1, vec![opened("t-1")]);
    let group = [
        Batch::of(path("b"), Epoch(1), vec![opened("t-2")]),
        Batch::of(
            path("b"),
            Epoch(1),
            vec![
                delivery("c", message(3)),
                Record::Snapshot(snapshot(1, 9)),
                opened("t-3"),
                taken("t-1", "a", 1),
            ],
        ),
        Batch::of(path("b"), Epoch(1), vec![opened("t-4")]),
    ];

    let outcomes = store.commit(&group).expect("the store writes");

    assert_eq!(outcomes, [committed(2), conflict("t-1", owner("a", 0, None)), committed(3)]);
    let all = [
        ("t-1", owner("a", 0, None)),
        ("t-2", owner("b", 0, None)),
        ("t-3", None),
        ("t-4", owner("b", 0, None)),
    ];
    drop(store);
    let store = open(harness);
    for (case, expected) in all {
        assert_eq!(kept(&*store, case), expected, "{case}");
    }
    assert_eq!((scan(&*store, "b").snapshot, scan(&*store, "c")), (None, Scan::default()));
}

/// In one group and in two. Whoever comes second is told who has it.
pub fn of_two_who_accept_one_has_the_case(harness: &dyn StoreHarness) {
    for in_one_group in [true, false] {
        let store = open(harness);
        let case = format!("t-{in_one_group}");
        write(&*store, "a", 1, vec![opened(&case), offered(&case, 1)]);
        let accept = |by: &str| Batch::of(path(by), Epoch(1), vec![taken(&case, "a", 1)]);
        let group = [accept("b"), accept("c")];
        let outcomes = match in_one_group {
            true => store.commit(&group).expect("the store writes"),
            false => group.map(|batch| commit(&*store, batch)).to_vec(),
        };
        assert!(matches!(outcomes[0], BatchOutcome::Committed { .. }), "{outcomes:?}");
        assert_eq!(outcomes[1], conflict(&case, owner("b", 1, None)));
        assert_eq!(kept(&*store, &case), owner("b", 1, None));
    }
}

/// In their order; one that does not hold behind others takes them with it.
pub fn changes_of_a_batch_see_one_another(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(
        &*store,
        "a",
        1,
        vec![opened("t-1"), offered("t-1", 1), closed("t-1"), opened("t-1"), offered("t-1", 7)],
    );
    assert_eq!(kept(&*store, "t-1"), owner("a", 0, Some(7)));
    let twice = Batch::of(path("b"), Epoch(1), vec![taken("t-1", "a", 7), closed("t-1"), closed("t-1")]);
    assert_eq!(commit(&*store, twice), conflict("t-1", None));
    assert_eq!(kept(&*store, "t-1"), owner("a", 0, Some(7)));
}

/// A life that was replaced neither opens, nor offers, nor accepts, nor closes.
pub fn a_stale_life_changes_no_case(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(&*store, "a", 2, vec![opened("t-1"), offered("t-1", 1)]);
    write(&*store, "b", 2, vec![]);
    for (actor, record) in
        [("a", opened("t-2")), ("a", offered("t-1", 2)), ("b", taken("t-1", "a", 1)), ("a", closed("t-1"))]
    {
        let stale = Batch::of(path(actor), Epoch(1), vec![record]);
        assert_eq!(commit(&*store, stale), BatchOutcome::Stale { stored: Epoch(2) });
    }
    assert_eq!((kept(&*store, "t-1"), kept(&*store, "t-2")), (owner("a", 0, Some(1)), None));
}

/// Whoever has no life owns nothing; but somebody must be able to decide.
pub fn from_outside_a_case_is_only_assigned(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(&*store, "a", 1, vec![opened("t-1"), offered("t-1", 1)]);
    for record in [opened("t-2"), offered("t-1", 2), taken("t-1", "a", 1), closed("t-1")] {
        let refused = store.commit(&[Batch::from_outside(vec![record])]);
        assert!(matches!(refused, Err(StoreError::NoWriter)), "{refused:?}");
    }
    let wrong = Batch::from_outside(vec![assigned("t-1", Some("b"), None)]);
    assert_eq!(commit(&*store, wrong), conflict("t-1", owner("a", 0, Some(1))));

    send(&*store, vec![assigned("t-1", Some("a"), Some("b")), assigned("t-2", None, Some("c"))]);

    // The offer of before is not pending any more, and cannot come back under its number.
    assert_eq!(kept(&*store, "t-1"), owner("b", 1, None));
    let late = Batch::of(path("d"), Epoch(1), vec![taken("t-1", "a", 1)]);
    assert_eq!(commit(&*store, late), conflict("t-1", owner("b", 1, None)));
    send(&*store, vec![assigned("t-2", Some("c"), None)]);
    assert_eq!(kept(&*store, "t-2"), None);
}

/// All of them, in pages of every length, whoever has them.
pub fn cases_are_listed_in_pages_sorted(harness: &dyn StoreHarness) {
    let store = open(harness);
    let names = ["", "t", "t-1", "t-10", "t-2", "ä"];
    for (n, name) in names.iter().enumerate().rev() {
        write(&*store, ALIKE[n], 1, vec![opened(name)]);
    }
    write(&*store, "a", 1, vec![opened("gone"), closed("gone"), Record::Snapshot(snapshot(1, 5_000))]);
    let all: Vec<ListedCase> = names
        .iter()
        .zip(ALIKE)
        .map(|(name, of)| ((*name).to_owned(), Ok(owner(of, 0, None).expect("an owner"))))
        .collect();
    for most in 1..=7 {
        let mut found: Vec<ListedCase> = Vec::new();
        loop {
            let page =
                store.cases(found.last().map(|(case, _)| case.as_str()), most).expect("the store reads");
            assert!(page.len() <= most);
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, all, "in pages of {most}");
    }
    assert_eq!(store.cases(None, 0).expect("the store reads"), []);
}

/// Nothing vanishes silently: they are listed under their owner until somebody decides. The next life there has them too.
pub fn cases_of_an_erased_actor_stay_until_they_are_assigned(harness: &dyn StoreHarness) {
    let store = open(harness);
    write(&*store, "a", 1, vec![opened("t-1"), opened("t-2"), offered("t-2", 1)]);
    send(&*store, vec![erase("a")]);
    assert_eq!((kept(&*store, "t-1"), kept(&*store, "t-2")), (owner("a", 0, None), owner("a", 0, Some(1))));

    write(&*store, "b", 1, vec![taken("t-2", "a", 1)]);
    write(&*store, "a", 3, vec![closed("t-1")]);

    assert_eq!((kept(&*store, "t-1"), kept(&*store, "t-2")), (None, owner("b", 1, None)));
}

/// A damaged record is an error for whoever asks, and for whoever wants to change it; it is listed as damaged; and no other
/// case is. Only who assigns it anew, as nobody's, mends it.
pub fn a_damaged_owner_is_an_error_and_never_nobody(harness: &dyn StoreHarness) {
    for reason in [DamageReason::Checksum, DamageReason::Malformed] {
        let store = open(harness);
        write(&*store, "a", 1, vec![opened("t-1"), offered("t-1", 1), opened("t-2")]);
        drop(store);
        let key = case_key("t-1");
        match reason {
            DamageReason::Checksum => flip(harness, &key),
            _ => {
                let other = Envelope { kind: Kind::Case, seq: 0, epoch: Epoch(0), payload: b"?" };
                harness.put_raw(key.clone(), Some(other.seal(&key)));
            }
        }
        let store = open(harness);

        let is_damaged = |result: Result<(), StoreError>| {
            let Err(StoreError::CaseDamaged { case, reason: found }) = result else { return false };
            case == "t-1" && found == reason
        };
        assert!(is_damaged(store.case("t-1").map(drop)));
        for (actor, record) in [("b", opened("t-1")), ("b", taken("t-1", "a", 1)), ("a", closed("t-1"))] {
            let refused = store.commit(&[Batch::of(path(actor), Epoch(1), vec![record])]);
            assert!(is_damaged(refused.map(drop)));
        }
        let listed = store.cases(None, 9).expect("the store reads");
        let other = owner("a", 0, None).expect("an owner");
        assert_eq!(listed, [("t-1".to_owned(), Err(reason)), ("t-2".to_owned(), Ok(other))]);

        send(&*store, vec![assigned("t-1", None, Some("c"))]);
        assert_eq!(kept(&*store, "t-1"), owner("c", 0, None));
        send(&*store, vec![assigned("t-1", Some("c"), None), assigned("t-2", Some("a"), None)]);
    }
}

/// With both formats named, by each who reads it.
pub fn a_newer_format_of_a_case_is_refused(harness: &dyn StoreHarness) {
    write(&*open(harness), "a", 1, vec![opened("t-1")]);
    let key = case_key("t-1");
    let mut value = value_of(&harness.raw_records(), &key).expect("the record was written");
    reformat(&key, &mut value, FORMAT + 1);
    harness.put_raw(key, Some(value));
    let store = open(harness);

    let (found, known) = (u32::from(FORMAT) + 1, u32::from(FORMAT));
    let is_newer = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Format { found: f, known: k }) if (f, k) == (found, known));
    assert!(is_newer(store.case("t-1").map(drop)));
    assert!(is_newer(store.cases(None, 9).map(drop)));
    assert!(is_newer(store.commit(&[Batch::of(path("a"), Epoch(1), vec![closed("t-1")])]).map(drop)));
    assert!(is_newer(store.commit(&[Batch::from_outside(vec![assigned("t-1", None, None)])]).map(drop)));
}

/// Names up to the limit come back; longer ones are refused, and so are those of whom a case is offered to.
pub fn names_of_cases_have_a_bound(harness: &dyn StoreHarness) {
    let store = open(harness);
    let (fits, is_long) = ("x".repeat(REQUEST_LEN_MAX), "x".repeat(REQUEST_LEN_MAX + 1));
    let offer = |to: &str| change(&fits, CaseChange::Offer(CaseOffer { hop: 1, to: to.into() }));
    write(&*store, "a", 1, vec![opened(&fits), offer(&fits)]);
    let found = kept(&*store, &fits).and_then(|kept| kept.offer);
    assert_eq!(found.map(|offer| offer.to), Some(fits.clone()));
    for record in [opened(&is_long), offer(&is_long)] {
        let refused = store.commit(&[Batch::of(path("a"), Epoch(1), vec![record])]);
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    }
}
