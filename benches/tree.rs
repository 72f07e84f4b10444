//! What a picture of a large tree costs: time, memory, and the longest that anybody else has to wait for the directory.
//!
//! `cargo bench --bench tree`, or with another number of actors `cargo bench --bench tree -- 10000`

use std::time::Duration;

use greenroom::Clock;
use greenroom::prelude::*;

struct Session;

struct Ping;

impl Message for Ping {
    type Reply = ();
}

impl Actor for Session {
    type Args = ();
    type Inbox = Open<Self>;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Session)
    }
}

impl Handler<Ping> for Session {
    async fn handle(&mut self, _: Ping, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000_usize);
    let runtime = Runtime::builder().start().await?;
    let before = resident_bytes();
    let sessions = DynamicSupervisor::<Session>::named("sessions").max_children(count);
    let sessions = runtime.supervise(sessions).await?.dynamic::<Session>();
    for _ in 0..count {
        sessions.start_unnamed(()).await?.ask(Ping).await?;
    }
    println!(
        "{count} actors that have handled a message: {} bytes each",
        (resident_bytes() - before) / count
    );

    let clock = Clock::default();
    let (mut times, mut texts) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        let before = clock.elapsed();
        let tree = runtime.tree();
        times.push(clock.elapsed() - before);
        assert_eq!(tree.nodes().count(), count + 1);
        let before = clock.elapsed();
        drop(tree.to_string());
        texts.push(clock.elapsed() - before);
    }
    println!(
        "a picture of them: {:.1?} (median of 11, from {:.1?} to {:.1?})",
        median(&mut times),
        times[0],
        times[10]
    );
    println!("its text, collapsed: {:.1?}", median(&mut texts));

    let before = resident_bytes();
    let pictures: Vec<Tree> = (0..10).map(|_| runtime.tree()).collect();
    let bytes = resident_bytes().saturating_sub(before) / pictures.len();
    println!("kept, it is {:.1} MB: {} bytes a node", bytes as f64 / 1e6, bytes / count);
    drop(pictures);

    println!("\n{}", runtime.tree().text().siblings(3));
    runtime.shutdown(Duration::from_secs(60)).await;
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The memory of this process, where Linux tells it.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0_usize);
    pages * 4_096
}
