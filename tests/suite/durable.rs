//! Durable actors: nothing leaves before it is stored, and a failure leaves the state of before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    Actor, ActorRef, ActorSpec, AskError, ChildSpec, Context, Durable, DurableMessage, ExitReason, Failure,
    FailureClass, Handler, MemoryStore, Message, Overflow, Runtime, RuntimeConfig, RuntimeEvent,
    SnapshotPolicy, SpawnError, Store, StoreError, SuperviseExt, Supervisor, TellError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Gate, Kept, Note, Probe, end, keep, letters, millis, secs, soon};

/// Counts; how its work ends is written in the message, as often as there are `faults`.
#[derive(Serialize, Deserialize)]
struct Ledger {
    total: u64,
    #[serde(skip)]
    tools: Tools,
}

#[derive(Clone, Default)]
struct Tools {
    board: Board,
    gate: Gate,
    faults: Arc<AtomicU32>,
    bystander: Option<ActorRef<Probe>>,
    /// Blocks the thread until its other end is dropped.
    thread: Option<Arc<std::sync::Mutex<std::sync::mpsc::Receiver<()>>>>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
enum Ending {
    Done,
    Fails(FailureClass),
    /// An outage at the first try; from then on a bug.
    FailsThenPanics,
    Panics,
    Waits,
    Blocks,
}

#[derive(Serialize, Deserialize, Debug)]
struct Work {
    add: u64,
    ending: Ending,
}

impl Message for Work {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("work");
}

impl DurableMessage for Work {}

inbox!(durable LedgerInbox for Ledger: Work);

impl Actor for Ledger {
    type Args = Tools;
    type Inbox = LedgerInbox;

    async fn start(tools: &Tools) -> Result<Self, Failure> {
        Ok(Ledger { total: 0, tools: tools.clone() })
    }
}

impl Durable for Ledger {
    const NAME: &'static str = "ledger";

    async fn resume(&mut self, tools: &Tools) -> Result<(), Failure> {
        self.tools = tools.clone();
        Ok(())
    }
}

impl Handler<Work> for Ledger {
    async fn handle(&mut self, work: Work, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        let Tools { board, gate, faults, bystander, thread } = self.tools.clone();
        board.write(format!("{} on {}", work.add, self.total));
        self.total += work.add;
        if let Some(bystander) = &bystander {
            cx.tell(bystander, Note(work.add as u32)).await?;
        }
        if work.ending == Ending::Done || faults.load(Ordering::Relaxed) == 0 {
            return Ok(self.total);
        }
        faults.fetch_sub(1, Ordering::Relaxed);
        match work.ending {
            Ending::Done => {}
            Ending::Fails(class) => return Err(Failure::of(class, "as the test wants")),
            Ending::FailsThenPanics if cx.tries() == 0 => return Err(Failure::external("as the test wants")),
            Ending::Panics | Ending::FailsThenPanics => panic!("as the test wants"),
            Ending::Waits => gate.pass().await,
            Ending::Blocks => {
                gate.enter();
                if let Some(thread) = thread {
                    let _ = thread.lock().expect("one blocks at a time").recv();
                }
            }
        }
        Ok(self.total)
    }
}

fn add(add: u64) -> Work {
    Work { add, ending: Ending::Done }
}

async fn world(faults: u32) -> (Runtime, Kept<Ledger>, Tools) {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.expect("it starts");
    let tools = Tools { faults: Arc::new(AtomicU32::new(faults)), ..Tools::default() };
    let kept = keep(&runtime, ledger(&tools)).await;
    assert_eq!(kept.actor.ask(add(1)).await.expect("no fault"), 1);
    (runtime, kept, tools)
}

fn ledger(tools: &Tools) -> ActorSpec<Ledger> {
    ActorSpec::new("ledger", tools.clone()).durable()
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_handler_panics_runs_again_on_the_committed_state_while_its_asker_waits() {
    let (runtime, kept, tools) = world(2).await;

    let panics = kept.actor.ask(Work { add: 10, ending: Ending::Panics });
    let behind = kept.actor.ask(add(100));
    let (first, second) = tokio::join!(panics, behind);

    assert_eq!((first.unwrap(), second.unwrap()), (11, 111));
    assert_eq!(tools.board.lines(), ["1 on 0", "10 on 1", "10 on 1", "10 on 1", "100 on 11"]);
    assert_eq!(kept.exits.lines(), ["panicked", "panicked"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_always_panics_ends_as_a_dead_letter_and_the_state_is_that_of_before() {
    let (runtime, kept, tools) = world(u32::MAX).await;

    let panics = kept.actor.ask(Work { add: 10, ending: Ending::Panics }).await;
    let after = kept.actor.ask(add(100)).await;

    assert!(matches!(panics, Err(AskError::ActorFailed { cause: ExitReason::Panicked { .. }, .. })));
    assert_eq!(after.unwrap(), 101);
    assert_eq!(tools.board.lines().len(), 1 + 4 + 1);
    assert_eq!(letters(&runtime), [("work", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_external_failure_is_retried_in_place_with_backoff_and_nothing_overtakes_it() {
    let (runtime, kept, tools) = world(2).await;
    let before = runtime.clock().now();

    let external = kept.actor.ask(Work { add: 10, ending: Ending::Fails(FailureClass::External) });
    let behind = kept.actor.ask(add(100));
    let (first, second) = tokio::join!(external, behind);

    assert_eq!((first.unwrap(), second.unwrap()), (11, 111));
    assert_eq!(tools.board.lines(), ["1 on 0", "10 on 1", "10 on 1", "10 on 1", "100 on 11"]);
    assert_eq!(kept.actor.observe().restarts, 0, "the same incarnation");
    let waited = runtime.clock().now() - before;
    assert!(millis(300) <= waited && waited < millis(400), "{waited:?}: 100 ms, 200 ms and jitter");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_external_failure_is_told_after_its_tries_and_leaves_no_trace_in_the_state() {
    let (runtime, kept, tools) = world(u32::MAX).await;

    let external = kept.actor.ask(Work { add: 10, ending: Ending::Fails(FailureClass::External) }).await;
    let after = kept.actor.ask(add(100)).await;

    assert!(
        matches!(external, Err(AskError::Failed { failure, .. }) if failure.class() == FailureClass::External)
    );
    assert_eq!(after.unwrap(), 101);
    assert_eq!(tools.board.lines().len(), 1 + 4 + 1);
    assert_eq!(kept.actor.observe().restarts, 0);
    end(runtime).await;
}

/// Stops a ledger in the backoff of its message; what is left of that.
async fn stopped_in_its_backoff(
    spec: impl Fn(&Tools) -> ActorSpec<Ledger>,
) -> (Vec<(&'static str, &'static str)>, usize) {
    let store = MemoryStore::new();
    let runtime = Runtime::builder().store(store.clone()).start().await.expect("it starts");
    let tools = Tools { faults: Arc::new(AtomicU32::new(u32::MAX)), ..Tools::default() };
    let kept = keep(&runtime, spec(&tools)).await;
    let external =
        async { kept.actor.ask(Work { add: 10, ending: Ending::Fails(FailureClass::External) }).await };
    let stopped = async {
        runtime.clock().sleep(millis(50)).await;
        let before = runtime.clock().now();
        let exit = kept.actor.stop(secs(5)).await;
        assert_eq!(runtime.clock().now(), before);
        exit
    };

    let (answer, exit) = tokio::join!(external, stopped);

    assert!(matches!(exit, Some(ExitReason::Shutdown)));
    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    let letters = letters(&runtime);
    end(runtime).await;
    (letters, store.scan(kept.actor.path()).expect("it can be read").inbox.len())
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_during_the_backoff_and_the_message_stays_on_disk() {
    let (letters, on_disk) = stopped_in_its_backoff(ledger).await;

    assert_eq!((letters, on_disk), (Vec::new(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_during_the_backoff_and_a_message_in_memory_is_reported() {
    let spec =
        |tools: &Tools| ActorSpec::new("ledger", tools.clone()).snapshotted(SnapshotPolicy::EveryMessage);

    let (letters, on_disk) = stopped_in_its_backoff(spec).await;

    assert_eq!((letters, on_disk), (vec![("work", "gone")], 0));
}

/// Fails once with `class`; the state must be that of before, in the same incarnation.
async fn rolled_back(class: FailureClass) -> (AskError<Work>, Vec<(&'static str, &'static str)>) {
    let (runtime, kept, tools) = world(1).await;

    let error = kept.actor.ask(Work { add: 10, ending: Ending::Fails(class) }).await.expect_err("it fails");

    assert_eq!(kept.actor.ask(add(100)).await.expect("no fault"), 101);
    assert_eq!(tools.board.lines(), ["1 on 0", "10 on 1", "100 on 1"]);
    assert_eq!(kept.actor.observe().restarts, 0);
    let letters = letters(&runtime);
    end(runtime).await;
    (error, letters)
}

#[tokio::test(start_paused = true)]
async fn invalid_input_is_refused_at_once_and_rolled_back() {
    let (error, letters) = rolled_back(FailureClass::Invalid).await;

    assert!(matches!(error, AskError::Refused { .. }));
    assert_eq!(letters, []);
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_bound_is_rolled_back_and_reported() {
    let (error, letters) = rolled_back(FailureClass::Exhausted).await;

    assert!(matches!(error, AskError::Failed { .. }));
    assert_eq!(letters, [("work", "exhausted")]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_work_is_rolled_back() {
    let (error, letters) = rolled_back(FailureClass::Cancelled).await;

    assert!(matches!(error, AskError::Failed { .. }));
    assert_eq!(letters, []);
}

#[tokio::test(start_paused = true)]
async fn a_killed_handler_leaves_its_message_in_place_for_the_next_life() {
    let (runtime, kept, tools) = world(1).await;
    let waits = async { kept.actor.ask(Work { add: 10, ending: Ending::Waits }).await };
    let behind = async { kept.actor.ask(add(100)).await };
    let killed = async {
        tools.gate.entered().await;
        kept.actor.kill();
    };

    let (first, second, ()) = tokio::join!(waits, behind, killed);

    assert_eq!((first.unwrap(), second.unwrap()), (11, 111));
    assert_eq!(tools.board.lines(), ["1 on 0", "10 on 1", "10 on 1", "100 on 11"]);
    assert_eq!(kept.exits.lines(), ["killed"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn neither_reply_nor_held_sends_leave_before_the_state_is_stored() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let target = Board::default();
    let bystander = runtime.spawn::<Probe>("bystander", target.clone()).await.unwrap();
    let tools = Tools { bystander: Some(bystander.clone()), ..Tools::default() };
    let ledger = runtime.spawn_spec(ledger(&tools)).await.unwrap();
    let next = store.commits() + 2; // behind the one that accepts the message
    let held = store.hold_commits_after(1);

    let asked = async { ledger.ask(add(5)).within(secs(60)).await };
    let checked = async {
        store.commit_arrived(next).await;
        bystander.ask(Note(0)).await.unwrap();
        assert_eq!(target.lines(), ["0"]);
        drop(held);
    };
    let mut asked = std::pin::pin!(asked);
    tokio::select! { biased; answer = &mut asked => panic!("{answer:?}"), () = checked => {} }

    assert_eq!(asked.await.unwrap(), 5);
    assert_eq!(target.until(2).await, ["0", "5"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn held_sends_are_dropped_with_the_failure() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let target = Board::default();
    let bystander = runtime.spawn::<Probe>("bystander", target.clone()).await.unwrap();
    let faults = Arc::new(AtomicU32::new(3));
    let tools = Tools { bystander: Some(bystander.clone()), faults, ..Tools::default() };
    let kept = keep(&runtime, ledger(&tools)).await;

    kept.actor.ask(Work { add: 5, ending: Ending::Fails(FailureClass::External) }).await.unwrap();
    bystander.ask(Note(0)).await.unwrap();

    assert_eq!(target.lines(), ["5", "0"], "four runs, one send");
    assert_eq!(bystander.observe().waiting, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_state_outlives_the_runtime() {
    let store = MemoryStore::new();
    let first = Runtime::builder().store(store.clone()).start().await.unwrap();
    let ledger_before = first.spawn_spec(ledger(&Tools::default())).await.unwrap();
    ledger_before.ask(add(5)).await.unwrap();
    let epoch = ledger_before.observe().epoch;
    end(first).await;

    let second = Runtime::builder().store(store).start().await.unwrap();
    let ledger = second.spawn_spec(ledger(&Tools::default())).await.unwrap();

    assert_eq!(ledger.ask(add(1)).await.unwrap(), 6);
    assert!(ledger.observe().epoch > epoch);
    end(second).await;
}

/// Two runtimes on one store would claim the same actors, and each would acknowledge what the other overwrites.
#[tokio::test(start_paused = true)]
async fn a_store_belongs_to_one_runtime_at_a_time() {
    let store = MemoryStore::new();
    let first = Runtime::builder().store(store.clone()).start().await.unwrap();

    let shared: [Arc<dyn Store>; 2] = [Arc::new(store.clone()), Arc::new(FaultyStore::new(store.clone()))];
    for store in shared {
        let second = Runtime::builder().store(store).start().await;
        assert!(matches!(second, Err(SpawnError::Store(StoreError::Locked { .. }))), "{second:?}");
    }
    let ledger_before = first.spawn_spec(ledger(&Tools::default())).await.unwrap();
    assert_eq!(ledger_before.ask(add(5)).await.unwrap(), 5, "the first goes on undisturbed");
    end(first).await;

    let second = Runtime::builder().store(store).start().await.unwrap();
    end(second).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_and_later_messages_come_back() {
    type Spec = fn(&Tools) -> ActorSpec<Ledger>;
    let snapshotted: Spec =
        |tools| ActorSpec::new("ledger", tools.clone()).snapshotted(SnapshotPolicy::EveryMessage);
    // A durable one accepts the message first; it is on disk then, and not lost with this runtime.
    for (spec, passing, lost) in
        [(ledger as Spec, 1, Vec::new()), (snapshotted, 0, vec![("work", "unstored")])]
    {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
        let ledger = runtime.spawn_spec(spec(&Tools::default())).await.unwrap();
        ledger.ask(add(5)).await.unwrap();
        let mut events = runtime.events();
        store.fail_commit_after(passing, Fault::Write);

        let failed = ledger.ask(add(7)).await;
        let refused = ledger.tell(add(8)).await;

        assert!(matches!(failed, Err(AskError::StoreUnavailable { .. })), "{failed:?}");
        assert!(matches!(refused, Err(TellError::StoreUnavailable { message: Work { add: 8, .. }, .. })));
        assert_eq!(letters(&runtime), lost);
        assert!(matches!(events.recv().await, Ok(RuntimeEvent::StoreFailed { .. })));
        end(runtime).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_fenced_handler_commits_nothing_and_its_message_runs_again() {
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(MemoryStore::new()).start().await.unwrap();
    let (release, released) = std::sync::mpsc::channel();
    let thread = Some(Arc::new(std::sync::Mutex::new(released)));
    let tools = Tools { faults: Arc::new(AtomicU32::new(1)), thread, ..Tools::default() };
    let kept = keep(&runtime, ledger(&tools)).await;
    kept.actor.ask(add(1)).await.unwrap();
    let mut events = runtime.events();
    let blocks = async { kept.actor.ask(Work { add: 10, ending: Ending::Blocks }).within(secs(60)).await };
    let stopped = async {
        tools.gate.entered().await;
        kept.actor.stop(millis(10)).await
    };

    let (answer, exit) = tokio::join!(blocks, stopped);
    drop(release);
    let after = kept.actor.ask(add(100)).await;

    assert!(matches!(exit, Some(ExitReason::Unresponsive)));
    assert_eq!((answer.unwrap(), after.unwrap()), (11, 111));
    end(runtime).await;
    while let Ok(event) = events.try_recv() {
        let false_alarm = matches!(event, RuntimeEvent::StoreFailed { .. } | RuntimeEvent::DeadLetter(_));
        assert!(!false_alarm, "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_durable_actor_without_a_store_is_refused() {
    let runtime = crate::support::runtime().await;

    let spawned = runtime.spawn_spec(ledger(&Tools::default())).await;

    assert!(matches!(spawned, Err(SpawnError::NoStore { path }) if path.as_str() == "ledger"));
    assert!(runtime.places().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_durable_mailbox_may_not_shed() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let spawned = runtime.spawn_spec(ledger(&Tools::default()).overflow(overflow)).await;

        assert!(
            matches!(spawned, Err(SpawnError::DurableMayNotShed { overflow: named, .. }) if named == overflow)
        );
    }
    end(runtime).await;
}

/// A ledger whose messages are laid aside after they failed `times` times.
fn quarantined(tools: &Tools, times: u32) -> ActorSpec<Ledger> {
    let spec = ActorSpec::<Ledger>::new("ledger", tools.clone());
    spec.durable().quarantine_after(times)
}

async fn with_faults(faults: u32) -> (Runtime, Tools) {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.expect("it starts");
    (runtime, Tools { faults: Arc::new(AtomicU32::new(faults)), ..Tools::default() })
}

/// The story: with a quarantine, an outage was tried again without bound, and nothing behind it was handled.
#[tokio::test(start_paused = true)]
async fn an_external_failure_has_its_tries_and_no_more_with_a_quarantine_too() {
    let (runtime, tools) = with_faults(99).await;
    let kept = keep(&runtime, quarantined(&tools, 3)).await;

    let fails = Work { add: 1, ending: Ending::Fails(FailureClass::External) };
    let (failed, next) = tokio::join!(
        kept.actor.ask(fails).within(secs(36_000)),
        kept.actor.ask(add(1)).within(secs(36_000)),
    );

    assert!(matches!(failed, Err(AskError::Failed { .. })), "{failed:?}");
    assert_eq!(next.unwrap(), 1);
    assert_eq!(tools.board.lines(), ["1 on 0"; 4]);
    end(runtime).await;
}

/// The story: with a quarantine, a message whose handler had to be killed came back for ever.
#[tokio::test(start_paused = true)]
async fn a_message_that_has_to_be_killed_is_laid_aside_in_the_end() {
    let store = MemoryStore::new();
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let tools = Tools { faults: Arc::new(AtomicU32::new(99)), ..Tools::default() };
    let kept = keep(&runtime, quarantined(&tools, 2)).await;
    let mut events = runtime.events();
    kept.actor.tell(Work { add: 1, ending: Ending::Waits }).await.unwrap();

    for _ in 0..2 {
        tools.gate.entered().await;
        kept.actor.kill();
    }

    assert_eq!(kept.actor.ask(add(1)).await.unwrap(), 1);
    let aside = store.laid_aside(kept.actor.path()).unwrap();
    assert_eq!(aside.iter().map(|aside| &*aside.message.name).collect::<Vec<_>>(), ["work"]);
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .filter(|event| matches!(event, RuntimeEvent::Quarantined { message: "work", .. }));
    assert_eq!((told.count(), letters(&runtime)), (1, Vec::new()));
    end(runtime).await;
}

/// The story: an outage before it made the first fall over a message pass for a repeat, which counts for nothing.
#[tokio::test(start_paused = true)]
async fn the_first_fall_counts_for_the_intensity_also_after_an_outage() {
    let (runtime, tools) = with_faults(99).await;
    let sup = Supervisor::named("sup").intensity(0, secs(3_600)).child(ChildSpec::of(quarantined(&tools, 9)));
    let tree = runtime.supervise(sup).await.unwrap();

    let falls = Work { add: 1, ending: Ending::FailsThenPanics };
    tree.actor::<Ledger>("ledger").unwrap().tell(falls).await.unwrap();

    let exit = soon(tree.closed()).await;
    assert!(matches!(exit, Some(ExitReason::IntensityExceeded { .. })), "{exit:?}");
    end(runtime).await;
}

/// The story: the progress deadline cut a commit under way, and nobody could say whether it had been applied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_no_time_of_the_handler() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let spec = ActorSpec::<Ledger>::new("ledger", Tools::default());
    let spec = spec.durable().progress_within(millis(20));
    let kept = keep(&runtime, spec).await;

    let held = store.hold_commits_after(1);
    let released = async {
        runtime.clock().sleep(millis(100)).await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(kept.actor.ask(add(10)), released);

    assert_eq!(answer.unwrap(), 10);
    assert!(kept.exits.lines().is_empty());
    end(runtime).await;
}
