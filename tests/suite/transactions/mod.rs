//! Each message of a durable actor is a transaction: accepted when it is on disk, done when what it did is.

mod accepting; // what it takes to be accepted
mod bounds; // what is refused, and leaves nothing on disk
mod comeback; // what the next process finds in the inbox
mod crashes; // before, after and in the middle of a commit
mod delivery; // from actor to actor
mod own_mail; // what an actor tells itself
mod storm; // many senders, and kills all the time
mod versions; // messages of other programs

use std::sync::{Arc, Mutex, mpsc};

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    Actor, ActorRef, ActorSpec, Address, Context, Durable, DurableMessage, Failure, Handler, MemoryStore,
    Message, Runtime, Store, TellError, inbox,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{Board, Gate, millis, path, secs, soon};

/// Remembers the numbers it was told, in their order.
#[derive(Serialize, Deserialize)]
struct Clerk {
    heard: Vec<u32>,
}

#[derive(Clone, Default)]
struct Office {
    board: Board,
    gate: Gate,
    /// Blocks a thread until something comes, or its other end is dropped.
    thread: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

/// Answered with all that was heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    number: u32,
    then: Then,
}

/// What else its handler does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Then {
    Nothing,
    /// Stands in the gate.
    Waits,
    /// Tells the number to the clerk `next`.
    PassesOn,
    PassesOnAndIsInvalid,
    /// Tells itself a hundred more, in a second.
    Reminds,
    /// Tells itself two hundred more: what work beside it has brought, in a second.
    Works,
    /// Blocks its thread, tells itself three hundred more every millisecond, and blocks it again. At the first try.
    BlocksAndTicks,
}

/// Something that cannot be stored, or only just. Answered with whether what was passed on was accepted.
#[derive(Debug, Serialize, Deserialize)]
struct Freight {
    load: String,
    #[serde(serialize_with = "unless_true")]
    has_no_form: bool,
    /// Tells the clerk `next` of so much, and whether that has no form.
    passes_on: Option<(usize, bool)>,
}

fn unless_true<S: Serializer>(has_no_form: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    if *has_no_form {
        return Err(serde::ser::Error::custom("as the test wants"));
    }
    serializer.serialize_bool(false)
}

impl Message for Entry {
    type Reply = Vec<u32>;
    const NAME: Option<&'static str> = Some("entry");
}
impl Message for Freight {
    type Reply = bool;
    const NAME: Option<&'static str> = Some("freight");
}
impl DurableMessage for Entry {}
impl DurableMessage for Freight {}

inbox!(durable ClerkInbox for Clerk: Entry, Freight);

impl Actor for Clerk {
    type Args = Office;
    type Inbox = ClerkInbox;

    async fn start(_: &Office) -> Result<Self, Failure> {
        Ok(Clerk { heard: Vec::new() })
    }
}

impl Durable for Clerk {
    const NAME: &'static str = "clerk";
}

impl Handler<Entry> for Clerk {
    async fn handle(&mut self, entry: Entry, cx: &mut Context<'_, Self>) -> Result<Vec<u32>, Failure> {
        let Office { board, gate, thread } = cx.args();
        let Entry { number, then } = entry;
        board.write(format!("{} {number}", cx.path()));
        self.heard.push(number);
        match then {
            Then::Nothing => {}
            Then::Waits => gate.pass().await,
            Then::PassesOn => {
                cx.tell(&next(cx)?, plain(number)).await?;
                // A kill may meet it here.
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
            Then::PassesOnAndIsInvalid => {
                cx.tell(&next(cx)?, plain(number)).await?;
                return Err(Failure::invalid("as the test wants"));
            }
            Then::Reminds => drop(cx.send_after(secs(1), plain(number + 100))),
            Then::Works => {
                let clock = cx.clock();
                cx.spawn(async move { clock.sleep(secs(1)).await }, move |()| plain(number + 200));
            }
            Then::BlocksAndTicks if cx.tries() == 0 => {
                let held = thread.lock().map_err(|_| Failure::bug("nobody panics"))?;
                let wait = || held.as_ref().map(mpsc::Receiver::recv);
                gate.enter();
                let _over = wait();
                cx.send_every(millis(1), move || plain(number + 300));
                // The task that was spawned last is the one that this thread would run next, and no other.
                cx.spawn(async {}, move |()| plain(number + 200));
                let _over = wait();
            }
            Then::BlocksAndTicks => {}
        }
        Ok(self.heard.clone())
    }
}

impl Handler<Freight> for Clerk {
    async fn handle(&mut self, freight: Freight, cx: &mut Context<'_, Self>) -> Result<bool, Failure> {
        let Some((len, has_no_form)) = freight.passes_on else { return Ok(true) };
        let told = cx.tell(&next(cx)?, load(len, has_no_form)).await;
        if let Err(TellError::Unstorable { .. }) = told {
            return Ok(false);
        }
        told?;
        Ok(true)
    }
}

fn next(cx: &Context<'_, Clerk>) -> Result<ActorRef<Clerk>, Failure> {
    cx.resolve(&Address::new(path("next"))).map_err(Failure::bug)
}

fn plain(number: u32) -> Entry {
    entry(number, Then::Nothing)
}

fn entry(number: u32, then: Then) -> Entry {
    Entry { number, then }
}

fn load(len: usize, has_no_form: bool) -> Freight {
    Freight { load: "x".repeat(len), has_no_form, passes_on: None }
}

/// A clerk whose messages are transactions.
fn clerk(name: &str, office: &Office) -> ActorSpec<Clerk> {
    forgetful(name, office).durable()
}

/// One that stores nothing.
fn forgetful(name: &str, office: &Office) -> ActorSpec<Clerk> {
    ActorSpec::new(name, office.clone())
}

/// A disk, which outlives the processes that use it.
#[derive(Default)]
struct Disk(MemoryStore);

/// A process: a runtime, and the store it has opened.
struct Process {
    runtime: Runtime,
    store: Arc<FaultyStore<MemoryStore>>,
    office: Office,
}

impl Disk {
    async fn process(&self) -> Process {
        let store = Arc::new(FaultyStore::new(self.0.clone()));
        let runtime = Runtime::builder().store(store.clone()).start().await.expect("the store is free");
        Process { runtime, store, office: Office::default() }
    }

    /// The numbers of the entries in the inbox of the actor with that path.
    fn inbox(&self, of: &str) -> Vec<u32> {
        let inbox = self.0.scan(&path(of)).expect("it can be read").inbox;
        inbox.iter().map(|message| number(&message.body)).collect()
    }

    /// Waits until so many messages are in the inbox of the actor with that path.
    async fn until(&self, of: &str, count: usize) {
        let there = async {
            while self.inbox(of).len() < count {
                tokio::task::yield_now().await;
            }
        };
        soon(there).await;
    }

    /// As [`inbox`](Disk::inbox), of what was laid aside.
    fn laid_aside(&self, of: &str) -> Vec<u32> {
        let aside = self.0.laid_aside(&path(of)).expect("it can be read");
        aside.iter().map(|aside| number(&aside.message.body)).collect()
    }

    /// What a new process hears that asks the clerk `name`, when everything before is handled; and whom it wrote down
    /// on its board on the way.
    async fn heard(&self, name: &str) -> (Vec<u32>, Vec<String>) {
        let process = self.process().await;
        process.office.gate.open();
        let heard = process.clerk(name).await.ask(plain(9)).await.expect("it answers");
        let lines = process.office.board.lines();
        process.dies().await;
        (heard, lines)
    }
}

fn number(body: &[u8]) -> u32 {
    rmp_serde::from_slice::<Entry>(body).expect("an entry").number
}

impl Process {
    async fn clerk(&self, name: &str) -> ActorRef<Clerk> {
        self.runtime.spawn_spec(clerk(name, &self.office)).await.expect("a fresh name")
    }

    /// A clerk that stands in the gate over the entry 0.
    async fn busy_clerk(&self, name: &str) -> ActorRef<Clerk> {
        let clerk = self.clerk(name).await;
        clerk.tell(entry(0, Then::Waits)).await.expect("it is accepted");
        self.office.gate.entered().await;
        clerk
    }

    /// From here on nothing reaches the disk, as after `kill -9`.
    async fn dies(self) {
        self.store.fail_commit_after(0, Fault::Write);
        self.runtime.shutdown(secs(5)).await;
    }
}
