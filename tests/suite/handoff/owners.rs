//! Who owns a case: one actor at every instant, by a record that giver and taker share.

use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    ActorPath, AskError, CaseOffer, CaseOwner, CommitError, Decision, HandoffOutcome, MemoryStore, Roles,
    Runtime, Store,
};
use serde::de::DeserializeOwned;

use super::{
    Case, Give, Giver, Manner, Outcome, Side, Taker, billing, case, give, recorded, roles, stored, taker,
    team, unstored,
};
use crate::steps::process;
use crate::support::{Board, Gate, act, end, path, secs, soon};

fn owned(owner: &str, hop: u32, offered: bool) -> Option<CaseOwner> {
    let offer = offered.then(|| CaseOffer { hop: hop + 1, to: billing().to_string() });
    Some(CaseOwner { owner: path(owner), hop, offer })
}

async fn owner(runtime: &Runtime) -> Option<CaseOwner> {
    runtime.owner_of("t-1").await.expect("the store says who")
}

/// A durable giver, and a durable taker of that manner.
async fn pair(runtime: &Runtime, manner: Manner) -> (Side, Board) {
    let board = Board::default();
    runtime.spawn_spec(taker("taker", manner, &board).durable()).await.expect("the taker starts");
    (Side::durable(runtime).await, board)
}

/// Goal: whoever asks finds one owner, whatever has been done so far.
/// Method: the commits of giver and taker are held one after the other, and the owner is asked for before and after each.
#[tokio::test(start_paused = true)]
async fn whoever_asks_finds_one_owner_at_each_point_of_a_handoff() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let gate = Gate::new();
    let (side, _) = pair(&runtime, Manner::TakesSlowly(gate.clone())).await;
    assert_eq!(owner(&runtime).await, None);

    side.giver.ask(give(case("t-1"))).await.unwrap();
    gate.entered().await;
    let offered = owner(&runtime).await;
    let listed = runtime.cases_of(side.giver.path(), None, 9).await.unwrap();
    gate.open();
    let outcome = side.outcome().await;

    assert_eq!(offered, owned("keeper/giver", 0, true));
    assert_eq!(listed, [("t-1".to_owned(), offered.unwrap())]);
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(owner(&runtime).await, owned("taker", 1, false));
    assert_eq!(runtime.cases_of(side.giver.path(), None, 9).await.unwrap(), []);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_case_is_still_its_givers_by_the_record() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let (side, _) = pair(&runtime, Manner::Refuses).await;

    let outcome = side.gives(&case("t-1")).await;

    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    assert_eq!(owner(&runtime).await, owned("keeper/giver", 0, true));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_neither_opens_nor_offers_a_case() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let (side, board) = pair(&runtime, Manner::Takes).await;

    let failed = side.giver.ask(Give { offer: case("t-1"), fails: true }).await;

    assert!(matches!(failed, Err(AskError::Refused { .. })), "{failed:?}");
    assert_eq!((owner(&runtime).await, board.lines()), (None, Vec::new()));
    end(runtime).await;
}

/// What the store has of the state of `actor`.
fn state<S: DeserializeOwned>(store: &MemoryStore, actor: &str) -> Option<S> {
    let snapshot = store.scan(&path(actor)).expect("the store reads").snapshot?;
    Some(rmp_serde::from_slice(&snapshot.state).expect("a state of the test"))
}

/// Holds the record of the case against the states of giver and taker, as the store has them.
#[track_caller]
fn assert_one_owner(store: &MemoryStore, what: &str) {
    let is_open = state::<Giver>(store, "keeper/giver").is_some_and(|giver| giver.open.contains_key("t-1"));
    let is_taken = state::<Taker>(store, "taker").is_some_and(|taker| taker.taken == [case("t-1").id]);
    let expected = match (is_open, is_taken) {
        (_, true) => owned("taker", 1, false),
        (true, false) => owned("keeper/giver", 0, true),
        (false, false) => None,
    };
    assert_eq!(store.case("t-1").expect("the store reads"), expected, "{what}");
}

/// Goal: also when the process dies between offer and acceptance, one owner is found, and it is who has the case; and then
/// the handoff comes to its end, with the case taken once.
/// Method: the store dies before, or right after, its commit number `n`, for each `n` until the giver has heard; then a new
/// process begins on its content.
#[test]
fn a_case_has_one_owner_wherever_the_process_ends_and_is_taken_once() {
    let mut ends = 0;
    let before = process(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let runtime = stored(store.clone(), team()).await;
        pair(&runtime, Manner::Takes).await;
        store.commits()
    });
    for fault in [Fault::Write, Fault::CrashAfterCommit] {
        for nth in 1.. {
            let store = MemoryStore::new();
            let what = format!("{fault:?} at {nth}");
            let has_heard = process(async {
                let faulty = FaultyStore::new(store.clone()).fail_commit(before + nth, fault);
                let runtime = stored(faulty, team()).await;
                let (side, _) = pair(&runtime, Manner::Takes).await;
                if side.giver.ask(give(case("t-1"))).with_id("x").within(secs(60)).await.is_err() {
                    return false;
                }
                let mut heard = side.heard.lock().await;
                let outcome = runtime.clock().within(secs(60), heard.recv()).await.flatten();
                drop(heard);
                outcome.is_some() && side.giver.ask(super::Cases).within(secs(60)).await.is_ok()
            });
            assert_one_owner(&store, &what);
            if has_heard {
                break;
            }
            ends += 1;
            process(async {
                let runtime = stored(store.clone(), team()).await;
                let (side, _) = pair(&runtime, Manner::Takes).await;
                side.giver.ask(give(case("t-1"))).with_id("x").await.unwrap();
                while !side.open().await.is_empty() {
                    side.outcome().await;
                }
                end(runtime).await;
            });
            assert_one_owner(&store, &what);
            assert_eq!(store.case("t-1").unwrap(), owned("taker", 1, false), "{what}");
        }
    }
    assert!(ends >= 6, "only {ends} ends");
}

/// Goal: a giver that never heard of the acceptance learns it from the record, and asks nobody.
/// Method: the process ends right behind the taker's commit. In the next one nobody lives where the taker lived.
#[test]
fn a_giver_whose_case_was_accepted_in_an_earlier_process_hears_who_has_it() {
    let store = MemoryStore::new();
    process(async {
        let faulty = Arc::new(FaultyStore::new(store.clone()));
        let runtime = stored(faulty.clone(), team()).await;
        let gate = Gate::new();
        let (side, _) = pair(&runtime, Manner::TakesSlowly(gate.clone())).await;
        side.giver.ask(give(case("t-1"))).await.unwrap();
        gate.entered().await;
        let next = faulty.commits() + 1;
        faulty.fail_next_commit(Fault::CrashAfterCommit);
        gate.open();
        soon(faulty.commit_arrived(next)).await;
    });
    assert_one_owner(&store, "after the taker's commit");
    process(async {
        let runtime = stored(store.clone(), team()).await;
        let side = Side::durable(&runtime).await;

        let outcome = side.outcome().await;

        assert_eq!(outcome, Outcome::Over { id: case("t-1").id, owner: Some(path("taker")) });
        assert!(side.open().await.is_empty());
        end(runtime).await;
    });
}

/// Goal: a repeated offer is recognised by the record alone, whatever the taker remembers.
/// Method: the offer comes twice to a taker that has forgotten, in its state, what it took.
#[tokio::test(start_paused = true)]
async fn an_offer_that_is_repeated_is_recognised() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let (side, board) = pair(&runtime, Manner::TakesAndForgets).await;
    let first = side.gives(&case("t-1")).await;
    let offers = runtime.resource::<Roles<Case>>().unwrap();

    let again = offers.offer(&runtime, recorded(case("t-1"))).await;

    assert_eq!(first, again);
    let offered = "offered t-1/1 as billing";
    assert_eq!(board.lines(), [offered, "took t-1/1", offered]);
    assert_eq!(owner(&runtime).await, owned("taker", 1, false));
    end(runtime).await;
}

/// Goal: of two who accept the same offer one has the case, and the other is told who; neither falls over it.
/// Method: both have read that the offer is pending, and stand in the gate. The second commit finds the first one's.
#[tokio::test(start_paused = true)]
async fn of_two_takers_of_one_offer_one_has_the_case_and_the_other_hears_who() {
    let runtime = stored(MemoryStore::new(), roles([(billing(), &["a"])])).await;
    let (board, gate) = (Board::default(), Gate::new());
    let mut takers = Vec::new();
    for name in ["a", "b"] {
        let spec = taker(name, Manner::TakesSlowly(gate.clone()), &board).durable();
        takers.push(runtime.spawn_spec(spec).await.unwrap());
    }
    let side = Side::durable(&runtime).await;
    side.giver.ask(give(case("t-1"))).await.unwrap();
    gate.entered().await;
    let offer = recorded(case("t-1"));
    let both_stand_in_the_gate = async {
        gate.entered().await;
        gate.open();
        side.outcome().await
    };
    let second = async { takers[1].ask(offer).within(secs(60)).await };
    let (first, second) = tokio::join!(both_stand_in_the_gate, second);
    let second = second.expect("it answers");

    let has_it = owner(&runtime).await.unwrap().owner;
    match has_it == path("a") {
        true => {
            assert!(matches!(first, Outcome::Accepted { .. }), "{first:?}");
            assert_eq!(second, Decision::Over { owner: Some(has_it) });
        }
        false => {
            assert_eq!(first, Outcome::Over { id: case("t-1").id, owner: Some(has_it) });
            assert_eq!(second, Decision::Accepted);
        }
    }
    end(runtime).await;
}

/// Goal: an offer that is withdrawn while its taker accepts it is not taken: the commit does not hold, the handler runs again,
/// and the taker finds a typed answer instead of falling over it.
#[tokio::test(start_paused = true)]
async fn an_offer_that_is_withdrawn_meanwhile_is_over_and_no_crash() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let gate = Gate::new();
    let (side, board) = pair(&runtime, Manner::TakesSlowly(gate.clone())).await;
    side.giver.ask(give(case("t-1"))).await.unwrap();
    gate.entered().await;
    let giver = side.giver.path().clone();

    runtime.assign_case("t-1", Some(giver.clone()), Some(giver.clone())).await.unwrap();
    gate.open();
    let outcome = side.outcome().await;

    assert_eq!(outcome, Outcome::Over { id: case("t-1").id, owner: Some(giver.clone()) });
    assert_eq!(owner(&runtime).await, Some(CaseOwner { owner: giver, hop: 1, offer: None }));
    let offered = "offered t-1/1 as billing";
    assert_eq!(board.lines(), [offered, "took t-1/1", offered], "run again once, and the same life");
    assert_eq!(runtime.place(&path("taker")).unwrap().observe().restarts, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_that_is_nobodys_or_somebody_elses_is_not_offered() {
    for other in [None, Some(path("else"))] {
        let runtime = stored(MemoryStore::new(), team()).await;
        let (side, board) = pair(&runtime, Manner::Refuses).await;
        side.gives(&case("t-1")).await;
        let giver = side.giver.path().clone();
        runtime.assign_case("t-1", Some(giver), other.clone()).await.unwrap();
        let before = board.lines();

        let outcome = side.gives(&case("t-1")).await;

        assert_eq!(outcome, Outcome::Over { id: case("t-1").id, owner: other });
        assert_eq!(board.lines(), before);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_handoff_is_in_memory_and_nobody_owns_a_case_by_a_record() {
    let runtime = unstored(team()).await;
    let board = Board::default();
    runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::plain(&runtime).await;

    let outcome = side.gives(&case("t-1")).await;

    assert!(matches!(outcome, HandoffOutcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(owner(&runtime).await, None);
    let assigned = runtime.assign_case("t-1", None, Some(path("taker"))).await;
    assert!(matches!(assigned, Err(CommitError::Store(_))), "{assigned:?}");
    end(runtime).await;
}

/// A taker that keeps nothing cannot own a case: by the record it stays with the giver, who closes it.
#[tokio::test(start_paused = true)]
async fn a_case_that_a_taker_without_a_store_accepted_stays_its_givers_by_the_record() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let board = Board::default();
    runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime).await;

    let outcome = side.gives(&case("t-1")).await;

    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    assert_eq!(owner(&runtime).await, owned("keeper/giver", 0, true));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_durable_taker_owns_the_case_of_a_giver_that_keeps_none() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let board = Board::default();
    runtime.spawn_spec(taker("taker", Manner::TakesAndForgets, &board).durable()).await.unwrap();
    let side = Side::plain(&runtime).await;

    for _ in 0..2 {
        let outcome = side.gives(&case("t-1")).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }

    assert_eq!(owner(&runtime).await, owned("taker", 0, false));
    assert_eq!(board.lines().iter().filter(|line| line.starts_with("took")).count(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_is_not_durable_owns_no_cases() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let board = Board::default();
    let probe = runtime.spawn::<crate::support::Probe>("probe", board.clone()).await.unwrap();

    let deed = act(|_, cx| {
        Box::pin(async move {
            cx.open_case("t-1").await?;
            Ok(0)
        })
    });
    drop(probe.ask(deed).await);

    let exit = soon(probe.closed()).await;
    assert!(format!("{exit:?}").contains("is not durable"), "{exit:?}");
    assert_eq!(owner(&runtime).await, None);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_cases_of_one_owner_are_listed_in_pages_past_those_of_others() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let (mine, other) = (path("mine"), path("other"));
    for n in 0..600 {
        let of: &ActorPath = if n % 200 == 7 { &mine } else { &other };
        runtime.assign_case(&format!("c-{n:03}"), None, Some(of.clone())).await.unwrap();
    }

    let names = |page: Vec<(String, CaseOwner)>| page.into_iter().map(|(case, _)| case).collect::<Vec<_>>();
    let two = names(runtime.cases_of(&mine, None, 2).await.unwrap());
    let rest = names(runtime.cases_of(&mine, two.last().map(String::as_str), 2).await.unwrap());

    assert_eq!((two, rest), (vec!["c-007".to_owned(), "c-207".to_owned()], vec!["c-407".to_owned()]));
    assert_eq!(runtime.cases(Some("c-598"), 9).await.unwrap().len(), 1);
    end(runtime).await;
}
