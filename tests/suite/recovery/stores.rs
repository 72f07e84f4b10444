//! Stores that fail: damage, a full disk, and commits that outlast a kill.

use std::sync::{Arc, Mutex, MutexGuard};

use greenroom::testing::Fault;
use greenroom::{
    ActorPath, ActorSpec, AskError, Batch, BatchOutcome, CaseOwner, Damage, DamagePlace, DamageReason,
    ExitReason, LaidAside, ListedCase, MemoryStore, Ownership, Record, Runtime, RuntimeConfig, RuntimeEvent,
    Scan, SnapshotPolicy, Store, StoreError, StoreHead, StorePromise, StoredBudgets, TellError,
};

use super::{Add, Plan, Tally, add, faulty, stored, tally, volatile};
use crate::support::{Board, Note, Probe, end, keep, letters, millis, path, secs, soon};

/// A store of one actor that loses the newest record once it is scratched, as an engine does that finds a checksum
/// wrong, and goes on from the record before.
#[derive(Default)]
struct Scratched {
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    kept: MemoryStore,
    /// The record before the newest.
    before: Option<Record>,
    newest: Option<Record>,
    is_scratched: bool,
}

const SCRATCH: (DamagePlace, DamageReason) =
    (DamagePlace::Chunk { slot: 1, index: 0 }, DamageReason::Checksum);

impl Scratched {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("nobody panics")
    }
}

impl Store for Scratched {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let mut content = self.content();
        for record in group.iter().flat_map(|batch| &batch.records) {
            if matches!(record, Record::Snapshot(_)) {
                content.before = content.newest.replace(record.clone());
            }
        }
        content.kept.commit(group)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        let mut content = self.content();
        let scan = content.kept.scan(actor)?;
        if !std::mem::take(&mut content.is_scratched) {
            return Ok(scan);
        }
        let records = content.before.clone().into_iter().collect();
        content.kept = MemoryStore::new();
        content.kept.commit(&[Batch::of(actor.clone(), scan.epoch, records)])?;
        let (place, reason) = SCRATCH;
        let damage = vec![Damage { actor: actor.clone(), place, reason }];
        Ok(Scan { damage, ..content.kept.scan(actor)? })
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.content().kept.unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.content().kept.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.content().kept.actors()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.content().kept.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.content().kept.cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.content().kept.budgets()
    }
    fn promise(&self) -> StorePromise {
        StorePromise::Nothing
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.content().kept.own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.content().kept.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.content().kept.end()
    }
}

#[tokio::test(start_paused = true)]
async fn after_damage_an_actor_comes_back_with_the_record_before_and_the_damage_is_told() {
    let store = Arc::new(Scratched::default());
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    for part in [1, 10, 100] {
        kept.actor.ask(add(part)).await.unwrap();
    }
    let mut events = runtime.events();

    store.content().is_scratched = true;
    kept.actor.kill();
    let total = kept.actor.ask(add(1_000)).await;

    assert_eq!(total.unwrap(), 1_011, "without the 100 of the damaged record");
    let told = std::iter::from_fn(|| events.try_recv().ok()).find_map(|event| match event {
        RuntimeEvent::RecordDamaged { path, damage } => Some((path, (damage.place, damage.reason))),
        _ => None,
    });
    assert_eq!(told, Some((path("keeper/tally"), SCRATCH)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn without_room_durable_actors_refuse_and_the_others_go_on() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let tally = runtime.spawn_spec(tally(&Plan::default())).await.unwrap();
    let other = ActorSpec::<Tally>::new("other", Plan::default()).durable();
    let other = runtime.spawn_spec(other).await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let mut events = runtime.events();

    store.fail_commit_after(1, Fault::NoSpace);
    let failed = tally.ask(add(1)).await;

    let Err(AskError::StoreUnavailable { cause, .. }) = failed else { panic!("{failed:?}") };
    assert!(matches!(cause, StoreError::NoSpace));
    for refuses in [&tally, &other] {
        let told = refuses.tell(add(2)).await;
        assert!(matches!(told, Err(TellError::StoreUnavailable { message: Add { add: 2, .. }, .. })));
    }
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(event, RuntimeEvent::StoreFailed { error: StoreError::NoSpace }));
    assert!(told);
    assert_eq!(probe.ask(Note(3)).await.unwrap(), 3);
    let volatile = runtime.spawn_spec(ActorSpec::<Tally>::new("volatile", Plan::default())).await.unwrap();
    assert_eq!(volatile.ask(add(4)).await.unwrap(), 4);
    end(runtime).await;
}

/// Goal: a kill while the store writes must not apply a message twice.
/// Method: the commit is held, the actor killed, the commit let go; the kill is heard after it.
#[tokio::test(start_paused = true)]
async fn a_kill_during_a_commit_is_heard_after_it_and_the_message_ran_once() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    let next = store.commits() + 2; // behind the one that accepts the message
    let held = store.hold_commits_after(1);

    let asked = async { kept.actor.ask(add(5)).await };
    let killed = async {
        soon(store.commit_arrived(next)).await;
        kept.actor.kill();
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, killed);
    let exits = kept.exits.until(1).await;
    let after = kept.actor.ask(add(10)).await;

    assert_eq!((answer.unwrap(), after.unwrap()), (5, 15));
    assert_eq!(exits, ["killed"]);
    assert_eq!(plan.board.lines(), ["started with 0", "5 on 0", "started with 5", "10 on 5"]);
    assert_eq!(letters(&runtime), []);
    end(runtime).await;
}

/// Goal: as above, when the store takes longer than the kill waits.
/// Method: the actor is fenced while its commit is held. Whether it was applied cannot be said from outside: the next
/// life finds what the store has, and the asker is answered by the commit itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_message_whose_commit_outlasts_the_fence_is_answered_and_not_run_again() {
    let store = faulty();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(store.clone()).start().await.unwrap();
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    let next = store.commits() + 2;
    let held = store.hold_commits_after(1);

    let asked = async { kept.actor.ask(add(5)).within(secs(60)).await };
    let fenced = async {
        soon(store.commit_arrived(next)).await;
        let exit = kept.actor.stop(millis(10)).await;
        drop(held);
        exit
    };
    let (answer, exit) = tokio::join!(asked, fenced);
    let after = kept.actor.ask(add(10)).within(secs(60)).await;

    assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
    assert_eq!(answer.unwrap(), 5);
    assert_eq!(after.unwrap(), 15, "the commit was on its way");
    assert_eq!(plan.board.lines(), ["started with 0", "5 on 0", "started with 5", "10 on 5"]);
    assert_eq!(letters(&runtime), []);
    end(runtime).await;
}

/// Goal: as above, of an actor whose mailbox is in memory: nobody can say what became of its message.
/// Method: the same; the message is reported and not run again, and the next life finds what the store has.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_message_in_memory_whose_commit_outlasts_the_fence_is_reported_and_not_run_again() {
    let store = faulty();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(store.clone()).start().await.unwrap();
    let plan = Plan::default();
    let kept = keep(&runtime, volatile(&plan).snapshotted(SnapshotPolicy::EveryMessage)).await;
    let next = store.commits() + 1;
    let held = store.hold_commits();

    let asked = async { kept.actor.ask(add(5)).within(secs(60)).await };
    let fenced = async {
        soon(store.commit_arrived(next)).await;
        kept.actor.stop(millis(10)).await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, fenced);
    let after = kept.actor.ask(add(10)).within(secs(60)).await;

    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(after.unwrap(), 15, "the commit was on its way");
    assert_eq!(plan.board.lines(), ["started with 0", "5 on 0", "started with 5", "10 on 5"]);
    assert_eq!(letters(&runtime), [("add", "unstored")]);
    end(runtime).await;
}
