//! A durable actor runs ahead: it goes on while the commits of the messages before are under way, and nobody can tell.

mod company; // others who wait for it, or for whom it waits; its own stop; processes that end over it
mod flushes; // how many messages share one, and what does not wait for the next handler
mod picky; // a store that refuses what it is told to
mod random; // whatever happens, as if one by one
mod refusals; // commits that are refused, or meet the end of the store

use std::sync::{Arc, OnceLock};

use greenroom::testing::FaultyStore;
use greenroom::{
    Actor, ActorRef, ActorSpec, Address, Context, Durable, DurableMessage, Effect, Failure, Handler,
    MemoryStore, Message, Runtime, RuntimeConfig, Store, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Comeback, Gate, Kept, keep_as, millis, path, secs};
use picky::Picky;

/// Remembers the jobs it has done, in their order.
#[derive(Default, Serialize, Deserialize)]
struct Runner {
    done: Vec<u32>,
    /// Makes the state as large as a test wants.
    ballast: String,
}

#[derive(Clone, Default)]
struct Track {
    board: Board,
    gate: Gate,
    store: Arc<OnceLock<Arc<FaultyStore<Disk>>>>,
}

/// Answered with all that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    number: u32,
    how: How,
}

/// What becomes of a job, once it has passed its number on to the runner `next`, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Well,
    /// After some turns.
    Slowly,
    /// Standing in the gate.
    InTheGate,
    /// With a call outside, which writes on the board.
    ByAStep,
    /// With a look at the clock.
    ByTheClock,
    /// With work beside it, which writes on the board when it begins.
    WithWork,
    /// With a reminder of the job 99, in a moment.
    WithAReminder,
    /// With so many kilobytes of state.
    With(usize),
    /// With a call outside, which is an outage until the board says that it works.
    ByAnOutage,
    /// Answered by the runner `other`.
    ByAnother,
    /// With a question to the runner `other`, which asks back.
    WithAQuestion,
    /// As before, but not the first time.
    WithALaterQuestion,
    /// With a case of its own, standing in the gate before its commit.
    WithACase,
    /// The last one of its life.
    AndStops,
    /// Never.
    Never,
    /// Leaving the state as it was.
    WithoutTrace,
    /// Blocks its thread until as many commits as its number have come to the store.
    BehindACommit,
    Panics,
    IsInvalid,
    IsExhausted,
    /// Fails with an outage.
    IsOut,
}

impl How {
    fn ends_well(self) -> bool {
        !matches!(self, How::Panics | How::IsInvalid | How::IsExhausted | How::IsOut)
    }
}

impl Message for Job {
    type Reply = Vec<u32>;
    const NAME: Option<&'static str> = Some("job");
}
impl DurableMessage for Job {}

inbox!(durable RunnerInbox for Runner: Job);

impl Actor for Runner {
    type Args = Track;
    type Inbox = RunnerInbox;

    async fn start(_: &Track) -> Result<Self, Failure> {
        Ok(Runner::default())
    }
}

impl Durable for Runner {
    const NAME: &'static str = "runner";
}

impl Handler<Job> for Runner {
    async fn handle(&mut self, job: Job, cx: &mut Context<'_, Self>) -> Result<Vec<u32>, Failure> {
        let Track { board, gate, store } = cx.args();
        let Job { number, how } = job;
        board.write(format!("{} {number}", cx.path()));
        self.done.push(number);
        if cx.path().name() != "next"
            && let Ok(next) = cx.resolve::<Runner>(&Address::new(path("next")))
        {
            cx.tell(&next, well(number)).await?;
        }
        match how {
            How::Well => {}
            How::Slowly => {
                for _ in 0..number % 7 {
                    tokio::task::yield_now().await;
                }
            }
            How::InTheGate => gate.pass().await,
            How::ByAStep => {
                let step = cx.step("call", Effect::Idempotent, &number);
                step.run(|| async {
                    board.write(format!("call {number}"));
                    Ok(())
                })
                .await?;
            }
            How::ByTheClock => drop(cx.time_ms()),
            How::ByAnOutage => {
                let step = cx.step("call", Effect::Idempotent, &number).tries(1);
                step.run(|| async {
                    if !board.lines().iter().any(|line| line == "works") {
                        return Err(Failure::external("as the test wants"));
                    }
                    board.write(format!("call {number}"));
                    Ok(())
                })
                .await?;
            }
            How::ByAnother => return cx.forward(&colleague(cx)?, well(number)).await,
            How::WithAQuestion => drop(cx.ask(&colleague(cx)?, well(number)).await?),
            How::WithALaterQuestion => {
                let own = format!("{} {number}", cx.path());
                if board.lines().iter().filter(|line| **line == own).count() > 1 {
                    cx.ask(&colleague(cx)?, well(number)).await?;
                }
            }
            How::WithACase => {
                cx.open_case("case").await?;
                gate.pass().await;
            }
            How::AndStops => cx.stop(),
            How::Never => std::future::pending().await,
            How::WithoutTrace => drop(self.done.pop()),
            How::BehindACommit => {
                let store = store.get().expect("set by the process");
                // Some seconds at most, on the thread that the test leaves to everybody.
                let came = (0..5_000_000).any(|_| {
                    std::thread::yield_now();
                    store.commits() >= u64::from(number)
                });
                assert!(came, "it does not come while the thread is blocked");
            }
            How::WithWork => {
                let board = board.clone();
                cx.spawn_when_settled(async move { board.write("work") }, |()| well(98));
            }
            How::WithAReminder => cx.remind_after("soon", millis(10), well(99))?,
            How::With(kilobytes) => self.ballast = "x".repeat(kilobytes << 10),
            How::Panics => panic!("as the test wants"),
            How::IsInvalid => return Err(Failure::invalid("as the test wants")),
            How::IsExhausted => return Err(Failure::exhausted("as the test wants")),
            How::IsOut => return Err(Failure::external("as the test wants")),
        }
        Ok(self.done.clone())
    }
}

/// The runner `other`, and of that the one at `runner`, or under a keeper.
fn colleague(cx: &Context<'_, Runner>) -> Result<ActorRef<Runner>, Failure> {
    let at = |name| cx.resolve(&Address::new(path(name))).map_err(Failure::bug);
    match cx.path().name() {
        "other" => at("runner").or_else(|_| at("keeper/runner")),
        _ => at("other"),
    }
}

fn well(number: u32) -> Job {
    job(number, How::Well)
}

fn job(number: u32, how: How) -> Job {
    Job { number, how }
}

fn runner(name: &str, track: &Track) -> ActorSpec<Runner> {
    ActorSpec::new(name, track.clone()).durable()
}

type Disk = Arc<Picky>;

/// A process: a runtime, and the store it has opened.
struct Process {
    runtime: Runtime,
    store: Arc<FaultyStore<Disk>>,
    track: Track,
}

async fn process(disk: &Disk) -> Process {
    process_with(disk, RuntimeConfig::default()).await
}

async fn process_with(disk: &Disk, config: RuntimeConfig) -> Process {
    let store = Arc::new(FaultyStore::new(disk.clone()));
    let runtime =
        Runtime::builder().config(config).store(store.clone()).start().await.expect("the store is free");
    let track = Track::default();
    assert!(track.store.set(store.clone()).is_ok(), "it is new");
    Process { runtime, store, track }
}

impl Process {
    async fn runner(&self, name: &str) -> ActorRef<Runner> {
        self.runtime.spawn_spec(runner(name, &self.track)).await.expect("a fresh name")
    }

    /// One that comes back whenever it falls, and to which each message comes at most twice.
    async fn kept(&self, run_ahead: u32) -> Kept<Runner> {
        let spec = runner("runner", &self.track).redeliveries(1).run_ahead(run_ahead);
        keep_as(&self.runtime, spec, Comeback::AtOnce).await
    }

    /// One that stands in the gate over the job 0, while `jobs` wait behind it.
    async fn with_waiting(&self, jobs: &[Job]) -> ActorRef<Runner> {
        self.with_waiting_as(runner("runner", &self.track), jobs).await
    }

    async fn with_waiting_as(&self, spec: ActorSpec<Runner>, jobs: &[Job]) -> ActorRef<Runner> {
        let runner = self.runtime.spawn_spec(spec).await.expect("a fresh name");
        runner.tell(job(0, How::InTheGate)).await.expect("it is accepted");
        self.track.gate.entered().await;
        for job in jobs {
            runner.tell(job.clone()).await.expect("it is accepted");
        }
        runner
    }

    fn calls(&self) -> Vec<String> {
        self.track.board.lines().into_iter().filter(|line| line.starts_with("call")).collect()
    }

    /// Waits until nothing waits there and nothing is under way.
    async fn rests(&self, runner: &ActorRef<Runner>) {
        loop {
            let seen = runner.observe();
            if seen.waiting == 0 && seen.in_hand.is_none() {
                return;
            }
            self.runtime.clock().sleep(millis(10)).await;
        }
    }

    /// From here on nothing reaches the disk, as after `kill -9`.
    async fn dies(self) {
        self.store.fail_commit_after(0, greenroom::testing::Fault::Write);
        self.runtime.shutdown(secs(5)).await;
    }
}

/// What is on disk of the actor with that path: what it has done, what waits, what was laid aside.
fn on_disk(disk: &Disk, of: &str) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
    let scan = disk.scan(&path(of)).expect("it can be read");
    let state = scan.snapshot.map(|snapshot| rmp_serde::from_slice::<Runner>(&snapshot.state));
    let number = |body: &[u8]| rmp_serde::from_slice::<Job>(body).expect("a job").number;
    let aside = disk.laid_aside(&path(of)).expect("it can be read");
    (
        state.map_or_else(Vec::new, |state| state.expect("a runner").done),
        scan.inbox.iter().map(|message| number(&message.body)).collect(),
        aside.iter().map(|aside| number(&aside.message.body)).collect(),
    )
}

fn new_disk() -> Disk {
    Arc::new(Picky::new(MemoryStore::new()))
}
