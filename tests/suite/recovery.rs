//! What a life begins with, what leaves only when it is done, and what comes back after a crash.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard};

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    Actor, ActorPath, ActorSpec, AskError, Batch, BatchOutcome, Context, Damage, DamagePlace, DamageReason,
    Durable, DurableMessage, ExitPhase, ExitReason, Failure, Handler, MemoryStore, Message, MigrateError,
    Record, ReplyPort, Runtime, RuntimeConfig, RuntimeEvent, Scan, SnapshotPolicy, SpawnError, Store,
    StoreError, StorePromise, TellError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Gate, Note, Probe, end, keep, letters, millis, path, secs, soon};

/// A number that is added to. Without a store it is a volatile actor.
#[derive(Serialize, Deserialize)]
struct Tally {
    total: u64,
}

#[derive(Clone, Default)]
struct Plan {
    board: Board,
    gate: Gate,
    hook: Hook,
    /// Who waits for an answer: outside of the state, so that a rollback does not drop them.
    ports: Arc<Mutex<Vec<ReplyPort<u64>>>>,
}

/// What `started` does after it wrote itself down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Hook {
    #[default]
    Returns,
    Fails,
    Panics,
    Hangs,
    SpawnsAndFails,
}

/// Adds; stands in the gate before, if told so.
#[derive(Serialize, Deserialize, Debug)]
struct Add {
    add: u64,
    waits: bool,
}

fn add(add: u64) -> Add {
    Add { add, waits: false }
}

/// Adds one, and keeps the port.
#[derive(Serialize, Deserialize)]
struct Later;

/// Adds one, answers who waits, and fails after that if told so.
#[derive(Serialize, Deserialize)]
struct Answer {
    fails: bool,
}

/// Adds one, begins work when that is settled, and fails after that if told so.
#[derive(Serialize, Deserialize)]
struct Beside {
    fails: bool,
}

/// The work beside is done.
#[derive(Serialize, Deserialize)]
struct CameBack;

impl Message for Add {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("add");
}
impl Message for Later {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("later");
}
impl Message for Answer {
    type Reply = ();
    const NAME: Option<&'static str> = Some("answer");
}
impl Message for Beside {
    type Reply = ();
    const NAME: Option<&'static str> = Some("beside");
}
impl Message for CameBack {
    type Reply = ();
    const NAME: Option<&'static str> = Some("came-back");
}
impl DurableMessage for Add {}
impl DurableMessage for Later {}
impl DurableMessage for Answer {}
impl DurableMessage for Beside {}
impl DurableMessage for CameBack {}

inbox!(durable TallyInbox for Tally: Add, Later, Answer, Beside, CameBack);

impl Actor for Tally {
    type Args = Plan;
    type Inbox = TallyInbox;

    async fn start(_: &Plan) -> Result<Self, Failure> {
        Ok(Tally { total: 0 })
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let Plan { board, gate, hook, .. } = cx.args();
        board.write(format!("started with {}", self.total));
        match hook {
            Hook::Returns => {}
            Hook::Fails => return Err(Failure::external("as the test wants")),
            Hook::Panics => panic!("as the test wants"),
            Hook::Hangs => gate.pass().await,
            Hook::SpawnsAndFails => {
                let board = board.clone();
                cx.spawn_when_settled(async move { board.write("works") }, |()| CameBack);
                return Err(Failure::external("as the test wants"));
            }
        }
        Ok(())
    }
}

impl Durable for Tally {
    const NAME: &'static str = "tally";
}

impl Handler<Add> for Tally {
    async fn handle(&mut self, Add { add, waits }: Add, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        cx.args().board.write(format!("{add} on {}", self.total));
        if waits {
            cx.args().gate.pass().await;
        }
        self.total += add;
        Ok(self.total)
    }
}

impl Handler<Later> for Tally {
    async fn handle(&mut self, _: Later, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.total += 1;
        cx.args().gate.enter();
        cx.reply_later(|port| cx.args().ports.lock().expect("nobody panics").push(port))
    }
}

impl Handler<Answer> for Tally {
    async fn handle(&mut self, answer: Answer, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.total += 1;
        let ports = std::mem::take(&mut *cx.args().ports.lock().expect("nobody panics"));
        for port in ports {
            cx.reply(port, self.total);
        }
        if answer.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<Beside> for Tally {
    async fn handle(&mut self, beside: Beside, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.total += 1;
        let board = cx.args().board.clone();
        cx.spawn_when_settled(async move { board.write("works") }, |()| CameBack);
        if beside.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<CameBack> for Tally {
    async fn handle(&mut self, _: CameBack, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.args().board.write("came back");
        Ok(())
    }
}

fn volatile(plan: &Plan) -> ActorSpec<Tally> {
    ActorSpec::new("tally", plan.clone())
}

fn tally(plan: &Plan) -> ActorSpec<Tally> {
    volatile(plan).durable(SnapshotPolicy::EveryMessage)
}

async fn stored(store: impl Store) -> Runtime {
    Runtime::builder().store(store).start().await.expect("it starts")
}

fn faulty() -> Arc<FaultyStore<MemoryStore>> {
    Arc::new(FaultyStore::new(MemoryStore::new()))
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

// ---- the hook of a new life ----

#[tokio::test(start_paused = true)]
async fn started_runs_once_in_each_life_before_what_waits() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let kept = keep(&runtime, spec(&plan).redeliveries(0)).await;
        let waits = async { kept.actor.ask(Add { add: 1, waits: true }).await };
        let behind = async { kept.actor.ask(add(10)).await };
        let killed = async {
            plan.gate.entered().await;
            kept.actor.kill();
        };

        let (_, behind, ()) = tokio::join!(waits, behind, killed);

        assert_eq!(behind.unwrap(), 10);
        assert_eq!(plan.board.lines(), ["started with 0", "1 on 0", "started with 0", "10 on 0"]);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn started_finds_the_state_of_the_life_before() {
    let runtime = stored(MemoryStore::new()).await;
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    kept.actor.ask(add(5)).await.unwrap();

    kept.actor.kill();

    assert_eq!(plan.board.until(3).await, ["started with 0", "5 on 0", "started with 5"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_started_hook_that_fails_panics_or_hangs_is_a_failed_start() {
    for spec in [volatile, tally] {
        for hook in [Hook::Fails, Hook::Panics, Hook::Hangs, Hook::SpawnsAndFails] {
            let runtime = stored(MemoryStore::new()).await;
            let plan = Plan { hook, ..Plan::default() };

            let spawned = runtime.spawn_spec(spec(&plan).start_within(secs(2))).await;

            let Err(SpawnError::StartFailed { reason, .. }) = spawned else { panic!("{spawned:?}") };
            let phase = ExitPhase::Start;
            let as_promised = match hook {
                Hook::Returns => false,
                Hook::Fails | Hook::SpawnsAndFails => {
                    matches!(&reason, ExitReason::Failed { phase: at, .. } if *at == phase)
                }
                Hook::Panics => matches!(&reason, ExitReason::Panicked { phase: at, .. } if *at == phase),
                Hook::Hangs => matches!(&reason, ExitReason::StartTimedOut),
            };
            assert!(as_promised, "{hook:?}: {reason:?}");
            assert_eq!(plan.board.lines(), ["started with 0"], "{hook:?}: nothing left");
            end(runtime).await;
        }
    }
}

// ---- what leaves when the handler is done ----

#[tokio::test(start_paused = true)]
async fn work_beside_begins_when_its_handler_succeeded_and_is_dropped_when_it_failed() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let tally = runtime.spawn_spec(spec(&plan)).await.unwrap();
        let holders = plan.board.holders();

        let failed = tally.ask(Beside { fails: true }).await;
        tally.ask(add(1)).await.unwrap();

        assert!(matches!(failed, Err(AskError::Refused { .. })));
        let lines = plan.board.lines();
        assert!(!lines.contains(&"works".to_owned()), "{lines:?}");
        assert_eq!(plan.board.holders(), holders, "the work is gone");

        tally.ask(Beside { fails: false }).await.unwrap();

        assert_eq!(plan.board.until(4).await[2..], ["works", "came back"]);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn work_beside_begins_only_after_the_commit_and_not_at_all_without_it() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let tally = runtime.spawn_spec(tally(&plan)).await.unwrap();
    let bystander = runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();
    let next = store.commits() + 1;
    let held = store.hold_commits();

    tally.tell(Beside { fails: false }).await.unwrap();
    soon(store.commit_arrived(next)).await;
    bystander.ask(Note(0)).await.unwrap();
    let during = plan.board.lines();
    drop(held);
    let after = plan.board.until(3).await;
    store.fail_next_commit(Fault::Write);
    let unstored = tally.ask(Beside { fails: false }).await;
    bystander.ask(Note(0)).await.unwrap();

    assert_eq!(during, ["started with 0"]);
    assert_eq!(after[1..], ["works", "came back"]);
    assert!(matches!(unstored, Err(AskError::StoreUnavailable { .. })));
    assert_eq!(plan.board.lines(), after);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_is_answered_when_the_handler_succeeded_and_let_go_when_it_failed() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let tally = runtime.spawn_spec(spec(&plan)).await.unwrap();

        for fails in [true, false] {
            let asked = async { tally.ask(Later).await };
            let answered = async {
                plan.gate.entered().await;
                tally.ask(Answer { fails }).await
            };
            let (asked, answered) = tokio::join!(asked, answered);

            if fails {
                assert!(matches!(asked, Err(AskError::NoReply { .. })), "{asked:?}");
                assert!(matches!(answered, Err(AskError::Refused { .. })));
            } else {
                assert!(asked.unwrap() >= 3);
                answered.unwrap();
            }
        }
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_is_answered_only_after_the_commit_and_let_go_without_it() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let tally = runtime.spawn_spec(tally(&plan)).await.unwrap();
    let bystander = runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();

    let mut asked = std::pin::pin!(async { tally.ask(Later).await });
    let checked = async {
        plan.gate.entered().await;
        // A message of no effect: behind it the state with the kept port is stored.
        tally.ask(add(0)).await.unwrap();
        let next = store.commits() + 1;
        let held = store.hold_commits();
        tally.tell(Answer { fails: false }).await.unwrap();
        soon(store.commit_arrived(next)).await;
        bystander.ask(Note(0)).await.unwrap();
        drop(held);
    };
    tokio::select! { biased; answer = &mut asked => panic!("{answer:?}"), () = checked => {} }
    assert_eq!(asked.await.unwrap(), 2);

    let asked = async { tally.ask(Later).await };
    let unstored = async {
        plan.gate.entered().await;
        tally.ask(add(0)).await.unwrap();
        store.fail_next_commit(Fault::Write);
        tally.ask(Answer { fails: false }).await
    };
    let (asked, unstored) = tokio::join!(asked, unstored);

    assert!(matches!(unstored, Err(AskError::StoreUnavailable { .. })), "{unstored:?}");
    assert!(matches!(asked, Err(AskError::NoReply { .. })), "{asked:?}");
    end(runtime).await;
}

// ---- snapshots now and then ----

/// Goal: `EveryMessages(3)` stores after each third message, and a crash costs what came after it, no more.
/// The story: the hook `started` was counted as a message, so that the first snapshot of a life came one too early.
#[tokio::test(start_paused = true)]
async fn a_crash_costs_what_came_after_the_last_third_message() {
    let runtime = stored(MemoryStore::new()).await;
    let plan = Plan::default();
    let spec = volatile(&plan).durable(SnapshotPolicy::EveryMessages(3));
    let kept = keep(&runtime, spec).await;

    // Up to two messages before the first snapshot, none behind it, two behind it.
    for (sent, left) in [(vec![1, 2], 0), (vec![1, 2, 4], 7), (vec![8, 16], 7), (vec![8, 16, 32, 64], 63)] {
        for part in &sent {
            kept.actor.ask(add(*part)).await.unwrap();
        }
        let ended = kept.exits.lines().len();
        kept.actor.kill();
        kept.exits.until(ended + 1).await;

        assert_eq!(kept.actor.ask(add(0)).await.unwrap(), left, "after {sent:?}");
        kept.actor.kill();
        kept.exits.until(ended + 2).await;
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_stores_the_rest() {
    let store = MemoryStore::new();
    let spec = || volatile(&Plan::default()).durable(SnapshotPolicy::EveryMessages(3));
    let runtime = stored(store.clone()).await;
    let tally = runtime.spawn_spec(spec()).await.unwrap();
    for part in [1, 2, 4, 8] {
        tally.ask(add(part)).await.unwrap();
    }

    tally.stop(secs(5)).await;
    end(runtime).await;

    let runtime = stored(store).await;
    let tally = runtime.spawn_spec(spec()).await.unwrap();
    assert_eq!(tally.ask(add(0)).await.unwrap(), 15);
    end(runtime).await;
}

// ---- stored states of other programs ----

/// Version 1 of the state `purse`.
#[derive(Serialize, Deserialize)]
struct Euros {
    euros: u64,
}

/// Version 2 of it.
#[derive(Serialize, Deserialize)]
struct Cents {
    cents: u64,
}

/// Puts a sum in, in the coin of the purse.
#[derive(Serialize, Deserialize)]
struct Pay(u64);

impl Message for Pay {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("pay");
}
impl DurableMessage for Pay {}

inbox!(durable EurosInbox for Euros: Pay);
inbox!(durable CentsInbox for Cents: Pay);

impl Actor for Euros {
    type Args = ();
    type Inbox = EurosInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Euros { euros: 0 })
    }
}
impl Actor for Cents {
    type Args = ();
    type Inbox = CentsInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Cents { cents: 0 })
    }
}
impl Durable for Euros {
    const NAME: &'static str = "purse";
}
impl Durable for Cents {
    const NAME: &'static str = "purse";
    const VERSION: u16 = 2;

    fn migrate(version: u16, bytes: &[u8]) -> Result<Self, MigrateError> {
        assert_eq!(version, 1, "a state of today's version is not migrated");
        let Euros { euros } = rmp_serde::from_slice(bytes)?;
        Ok(Cents { cents: euros * 100 })
    }
}
impl Handler<Pay> for Euros {
    async fn handle(&mut self, Pay(sum): Pay, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.euros += sum;
        Ok(self.euros)
    }
}
impl Handler<Pay> for Cents {
    async fn handle(&mut self, Pay(sum): Pay, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.cents += sum;
        Ok(self.cents)
    }
}

/// Runs a program whose actor `purse` has this type; it is paid `sum`.
async fn paid<A>(store: &MemoryStore, sum: u64) -> Result<u64, SpawnError>
where
    A: Durable<Args = ()> + Handler<Pay>,
    A::Inbox: greenroom::DurableInbox + greenroom::Accepts<Pay, A>,
{
    let runtime = stored(store.clone()).await;
    let spec = ActorSpec::<A>::new("purse", ()).durable(SnapshotPolicy::EveryMessage);
    let paid = match runtime.spawn_spec(spec).await {
        Ok(purse) => Ok(purse.ask(Pay(sum)).await.expect("a purse takes everything")),
        Err(error) => Err(error),
    };
    end(runtime).await;
    paid
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_older_version_is_migrated_once() {
    let store = MemoryStore::new();

    assert_eq!(paid::<Euros>(&store, 5).await.unwrap(), 5);
    assert_eq!(paid::<Cents>(&store, 25).await.unwrap(), 525);
    assert_eq!(paid::<Cents>(&store, 75).await.unwrap(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_state_of_an_unknown_version_is_a_failed_start_that_names_both_and_harms_nothing() {
    let store = MemoryStore::new();
    paid::<Cents>(&store, 500).await.unwrap();

    let error = paid::<Euros>(&store, 1).await.unwrap_err();

    assert!(matches!(&error, SpawnError::StartFailed { reason: ExitReason::Failed { .. }, .. }));
    let told = "the state `purse` is stored as version 2, this program knows version 1";
    assert!(chain(&error).contains(told), "{}", chain(&error));
    assert_eq!(paid::<Cents>(&store, 1).await.unwrap(), 501);
}

#[tokio::test(start_paused = true)]
async fn another_state_at_the_path_is_refused_and_both_names_are_told() {
    let store = MemoryStore::new();
    paid::<Euros>(&store, 5).await.unwrap();
    let runtime = stored(store.clone()).await;

    let spec = ActorSpec::<Tally>::new("purse", Plan::default()).durable(SnapshotPolicy::EveryMessage);
    let error = runtime.spawn_spec(spec).await.unwrap_err();
    end(runtime).await;

    let told = "the state `purse` is stored here, this program expects `tally`";
    assert!(chain(&error).contains(told), "{}", chain(&error));
    assert_eq!(paid::<Euros>(&store, 1).await.unwrap(), 6);
}

// ---- stores that fail ----

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
            content.before = content.newest.replace(record.clone());
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
        content.kept.commit(&[Batch { writer: actor.clone(), epoch: scan.epoch, records }])?;
        let (place, reason) = SCRATCH;
        let damage = vec![Damage { actor: actor.clone(), place, reason }];
        Ok(Scan { damage, ..content.kept.scan(actor)? })
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.content().kept.actors()
    }
    fn promise(&self) -> StorePromise {
        StorePromise::Nothing
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
    let other = ActorSpec::<Tally>::new("other", Plan::default()).durable(SnapshotPolicy::EveryMessage);
    let other = runtime.spawn_spec(other).await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let mut events = runtime.events();

    store.fail_next_commit(Fault::NoSpace);
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
    let next = store.commits() + 1;
    let held = store.hold_commits();

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
/// Method: the actor is fenced while its commit is held. Whether it was applied cannot be said from outside, so the
/// message is reported and not run again; the next life finds what the store has.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_message_whose_commit_outlasts_the_fence_is_reported_and_not_run_again() {
    let store = faulty();
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(store.clone()).start().await.unwrap();
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    let next = store.commits() + 1;
    let held = store.hold_commits();

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
    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert_eq!(after.unwrap(), 15, "the commit was on its way");
    assert_eq!(plan.board.lines(), ["started with 0", "5 on 0", "started with 5", "10 on 5"]);
    assert_eq!(letters(&runtime), [("add", "unstored")]);
    end(runtime).await;
}
