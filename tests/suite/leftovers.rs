//! An actor that was durable, and starts at its old path as something less.

use greenroom::{ActorSpec, Chain, MemoryStore, Runtime, SnapshotPolicy, SpawnError};

use crate::steps::{Worker, job, plain, start, worker};
use crate::support::{Board, Gate, end, path, secs};

/// Stands in the gate with its first message.
fn waits(board: &Board, gate: &Gate, spec: fn(Spec) -> ActorSpec<Worker>) -> ActorSpec<Worker> {
    let (board, gate) = (board.clone(), gate.clone());
    spec(plain(move |what, _| {
        let (board, gate) = (board.clone(), gate.clone());
        Box::pin(async move {
            board.write(&what);
            gate.pass().await;
            Ok(what)
        })
    }))
}

type Spec = ActorSpec<Worker>;

const EPHEMERAL: fn(Spec) -> Spec = |spec| spec;
const SNAPSHOTTED: fn(Spec) -> Spec = |spec| spec.snapshotted(SnapshotPolicy::EveryMessages(1));
const DURABLE: fn(Spec) -> Spec = |spec| spec.durable();

/// A store in which a message waits for `worker`.
async fn left() -> MemoryStore {
    let store = MemoryStore::new();
    let (board, gate) = (Board::default(), Gate::new());
    let runtime = start(&store).await;
    let actor = runtime.spawn_spec(waits(&board, &gate, DURABLE)).await.expect("it starts");
    actor.tell(job("a")).await.expect("it is accepted");
    gate.entered().await;
    runtime.shutdown(secs(0)).await;
    store
}

fn told(refused: Result<greenroom::ActorRef<Worker>, SpawnError>) -> String {
    Chain(&refused.expect_err("it is refused")).to_string()
}

async fn spawn(runtime: &Runtime, spec: fn(Spec) -> Spec) -> Result<greenroom::ActorRef<Worker>, SpawnError> {
    runtime.spawn_spec(spec(plain(|what, _| Box::pin(async move { Ok(what) })))).await
}

/// Goal: messages that were accepted are not passed over in silence by a change of one word in a program.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_durable_actor_keeps_something_less_from_its_path_until_it_is_erased() {
    for less in [EPHEMERAL, SNAPSHOTTED] {
        let store = left().await;
        let runtime = start(&store).await;

        let refused = told(spawn(&runtime, less).await);

        assert!(refused.contains("1 messages, 0 entries of journals, 0 timers"), "{refused}");
        assert!(refused.contains("Start it as durable, or delete that with `Runtime::erase`"), "{refused}");
        runtime.erase(&path("worker")).await.unwrap();
        let actor = spawn(&runtime, less).await.unwrap();
        assert_eq!(actor.ask(job("b")).await.unwrap(), "b");
        end(runtime).await;
    }
}

/// Also what was left in this very runtime.
#[tokio::test(start_paused = true)]
async fn what_a_durable_actor_leaves_behind_is_known_in_the_same_runtime() {
    let runtime = start(&MemoryStore::new()).await;
    let (board, gate) = (Board::default(), Gate::new());
    let actor = runtime.spawn_spec(waits(&board, &gate, DURABLE)).await.unwrap();
    actor.tell(job("a")).await.unwrap();
    gate.entered().await;
    actor.stop(secs(0)).await;
    drop(actor);

    let refused = told(spawn(&runtime, EPHEMERAL).await);

    assert!(refused.contains("1 messages"), "{refused}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_becomes_durable_on_the_state_of_its_snapshots_and_less_once_nothing_waits() {
    let store = MemoryStore::new();
    for spec in [EPHEMERAL, SNAPSHOTTED, DURABLE, SNAPSHOTTED, EPHEMERAL] {
        let runtime = start(&store).await;
        let actor = spawn(&runtime, spec).await.unwrap();
        assert_eq!(actor.ask(job("a")).await.unwrap(), "a");
        end(runtime).await;
    }
    let runtime = start(&store).await;
    let spec = worker(|_, _| Box::pin(async move { Ok(String::new()) }));
    runtime.spawn_spec(spec).await.unwrap();
    end(runtime).await;
    let snapshot = greenroom::Store::scan(&store, &path("worker")).unwrap().snapshot.unwrap();
    let kept: Worker = rmp_serde::from_slice(&snapshot.state).unwrap();
    assert_eq!(kept.done.len(), 6, "three lives that kept it, two lines each");
}
