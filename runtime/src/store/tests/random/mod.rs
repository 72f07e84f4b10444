//! The store against a plain model, and against damage at random.
//!
//! A failing case is printed, shrunk, with its input; `SEED=42 cargo test random` repeats a run.
mod actor;
mod damage;
mod model;

use crate::store::Tries;
use quickcheck::{Arbitrary, Gen, QuickCheck, Testable};

use super::*;
pub(super) use model::agrees_with_the_model;

const ACTORS: [&str; 3] = ["a", "a/b", "a-b"];
const REQUESTS: [&str; 3] = ["", "r1", "r2"];
const CASES: [&str; 3] = ["", "c1", "c10"];
const TIMERS: [&str; 3] = ["", "t1", "t2"];

/// One batch.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// By which actor, and how far its epoch lies above or below the stored one. `None`: from outside.
    writer: Option<(usize, i64)>,
    acts: Vec<Act>,
    ends_group: bool,
    /// Whether it is refused, and its group with it.
    is_refused: bool,
}

/// One record. Which message is meant is a number, taken as the place in a list of all that the actor has.
#[derive(Clone, Copy, Debug)]
enum Act {
    Snapshot { len: usize },
    Deliver { to: usize, request: Option<usize>, len: usize },
    Done { which: usize, answer: Option<Answer> },
    Tries { which: usize, tries: Tries },
    LayAside { which: usize },
    Return { to: usize, which: usize },
    Forget { of: usize, which: usize },
    Journal { which: usize, place: u32, len: usize },
    ForgetJournal { which: usize },
    SetTimer { name: usize, due_ms: u64, request: Option<usize>, len: usize },
    CancelTimer { name: usize },
    Fire { name: usize, due_ms: u64, next_ms: Option<u64> },
    Birth { of: usize, len: usize },
    Erase { of: usize },
    Case { case: usize, what: CaseAct },
    Append { log: u32, index: u64, len: usize },
    Trim { log: u32, from: u64, keep: u64 },
}

/// What becomes of a case.
#[derive(Clone, Copy, Debug)]
enum CaseAct {
    Open,
    Offer(u32),
    Withdraw,
    Accept { from: usize, hop: u32 },
    Close,
    Assign { from: Option<usize>, to: Option<usize> },
}

/// When it was given, when it ends, its length; and whether it names the request of another message.
#[derive(Clone, Copy, Debug)]
struct Answer {
    at_ms: u64,
    until_ms: u64,
    len: usize,
    is_misled: bool,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let writer = (usize::arbitrary(g) % ACTORS.len(), *g.choose(&[0, 0, 0, 1, 2, -1]).unwrap());
        let is_from_outside = one_in(g, 4);
        let acts = *g.choose(&[0, 1, 1, 2, 3, 4]).unwrap();
        Step {
            writer: (!is_from_outside).then_some(writer),
            acts: (0..acts).map(|_| Act::arbitrary(g)).collect(),
            ends_group: bool::arbitrary(g),
            is_refused: one_in(g, 30),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let acts = &self.acts;
        let fewer = (0..acts.len()).map(|left_out| [&acts[..left_out], &acts[left_out + 1..]].concat());
        let fewer: Vec<_> = fewer.map(|acts| Step { acts, ..self.clone() }).collect();
        Box::new(fewer.into_iter())
    }
}

impl Arbitrary for Act {
    fn arbitrary(g: &mut Gen) -> Self {
        let len = *g.choose(&[0, 1, 30, 4_000, 4_060, 4_061, 4_069, 9_000, 20_000]).unwrap();
        let (which, actor) = (usize::arbitrary(g), usize::arbitrary(g) % ACTORS.len());
        let request = (!one_in(g, 3)).then(|| usize::arbitrary(g) % REQUESTS.len());
        let (at_ms, kept_ms) = (u64::arbitrary(g) % 100, u64::arbitrary(g) % 50);
        let answer = Answer { at_ms, until_ms: at_ms + kept_ms, len, is_misled: one_in(g, 8) };
        let place = u32::arbitrary(g) % 3;
        let (name, due_ms) = (usize::arbitrary(g) % TIMERS.len(), u64::arbitrary(g) % 2);
        let next_ms = bool::arbitrary(g).then(|| u64::arbitrary(g) % 2);
        let (log, index) = (u32::arbitrary(g) % 2, u64::arbitrary(g) % 6);
        match usize::arbitrary(g) % 26 {
            22..=24 => Act::Append { log, index, len },
            25 => Act::Trim { log, from: index, keep: u64::arbitrary(g) % 4 },
            18..=21 => Act::Case { case: usize::arbitrary(g) % CASES.len(), what: CaseAct::arbitrary(g) },
            0 => Act::Snapshot { len },
            1..=3 => Act::Deliver { to: actor, request, len },
            4 => Act::Done { which, answer: None },
            5 => Act::Done { which, answer: Some(answer) },
            6 => Act::Tries { which, tries: Tries { falls: 1 + place, openings: place } },
            7 => Act::LayAside { which },
            8 => Act::Return { to: actor, which },
            9 if one_in(g, 2) => Act::Forget { of: actor, which },
            9 | 10 => Act::Journal { which, place, len },
            11 => Act::ForgetJournal { which },
            12 | 13 => Act::SetTimer { name, due_ms, request, len },
            14 | 15 => Act::Fire { name, due_ms, next_ms },
            16 if one_in(g, 2) => Act::CancelTimer { name },
            16 => Act::Birth { of: actor, len },
            _ if one_in(g, 3) => Act::Erase { of: actor },
            _ => Act::Birth { of: actor, len },
        }
    }
}

impl Arbitrary for CaseAct {
    fn arbitrary(g: &mut Gen) -> Self {
        let hop = 1 + u32::arbitrary(g) % 3;
        let any = |g: &mut Gen| bool::arbitrary(g).then(|| usize::arbitrary(g) % ACTORS.len());
        match usize::arbitrary(g) % 12 {
            0..=2 => CaseAct::Open,
            3..=5 => CaseAct::Offer(hop),
            6 => CaseAct::Withdraw,
            7..=9 => CaseAct::Accept { from: usize::arbitrary(g) % ACTORS.len(), hop },
            10 => CaseAct::Close,
            _ => CaseAct::Assign { from: any(g), to: any(g) },
        }
    }
}

fn one_in(g: &mut Gen, times: usize) -> bool {
    usize::arbitrary(g).is_multiple_of(times)
}

pub(super) fn quickcheck(cases: u64, property: impl Testable) {
    let seed = crate::testing::seed();
    let random = Gen::from_size_and_seed(30, seed);
    QuickCheck::new()
        .rng(random)
        .tests(cases)
        .max_tests(cases * 10)
        .min_tests_passed(cases)
        .quickcheck(property);
}

#[test]
fn any_sequence_of_commits_leaves_what_the_model_says() {
    fn property(steps: Vec<Step>) -> bool {
        let store = MemoryStore::new();
        agrees_with_the_model(&store, &steps).has_left_exactly(&store)
    }
    quickcheck(1_000, property as fn(Vec<Step>) -> bool);
}
