//! The same crash under each strategy, drawn: who crashed, who was stopped, who was started, one after the other.
//!
//! `cargo run --example strategies`

use std::time::Duration;

use greenroom::CustomStrategy;
use greenroom::prelude::*;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

struct Part;
struct Crash;

impl Message for Crash {
    type Reply = ();
}

impl Actor for Part {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Part)
    }
}

impl Handler<Crash> for Part {
    async fn handle(&mut self, _: Crash, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("as it was told")
    }
}

/// A strategy of our own: the one that fell, and whoever stands beside it.
fn neighbours(_names: &[&str], fallen: usize) -> Vec<usize> {
    vec![fallen.saturating_sub(1), fallen, fallen + 1]
}

/// One line: what happened to whom, and how the row stands after it.
fn draw(row: &mut [char; 5], path: &ActorPath, mark: char, after: char, what: &str) {
    if let Some(at) = NAMES.iter().position(|name| *name == path.name()) {
        row[at] = mark;
        let row_now = row.map(String::from).join("  ");
        println!("  {:<18}{row_now}", format!("{} {what}", path.name()));
        row[at] = after;
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::panic::set_hook(Box::new(|_| eprintln!("(the planned crash)")));
    let runtime = Runtime::builder().start().await?;
    let own = CustomStrategy { name: "neighbours", concerned: neighbours };
    let all = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne, Strategy::Custom(own)];
    for (strategy, title) in
        all.into_iter().zip(["one-for-one", "one-for-all", "rest-for-one", "neighbours (ours)"])
    {
        let children = NAMES.map(|name| ChildSpec::actor::<Part>(name, ()));
        let spec = Supervisor::named("row").strategy(strategy).children(children);
        let supervisor = runtime.supervise(spec).await?;
        let mut events = runtime.events();
        supervisor.actor::<Part>("c")?.tell(Crash).await?;
        runtime.clock().sleep(Duration::from_millis(1)).await;

        println!("{title:<20}{}", NAMES.join("  "));
        let mut row = ['│'; 5];
        while let Ok(event) = events.try_recv() {
            match event {
                RuntimeEvent::Ended { path, reason: ExitReason::Shutdown, .. } => {
                    draw(&mut row, &path, '▼', '·', "is stopped")
                }
                RuntimeEvent::Ended { path, .. } => draw(&mut row, &path, '✗', '·', "crashes"),
                RuntimeEvent::Started { path, .. } => draw(&mut row, &path, '▲', '│', "is started"),
                _ => {}
            }
        }
        println!();
        supervisor.stop(Duration::from_secs(5)).await;
        supervisor.closed().await;
    }
    runtime.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
