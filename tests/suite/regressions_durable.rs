//! What a review broke in durable actors before the first release, each with its story.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    Actor, ActorSpec, AskError, Context, Durable, DurableMessage, ExitReason, Failure, Handler, MemoryStore,
    Message, Runtime, RuntimeConfig, SledStore, SnapshotPolicy, inbox,
};
use serde::{Deserialize, Serialize};

use crate::regressions::Bomb;
use crate::support::{Board, Gate, end, keep, millis, secs, soon};

/// Writes `gone` when it is dropped.
struct Farewell(Board);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.write("gone");
    }
}

/// A durable sum.
#[derive(Serialize, Deserialize)]
struct Sum {
    total: u64,
    #[serde(skip)]
    tools: Tools,
    /// Goes with the state of the life that blocked.
    #[serde(skip)]
    farewell: Option<Farewell>,
}

#[derive(Clone, Default)]
struct Tools {
    board: Board,
    gate: Gate,
    bomb: Bomb,
    resume_hangs: Arc<AtomicBool>,
    /// Blocks the thread until its other end is dropped.
    thread: Option<Arc<Mutex<mpsc::Receiver<()>>>>,
}

#[derive(Serialize, Deserialize, Debug)]
enum Work {
    Add(u64),
    Invalid,
    AddOneAndStop,
    /// Blocks its thread at the first try; is invalid at each.
    BlockThenInvalid,
}

impl Message for Work {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("work");
}

impl DurableMessage for Work {}

/// Adds one; the reply is a bomb.
#[derive(Serialize, Deserialize)]
struct AddOne;

impl Message for AddOne {
    type Reply = Bomb;
    const NAME: Option<&'static str> = Some("add-one");
}

impl DurableMessage for AddOne {}

inbox!(durable SumInbox for Sum: Work, AddOne);

impl Actor for Sum {
    type Args = Tools;
    type Inbox = SumInbox;

    async fn start(tools: &Tools) -> Result<Self, Failure> {
        Ok(Sum { total: 0, tools: tools.clone(), farewell: None })
    }
}

impl Durable for Sum {
    const NAME: &'static str = "sum";

    async fn resume(&mut self, tools: &Tools) -> Result<(), Failure> {
        self.tools = tools.clone();
        if tools.resume_hangs.load(Ordering::SeqCst) {
            tools.gate.enter();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl Handler<Work> for Sum {
    async fn handle(&mut self, work: Work, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        match work {
            Work::Add(n) => self.total += n,
            Work::Invalid => {
                self.total += 1_000;
                return Err(Failure::invalid("as the test wants"));
            }
            Work::AddOneAndStop => {
                self.total += 1;
                cx.stop();
            }
            Work::BlockThenInvalid => {
                if cx.tries() == 0 {
                    self.farewell = Some(Farewell(self.tools.board.clone()));
                    self.tools.gate.enter();
                    if let Some(thread) = &self.tools.thread {
                        // An error is the release.
                        let _ = thread.lock().expect("one blocks at a time").recv();
                    }
                }
                return Err(Failure::invalid("as the test wants"));
            }
        }
        Ok(self.total)
    }
}

impl Handler<AddOne> for Sum {
    async fn handle(&mut self, _: AddOne, _cx: &mut Context<'_, Self>) -> Result<Bomb, Failure> {
        self.total += 1;
        Ok(self.tools.bomb.clone())
    }
}

fn sum(tools: &Tools) -> ActorSpec<Sum> {
    ActorSpec::new("sum", tools.clone()).durable()
}

async fn stored() -> Runtime {
    Runtime::builder().store(MemoryStore::new()).start().await.expect("it starts")
}

/// The rollback of a failed message went back to the stored state, which `EveryMessages` writes only now and then:
/// one refused message took with it all that had been answered since. It needs a sparing policy and a failure without
/// a crash.
#[tokio::test(start_paused = true)]
async fn a_refused_message_takes_nothing_with_it_that_was_answered_but_not_yet_stored() {
    let runtime = stored().await;
    let spec = ActorSpec::<Sum>::new("sum", Tools::default()).snapshotted(SnapshotPolicy::EveryMessages(10));
    let sum = runtime.spawn_spec(spec).await.unwrap();
    for n in 1..=5 {
        assert_eq!(sum.ask(Work::Add(1)).await.unwrap(), n);
    }

    let refused = sum.ask(Work::Invalid).await;

    assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    assert_eq!(sum.ask(Work::Add(1)).await.unwrap(), 6);
    end(runtime).await;
}

/// A handler that had been fenced returned a failure, and its rollback loaded the state anew: under the next epoch,
/// so that the life which had taken over was the stale one and fell. It needs a blocked thread and a failure after
/// the fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_fenced_handler_that_fails_late_does_not_push_out_its_successor() {
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(MemoryStore::new()).start().await.unwrap();
    let (release, released) = mpsc::channel();
    let tools = Tools { thread: Some(Arc::new(Mutex::new(released))), ..Tools::default() };
    let kept = keep(&runtime, sum(&tools)).await;
    kept.actor.ask(Work::Add(1)).await.unwrap();
    kept.actor.tell(Work::BlockThenInvalid).await.unwrap();
    tools.gate.entered().await;

    let exit = kept.actor.stop(millis(10)).await;
    let next = kept.actor.ask(Work::Add(1)).within(secs(60)).await;
    drop(release);
    tools.board.until(1).await;
    let after = kept.actor.ask(Work::Add(1)).within(secs(60)).await;

    assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
    assert_eq!((next.unwrap(), after.unwrap()), (2, 3));
    assert_eq!(kept.actor.observe().restarts, 1);
    assert_eq!(kept.exits.lines(), ["unresponsive"]);
    end(runtime).await;
}

/// After a commit that failed, a life only says no until it is told to end. A handler that had asked to stop in the
/// same message had told it already, which it did not look for: it went round for ever. A hang is the failure.
#[tokio::test(start_paused = true)]
async fn a_handler_that_stops_itself_ends_although_its_state_could_not_be_stored() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let sum = runtime.spawn_spec(sum(&Tools::default())).await.unwrap();
    store.fail_commit_after(1, Fault::NoSpace);

    let asked = sum.ask(Work::AddOneAndStop).await;
    let exit = soon(sum.closed()).await;

    assert!(matches!(asked, Err(AskError::StoreUnavailable { .. })), "{asked:?}");
    assert!(matches!(exit, Some(ExitReason::Normal)), "{exit:?}");
    end(runtime).await;
}

/// A reply that nobody waited for panicked in its drop, after its message was stored and before it was laid aside: the
/// message came again and counted twice. It needs a durable actor, a tell, and such a reply.
#[tokio::test(start_paused = true)]
async fn a_stored_message_does_not_come_again_when_the_drop_of_its_reply_panics() {
    let runtime = stored().await;
    let tools = Tools::default();
    let kept = keep(&runtime, sum(&tools)).await;
    tools.bomb.arm();

    kept.actor.tell(AddOne).await.unwrap();
    let total = kept.actor.ask(Work::Add(0)).await;

    assert_eq!(total.unwrap(), 1);
    assert!(!tools.bomb.is_armed(), "it went off");
    end(runtime).await;
}

/// The rollback of a failed message called `resume` outside of everything that bounds an actor: one that hung there
/// passed its start deadline, heard no kill, and had to be fenced.
#[tokio::test(start_paused = true)]
async fn a_resume_that_hangs_in_a_rollback_is_bounded_like_a_start_and_hears_a_kill() {
    let runtime = stored().await;
    let tools = Tools::default();
    let patient = ActorSpec::new("patient", tools.clone()).durable();
    let patient = runtime.spawn_spec::<Sum>(patient).await.unwrap();
    let hasty = runtime.spawn_spec(sum(&tools).start_within(millis(300))).await.unwrap();
    tools.resume_hangs.store(true, Ordering::SeqCst);

    patient.tell(Work::Invalid).await.unwrap();
    tools.gate.entered().await;
    let killed = patient.stop(millis(100)).await;
    let before = runtime.clock().now();
    hasty.tell(Work::Invalid).await.unwrap();
    let timed_out = soon(hasty.closed()).await;

    assert!(matches!(killed, Some(ExitReason::Killed { .. })), "{killed:?}");
    assert!(matches!(timed_out, Some(ExitReason::StartTimedOut)), "{timed_out:?}");
    assert_eq!(runtime.clock().now() - before, millis(300));
    end(runtime).await;
}

/// Of two shutdowns at once the second found nothing left to do and came back while the store was still closing: who
/// opened it again then was told that it is locked. The lock is a real one, so this is in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_either_of_two_shutdowns_the_store_can_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let runtime = Runtime::builder().store(SledStore::open(&path).unwrap()).start().await.unwrap();
    let sum = runtime.spawn_spec(sum(&Tools::default())).await.unwrap();
    sum.ask(Work::Add(1)).await.unwrap();
    let caller = async || {
        runtime.shutdown(secs(5)).await;
        // No await: the two openings come one after the other.
        SledStore::open(&path).map(drop)
    };

    let (first, second) = tokio::join!(caller(), caller());

    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
}

/// Answers with what is nothing in MessagePack.
#[derive(Serialize, Deserialize)]
struct Quiet;

#[derive(Serialize, Deserialize)]
struct SayNothing;

impl Message for SayNothing {
    type Reply = ();
    const NAME: Option<&'static str> = Some("say-nothing");
}
impl DurableMessage for SayNothing {}

#[derive(Serialize, Deserialize)]
struct SayNone;

impl Message for SayNone {
    type Reply = Option<u64>;
    const NAME: Option<&'static str> = Some("say-none");
}
impl DurableMessage for SayNone {}

inbox!(durable QuietInbox for Quiet: SayNothing, SayNone);

impl Actor for Quiet {
    type Args = ();
    type Inbox = QuietInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Quiet)
    }
}
impl Durable for Quiet {
    const NAME: &'static str = "quiet";
}
impl Handler<SayNothing> for Quiet {
    async fn handle(&mut self, _: SayNothing, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}
impl Handler<SayNone> for Quiet {
    async fn handle(&mut self, _: SayNone, _: &mut Context<'_, Self>) -> Result<Option<u64>, Failure> {
        Ok(None)
    }
}

/// The record of an answer could not tell `()` and `None` from no answer: whoever asked again, as every step that asks does
/// after a crash, was told that the reply was dropped. Found by `crash_torture`: the asker's message was laid aside.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_nothing_is_given_again_from_the_record() {
    let runtime = stored().await;
    let quiet = runtime.spawn_spec(ActorSpec::<Quiet>::new("quiet", ()).durable()).await.unwrap();
    quiet.ask(SayNothing).with_id("nothing").await.unwrap();
    quiet.ask(SayNone).with_id("none").await.unwrap();

    let nothing = quiet.ask(SayNothing).with_id("nothing").await;
    let none = quiet.ask(SayNone).with_id("none").await;

    assert!(matches!((&nothing, &none), (Ok(()), Ok(None))), "{nothing:?} {none:?}");
    end(runtime).await;
}
