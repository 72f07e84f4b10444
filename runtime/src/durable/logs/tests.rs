//! Logs against plain sequences: whatever is pushed, trimmed, refused, lost in a crash or damaged.
//!
//! A failing case is printed, shrunk; `SEED=42 cargo test logs` repeats a run.

use std::collections::VecDeque;

use quickcheck::{Arbitrary, Gen, QuickCheck};
use serde::{Deserialize, Serialize};

use super::{Logs, Marks};
use crate::actor::{Log, MigrateError};
use crate::address::{ActorPath, Epoch};
use crate::store::{Batch, LogEntry, MemoryStore, Record, Scan, Snapshot, Store};

/// A state with a log here and there.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    count: u32,
    main: Log<u32>,
    side: Option<Log<String>>,
    pile: Vec<Log<u32>>,
    /// Kept beside the stored state, and put back now and then.
    #[serde(skip)]
    beside: Option<Log<u32>>,
}

/// The same without logs.
type Plain = (u32, Vec<u32>, Option<Vec<String>>, Vec<Vec<u32>>);

impl State {
    fn plain(&self) -> Plain {
        let side = self.side.as_ref().map(|side| side.iter().cloned().collect());
        let pile = self.pile.iter().map(|log| log.iter().copied().collect());
        (self.count, self.main.iter().copied().collect(), side, pile.collect())
    }

    fn act(&mut self, act: Act) {
        self.count += 1;
        let entry = self.count;
        match act {
            Act::Push(times) => self.main.extend((0..u32::from(times)).map(|more| entry * 10 + more)),
            Act::Keep(len) => self.main.keep_last(len.into()),
            Act::Side => self.side.get_or_insert_default().push(format!("{entry}")),
            Act::NoSide => self.side = None,
            Act::Pile => self.pile.insert(0, self.main.clone()),
            Act::Unpile => self.main = self.pile.pop().unwrap_or_default(),
            Act::PushAll => self.pile.iter_mut().for_each(|log| log.push(entry)),
            Act::SetBeside => self.beside = Some(self.main.clone()),
            Act::PutBack => self.main = self.beside.take().unwrap_or_default(),
            Act::Swap => {
                if let Some(log) = self.pile.first_mut() {
                    std::mem::swap(log, &mut self.main);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Push(u8),
    Keep(u8),
    Side,
    NoSide,
    Pile,
    Unpile,
    PushAll,
    SetBeside,
    PutBack,
    Swap,
}

#[derive(Clone, Debug)]
enum Step {
    /// A message that does this, and ends well or not.
    Handle(Vec<Act>, bool),
    /// The oldest commit under way is kept.
    Keep,
    /// It is refused, and all behind it.
    Refuse,
    /// The life ends with its commits, and the next one begins.
    Crash,
    /// And the newest snapshot is damaged meanwhile.
    Damage,
}

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        let few = u8::arbitrary(g) % 4;
        match u8::arbitrary(g) % 16 {
            0..=4 => Act::Push(few),
            5 | 6 => Act::Keep(few),
            7 | 8 => Act::Side,
            9 => Act::NoSide,
            10 => Act::Pile,
            11 => Act::Unpile,
            12 => Act::PushAll,
            13 => Act::SetBeside,
            14 => Act::PutBack,
            _ => Act::Swap,
        }
    }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 16 {
            0..=7 => {
                let acts = 1 + usize::arbitrary(g) % 3;
                Step::Handle((0..acts).map(|_| Act::arbitrary(g)).collect(), u8::arbitrary(g) % 4 > 0)
            }
            8..=12 => Step::Keep,
            13 => Step::Refuse,
            14 => Step::Crash,
            _ => Step::Damage,
        }
    }
}

/// When the state is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    /// With each message, some of them under way.
    Ahead,
    /// Now and then.
    Seldom,
}

struct UnderWay {
    batch: Batch,
    after: Plain,
    before: (u64, Vec<u8>, Marks, Plain),
}

/// A life, its disk, and what it must find.
struct World {
    policy: Policy,
    disk: MemoryStore,
    epoch: u64,
    seq: u64,
    last: Vec<u8>,
    logs: Logs,
    state: State,
    /// What `last` says.
    expected: Plain,
    under_way: VecDeque<UnderWay>,
    /// What the snapshots on disk say: the newest, and the one before.
    stored: Vec<Plain>,
}

fn path() -> ActorPath {
    ActorPath::parse("a").unwrap()
}

fn read_state(bytes: &[u8]) -> Result<State, MigrateError> {
    Ok(rmp_serde::from_slice(bytes)?)
}

impl World {
    fn new(policy: Policy) -> Self {
        let mut world = World {
            policy,
            disk: MemoryStore::new(),
            epoch: 0,
            seq: 0,
            last: Vec::new(),
            logs: Logs::default(),
            state: State::default(),
            expected: Plain::default(),
            under_way: VecDeque::new(),
            stored: Vec::new(),
        };
        world.begin();
        world
    }

    /// A new life finds what the disk has.
    fn begin(&mut self) {
        self.under_way.clear();
        self.epoch += 1;
        self.disk.commit(&[Batch::claim(path(), Epoch(self.epoch))]).unwrap();
        let Scan { snapshot, logs, damage, .. } = self.disk.scan(&path()).unwrap();
        match snapshot {
            Some(Snapshot { seq, state, .. }) => {
                let (read, known) = Logs::read(logs, &damage, || read_state(&state)).unwrap();
                (self.state, self.logs, self.seq, self.last) = (read, known, seq, state);
            }
            None => {
                self.logs = Logs::read(logs, &damage, || Ok(())).unwrap().1;
                (self.state, self.seq, self.last) = (State::default(), 0, Vec::new());
            }
        }
        self.expected = self.stored.last().cloned().unwrap_or_default();
        self.is_as_expected();
        if self.seq == 0 {
            self.store_all();
        }
    }

    fn is_as_expected(&self) {
        assert_eq!(self.state.plain(), self.expected);
    }

    fn encode(&mut self) -> Vec<u8> {
        self.logs.encode(|| rmp_serde::to_vec_named(&self.state)).unwrap()
    }

    fn commit_of(&mut self, state: Vec<u8>) -> Batch {
        let snapshot = Snapshot { type_name: "state".into(), version: 1, seq: self.seq + 1, state };
        let mut records = vec![Record::Snapshot(snapshot)];
        records.extend(self.logs.take_records());
        Batch::of(path(), Epoch(self.epoch), records)
    }

    fn handle(&mut self, acts: &[Act], ends_well: bool) {
        acts.iter().for_each(|act| self.state.act(*act));
        if !ends_well {
            return self.go_back();
        }
        let after = self.state.plain();
        let encoded = self.encode();
        match self.policy {
            Policy::Seldom => {
                self.last = encoded;
                self.logs.is_not_stored();
                self.logs.forget_before(None);
            }
            Policy::Ahead => {
                let batch = self.commit_of(encoded.clone());
                let marks = self.logs.marks();
                let last = std::mem::replace(&mut self.last, encoded);
                let before = (self.seq, last, marks, self.expected.clone());
                self.logs.is_stored();
                self.seq += 1;
                self.under_way.push_back(UnderWay { batch, after: after.clone(), before });
                self.forget();
            }
        }
        self.expected = after;
    }

    fn forget(&mut self) {
        self.logs.forget_before(self.under_way.front().map(|oldest| &oldest.before.2));
    }

    fn go_back(&mut self) {
        let last = self.last.clone();
        self.state = self.logs.read_last(|| read_state(&last)).unwrap();
        self.is_as_expected();
    }

    fn is_on_disk(&mut self, batch: Batch, after: Plain) {
        self.disk.commit(&[batch]).unwrap();
        self.stored.push(after);
    }

    fn keep_oldest(&mut self) {
        match self.policy {
            Policy::Seldom => self.store_all(),
            Policy::Ahead => {
                if let Some(UnderWay { batch, after, .. }) = self.under_way.pop_front() {
                    self.is_on_disk(batch, after);
                }
            }
        }
    }

    /// Stores the state as it is now, and is not under way.
    fn store_all(&mut self) {
        while let Some(UnderWay { batch, after, .. }) = self.under_way.pop_front() {
            self.is_on_disk(batch, after);
        }
        self.last = self.encode();
        let batch = self.commit_of(self.last.clone());
        self.is_on_disk(batch, self.state.plain());
        self.logs.is_stored();
        self.forget();
        self.seq += 1;
    }

    fn refuse(&mut self) {
        let Some(UnderWay { before, .. }) = self.under_way.pop_front() else { return };
        self.under_way.clear();
        let (seq, last, marks, expected) = before;
        (self.seq, self.last, self.expected) = (seq, last, expected);
        self.logs.rewind(marks);
        self.go_back();
    }

    fn damage(&mut self) {
        let scan = self.disk.scan(&path()).unwrap();
        let newest = scan.snapshot.map(|snapshot| snapshot.seq);
        for (key, mut value) in self.disk.raw_records() {
            // The header of the slot in which the newest lies.
            if key.starts_with(b"\x10a\0\x01")
                && Some(u64::from_be_bytes(value[8..16].try_into().unwrap())) == newest
            {
                value[8] ^= 1;
                self.disk.put_raw(key, Some(value));
            }
        }
        self.stored.pop();
        // The one before it was the last that was kept.
        let kept = self.stored.pop();
        self.stored = kept.into_iter().collect();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Handle(acts, ends_well) => self.handle(acts, *ends_well),
            Step::Keep => self.keep_oldest(),
            Step::Refuse => self.refuse(),
            Step::Crash => self.begin(),
            Step::Damage => {
                self.damage();
                self.begin();
            }
        }
    }

    /// After three snapshots of a state nothing is kept that it does not know.
    fn leaves_nothing_behind(&mut self) {
        for _ in 0..3 {
            self.state.count += 1;
            self.store_all();
        }
        let (_, main, side, pile) = self.state.plain();
        let known = main.len() + side.map_or(0, |side| side.len()) + pile.iter().map(Vec::len).sum::<usize>();
        assert_eq!(self.disk.scan(&path()).unwrap().logs.len(), known);
        assert_eq!(self.logs.entries_in_memory(), known);
    }
}

fn quickcheck(property: fn(Vec<Step>) -> bool) {
    let seed = crate::testing::seed();
    QuickCheck::new().rng(Gen::from_size_and_seed(40, seed)).tests(1_000).quickcheck(property);
}

#[test]
fn whatever_is_refused_or_damaged_a_log_has_what_its_state_knows() {
    fn property(steps: Vec<Step>) -> bool {
        let mut world = World::new(Policy::Ahead);
        steps.iter().for_each(|step| world.step(step));
        world.leaves_nothing_behind();
        true
    }
    quickcheck(property);
}

#[test]
fn a_state_that_is_stored_now_and_then_keeps_its_logs() {
    fn property(steps: Vec<Step>) -> bool {
        let mut world = World::new(Policy::Seldom);
        steps.iter().for_each(|step| world.step(step));
        world.leaves_nothing_behind();
        true
    }
    quickcheck(property);
}

/// What is written by a commit, in entries.
fn appended(batch: &Batch) -> Vec<(u32, u64)> {
    let entry = |record: &Record| match record {
        Record::Append(LogEntry { log, index, .. }) => Some((*log, *index)),
        _ => None,
    };
    batch.records.iter().filter_map(entry).collect()
}

#[test]
fn an_entry_is_written_once() {
    let mut world = World::new(Policy::Ahead);
    world.handle(&[Act::Push(3)], true);
    world.handle(&[Act::Push(1), Act::Keep(2), Act::Push(2)], true);
    world.handle(&[Act::Pile, Act::PushAll], true);
    world.handle(&[Act::Swap], true);
    let written: Vec<_> = world.under_way.iter().map(|under_way| appended(&under_way.batch)).collect();

    assert_eq!(written[0], [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(written[1], [(0, 3), (0, 4), (0, 5)]);
    assert_eq!(written[2], [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6)], "a clone is a log of its own");
    assert_eq!(written[3], [], "it goes by its number, not by its place");
}

#[test]
fn a_lost_entry_is_an_error_whatever_the_state_makes_of_it() {
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Lenient {
        Strict { main: Log<String> },
        Any {},
    }
    let bytes = |state: &Lenient| rmp_serde::to_vec_named(state);
    let state = Lenient::Strict { main: ["a", "b", "c"].map(str::to_owned).into_iter().collect() };
    let mut logs = Logs::default();
    let state = logs.encode(|| bytes(&state)).unwrap();
    let entry = |record| match record {
        Record::Append(entry) => Some(entry),
        _ => None,
    };
    let entries: Vec<LogEntry> = logs.take_records().into_iter().filter_map(entry).collect();
    let read = |entries: Vec<LogEntry>| {
        Logs::read(entries, &[], || Ok(rmp_serde::from_slice::<Lenient>(&state)?)).map(|(state, _)| state)
    };
    assert!(matches!(read(entries.clone()), Ok(Lenient::Strict { main }) if main.len() == 3));

    for lost in 0..3 {
        let mut left = entries.clone();
        left.remove(lost);
        let error = read(left).err();
        assert!(
            matches!(&error, Some(MigrateError::LostEntry { log: 0, index, .. }) if *index == lost as u64),
            "{error:?}"
        );
    }
    let mut garbled = entries;
    garbled[1].content = vec![0xc1];
    assert!(matches!(read(garbled), Ok(Lenient::Any {})), "what cannot be read may be another form of it");
}
