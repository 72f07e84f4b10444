//! Logs in the state of a durable actor: what a commit writes of them, and what is left of them whatever happens.

use std::sync::{Arc, Mutex};

use greenroom::testing::{Fault, FaultyStore, RawStore};
use greenroom::{
    Actor, ActorPath, ActorRef, ActorSpec, Batch, BatchOutcome, CONTENT_LEN_MAX, CaseOwner, Context, Durable,
    DurableMessage, Failure, Handler, LaidAside, ListedCase, Log, MemoryStore, Message, MigrateError,
    Ownership, Runtime, RuntimeEvent, Scan, SnapshotPolicy, Store, StoreError, StoreHead, StorePromise,
    StoredBudgets, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Comeback, end, keep_as, path, secs};

/// A conversation, and how often it was touched.
#[derive(Default, Serialize, Deserialize)]
struct Talk {
    touched: u32,
    history: Log<String>,
}

/// Pushes these, keeps so many, and ends as told. Answered with all that is kept, in one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Say {
    push: Vec<String>,
    keep: Option<usize>,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Well,
    IsInvalid,
    Panics,
    /// With an answer that is too long to be kept.
    AnswersTooMuch,
    /// With one more entry, which is too long.
    PushesTooMuch,
}

impl Message for Say {
    type Reply = String;
    const NAME: Option<&'static str> = Some("say");
}
impl DurableMessage for Say {}

inbox!(durable TalkInbox for Talk: Say);

impl Actor for Talk {
    type Args = ();
    type Inbox = TalkInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Talk::default())
    }
}
impl Durable for Talk {
    const NAME: &'static str = "talk";
}
impl Handler<Say> for Talk {
    async fn handle(&mut self, say: Say, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.touched += 1;
        self.history.extend(say.push);
        if let Some(keep) = say.keep {
            self.history.keep_last(keep);
        }
        match say.how {
            How::Well => Ok(self.history.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
            How::IsInvalid => Err(Failure::invalid("as the test wants")),
            How::Panics => panic!("as the test wants"),
            How::PushesTooMuch => {
                self.history.push("x".repeat(CONTENT_LEN_MAX));
                Ok(String::new())
            }
            How::AnswersTooMuch => Ok("x".repeat(CONTENT_LEN_MAX + 1)),
        }
    }
}

fn say(words: &str) -> Say {
    let push = words.split_whitespace().map(str::to_owned).collect();
    Say { push, keep: None, how: How::Well }
}

fn talk() -> ActorSpec<Talk> {
    ActorSpec::new("talk", ()).durable()
}

async fn process(store: impl Store) -> Runtime {
    Runtime::builder().store(store).start().await.expect("it starts")
}

async fn asked(talk: &ActorRef<Talk>, words: &str) -> String {
    talk.ask(say(words)).await.expect("it is handled")
}

/// What the next process finds.
async fn found(disk: &MemoryStore) -> String {
    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(talk()).await.expect("a fresh name");
    let found = asked(&talk, "").await;
    end(runtime).await;
    found
}

/// Says these, one message each, and ends in order.
async fn said(disk: &MemoryStore, messages: &[Say]) {
    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(talk()).await.expect("a fresh name");
    for message in messages {
        talk.ask(message.clone()).await.expect("it is handled");
    }
    end(runtime).await;
}

/// How many records, and how many bytes in them, each batch of the actor at `talk` had.
#[derive(Clone, Default)]
struct Counting {
    inner: MemoryStore,
    batches: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl Store for Counting {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        let mut outcomes = Vec::new();
        for batch in group {
            let before = self.inner.raw_records().expect("it can be read");
            outcomes.extend(self.inner.commit(std::slice::from_ref(batch))?);
            let after = self.inner.raw_records().expect("it can be read");
            let written = after.iter().filter(|record| before.binary_search(record).is_err());
            let bytes: Vec<_> = written.map(|(key, value)| key.len() + value.len()).collect();
            if batch.writer.as_ref().is_some_and(|by| by.actor == path("talk")) {
                self.batches.lock().expect("nobody panics").push((bytes.len(), bytes.iter().sum()));
            }
        }
        Ok(outcomes)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.inner.scan(actor)
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.inner.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.actors()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.inner.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.inner.cases(after, most)
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.inner.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.inner.end()
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.inner.budgets()
    }
    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }
}

/// The same with a `Vec`, which is written whole.
#[derive(Default, Serialize, Deserialize)]
struct Whole {
    touched: u32,
    history: Vec<String>,
}

inbox!(durable WholeInbox for Whole: Say);

impl Actor for Whole {
    type Args = ();
    type Inbox = WholeInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Whole::default())
    }
}
impl Durable for Whole {
    const NAME: &'static str = "talk";
}
impl Handler<Say> for Whole {
    async fn handle(&mut self, say: Say, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.touched += 1;
        self.history.extend(say.push);
        Ok(String::new())
    }
}

/// Sends what makes a history of 1 MiB, then one word more: how many records and bytes that wrote.
async fn cost_of_a_word<A>(spec: ActorSpec<A>) -> (usize, usize)
where
    A: Durable<Args = ()> + Handler<Say>,
    A::Inbox: greenroom::Accepts<Say, A>,
{
    let store = Counting::default();
    let runtime = process(store.clone()).await;
    let talk = runtime.spawn_spec(spec).await.expect("a fresh name");
    let kibibyte = "x".repeat(1 << 10);
    for _ in 0..16 {
        talk.ask(Say { push: vec![kibibyte.clone(); 64], keep: Some(9_999), how: How::Well })
            .await
            .expect("it is handled");
    }
    store.batches.lock().expect("nobody panics").clear();
    talk.ask(say("one-word-more")).await.expect("it is handled");
    end(runtime).await;
    store.batches.lock().expect("nobody panics")[0]
}

#[tokio::test(start_paused = true)]
async fn a_message_on_a_long_log_writes_what_it_pushes() {
    let (records, bytes) = cost_of_a_word(talk()).await;
    let (whole_records, whole_bytes) = cost_of_a_word(ActorSpec::<Whole>::new("talk", ()).durable()).await;

    println!("a log: {records} records, {bytes} bytes; whole: {whole_records} records, {whole_bytes} bytes");
    assert!(records <= 4 && bytes < 512, "entry, state, both heads: {records} records, {bytes} bytes");
    assert!(whole_records > 250 && whole_bytes > 1 << 20);
}

#[tokio::test(start_paused = true)]
async fn a_log_outlives_its_process() {
    let disk = MemoryStore::new();
    said(&disk, &[say("a b"), say("c"), Say { keep: Some(2), ..say("d") }]).await;
    assert_eq!(found(&disk).await, "c d");
    said(&disk, &[Say { keep: Some(0), ..say("") }, say("e f"), say("g")]).await;
    assert_eq!(found(&disk).await, "e f g");
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_message_has_pushed_or_trimmed_is_as_before() {
    let disk = MemoryStore::new();
    let runtime = process(disk.clone()).await;
    let talk = keep_as(&runtime, talk().redeliveries(0), Comeback::AtOnce).await;
    asked(&talk.actor, "a b").await;
    for how in [How::IsInvalid, How::Panics] {
        talk.actor.ask(Say { keep: Some(1), how, ..say("x y") }).await.expect_err("as the test wants");
        assert_eq!(asked(&talk.actor, "").await, "a b", "{how:?}");
    }
    assert_eq!(asked(&talk.actor, "c").await, "a b c");
    end(runtime).await;
    let of_talk = disk.scan(&path("keeper/talk")).expect("it can be read");
    let indexes: Vec<u64> = of_talk.logs.iter().map(|entry| entry.index).collect();
    assert_eq!(indexes, [0, 1, 2], "nothing of the failed ones is on disk");
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_commit_has_pushed_is_gone_and_what_came_behind_it_comes_again() {
    let disk = MemoryStore::new();
    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(talk()).await.expect("a fresh name");
    asked(&talk, "a b c").await;
    let too_much = Say { keep: Some(1), how: How::AnswersTooMuch, ..say("x") };
    let (refused, trims, behind) = tokio::join!(
        talk.ask(too_much).with_id("1"),
        talk.ask(Say { keep: Some(2), ..say("d") }).with_id("2"),
        talk.ask(say("e")).with_id("3"),
    );

    refused.expect_err("its answer is too long");
    assert_eq!(trims.expect("it is handled"), "c d");
    assert_eq!(behind.expect("it is handled"), "c d e");
    end(runtime).await;
    let kept = disk.scan(&path("talk")).expect("it can be read").logs;
    let kept: Vec<_> = kept.into_iter().map(|entry| (entry.log, entry.index)).collect();
    assert_eq!(kept, [(0, 2), (0, 3), (0, 4)], "it is the log that it was");
    assert_eq!(found(&disk).await, "c d e");
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_too_long_fails_its_message_alone() {
    let disk = MemoryStore::new();
    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(talk()).await.expect("a fresh name");
    asked(&talk, "a").await;

    let error = talk.ask(Say { how: How::PushesTooMuch, ..say("x") }).await.expect_err("it is too long");

    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |&error| error.source());
    assert!(causes.map(ToString::to_string).any(|cause| cause.contains("log entry")), "{error:?}");
    assert_eq!(asked(&talk, "b").await, "a b");
    end(runtime).await;
    assert_eq!(found(&disk).await, "a b");
}

/// The raw record of the entry with that index of the first log of `talk`.
fn raw_entry(disk: &MemoryStore, index: u64) -> (Vec<u8>, Vec<u8>) {
    let key = [b"\x10talk\0\x0a", &0u32.to_be_bytes()[..], &index.to_be_bytes()].concat();
    let records = disk.raw_records().expect("it can be read").into_iter().find(|(found, _)| *found == key);
    records.expect("the entry is on disk")
}

/// Starts the actor on a disk that has lost something: what is told of it.
async fn refused(disk: &MemoryStore) -> (String, Vec<String>) {
    let runtime = process(disk.clone()).await;
    let mut events = runtime.events();
    let error = runtime.spawn_spec(talk()).await.expect_err("nothing is made up");
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |&error| error.source());
    let told = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let damage = std::iter::from_fn(|| events.try_recv().ok()).filter_map(|event| match event {
        RuntimeEvent::RecordDamaged { damage, .. } => Some(damage.to_string()),
        _ => None,
    });
    let damage = damage.collect();
    end(runtime).await;
    (told, damage)
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_lost_entry_is_never_skipped() {
    let disk = MemoryStore::new();
    said(&disk, &[say("a b"), say("c")]).await;
    for index in 0..3 {
        let (key, sound) = raw_entry(&disk, index);
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 1;
        for (value, why) in [(Some(flipped), "its checksum does not match"), (None, "it is missing")] {
            disk.put_raw(key.clone(), value).expect("it can be written");
            let (told, damage) = refused(&disk).await;
            let lost = format!("entry {index} of log 0 of the state is lost: {why}");
            assert!(told.contains(&lost), "{told}");
            assert_eq!(damage, [format!("entry {index} of log 0 of talk is damaged: {why}")]);
        }
        disk.put_raw(key, Some(sound)).expect("it can be written");
    }
    assert_eq!(found(&disk).await, "a b c", "once it is back, it goes on");
}

/// Makes the newest snapshot of `talk` one that cannot be vouched for.
fn damage_newest(disk: &MemoryStore) {
    let newest = disk.scan(&path("talk")).expect("it can be read").snapshot.expect("there is one").seq;
    for (key, mut value) in disk.raw_records().expect("it can be read") {
        if key.starts_with(b"\x10talk\0\x01") && value[8..16] == newest.to_be_bytes() {
            value[9] ^= 1;
            disk.put_raw(key, Some(value)).expect("it can be written");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_of_before_finds_the_entries_that_it_knows_and_no_other() {
    for newest in [say("d"), Say { keep: Some(1), ..say("d") }, Say { keep: Some(0), ..say("") }] {
        let disk = MemoryStore::new();
        let runtime = process(disk.clone()).await;
        let talk = runtime.spawn_spec(talk()).await.expect("a fresh name");
        for message in [say("a b"), say("c"), newest] {
            talk.ask(message).await.expect("it is handled");
        }
        end(runtime).await;
        damage_newest(&disk);

        said(&disk, &[say("D"), Say { keep: Some(3), ..say("E") }, say("F"), say("")]).await;

        assert_eq!(found(&disk).await, "c D E F");
        let kept = disk.scan(&path("talk")).expect("it can be read");
        assert_eq!((kept.logs.len(), kept.damage), (4, vec![]), "nothing else is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_no_entry_of_what_was_answered() {
    for commits in 2..9 {
        let disk = MemoryStore::new();
        let store = Arc::new(FaultyStore::new(disk.clone()).fail_commits_from(commits, Fault::Write));
        let runtime = process(Arc::clone(&store)).await;
        let mut answered = String::new();
        if let Ok(talk) = runtime.spawn_spec(talk()).await {
            for word in ["a", "b", "c", "d"] {
                match talk.ask(Say { keep: Some(3), ..say(word) }).await {
                    Ok(all) => answered = all,
                    Err(_) => break,
                }
            }
        }
        runtime.shutdown(secs(5)).await;

        // The message in hand may have been accepted: then the next life handles it.
        let next = ["", "a", "a b", "a b c", "b c d"];
        let at = next.iter().position(|all| *all == answered).expect("one of them");
        let now = found(&disk).await;
        assert!(next[at..].iter().take(2).any(|all| *all == now), "{commits}: {answered:?}, then {now:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_of_a_state_that_is_stored_now_and_then_is_stored_with_it() {
    let spec = || ActorSpec::<Talk>::new("talk", ()).snapshotted(SnapshotPolicy::EveryMessages(3));
    let disk = MemoryStore::new();
    let store = Arc::new(FaultyStore::new(disk.clone()));
    let runtime = process(Arc::clone(&store)).await;
    let talk = runtime.spawn_spec(spec()).await.expect("a fresh name");
    for word in ["a", "b", "c", "d"] {
        asked(&talk, word).await;
    }
    talk.ask(Say { how: How::IsInvalid, keep: Some(1), ..say("x") }).await.expect_err("as the test wants");
    assert_eq!(asked(&talk, "e").await, "a b c d e", "what is not stored yet comes back from memory");
    store.fail_commit_after(0, Fault::Write);
    runtime.shutdown(secs(5)).await;

    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(spec()).await.expect("a fresh name");
    assert_eq!(asked(&talk, "D").await, "a b c D", "with the third message it was stored");
    end(runtime).await;
    let runtime = process(disk.clone()).await;
    let talk = runtime.spawn_spec(spec()).await.expect("a fresh name");
    assert_eq!(asked(&talk, "").await, "a b c D", "and at the orderly end");
    end(runtime).await;
}

/// Version 2 of the state: whose word it was, and a log of another type.
#[derive(Default, Serialize, Deserialize)]
struct Talk2 {
    history: Log<(String, String)>,
}

inbox!(durable Talk2Inbox for Talk2: Say);

impl Actor for Talk2 {
    type Args = ();
    type Inbox = Talk2Inbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Talk2::default())
    }
}
impl Durable for Talk2 {
    const NAME: &'static str = "talk";
    const VERSION: u16 = 2;
    fn migrate(_: u16, bytes: &[u8]) -> Result<Self, MigrateError> {
        let before: Talk = rmp_serde::from_slice(bytes)?;
        Ok(Talk2 { history: before.history.iter().map(|word| ("ann".into(), word.clone())).collect() })
    }
}
impl Handler<Say> for Talk2 {
    async fn handle(&mut self, say: Say, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.history.extend(say.push.into_iter().map(|word| ("bob".into(), word)));
        Ok(self.history.iter().map(|(who, word)| format!("{who}:{word}")).collect::<Vec<_>>().join(" "))
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_migrated_with_its_state() {
    let disk = MemoryStore::new();
    let runtime = process(disk.clone()).await;
    let whole =
        runtime.spawn_spec(ActorSpec::<Whole>::new("talk", ()).durable()).await.expect("a fresh name");
    whole.ask(say("a b")).await.expect("it is handled");
    end(runtime).await;
    assert_eq!(found(&disk).await, "a b", "what was a sequence is read as a log");
    said(&disk, &[say("c")]).await;

    let migrated = ["ann:a ann:b ann:c bob:d", "ann:a ann:b ann:c bob:d bob:e"];
    for (word, all) in ["d", "e"].into_iter().zip(migrated) {
        let runtime = process(disk.clone()).await;
        let talk =
            runtime.spawn_spec(ActorSpec::<Talk2>::new("talk", ()).durable()).await.expect("a fresh name");
        assert_eq!(talk.ask(say(word)).await.expect("it is handled"), all);
        end(runtime).await;
    }
    let kept = disk.scan(&path("talk")).expect("it can be read");
    assert_eq!(kept.logs.len(), 5, "the log of before is gone");
}

#[tokio::test(start_paused = true)]
async fn an_erased_actor_has_no_entry_left() {
    let disk = MemoryStore::new();
    said(&disk, &[say("a b c")]).await;
    let runtime = process(disk.clone()).await;
    runtime.erase(&path("talk")).await.expect("nobody is there");
    end(runtime).await;

    assert_eq!(disk.scan(&path("talk")).expect("it can be read").logs, []);
    assert_eq!(found(&disk).await, "");
}
