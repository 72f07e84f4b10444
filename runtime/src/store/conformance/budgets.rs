//! Promises about budgets: what is charged is listed until it is settled, once; sums are added, never set.

use super::*;
use crate::budget::{Amount, BudgetGrant, BudgetPath};
use crate::store::record::{budget_key, charge_key};
use crate::store::{BudgetChange, ChargeKey, StoredBudget, StoredBudgets};

fn node(text: &str) -> BudgetPath {
    BudgetPath::parse(text).expect("a path of the tests is well formed")
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::ZERO }
}

fn key_of(budget: &str, actor: &str, message: u64, attempt: u32) -> ChargeKey {
    ChargeKey { node: node(budget), actor: path(actor), message: MessageId(message), step: 3, attempt }
}

fn charged(charge: &ChargeKey, amount: u64) -> Record {
    Record::Charge { charge: charge.clone(), amount: tokens(amount) }
}

fn settled(charge: &ChargeKey, spent: u64) -> Record {
    Record::Settle { charge: charge.clone(), spent: tokens(spent) }
}

fn changed(budget: &str, change: BudgetChange) -> Record {
    Record::Budget { path: node(budget), change }
}

fn opened(budget: &str, limit: u64) -> Record {
    changed(budget, BudgetChange::Open { grant: BudgetGrant::tokens(limit) })
}

fn closed(budget: &str) -> Record {
    changed(budget, BudgetChange::Close)
}

fn kept(harness: &dyn StoreHarness) -> StoredBudgets {
    open(harness).budgets().expect("the store reads")
}

fn spent(harness: &dyn StoreHarness) -> Vec<(String, u64, u64)> {
    let budgets = kept(harness).budgets.into_iter();
    let sums = budgets.map(|(path, budget)| (path, budget.expect("it is whole")));
    sums.map(|(path, budget)| (path.to_string(), budget.spent.tokens, budget.overdraft.tokens)).collect()
}

/// Before reopening and after; charges of paths that are the start of one another are told apart.
pub fn what_is_charged_is_listed_until_it_is_settled(harness: &dyn StoreHarness) {
    let all: Vec<_> =
        ALIKE.iter().flat_map(|budget| ALIKE.iter().map(|actor| key_of(budget, actor, 7, 0))).collect();
    let store = open(harness);
    for charge in &all {
        write(&*store, charge.actor.as_str(), 1, vec![journal(MessageId(7), 3, 20), charged(charge, 40)]);
    }
    drop(store);
    let mut sorted = all.clone();
    sorted.sort();
    assert!(kept(harness).charges.into_iter().eq(sorted.into_iter().map(|charge| (charge, Ok(tokens(40))))));

    for (count, charge) in (1..).zip(&all) {
        write(&*open(harness), charge.actor.as_str(), 1, vec![settled(charge, 3)]);
        assert_eq!(kept(harness).charges.len(), all.len() - count, "{charge:?}");
    }
    let mut each: Vec<_> = ALIKE.iter().map(|path| ((*path).to_owned(), 18, 0)).collect();
    each.sort();
    assert_eq!(spent(harness), each);
}

/// In one group and in two, by its writer and from outside.
pub fn what_is_settled_twice_is_settled_once(harness: &dyn StoreHarness) {
    let charge = key_of("a", "x", 1, 0);
    let store = open(harness);
    write(&*store, "x", 1, vec![charged(&charge, 40)]);
    let group = [
        Batch::of(path("x"), Epoch(1), vec![settled(&charge, 5)]),
        Batch::from_outside(vec![settled(&charge, 9)]),
    ];
    store.commit(&group).expect("the store writes");
    send(&*store, vec![settled(&charge, 11), settled(&key_of("a", "x", 1, 1), 13)]);
    drop(store);
    assert_eq!(spent(harness), [("a".to_owned(), 5, 0)]);
}

/// Its budget alone: neither the one above nor what comes later.
pub fn a_bill_above_its_charge_is_an_overdraft_and_stops_its_budget(harness: &dyn StoreHarness) {
    let (charge, next) = (key_of("a/b", "x", 1, 0), key_of("a/b", "x", 1, 1));
    let store = open(harness);
    send(&*store, vec![opened("a", 100), opened("a/b", 50)]);
    write(&*store, "x", 1, vec![charged(&charge, 40)]);
    write(&*store, "x", 1, vec![settled(&charge, 45), charged(&next, 1)]);
    drop(store);
    assert_eq!(spent(harness), [("a".to_owned(), 0, 0), ("a/b".to_owned(), 45, 5)]);
    let is_stopped =
        || kept(harness).budgets.into_iter().map(|(_, budget)| budget.unwrap_or_default().is_stopped);
    assert!(is_stopped().eq([false, true]));

    send(&*open(harness), vec![changed("a/b", BudgetChange::Resume)]);
    assert!(is_stopped().eq([false, false]));
}

/// Done, laid aside, forgotten, its journal deleted, its actor erased: what nobody settled stays charged.
pub fn a_charge_outlives_its_message_and_its_actor(harness: &dyn StoreHarness) {
    let store = open(harness);
    let first = deliver(&*store, "x", message(3));
    let second = deliver(&*store, "x", message(3));
    let charges = [key_of("a", "x", first.0, 0), key_of("a", "x", second.0, 0)];
    for charge in &charges {
        write(&*store, "x", 1, vec![journal(charge.message, 3, 20), charged(charge, 40)]);
    }
    let ends: [(&str, Vec<Record>); 5] = [
        ("done", vec![done(first)]),
        ("laid aside", vec![lay_aside(second, "it failed")]),
        ("without a journal", vec![forget_journal(second)]),
        ("forgotten", vec![forget("x", second)]),
        ("erased", vec![erase("x")]),
    ];
    for (end, records) in ends {
        write(&*store, "x", 1, records);
        assert_eq!(store.budgets().expect("the store reads").charges.len(), 2, "{end}");
    }
    drop(store);
    assert_eq!(kept(harness).charges.len(), 2);
}

/// And not before nothing is charged in them.
pub fn what_closed_budgets_spent_goes_to_those_above(harness: &dyn StoreHarness) {
    let charge = key_of("a/b/c", "x", 1, 0);
    let store = open(harness);
    send(&*store, vec![opened("a", 100), opened("a/b", 50), opened("a/b/c", 20), opened("a/b-c", 1)]);
    write(&*store, "x", 1, vec![charged(&charge, 15)]);
    send(&*store, vec![closed("a/b/c"), closed("a/b")]);
    drop(store);
    assert_eq!(kept(harness).budgets.len(), 4);

    write(&*open(harness), "x", 1, vec![settled(&charge, 16)]);
    assert_eq!(spent(harness), [("a".to_owned(), 16, 1), ("a/b-c".to_owned(), 0, 0)]);

    send(&*open(harness), vec![closed("a/b-c"), closed("a"), closed("a")]);
    assert_eq!(kept(harness), StoredBudgets::default());
}

/// Whoever writes them: each finds what those before it have written.
pub fn changes_of_a_budget_add_up_in_a_group(harness: &dyn StoreHarness) {
    let charges = [key_of("a", "x", 1, 0), key_of("a", "y", 1, 0)];
    let extended = |by| changed("a", BudgetChange::Extend { by: tokens(by) });
    let group = [
        Batch::from_outside(vec![opened("a", 100), extended(10)]),
        Batch::of(path("x"), Epoch(1), vec![charged(&charges[0], 9)]),
        Batch::of(path("y"), Epoch(1), vec![charged(&charges[1], 9), settled(&charges[0], 2)]),
        Batch::from_outside(vec![extended(1), settled(&charges[1], 3)]),
    ];
    open(harness).commit(&group).expect("the store writes");

    let sums = StoredBudget { grant: BudgetGrant::tokens(111), spent: tokens(5), ..StoredBudget::default() };
    assert_eq!(kept(harness), StoredBudgets { budgets: vec![(node("a"), Ok(sums))], charges: Vec::new() });
}

/// Nor does a batch that is refused for something else.
pub fn a_stale_life_charges_and_settles_nothing(harness: &dyn StoreHarness) {
    let (charge, other) = (key_of("a", "x", 1, 0), key_of("a", "x", 1, 1));
    let store = open(harness);
    write(&*store, "x", 2, vec![charged(&charge, 9)]);
    let stale = Batch::of(path("x"), Epoch(1), vec![settled(&charge, 2), charged(&other, 9)]);
    assert_eq!(commit(&*store, stale), BatchOutcome::Stale { stored: Epoch(2) });
    let close = Record::Case { case: "t-1".into(), change: CaseChange::Close };
    let refused = commit(&*store, Batch::of(path("x"), Epoch(2), vec![settled(&charge, 2), close]));
    assert!(matches!(refused, BatchOutcome::Conflict { .. }), "{refused:?}");
    drop(store);
    assert_eq!(kept(harness).charges, [(charge, Ok(tokens(9)))]);
    assert_eq!(kept(harness).budgets, []);
}

/// Nobody takes it for an empty one; a charge as well.
pub fn a_damaged_budget_is_listed_as_such_until_it_is_opened_anew(harness: &dyn StoreHarness) {
    let charge = key_of("a", "x", 1, 0);
    let store = open(harness);
    send(&*store, vec![opened("a", 100)]);
    write(&*store, "x", 1, vec![charged(&charge, 9)]);
    drop(store);
    flip(harness, &budget_key(&node("a")));
    flip(harness, &charge_key(&charge));
    let damaged = StoredBudgets {
        budgets: vec![(node("a"), Err(DamageReason::Checksum))],
        charges: vec![(charge.clone(), Err(DamageReason::Checksum))],
    };
    assert_eq!(kept(harness), damaged);

    let store = open(harness);
    send(
        &*store,
        vec![changed("a", BudgetChange::Resume), changed("a", BudgetChange::Extend { by: tokens(5) })],
    );
    send(&*store, vec![closed("a")]);
    drop(store);
    assert_eq!(kept(harness), damaged);

    send(&*open(harness), vec![opened("a", 70), settled(&charge, 4)]);
    let mended = StoredBudget { grant: BudgetGrant::tokens(70), ..StoredBudget::default() };
    assert_eq!(kept(harness), StoredBudgets { budgets: vec![(node("a"), Ok(mended))], charges: Vec::new() });
}
