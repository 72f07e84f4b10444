//! A handler with a progress deadline: cut when it waits for too long, fenced and named when it blocks its thread.

use std::sync::mpsc;

use greenroom::{
    Actor, ActorSpec, AskError, Clock, Context, Durable, DurableMessage, ExitReason, Failure, Handler,
    MemoryStore, Message, Runtime, RuntimeEvent, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{
    Board, Flaky, Gate, Note, Probe, act, end, hold, impatient_runtime, keep, letters, millis, runtime, secs,
    soon,
};

#[tokio::test(start_paused = true)]
async fn a_stuck_handler_is_cut_and_its_incarnation_replaced() {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).progress_within(secs(3));
    let kept = keep(&runtime, spec).await;
    let begun = runtime.clock().now();

    let (stuck, next) = tokio::join!(
        kept.actor.ask(hold(&Gate::new())).within(secs(60)),
        kept.actor.ask(Note(1)).within(secs(60)),
    );

    assert!(
        matches!(stuck, Err(AskError::ActorFailed { cause: ExitReason::NoProgress { within }, .. }) if within == secs(3))
    );
    assert_eq!(next.unwrap(), 1);
    assert_eq!(runtime.clock().now() - begun, secs(3));
    assert_eq!(kept.exits.lines(), ["no_progress"]);
    assert_eq!(letters(&runtime), [("Act", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_done_in_time_is_left_alone_however_many_there_are() {
    let runtime = runtime().await;
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).progress_within(secs(3));
    let kept = keep(&runtime, spec).await;
    let slow = || {
        act(|_, cx| {
            Box::pin(async move {
                cx.clock().sleep(millis(2_999)).await;
                Ok(0)
            })
        })
    };

    for _ in 0..10 {
        kept.actor.ask(slow()).await.unwrap();
    }

    assert_eq!(kept.actor.observe().restarts, 0);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_blocks_its_thread_is_fenced_and_named() {
    let runtime = impatient_runtime().await;
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).progress_within(millis(50));
    let kept = keep(&runtime, spec).await;
    let (release, released) = mpsc::channel::<()>();
    let mut events = runtime.events();
    let block = act(move |_, _| {
        Box::pin(async move {
            let _ = released.recv();
            Ok(0)
        })
    });
    kept.actor.tell(block).await.unwrap();

    let answer = soon(kept.actor.ask(Note(1)).within(secs(50))).await;

    assert_eq!(answer.unwrap(), 1);
    assert_eq!(kept.exits.lines(), ["unresponsive"]);
    let mut named = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let RuntimeEvent::Unresponsive { path, .. } = event {
            named.push(path.to_string());
        }
    }
    assert_eq!(named, ["keeper/probe"]);
    drop(release);
    end(runtime).await;
}

/// Its own end, when its thread comes back, is not that of the one that was put in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 5)]
async fn a_life_that_comes_back_does_not_blind_the_watch_over_its_successor() {
    let runtime = impatient_runtime().await;
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).progress_within(millis(100));
    let kept = keep(&runtime, spec).await;
    let block = |gate: &Gate| {
        let (release, released) = mpsc::channel::<()>();
        let gate = gate.clone();
        let block = act(move |_, _| {
            Box::pin(async move {
                gate.enter();
                let _ = released.recv();
                Ok(0)
            })
        });
        (block, release)
    };
    let (first, second) = (Gate::new(), Gate::new());
    let ((blocks_first, release_first), (blocks_second, release_second)) = (block(&first), block(&second));
    kept.actor.tell(blocks_first).await.unwrap();
    kept.actor.tell(blocks_second).await.unwrap();
    first.entered().await;
    second.entered().await; // the first was fenced

    drop(release_first);
    let answer = soon(kept.actor.ask(Note(1)).within(secs(50))).await;

    assert_eq!(answer.unwrap(), 1, "the second was fenced as well");
    drop(release_second);
    end(runtime).await;
}

/// A message that comes again after it was cut keeps its place and its tries.
#[tokio::test(start_paused = true)]
async fn a_message_that_may_come_again_does_after_it_was_cut() {
    let runtime = runtime().await;
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).progress_within(secs(1));
    let kept = keep(&runtime, spec).await;

    let tries = kept.actor.ask(Flaky::new(7, 2)).await.unwrap();

    assert_eq!(tries, 2);
    end(runtime).await;
}

/// A state that takes 10 s to come back.
#[derive(Serialize, Deserialize)]
struct Slow;

#[derive(Serialize, Deserialize)]
struct Bad;

impl Message for Bad {
    type Reply = ();
    const NAME: Option<&'static str> = Some("bad");
}

impl DurableMessage for Bad {}

inbox!(durable SlowInbox for Slow: Bad);

impl Actor for Slow {
    type Args = Clock;
    type Inbox = SlowInbox;

    async fn start(_: &Clock) -> Result<Self, Failure> {
        Ok(Slow)
    }
}

impl Durable for Slow {
    const NAME: &'static str = "slow";

    async fn resume(&mut self, clock: &Clock) -> Result<(), Failure> {
        clock.sleep(secs(10)).await;
        Ok(())
    }
}

impl Handler<Bad> for Slow {
    async fn handle(&mut self, _: Bad, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::invalid("no such thing"))
    }
}

/// The story: a life that rolled its state back, its handler long done, was taken for stuck.
#[tokio::test(start_paused = true)]
async fn a_roll_back_is_no_time_of_the_handler() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let spec = ActorSpec::<Slow>::new("slow", runtime.clock()).durable();
    let kept = keep(&runtime, spec.progress_within(secs(3))).await;

    let answer = kept.actor.ask(Bad).within(secs(600)).await;

    assert!(matches!(answer, Err(AskError::Refused { .. })), "{answer:?}");
    assert!(kept.exits.lines().is_empty(), "{:?}", kept.exits.lines());
    end(runtime).await;
}
