//! Which of those who could take a case is offered it: always the same one, while it lives.

use std::collections::BTreeSet;
use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{ActorPath, AskError, HandoffFailure, MemoryStore, Roles, Runtime};

use super::{Case, Manner, Offer, Outcome, Side, billing, case, roles, stored, taker, unstored};
use crate::support::{Board, Comeback, Gate, Kept, Relaunch, end, keep_as, path, secs};

/// The first of these two is offered [`case`] `FOR_A`, for ever: the unit tests of the roles hold the choice fast.
const A_AND_B: [&str; 2] = ["keeper/a", "b"];
const FOR_A: &str = "t-1";

fn pool(names: &[&str]) -> Roles<Case> {
    roles([(billing(), names)])
}

async fn hire(runtime: &Runtime, names: &[&str]) {
    for name in names {
        runtime.spawn_spec(taker(name, Manner::Takes, &Board::default())).await.expect("it starts");
    }
}

/// `a` under a keeper who launches it again when told so, and `b`; a giver beside them.
async fn a_and_b(runtime: &Runtime) -> (Kept<super::Taker>, Side) {
    let a = keep_as(runtime, taker("a", Manner::Takes, &Board::default()).capacity(1), Comeback::WhenTold);
    let a = a.await;
    hire(runtime, &["b"]).await;
    (a, Side::plain(runtime).await)
}

#[track_caller]
fn taken_by(outcome: &Outcome) -> &ActorPath {
    match outcome {
        Outcome::Accepted { by, .. } => by,
        other => panic!("not accepted: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn roles_are_given_to_the_runtime_before_anybody_lives_at_their_addresses() {
    let runtime = unstored(pool(&["a"])).await;
    let side = Side::plain(&runtime).await;

    let early = side.gives(&case("t-1")).await;
    hire(&runtime, &["a"]).await;
    let late = side.gives(&case("t-1")).await;

    let failure = HandoffFailure::NobodyUp(billing());
    assert_eq!(early, Outcome::Failed { handoff: case("t-1"), failure });
    assert_eq!(taken_by(&late), &path("a"));
    end(runtime).await;
}

/// Goal: whoever took a case before is the one who is offered it again, whatever was forgotten in between.
/// Method: two processes, each of which makes its offers three times; the second lists the members the other way round.
#[tokio::test(start_paused = true)]
async fn a_repeated_offer_goes_to_the_same_member_also_from_another_process() {
    let mut takers = Vec::new();
    for members in [["a", "b", "c", "d"], ["d", "c", "b", "a"]] {
        let runtime = unstored(pool(&members)).await;
        hire(&runtime, &members).await;
        let side = Side::plain(&runtime).await;
        for _ in 0..3 {
            let mut round = Vec::new();
            for number in 1..=16 {
                let outcome = side.gives(&case(&format!("t-{number}"))).await;
                round.push(taken_by(&outcome).to_string());
            }
            takers.push(round);
        }
        end(runtime).await;
    }

    assert!(takers.iter().all(|round| *round == takers[0]), "{takers:#?}");
    assert_eq!(takers[0].iter().collect::<BTreeSet<_>>().len(), 4, "no case for some member");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_offer_waits_for_its_member_while_that_restarts() {
    let runtime = unstored(pool(&A_AND_B)).await;
    let (a, side) = a_and_b(&runtime).await;
    let first = side.gives(&case(FOR_A)).await;

    a.actor.kill();
    a.exits.until(1).await;
    side.giver.ask(super::give(case(FOR_A))).await.unwrap();
    runtime.clock().sleep(secs(10)).await;
    let while_down = side.heard_nothing().await;
    a.keeper.post(Relaunch(a.actor.path().clone())).unwrap();
    let again = side.outcome().await;

    assert_eq!((taken_by(&first), while_down), (a.actor.path(), true));
    assert_eq!(taken_by(&again), a.actor.path());
    end(runtime).await;
}

/// The story: an offer that waited at a member that was down moved to a colleague, like all that waited there, and the
/// giver was told that the member had the case.
#[tokio::test(start_paused = true)]
async fn an_offer_never_moves_to_a_colleague_of_its_member() {
    let runtime = unstored(pool(&A_AND_B)).await;
    let (a, side) = a_and_b(&runtime).await;
    a.actor.kill();
    a.exits.until(1).await;
    side.giver.ask(super::give(case(FOR_A))).await.unwrap();
    runtime.clock().sleep(secs(1)).await;
    assert_eq!(a.actor.observe().waiting, 1);

    let moved = a.actor.place().move_waiting(&[runtime.place(&path("b")).unwrap()]);
    a.keeper.post(Relaunch(a.actor.path().clone())).unwrap();
    let outcome = side.outcome().await;

    assert_eq!((moved, taken_by(&outcome)), (0, a.actor.path()));
    end(runtime).await;
}

/// A full mailbox is no reason to ask somebody else: the full one may have the case.
#[tokio::test(start_paused = true)]
async fn an_offer_waits_for_room_at_its_member_and_comes_back_when_there_is_none_in_time() {
    let runtime = unstored(pool(&A_AND_B)).await;
    let (a, side) = a_and_b(&runtime).await;
    a.actor.kill();
    a.exits.until(1).await;
    a.actor.tell(case("other")).await.unwrap();
    let before = runtime.clock().now();

    let full = side.gives(&Offer { deadline: secs(2), ..case(FOR_A) }).await;
    let waited = runtime.clock().now() - before;
    a.keeper.post(Relaunch(a.actor.path().clone())).unwrap();
    let again = side.gives(&case(FOR_A)).await;

    let Outcome::Failed { failure: HandoffFailure::NoAnswer { by, cause }, .. } = full else {
        panic!("{full:?}")
    };
    assert_eq!((&by, waited), (a.actor.path(), secs(2)));
    assert!(cause.contains("full"), "{cause}");
    assert_eq!(taken_by(&again), a.actor.path());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_falls_to_the_next_living_member_and_back_when_its_own_lives_again() {
    let pool_of_four = ["a", "b", "c", "d"];
    let runtime = unstored(pool(&pool_of_four)).await;
    hire(&runtime, &pool_of_four).await;
    let side = Side::plain(&runtime).await;
    let offer = async || side.gives(&case("t-1")).await;
    let mut order = Vec::new();

    for _ in pool_of_four {
        let by = taken_by(&offer().await).clone();
        let again = taken_by(&offer().await).clone();
        assert_eq!(by, again, "the next one is chosen by the id as well");
        let taker = runtime.place(&by).unwrap();
        taker.bring_down(Some(secs(1))).await;
        taker.closed().await;
        order.push(by);
    }
    let nobody = offer().await;
    hire(&runtime, &[order[0].as_str()]).await;
    let back = offer().await;

    assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 4);
    assert!(matches!(nobody, Outcome::Failed { failure: HandoffFailure::NobodyUp(_), .. }), "{nobody:?}");
    assert_eq!(taken_by(&back), &order[0]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_laid_aside_or_drains_is_passed_over() {
    for drains in [true, false] {
        let runtime = unstored(pool(&A_AND_B)).await;
        let gate = Gate::new();
        let spec = taker("a", Manner::TakesSlowly(gate.clone()), &Board::default());
        let a = keep_as(&runtime, spec, Comeback::WhenTold).await;
        hire(&runtime, &["b"]).await;
        let side = Side::plain(&runtime).await;
        if drains {
            a.actor.tell(case("other")).await.unwrap();
            gate.entered().await;
            a.actor.drain();
        } else {
            a.actor.kill();
            a.exits.until(1).await;
            a.actor.place().shelve();
        }

        let outcome = side.gives(&case(FOR_A)).await;

        assert_eq!(taken_by(&outcome), &path("b"), "drains: {drains}");
        gate.open();
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_durable_member_whose_store_has_failed_is_passed_over() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = stored(store.clone(), pool(&A_AND_B)).await;
    let spec = taker("a", Manner::Takes, &Board::default()).durable();
    let a = keep_as(&runtime, spec, Comeback::AtOnce).await;
    hire(&runtime, &["b"]).await;
    let side = Side::plain(&runtime).await;
    store.fail_commit_after(1, Fault::NoSpace);
    let failed = a.actor.ask(case("other")).await;

    let outcome = side.gives(&case(FOR_A)).await;

    assert!(matches!(failed, Err(AskError::StoreUnavailable { .. })), "{failed:?}");
    assert_eq!(taken_by(&outcome), &path("b"));
    end(runtime).await;
}
