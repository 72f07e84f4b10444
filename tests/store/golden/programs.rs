//! A program of before, whose purse counts in euros, and the one of today, whose purse counts in cents.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::testing::{Fault, FaultyStore, RawStore};
use greenroom::{
    Accepts, Actor, ActorSpec, Context, DecodeError, Durable, DurableInbox, DurableMessage, Effect, Failure,
    Handler, MemoryStore, Message, MigrateError, Runtime, SpawnError, Store, StoreId, inbox,
};
use serde::{Deserialize, Serialize};

use super::text::Records;

/// The calls to the bank, which are steps.
type Calls = Arc<Mutex<Vec<String>>>;

// ---- the program of before ----

#[derive(Serialize, Deserialize)]
struct Euros {
    euros: u64,
}

#[derive(Serialize, Deserialize)]
struct Pay {
    euros: u64,
}

impl Message for Pay {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("pay");
}
impl DurableMessage for Pay {}
inbox!(durable EurosInbox for Euros: Pay);

impl Actor for Euros {
    type Args = Calls;
    type Inbox = EurosInbox;
    async fn start(_: &Calls) -> Result<Self, Failure> {
        Ok(Euros { euros: 0 })
    }
}
impl Durable for Euros {
    const NAME: &'static str = "purse";
}
impl Handler<Pay> for Euros {
    async fn handle(&mut self, pay: Pay, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        tell_the_bank(cx, cx.args(), pay.euros).await?;
        self.euros += pay.euros;
        Ok(self.euros)
    }
}

// ---- the program of today ----

#[derive(Serialize, Deserialize)]
struct Cents {
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct PayCents {
    cents: u64,
}

impl Message for PayCents {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("pay");
    const VERSION: u16 = 2;
}
impl DurableMessage for PayCents {
    fn upgrade(version: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
        assert_eq!(version, 1, "a message of today's version is not upgraded");
        let Pay { euros } = rmp_serde::from_slice(bytes)?;
        Ok(PayCents { cents: euros * 100 })
    }
}
inbox!(durable CentsInbox for Cents: PayCents);

impl Actor for Cents {
    type Args = Calls;
    type Inbox = CentsInbox;
    async fn start(_: &Calls) -> Result<Self, Failure> {
        Ok(Cents { cents: 0 })
    }
}
impl Durable for Cents {
    const NAME: &'static str = "purse";
    const VERSION: u16 = 2;
    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, MigrateError> {
        assert_eq!(version, 1, "a state of today's version is not migrated");
        let Euros { euros } = rmp_serde::from_slice(bytes)?;
        Ok(Cents { cents: euros * 100 })
    }
}
impl Handler<PayCents> for Cents {
    async fn handle(&mut self, pay: PayCents, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        // The step is that of before, or its journal would be another program's.
        let sum = if pay.cents.is_multiple_of(100) { pay.cents / 100 } else { pay.cents };
        tell_the_bank(cx, cx.args(), sum).await?;
        self.cents += pay.cents;
        Ok(self.cents)
    }
}

async fn tell_the_bank<A: Actor>(cx: &Context<'_, A>, calls: &Calls, sum: u64) -> Result<(), Failure> {
    let step = cx.step("tell the bank", Effect::Idempotent, &sum);
    step.run(|| async {
        calls.lock().unwrap().push(format!("bank {sum}"));
        Ok(())
    })
    .await
}

// ---- what they do ----

/// The records of three purses: `purse`, with a payment in the inbox whose step is made; `newer-state` and
/// `newer-message`, which the program of today has written.
pub(crate) fn written_by_the_program_of_before() -> Records {
    let disk = MemoryStore::with_id(StoreId(1));
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio.block_on(async {
        // The first payment is accepted, intended, made and done. The second is not done: the process ends before.
        leave::<Euros, _>(&disk, "purse", &[(|| Pay { euros: 5 }, 4), (|| Pay { euros: 7 }, 3)]).await;
        leave::<Cents, _>(&disk, "newer-state", &[(|| PayCents { cents: 1 }, 4)]).await;
        leave::<Cents, _>(&disk, "newer-message", &[(|| PayCents { cents: 1 }, 1)]).await;
    });
    RawStore::raw_records(&disk).unwrap()
}

/// How a message is made, and how many of the commits that it costs reach the disk.
type Told<M> = (fn() -> M, u64);

/// Tells the actor `name` messages, of each of which so many commits reach the disk.
async fn leave<A, M>(disk: &MemoryStore, name: &str, messages: &[Told<M>])
where
    A: Durable<Args = Calls> + Handler<M>,
    A::Inbox: DurableInbox + Accepts<M, A>,
    M: Message<Reply = u64>,
{
    let commits: u64 = messages.iter().map(|(_, commits)| commits).sum();
    let store = Arc::new(FaultyStore::new(disk.clone()));
    let runtime = Runtime::builder().store(Arc::clone(&store)).start().await.unwrap();
    let actor = runtime.spawn_spec(ActorSpec::<A>::new(name, Calls::default()).durable()).await.unwrap();
    let last = store.commits() + commits;
    store.fail_commit_after(commits, Fault::Write);
    for (message, _) in messages {
        // Told and not asked: a question expires, and golden bytes are read for years.
        let _of_no_matter = actor.tell(message()).await;
    }
    store.commit_arrived(last).await;
    runtime.shutdown(Duration::from_secs(5)).await;
}

/// What the program of today makes of `purse`.
#[derive(Debug, PartialEq)]
pub(crate) struct Migrated {
    pub(crate) cents: u64,
    pub(crate) calls: Vec<String>,
}

pub(crate) async fn purse_of_today(store: impl Store) -> Migrated {
    let runtime = Runtime::builder().store(store).start().await.unwrap();
    let calls = Calls::default();
    let purse = runtime.spawn_spec(ActorSpec::<Cents>::new("purse", calls.clone()).durable()).await.unwrap();
    let cents = purse.ask(PayCents { cents: 1 }).await.unwrap();
    runtime.shutdown(Duration::from_secs(5)).await;
    let calls = calls.lock().unwrap().clone();
    Migrated { cents, calls }
}

pub(crate) async fn opened_by_the_program_of_before(store: impl Store, name: &str) -> SpawnError {
    let runtime = Runtime::builder().store(store).start().await.unwrap();
    let refused = runtime.spawn_spec(ActorSpec::<Euros>::new(name, Calls::default()).durable()).await;
    runtime.shutdown(Duration::from_secs(5)).await;
    refused.map(drop).expect_err("it knows no version 2")
}
