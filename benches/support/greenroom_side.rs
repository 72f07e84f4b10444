//! The workloads on our own actors.
#![expect(clippy::disallowed_methods, reason = "a benchmark owns its tasks")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_runtime::overseer::{ChildExit, Flow, Overseer, OverseerContext, OverseerRef, PlaceSpec};
use greenroom_runtime::{
    Accepts, Actor, ActorPath, ActorRef, ActorSpec, Address, Context, ExitReason, Failure, Handler, Message,
    Open, Place, Runtime, inbox,
};
use tokio::sync::Notify;

use super::workload::{CAPACITY, DEADLINE, Hit, PRODUCERS, Side, Tally, Workload, timed};

pub(crate) async fn run(side: Side, workload: Workload, times: u64) -> Duration {
    let runtime = Runtime::builder().start().await.expect("nothing is in the way of a new runtime");
    let took = match (workload, side) {
        (Workload::Tell, Side::Open) => tell::<OpenCounter>(&runtime, times, 1).await,
        (Workload::Tell, _) => tell::<Counter>(&runtime, times, 1).await,
        (Workload::FanIn, _) => tell::<Counter>(&runtime, times, PRODUCERS).await,
        (Workload::Ask, Side::Open) => ask::<OpenCounter>(&runtime, times).await,
        (Workload::Ask, _) => ask::<Counter>(&runtime, times).await,
        (Workload::PingPong, _) => ping_pong(&runtime, times).await,
        (Workload::Spawn, _) => spawn(&runtime, times).await,
        (Workload::Restart, _) => restart(&runtime, times).await,
    };
    runtime.shutdown(Duration::from_secs(10)).await;
    took
}

// ---- tell, ask, spawn ----

impl Message for Hit {
    type Reply = u64;
}

/// A message that the counter falls over.
struct Crash;

impl Message for Crash {
    type Reply = ();
}

/// Taken by the first life; later ones count for nobody.
type First = Mutex<Option<Tally>>;

fn first(args: &First) -> Tally {
    args.lock().expect("nobody panics while he holds it").take().unwrap_or_else(Tally::endless)
}

struct Counter(Tally);

inbox!(CounterInbox for Counter: Hit, Crash);

impl Actor for Counter {
    type Args = First;
    type Inbox = CounterInbox;
    async fn start(args: &First) -> Result<Self, Failure> {
        Ok(Counter(first(args)))
    }
}

impl Handler<Hit> for Counter {
    async fn handle(&mut self, hit: Hit, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        Ok(self.0.add(hit))
    }
}

impl Handler<Crash> for Counter {
    async fn handle(&mut self, _: Crash, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("as it was told");
    }
}

struct OpenCounter(Tally);

impl Actor for OpenCounter {
    type Args = First;
    type Inbox = Open<Self>;
    async fn start(args: &First) -> Result<Self, Failure> {
        Ok(OpenCounter(first(args)))
    }
}

impl Handler<Hit> for OpenCounter {
    async fn handle(&mut self, hit: Hit, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        Ok(self.0.add(hit))
    }
}

async fn spawned<A: Actor<Args = First>>(runtime: &Runtime, tally: Tally) -> ActorRef<A> {
    let spec = ActorSpec::new("counter", Mutex::new(Some(tally))).capacity(CAPACITY);
    runtime.spawn_spec(spec).await.expect("nobody else is called so")
}

async fn tell<A>(runtime: &Runtime, times: u64, producers: u64) -> Duration
where
    A: Actor<Args = First> + Handler<Hit>,
    A::Inbox: Accepts<Hit, A>,
{
    let share = times.div_ceil(producers);
    let (tally, done) = Tally::of(share * producers);
    let counter = spawned::<A>(runtime, tally).await;
    timed(async {
        for _ in 0..producers {
            let counter = counter.clone();
            tokio::spawn(async move {
                for number in 0..share {
                    counter.tell(Hit::new(number)).await.expect("the counter lives");
                }
            });
        }
        done.notified().await;
    })
    .await
}

async fn ask<A>(runtime: &Runtime, times: u64) -> Duration
where
    A: Actor<Args = First> + Handler<Hit>,
    A::Inbox: Accepts<Hit, A>,
{
    let counter = spawned::<A>(runtime, Tally::endless()).await;
    timed(async {
        for number in 0..times {
            counter.ask(Hit::new(number)).within(DEADLINE).await.expect("the counter answers");
        }
    })
    .await
}

async fn spawn(runtime: &Runtime, times: u64) -> Duration {
    timed(async {
        for number in 0..times {
            let args = Mutex::new(Some(Tally::endless()));
            let spawned = runtime.spawn::<Counter>(&format!("counter-{number}"), args).await;
            spawned.expect("the names differ");
        }
    })
    .await
}

// ---- ping-pong ----

struct Player {
    partner: Option<ActorRef<Player>>,
    left: u64,
    done: Arc<Notify>,
}

struct Meet(ActorRef<Player>);

impl Message for Meet {
    type Reply = ();
}

inbox!(PlayerInbox for Player: Hit, Meet);

impl Actor for Player {
    type Args = (u64, Arc<Notify>);
    type Inbox = PlayerInbox;
    async fn start((left, done): &Self::Args) -> Result<Self, Failure> {
        Ok(Player { partner: None, left: *left, done: done.clone() })
    }
}

impl Handler<Meet> for Player {
    async fn handle(&mut self, meet: Meet, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.partner = Some(meet.0);
        Ok(())
    }
}

impl Handler<Hit> for Player {
    async fn handle(&mut self, hit: Hit, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        if self.left == 0 {
            self.done.notify_one();
            return Ok(0);
        }
        self.left -= 1;
        if let Some(partner) = &self.partner {
            cx.tell(partner, hit).await?;
        }
        Ok(self.left)
    }
}

async fn ping_pong(runtime: &Runtime, times: u64) -> Duration {
    let done = Arc::new(Notify::new());
    let args = || (times / 2, done.clone());
    let left = runtime.spawn::<Player>("left", args()).await.expect("nobody else is called so");
    let right = runtime.spawn::<Player>("right", args()).await.expect("nobody else is called so");
    left.ask(Meet(right.clone())).await.expect("the player answers");
    right.ask(Meet(left.clone())).await.expect("the player answers");
    timed(async {
        left.tell(Hit::new(1)).await.expect("the player lives");
        done.notified().await;
    })
    .await
}

// ---- restart ----

/// The least that a supervisor can be: it brings its one child back at once.
struct Keeper {
    child: PlaceSpec,
    place: Option<Place>,
}

impl Keeper {
    async fn launch(&self, cx: &OverseerContext) -> Flow {
        match &self.place {
            Some(place) => match place.launch(cx.link()).await {
                Ok(_) => Flow::Stay,
                Err(_) => Flow::Leave(ExitReason::Shutdown),
            },
            None => Flow::Leave(ExitReason::Shutdown),
        }
    }
}

impl Overseer for Keeper {
    type Message = ();

    async fn begin(&mut self, cx: &OverseerContext) -> Flow {
        self.place = self.child.place(cx.runtime(), Some(cx.path())).ok();
        self.launch(cx).await
    }

    async fn on_message(&mut self, (): (), _cx: &OverseerContext) -> Flow {
        Flow::Stay
    }

    async fn on_child_exit(&mut self, exit: ChildExit, cx: &OverseerContext) -> Flow {
        if exit.reason.is_abnormal() { self.launch(cx).await } else { Flow::Stay }
    }

    async fn on_stop(&mut self, _cx: &OverseerContext) -> ExitReason {
        if let Some(place) = &self.place {
            place.bring_down(Some(Duration::from_secs(1))).await;
        }
        ExitReason::Shutdown
    }
}

async fn restart(runtime: &Runtime, times: u64) -> Duration {
    let child: PlaceSpec = ActorSpec::<Counter>::new("counter", Mutex::new(None)).into();
    let keeper = OverseerRef::spec("keeper", move || Keeper { child: child.clone(), place: None });
    runtime.plant(&keeper, None).await.expect("nobody else is called so");
    let path = ActorPath::parse("keeper/counter").expect("a path of two names");
    let counter = runtime.resolve(&Address::<Counter>::new(path)).expect("the keeper has launched it");
    timed(async {
        for number in 0..times {
            counter.tell(Crash).await.expect("the counter's place stays");
            counter.ask(Hit::new(number)).within(DEADLINE).await.expect("its next life answers");
        }
    })
    .await
}
