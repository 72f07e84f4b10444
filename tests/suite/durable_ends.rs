//! What is stored of a durable actor whose life ends in an unusual way, and what is never taken for stored.

use std::sync::Arc;
use std::time::Duration;

use greenroom::testing::FaultyStore;
use greenroom::{
    Actor, ActorSpec, AskError, ChildSpec, Context, Durable, DurableMessage, ExitReason, Failure, Handler,
    MemoryStore, Message, Runtime, SnapshotPolicy, Strategy, SuperviseExt, Supervisor, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Gate, Probe, act, end, keep, letters, millis, secs};

/// Keeps what it is told, and counts it.
#[derive(Serialize, Deserialize)]
struct Diary {
    entries: u64,
    text: String,
    #[serde(skip)]
    habits: Habits,
}

#[derive(Clone, Default)]
struct Habits {
    gate: Gate,
    stops_for: Duration,
    stops_with_panic: bool,
}

#[derive(Serialize, Deserialize)]
enum Entry {
    Of {
        len: usize,
    },
    /// Given up when the actor is asked to stop.
    UntilStopped,
    Slow,
}

impl Message for Entry {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("entry");
}

impl DurableMessage for Entry {}

inbox!(durable DiaryInbox for Diary: Entry);

impl Actor for Diary {
    type Args = Habits;
    type Inbox = DiaryInbox;

    async fn start(habits: &Habits) -> Result<Self, Failure> {
        Ok(Diary { entries: 0, text: String::new(), habits: habits.clone() })
    }

    #[expect(clippy::disallowed_methods, reason = "the hook of an actor that takes its time, in paused time")]
    async fn stopping(&mut self, _: &ExitReason) {
        tokio::time::sleep(self.habits.stops_for).await;
        if self.habits.stops_with_panic {
            self.entries = 1_000;
            panic!("at the very end");
        }
    }
}

impl Durable for Diary {
    const NAME: &'static str = "diary";

    async fn resume(&mut self, habits: &Habits) -> Result<(), Failure> {
        self.habits = habits.clone();
        Ok(())
    }
}

impl Handler<Entry> for Diary {
    async fn handle(&mut self, entry: Entry, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.entries += 1;
        match entry {
            Entry::Of { len } => self.text = "x".repeat(len),
            Entry::UntilStopped if cx.epoch().0 == 1 => {
                self.habits.gate.enter();
                cx.stopping().await;
                return Err(Failure::cancelled("asked to stop"));
            }
            Entry::UntilStopped => {}
            Entry::Slow => self.habits.gate.pass().await,
        }
        Ok(self.entries)
    }
}

const SMALL: Entry = Entry::Of { len: 1 };

fn diary(habits: &Habits, policy: SnapshotPolicy) -> ActorSpec<Diary> {
    ActorSpec::new("diary", habits.clone()).snapshotted(policy)
}

type Kept = Arc<FaultyStore<MemoryStore>>;

fn store() -> Kept {
    Arc::new(FaultyStore::new(MemoryStore::new()))
}

async fn runtime_on(store: &Kept) -> Runtime {
    Runtime::builder().store(store.clone()).start().await.expect("an empty runtime starts")
}

/// How many entries a new runtime finds on the store, and one more.
async fn entries_found(store: &Kept) -> u64 {
    let runtime = runtime_on(store).await;
    let found = runtime
        .spawn_spec(diary(&Habits::default(), SnapshotPolicy::EveryMessage))
        .await
        .expect("a fresh name");
    let entries = found.ask(SMALL).await.expect("it answers");
    end(runtime).await;
    entries
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_does_not_take_the_store_away_from_the_first() {
    let store = store();
    let runtime = runtime_on(&store).await;
    let habits = Habits { stops_for: millis(300), ..Habits::default() };
    let diary = runtime.spawn_spec(diary(&habits, SnapshotPolicy::EveryMessages(100))).await.unwrap();
    diary.ask(SMALL).await.unwrap();

    let (first, second) = tokio::join!(runtime.shutdown(secs(5)), runtime.shutdown(secs(5)));

    assert!(first.is_clean() && second.is_clean(), "{first:?} {second:?}");
    assert!(runtime.places().is_empty());
    assert_eq!(entries_found(&store).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_nobody_waits_for_goes_on_in_order_and_the_next_one_waits_for_it() {
    let store = store();
    let runtime = runtime_on(&store).await;
    let habits = Habits { stops_for: millis(300), ..Habits::default() };
    let diary = runtime.spawn_spec(diary(&habits, SnapshotPolicy::EveryMessages(100))).await.unwrap();
    diary.ask(SMALL).await.unwrap();

    let dropped = runtime.clock().within(millis(50), runtime.shutdown(secs(5))).await;
    let report = runtime.shutdown(secs(5)).await;

    assert!(dropped.is_none() && report.is_clean(), "{report:?}");
    assert!(matches!(diary.observe().last_exit, Some(ExitReason::Shutdown)));
    assert_eq!(entries_found(&store).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_its_handler_gives_up_for_a_stop_is_back_in_its_place() {
    let runtime = runtime_on(&store()).await;
    let habits = Habits::default();
    let all = Supervisor::named("all")
        .strategy(Strategy::OneForAll)
        .child(ChildSpec::of(diary(&habits, SnapshotPolicy::EveryMessage)))
        .child(ChildSpec::actor::<Probe>("sibling", Board::default()));
    let all = runtime.supervise(all).await.unwrap();
    let (diary, sibling) = (all.actor::<Diary>("diary").unwrap(), all.actor::<Probe>("sibling").unwrap());
    let asked = async { diary.ask(Entry::UntilStopped).await };
    let stopped = async {
        habits.gate.entered().await;
        sibling.tell(act(|_, _| Box::pin(async { panic!("all of them") }))).await.unwrap();
    };

    let (answer, ()) = tokio::join!(asked, stopped);

    assert_eq!(answer.unwrap(), 1, "the next life has done it");
    assert_eq!(letters(&runtime), [("Act", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopping_hook_that_panics_does_not_take_the_last_messages_along() {
    let store = store();
    let runtime = runtime_on(&store).await;
    let habits = Habits { stops_with_panic: true, ..Habits::default() };
    let diary = runtime.spawn_spec(diary(&habits, SnapshotPolicy::EveryMessages(100))).await.unwrap();
    for _ in 0..7 {
        diary.ask(SMALL).await.unwrap();
    }

    end(runtime).await;

    assert_eq!(entries_found(&store).await, 8, "and nothing of what the hook left");
}

#[tokio::test(start_paused = true)]
async fn a_state_too_large_is_refused_at_once_also_when_it_is_not_its_turn_to_be_stored() {
    let runtime = runtime_on(&store()).await;
    let kept = keep(&runtime, diary(&Habits::default(), SnapshotPolicy::EveryMessages(3))).await;

    let grown = kept.actor.ask(Entry::Of { len: 17 << 20 }).within(secs(60)).await;
    for entries in 1..=11 {
        assert_eq!(kept.actor.ask(SMALL).await.unwrap(), entries);
    }
    kept.actor.kill();
    let left = kept.actor.ask(SMALL).await.unwrap();

    assert!(matches!(grown, Err(AskError::Failed { .. })), "{grown:?}");
    assert!(left > 11 - 2, "at most two answered messages are lost: {left}");
    end(runtime).await;
}
