//! The logs in front of an engine: on an engine in memory, which takes what it is given when it is let.

mod random; // histories of chance

use std::fs;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};

use super::*;
use crate::store::MemoryStore;
use crate::testing::{Chaos, seed};

/// No marker was written yet.
const UNKNOWN: CommitSeq = CommitSeq(0);
const ID: StoreId = StoreId(7);

/// An engine that takes as many writes as it is let, and waits before the next; or fails there, and at all after it.
#[derive(Clone)]
struct Held {
    engine: MemoryStore,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    /// Writes that it still takes.
    lets: usize,
    /// What becomes of the others; they wait for as long as this is `None`.
    then: Option<StoreError>,
    /// Writes that wait.
    waiting: usize,
    taken: usize,
}

impl Held {
    fn new(engine: MemoryStore) -> Self {
        Held { engine, gate: Arc::default() }
    }

    /// Lets that many more writes through.
    fn lets(&self, more: usize) {
        self.gate.0.lock().unwrap().lets += more;
        self.gate.1.notify_all();
    }

    fn fails_then(&self, error: StoreError) {
        self.gate.0.lock().unwrap().then = Some(error);
        self.gate.1.notify_all();
    }

    /// How many writes it took.
    fn taken(&self) -> usize {
        self.gate.0.lock().unwrap().taken
    }

    fn is_waited_for(&self) -> bool {
        self.gate.0.lock().unwrap().waiting > 0
    }

    /// Returns when a write waits.
    fn is_reached(&self) {
        let gate = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(gate, |gate| gate.waiting == 0).unwrap());
    }
}

impl Engine for Held {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }
    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        self.engine.entries(prefix)
    }
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.engine.keys(prefix)
    }
    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.next_key(from)
    }
    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let (gate, changed) = &*self.gate;
        let mut gate = gate.lock().unwrap();
        gate.waiting += 1;
        changed.notify_all();
        let mut gate = changed.wait_while(gate, |gate| gate.lets == 0 && gate.then.is_none()).unwrap();
        gate.waiting -= 1;
        match gate.lets.checked_sub(1) {
            Some(left) => gate.lets = left,
            None => return Err(gate.then.clone().unwrap()),
        }
        gate.taken += 1;
        self.engine.apply(writes)
    }
    fn fresh_id(&self) -> StoreId {
        ID
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn logs(&self) -> [PathBuf; 2] {
        ["log.0", "log.1"].map(|name| self.0.path().join(name))
    }

    fn contents(&self) -> [Vec<u8>; 2] {
        self.logs().map(|log| fs::read(log).unwrap())
    }

    fn put(&self, contents: &[Vec<u8>; 2]) {
        self.logs().iter().zip(contents).for_each(|(log, content)| fs::write(log, content).unwrap());
    }

    /// As an opening: with what is in the logs.
    fn open<E: Engine + Send + Sync + 'static>(&self, engine: E) -> Front<E> {
        self.open_in_rounds(engine, u64::MAX)
    }

    fn open_in_rounds<E: Engine + Send + Sync + 'static>(&self, engine: E, bytes: u64) -> Front<E> {
        let front = Front::new(engine, self.logs(), LogSync::EachCommit, bytes).unwrap();
        front.recover(UNKNOWN, Path::new("marker")).unwrap();
        front
    }

    /// An opening that knows what was acknowledged.
    fn reopen(&self, engine: &MemoryStore, acknowledged: u64) -> Result<Front<MemoryStore>, StoreError> {
        let front = Front::new(engine.clone(), self.logs(), LogSync::EachCommit, u64::MAX).unwrap();
        front.recover(CommitSeq(acknowledged), Path::new("marker"))?;
        Ok(front)
    }
}

/// Commit `number`, with these writes.
fn group<const LEN: usize>(number: u64, writes: [(&str, Option<&[u8]>); LEN]) -> Writes {
    let writes = writes.map(|(key, value)| (format!("k{key}").into_bytes(), value.map(<[u8]>::to_vec)));
    writes.into_iter().chain([head(number, false)]).collect()
}

fn head(number: u64, ended_in_order: bool) -> (Vec<u8>, Option<Vec<u8>>) {
    let head = StoreHead { id: ID, seq: CommitSeq(number), ended_in_order };
    (STORE_HEAD_KEY.to_vec(), Some(head.seal()))
}

fn all(engine: &impl Engine) -> Entries {
    engine.entries(&[]).unwrap()
}

/// An engine with content, as a copy of its own.
fn copy(engine: &MemoryStore) -> MemoryStore {
    let copy = MemoryStore::with_id(ID);
    let writes: Writes = all(engine).into_iter().map(|(key, value)| (key, Some(value))).collect();
    if !writes.is_empty() {
        copy.apply(writes).unwrap();
    }
    copy
}

#[test]
fn what_was_acknowledged_is_there_though_the_engine_was_never_given_it() {
    let (folder, engine) = (Folder::new(), MemoryStore::new());
    let front = folder.open(engine.clone());
    front.apply(group(1, [("a", Some(b"1")), ("b", Some(b"1"))])).unwrap();
    front.apply(group(2, [("a", None), ("c", Some(b""))])).unwrap();
    let found = all(&front);
    assert_eq!((found.len(), all(&engine).len()), (3, 0));

    drop(front);

    assert_eq!(all(&folder.open(engine.clone())), found);
    assert_eq!(all(&engine), found, "an opening gives it to the engine");
    assert_eq!(folder.contents(), [[], []], "and empties the logs");
}

/// Goal: a kill, or a power loss, within a group that nobody was answered leaves the groups before it. Method: the last frame
/// is cut at each of its bytes, and a bit of each is flipped.
#[test]
fn a_torn_end_of_a_log_is_cut_without_a_word_and_the_store_goes_on() {
    let (folder, ends, states) = three_groups();
    let log = folder.contents()[0].clone();
    let cut = (ends[2]..ends[3]).map(|at| log[..at].to_vec());
    let flips = (ends[2]..ends[3]).map(|at| flipped(&log, at));
    for (case, torn) in cut.chain(flips).enumerate() {
        folder.put(&[torn, Vec::new()]);
        let front = folder.reopen(&MemoryStore::new(), 2).unwrap();
        assert_eq!(all(&front), states[2], "case {case}");
        // And it goes on from there, over what is left of it.
        front.apply(group(3, [("a", Some(b"o")), ("9", Some(b"new"))])).unwrap();
        let goes_on = all(&front);
        let engine = copy(front.engine());
        drop(front);
        assert_eq!(all(&folder.reopen(&engine, 3).unwrap()), goes_on, "case {case}");
    }
}

/// Goal: what was acknowledged is never taken for torn. Method: the marker knows of it; it is cut at each byte, and a bit of each is flipped.
#[test]
fn a_log_that_is_damaged_before_its_end_is_told_with_its_name_and_place() {
    let (folder, ends, states) = three_groups();
    let log = folder.contents()[0].clone();
    let cuts = (0..log.len()).map(|at| (at, log[..at].to_vec()));
    let flips = (0..log.len()).map(|at| (at, flipped(&log, at)));
    for (at, damaged) in cuts.chain(flips) {
        let whole = ends.iter().rposition(|end| *end <= at).unwrap();
        folder.put(&[damaged.clone(), Vec::new()]);
        let engine = MemoryStore::new();
        let refused = folder.reopen(&engine, 3).err();
        match refused {
            // Nothing is left of it: as if the engine had lost it.
            Some(StoreError::Shortened { stored: CommitSeq(0), acknowledged: CommitSeq(3), .. })
                if damaged.is_empty() => {}
            Some(StoreError::LogDamaged { log, offset, stored, acknowledged: CommitSeq(3), .. }) => {
                assert_eq!((&log, offset, stored.0), (&folder.logs()[0], ends[whole] as u64, whole as u64));
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!((all(&engine), &folder.contents()[0]), (Vec::new(), &damaged), "nothing was changed");
        // Whoever deletes the marker accepts the loss.
        if at < ends[whole] + 1 {
            assert_eq!(all(&folder.open(engine)), states[whole]);
        }
    }
}

/// Goal: a marker that is old, as after a power loss, hides no damage. Method: it knows of the first group alone; behind the
/// damage stands a frame that was written when what is damaged was acknowledged.
#[test]
fn a_whole_frame_behind_a_damaged_one_is_proof_though_the_marker_is_old() {
    let (folder, ends, _) = three_groups();
    let log = folder.contents()[0].clone();
    for at in 0..ends[2] {
        let whole = ends.iter().rposition(|end| *end <= at).unwrap();
        folder.put(&[flipped(&log, at), Vec::new()]);
        let refused = folder.reopen(&MemoryStore::new(), 1).err();
        let Some(StoreError::LogDamaged { offset, .. }) = refused else { panic!("byte {at}: {refused:?}") };
        assert_eq!(offset, ends[whole] as u64, "byte {at}");
    }
}

/// Goal: a store whose process ended within its first long group opens at once. Method: of zeros, each of which looks like the number of the
/// first round; to look behind each of them took hours.
#[test]
fn a_torn_group_that_is_full_of_zeros_is_cut_in_no_time() {
    let folder = Folder::new();
    folder.open(MemoryStore::with_id(ID)).apply(group(1, [("a", Some(&vec![0; 4 << 20]))])).unwrap();
    let [mut log, none] = folder.contents();
    log.pop();
    folder.put(&[log, none]);

    assert_eq!(all(&folder.open(MemoryStore::new())), []);
}

/// Goal: so does the other log: a round begins when the one before was acknowledged to its end.
#[test]
fn a_log_that_ends_before_the_other_one_begins_is_told_though_the_marker_is_old() {
    let (folder, engine) = (Folder::new(), Held::new(MemoryStore::new()));
    let front = folder.open_in_rounds(engine.clone(), 1);
    (1..=2).for_each(|number| front.apply(group(number, [("a", Some(b"1"))])).unwrap());
    engine.is_reached();
    let [first, second] = folder.contents();
    for at in 0..first.len() {
        folder.put(&[first[..at].to_vec(), second.clone()]);
        let refused = folder.reopen(&MemoryStore::new(), 1).err();
        assert!(
            matches!(&refused, Some(StoreError::LogDamaged { log, offset: 0, .. }) if *log == folder.logs()[0])
                || at == 0 && matches!(refused, Some(StoreError::Shortened { .. })),
            "byte {at}: {refused:?}"
        );
    }
    // The newer one cut: nobody but the marker knows.
    for at in 0..second.len() {
        folder.put(&[first.clone(), second[..at].to_vec()]);
        let expected = if at == 0 { (0, first.len() as u64) } else { (1, 0) };
        match folder.reopen(&MemoryStore::new(), 2).err() {
            Some(StoreError::LogDamaged { log, offset, .. }) => {
                assert_eq!((log, offset), (folder.logs()[expected.0].clone(), expected.1), "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!(all(&folder.reopen(&MemoryStore::new(), 1).unwrap()).len(), 2);
    }
    engine.lets(usize::MAX / 2);
}

#[test]
fn a_log_of_another_store_is_refused_and_left_alone() {
    let (folder, engine) = (Folder::new(), MemoryStore::new());
    engine.apply(group(1, [])).unwrap();
    folder.open(engine.clone()).apply(group(2, [])).unwrap();
    let contents = folder.contents();
    let other = StoreHead { id: StoreId(8), seq: CommitSeq(1), ended_in_order: false };
    engine.apply(Writes::from([(STORE_HEAD_KEY.to_vec(), Some(other.seal()))])).unwrap();

    let refused = folder.reopen(&engine, 1).err();

    assert!(
        matches!(&refused, Some(StoreError::Open { path, .. }) if *path == folder.logs()[0]),
        "{refused:?}"
    );
    assert_eq!(folder.contents(), contents);
}

/// Goal: a kill at any point of the turns of the two logs. Method: what is on disk then is what was given to the engine by
/// then, and the logs: each group, and each write of the engine, is such a point.
#[test]
fn a_kill_at_any_turn_of_the_logs_loses_nothing_and_brings_nothing_back() {
    let (folder, plain) = (Folder::new(), MemoryStore::with_id(ID));
    let engine = Held::new(MemoryStore::with_id(ID));
    let front = folder.open_in_rounds(engine.clone(), 200);
    let judge = |number: u64, when: &str| {
        let killed = Folder::new();
        killed.put(&folder.contents());
        let engine = copy(&engine.engine);
        for opening in 1..=2 {
            let front = killed.reopen(&engine, number).unwrap();
            assert_eq!(all(&front), all(&plain), "{when} of {number}, opening {opening}");
        }
    };
    let mut turns = 0;
    for number in 1..=60 {
        let key = (number % 7).to_string();
        let value = (number % 3 > 0).then(|| format!("{number}").into_bytes());
        let short = (number % 2).to_string(); // of other lengths than what is written over
        let writes = group(
            number,
            [(&key, value.as_deref()), ("x", Some(&b"long"[..(number % 4) as usize])), (&short, None)],
        );
        plain.apply(writes.clone()).unwrap();
        let before = lock(&front.shared.state).turn;
        front.apply(writes).unwrap();
        judge(number, "behind the group");
        if lock(&front.shared.state).turn != before {
            turns += 1;
            while lock(&front.shared.state).older.is_some() {
                engine.is_reached();
                judge(number, "within the round");
                let taken = engine.taken();
                engine.lets(1);
                while engine.taken() == taken
                    || lock(&front.shared.state).older.is_some() && !engine.is_waited_for()
                {
                    std::thread::yield_now();
                }
                judge(number, "behind a write of the round");
            }
            judge(number, "between the round and the next use of its log");
        }
    }
    assert!(turns > 8, "{turns}");
    engine.lets(usize::MAX / 2);
    front.settle().unwrap();
    assert_eq!((all(&engine.engine), folder.contents()), (all(&plain), [Vec::new(), Vec::new()]));
}

/// Goal: the word that a store was left in order raises no number, and rounds are told by theirs.
#[test]
fn a_store_that_was_left_in_order_is_found_so_and_goes_on() {
    for round_bytes in [1, u64::MAX] {
        let (folder, engine) = (Folder::new(), MemoryStore::with_id(ID));
        let mut number = 0;
        for _ in 0..6 {
            let front = folder.open_in_rounds(engine.clone(), round_bytes);
            for _ in 0..2 {
                number += 1;
                front.apply(group(number, [("a", Some(number.to_string().as_bytes()))])).unwrap();
                front.apply([head(number, true)].into()).unwrap();
            }
            let found = all(&front);
            if number % 4 == 0 {
                front.settle().unwrap();
            }
            drop(front);
            let front = folder.open_in_rounds(engine.clone(), round_bytes);
            assert_eq!((all(&front), layout::head(&front).unwrap().ended_in_order), (found, true));
        }
    }
}

/// Goal: groups go on while a round is given, in bounded memory. Method: the engine takes nothing.
#[test]
fn a_group_waits_only_where_both_logs_are_full() {
    let (folder, engine) = (Folder::new(), Held::new(MemoryStore::with_id(ID)));
    let front = folder.open_in_rounds(engine.clone(), 1_000);
    let mut number = 0;
    let is_full = |front: &Front<Held>| {
        let state = lock(&front.shared.state);
        state.older.is_some() && state.young.is_full(1_000)
    };
    while !is_full(&front) {
        number += 1;
        front.apply(group(number, [("a", Some(&[1; 40]))])).unwrap();
    }
    assert!((2_000..2_300).contains(&front.pending_bytes()), "{}", front.pending_bytes());
    engine.is_reached();

    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            front.apply(group(number + 1, [("b", Some(b"waits"))])).unwrap();
            tell.send(()).unwrap();
        });
        assert!(told.try_recv().is_err());
        assert!(front.get(b"kb").unwrap().is_none(), "whoever reads does not wait");
        engine.lets(usize::MAX / 2);
        told.recv().unwrap();
    });
    assert_eq!(front.get(b"kb").unwrap().unwrap(), b"waits");
}

/// Goal: a slow disk stalls no store: the engine is given few and large writes where a group waits for it, and where nobody can read.
/// Method: the same round, given to nobody, while a group waits, and by an opening.
#[test]
fn a_round_goes_over_in_fewer_writes_where_somebody_waits_for_it() {
    let (folder, engine) = (Folder::new(), Held::new(MemoryStore::with_id(ID)));
    let front = folder.open_in_rounds(engine.clone(), 16_000);
    let names: Vec<String> = (1..=400).map(|number| number.to_string()).collect();
    let writes = |number: usize| group(number as u64, [(&names[number - 1], Some(&[1; 40][..]))]);
    let mut number = 0;
    let mut fills_one = || {
        while {
            number += 1;
            front.apply(writes(number)).unwrap();
            !lock(&front.shared.state).young.is_full(16_000)
        } {}
        number
    };
    fills_one();
    let filled = fills_one();
    engine.is_reached();
    let killed = folder.contents();

    std::thread::scope(|scope| {
        scope.spawn(|| front.apply(writes(filled + 1)).unwrap());
        while front.shared.waiting.load(Relaxed) == 0 {
            std::thread::yield_now();
        }
        // One was begun before. Of the round behind it some may be left; nobody waits for that one.
        engine.lets(8);
        engine.fails_then(StoreError::NoSpace);
    });

    let (opened, engine) = (Folder::new(), Held::new(MemoryStore::with_id(ID)));
    opened.put(&killed);
    engine.lets(14);
    engine.fails_then(StoreError::NoSpace);
    drop(opened.open_in_rounds(engine, 16_000));
}

/// Goal: an engine that fails behind everybody's back is told to whoever comes next, and costs nothing acknowledged. Method:
/// at each of its writes, while a group waits for it.
#[test]
fn a_round_that_cannot_be_given_ends_the_opening_and_loses_nothing() {
    for lets in 0..6 {
        let (folder, engine) = (Folder::new(), Held::new(MemoryStore::with_id(ID)));
        engine.lets(lets);
        let front = folder.open_in_rounds(engine.clone(), 300);
        let plain = MemoryStore::with_id(ID);
        let (acknowledged, error) = std::thread::scope(|scope| {
            let failing = scope.spawn(|| {
                for number in 1.. {
                    let writes = group(number, [(&number.to_string(), Some(&[number as u8; 60]))]);
                    if let Err(error) = front.apply(writes.clone()) {
                        return (number - 1, error);
                    }
                    plain.apply(writes).unwrap();
                }
                unreachable!("the engine fails in the end")
            });
            engine.is_reached();
            engine.fails_then(StoreError::NoSpace);
            failing.join().unwrap()
        });
        assert!(matches!(error, StoreError::NoSpace) && acknowledged > 0, "{error:?}");

        assert!(matches!(front.get(b"k1"), Err(StoreError::NoSpace)));
        assert!(matches!(front.entries(b""), Err(StoreError::NoSpace)));
        assert!(matches!(front.keys(b""), Err(StoreError::NoSpace)));
        assert!(matches!(front.next_key(b""), Err(StoreError::NoSpace)));
        assert!(matches!(front.apply(group(99, [])), Err(StoreError::NoSpace)));
        assert!(matches!(front.settle(), Err(StoreError::NoSpace)));
        drop(front);
        let again = folder.reopen(&engine.engine, acknowledged).unwrap();
        assert_eq!(all(&again), all(&plain), "{lets} writes");
    }
}

/// Goal: whoever reads does not see what is where. Method: beside an engine that is given everything at once, while rounds
/// go over in portions of one write, at instants of chance.
#[test]
fn reads_find_the_same_wherever_it_is() {
    let mut chaos = Chaos::seeded(seed());
    let (folder, plain) = (Folder::new(), MemoryStore::new());
    let engine = MemoryStore::new();
    let mut held = Held::new(engine.clone());
    let mut front = folder.open_in_rounds(held.clone(), 300);
    for number in 1..=800 {
        let mut change = || {
            let value = (chaos.below(3) > 0).then(|| number.to_string().into_bytes());
            ([chaos.below(2), chaos.below(6)].map(|part| part.to_string()).concat(), value)
        };
        let (one, other) = (change(), change());
        let writes = group(number, [(&one.0, one.1.as_deref()), (&other.0, other.1.as_deref())]);
        plain.apply(writes.clone()).unwrap();
        let must_wait = {
            let state = lock(&front.shared.state);
            state.older.is_some() && state.young.is_full(300)
        };
        held.lets(if must_wait { 100 } else { chaos.below(2) as usize });
        front.apply(writes).unwrap();
        if must_wait {
            held.gate.0.lock().unwrap().lets = 0;
        }
        if number % 50 == 0 {
            held.fails_then(StoreError::Closed);
            drop(front);
            held = Held::new(engine.clone());
            held.lets(100);
            front = folder.open_in_rounds(held.clone(), 300);
            held.gate.0.lock().unwrap().lets = 0;
        }
        for prefix in ["", "k", "k0", "k1", "k13"].map(str::as_bytes) {
            assert_eq!(front.entries(prefix).unwrap(), plain.entries(prefix).unwrap());
            assert_eq!(front.keys(prefix).unwrap(), plain.keys(prefix).unwrap());
            assert_eq!(front.next_key(prefix).unwrap(), plain.next_key(prefix).unwrap());
            assert_eq!(front.get(prefix).unwrap(), plain.get(prefix).unwrap());
        }
    }
    held.fails_then(StoreError::Closed);
}

/// A log with three groups that the engine was not given, where each of them ends, and what there is behind each.
fn three_groups() -> (Folder, Vec<usize>, Vec<Entries>) {
    let folder = Folder::new();
    let front = folder.open(MemoryStore::with_id(ID));
    let (mut ends, mut states) = (vec![0], vec![all(&front)]);
    for number in 1..=3 {
        let value = number.to_string().into_bytes();
        front.apply(group(number, [("a", Some(&value)), (&number.to_string(), Some(b"new"))])).unwrap();
        ends.push(folder.contents()[0].len());
        states.push(all(&front));
    }
    (folder, ends, states)
}

/// With a bit flipped of the byte at `at`, which one depends on the place.
fn flipped(log: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = log.to_vec();
    flipped[at] ^= 1 << (at % 8);
    flipped
}
