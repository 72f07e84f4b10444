//! What is done once, however often it is asked for: questions of durable handlers, and messages with an id.

mod asks; // questions of a handler
mod ends; // askers who get no answer
mod ids; // messages that name what they want
mod kills; // a process that ends at each commit
mod outside; // sends past the transaction
mod readers; // answers that are hard to read

use greenroom::{
    ActorRef, ActorSpec, Address, ChildSpec, Context, MemoryStore, Runtime, Store, SuperviseExt, Supervisor,
};

use crate::steps::{Worker, worker};
use crate::support::{Board, Gate, path, secs};

/// `pair/b`, and `pair/a` who knows it.
async fn pair(
    runtime: &Runtime,
    a: ActorSpec<Worker>,
    b: ActorSpec<Worker>,
) -> (ActorRef<Worker>, ActorRef<Worker>) {
    let supervisor = Supervisor::named("pair")
        .intensity(100, secs(10))
        .child(ChildSpec::of(b.named("b")))
        .child(ChildSpec::of(a.named("a")));
    let pair = runtime.supervise(supervisor).await.expect("both start");
    let actor = |name| pair.actor(name).expect("both are there");
    (actor("a"), actor("b"))
}

fn b_of(cx: &Context<'_, Worker>) -> ActorRef<Worker> {
    cx.resolve(&Address::new(path("pair/b"))).expect("it is placed first")
}

/// Asks `pair/b` for each job.
fn asker() -> ActorSpec<Worker> {
    worker(|job, cx| Box::pin(async move { cx.ask(&b_of(cx), crate::steps::Job(job)).await }))
}

/// Writes each job down, and answers it; jobs that begin with "wait" stand in the gate.
fn answerer(board: &Board, gate: &Gate) -> ActorSpec<Worker> {
    let (board, gate) = (board.clone(), gate.clone());
    worker(move |job, _| {
        let (board, gate) = (board.clone(), gate.clone());
        Box::pin(async move {
            board.write(&job);
            if job.starts_with("wait") {
                gate.pass().await;
            }
            Ok(format!("answer to {job}"))
        })
    })
}

/// What that worker has done, as the store has it.
fn done(store: &MemoryStore, at: &str) -> Vec<String> {
    let Some(snapshot) = store.scan(&path(at)).expect("memory can be read").snapshot else {
        return Vec::new();
    };
    let worker: Worker = rmp_serde::from_slice(&snapshot.state).expect("it is the state of a worker");
    worker.done
}
