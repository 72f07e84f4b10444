//! Steps: calls to the world outside whose result is kept, and what becomes of those in flight at a crash.

mod attempts; // what a try is, and when another one is made
mod dropped; // steps that their handler let go
mod identity; // which step is which when the message is handled again
mod journal; // what is kept, and for how long
mod names; // time, chance and new names
mod parking; // an actor that waits for a decision
mod resolutions; // what each decision does
mod stores; // stores and lives that end in the middle of a step

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Effect, Failure, Handler, MemoryStore, Message,
    Parked, Runtime, RuntimeEvent, Store, inbox,
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;

use crate::support::{Board, BoxFuture, soon};

/// Does what the program of the test says, and remembers what it got.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Worker {
    pub(crate) done: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Job(pub(crate) String);

impl Message for Job {
    type Reply = String;
    const NAME: Option<&'static str> = Some("job");
}
impl DurableMessage for Job {}

inbox!(durable pub(crate) WorkerInbox for Worker: Job);

/// A handler written at the place of the test. What it returns is remembered.
pub(crate) type Program = dyn for<'a, 'c> Fn(String, &'a mut Context<'c, Worker>) -> BoxFuture<'a, Result<String, Failure>>
    + Send
    + Sync;

impl Actor for Worker {
    type Args = Arc<Program>;
    type Inbox = WorkerInbox;
    async fn start(_: &Arc<Program>) -> Result<Self, Failure> {
        Ok(Worker::default())
    }
}

impl Durable for Worker {
    const NAME: &'static str = "worker";
}

impl Handler<Job> for Worker {
    async fn handle(&mut self, Job(job): Job, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        let program = cx.args().clone();
        self.done.push(job.clone());
        let outcome = program(job, cx).await?;
        self.done.push(outcome.clone());
        Ok(outcome)
    }
}

pub(crate) fn worker<P>(program: P) -> ActorSpec<Worker>
where
    P: for<'a, 'c> Fn(String, &'a mut Context<'c, Worker>) -> BoxFuture<'a, Result<String, Failure>>
        + Send
        + Sync
        + 'static,
{
    plain(program).durable()
}

/// The same without a store.
pub(crate) fn plain<P>(program: P) -> ActorSpec<Worker>
where
    P: for<'a, 'c> Fn(String, &'a mut Context<'c, Worker>) -> BoxFuture<'a, Result<String, Failure>>
        + Send
        + Sync
        + 'static,
{
    ActorSpec::new("worker", Arc::new(program) as Arc<Program>)
}

pub(crate) fn job(text: &str) -> Job {
    Job(text.into())
}

/// Something that happens so many times, in all lives together.
#[derive(Clone, Default)]
pub(crate) struct Times(Arc<AtomicU32>);

impl Times {
    pub(crate) fn new(times: u32) -> Self {
        Times(Arc::new(AtomicU32::new(times)))
    }

    /// Whether it happens now.
    pub(crate) fn take(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// A call that is written down with its key.
pub(crate) async fn call(
    cx: &Context<'_, Worker>,
    board: &Board,
    name: &str,
    effect: Effect,
) -> Result<String, Failure> {
    let step = cx.step(name, effect, name);
    step.run(|| async {
        board.write(format!("{name} as {}", step.key()));
        Ok(format!("did {name}"))
    })
    .await
}

/// The same, and the first `panics` fall over in the middle of it.
pub(crate) async fn call_that_panics(
    cx: &Context<'_, Worker>,
    board: &Board,
    effect: Effect,
    panics: &Times,
) -> Result<String, Failure> {
    let step = cx.step("pay", effect, "pay");
    step.run(|| async {
        board.write(format!("pay as {}", step.key()));
        assert!(!panics.take(), "in the middle of the call");
        Ok("paid".to_owned())
    })
    .await
}

pub(crate) async fn start(store: &MemoryStore) -> Runtime {
    start_on(store.clone()).await
}

pub(crate) async fn start_on(store: impl Store) -> Runtime {
    Runtime::builder().store(store).start().await.expect("the store is free")
}

/// Runs `life` as a process that is killed when it returns: whatever goes on then is gone at once.
pub(crate) fn process<T>(life: impl Future<Output = T>) -> T {
    let process = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    process.expect("threads are there").block_on(life)
}

pub(crate) async fn until_parked(events: &mut Receiver<RuntimeEvent>) -> Parked {
    loop {
        if let RuntimeEvent::Parked { parked, .. } = soon(events.recv()).await.expect("few events") {
            return parked;
        }
    }
}

/// The names of the steps that were repeated so far.
pub(crate) fn repeated(events: &mut Receiver<RuntimeEvent>) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let RuntimeEvent::StepRepeated { step, .. } = event {
            names.push(step);
        }
    }
    names
}
