//! Bytes that changed or went: noticed, or harmless. Never a panic, a hang, or a wrong word.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use greenroom::SledStore;
use greenroom::testing::{Chaos, seed};

use crate::child::job;
use crate::contents::{Found, Lens, commit, judge, told};
use crate::place::{Files, Place};
use crate::process::{PATIENCE, command, say, watch};
use crate::{asked, every, shared};

/// Cases that one child takes on: a store that does not open may leave threads of sled behind.
const CASES: usize = 100;
/// Flipped bits of the everyday run; `STORE_FLIPS` asks for more.
const FLIPS: u64 = 300;

/// Goal: the file system kept only a part of the last commit.
/// Method: the files before and after it are compared; each that it touched is cut within what it changed.
pub(crate) fn a_cut_at_any_byte_of_the_last_commit_is_noticed() {
    let place = Place::new();
    let (newest, len) = (9, 5_000);
    let store = SledStore::open(place.store()).unwrap();
    (1..newest).for_each(|n| commit(&store, n, Lens::All(len)).unwrap());
    let before = Files::read(&place.store());
    commit(&store, newest, Lens::All(len)).unwrap();
    // As a kill at this instant would leave it: closing writes more.
    let after = Files::read(&place.store());
    drop(store);

    let step = if every() { 1 } else { 37 };
    let mut cases = Vec::new();
    for (name, content) in
        after.files.iter().filter(|(name, content)| before.files.get(*name) != Some(content))
    {
        let old = before.files.get(name).map_or(&[][..], Vec::as_slice);
        let same = content.iter().zip(old).take_while(|(new, old)| new == old).count();
        cases.extend((same..content.len()).step_by(step).map(|at| format!("cut {name} {at}")));
    }
    assert!(cases.iter().any(|case| case.starts_with("cut greenroom.log.")), "the log was not touched");
    run_all(&after, newest, &len.to_string(), &cases);
}

/// Goal: a bit flipped anywhere in the folder of a store that was killed. Method: half of them in a file of chance, half at a
/// byte of chance.
pub(crate) fn a_flipped_bit_anywhere_is_noticed_or_harmless() {
    let mut chaos = Chaos::seeded(seed());
    let (newest, lens) = (24, "mixed");
    let place = Place::used(&[1..=8, 9..=16], lens);
    let store = SledStore::open(place.store()).unwrap();
    (17..=newest).for_each(|n| commit(&store, n, Lens::Mixed).unwrap());
    let files = Files::read(&place.store());
    drop(store);
    let sized: Vec<(&String, u64)> =
        files.files.iter().map(|(name, content)| (name, content.len() as u64)).collect();
    let sized: Vec<_> = sized.into_iter().filter(|(_, len)| *len > 0).collect();
    let total: u64 = sized.iter().map(|(_, len)| len).sum();
    let cases: Vec<String> = (0..asked("STORE_FLIPS", FLIPS))
        .map(|number| {
            let (name, at) = if number % 2 == 0 {
                let (name, len) = sized[chaos.below(sized.len() as u64) as usize];
                (name, chaos.below(len))
            } else {
                let mut at = chaos.below(total);
                // Counts down through the files, until one holds what is left.
                let mut ends_before = |len: &u64| at.checked_sub(*len).map(|rest| at = rest).is_some();
                let (name, _) = sized.iter().find(|(_, len)| !ends_before(len)).unwrap();
                (*name, at)
            };
            format!("flip {name} {at} {}", chaos.below(8))
        })
        .collect();
    run_all(&files, newest, lens, &cases);
}

/// Goal: our own checksum, for what passes those of the engine: its bug, or memory that flips before it is written.
/// Method: a bit of a record is flipped by way of the engine.
pub(crate) fn a_flipped_bit_beneath_the_engine_is_reported() {
    let mut chaos = Chaos::seeded(seed());
    let (newest, lens) = (24, "mixed");
    let files = Files::read(&Place::used(&[1..=newest], lens).store());
    let case = |_| format!("record {} {}", chaos.below(1 << 32), chaos.below(1 << 32));
    let cases: Vec<String> = (0..asked("STORE_FLIPS", FLIPS) / 3).map(case).collect();
    let verdicts = run_all(&files, newest, lens, &cases);
    let is_silent = |(verdict, _): &(&String, _)| verdict.starts_with("Whole(");
    assert_eq!(verdicts.iter().zip(&cases).find(is_silent), None, "not a word about it");
    assert!(
        verdicts.iter().any(|verdict| verdict == "FellBackReported"),
        "the record before was never needed"
    );
}

/// Has children try `cases` on copies of `files`, and prints what came of them.
fn run_all(files: &Files, newest: u64, lens: &str, cases: &[String]) -> Vec<String> {
    let chunks = cases.chunks(CASES).collect();
    let verdicts = shared(chunks, |chunk: &[String]| run_some(files, newest, lens, chunk)).concat();

    let mut outcomes: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for (case, verdict) in cases.iter().zip(&verdicts) {
        assert!(!verdict.starts_with("Wrong"), "{case}: {verdict}");
        let kind = verdict.split([' ', '{']).next().unwrap();
        let mut words = case.split([' ', '.']);
        let file = words.find(|word| !["cut", "flip", "greenroom"].contains(word)).unwrap();
        *outcomes.entry((file, kind.to_owned())).or_insert(0) += 1;
    }
    println!("  {} cases; what came of them, by file:", cases.len());
    for ((file, kind), count) in outcomes {
        println!("  {file:>10} {count:>6} {kind}");
    }
    verdicts
}

/// The verdict on each of `cases`, by one child.
fn run_some(files: &Files, newest: u64, lens: &str, cases: &[String]) -> Vec<String> {
    let place = Place::new();
    files.write(&place.store());
    let mut job = job("damage", &[&place.store().display(), &newest, &lens]);
    cases.iter().for_each(|case| job = format!("{job}\n{case}"));
    let errors = || std::fs::read_to_string(place.errors()).unwrap_or_default();
    let ended = watch(command(&[], &job), &place.errors(), PATIENCE);
    let ended = ended.unwrap_or_else(|lines| panic!("{:?} hangs: {}", cases.get(lines.len() - 1), errors()));
    let mut verdicts = ended.lines.unwrap();
    let next = cases.get(verdicts.len());
    assert!(ended.status.success(), "{next:?}: {}: {}", ended.status, errors());
    verdicts.truncate(cases.len());
    verdicts
}

/// In the child: damages a fresh copy for each case and says what an opening finds.
pub(crate) fn judge_all(store: &Path, newest: u64, lens: Lens, cases: &[&str]) {
    let files = Files::read(store);
    for case in cases {
        let place = Place::new();
        match case.strip_prefix("record ").and_then(|numbers| numbers.split_once(' ')) {
            Some((record, bit)) => {
                files.write(&place.store());
                flip_record(&place.store(), record.parse().unwrap(), bit.parse().unwrap());
            }
            None => files.damaged(case).write(&place.store()),
        }
        say(&match SledStore::open(place.store()).map(|store| judge(&store, newest..=newest, lens)) {
            Ok(Found::Refused(error)) => format!("read:{error}"),
            Ok(found) => format!("{found:?}"),
            Err(error) => format!("open:{}", told(&error)),
        });
    }
}

/// Flips a bit of a record's value; both numbers are taken modulo what there is.
fn flip_record(store: &Path, record: usize, bit: usize) {
    let db = sled::open(store).unwrap();
    let (key, value) = db.iter().nth(record % db.len()).unwrap().unwrap();
    let (mut value, bit) = (value.to_vec(), bit % (value.len() * 8));
    value[bit / 8] ^= 1 << (bit % 8);
    db.insert(key, value).unwrap();
    db.flush().unwrap();
    drop(db);
    // sled lets go of its log some milliseconds later.
    let log = File::options().write(true).open(store.join("db")).unwrap();
    log.lock().and_then(|()| log.unlock()).unwrap();
}

impl Files {
    fn damaged(&self, case: &str) -> Files {
        let mut damaged = self.clone();
        match case.split(' ').collect::<Vec<_>>()[..] {
            ["cut", name, at] => damaged.files.get_mut(name).unwrap().truncate(at.parse().unwrap()),
            ["flip", name, at, bit] => {
                let bit: u32 = bit.parse().unwrap();
                damaged.files.get_mut(name).unwrap()[at.parse::<usize>().unwrap()] ^= 1 << bit;
            }
            _ => panic!("no such case: {case}"),
        }
        damaged
    }
}
