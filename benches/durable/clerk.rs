//! The actors that are measured: each keeps the newest of what it was told.

use std::path::Path;
use std::time::Duration;

use greenroom::{
    Actor, ActorRef, ActorSpec, Context, Durable, DurableMessage, Effect, Failure, Handler, Message, Runtime,
    SledStore, SnapshotPolicy, inbox,
};
use serde::{Deserialize, Serialize};

use super::RECORD_LEN;

#[derive(Serialize, Deserialize, Default)]
struct Clerk {
    count: u64,
    newest: String,
}

/// `steps`: whether the handler calls the world outside.
#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
    steps: bool,
}

impl Message for Note {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("note");
}
impl DurableMessage for Note {}

inbox!(durable ClerkInbox for Clerk: Note);

impl Actor for Clerk {
    type Args = ();
    type Inbox = ClerkInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Clerk::default())
    }
}

impl Durable for Clerk {
    const NAME: &'static str = "clerk";
}

impl Handler<Note> for Clerk {
    async fn handle(&mut self, note: Note, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        if note.steps {
            let step = cx.step("look", Effect::Pure, &self.count);
            let seen: u64 = step.run(|| async { Ok(self.count) }).await?;
            self.count = seen;
        }
        self.count += 1;
        self.newest = note.text;
        Ok(self.count)
    }
}

/// What is done to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Accepted when this returns; handled behind it.
    Tell,
    /// Accepted, handled and answered.
    Ask,
    /// As an ask, with one step on the way.
    Step,
    /// As an ask, of an actor whose mailbox is in memory.
    Snapshot,
}

impl Call {
    /// One to accept it, one to handle it, two for a step.
    pub(crate) fn flushes_at_most(self) -> f64 {
        match self {
            Call::Snapshot => 1.0,
            Call::Tell | Call::Ask => 2.0,
            Call::Step => 4.0,
        }
    }
}

/// A runtime with its actors, on a store of its own.
pub(crate) struct Office {
    runtime: Runtime,
    clerks: Vec<ActorRef<Clerk>>,
    snapshotted: ActorRef<Clerk>,
    /// One that runs ahead; the others wait for each commit.
    ahead: ActorRef<Clerk>,
}

impl Office {
    pub(crate) async fn open(folder: &Path, clerks: usize) -> Self {
        let store = SledStore::open(folder.join("store")).expect("a new store opens");
        let runtime = Runtime::builder().store(store).start().await.expect("a runtime");
        let snapshotted =
            ActorSpec::<Clerk>::new("snapshotted", ()).snapshotted(SnapshotPolicy::EveryMessage);
        let snapshotted = runtime.spawn_spec(snapshotted).await.expect("an actor");
        let mut all = Vec::new();
        for number in 0..clerks {
            let spec = ActorSpec::<Clerk>::new(format!("clerk-{number}"), ()).durable().run_ahead(1);
            all.push(runtime.spawn_spec(spec).await.expect("an actor"));
        }
        let ahead = ActorSpec::<Clerk>::new("ahead", ()).durable();
        let ahead = runtime.spawn_spec(ahead).await.expect("an actor");
        Office { runtime, clerks: all, snapshotted, ahead }
    }

    pub(crate) async fn call(&self, clerk: usize, call: Call) {
        call_one(&self.clerks[clerk], &self.snapshotted, call).await;
    }

    /// So many callers at a time ask one actor, until `calls` are answered.
    pub(crate) async fn crowd(&self, is_ahead: bool, callers: usize, calls: usize) {
        let clerk = if is_ahead { &self.ahead } else { &self.clerks[0] };
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let (clerk, snapshotted) = (clerk.clone(), self.snapshotted.clone());
            crowd.spawn(async move {
                for _ in 0..calls / callers {
                    call_one(&clerk, &snapshotted, Call::Ask).await;
                }
            });
        }
        crowd.join_all().await;
    }

    /// Each of them at the same time, `times` times one after the other.
    pub(crate) async fn each(&self, call: Call, times: usize) {
        // Each caller holds one end: whoever waits for them is woken once, by the last, and its wakings are not measured.
        let (at_work, mut all) = tokio::sync::mpsc::channel::<()>(1);
        let mut callers = Vec::new();
        for clerk in &self.clerks {
            let (clerk, snapshotted, at_work) = (clerk.clone(), self.snapshotted.clone(), at_work.clone());
            callers.push(tokio::spawn(async move {
                for _ in 0..times {
                    call_one(&clerk, &snapshotted, call).await;
                }
                drop(at_work);
            }));
        }
        drop(at_work);
        let _none_when_all_are_done: Option<()> = all.recv().await;
        for caller in callers {
            caller.await.expect("each call is answered");
        }
    }

    pub(crate) async fn all_call(&self, times: usize) {
        self.each(Call::Ask, times).await;
    }

    /// Until everything that was told is handled.
    pub(crate) async fn rest(&self) {
        for clerk in &self.clerks {
            while clerk.observe().waiting > 0 || clerk.observe().in_hand.is_some() {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(crate) fn flushes(&self) -> u64 {
        self.runtime.store_stats().expect("it has a store").groups
    }

    pub(crate) async fn close(self) {
        self.runtime.shutdown(Duration::from_secs(60)).await;
    }
}

async fn call_one(clerk: &ActorRef<Clerk>, snapshotted: &ActorRef<Clerk>, call: Call) {
    // A part of the room is for names and numbers.
    let note = Note { text: "x".repeat(RECORD_LEN - 64), steps: call == Call::Step };
    let limit = Duration::from_secs(60);
    match call {
        Call::Tell => clerk.tell(note).within(limit).await.expect("it is accepted"),
        Call::Ask | Call::Step => drop(clerk.ask(note).within(limit).await.expect("it answers")),
        Call::Snapshot => drop(snapshotted.ask(note).within(limit).await.expect("it answers")),
    }
}
