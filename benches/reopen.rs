//! How soon a process with many durable actors serves again.
//!
//! ```text
//! cargo bench --bench reopen              100,000 actors, 10,000 of them with a message that waits
//! cargo bench --bench reopen -- --quick   a tenth of each
//! ```
//!
//! At the end the gate is checked, and the exit code is 1 if it is missed.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock and owns its tasks")]

#[path = "support/table.rs"]
mod table; // figures in columns

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greenroom::{
    Actor, ActorPath, Batch, Context, Durable, DurableMessage, DynamicSupervisor, Epoch, Failure, Handler,
    Message, Record, Runtime, SledStore, Snapshot, Store, StoredMessage, SuperviseExt, inbox,
};
use serde::{Deserialize, Serialize};
use table::Table;

#[derive(Serialize, Deserialize)]
struct Case {
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Note(String);

impl Message for Note {
    type Reply = ();
    const NAME: Option<&'static str> = Some("note");
}
impl DurableMessage for Note {}

inbox!(durable CaseInbox for Case: Note);

impl Actor for Case {
    type Args = String;
    type Inbox = CaseInbox;
    async fn start(customer: &String) -> Result<Self, Failure> {
        Ok(Case { notes: vec![customer.clone()] })
    }
}

impl Durable for Case {
    const NAME: &'static str = "case";
}

impl Handler<Note> for Case {
    async fn handle(&mut self, note: Note, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.notes.push(note.0);
        cx.resource::<Handled>()?.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Default)]
struct Handled(AtomicUsize);

fn main() -> ExitCode {
    let (actors, unfinished) = if std::env::args().any(|argument| argument == "--quick") {
        (10_000, 1_000)
    } else {
        (100_000, 10_000)
    };
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), actors, unfinished);
    let before = resident_mib();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (opened, ready, handled) =
        runtime.expect("a tokio runtime").block_on(reopen(folder.path(), unfinished));

    let mut table = Table::new(format!("{actors} actors, {unfinished} with a message"), &["", "seconds"]);
    for (name, time) in [("store open", opened), ("ready", ready), ("all handled", handled)] {
        table.row(vec![name.to_owned(), format!("{:.2}", time.as_secs_f64())]);
    }
    println!("{table}\nmemory: {} MiB, {before} MiB of it before", resident_mib());
    let limit = Duration::from_secs(5);
    println!(
        "{}  ready to serve in {ready:.2?}, at most {limit:?}",
        if ready <= limit { "PASS" } else { "FAIL" }
    );
    if ready <= limit { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes what a process with so many actors would have left.
fn fill(folder: &Path, actors: usize, unfinished: usize) {
    let store = SledStore::open(folder).expect("a new store opens");
    let numbers: Vec<usize> = (0..actors).collect();
    for group in numbers.chunks(1_000) {
        let batches: Vec<Batch> =
            group.iter().flat_map(|number| left(*number, *number < unfinished)).collect();
        store.commit(&batches).expect("the store writes");
    }
}

fn left(number: usize, has_mail: bool) -> Vec<Batch> {
    let encode =
        |value: &dyn Fn() -> Result<Vec<u8>, rmp_serde::encode::Error>| value().expect("it has a form");
    let path = ActorPath::parse(&format!("cases/{number}")).expect("a path");
    let customer = format!("customer {number}");
    let birth = encode(&|| rmp_serde::to_vec_named(&(Case::NAME, &customer)));
    let state = encode(&|| rmp_serde::to_vec_named(&Case { notes: vec!["x".repeat(200)] }));
    let snapshot = Snapshot { type_name: Case::NAME.into(), version: 1, seq: 1, state };
    let mut outside = vec![Record::Birth { of: path.clone(), content: birth }];
    if has_mail {
        let body = encode(&|| rmp_serde::to_vec_named(&Note("y".repeat(200))));
        let message = StoredMessage { name: "note".into(), version: 1, body, ..StoredMessage::default() };
        outside.push(Record::Deliver { to: path.clone(), message });
    }
    vec![Batch::of(path, Epoch(1), vec![Record::Snapshot(snapshot)]), Batch::from_outside(outside)]
}

async fn reopen(folder: &Path, unfinished: usize) -> (Duration, Duration, Duration) {
    let begun = Instant::now();
    let store = SledStore::open(folder).expect("the store opens");
    let opened = begun.elapsed();
    let runtime =
        Runtime::builder().store(store).resource(Handled::default()).start().await.expect("a runtime");
    let cases = DynamicSupervisor::<Case>::named("cases").durable().max_children(1_000_000);
    let cases = runtime.supervise(cases).await.expect("a supervisor").dynamic::<Case>();
    let ready = begun.elapsed();
    assert_eq!(cases.count().await.expect("it counts").active, unfinished);
    let handled: Arc<Handled> = runtime.resource().expect("it was given one");
    while handled.0.load(Ordering::Relaxed) < unfinished {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let all = begun.elapsed();
    runtime.shutdown(Duration::from_secs(60)).await;
    (opened, ready, all)
}

/// What the process holds of the machine's memory.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says what a process holds");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of that name");
    let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib / 1_024
}
