//! What a life begins with, what leaves only when it is done, and what comes back after a crash.

mod leaving; // what leaves when the handler is done
mod lives; // the hook of a new life
mod snapshots; // now and then, and at an orderly stop
mod stores; // stores that fail
mod versions; // stored states of other programs

use std::error::Error;
use std::sync::{Arc, Mutex};

use greenroom::testing::FaultyStore;
use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message, ReplyPort,
    Runtime, Store, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Gate};

/// A number that is added to. Without a store it is a volatile actor.
#[derive(Serialize, Deserialize)]
struct Tally {
    total: u64,
}

#[derive(Clone, Default)]
struct Plan {
    board: Board,
    gate: Gate,
    hook: Hook,
    /// Who waits for an answer: outside of the state, so that a rollback does not drop them.
    ports: Arc<Mutex<Vec<ReplyPort<u64>>>>,
}

/// What `started` does after it wrote itself down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Hook {
    #[default]
    Returns,
    Fails,
    Panics,
    Hangs,
    SpawnsAndFails,
}

/// Adds; stands in the gate before, if told so.
#[derive(Serialize, Deserialize, Debug)]
struct Add {
    add: u64,
    waits: bool,
}

fn add(add: u64) -> Add {
    Add { add, waits: false }
}

/// Adds one, and keeps the port.
#[derive(Serialize, Deserialize)]
struct Later;

/// Adds one, answers who waits, and fails after that if told so.
#[derive(Serialize, Deserialize)]
struct Answer {
    fails: bool,
}

/// Adds one, begins work when that is settled, and fails after that if told so.
#[derive(Serialize, Deserialize)]
struct Beside {
    fails: bool,
}

/// The work beside is done.
#[derive(Serialize, Deserialize)]
struct CameBack;

impl Message for Add {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("add");
}
impl Message for Later {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("later");
}
impl Message for Answer {
    type Reply = ();
    const NAME: Option<&'static str> = Some("answer");
}
impl Message for Beside {
    type Reply = ();
    const NAME: Option<&'static str> = Some("beside");
}
impl Message for CameBack {
    type Reply = ();
    const NAME: Option<&'static str> = Some("came-back");
}
impl DurableMessage for Add {}
impl DurableMessage for Later {}
impl DurableMessage for Answer {}
impl DurableMessage for Beside {}
impl DurableMessage for CameBack {}

inbox!(durable TallyInbox for Tally: Add, Later, Answer, Beside, CameBack);

impl Actor for Tally {
    type Args = Plan;
    type Inbox = TallyInbox;

    async fn start(_: &Plan) -> Result<Self, Failure> {
        Ok(Tally { total: 0 })
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let Plan { board, gate, hook, .. } = cx.args();
        board.write(format!("started with {}", self.total));
        match hook {
            Hook::Returns => {}
            Hook::Fails => return Err(Failure::external("as the test wants")),
            Hook::Panics => panic!("as the test wants"),
            Hook::Hangs => gate.pass().await,
            Hook::SpawnsAndFails => {
                let board = board.clone();
                cx.spawn_when_settled(async move { board.write("works") }, |()| CameBack);
                return Err(Failure::external("as the test wants"));
            }
        }
        Ok(())
    }
}

impl Durable for Tally {
    const NAME: &'static str = "tally";
}

impl Handler<Add> for Tally {
    async fn handle(&mut self, Add { add, waits }: Add, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        cx.args().board.write(format!("{add} on {}", self.total));
        if waits {
            cx.args().gate.pass().await;
        }
        self.total += add;
        Ok(self.total)
    }
}

impl Handler<Later> for Tally {
    async fn handle(&mut self, _: Later, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.total += 1;
        cx.args().gate.enter();
        cx.reply_later(|port| cx.args().ports.lock().expect("nobody panics").push(port))
    }
}

impl Handler<Answer> for Tally {
    async fn handle(&mut self, answer: Answer, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.total += 1;
        let ports = std::mem::take(&mut *cx.args().ports.lock().expect("nobody panics"));
        for port in ports {
            cx.reply(port, self.total);
        }
        if answer.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<Beside> for Tally {
    async fn handle(&mut self, beside: Beside, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.total += 1;
        let board = cx.args().board.clone();
        cx.spawn_when_settled(async move { board.write("works") }, |()| CameBack);
        if beside.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<CameBack> for Tally {
    async fn handle(&mut self, _: CameBack, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.args().board.write("came back");
        Ok(())
    }
}

fn volatile(plan: &Plan) -> ActorSpec<Tally> {
    ActorSpec::new("tally", plan.clone())
}

fn tally(plan: &Plan) -> ActorSpec<Tally> {
    volatile(plan).durable()
}

async fn stored(store: impl Store) -> Runtime {
    Runtime::builder().store(store).start().await.expect("it starts")
}

fn faulty() -> Arc<FaultyStore<MemoryStore>> {
    Arc::new(FaultyStore::new(MemoryStore::new()))
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
