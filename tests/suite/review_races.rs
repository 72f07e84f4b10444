//! What a review broke by racing, each with its story.
#![allow(
    unused,
    clippy::disallowed_methods,
    reason = "written as reproductions; to be tidied with the next review"
)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::*;

use crate::support::{BoxFuture, Gate, *};

#[derive(Clone)]
struct Poison(u32);
impl Message for Poison {
    type Reply = u32;
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}
impl Handler<Poison> for Probe {
    async fn handle(&mut self, p: Poison, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        Err(Failure::bug("poison"))
    }
}

async fn keep_named(runtime: &Runtime, spec: ActorSpec<Probe>, round: u32) -> ActorRef<Probe> {
    let sup = Supervisor::named(format!("s{round}"))
        .intensity(1000, secs(1))
        .child(ChildSpec::of(spec).restart(Restart::Transient));
    let tree = runtime.supervise(sup).await.expect("it starts");
    tree.actor::<Probe>("probe").expect("it lives there")
}

// ---- a member that hangs in its restart ----
struct Member {
    board: Board,
}
#[derive(Clone)]
struct MemberArgs {
    board: Board,
    hang: Arc<AtomicBool>,
}
impl Actor for Member {
    type Args = MemberArgs;
    type Inbox = Open<Self>;
    async fn start(args: &MemberArgs) -> Result<Self, Failure> {
        if args.hang.swap(false, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Member { board: args.board.clone() })
    }
}
struct Die;
impl Message for Die {
    type Reply = ();
}
impl Handler<Die> for Member {
    async fn handle(&mut self, _: Die, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("die")
    }
}
impl Handler<Note> for Member {
    async fn handle(&mut self, n: Note, _: &mut Context<'_, Self>) -> Result<u32, Failure> {
        self.board.write(n.0);
        Ok(n.0)
    }
}

/// The start of a durable/any actor with a handler that keeps re-protecting: does a supervisor's stop ever end?
#[tokio::test(start_paused = true)]
async fn protect_again_and_again() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let gate = Gate::new();
    let g = gate.clone();
    kept.actor
        .tell(act(move |_, cx| {
            Box::pin(async move {
                g.enter();
                let clock = cx.clock();
                loop {
                    let _ = cx.protect(secs(10), clock.sleep(secs(5))).await;
                }
            })
        }))
        .await
        .unwrap();
    gate.entered().await;
    let stopped = tokio::time::timeout(secs(24 * 3600), kept.actor.stop(secs(1))).await;
    assert!(stopped.is_ok());
    end(runtime).await;
}

/// Who hears of a quarantine cannot act on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_before_quarantine() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default()).quarantine_after(1)).await;
    let mut too_early = 0;
    for n in 0..2000 {
        let _ = kept.actor.ask(Poison(n)).await;
        let before = kept.actor.quarantined().len();
        if before == 0 {
            too_early += 1;
            while kept.actor.quarantined().is_empty() {
                std::thread::yield_now();
            }
        }
        let id = kept.actor.quarantined()[0].id;
        assert!(kept.actor.discard(id));
    }
    assert_eq!(
        too_early, 0,
        "the asker was told, and the message was not in quarantine yet, {too_early} times of 2000"
    );
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq)]
struct Case;
impl HandoffPayload for Case {
    const OFFER: &'static str = "case-offer";
    const OUTCOME: &'static str = "case-outcome";
}
struct Taker {
    board: Board,
    name: String,
}
impl Actor for Taker {
    type Args = Board;
    type Inbox = Open<Self>;
    async fn start(board: &Board) -> Result<Self, Failure> {
        Ok(Taker { board: board.clone(), name: String::new() })
    }
}
impl Handler<Handoff<Case>> for Taker {
    async fn handle(&mut self, _: Handoff<Case>, cx: &mut Context<'_, Self>) -> Result<Decision, Failure> {
        self.board.write(cx.path());
        Ok(Decision::Accepted)
    }
}
impl Handler<Die> for Taker {
    async fn handle(&mut self, _: Die, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("die")
    }
}

/// A poison message of an idle-looking fenced start: drop of the last handle while protected etc. (sanity of close)
#[tokio::test(start_paused = true)]
async fn delete_and_add_while_a_delayed_start_is_due() {
    let runtime = runtime().await;
    let tree = runtime
        .supervise(
            Supervisor::named("sup")
                .strategy(Strategy::OneForAll)
                .intensity(3, secs(3600))
                .child(ChildSpec::actor::<Probe>("a", Board::default()).backoff(Backoff::constant(secs(10))))
                .child(ChildSpec::actor::<Probe>("b", Board::default())),
        )
        .await
        .unwrap();
    tree.actor::<Probe>("a").unwrap().tell(act(|_, _| Box::pin(async { panic!("down") }))).await.unwrap();
    runtime.clock().sleep(secs(1)).await;
    tree.delete_child("b").await.unwrap();
    tree.start_child(ChildSpec::actor::<Probe>("b", Board::default())).await.unwrap();
    let closed = tokio::time::timeout(secs(600), tree.closed()).await;
    assert!(closed.is_err(), "one crash, intensity 3: {closed:?}");
    end(runtime).await;
}
