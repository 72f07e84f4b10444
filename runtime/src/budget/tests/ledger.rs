//! What the tree allows, by hand.

use crate::address::ActorPath;
use crate::budget::{
    Amount, Book, BudgetError, BudgetGrant, BudgetPath, Dimension, Ledger, News, StopReason,
};
use crate::message::MessageId;
use crate::store::{ChargeKey, DamageReason, StoredBudget, StoredBudgets};
use crate::sync::lock;

fn path(text: &str) -> BudgetPath {
    BudgetPath::parse(text).unwrap()
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::ZERO }
}

/// A tenant with 100 tokens, a run with a slice of 60 of them, and an agent in it without a limit of its own.
fn tree() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.open(&path("acme"), BudgetGrant::tokens(100)).unwrap();
    ledger.open(&path("acme/run"), BudgetGrant::tokens(60)).unwrap();
    ledger.open(&path("acme/run/agent"), BudgetGrant::UNLIMITED).unwrap();
    ledger
}

/// Spent and reserved tokens.
fn sums(ledger: &Ledger, node: &str) -> (u64, u64) {
    let status = ledger.status(&path(node)).expect("it is there");
    (status.spent.tokens, status.reserved.tokens)
}

fn refused(node: &str, asked: u64, left: u64) -> String {
    let exhausted = BudgetError::Exhausted { node: path(node), dimension: Dimension::Tokens, asked, left };
    exhausted.to_string()
}

#[test]
fn a_slice_is_cut_from_what_lies_above_and_its_spending_moves_nothing_there() {
    let mut ledger = tree();
    assert_eq!((sums(&ledger, "acme"), sums(&ledger, "acme/run")), ((0, 60), (0, 0)));

    let call = ledger.reserve(&path("acme/run/agent"), tokens(50), None).unwrap();
    assert_eq!((sums(&ledger, "acme"), sums(&ledger, "acme/run")), ((0, 60), (0, 50)));
    ledger.settle(call, tokens(20)).unwrap();

    assert_eq!(sums(&ledger, "acme"), (20, 40));
    assert_eq!(sums(&ledger, "acme/run"), (20, 0));
    assert_eq!(sums(&ledger, "acme/run/agent"), (20, 0));
    assert_eq!(ledger.status(&path("acme/run")).unwrap().left(Dimension::Tokens), Some(40));
}

#[test]
fn a_refusal_names_the_limit_what_was_asked_and_what_is_left() {
    let mut ledger = tree();

    let run = ledger.reserve(&path("acme/run/agent"), tokens(61), None).unwrap_err();
    let tenant = ledger.reserve(&path("acme"), tokens(41), None).unwrap_err();
    let slice = ledger.open(&path("acme/other"), BudgetGrant::tokens(41)).unwrap_err();

    assert_eq!(run.to_string(), refused("acme/run", 61, 60));
    assert_eq!(tenant.to_string(), refused("acme", 41, 40));
    assert_eq!(slice.to_string(), refused("acme", 41, 40));
    assert_eq!(ledger.status(&path("acme/other")), None);
    ledger.reserve(&path("acme/run/agent"), tokens(60), None).unwrap();
    ledger.reserve(&path("acme"), tokens(40), None).unwrap();
}

/// A limit far above counts also where the nearer ones are of another kind.
#[test]
fn every_limit_above_is_asked_each_in_its_own_dimension() {
    let mut ledger = Ledger::default();
    ledger.open(&path("acme"), BudgetGrant::nano_usd(10)).unwrap();
    ledger.open(&path("acme/run"), BudgetGrant::tokens(10)).unwrap();
    ledger.open(&path("acme/run/agent"), BudgetGrant::calls(10)).unwrap();
    let agent = path("acme/run/agent");

    let too_dear = ledger.reserve(&agent, Amount { nano_usd: 11, ..Amount::call() }, None).unwrap_err();
    let too_long = ledger.reserve(&agent, Amount { tokens: 11, ..Amount::call() }, None).unwrap_err();

    assert_eq!(too_dear.to_string(), "the budget acme has $0.000000010 left, and $0.000000011 are asked for");
    assert_eq!(too_long.to_string(), refused("acme/run", 11, 10));
    ledger.reserve(&agent, Amount { tokens: 10, nano_usd: 10, millis: u64::MAX, calls: 10 }, None).unwrap();
}

#[test]
fn the_rest_of_a_closed_budget_goes_back_at_once_and_what_is_in_flight_when_it_is_settled() {
    let mut ledger = tree();
    let call = ledger.reserve(&path("acme/run/agent"), tokens(50), None).unwrap();

    let closed = ledger.close(&path("acme/run"));

    assert_eq!(closed, [path("acme/run/agent"), path("acme/run")], "the deepest first");
    assert_eq!(sums(&ledger, "acme"), (0, 50), "10 went back");
    assert!(ledger.reserve(&path("acme/run/agent"), tokens(1), None).is_err());
    assert!(ledger.open(&path("acme/run/other"), BudgetGrant::UNLIMITED).is_err());
    ledger.settle(call, tokens(20)).unwrap();
    assert_eq!(sums(&ledger, "acme"), (20, 0));
    assert_eq!(ledger.list(None, 10).len(), 1, "and nothing is left of it");
}

#[test]
fn a_bill_above_its_reservation_is_booked_as_overdraft_and_stops_its_budget_until_somebody_decides() {
    let mut ledger = tree();
    let agent = path("acme/run/agent");
    let call = ledger.reserve(&agent, tokens(50), None).unwrap();

    let news = ledger.settle(call, tokens(70)).unwrap();

    assert_eq!(sums(&ledger, "acme"), (70, 0), "more than the slice");
    let status = ledger.status(&path("acme/run")).unwrap();
    assert_eq!((status.spent, status.overdraft, status.stopped), (tokens(70), tokens(20), None));
    assert_eq!(ledger.status(&agent).unwrap().stopped, Some(StopReason::Overdraft));
    let stopped = News::Stopped { node: agent.clone(), why: StopReason::Overdraft, over: tokens(20) };
    assert!(news.contains(&stopped), "{news:?}");
    let refused = ledger.reserve(&agent, Amount::ZERO, None).unwrap_err();
    assert!(matches!(refused, BudgetError::Stopped { .. }), "{refused:?}");

    ledger.resume(&agent).unwrap();
    assert!(ledger.reserve(&agent, tokens(1), None).is_err(), "the run is over its limit");
    ledger.extend(&path("acme/run"), tokens(20)).unwrap();
    ledger.reserve(&agent, tokens(10), None).unwrap();
    assert_eq!(sums(&ledger, "acme"), (70, 10));
}

#[test]
fn a_suspected_call_stays_charged_until_it_is_reconciled() {
    let mut ledger = tree();
    let call = ledger.reserve(&path("acme/run"), tokens(50), None).unwrap();

    assert_eq!(ledger.suspect(call).unwrap().amount, tokens(50));
    assert_eq!(ledger.suspect(call), None, "told once");
    ledger.close(&path("acme"));

    assert_eq!(sums(&ledger, "acme/run"), (0, 50), "also when it is closed");
    assert_eq!(ledger.status(&path("acme")).unwrap().suspected, tokens(50));
    assert_eq!(ledger.all_suspected(Some(&path("acme"))).len(), 1);
    ledger.settle(call, tokens(20)).unwrap();
    assert!(ledger.suspected(call).is_err());
    assert_eq!(ledger.list(None, 10), []);
}

#[test]
fn each_threshold_is_told_once_and_again_after_an_extension() {
    let mut ledger = tree();
    let run = path("acme/run");
    let spend = |ledger: &mut Ledger, spent| {
        let call = ledger.reserve(&run, tokens(spent), None).unwrap();
        let news = ledger.settle(call, tokens(spent)).unwrap().into_iter();
        news.filter(|news| !matches!(news, News::Spent { .. })).collect::<Vec<_>>()
    };
    let passed =
        |node: &str, percent| News::Threshold { node: path(node), dimension: Dimension::Tokens, percent };

    assert_eq!(spend(&mut ledger, 29), []);
    assert_eq!(spend(&mut ledger, 1), [passed("acme/run", 50)]);
    assert_eq!(spend(&mut ledger, 1), []);
    assert_eq!(spend(&mut ledger, 29), [passed("acme/run", 80), passed("acme/run", 100), passed("acme", 50)]);
    ledger.extend(&path("acme/run"), tokens(40)).unwrap();
    assert_eq!(spend(&mut ledger, 20), [passed("acme/run", 80), passed("acme", 80)]);
}

#[test]
fn what_does_not_fit_into_64_bits_is_refused_and_changes_nothing() {
    let mut ledger = Ledger::default();
    ledger.open(&path("a/b"), BudgetGrant::UNLIMITED).unwrap();
    let call = ledger.reserve(&path("a/b"), tokens(u64::MAX), None).unwrap();

    let more = ledger.reserve(&path("a/b"), tokens(1), None).unwrap_err();
    let sibling = ledger.reserve(&path("a"), tokens(1), None).unwrap_err();
    assert!(matches!(more, BudgetError::Overflow { .. }) && matches!(sibling, BudgetError::Overflow { .. }));
    ledger.settle(call, tokens(5)).unwrap();
    let call = ledger.reserve(&path("a/b"), tokens(1), None).unwrap();

    assert!(ledger.settle(call, tokens(u64::MAX)).is_err());
    assert_eq!((sums(&ledger, "a"), sums(&ledger, "a/b")), ((5, 1), (5, 1)));
}

#[test]
fn to_open_what_is_open_leaves_it_as_it_is() {
    let mut ledger = tree();
    ledger.extend(&path("acme/run"), tokens(10)).unwrap();

    assert_eq!(ledger.open(&path("acme/run"), BudgetGrant::tokens(60)).unwrap(), []);
    assert_eq!(ledger.status(&path("acme/run")).unwrap().grant, BudgetGrant::tokens(70));
    let opened = ledger.open(&path("acme/run/agent"), BudgetGrant::tokens(50)).unwrap();
    assert_eq!(opened, [(path("acme/run/agent"), BudgetGrant::tokens(50))], "it had no grant so far");
    assert_eq!(sums(&ledger, "acme/run"), (0, 50));
}

/// Nobody takes it for an empty one; nor does a handler that opens its budget again mend it by that.
#[test]
fn a_damaged_budget_is_stopped_until_somebody_mends_it() {
    let kept = StoredBudget { grant: BudgetGrant::tokens(100), spent: tokens(30), ..StoredBudget::default() };
    let (node, actor) = (path("b"), ActorPath::parse("x").unwrap());
    let charge = ChargeKey { node, actor, message: MessageId(1), step: 0, attempt: 0 };
    let book = Book::default();
    book.recall(StoredBudgets {
        budgets: vec![(path("a"), Err(DamageReason::Checksum)), (path("b"), Ok(kept))],
        charges: vec![(charge, Err(DamageReason::Checksum))],
    });
    let mut ledger = lock(&book.ledger);

    for damaged in ["a", "b"] {
        let damaged = path(damaged);
        let is_refused = |refused: Result<(), BudgetError>| {
            assert!(matches!(refused, Err(BudgetError::Stopped { .. })), "{refused:?}");
        };
        is_refused(ledger.reserve(&damaged, tokens(1), None).map(drop));
        is_refused(ledger.resume(&damaged));
        is_refused(ledger.extend(&damaged, tokens(1)));
        is_refused(ledger.open(&damaged.child("c").unwrap(), BudgetGrant::UNLIMITED).map(drop));
        ledger.mend(&damaged, BudgetGrant::tokens(40)).unwrap();
        ledger.reserve(&damaged, tokens(10), None).unwrap();
        assert!(ledger.mend(&damaged, BudgetGrant::tokens(40)).is_err(), "it is whole");
    }
    assert_eq!(sums(&ledger, "a"), (0, 10));
    assert_eq!(sums(&ledger, "b"), (30, 10));
}
