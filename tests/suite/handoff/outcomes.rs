//! What the giver hears: the case is taken, comes back, or nobody can be asked.

use greenroom::{AskError, ExitReason, Fallback, HandoffFailure, HandoffId, MemoryStore, Role, Runtime};

use super::{
    Manner, Offer, Outcome, Side, billing, case, give, recorded, roles, stored, taker, team, technical,
    unstored,
};
use crate::support::{Board, Gate, Probe, end, keep, path, runtime, secs, soon};

/// Somebody lives at `name`, and then no more.
async fn come_and_go(runtime: &Runtime, name: &str, board: &Board) {
    let taker = runtime.spawn_spec(taker(name, Manner::Takes, board)).await.expect("it starts");
    taker.stop(secs(1)).await;
    taker.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_accepted_case_is_the_takers_and_the_giver_forgets_it() {
    let runtime = stored(MemoryStore::new(), team()).await;
    let board = Board::default();
    let spec = taker("taker", Manner::Takes, &board).durable();
    runtime.spawn_spec(spec).await.unwrap();
    let side = Side::durable(&runtime).await;

    let outcome = side.gives(&case("t-1")).await;

    let id = HandoffId { case: "t-1".into(), hop: 1 };
    assert_eq!(outcome, Outcome::Accepted { id, by: path("taker"), role: billing(), rerouted: false });
    assert_eq!(board.lines(), ["offered t-1/1 as billing", "took t-1/1"]);
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_case_comes_back_with_the_reason_and_stays_with_its_giver() {
    let runtime = stored(MemoryStore::new(), team()).await;
    runtime.spawn_spec(taker("taker", Manner::Refuses, &Board::default())).await.unwrap();
    let side = Side::durable(&runtime).await;

    let outcome = side.gives(&case("t-1")).await;

    let reason = "not ours".to_owned();
    assert_eq!(outcome, Outcome::Refused { handoff: recorded(case("t-1")), by: path("taker"), reason });
    assert_eq!(side.open().await, ["t-1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_that_nobody_is_up_for_stays_with_its_giver() {
    let members = [(billing(), &["not-yet", "no-more"][..]), (technical(), &[])];
    let runtime = stored(MemoryStore::new(), roles(members)).await;
    let board = Board::default();
    come_and_go(&runtime, "no-more", &board).await;
    let side = Side::durable(&runtime).await;

    for fallback in [Fallback::Return, Fallback::Next(technical()), Fallback::Next(Role::named("nobody"))] {
        let offer = case("t-1").or_else(fallback);
        let outcome = side.gives(&offer).await;

        let failure = HandoffFailure::NobodyUp(billing());
        assert_eq!(outcome, Outcome::Failed { handoff: recorded(offer), failure });
        assert_eq!(side.open().await, ["t-1"]);
    }
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_role_takes_the_case_while_the_role_is_down_and_both_sides_are_told() {
    let members = [(billing(), &["not-yet", "no-more"][..]), (technical(), &["up"])];
    let runtime = stored(MemoryStore::new(), roles(members)).await;
    let board = Board::default();
    come_and_go(&runtime, "no-more", &board).await;
    runtime.spawn_spec(taker("up", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime).await;

    let outcome = side.gives(&case("t-1").or_else(Fallback::Next(technical()))).await;

    let id = HandoffId { case: "t-1".into(), hop: 1 };
    assert_eq!(outcome, Outcome::Accepted { id, by: path("up"), role: technical(), rerouted: true });
    assert_eq!(board.lines(), ["offered t-1/1 as technical, rerouted", "took t-1/1"]);
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_role_is_not_asked_while_the_role_is_up() {
    let members = [(billing(), &["first"][..]), (technical(), &["second"])];
    let runtime = stored(MemoryStore::new(), roles(members)).await;
    let board = Board::default();
    runtime.spawn_spec(taker("first", Manner::Refuses, &Board::default())).await.unwrap();
    runtime.spawn_spec(taker("second", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime).await;

    let outcome = side.gives(&case("t-1").or_else(Fallback::Next(technical()))).await;

    assert!(matches!(outcome, Outcome::Refused { by, .. } if by == path("first")));
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_falls_over_each_delivery_of_the_offer_has_failed_and_the_case_stays() {
    let runtime = unstored(roles([(billing(), &["keeper/taker"])])).await;
    let board = Board::default();
    let taker = keep(&runtime, taker("taker", Manner::Panics, &board)).await;
    let side = Side::plain(&runtime).await;

    let outcome = side.gives(&case("t-1")).await;

    let Outcome::Failed { handoff, failure: HandoffFailure::TakerFailed { by, cause } } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((handoff, by), (case("t-1"), path("keeper/taker")));
    assert!(cause.contains("as the test wants"), "{cause}");
    assert_eq!(board.lines(), ["offered t-1/1 as billing"; 4]);
    assert_eq!(taker.exits.until(4).await, ["panicked"; 4]);
    assert_eq!(side.open().await, ["t-1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_gives_no_answer_in_time_leaves_the_case_with_its_giver() {
    let runtime = unstored(team()).await;
    let gate = Gate::new();
    let spec = taker("taker", Manner::TakesSlowly(gate.clone()), &Board::default());
    runtime.spawn_spec(spec).await.unwrap();
    let side = Side::plain(&runtime).await;
    let before = runtime.clock().now();

    let outcome = side.gives(&Offer { deadline: secs(2), ..case("t-1") }).await;

    let Outcome::Failed { failure: HandoffFailure::NoAnswer { by, .. }, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((by, runtime.clock().now() - before), (path("taker"), secs(2)));
    assert_eq!(side.open().await, ["t-1"]);
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_of_another_type_at_the_address_of_a_member_is_told_to_the_giver() {
    let runtime = unstored(team()).await;
    runtime.spawn::<Probe>("taker", Board::default()).await.unwrap();
    let side = Side::plain(&runtime).await;

    let outcome = side.gives(&case("t-1").or_else(Fallback::Next(technical()))).await;

    let cause = "a `Probe` lives at taker, not a `Taker`".to_owned();
    let failure = HandoffFailure::OtherMember { at: path("taker"), role: billing(), cause };
    let handoff = case("t-1").or_else(Fallback::Next(technical()));
    assert_eq!(outcome, Outcome::Failed { handoff, failure });
    assert_eq!(side.open().await, ["t-1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_without_the_roles_makes_a_handoff_a_bug_that_names_them() {
    let runtime = runtime().await;
    let side = Side::plain(&runtime).await;

    let asked = side.giver.ask(give(case("t-1"))).await;

    let exit = soon(side.giver.closed()).await;
    assert!(matches!(asked, Err(AskError::Stopped { .. })), "its message waits for a next life: {asked:?}");
    let Some(ExitReason::Failed { failure, .. }) = exit else { panic!("{exit:?}") };
    assert!(failure.to_string().contains("Roles<"), "{failure}");
    end(runtime).await;
}
