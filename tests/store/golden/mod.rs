//! Stores of format 1, kept in the repository as text, so that a change of what is on disk cannot happen unnoticed.
//!
//! `format1/store.txt` is written by way of the store, `format1/actors.txt` by a program of before. Both are read again, by
//! way of a real store, in each run. **A format that was released is never written anew**: what changes then is a new
//! format, with a folder of its own, and this one goes on being read. Before a release:
//!
//! `STORE_GOLDEN=write cargo test --test store -- golden`, and read the difference.

mod programs; // a program of before, and the one of today
mod text; // records as text and back

use std::fs;
use std::path::{Path, PathBuf};

use greenroom::testing::RawStore;
use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseChange, CaseOffer, CaseOwner, Chain, CommitSeq, Epoch, JournalEntry,
    LaidAside, ListedCase, LogEntry, MemoryStore, MessageId, Record, Scan, SledStore, Snapshot, Store,
    StoreId, StoredAnswer, StoredMessage, StoredTimer, Tries,
};

use crate::place::Place;

/// Goal: everything that a store can hold is found as it was. Method: each kind of record, short and in parts.
pub(crate) fn a_golden_store_of_format_1_is_read_exactly() {
    let place = golden("store.txt", written_by_the_store);
    let store = SledStore::open(place.store()).unwrap();

    assert_eq!(store.actors().unwrap(), [path("desk"), path("desk/a"), path("gone")]);
    assert_eq!(store.unfinished().unwrap(), [path("desk"), path("desk/a")]);
    assert_eq!(store.scan(&path("desk")).unwrap(), desk());
    assert_eq!(store.scan(&path("desk/a")).unwrap(), colleague());
    assert_eq!(store.scan(&path("gone")).unwrap(), Scan { epoch: Epoch(3), ..Scan::default() });
    let aside = LaidAside {
        message: StoredMessage { id: MessageId(7), origin: MessageId(7), ..broken() },
        cause: "it fell".into(),
    };
    assert_eq!(store.laid_aside(&path("desk")).unwrap(), [aside]);
    assert_eq!(store.cases(None, 9).unwrap(), cases());
    // Also what nobody can list: what is known of a request, and the number of the next commit.
    let again = Record::Deliver { to: path("desk"), message: order() };
    let outcome = BatchOutcome::Committed {
        seq: CommitSeq(16),
        deliveries: vec![greenroom::Delivered::Answered(b"one lamp".to_vec())],
    };
    assert_eq!(store.commit(&[Batch::from_outside(vec![again])]).unwrap(), [outcome]);
}

/// Goal: a change of what is written is a decision. Method: the same is written today, and compared byte by byte.
pub(crate) fn what_is_written_is_still_format_1() {
    golden("store.txt", written_by_the_store);
    let today = written_by_the_store();
    let golden = text::read(&fs::read_to_string(file("store.txt")).unwrap());
    let differs = golden.iter().zip(&today).find(|(golden, today)| golden != today);
    let told = |(key, value): &(Vec<u8>, Vec<u8>)| text::write(&[(key.clone(), value.clone())]);
    assert!(
        golden == today,
        "what is written is no longer what `{}` says; its documentation says what to do\n{:?} of {} and {} records",
        file("store.txt").display(),
        differs.map(|(golden, today)| format!("{}\nis now\n{}", told(golden), told(today))),
        golden.len(),
        today.len()
    );
}

/// Goal: issue 4, item 6: migrations are tested against bytes of before.
pub(crate) fn golden_states_and_messages_of_old_versions_are_migrated_and_unknown_ones_refused() {
    let place = golden("actors.txt", programs::written_by_the_program_of_before);
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();

    let migrated = tokio.block_on(programs::purse_of_today(SledStore::open(place.store()).unwrap()));
    // 5 euros in the state and 7 in the inbox; its step was made by the program of before.
    assert_eq!(migrated, programs::Migrated { cents: 1_201, calls: vec!["bank 1".to_owned()] });

    let store = || SledStore::open(place.store()).unwrap();
    let state = tokio.block_on(programs::opened_by_the_program_of_before(store(), "newer-state"));
    let message = tokio.block_on(programs::opened_by_the_program_of_before(store(), "newer-message"));
    let told = |error| Chain(&error).to_string();
    let (state, message) = (told(state), told(message));
    assert!(
        state.contains("the state `purse` is stored as version 2, this program knows version 1"),
        "{state}"
    );
    assert!(
        message.contains("the message `pay` is stored as version 2, this program knows version 1"),
        "{message}"
    );
}

/// A copy of the golden store, for an opening that may write; made anew before, if that is asked for.
fn golden(name: &str, write: fn() -> text::Records) -> Place {
    if std::env::var("STORE_GOLDEN").is_ok_and(|what| what == "write") {
        fs::write(file(name), text::write(&write())).unwrap();
        println!("  {} was written anew", file(name).display());
    }
    let place = Place::new();
    let store = SledStore::open(place.store()).unwrap();
    for (key, value) in text::read(&fs::read_to_string(file(name)).unwrap()) {
        store.put_raw(key, Some(value)).unwrap();
    }
    place
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/format1").join(name)
}

fn written_by_the_store() -> text::Records {
    let store = MemoryStore::with_id(StoreId(1));
    let commit = |batch: Batch| {
        let outcomes = store.commit(&[batch]).unwrap();
        assert!(matches!(outcomes[..], [BatchOutcome::Committed { .. }]), "{outcomes:?}");
    };
    let deliver = |to: &str, message| Record::Deliver { to: path(to), message };
    let of_desk = |records| Batch::of(path("desk"), Epoch(3), records);
    let snapshot = |seq, state| Record::Snapshot(Snapshot { state, ..state_of(seq) });

    commit(Batch::from_outside(vec![Record::Birth { of: path("desk"), content: b"as a desk".to_vec() }]));
    commit(Batch::claim(path("desk"), Epoch(3)));
    // Numbers 3, 5 and 7 are those of the messages, 4, 6 and 8 those of the commits.
    commit(Batch::from_outside(vec![deliver("desk", order())]));
    commit(Batch::from_outside(vec![deliver("desk", long())]));
    commit(Batch::from_outside(vec![deliver("desk", broken())]));
    commit(of_desk(vec![snapshot(1, b"the state before".to_vec())]));
    let answer = StoredAnswer {
        request: "order-17".into(),
        at_ms: 1_000,
        until_ms: 90_000,
        body: b"one lamp".to_vec(),
    };
    commit(of_desk(vec![
        snapshot(2, state_of(2).state),
        Record::Done { message: MessageId(3), answer: Some(answer) },
        Record::LayAside { message: MessageId(7), cause: "it fell".into() },
        deliver("desk/a", passed_on()),
    ]));
    let [first, second] = journal();
    let [short, long_one] = logs();
    commit(of_desk(vec![
        Record::Append(LogEntry { index: 6, ..short.clone() }),
        Record::Append(short),
        Record::Append(long_one),
        Record::Trim { log: 0, keep: 7..8 },
        Record::Tries { message: MessageId(5), tries: Tries { falls: 2, openings: 1 } },
        Record::Journal(first),
        Record::Journal(second),
        Record::SetTimer(timer()),
    ]));
    let case = |case: &str, change| Record::Case { case: case.into(), change };
    commit(of_desk(vec![
        case("ticket-1", CaseChange::Open),
        case("ticket-2", CaseChange::Open),
        case("ticket-2", CaseChange::Offer(CaseOffer { hop: 7, to: "billing".into() })),
        case("ticket-3", CaseChange::Open),
        case("ticket-3", CaseChange::Close),
    ]));
    commit(Batch::claim(path("gone"), Epoch(2)));
    commit(Batch::from_outside(vec![Record::Erase { of: path("gone") }]));
    RawStore::raw_records(&store).unwrap()
}

fn desk() -> Scan {
    let [first, second] = journal();
    Scan {
        epoch: Epoch(3),
        snapshot: Some(state_of(2)),
        inbox: vec![StoredMessage {
            id: MessageId(5),
            origin: MessageId(5),
            tries: Tries { falls: 2, openings: 1 },
            ..long()
        }],
        journal: vec![first, second],
        logs: logs().to_vec(),
        timers: vec![timer()],
        birth: Some(b"as a desk".to_vec()),
        damage: Vec::new(),
    }
}

fn cases() -> Vec<ListedCase> {
    let of_desk = |offer| Ok(CaseOwner { owner: path("desk"), hop: 0, offer });
    let offer = CaseOffer { hop: 7, to: "billing".into() };
    vec![("ticket-1".into(), of_desk(None)), ("ticket-2".into(), of_desk(Some(offer)))]
}

fn colleague() -> Scan {
    let inbox = vec![StoredMessage { id: MessageId(10), origin: MessageId(10), ..passed_on() }];
    Scan { inbox, ..Scan::default() }
}

/// More than one chunk.
fn state_of(seq: u64) -> Snapshot {
    Snapshot { type_name: "desk".into(), version: 2, seq, state: vec![b's'; 5_000] }
}

fn order() -> StoredMessage {
    StoredMessage {
        name: "order".into(),
        version: 1,
        sender: Some(path("door")),
        trace: 77,
        request: Some("order-17".into()),
        expires_ms: Some(99_000),
        body: b"a lamp".to_vec(),
        ..StoredMessage::default()
    }
}

/// More than one part.
fn long() -> StoredMessage {
    StoredMessage {
        name: "letter".into(),
        version: 3,
        body: vec![b'l'; 5_000],
        request: Some("letter-1".into()),
        ..StoredMessage::default()
    }
}

fn broken() -> StoredMessage {
    StoredMessage { name: "vase".into(), version: 1, body: b"shards".to_vec(), ..StoredMessage::default() }
}

fn passed_on() -> StoredMessage {
    StoredMessage {
        name: "copy".into(),
        version: 1,
        sender: Some(path("desk")),
        trace: 77,
        body: b"of the order".to_vec(),
        ..StoredMessage::default()
    }
}

fn timer() -> StoredTimer {
    let message =
        StoredMessage { name: "wake".into(), version: 1, body: b"up".to_vec(), ..Default::default() };
    StoredTimer { name: "morning".into(), due_ms: 60_000, every_ms: Some(86_400_000), message }
}

fn journal() -> [JournalEntry; 2] {
    let entry =
        |place, content: &[u8]| JournalEntry { message: MessageId(5), place, content: content.to_vec() };
    [entry(0, b"intends"), entry(1, b"has done")]
}

/// The second in more than one part.
fn logs() -> [LogEntry; 2] {
    let entry = |log, index, content: &[u8]| LogEntry { log, index, content: content.to_vec() };
    [entry(0, 7, b"an entry"), entry(1, 0, &[b'e'; 5_000])]
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).unwrap()
}
