//! Stores that tear a write at any byte, or flip a bit: a runtime on them acts on no damaged record.
//!
//! What may come of it: a typed error, or the record before, and that is told. A total that no history of whole messages
//! leaves, or one that is short without a word, fails the test.

use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore, RawStore, seed};
use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message, Runtime,
    RuntimeEvent, SpawnError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::secs;

/// Adds up. Its messages are powers of eight, so that each total tells how often each of them is in it.
#[derive(Serialize, Deserialize)]
struct Sum {
    total: u64,
}

#[derive(Serialize, Deserialize)]
struct Add(u64);

impl Message for Add {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("add");
}
impl DurableMessage for Add {}

inbox!(durable SumInbox for Sum: Add);

impl Actor for Sum {
    type Args = ();
    type Inbox = SumInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Sum { total: 0 })
    }
}
impl Durable for Sum {
    const NAME: &'static str = "sum";
}
impl Handler<Add> for Sum {
    async fn handle(&mut self, Add(part): Add, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        let step = cx.step("look up", greenroom::Effect::Pure, &part);
        self.total += step.run(|| async { Ok(part) }).await?;
        Ok(self.total)
    }
}

/// What the process before is sent, each with an id.
const PARTS: [u64; 3] = [1, 8, 64];
/// What is sent at the end to the process that finds damage, without an id.
const LAST: u64 = 512;

/// Sends all of `PARTS`, until one fails.
async fn work(store: &Arc<FaultyStore<MemoryStore>>) {
    let runtime = Runtime::builder().store(Arc::clone(store)).start().await.expect("it starts");
    if let Ok(sum) = runtime.spawn_spec(ActorSpec::<Sum>::new("sum", ()).durable()).await {
        for part in PARTS {
            if sum.ask(Add(part)).with_id(part.to_string()).await.is_err() {
                break;
            }
        }
    }
    runtime.shutdown(secs(5)).await;
}

/// What a process makes of what it finds.
#[derive(Debug, PartialEq)]
struct Found {
    /// The answers to `PARTS`, sent again under their ids.
    again: Vec<Option<u64>>,
    /// That to `LAST`.
    total: Option<u64>,
    is_told: bool,
}

async fn find(disk: &MemoryStore) -> Found {
    let runtime = match Runtime::builder().store(disk.clone()).start().await {
        Ok(runtime) => runtime,
        // Without its head nothing of a store is read.
        Err(SpawnError::Store(_)) => return Found { again: Vec::new(), total: None, is_told: true },
        Err(error) => panic!("{error}"),
    };
    let mut events = runtime.events();
    let sum = runtime.spawn_spec(ActorSpec::<Sum>::new("sum", ()).durable()).await;
    let mut found = Found { again: Vec::new(), total: None, is_told: sum.is_err() };
    if let Ok(sum) = sum {
        for part in PARTS {
            found.again.push(sum.ask(Add(part)).with_id(part.to_string()).await.ok());
        }
        found.total = sum.ask(Add(LAST)).await.ok();
    }
    found.is_told |= std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(event, RuntimeEvent::RecordDamaged { .. } | RuntimeEvent::StoreFailed { .. }));
    runtime.shutdown(secs(5)).await;
    found
}

impl Found {
    /// All is there, as if nothing had happened.
    fn is_whole(&self) -> bool {
        self.again == [Some(1), Some(9), Some(73)] && self.total == Some(585)
    }

    /// Without a word all that is answered is exact; with one, nothing was added twice, and each answer has its own part.
    fn is_honest(&self) -> bool {
        let exact = [1, 9, 73];
        let is_sum = |total: u64| PARTS.into_iter().chain([LAST]).all(|part| total / part % 8 <= 1);
        let has = |total: u64, part: u64| is_sum(total) && total / part % 8 == 1;
        if self.is_told {
            let answers = PARTS.iter().zip(&self.again);
            return self.total.is_none_or(|total| has(total, LAST))
                && answers.into_iter().all(|(part, answer)| answer.is_none_or(|it| has(it, *part)));
        }
        // A part that was refused to its sender may be missing behind it.
        let is_refused = self.again.iter().any(Option::is_none);
        let are_exact = self.again.iter().zip(exact).all(|(answer, exact)| {
            answer.is_none_or(|answer| answer == exact || is_refused && is_sum(answer))
        });
        are_exact && self.total.is_none_or(|total| total == 585 || is_refused && has(total, LAST))
    }
}

/// What came of the cases, and how often.
#[derive(Debug, Default)]
struct Tally {
    whole: u32,
    told: u32,
    refused: u32,
}

impl Tally {
    fn count(&mut self, found: &Found, case: &str) {
        assert!(found.is_honest(), "{case}: {found:?}");
        match found {
            _ if found.is_whole() => self.whole += 1,
            Found { is_told: true, .. } => self.told += 1,
            _ => self.refused += 1,
        }
    }
}

/// Goal: a write that is torn at any byte, without the engine noticing. Method: each commit of a process is torn at each
/// byte, and the next process sends all again.
#[tokio::test(start_paused = true)]
async fn a_write_torn_at_any_byte_is_told_and_never_acted_on() {
    let mut tally = Tally::default();
    for nth in 1.. {
        for byte in 0.. {
            let disk = MemoryStore::new();
            let store = Arc::new(FaultyStore::new(disk.clone()).tear_commit(nth, byte));
            work(&store).await;
            if store.torn().is_none() {
                break;
            }
            let found = find(&disk).await;
            tally.count(&found, &format!("commit {nth} torn at byte {byte}, in {:?}", store.torn()));
        }
        let whole = Arc::new(FaultyStore::new(MemoryStore::new()));
        work(&whole).await;
        if whole.commits() == nth {
            break;
        }
    }
    println!("{tally:?}");
}

/// Goal: as above, of one bit that flips anywhere in what a process has left. Method: before its last message is handled, so
/// that there is a state, an inbox, a journal, and answers.
#[tokio::test(start_paused = true)]
async fn a_bit_flipped_anywhere_is_told_and_never_acted_on() {
    let left = MemoryStore::new();
    work(&Arc::new(FaultyStore::new(left.clone()).fail_commits_from(13, Fault::Write))).await;
    let records = RawStore::raw_records(&left).unwrap();
    let mut tally = Tally::default();
    // Each third bit: another third with another seed.
    for bit in (seed() % 3..).step_by(3) {
        let disk = MemoryStore::new();
        for (key, value) in &records {
            RawStore::put_raw(&disk, key.clone(), Some(value.clone())).unwrap();
        }
        let Some(hit) = FaultyStore::new(disk.clone()).flip_bit(bit).unwrap() else { break };
        let found = find(&disk).await;
        tally.count(&found, &format!("bit {bit}, in {hit:?}"));
    }
    println!("{tally:?}");
}
