//! What a review broke in the admin interface and the stop of dynamic supervisors, each with its story.
#![allow(
    unused,
    clippy::disallowed_methods,
    reason = "written as reproductions; to be tidied with the next review"
)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::*;
use serde::{Deserialize, Serialize};

use crate::support::{BoxFuture, Gate, *};

/// The story: a group that waits for its backoff, and an admin who starts one of it meanwhile.
#[tokio::test(start_paused = true)]
async fn restart_child_while_its_group_waits() {
    let runtime = runtime().await;
    let (a, b) = (Board::default(), Board::default());
    let tree = runtime
        .supervise(
            Supervisor::named("sup")
                .strategy(Strategy::OneForAll)
                .intensity(3, secs(3600))
                .child(ChildSpec::actor::<Probe>("a", a.clone()).backoff(Backoff::constant(secs(10))))
                .child(ChildSpec::actor::<Probe>("b", b.clone())),
        )
        .await
        .unwrap();
    tree.actor::<Probe>("a").unwrap().tell(act(|_, _| Box::pin(async { panic!("down") }))).await.unwrap();
    runtime.clock().sleep(secs(1)).await;
    let answer = tree.restart_child("b").await;
    let closed = tokio::time::timeout(secs(600), tree.closed()).await;
    assert!(closed.is_err(), "one crash and one restart by hand, intensity 3: {closed:?}");
    end(runtime).await;
}

/// The story: a dynamic supervisor that is stopped cuts protected work.
#[tokio::test(start_paused = true)]
async fn dynamic_stop_cuts_protected_work() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let spec = DynamicSupervisor::<Probe>::named("many").shutdown(Shutdown::Within(secs(1)));
    let tree = runtime.supervise(spec).await.unwrap();
    let many = tree.dynamic::<Probe>();
    let one = many.start("a", board.clone()).await.unwrap();
    let two = many.start("b", board.clone()).await.unwrap();
    let one = tree.actor::<Probe>("a").unwrap();
    let two = tree.actor::<Probe>("b").unwrap();
    one.tell(hold(&gate)).await.unwrap(); // does not listen, is not protected
    gate.entered().await;
    let (g, bo) = (Gate::new(), board.clone());
    let g2 = g.clone();
    two.tell(act(move |probe, cx| {
        Box::pin(async move {
            let clock = cx.clock();
            let _ = cx
                .protect(secs(60), async {
                    g2.enter();
                    clock.sleep(secs(30)).await;
                })
                .await;
            probe.board.write("paid");
            Ok(0)
        })
    }))
    .await
    .unwrap();
    g.entered().await;
    let begun = runtime.clock().now();
    let exit = tree.stop(secs(300)).await;
    assert_eq!(board.lines(), ["paid"]);
    end(runtime).await;
}

/// The story: inject_again says true, but the mailbox did not take it and the quarantine has it no more.
#[tokio::test(start_paused = true)]
async fn inject_into_a_full_mailbox_that_drops_the_newest() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let spec = ActorSpec::<Probe>::new("probe", board.clone())
        .quarantine_after(1)
        .capacity(1)
        .overflow(Overflow::DropNewest);
    let kept = keep(&runtime, spec).await;
    let probe = kept.actor.clone();
    probe.ask(Flaky::new(7, 1)).await.unwrap_err();
    let id = probe.quarantined()[0].id;
    probe.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    probe.tell(Note(1)).await.unwrap();
    let taken = probe.inject_again(id);
    gate.open();
    let _ = probe.ask(Note(2)).await;
    println!(
        "inject_again {taken}; board {:?} quarantined {} letters {:?}",
        board.lines(),
        probe.quarantined().len(),
        letters(&runtime)
    );
    assert!(!taken || board.lines().contains(&"7".to_string()));
    end(runtime).await;
}

#[derive(Clone)]
struct Poison(u32);
impl Message for Poison {
    type Reply = ();
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}
impl Handler<Poison> for Probe {
    async fn handle(&mut self, p: Poison, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::bug("poison"))
    }
}

/// The story: quarantined messages that vanish: inject_again into a full mailbox while the quarantine is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inject_races_with_quarantine() {
    let runtime = Runtime::builder().dead_letter_capacity_or(1_000_000).await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone())
        .quarantine_after(1)
        .capacity(1)
        .overflow(Overflow::Reject);
    let kept = keep(&runtime, spec).await;
    let probe = kept.actor.clone();
    let done = Arc::new(AtomicBool::new(false));
    let injector = std::thread::spawn({
        let (probe, done) = (probe.clone(), done.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                for q in probe.quarantined().into_iter().take(4) {
                    probe.inject_again(q.id);
                }
            }
        }
    });
    let mut accepted = 0;
    let begun = std::time::Instant::now();
    while accepted < 20_000 && begun.elapsed() < secs(20) {
        if probe.try_tell(Poison(accepted)).is_ok() {
            accepted += 1;
        } else {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    injector.join().unwrap();
    tokio::time::sleep(secs(1)).await;
    let total = runtime.dead_letters().total_or();
    let held = probe.quarantined().len() as u64;
    assert_eq!(accepted as u64, held + total, "vanished: {}", accepted as i64 - (held + total) as i64);
}

trait Cap {
    fn dead_letter_capacity_or(self, n: usize) -> std::pin::Pin<Box<dyn Future<Output = Runtime>>>;
}
impl Cap for Builder {
    fn dead_letter_capacity_or(self, n: usize) -> std::pin::Pin<Box<dyn Future<Output = Runtime>>> {
        Box::pin(async move { self.start().await.expect("it starts") })
    }
}
trait Total {
    fn total_or(&self) -> u64;
}
impl Total for DeadLetters {
    fn total_or(&self) -> u64 {
        self.total()
    }
}

/// The story: two spawns of one name at once.
#[tokio::test(start_paused = true)]
async fn two_spawns_of_one_name() {
    let runtime = runtime().await;
    let (a, b) = tokio::join!(
        runtime.spawn::<Probe>("a", Board::default()),
        runtime.spawn::<Probe>("a", Board::default())
    );
    assert!(
        matches!(b, Err(SpawnError::Taken { .. })) || matches!(a, Err(SpawnError::Taken { .. })),
        "{b:?}"
    );
    end(runtime).await;
}

// ---- durable, slow resume ----
#[derive(Serialize, Deserialize)]
struct Slow {
    total: u64,
    #[serde(skip)]
    board: Board,
}
#[derive(Serialize, Deserialize, Debug)]
struct Bad;
impl Message for Bad {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("bad");
}
impl DurableMessage for Bad {}
inbox!(durable SlowInbox for Slow: Bad);
impl Actor for Slow {
    type Args = Board;
    type Inbox = SlowInbox;
    async fn start(board: &Board) -> Result<Self, Failure> {
        Ok(Slow { total: 0, board: board.clone() })
    }
}
impl Durable for Slow {
    const NAME: &'static str = "slow";
    async fn resume(&mut self, board: &Board) -> Result<(), Failure> {
        self.board = board.clone();
        tokio::time::sleep(secs(10)).await; // well within the start deadline of 30 s
        Ok(())
    }
}
impl Handler<Bad> for Slow {
    async fn handle(&mut self, _: Bad, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.board.write("ran");
        Err(Failure::invalid("no such thing"))
    }
}

/// The story: the progress watcher kills a life that rolls back (its handler is done).
#[tokio::test(start_paused = true)]
async fn progress_watcher_kills_a_roll_back() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let board = Board::default();
    let spec = ActorSpec::<Slow>::new("slow", board.clone())
        .durable(SnapshotPolicy::EveryMessage)
        .progress_within(secs(3));
    let kept = keep(&runtime, spec).await;
    let answer = kept.actor.ask(Bad).within(secs(600)).await;
    assert!(matches!(answer, Err(AskError::Refused { .. })), "{answer:?}");
    assert!(kept.exits.lines().is_empty(), "{:?}", kept.exits.lines());
    end(runtime).await;
}

/// The story: a drained durable actor that crashes: what is left?
#[tokio::test(start_paused = true)]
async fn terminate_then_drain_then_restart() {
    let runtime = runtime().await;
    let board = Board::default();
    let tree = runtime
        .supervise(
            Supervisor::named("sup")
                .intensity(0, secs(60))
                .child(ChildSpec::actor::<Probe>("p", board.clone())),
        )
        .await
        .unwrap();
    let p = tree.actor::<Probe>("p").unwrap();
    tree.terminate_child("p").await.unwrap();
    p.drain();
    let r = tree.restart_child("p").await;
    runtime.clock().sleep(secs(1)).await;
    assert_eq!(tree.place().state(), LifeState::Running, "restart_child took the supervisor down");
    end(runtime).await;
}
