//! A durable account: it survives a crash in the middle of a deposit, and the end of the whole runtime.
//!
//! `cargo run --example crash_and_recover`

use std::path::Path;
use std::time::Duration;

use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

/// The state is the actor itself. It is on disk before the reply to a deposit leaves.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    balance: u64,
}

impl Durable for Account {
    const NAME: &'static str = "account";
}

#[derive(Serialize, Deserialize)]
struct Deposit(u64);

impl Message for Deposit {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("deposit");
}
impl DurableMessage for Deposit {}

inbox!(durable AccountInbox for Account: Deposit);

impl Actor for Account {
    type Args = ();
    type Inbox = AccountInbox;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Account::default()) // only when the store knows of no account yet
    }
}

impl Handler<Deposit> for Account {
    async fn handle(&mut self, m: Deposit, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.balance += m.0;
        println!("  adding {}, delivery {}", m.0, cx.tries() + 1);
        assert!(m.0 != 13 || cx.tries() > 0, "13 is bad luck the first time");
        Ok(self.balance)
    }
}

async fn open(store: &Path) -> Result<(Runtime, ActorRef<Account>), Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().store(SledStore::open(store)?).start().await?;
    let account = ActorSpec::<Account>::new("account", ()).durable();
    let bank = runtime.supervise(Supervisor::named("bank").child(ChildSpec::of(account))).await?;
    Ok((runtime, bank.actor("account")?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::panic::set_hook(Box::new(|_| eprintln!("(the planned crash)")));
    let folder = tempfile::tempdir()?;

    let (runtime, account) = open(folder.path()).await?;
    println!("balance {}", account.ask(Deposit(100)).await?);
    // Added, crashed, not stored: what the first delivery did is gone, and the second counts once.
    println!("balance {}", account.ask(Deposit(13)).await?);
    runtime.shutdown(Duration::from_secs(5)).await;

    println!("-- everything was shut down; the same store is opened again --");
    let (runtime, account) = open(folder.path()).await?;
    println!("balance {}", account.ask(Deposit(0)).await?);
    runtime.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
