//! Chains of fallbacks: who takes over when nobody of a role can, and that the role has its work back afterwards.

use greenroom::{
    Actor, AskError, Context, Failure, FailureClass, Handler, Open, PoolRef, Recipient, Route, RouteError,
};

use crate::crew::{Crew, Do, Fail, Job, Member, Opening, beside, busy, fell, pool, supervise};
use crate::support::{Stage, millis, secs};

/// Who answers in their stead.
struct Manager;

impl Actor for Manager {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Manager)
    }
}

impl Handler<Job> for Manager {
    async fn handle(&mut self, _: Job, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        Ok(cx.path().name().to_owned())
    }
}

impl Handler<Fail> for Manager {
    async fn handle(&mut self, _: Fail, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        Ok(cx.path().name().to_owned())
    }
}

impl Handler<Do> for Manager {
    async fn handle(&mut self, work: Do, _: &mut Context<'_, Self>) -> Result<String, Failure> {
        work.run().await
    }
}

async fn manager(stage: &Stage, name: &str) -> greenroom::ActorRef<Manager> {
    stage.runtime.spawn::<Manager>(name, ()).await.expect("a fresh name")
}

/// Who answers, and at which step.
async fn asked(route: &Route<Job>) -> (String, usize) {
    let routed = route.ask(Job(0), secs(5)).await.expect("somebody answers");
    (routed.reply, routed.step)
}

async fn stop(pool: &PoolRef<Member>, name: &str) {
    pool.supervisor().terminate_child(name).await.expect("there is such a member");
}

#[tokio::test(start_paused = true)]
async fn the_fallback_answers_while_all_are_down_and_the_first_step_again_afterwards() {
    let (stage, crew, pool) = pool(2, |pool| pool).await;
    let route = Route::to(pool.clone()).or(manager(&stage, "manager").await);
    assert_eq!(asked(&route).await, ("1".into(), 0));
    for name in ["1", "2"] {
        crew.opens(name, Opening::Takes(millis(120)));
    }

    fell(&stage, &pool.members()[0]).await;
    assert_eq!(asked(&route).await, ("2".into(), 0), "one is still up");
    pool.members()[1].kill();
    stage.quiet().await;
    let begun = stage.runtime.clock().now();
    for _ in 0..3 {
        assert_eq!(asked(&route).await, ("manager".into(), 1));
    }
    assert_eq!(stage.runtime.clock().now(), begun, "nobody has waited");

    stage.log.until("start at 1").await;
    assert_eq!(asked(&route).await, ("1".into(), 0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_answers_when_all_are_stopped_and_when_the_pool_is_gone() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    let route = Route::to(pool.clone()).or(manager(&stage, "manager").await);
    for name in ["1", "2"] {
        stop(&pool, name).await;
    }
    assert_eq!(asked(&route).await, ("manager".into(), 1));
    pool.supervisor().restart_child("2").await.unwrap();
    assert_eq!(asked(&route).await, ("2".into(), 0));

    pool.supervisor().stop(secs(5)).await;
    pool.supervisor().closed().await;

    assert_eq!(asked(&route).await, ("manager".into(), 1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_gone_along_to_its_end() {
    let stage = Stage::new().await;
    let crew = Crew::new(&stage);
    let first = supervise(&stage, crew.pool(1)).await;
    let (second, third) = (manager(&stage, "second").await, manager(&stage, "third").await);
    let third: Recipient<Job> = third.into();
    let route = Route::to(first.clone()).or(second.clone()).or(third.clone());
    assert_eq!(format!("{route:?}"), "[ActorPath(pool), ActorPath(second), ActorPath(third)]");

    stop(&first, "1").await;
    assert_eq!(asked(&route).await, ("second".into(), 1));
    second.stop(secs(1)).await;
    second.closed().await;
    assert_eq!(asked(&route).await, ("third".into(), 2));
    third.place().kill();
    third.place().closed().await;

    let nobody = route.ask(Job(5), secs(5)).await.unwrap_err();
    assert_eq!(nobody.to_string(), "nobody of third can take the message");
    assert_eq!(nobody.into_message(), Some(Job(5)));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_nobody_runs_the_message_waits_at_the_first_step_that_comes_back() {
    let (stage, crew, pool) = pool(1, |pool| pool).await;
    let gone = manager(&stage, "manager").await;
    gone.stop(secs(1)).await;
    gone.closed().await;
    let route = Route::to(gone).or(pool.clone());
    crew.opens("1", Opening::Takes(millis(70)));
    fell(&stage, &pool.members()[0]).await;

    assert_eq!(asked(&route).await, ("1".into(), 1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_where_all_have_enough_is_passed_over() {
    let (stage, _, pool) = pool(1, |pool| pool.each(|spec| spec.capacity(1))).await;
    let route = Route::to(pool.clone()).or(manager(&stage, "manager").await);
    let bell = busy(&stage, &pool.members()[0]).await;
    let waiting = {
        let route = route.clone();
        beside(async move { asked(&route).await }).await
    };
    assert!(!waiting.is_finished(), "there is room for one");
    assert_eq!(asked(&route).await, ("manager".into(), 1));
    bell.notify_one();
    assert_eq!(waiting.await.unwrap(), ("1".into(), 0));

    assert_eq!(asked(&route).await, ("1".into(), 0));
    stage.end().await;
}

/// Goal: an answer is an answer; the fallback is for those who cannot be asked.
#[tokio::test(start_paused = true)]
async fn an_error_after_acceptance_is_not_answered_by_the_fallback() {
    let (stage, _, pool) = pool(1, |pool| pool).await;
    let manager = manager(&stage, "manager").await;
    let route = Route::<Fail>::to(pool.clone()).or(manager.clone());

    let refused = route.ask(Fail(FailureClass::Invalid), secs(5)).await.unwrap_err();
    let fallen = route.ask(Fail(FailureClass::Bug), secs(5)).await.unwrap_err();

    assert!(matches!(refused, RouteError::Asked(AskError::Refused { .. })), "{refused:?}");
    assert!(matches!(fallen, RouteError::Asked(AskError::ActorFailed { .. })), "{fallen:?}");
    stage.end().await;
}

/// Goal: a step that would close a ring is a mistake in the program, not a step that is down.
#[tokio::test(start_paused = true)]
async fn a_ring_of_waits_is_told_and_not_mended_by_the_fallback() {
    let (stage, _, pool) = pool(1, |pool| pool).await;
    let route = Route::<Job>::to(pool.clone()).or(manager(&stage, "manager").await);
    let asks_its_own_role = Do::new(move || async move {
        match route.ask(Job(1), secs(5)).await {
            Err(RouteError::Asked(AskError::WaitsInRing { ring, .. })) => Ok(format!("{}", ring.len())),
            other => panic!("{other:?}"),
        }
    });

    assert_eq!(pool.ask(asks_its_own_role).await.unwrap(), "2");
    stage.end().await;
}
