//! A look at a running tree: who lives where, who is busy with what, whose mailbox is full, who fell and why.
//!
//! `cargo run --example tree` (its clock is paused, so that it ends at once and always prints the same)

use std::time::Duration;

use greenroom::prelude::*;

struct Agent;
struct Visitor;

/// Takes so many seconds.
struct Think(u64);
struct Fall;

impl Message for Think {
    type Reply = ();
}
impl Message for Fall {
    type Reply = ();
}

impl Actor for Agent {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Agent)
    }
}

impl Actor for Visitor {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Visitor)
    }
}

impl Handler<Think> for Agent {
    async fn handle(&mut self, m: Think, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.clock().sleep(Duration::from_secs(m.0)).await;
        Ok(())
    }
}

impl Handler<Fall> for Agent {
    async fn handle(&mut self, _: Fall, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("out of paper")
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::panic::set_hook(Box::new(|_| eprintln!("(the planned crash)")));
    let runtime = Runtime::builder().start().await?;
    let agent = |name| ChildSpec::actor::<Agent>(name, ());
    let slow = Backoff {
        first: Duration::from_secs(5),
        max: Duration::from_secs(5),
        jitter: 0.0,
        ..Backoff::default()
    };
    let feeds = Supervisor::named("feeds")
        .strategy(Strategy::RestForOne)
        .intensity(3, Duration::from_secs(60))
        .child(ChildSpec::of(ActorSpec::<Agent>::new("archive", ()).capacity(3)))
        .child(agent("wire").backoff(slow));
    let office = Supervisor::named("office")
        .child(agent("desk"))
        .child(ChildSpec::pool(Pool::<Agent>::new("writers", 3, ()).routing(Routing::LeastLoaded)))
        .child(ChildSpec::supervisor(feeds))
        .child(ChildSpec::supervisor(DynamicSupervisor::<Visitor>::named("visitors")));
    let office = runtime.supervise(office).await?;
    let visitors = office.below("visitors")?.dynamic::<Visitor>();
    for _ in 0..5_000 {
        visitors.start_unnamed(()).await?;
    }
    let at = |path: &str| office.actor::<Agent>(path);

    at("writers/2")?.tell(Fall).await?;
    runtime.clock().sleep(Duration::from_secs(30)).await;
    at("desk")?.tell(Think(600)).await?;
    for _ in 0..4 {
        at("feeds/archive")?.tell(Think(60)).await?;
        runtime.clock().sleep(Duration::from_millis(400)).await;
    }
    at("feeds/wire")?.tell(Fall).await?;
    runtime.clock().sleep(Duration::from_millis(3_500)).await;

    // Taken from the cells: nobody is asked, so nobody is waited for. `tree.nodes()` has the same as values.
    println!("{}", runtime.tree().text().siblings(3));
    runtime.shutdown(Duration::from_secs(60)).await;
    Ok(())
}
