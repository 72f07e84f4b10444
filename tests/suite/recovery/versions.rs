//! Stored states of other programs: older, newer, and of another kind.

use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, ExitReason, Failure, Handler, MemoryStore, Message,
    MigrateError, SpawnError, inbox,
};
use serde::{Deserialize, Serialize};

use super::{Plan, Tally, chain, stored};
use crate::support::end;

/// Version 1 of the state `purse`.
#[derive(Serialize, Deserialize)]
struct Euros {
    euros: u64,
}

/// Version 2 of it.
#[derive(Serialize, Deserialize)]
struct Cents {
    cents: u64,
}

/// Puts a sum in, in the coin of the purse.
#[derive(Serialize, Deserialize)]
struct Pay(u64);

impl Message for Pay {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("pay");
}
impl DurableMessage for Pay {}

inbox!(durable EurosInbox for Euros: Pay);
inbox!(durable CentsInbox for Cents: Pay);

impl Actor for Euros {
    type Args = ();
    type Inbox = EurosInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Euros { euros: 0 })
    }
}
impl Actor for Cents {
    type Args = ();
    type Inbox = CentsInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Cents { cents: 0 })
    }
}
impl Durable for Euros {
    const NAME: &'static str = "purse";
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
impl Handler<Pay> for Euros {
    async fn handle(&mut self, Pay(sum): Pay, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.euros += sum;
        Ok(self.euros)
    }
}
impl Handler<Pay> for Cents {
    async fn handle(&mut self, Pay(sum): Pay, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.cents += sum;
        Ok(self.cents)
    }
}

/// Runs a program whose actor `purse` has this type; it is paid `sum`.
async fn paid<A>(store: &MemoryStore, sum: u64) -> Result<u64, SpawnError>
where
    A: Durable<Args = ()> + Handler<Pay>,
    A::Inbox: greenroom::DurableInbox + greenroom::Accepts<Pay, A>,
{
    let runtime = stored(store.clone()).await;
    let spec = ActorSpec::<A>::new("purse", ()).durable();
    let paid = match runtime.spawn_spec(spec).await {
        Ok(purse) => Ok(purse.ask(Pay(sum)).await.expect("a purse takes everything")),
        Err(error) => Err(error),
    };
    end(runtime).await;
    paid
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_older_version_is_migrated_once() {
    let store = MemoryStore::new();

    assert_eq!(paid::<Euros>(&store, 5).await.unwrap(), 5);
    assert_eq!(paid::<Cents>(&store, 25).await.unwrap(), 525);
    assert_eq!(paid::<Cents>(&store, 75).await.unwrap(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_unknown_version_is_a_failed_start_that_names_both_and_harms_nothing() {
    let store = MemoryStore::new();
    paid::<Cents>(&store, 500).await.unwrap();

    let error = paid::<Euros>(&store, 1).await.unwrap_err();

    assert!(matches!(&error, SpawnError::StartFailed { reason: ExitReason::Failed { .. }, .. }));
    let told = "the state `purse` is stored as version 2, this program knows version 1";
    assert!(chain(&error).contains(told), "{}", chain(&error));
    assert_eq!(paid::<Cents>(&store, 1).await.unwrap(), 501);
}

#[tokio::test(start_paused = true)]
async fn another_state_at_the_path_is_refused_and_both_names_are_told() {
    let store = MemoryStore::new();
    paid::<Euros>(&store, 5).await.unwrap();
    let runtime = stored(store.clone()).await;

    let spec = ActorSpec::<Tally>::new("purse", Plan::default()).durable();
    let error = runtime.spawn_spec(spec).await.unwrap_err();
    end(runtime).await;

    let told = "the state `purse` is stored here, this program expects `tally`";
    assert!(chain(&error).contains(told), "{}", chain(&error));
    assert_eq!(paid::<Euros>(&store, 1).await.unwrap(), 6);
}
