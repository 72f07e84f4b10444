//! Histories of chance: groups, turns of the logs, kills, tears, failures and closings, beside a plain engine that is given
//! each acknowledged group at once.
//!
//! A failing history is printed, shrunk; `SEED=42 cargo test histories` repeats a run.

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A group, with a number that rises by `raised`.
    Commit {
        keys: [u8; 2],
        len: Option<usize>,
        raised: u64,
    },
    /// The word that the store is left in order.
    End,
    /// The engine takes that many writes more of a round.
    Let(usize),
    /// The process ends, and the marker is that far behind.
    Kill {
        behind: u64,
    },
    /// The process ends within a group, of whose frame that part reached the log, in 255ths.
    Tear {
        keys: [u8; 2],
        part: u8,
        behind: u64,
    },
    /// The process ends within an opening, when the engine has taken that many writes.
    BreakOff {
        taken: usize,
    },
    /// The engine fails from now on, until the store is opened again.
    Fail,
    Close,
}

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        let keys = [u8::arbitrary(g) % 6, u8::arbitrary(g) % 40];
        let len = *g.choose(&[None, Some(0), Some(1), Some(30), Some(200)]).unwrap();
        let behind = u64::arbitrary(g) % 3;
        match u8::arbitrary(g) % 24 {
            0 | 1 => Act::End,
            2..=7 => Act::Let(usize::arbitrary(g) % 6),
            8 | 9 => Act::Kill { behind },
            10 | 11 => Act::Tear { keys, part: *g.choose(&[0, 1, 9, 100, 254, 255]).unwrap(), behind },
            12 => Act::BreakOff { taken: usize::arbitrary(g) % 4 },
            13 if bool::arbitrary(g) => Act::Fail,
            13 => Act::Close,
            _ => Act::Commit { keys, len, raised: 1 + u64::arbitrary(g) % 3 },
        }
    }
}

/// A store in use, and what it must be.
struct World {
    folder: Folder,
    round_bytes: u64,
    engine: Held,
    front: Option<Front<Held>>,
    plain: MemoryStore,
    number: u64,
}

impl World {
    fn new(round_bytes: u64) -> Self {
        let engine = Held::new(MemoryStore::with_id(ID));
        let plain = MemoryStore::with_id(ID);
        let mut world = World { folder: Folder::new(), round_bytes, engine, front: None, plain, number: 0 };
        world.open(0);
        world
    }

    fn front(&self) -> &Front<Held> {
        self.front.as_ref().unwrap()
    }

    fn made(&self) -> Front<Held> {
        Front::new(self.engine.clone(), self.folder.logs(), LogSync::EachCommit, self.round_bytes).unwrap()
    }

    fn open(&mut self, behind: u64) {
        self.engine = Held::new(self.engine.engine.clone());
        let front = self.made();
        self.engine.lets(usize::MAX);
        front.recover(CommitSeq(self.number.saturating_sub(behind)), Path::new("marker")).unwrap();
        self.engine.gate.0.lock().unwrap().lets = 0;
        self.front = Some(front);
        assert_eq!(self.folder.contents(), [[], []]);
    }

    /// Ends the process with that in its logs.
    fn kill(&mut self, logs: &[Vec<u8>; 2]) {
        let engine = copy(&self.engine.engine);
        self.engine.fails_then(StoreError::Closed);
        self.front = None;
        self.engine = Held::new(engine);
        self.folder.put(logs);
    }

    /// Lets the engine take `most` writes, of the round that waits for it.
    fn gives(&self, most: usize) {
        let until = self.engine.taken() + most;
        let is_given = || lock(&self.front().shared.state).older.is_none();
        self.engine.lets(most);
        while self.engine.taken() < until && !is_given() {
            std::thread::yield_now();
        }
        self.engine.gate.0.lock().unwrap().lets = 0;
    }

    /// A group must not wait for an engine that nobody lets.
    fn makes_room(&self) {
        let state = lock(&self.front().shared.state);
        let must_wait = state.older.is_some() && state.young.is_full(self.round_bytes);
        drop(state);
        if must_wait {
            self.gives(usize::MAX / 2);
        }
    }

    fn group(&self, keys: [u8; 2], len: Option<usize>, raised: u64) -> Writes {
        let [one, other] = keys.map(|key| key.to_string());
        let value = len.map(|len| vec![self.number as u8; len]);
        let number = (self.number + raised).to_string().into_bytes();
        group(self.number + raised, [(&other, value.as_deref()), (&one, Some(&number))])
    }

    fn goes_on(&mut self, act: Act) {
        match act {
            Act::Commit { keys, len, raised } => {
                let writes = self.group(keys, len, raised);
                self.makes_room();
                self.front().apply(writes.clone()).unwrap();
                self.plain.apply(writes).unwrap();
                self.number += raised;
            }
            Act::End => {
                self.makes_room();
                layout::end(self.front()).unwrap();
                layout::end(&self.plain).unwrap();
            }
            Act::Let(most) => self.gives(most),
            Act::Kill { behind } => {
                self.kill(&self.folder.contents());
                self.open(behind);
            }
            Act::Tear { keys, part, behind } => self.tears(keys, part, behind),
            Act::BreakOff { taken } => {
                self.kill(&self.folder.contents());
                self.engine.lets(taken);
                self.engine.fails_then(StoreError::Closed);
                let _may_have_been_enough = self.made().recover(CommitSeq(self.number), Path::new("marker"));
                self.open(0);
            }
            Act::Fail => {
                self.engine.fails_then(StoreError::NoSpace);
                for _ in 0..20 {
                    let writes = self.group([0, 1], Some(100), 1);
                    if self.front().apply(writes.clone()).is_err() {
                        break;
                    }
                    self.plain.apply(writes).unwrap();
                    self.number += 1;
                }
                let _told_if_anything_was_to_be_given = self.front().settle();
                self.front = None;
                self.open(0);
            }
            Act::Close => {
                self.engine.lets(usize::MAX / 2);
                self.front().settle().unwrap();
                self.front = None;
                assert_eq!(all(&self.engine), all(&self.plain), "all is in the engine");
                self.open(0);
            }
        }
    }

    fn tears(&mut self, keys: [u8; 2], part: u8, behind: u64) {
        self.makes_room();
        let (mut logs, writes) = (self.folder.contents(), self.group(keys, Some(40), 1));
        self.front().apply(writes.clone()).unwrap();
        let (log, end) = {
            let state = lock(&self.front().shared.state);
            (state.turn, state.young.end as usize)
        };
        let (frame, _) = frame::frame(&writes, CommitSeq(0), 0).unwrap();
        let begin = end - frame.len();
        let reached = begin + frame.len() * usize::from(part) / 255;
        let written = &self.folder.contents()[log][begin..reached];
        logs[log].resize(logs[log].len().max(reached), 0);
        logs[log][begin..reached].copy_from_slice(written);
        if reached == end {
            // Nobody was answered, and it is whole: it counts.
            self.plain.apply(writes).unwrap();
            self.number += 1;
        }
        self.kill(&logs);
        self.open(behind);
    }

    fn agrees(&self) {
        let (front, plain) = (self.front(), &self.plain);
        assert_eq!(all(front), all(plain));
        for prefix in ["", "k", "k1", "k13", "l"].map(str::as_bytes) {
            assert_eq!(front.entries(prefix).unwrap(), plain.entries(prefix).unwrap());
            assert_eq!(front.keys(prefix).unwrap(), plain.keys(prefix).unwrap());
            assert_eq!(front.next_key(prefix).unwrap(), plain.next_key(prefix).unwrap());
            assert_eq!(front.get(prefix).unwrap(), plain.get(prefix).unwrap());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.fails_then(StoreError::Closed);
    }
}

/// Goal: nothing that was acknowledged is lost, doubled, reordered or brought back, whatever happens in whatever order, and
/// whoever reads never sees where it is.
#[test]
fn histories_of_chance_leave_just_what_was_acknowledged() {
    fn property(acts: Vec<Act>, rounds: usize) {
        let mut world = World::new([1, 150, 400, 2_000, u64::MAX][rounds % 5]);
        for act in acts {
            world.goes_on(act);
            world.agrees();
        }
    }
    let random = Gen::from_size_and_seed(80, seed());
    QuickCheck::new().rng(random).tests(60).quickcheck(property as fn(Vec<Act>, usize));
}
