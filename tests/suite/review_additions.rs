//! What a review broke in quarantine, protection and progress deadlines, each with its story.
#![allow(
    unused,
    clippy::disallowed_methods,
    reason = "written as reproductions; to be tidied with the next review"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    Actor, ActorRef, ActorSpec, AdminError, AskError, Backoff, ChildSpec, Context, Durable, DurableMessage,
    ExitReason, Failure, FailureClass, Handler, MemoryStore, Message, Open, Overflow, Place, Pool, Restart,
    Runtime, RuntimeConfig, RuntimeEvent, Shutdown, SnapshotPolicy, SpawnError, SuperviseExt, Supervisor,
    TellError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::*;

// ---- durable actor ----
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
}
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
enum Ending {
    Done,
    External,
    ExternalThenPanics,
    Waits,
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
        self.tools.board.write(format!("{} on {}", work.add, self.total));
        self.total += work.add;
        match work.ending {
            Ending::Done => {}
            Ending::External => return Err(Failure::of(FailureClass::External, "outage")),
            Ending::ExternalThenPanics if cx.tries() == 0 => {
                return Err(Failure::of(FailureClass::External, "outage"));
            }
            Ending::ExternalThenPanics => panic!("a first fall"),
            Ending::Waits => {
                self.tools.gate.enter();
                std::future::pending::<()>().await
            }
        }
        Ok(self.total)
    }
}

/// The story: External of a durable actor: "again in its place after a backoff, 3 tries; else done".
#[tokio::test(start_paused = true)]
async fn external_with_quarantine_is_bounded() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let tools = Tools::default();
    let spec = ActorSpec::<Ledger>::new("ledger", tools.clone())
        .durable(SnapshotPolicy::EveryMessage)
        .quarantine_after(3);
    let kept = keep(&runtime, spec).await;
    let (first, second) = tokio::join!(
        kept.actor.ask(Work { add: 1, ending: Ending::External }).within(secs(36_000)),
        kept.actor.ask(Work { add: 1, ending: Ending::Done }).within(secs(36_000)),
    );
    assert!(tools.board.lines().len() <= 6, "delivered {} times", tools.board.lines().len());
    end(runtime).await;
}

/// The story: a durable message that has to be killed comes back without bound when quarantine is on.
#[tokio::test(start_paused = true)]
async fn killed_message_with_quarantine_is_bounded() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let tools = Tools::default();
    let spec = ActorSpec::<Ledger>::new("ledger", tools.clone())
        .durable(SnapshotPolicy::EveryMessage)
        .quarantine_after(2);
    let kept = keep(&runtime, spec).await;
    kept.actor.tell(Work { add: 1, ending: Ending::Waits }).await.unwrap();
    for round in 0..30 {
        if tokio::time::timeout(secs(5), tools.gate.entered()).await.is_err() {
            end(runtime).await;
            return;
        }
        kept.actor.kill();
    }
    panic!(
        "came back 30 times; tries {:?}, quarantined {}",
        kept.actor.observe().in_hand,
        kept.actor.quarantined().len()
    );
}

/// The story: an External try makes the first panic count as a repeat (so it does not count for the intensity).
#[tokio::test(start_paused = true)]
async fn first_fall_after_external_counts() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let tools = Tools::default();
    let spec = ActorSpec::<Ledger>::new("ledger", tools.clone())
        .durable(SnapshotPolicy::EveryMessage)
        .quarantine_after(9);
    let sup = Supervisor::named("sup").intensity(0, secs(3600)).child(ChildSpec::of(spec));
    let tree = runtime.supervise(sup).await.unwrap();
    let actor = tree.actor::<Ledger>("ledger").unwrap();
    actor.tell(Work { add: 1, ending: Ending::ExternalThenPanics }).await.unwrap();
    let closed = tokio::time::timeout(secs(600), tree.closed()).await;
    assert!(
        closed.is_ok(),
        "intensity 0, but the first fall was not counted: restarts {}",
        actor.observe().restarts
    );
}

/// The story: the progress deadline cuts a commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_deadline_cuts_commit() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = Runtime::builder().store_arc_or(store.clone()).await;
    let tools = Tools::default();
    let spec = ActorSpec::<Ledger>::new("ledger", tools.clone())
        .durable(SnapshotPolicy::EveryMessage)
        .progress_within(secs(1));
    let kept = keep(&runtime, spec).await;
    kept.actor.ask(Work { add: 1, ending: Ending::Done }).await.unwrap();
    let held = store.hold_commits();
    let asked = kept.actor.ask(Work { add: 10, ending: Ending::Done });
    let release = async {
        tokio::time::sleep(millis(1_500)).await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(asked, release);
    let after = kept.actor.ask(Work { add: 100, ending: Ending::Done }).await;
    assert!(answer.is_ok(), "{answer:?}");
}

trait StoreArc {
    fn store_arc_or(
        self,
        store: Arc<FaultyStore<MemoryStore>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Runtime>>>;
}
impl StoreArc for greenroom::Builder {
    fn store_arc_or(
        self,
        store: Arc<FaultyStore<MemoryStore>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Runtime>>> {
        Box::pin(async move { self.store(store).start().await.expect("it starts") })
    }
}

fn pay(gate: &Gate, deadline: Duration) -> Act {
    let gate = gate.clone();
    act(move |probe, cx| {
        Box::pin(async move {
            let _ = cx.protect(deadline, gate.pass()).await;
            probe.board.write("paid");
            std::future::pending::<Result<u32, Failure>>().await
        })
    })
}

/// The story: shutdown(5 s) with a top-level actor protected for an hour.
#[tokio::test(start_paused = true)]
async fn shutdown_with_protected_top_level_actor() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    probe.tell(pay(&gate, secs(3_600))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();
    let report = runtime.shutdown(secs(5)).await;
    let took = runtime.clock().now() - begun;
    assert!(took <= secs(7), "shutdown(5 s) took {took:?}");
}

/// The story: two protections side by side; the end of one strips the other.
#[tokio::test(start_paused = true)]
async fn two_protections_side_by_side() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let g = gate.clone();
    let both = act(move |probe, cx| {
        Box::pin(async move {
            let clock = cx.clock();
            let board = probe.board.clone();
            let a = cx.protect(secs(60), clock.sleep(secs(3)));
            let b = cx.protect(secs(60), async {
                g.enter();
                clock.sleep(secs(30)).await;
                board.write("b paid")
            });
            let _ = tokio::join!(a, b);
            Ok(0)
        })
    });
    kept.actor.tell(both).await.unwrap();
    gate.entered().await;
    let exit = kept.actor.stop(secs(1)).await;
    assert_eq!(board.lines(), ["b paid"], "{exit:?}");
    end(runtime).await;
}

/// The story: after both ended, in the other order, a stale protection stays.
#[tokio::test(start_paused = true)]
async fn stale_protection() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let g = gate.clone();
    let both = act(move |probe, cx| {
        Box::pin(async move {
            let clock = cx.clock();
            let a = cx.protect(secs(3600), clock.sleep(millis(1)));
            let b = cx.protect(secs(3600), clock.sleep(millis(2)));
            let _ = tokio::join!(a, b);
            g.enter();
            std::future::pending::<Result<u32, Failure>>().await
        })
    });
    kept.actor.tell(both).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();
    let exit = kept.actor.stop(secs(1)).await;
    let took = runtime.clock().now() - begun;
    assert!(took <= secs(2), "nothing is protected any more, but the stop took {took:?}");
    end(runtime).await;
}

/// The story: inner protection shorter than the outer one, while a stop is waiting.
#[tokio::test(start_paused = true)]
async fn inner_protection_ends_the_outer_one() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let g = gate.clone();
    let nested = act(move |probe, cx| {
        Box::pin(async move {
            let clock = cx.clock();
            let _ = cx
                .protect(secs(60), async {
                    g.enter();
                    let _ = cx.protect(secs(5), std::future::pending::<()>()).await;
                    clock.sleep(secs(10)).await;
                })
                .await;
            probe.board.write("paid");
            Ok(0)
        })
    });
    kept.actor.tell(nested).await.unwrap();
    gate.entered().await;
    let exit = kept.actor.stop(secs(1)).await;
    assert_eq!(board.lines(), ["paid"], "{exit:?}");
    end(runtime).await;
}

// ---- from_fn ----
struct Told(u32);
struct WhichArgs;
impl Message for WhichArgs {
    type Reply = u32;
}
impl Actor for Told {
    type Args = u32;
    type Inbox = Open<Self>;
    async fn start(args: &u32) -> Result<Self, Failure> {
        Ok(Told(*args))
    }
}
impl Handler<WhichArgs> for Told {
    async fn handle(&mut self, _: WhichArgs, _: &mut Context<'_, Self>) -> Result<u32, Failure> {
        Ok(self.0)
    }
}

/// The story: change claims a stranger who runs, and shuts its mailbox.
#[tokio::test(start_paused = true)]
async fn change_shelves_a_stranger() {
    let runtime = runtime().await;
    let board = Board::default();
    let tree = runtime.supervise(Supervisor::named("sup")).await.unwrap();
    let stranger = runtime.spawn::<Probe>("sup/x", board.clone()).await.unwrap();
    let answer =
        tree.change(Supervisor::named("sup").child(ChildSpec::actor::<Probe>("x", Board::default()))).await;
    println!(
        "change {answer:?}; stranger {:?} tell {:?}",
        stranger.observe().state,
        stranger.tell(Note(1)).await
    );
    assert!(answer.is_err());
    end(runtime).await;
}

/// The story: a change that is refused leaves places behind.
#[tokio::test(start_paused = true)]
async fn refused_change_leaves_places() {
    let runtime = runtime().await;
    let tree = runtime.supervise(Supervisor::named("sup")).await.unwrap();
    // durable without a store: the place cannot be made
    let durable = ActorSpec::<Ledger>::new("c", Tools::default()).durable(SnapshotPolicy::EveryMessage);
    let new = Supervisor::named("sup")
        .child(ChildSpec::actor::<Probe>("b", Board::default()))
        .child(ChildSpec::of(durable));
    let answer = tree.change(new).await;
    let b = tree.actor::<Probe>("b");
    println!("{answer:?}; b: {b:?}");
    if let Ok(b) = &b {
        println!("tell {:?} {:?}", b.tell(Note(1)).await, tree.children().await);
    }
    assert!(b.is_err(), "nothing was changed, says the doc of `change`");
    end(runtime).await;
}
