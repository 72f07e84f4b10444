//! What is committed, and whether what is found again is that. The only file here that knows batches, records and scans.
//!
//! Commit `n` is the one batch of actor `n % 3`; so the whole content of a store follows from the number of its last
//! commit, and content that follows from none was half applied.

use std::ops::RangeInclusive;

use greenroom::{
    ActorPath, Batch, BatchOutcome, CommitSeq, Epoch, Record, Scan, Snapshot, Store, StoreError,
};

/// Paths of which one is the start of another.
const ACTORS: [&str; 3] = ["desk", "desk/a", "desk/b"];
const EPOCH: Epoch = Epoch(7);
/// From nothing over a part of one chunk to several of them.
const LENS: [usize; 5] = [300, 13_000, 0, 5_000, 8_136];

/// How long the states are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lens {
    /// From nothing to four chunks.
    Mixed,
    All(usize),
}

/// What a store was found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Everything up to this commit, nothing of a later one, and no damage.
    Whole(u64),
    /// Everything, and damage that did no harm was reported.
    WholeReported,
    /// For some actor the record before, or none, and that was reported.
    FellBackReported,
    /// The store said no.
    Refused(String),
    /// What no history of commits leaves, without a word about it.
    Wrong(String),
}

/// Carries out commit `n`.
///
/// # Errors
///
/// What the store says, in words; also when it numbered the commit otherwise.
pub(crate) fn commit(store: &dyn Store, n: u64, lens: Lens) -> Result<(), String> {
    match store.commit(&[batch(n, lens)]) {
        Ok(outcomes) if outcomes == [committed(n)] => Ok(()),
        Ok(outcomes) => Err(format!("misnumbered: {outcomes:?}")),
        Err(error) => Err(told(&error)),
    }
}

/// Compares the content of `store` with that after one of `commits`.
pub(crate) fn judge(store: &dyn Store, commits: RangeInclusive<u64>, lens: Lens) -> Found {
    let paths: Result<Vec<ActorPath>, StoreError> = store.actors();
    let scans: Result<Vec<Scan>, StoreError> = ACTORS.iter().map(|actor| store.scan(&path(actor))).collect();
    let (paths, scans) = match (paths, scans) {
        (Ok(paths), Ok(scans)) => (paths, scans),
        (Err(error), _) | (_, Err(error)) => return Found::Refused(told(&error)),
    };
    for n in commits.clone() {
        let expected: Vec<Scan> = (0..ACTORS.len()).map(|actor| scan_after(n, actor, lens)).collect();
        let found = |scan: &Scan| (scan.epoch, scan.snapshot.clone());
        let is_same = scans.iter().map(found).eq(expected.iter().map(found));
        let is_silent = scans.iter().all(|scan| scan.damage.is_empty());
        let known = ACTORS.iter().zip(&expected).filter(|(_, scan)| **scan != Scan::default());
        if is_same && !is_silent {
            return Found::WholeReported;
        }
        if is_same && paths.iter().eq(known.map(|(actor, _)| path(actor)).collect::<Vec<_>>().iter()) {
            return Found::Whole(n);
        }
        let is_told = |(actor, (scan, expected)): (usize, (&Scan, &Scan))| {
            scan == expected || !scan.damage.is_empty() && is_of_the_past(scan, actor, n, lens)
        };
        if !is_silent && scans.iter().zip(&expected).enumerate().all(is_told) {
            return Found::FellBackReported;
        }
    }
    let seen = |scan: &Scan| {
        (scan.epoch.0, scan.snapshot.as_ref().map(|s| (s.seq, s.state.len())), scan.damage.len())
    };
    Found::Wrong(format!("not {commits:?}: {:?}, {paths:?}", scans.iter().map(seen).collect::<Vec<_>>()))
}

/// An error in words that begin with its name.
pub(crate) fn told(error: &StoreError) -> String {
    format!("{error:?}")
}

fn batch(n: u64, lens: Lens) -> Batch {
    Batch::of(path(ACTORS[actor_of(n)]), EPOCH, vec![Record::Snapshot(snapshot(n, lens))])
}

fn committed(n: u64) -> BatchOutcome {
    BatchOutcome::Committed { seq: CommitSeq(n), deliveries: Vec::new() }
}

/// What a scan of `actor` finds after commit `n`.
fn scan_after(n: u64, actor: usize, lens: Lens) -> Scan {
    let newest = (1..=n).rev().take(ACTORS.len()).find(|n| actor_of(*n) == actor);
    let written = |n| Scan { epoch: EPOCH, snapshot: Some(snapshot(n, lens)), ..Scan::default() };
    newest.map(written).unwrap_or_default()
}

/// Whether `actor` once had this snapshot, or none, by commit `n`.
fn is_of_the_past(scan: &Scan, actor: usize, n: u64, lens: Lens) -> bool {
    scan.epoch <= EPOCH
        && scan.snapshot.as_ref().is_none_or(|kept| {
            (1..=n).contains(&kept.seq) && actor_of(kept.seq) == actor && *kept == snapshot(kept.seq, lens)
        })
}

fn actor_of(n: u64) -> usize {
    n as usize % ACTORS.len()
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).unwrap()
}

/// No two commits give the same bytes, and no two places in them are alike.
fn snapshot(n: u64, lens: Lens) -> Snapshot {
    let len = match lens {
        Lens::Mixed => LENS[n as usize % LENS.len()],
        Lens::All(len) => len,
    };
    let state = (0..len as u64).map(|at| (at ^ (at >> 8) ^ n.wrapping_mul(0x9e37_79b9) >> 8) as u8).collect();
    Snapshot { type_name: "proof.state".into(), version: 1, seq: n, state }
}
