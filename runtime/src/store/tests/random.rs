//! The store against a plain model, and against damage at random.
//!
//! A failing case is printed, shrunk, with its input; `SEED=42 cargo test random` repeats a run.

use std::collections::BTreeMap;

use quickcheck::{Arbitrary, Gen, QuickCheck, Testable};

use super::*;
use crate::store::{BatchOutcome, CommitSeq, Scan};

const ACTORS: [&str; 3] = ["a", "a/b", "a-b"];

/// One batch: by which actor, how far its epoch lies above or below the stored one, and with a state of which length.
#[derive(Clone, Debug)]
pub(super) struct Step {
    actor: usize,
    epoch_ahead: i64,
    state_len: Option<usize>,
    ends_group: bool,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let lens = [None, Some(0), Some(1), Some(30), Some(4_068), Some(4_069), Some(9_000), Some(20_000)];
        Step {
            actor: usize::arbitrary(g) % ACTORS.len(),
            epoch_ahead: *g.choose(&[0, 0, 0, 1, 2, -1]).unwrap(),
            state_len: *g.choose(&lens).unwrap(),
            ends_group: bool::arbitrary(g),
        }
    }
}

/// What a store must hold: per actor the epoch and the newest snapshots, newest last.
#[derive(Default)]
struct Model {
    actors: BTreeMap<usize, (u64, Vec<Snapshot>)>,
    commits: u64,
}

impl Model {
    /// The batch of `step`, and what must become of it.
    fn carry_out(&mut self, step: &Step) -> (Batch, BatchOutcome) {
        let (stored, snapshots) = self.actors.entry(step.actor).or_default();
        let epoch = stored.saturating_add_signed(step.epoch_ahead);
        let seq = snapshots.len() as u64 + 1;
        let batch = match step.state_len {
            Some(len) => batch(ACTORS[step.actor], epoch, seq, len),
            None => claim(ACTORS[step.actor], epoch),
        };
        if epoch < *stored {
            return (batch, BatchOutcome::Stale { stored: Epoch(*stored) });
        }
        *stored = epoch;
        snapshots.extend(step.state_len.map(|len| snapshot(seq, len)));
        self.commits += 1;
        (batch, BatchOutcome::Committed { seq: CommitSeq(self.commits), deliveries: Vec::new() })
    }

    fn scan(&self, actor: usize) -> Scan {
        let (epoch, snapshots) = self.actors.get(&actor).cloned().unwrap_or_default();
        Scan { epoch: Epoch(epoch), snapshot: snapshots.last().cloned(), ..Scan::default() }
    }
}

/// Carries out `steps`, each outcome compared with the model's.
fn run(store: &dyn Store, steps: &[Step]) -> Model {
    let mut model = Model::default();
    for steps in steps.chunk_by(|step, _| !step.ends_group) {
        let (group, expected): (Vec<_>, Vec<_>) = steps.iter().map(|step| model.carry_out(step)).unzip();
        assert_eq!(store.commit(&group).unwrap(), expected);
    }
    model
}

pub(super) fn agrees_with_the_model(store: &dyn Store, steps: &[Step]) -> bool {
    let model = run(store, steps);
    let found = (0..ACTORS.len()).all(|actor| store.scan(&path(ACTORS[actor])).unwrap() == model.scan(actor));
    let kept =
        model.actors.iter().filter(|(_, (epoch, snapshots))| *epoch > 0 || !snapshots.is_empty()).count();
    found && store.actors().unwrap().len() >= kept
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
        agrees_with_the_model(&MemoryStore::new(), &steps)
    }
    quickcheck(1_000, property as fn(Vec<Step>) -> bool);
}

/// Goal: no flipped bit gives a state that was never committed, or an older one in silence.
#[test]
fn a_flipped_bit_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, bit: usize) -> bool {
        is_never_silently_wrong(&steps, record, |store, key, mut value| {
            let bit = bit % (value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            store.put_raw(key, Some(value));
        })
    }
    quickcheck(3_000, property as fn(Vec<Step>, usize, usize) -> bool);
}

/// Goal: the same for a bit in a key, where a record seems lost and another one, unknown, appears.
#[test]
fn a_flipped_bit_in_a_key_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, bit: usize) -> bool {
        is_never_silently_wrong(&steps, record, |store, key, value| {
            let mut flipped = key.clone();
            let bit = bit % (key.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            store.put_raw(key, None);
            store.put_raw(flipped, Some(value));
        })
    }
    quickcheck(3_000, property as fn(Vec<Step>, usize, usize) -> bool);
}

/// Goal: the same for a value that lost its end.
#[test]
fn a_cut_value_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, len: usize) -> bool {
        is_never_silently_wrong(&steps, record, |store, key, mut value| {
            value.truncate(len % value.len());
            store.put_raw(key, Some(value));
        })
    }
    quickcheck(1_000, property as fn(Vec<Step>, usize, usize) -> bool);
}

fn is_never_silently_wrong(
    steps: &[Step],
    record: usize,
    do_damage: impl FnOnce(&MemoryStore, Vec<u8>, Vec<u8>),
) -> bool {
    let store = MemoryStore::new();
    let model = run(&store, steps);
    let records = MemoryStore::raw_records(&store);
    let Some((key, value)) = records.get(record % records.len().max(1)).cloned() else { return true };
    do_damage(&store, key, value);

    (0..ACTORS.len()).all(|actor| match store.scan(&path(ACTORS[actor])) {
        Err(StoreError::HeadDamaged | StoreError::Format { .. }) => true,
        Err(_) => false,
        // The one loss that cannot be seen: an actor that only claimed has a single record.
        Ok(found) if found == Scan::default() => model.scan(actor).snapshot.is_none(),
        Ok(found) if found.damage.is_empty() => found == model.scan(actor),
        Ok(found) => {
            let committed = model.actors.get(&actor).map_or(&[][..], |(_, snapshots)| snapshots);
            let kept = &committed[committed.len().saturating_sub(2)..];
            found.snapshot.is_none_or(|snapshot| kept.contains(&snapshot))
                && found.epoch <= model.scan(actor).epoch
        }
    })
}
