//! A store that does not come back, and a process that is to be aborted over it.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use greenroom::testing::FaultyStore;
use greenroom::{
    Actor, ActorSpec, AskError, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message,
    Runtime, RuntimeConfig, StoreError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::child::job;
use crate::place::Place;
use crate::process::{Ended, PATIENCE, command, say, watch};

const SIGABRT: i32 = 6;

/// Goal: `RuntimeConfig::abort_when_store_stalls` does what it says, and nothing else does it.
/// Method: a child whose store holds a commit, with it and without.
pub(crate) fn a_process_whose_store_stalls_is_aborted_if_it_asked_for_that() {
    let ended = stall("aborts");
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{ended:?}");
    assert_eq!(ended.lines.as_deref(), Some(&["stalls".to_owned()][..]), "and nobody heard of it");
}

/// Goal: the library is a guest: unless it is asked for, a stall ends no process.
pub(crate) fn a_process_whose_store_stalls_lives_on_unless_it_asked_to_be_aborted() {
    let ended = stall("lives on");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.lines.as_deref(), Some(&["stalls", "fenced", "through"].map(str::to_owned)[..]));
}

fn stall(what: &str) -> Ended {
    let place = Place::new();
    watch(command(&[], &job("stall", &[&what])), &place.errors(), PATIENCE).expect("it ends in time")
}

/// In the child: asks a durable actor while its store holds the commit.
pub(crate) fn ask_a_stalled_store(what: &str) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    tokio.block_on(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let config = RuntimeConfig {
            store_stalls_after: Duration::from_millis(200),
            abort_when_store_stalls: what == "aborts",
            ..RuntimeConfig::default()
        };
        let runtime = Runtime::builder().config(config).store(Arc::clone(&store)).start().await.unwrap();
        let idler = runtime.spawn_spec(ActorSpec::<Idler>::new("idler", ()).durable()).await.unwrap();
        let hold = store.hold_commits();
        say("stalls");
        let asked = idler.ask(Idle).await;
        let is_told = matches!(
            asked,
            Err(AskError::NotDelivered(_)
                | AskError::StoreUnavailable { cause: StoreError::Stalled { .. }, .. })
        );
        say(if is_told { "fenced" } else { "not told" });
        drop(hold);
        runtime.shutdown(Duration::from_secs(5)).await;
    });
}

#[derive(Serialize, Deserialize)]
struct Idler;

#[derive(Serialize, Deserialize)]
struct Idle;

impl Message for Idle {
    type Reply = ();
    const NAME: Option<&'static str> = Some("idle");
}
impl DurableMessage for Idle {}

inbox!(durable IdlerInbox for Idler: Idle);

impl Actor for Idler {
    type Args = ();
    type Inbox = IdlerInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Idler)
    }
}
impl Durable for Idler {
    const NAME: &'static str = "idler";
}
impl Handler<Idle> for Idler {
    async fn handle(&mut self, _: Idle, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}
