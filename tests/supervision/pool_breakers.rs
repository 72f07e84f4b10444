//! A pool with a breaker in front of each member: who is left alone, until when, and what counts.

use std::time::Duration;

use greenroom::{
    Backoff, Breaker, BreakerSpec, BreakerState, FailureClass, Pool, PoolRef, Route, RouteError, Routing,
    SuperviseExt,
};

use crate::crew::{
    Crew, Fail, Job, Member, Opening, ask_pool, beside, fell, jobs, moving, pool, routed, sleep,
};
use crate::support::{Stage, millis, secs};

const ALL: [Routing; 4] =
    [Routing::RoundRobin, Routing::LeastLoaded, Routing::FirstAvailable, Routing::ByKey];

/// For so long a breaker stays open.
const OPEN_FOR: Duration = Duration::from_secs(10);

fn after(failures: u32) -> BreakerSpec {
    let open_for = Backoff::constant(OPEN_FOR);
    BreakerSpec { failures_in_a_row: Some(failures), open_for, ..BreakerSpec::default() }
}

/// Opens at the second failure in a row.
fn guarded(pool: Pool<Member>) -> Pool<Member> {
    pool.breaker(after(2))
}

fn key_of(pool: &PoolRef<Member>, name: &str) -> [u8; 4] {
    let mut keys = (0..10_000_u32).map(u32::to_le_bytes);
    keys.find(|key| pool.by_key(key).path().name() == name).expect("each member has keys")
}

/// Lets that member fail so, asked by way of the pool.
async fn fail(pool: &PoolRef<Member>, name: &str, class: FailureClass) {
    let failed = pool.ask(Fail(class)).by_key(key_of(pool, name)).await;
    assert!(matches!(failed, Err(RouteError::Asked(_))), "{failed:?}");
}

/// Lets that member fail until its breaker is open.
async fn trip(pool: &PoolRef<Member>, name: &str) {
    for _ in 0..2 {
        fail(pool, name, FailureClass::External).await;
    }
    assert!(matches!(breaker(pool, name).state(), BreakerState::Open { .. }));
}

fn breaker(pool: &PoolRef<Member>, name: &str) -> Breaker {
    let member = pool.members().iter().find(|member| member.path().name() == name).expect("a member");
    member.place().breaker().expect("the pool has breakers")
}

async fn answers<const N: usize>(pool: &PoolRef<Member>) -> [String; N] {
    let mut by = [const { String::new() }; N];
    for name in &mut by {
        *name = pool.ask(Job(0)).await.expect("somebody can take it");
    }
    by
}

#[tokio::test(start_paused = true)]
async fn a_member_behind_an_open_breaker_is_passed_over() {
    for routing in ALL {
        let (stage, _, pool) = pool(3, |pool| guarded(pool).routing(routing)).await;
        fail(&pool, "1", FailureClass::External).await;
        assert_eq!(breaker(&pool, "1").state(), BreakerState::Closed, "one failure is borne");
        fail(&pool, "1", FailureClass::External).await;

        let by: [String; 6] = answers(&pool).await;

        assert!(!by.contains(&"1".to_owned()), "{routing:?}: {by:?}");
        assert_ne!(pool.pick().unwrap().path().name(), "1");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_breakers_leaves_nobody_alone() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    for _ in 0..20 {
        fail(&pool, "1", FailureClass::External).await;
    }

    assert_eq!(answers(&pool).await, ["1", "2", "1"]);
    assert!(pool.members()[0].place().breaker().is_none());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_all_breakers_are_open_the_message_goes_along_the_route_until_one_lets_a_trial_through() {
    let (stage, _, pool) = pool(2, guarded).await;
    let other = Stage::new().await;
    let fallback = crate::crew::supervise(&other, Crew::new(&other).pool(1)).await;
    let route = Route::to(pool.clone()).or(fallback.members()[0].clone());
    trip(&pool, "1").await;
    trip(&pool, "2").await;
    let begun = stage.runtime.clock().now();

    let refused = pool.ask(Job(1)).await.unwrap_err();
    let routed = route.ask(Job(2), secs(1)).await.unwrap();

    assert!(matches!(&refused, RouteError::NobodyAvailable { message: Job(1), .. }), "{refused:?}");
    assert!(!pool.is_ready() && pool.pick().is_none());
    assert_eq!((&*routed.reply, routed.step), ("1", 1));
    assert_eq!(stage.runtime.clock().now(), begun, "nobody has waited");

    sleep(&stage, OPEN_FOR).await;
    assert_eq!(route.ask(Job(3), secs(1)).await.unwrap().step, 0);
    stage.end().await;
    other.end().await;
}

/// Goal: as many trials as allowed, and no more; one that succeeds brings the member back.
#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_lets_its_trials_through_and_one_that_succeeds_closes_it() {
    let (stage, _, pool) = pool(2, |pool| guarded(pool).routing(Routing::FirstAvailable)).await;
    trip(&pool, "1").await;
    sleep(&stage, OPEN_FOR - millis(1)).await;
    assert_eq!(answers(&pool).await, ["2", "2"]);
    sleep(&stage, millis(1)).await;

    let bell = std::sync::Arc::new(tokio::sync::Notify::new());
    let trial = {
        let (pool, bell) = (pool.clone(), bell.clone());
        let work = crate::crew::Do::new(move || async move {
            bell.notified().await;
            Ok("done".to_owned())
        });
        beside(async move { pool.ask(work).await }).await
    };
    assert_eq!(breaker(&pool, "1").state(), BreakerState::HalfOpen);
    assert_eq!(answers(&pool).await, ["2", "2"], "there is one trial at a time");
    bell.notify_one();

    assert_eq!(trial.await.unwrap().unwrap(), "done");
    assert_eq!(breaker(&pool, "1").state(), BreakerState::Closed);
    assert_eq!(answers(&pool).await, ["1", "1"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_member_or_of_the_pool_leaves_the_breaker_as_it_is() {
    let (stage, _, pool) = pool(2, guarded).await;
    trip(&pool, "1").await;

    fell(&stage, &pool.members()[0]).await;
    assert_eq!(pool.members()[0].observe().restarts, 1);
    assert_eq!(answers(&pool).await, ["2", "2"]);
    stage.end().await;

    // A pool that comes back by its own supervisor.
    let stage = Stage::new().await;
    let top = crate::support::sup([greenroom::ChildSpec::pool(guarded(Crew::new(&stage).pool(2)))]);
    let top = stage.supervise(top).await;
    let pool = top.pool::<Member>("pool").await.unwrap();
    trip(&pool, "1").await;
    stage.log.take();
    pool.supervisor().place().kill();
    stage.log.until("start at 2").await;
    let later = top.pool::<Member>("pool").await.unwrap();

    for pool in [pool, later] {
        assert_eq!(answers(&pool).await, ["2", "2"]);
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn all_references_to_a_pool_share_its_breakers() {
    let (stage, _, pool) = pool(2, guarded).await;
    let second = pool.supervisor().as_pool::<Member>().await.unwrap();

    fail(&pool, "1", FailureClass::External).await;
    fail(&second, "1", FailureClass::External).await;

    for pool in [&pool, &second, &pool.clone()] {
        assert_eq!(answers(pool).await, ["2", "2"]);
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_ask_came_to_counts_as_for_every_breaker() {
    use FailureClass::{Bug, Cancelled, Exhausted, External, Invalid};
    for (class, counts) in
        [(Bug, true), (External, true), (Invalid, false), (Exhausted, false), (Cancelled, false)]
    {
        let (stage, _, pool) = pool(2, guarded).await;

        for _ in 0..2 {
            fail(&pool, "1", class).await;
            stage.quiet().await;
        }

        let is_open = matches!(breaker(&pool, "1").state(), BreakerState::Open { .. });
        assert_eq!(is_open, counts, "{class:?}");
        stage.end().await;
    }
}

/// The story that must not happen: a trial waits at a member that is down, moves, and is answered by a colleague; and
/// the member, still down, counts as mended.
#[tokio::test(start_paused = true)]
async fn an_answer_of_a_colleague_is_no_success_of_the_member() {
    let (stage, crew, pool) = pool(2, |pool| moving(guarded(pool)).routing(Routing::FirstAvailable)).await;
    trip(&pool, "1").await;
    crew.opens("1", Opening::Hangs);
    crew.opens("2", Opening::Takes(millis(50)));
    // While both are down the trial goes to the first.
    sleep(&stage, OPEN_FOR).await;
    pool.members()[1].kill();
    pool.members()[0].kill();
    stage.quiet().await;
    let trial = ask_pool(&pool, 1).await;
    assert_eq!(breaker(&pool, "1").state(), BreakerState::HalfOpen);
    sleep(&stage, secs(1)).await;

    assert_eq!(trial.await.unwrap().unwrap(), "2");
    assert_eq!(breaker(&pool, "1").state(), BreakerState::HalfOpen, "it has proved nothing yet");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_tell_goes_behind_an_open_breaker_only_when_nobody_else_is_there() {
    let (stage, _, pool) = pool(2, guarded).await;
    trip(&pool, "1").await;
    stage.log.take();

    pool.tell(Job(1)).await.unwrap();
    pool.tell(Job(2)).await.unwrap();
    stage.quiet().await;
    assert_eq!(jobs(&stage), ["1 at 2", "2 at 2"]);
    pool.supervisor().terminate_child("2").await.unwrap();
    pool.tell(Job(3)).await.unwrap();
    stage.quiet().await;

    assert_eq!(jobs(&stage), ["3 at 1"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_to_the_next_member_only_if_asked() {
    let (stage, _, pool) = pool(3, |pool| guarded(pool).routing(Routing::ByKey)).await;
    let key = key_of(&pool, "1");
    for round in 0..2 {
        if round == 0 {
            trip(&pool, "1").await;
        } else {
            sleep(&stage, OPEN_FOR).await;
            assert_eq!(pool.ask(Job(1)).by_key(key).await.unwrap(), "1");
            pool.supervisor().terminate_child("1").await.unwrap();
        }

        let refused = pool.ask(Job(1)).by_key(key).await.unwrap_err();
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(pool.ask(Job(2)).by_key_or_next(key).await.unwrap());
        }

        assert!(matches!(refused, RouteError::NobodyAvailable { message: Job(1), .. }), "{refused:?}");
        assert_ne!(others[0], "1");
        assert!(others.iter().all(|name| *name == others[0]), "always the same: {others:?}");
    }
    pool.supervisor().restart_child("1").await.unwrap();
    assert_eq!(pool.ask(Job(3)).by_key_or_next(key).await.unwrap(), "1");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_pool_goes_on_with_its_breakers_unless_their_spec_is_another() {
    let (stage, crew, pool) = pool(2, guarded).await;
    trip(&pool, "1").await;

    pool.supervisor().change(guarded(crew.pool(2)).watermark(0.5)).await.unwrap();
    let same = pool.supervisor().as_pool::<Member>().await.unwrap();
    assert_eq!(answers(&same).await, ["2", "2"]);
    pool.supervisor().change(crew.pool(2).breaker(after(3))).await.unwrap();
    let other = pool.supervisor().as_pool::<Member>().await.unwrap();

    assert_eq!(breaker(&other, "1").state(), BreakerState::Closed);
    let by: [String; 2] = answers(&other).await;
    assert!(by.contains(&"1".to_owned()), "{by:?}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_shows_its_breaker_in_the_tree() {
    let (stage, _, pool) = pool(2, guarded).await;
    let text = |stage: &Stage| stage.runtime.tree().to_string();
    assert!(text(&stage).lines().nth(1).unwrap().contains("running, breaker closed"), "{}", text(&stage));
    trip(&pool, "1").await;
    sleep(&stage, secs(4)).await;

    let tree = stage.runtime.tree();
    let seen = tree.node("pool/1").unwrap().breaker.clone().unwrap();
    assert!(matches!(seen.state, BreakerState::Open { .. }));
    assert_eq!(seen.next_trial.unwrap(), tree.taken_at + secs(6));
    assert!(tree.node("pool").unwrap().breaker.is_none());
    assert!(
        text(&stage).lines().nth(1).unwrap().contains("running, breaker open for 6 s"),
        "{}",
        text(&stage)
    );
    sleep(&stage, secs(6)).await;
    assert!(
        text(&stage).lines().nth(1).unwrap().contains("running, breaker due for a trial"),
        "{}",
        text(&stage)
    );

    let trial = {
        let way = routed(&pool)[0].clone();
        let bell = crate::crew::busy(&stage, &way).await;
        let key = key_of(&pool, "1");
        let asking = pool.clone();
        (bell, beside(async move { asking.ask(Job(1)).by_key(key).await }).await)
    };
    assert!(text(&stage).lines().nth(1).unwrap().contains("running, breaker half-open"), "{}", text(&stage));
    trial.0.notify_one();
    assert_eq!(trial.1.await.unwrap().unwrap(), "1");
    stage.end().await;
}
