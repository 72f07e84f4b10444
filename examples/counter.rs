//! A counter: an actor is a state, the messages it takes, and a handler for each of them.
//!
//! `cargo run --example counter`

use std::time::Duration;

use greenroom::prelude::*;

struct Counter(u64);
struct Add(u64);

impl Message for Add {
    type Reply = u64;
}

impl Actor for Counter {
    type Args = u64;
    type Inbox = Open<Self>;

    async fn start(first: &u64) -> Result<Self, Failure> {
        Ok(Counter(*first))
    }
}

impl Handler<Add> for Counter {
    async fn handle(&mut self, m: Add, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.0 += m.0;
        Ok(self.0)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().start().await?;
    let counter = runtime.spawn::<Counter>("counter", 39).await?;

    counter.tell(Add(1)).await?; // ready when it is in the mailbox
    let total = counter.ask(Add(2)).await?; // ready when the reply is here
    println!("the counter stands at {total}");

    runtime.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
