//! What is kept beside states: what reading and writing it costs, and what a writer with a fault leaves.

use crate::store::Tries;
use std::cell::Cell;

use super::*;
use crate::message::MessageId;
use crate::store::content;
use crate::store::layout::{self, Engine, Entries, Writes};
use crate::store::record::ContentKey;
use crate::store::{Damage, Delivered, JournalEntry, StoreId, StoredAnswer, StoredMessage, StoredTimer};

/// An engine that counts the records it was asked for.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    reads: Cell<usize>,
}

impl Counting {
    /// How many records `call` reads.
    fn reads<T>(&self, call: impl FnOnce(&Self) -> T) -> usize {
        self.reads.set(0);
        call(self);
        self.reads.get()
    }

    fn commit(&self, records: Vec<Record>) -> Vec<Delivered> {
        let outcomes = layout::commit(self, &[Batch { records, ..claim("a", 1) }]).unwrap();
        match outcomes.into_iter().next() {
            Some(crate::store::BatchOutcome::Committed { deliveries, .. }) => deliveries,
            other => panic!("{other:?}"),
        }
    }
}

impl Engine for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.update(|reads| reads + 1);
        Engine::get(&self.store, key)
    }

    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        let entries = Engine::entries(&self.store, prefix)?;
        self.reads.update(|reads| reads + 1 + entries.len());
        Ok(entries)
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let keys = Engine::keys(&self.store, prefix)?;
        self.reads.update(|reads| reads + 1 + keys.len());
        Ok(keys)
    }

    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.update(|reads| reads + 1);
        Engine::next_key(&self.store, from)
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        Engine::apply(&self.store, writes)
    }

    fn fresh_id(&self) -> StoreId {
        Engine::fresh_id(&self.store)
    }
}

fn delivery(request: Option<String>) -> Record {
    Record::Deliver { to: path("a"), message: StoredMessage { request, ..StoredMessage::default() } }
}

fn answered(message: MessageId, request: &str, at_ms: u64) -> Record {
    let answer = StoredAnswer { request: request.into(), at_ms, until_ms: at_ms + 10, body: vec![1] };
    Record::Done { message, answer: Some(answer) }
}

fn set(name: &str) -> Record {
    let message = StoredMessage::default();
    Record::SetTimer(StoredTimer { name: name.into(), due_ms: 5, every_ms: None, message })
}

fn journal(message: MessageId, place: u32) -> Record {
    Record::Journal(JournalEntry { message, place, content: vec![1] })
}

/// Goal: what a commit costs depends on what it says, not on how much its actor has: thousands of messages, answers,
/// ended ones among them, journal entries, messages laid aside and timers cost nothing.
#[test]
fn a_commit_reads_what_it_needs_and_no_more() {
    let engine = Counting::default();
    let mut ids = Vec::new();
    for number in 0..2_000 {
        let request = format!("order-{number}");
        let [Delivered::New(waits), Delivered::New(asked), Delivered::New(aside)] =
            engine.commit(vec![delivery(None), delivery(Some(request.clone())), delivery(None)])[..]
        else {
            panic!("all of them are new")
        };
        let cause = String::new();
        let own = [answered(asked, &request, 1), Record::LayAside { message: aside, cause }, set(&request)];
        engine.commit(own.to_vec());
        ids.push((waits, aside));
    }
    let (first, aside) = ids[0];
    engine.commit((0..2_000).map(|place| journal(first, place)).collect());
    let [Delivered::New(asked)] = engine.commit(vec![delivery(Some("new".into()))])[..] else {
        panic!("it is new")
    };

    let records = [
        Record::Snapshot(snapshot(1, 10)),
        delivery(None),
        delivery(Some("another".into())),
        delivery(Some("order-7".into())),
        Record::Tries { message: first, tries: Tries { falls: 1, openings: 0 } },
        journal(first, 7),
        journal(first, 2_000),
        answered(asked, "new", 1_000_000),
        Record::Done { message: ids[1].0, answer: None },
        Record::LayAside { message: ids[2].0, cause: String::new() },
        Record::Return { to: path("a"), message: aside },
        Record::Forget { of: path("a"), message: ids[1].1 },
        set("order-7"),
        set("another"),
        Record::CancelTimer { name: "order-8".into() },
        Record::Fire { name: "order-9".into(), due_ms: 5, next_ms: None },
        Record::Fire { name: "order-10".into(), due_ms: 5, next_ms: Some(6) },
        Record::Fire { name: "order-10".into(), due_ms: 5, next_ms: Some(6) },
        Record::ForgetJournal { message: ids[1].0 },
        Record::Birth { of: path("a"), content: vec![1] },
    ];
    for record in records {
        let reads = engine.reads(|engine| engine.commit(vec![record.clone()]));
        assert!(reads <= 30, "{reads} records were read for {record:?}");
    }
    let records = 2_000;
    let reads = engine.reads(|engine| engine.commit(vec![Record::Done { message: first, answer: None }]));
    assert!((records..records + 30).contains(&reads), "its own journal, each entry once: {reads}");
    let reads = engine.reads(|engine| layout::unfinished(engine).unwrap());
    assert!(reads <= 10, "{reads} records were read to find one actor that is unfinished");
}

/// Goal: a content that is whole, and means nothing, is reported where it would be left out in silence.
#[test]
fn contents_that_make_no_sense_are_reported() {
    let id = MessageId(9);
    let contents = [
        (ContentKey::Message(id), DamagePlace::Message { id }),
        (ContentKey::Request("order-17".into()), DamagePlace::Request),
        (ContentKey::LaidAside(id), DamagePlace::LaidAside { id }),
        (ContentKey::Timer("wake".into()), DamagePlace::Timer),
    ];
    for (key, place) in contents {
        for nonsense in [&[][..], &[0xff; 9], &[0, 1, 0xff]] {
            let store = MemoryStore::new();
            store.commit(&[claim("a", 1)]).unwrap();
            let mut writes = Writes::new();
            content::put(&mut writes, &path("a"), &key, nonsense);
            Engine::apply(&store, writes).unwrap();

            let found = store.scan(&path("a")).unwrap();

            let reported = Damage { actor: path("a"), place, reason: DamageReason::Malformed };
            assert_eq!((found.inbox, found.timers, found.damage), (vec![], vec![], vec![reported]));
            assert_eq!(store.laid_aside(&path("a")).unwrap(), []);
        }
    }
}
