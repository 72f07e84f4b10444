//! A workshop of two lathes under a supervisor: one crashes, is replaced, and its reference never notices.
//!
//! `cargo run --example supervised_worker`

use std::time::Duration;

use greenroom::prelude::*;
use tokio::sync::broadcast::Receiver;

/// Counts the parts it has made.
struct Lathe(u32);

struct Turn(&'static str);

impl Message for Turn {
    type Reply = u32;
}

impl Actor for Lathe {
    type Args = ();
    type Inbox = Open<Self>;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Lathe(0))
    }
}

impl Handler<Turn> for Lathe {
    async fn handle(&mut self, m: Turn, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        assert!(m.0 != "granite", "granite breaks the tool");
        self.0 += 1;
        Ok(self.0)
    }
}

fn print_news(events: &mut Receiver<RuntimeEvent>) {
    while let Ok(event) = events.try_recv() {
        match event {
            RuntimeEvent::Started { path, epoch } => println!("  {path} started, life {epoch}"),
            RuntimeEvent::Ended { path, reason, .. } => println!("  {path} {reason}"),
            RuntimeEvent::Restarting { path, .. } => println!("  {path} comes back"),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::panic::set_hook(Box::new(|_| eprintln!("(the planned crash)")));
    let runtime = Runtime::builder().start().await?;
    let mut events = runtime.events();
    let lathe = |name| ChildSpec::actor::<Lathe>(name, ()).restart(Restart::Permanent);
    let tree = Supervisor::named("workshop")
        .strategy(Strategy::OneForOne)
        .intensity(3, Duration::from_secs(10))
        .children([lathe("left"), lathe("right")]);
    let workshop = runtime.supervise(tree).await?;
    print_news(&mut events);

    let left = workshop.actor::<Lathe>("left")?;
    println!("wood: part {}", left.ask(Turn("wood")).await?);
    println!("wood: part {}", left.ask(Turn("wood")).await?);
    let crash = left.ask(Turn("granite")).await.expect_err("granite is too hard");
    println!("granite: {crash}");

    // The same reference: the message waits in the mailbox, which outlives the crash. The state does not.
    let part = left.ask(Turn("wood")).await?;
    print_news(&mut events);
    println!("wood: part {part}");
    for child in workshop.children().await? {
        println!("{}: {} restarts", child.path, child.restarts);
    }
    runtime.shutdown(Duration::from_secs(5)).await;
    print_news(&mut events);
    Ok(())
}
