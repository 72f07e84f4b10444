//! A place that lasts under a spec that does not: what its next life begins with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::{
    Actor, ActorRef, ActorSpec, AdminError, ChildSpec, Context, Failure, Handler, Message, Open, Restart,
    Runtime, SuperviseExt, Supervisor, SupervisorRef,
};

use crate::support::{OFTEN, secs, sup};

/// Knows what it was started with.
struct Told(u32);

impl Actor for Told {
    type Args = u32;
    type Inbox = Open<Self>;

    async fn start(args: &u32) -> Result<Self, Failure> {
        Ok(Told(*args))
    }
}

/// Answered with what the actor was started with, as its start and as its context saw it.
struct Which;

impl Message for Which {
    type Reply = (u32, u32);
}

impl Handler<Which> for Told {
    async fn handle(&mut self, _: Which, cx: &mut Context<'_, Self>) -> Result<(u32, u32), Failure> {
        Ok((self.0, *cx.args()))
    }
}

/// The actor falls over it each time.
#[derive(Clone)]
struct Fall;

impl Message for Fall {
    type Reply = ();
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Handler<Fall> for Told {
    async fn handle(&mut self, _: Fall, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("as told")
    }
}

fn told(args: u32) -> ChildSpec {
    ChildSpec::of(spec(args))
}

fn spec(args: u32) -> ActorSpec<Told> {
    ActorSpec::new("told", args).redeliveries(0)
}

async fn which(actor: &ActorRef<Told>) -> (u32, u32) {
    actor.ask(Which).within(secs(60)).await.expect("it answers")
}

/// Kills the supervisor `below` and waits for its next life.
async fn restart(below: &SupervisorRef) {
    let before = below.place().until(|_| true).await.started;
    below.place().kill();
    below.place().until(|now| now.started != before).await;
}

async fn runtime() -> Runtime {
    Runtime::builder().start().await.expect("an empty runtime starts")
}

async fn end(runtime: Runtime) {
    assert!(runtime.shutdown(secs(5)).await.is_clean());
}

/// The story: the place of a child outlived the supervisor, and with it the arguments of before: a spec that was made
/// anew with other arguments had no effect.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_claimed_begins_its_life_as_the_new_spec_says() {
    let runtime = runtime().await;
    let lives = Arc::new(AtomicU32::new(0));
    let made = Supervisor::from_fn("made", move || {
        let life = lives.fetch_add(1, Ordering::Relaxed);
        Ok(Some(sup([told(life)])))
    });
    let top = runtime.supervise(sup([ChildSpec::supervisor(made)])).await.unwrap();
    let actor = top.actor::<Told>("made/told").unwrap();
    assert_eq!(which(&actor).await, (0, 0));

    for life in 1..3 {
        restart(&top.below("made").unwrap()).await;
        assert_eq!(which(&actor).await, (life, life), "the reference is the one of before");
    }

    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_change_the_next_life_of_a_child_begins_as_the_new_spec_says() {
    let runtime = runtime().await;
    let tree = runtime.supervise(sup([told(1)])).await.unwrap();
    let actor = tree.actor::<Told>("told").unwrap();

    tree.change(sup([ChildSpec::of(spec(2).quarantine_after(1))])).await.unwrap();
    assert_eq!(which(&actor).await, (1, 1), "the life that runs goes on with what it began with");
    actor.ask(Fall).await.unwrap_err();

    assert_eq!(which(&actor).await, (2, 2));
    assert!(actor.quarantined().is_empty());
    actor.ask(Fall).await.unwrap_err();
    assert_eq!(actor.quarantined().len(), 1, "its settings are those of the new spec too");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_change_a_supervisor_below_begins_its_next_life_as_the_new_spec_says() {
    let runtime = runtime().await;
    let below = |args| {
        ChildSpec::supervisor(Supervisor::named("below").intensity(OFTEN.0, OFTEN.1).child(told(args)))
    };
    let tree = runtime.supervise(sup([below(1)])).await.unwrap();
    let actor = tree.actor::<Told>("below/told").unwrap();

    tree.change(sup([below(2)])).await.unwrap();
    actor.ask(Fall).await.unwrap_err();
    assert_eq!(which(&actor).await, (1, 1), "its supervisor still lives its old life");
    restart(&tree.below("below").unwrap()).await;

    assert_eq!(which(&actor).await, (2, 2));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_leaves_the_next_life_as_it_was() {
    let runtime = runtime().await;
    let tree =
        runtime.supervise(sup([told(1), ChildSpec::supervisor(Supervisor::named("x"))])).await.unwrap();
    let actor = tree.actor::<Told>("told").unwrap();

    let refused = tree.change(sup([told(2), ChildSpec::actor::<Told>("x", 3)])).await;
    actor.ask(Fall).await.unwrap_err();

    assert!(refused.is_err(), "a supervisor lives there");
    assert_eq!(which(&actor).await, (1, 1));
    end(runtime).await;
}

/// Who is claimed by the very spec that made it keeps what was changed since.
#[tokio::test(start_paused = true)]
async fn what_was_changed_in_a_supervisor_outlives_the_one_above() {
    let runtime = runtime().await;
    let below = Supervisor::named("below").intensity(OFTEN.0, OFTEN.1).child(told(1));
    let middle = Supervisor::named("middle").child(ChildSpec::supervisor(below));
    let top = runtime.supervise(sup([ChildSpec::supervisor(middle)])).await.unwrap();
    let actor = top.actor::<Told>("middle/below/told").unwrap();
    let changed = sup([told(2).restart(Restart::Transient)]);
    top.below("middle/below").unwrap().change(changed).await.unwrap();

    restart(&top.below("middle").unwrap()).await;

    assert_eq!(which(&actor).await, (2, 2));
    end(runtime).await;
}

/// The story: a change that was refused for its second child left a place for the first, whose mailbox took messages for
/// ever.
#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_leaves_no_places() {
    let runtime = runtime().await;
    let tree = runtime.supervise(sup([ChildSpec::supervisor(Supervisor::named("x"))])).await.unwrap();

    let refused = tree.change(sup([told(1), ChildSpec::actor::<Told>("x", 1)])).await;

    assert!(matches!(refused, Err(AdminError::Place(_))), "{refused:?}");
    assert!(tree.actor::<Told>("told").is_err());
    end(runtime).await;
}
