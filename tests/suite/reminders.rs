//! Timers that outlive the process.

use std::time::Duration;

use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message, Runtime,
    inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, end, secs};

#[derive(Serialize, Deserialize, Default)]
struct Sleeper {
    rung: u32,
}

/// Sets the bell `name`: once after, or every, so many seconds; 0: cancels it.
#[derive(Serialize, Deserialize)]
struct Set {
    name: String,
    secs: u64,
    repeats: bool,
    fails: bool,
}

#[derive(Serialize, Deserialize)]
struct Ring(String);

impl Message for Set {
    type Reply = ();
    const NAME: Option<&'static str> = Some("set");
}
impl DurableMessage for Set {}
impl Message for Ring {
    type Reply = ();
    const NAME: Option<&'static str> = Some("ring");
}
impl DurableMessage for Ring {}

inbox!(durable SleeperInbox for Sleeper: Set, Ring);

impl Actor for Sleeper {
    type Args = Board;
    type Inbox = SleeperInbox;
    async fn start(_: &Board) -> Result<Self, Failure> {
        Ok(Sleeper::default())
    }
}

impl Durable for Sleeper {
    const NAME: &'static str = "sleeper";
}

impl Handler<Set> for Sleeper {
    async fn handle(&mut self, set: Set, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let ring = Ring(set.name.clone());
        match (set.secs, set.repeats) {
            (0, _) => cx.cancel_reminder(&set.name),
            (wait, false) => cx.remind_after(&set.name, secs(wait), ring)?,
            (wait, true) => cx.remind_every(&set.name, secs(wait), ring)?,
        }
        if set.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<Ring> for Sleeper {
    async fn handle(&mut self, ring: Ring, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.rung += 1;
        let late = cx.lateness().unwrap_or(Duration::MAX).as_secs();
        cx.args().write(format!(
            "{} {} at {}, late {late}",
            self.rung,
            ring.0,
            cx.clock().elapsed().as_secs()
        ));
        Ok(())
    }
}

fn set(name: &str, secs: u64, repeats: bool) -> Set {
    Set { name: name.into(), secs, repeats, fails: false }
}

fn sleeper(board: &Board) -> ActorSpec<Sleeper> {
    ActorSpec::new("sleeper", board.clone()).durable()
}

async fn world(store: &MemoryStore, board: &Board) -> (Runtime, greenroom::ActorRef<Sleeper>) {
    let runtime = Runtime::builder().store(store.clone()).start().await.expect("the test's own stage");
    let actor = runtime.spawn_spec(sleeper(board)).await.expect("the test's own stage");
    (runtime, actor)
}

#[tokio::test(start_paused = true)]
async fn a_reminder_fires_once_and_one_of_the_same_name_takes_its_place() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let (runtime, actor) = world(&store, &board).await;

    actor.ask(set("tea", 60, false)).await.unwrap();
    actor.ask(set("cake", 20, false)).await.unwrap();
    actor.ask(set("tea", 30, false)).await.unwrap();
    runtime.clock().sleep(secs(100)).await;

    assert_eq!(board.lines(), ["1 cake at 20, late 0", "2 tea at 30, late 0"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeating_reminder_fires_until_it_is_cancelled() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let (runtime, actor) = world(&store, &board).await;

    actor.ask(set("tea", 10, true)).await.unwrap();
    runtime.clock().sleep(secs(35)).await;
    actor.ask(set("tea", 0, false)).await.unwrap();
    runtime.clock().sleep(secs(100)).await;

    assert_eq!(board.lines(), ["1 tea at 10, late 0", "2 tea at 20, late 0", "3 tea at 30, late 0"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_reminder_of_a_handler_that_fails_is_not_set() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let (runtime, actor) = world(&store, &board).await;

    actor.ask(Set { fails: true, ..set("tea", 10, false) }).await.unwrap_err();
    runtime.clock().sleep(secs(100)).await;

    assert!(board.lines().is_empty());
    end(runtime).await;
}

/// The clock of the system stands still in paused time, so the next runtime begins where the first one did: what was set
/// for 10 s is due after 10 s of the next.
#[tokio::test(start_paused = true)]
async fn a_reminder_outlives_the_runtime() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let (runtime, actor) = world(&store, &board).await;
    actor.ask(set("tea", 3_600, false)).await.unwrap();
    end(runtime).await;

    let (runtime, _actor) = world(&store, &board).await;
    runtime.clock().sleep(secs(3_700)).await;

    assert_eq!(board.lines().len(), 1);
    end(runtime).await;
}
