//! Whether a supervisor hears those who ask, however busy its children keep it. ractor brings it the ends of its children
//! before any message, where Erlang has one queue for both.

use greenroom::{
    Actor, ChildSpec, Context, DynamicSupervisor, Failure, Handler, Message, Open, Restart, SuperviseExt,
};

use crate::support::{Child, Crash, Stage, Start, child, secs, sup};

/// Falls over its first message in each life, which it sends itself.
struct Falling;

struct Fall;

impl Message for Fall {
    type Reply = ();
}

impl Actor for Falling {
    type Args = ();
    type Inbox = Open<Self>;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Falling)
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let me = cx.me();
        cx.tell(&me, Fall).await.map_err(Failure::bug)
    }
}

impl Handler<Fall> for Falling {
    async fn handle(&mut self, _: Fall, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::bug("as in each life"))
    }
}

/// So many that there is always one that has just fallen.
fn falling() -> impl Iterator<Item = ChildSpec> {
    (0..32).map(|number| ChildSpec::actor::<Falling>(format!("falling-{number}"), ()))
}

/// The story: a supervisor that bears many restarts answered nobody while they went on: after each there was the next to
/// hear of. In real time: a paused clock waits until nobody moves.
#[tokio::test]
async fn a_supervisor_is_heard_while_its_children_fall_without_end() {
    let stage = Stage::new().await;
    let tree = stage.supervise(sup(falling()).intensity(u32::MAX, secs(3_600))).await;

    let answer = stage.runtime.clock().within(secs(10), tree.count_children()).await;

    let counts = answer.expect("it is heard within 10 s").expect("the supervisor runs");
    assert_eq!(counts.specs, 32);
    stage.end().await;
}

/// The story: as above; a child whose start failed once was never tried again.
#[tokio::test]
async fn a_start_that_failed_is_tried_again_while_siblings_fall_without_end() {
    let stage = Stage::new().await;
    let part = stage.part("a");
    let spec = sup(falling()).child(part.spec()).intensity(u32::MAX, secs(3_600));
    let tree = stage.supervise(spec).await;
    part.next_starts([Start::Fails]);
    stage.log.take();

    child(&tree, "a").tell(Crash).await.unwrap();
    let back = stage.runtime.clock().within(secs(10), stage.log.until("start a")).await;

    assert!(back.is_some(), "not within 10 s: {:?}", stage.log.take());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_fell_before_a_request_came_is_gone_when_it_is_answered() {
    let stage = Stage::new().await;
    let part = stage.part("x");
    let many = DynamicSupervisor::<Child>::named("many").restart(Restart::Temporary);
    let many = stage.runtime.supervise(many).await.unwrap().dynamic::<Child>();
    let mut children = Vec::new();
    for _ in 0..100 {
        children.push(many.start_unnamed(part.clone()).await.unwrap());
    }

    // The supervisor is busy with a start until all have fallen and the request waits.
    let slow = stage.part("slow");
    slow.always(Start::FailsAfter(secs(1)));
    let asked = async {
        stage.quiet().await;
        children.iter().for_each(|child| child.try_tell(Crash).expect("room"));
        stage.log.until_times("crash x", 100).await;
        many.count().await
    };
    let (failed, counts) = tokio::join!(many.start_unnamed(slow), asked);

    assert!(failed.is_err());
    assert_eq!(counts.unwrap().workers, 0);
    stage.end().await;
}
