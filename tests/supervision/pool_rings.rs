//! Rings of waits and messages that move: a ring is found where the message went, and no move closes one.

use greenroom::{Actor, ActorRef, AskError, Context, Failure, Handler, Open, Routing};

use crate::crew::{Do, Job, Opening, beside, fell, moving, pool, routed};
use crate::support::{Stage, millis, secs};

/// Somebody outside of the pool, who does what it is asked to.
struct Outsider;

impl Actor for Outsider {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Outsider)
    }
}

impl Handler<Do> for Outsider {
    async fn handle(&mut self, work: Do, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        work.run().await
    }
}

async fn outsider(stage: &Stage) -> ActorRef<Outsider> {
    stage.runtime.spawn::<Outsider>("outsider", ()).await.expect("a fresh name")
}

/// Asks the outsider for nothing special; says the ring that this would have closed.
fn asks_back(outsider: &ActorRef<Outsider>) -> Do {
    let outsider = outsider.clone();
    Do::new(move || async move {
        match outsider.ask(Do::new(|| async { Ok("no ring".into()) })).await {
            Ok(answer) => Ok(answer),
            Err(AskError::WaitsInRing { ring, .. }) => {
                Ok(ring.iter().map(|path| path.name()).collect::<Vec<_>>().join(" "))
            }
            Err(other) => Ok(other.to_string()),
        }
    })
}

/// Goal: whoever looks for a ring finds the message where it is, not where it was sent to.
/// Method: an actor asks the pool; its message waits at member 1, moves to member 2, and is handled by asking back.
#[tokio::test(start_paused = true)]
async fn a_ring_is_found_where_the_message_went() {
    let (stage, crew, pool) = pool(2, |pool| moving(pool).routing(Routing::FirstAvailable)).await;
    let members = routed(&pool);
    let outsider = outsider(&stage).await;
    let [one, two] = &*members else { panic!("two members") };
    // The last that is down gets the message; then it hangs on, while the other is back.
    crew.opens("1", Opening::Hangs);
    crew.opens("2", Opening::Takes(millis(50)));
    two.kill();
    one.kill();
    stage.quiet().await;
    let asks = {
        let (pool, outsider) = (pool.clone(), outsider.clone());
        Do::new(move || async move { Ok(pool.ask(asks_back(&outsider)).await?) })
    };

    let answer = outsider.ask(asks).within(secs(60)).await.unwrap();

    assert_eq!(answer, "2 outsider 2");
    assert_eq!(stage.log.take(), ["start at 2", "work at 2"]);
    stage.end().await;
}

/// The story: a message moved to a member whose handler waited, by way of others, for the very asker of it. No ask was
/// made, so nobody looked for a ring, and all waited for their deadlines.
#[tokio::test(start_paused = true)]
async fn a_message_does_not_move_to_where_it_would_close_a_ring() {
    let (stage, crew, pool) = pool(3, moving).await;
    let members = routed(&pool);
    let outsider = outsider(&stage).await;
    let [one, two, three] = &*members else { panic!("three members") };
    crew.opens("1", Opening::Hangs);
    crew.opens("3", Opening::Takes(millis(300)));
    fell(&stage, three).await;
    fell(&stage, one).await;
    // The outsider waits for member 1, which is down, and member 2 for the outsider.
    let first = {
        let (one, outsider) = (one.clone(), outsider.clone());
        let asks =
            Do::new(move || async move { Ok(one.ask(Job(1)).within(secs(60)).await.expect("an answer")) });
        beside(async move { outsider.ask(asks).within(secs(60)).await }).await
    };
    stage.quiet().await;
    let second = {
        let (two, back) = (two.clone(), asks_back(&outsider));
        beside(async move { two.ask(back).within(secs(60)).await }).await
    };
    let begun = stage.runtime.clock().now();

    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());

    assert_eq!(first, "3", "it waited for member 3 rather than move to member 2");
    assert_eq!(second, "no ring");
    assert!(begun.elapsed() < secs(1), "{:?}", begun.elapsed());
    stage.end().await;
}

// ---- a member and its own pool ----

/// The story: a member that asked its own pool was chosen itself each time its turn came, and got a ring for an answer.
#[tokio::test(start_paused = true)]
async fn a_member_that_asks_its_own_pool_is_answered_by_a_colleague() {
    for routing in [Routing::RoundRobin, Routing::LeastLoaded, Routing::FirstAvailable, Routing::ByKey] {
        let (stage, _, pool) = pool(2, |pool| pool.routing(routing)).await;
        for _ in 0..3 {
            let inner = pool.clone();
            let asks = Do::new(move || async move { Ok(inner.ask(Job(1)).await?) });

            assert_eq!(pool.members()[0].ask(asks).await.unwrap(), "2", "{routing:?}");
        }
        stage.end().await;
    }
}

/// Nor does it ask itself when its colleagues are stopped: that is nobody, and a fallback may take over.
#[tokio::test(start_paused = true)]
async fn a_member_whose_colleagues_are_stopped_gets_its_message_back() {
    let (stage, _, pool) = pool(2, |pool| pool).await;
    pool.supervisor().terminate_child("2").await.unwrap();
    let inner = pool.clone();
    let asks = Do::new(move || async move { Ok(format!("{:?}", inner.ask(Job(1)).await.unwrap_err())) });

    let answer = pool.members()[0].ask(asks).await.unwrap();

    assert_eq!(answer, "RouteError(nobody of pool can take the message)");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_only_member_that_asks_its_own_pool_is_told_the_ring_at_once() {
    let (stage, _, pool) = pool(1, |pool| pool).await;
    let begun = stage.runtime.clock().now();
    let inner = pool.clone();
    let asks = Do::new(move || async move { Ok(format!("{:?}", inner.ask(Job(1)).await.unwrap_err())) });

    let answer = pool.members()[0].ask(asks).await.unwrap();

    assert_eq!(answer, "RouteError(the ask would close a ring: pool/1 -> pool/1)");
    assert_eq!(stage.runtime.clock().now(), begun);
    stage.end().await;
}
