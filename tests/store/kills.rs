//! `kill -9` at a system call, whichever: what was acknowledged is there, and nothing is half there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use crate::child::job;
use crate::place::Place;
use crate::process::run;
use crate::strace::{self, CHANGING, IoThreads, Lasts, Strike, trace};
use crate::{every, rounds, shared, strikes};

const SIGKILL: i32 = 9;

/// Goal: a creation that was cut short anywhere can be taken up.
pub(crate) fn a_kill_while_a_store_is_made_loses_nothing() {
    kill_at_every_call(&Scene {
        base: Place::new(),
        first: 1,
        last: 8,
        lens: "mixed",
        must_hit: &["greenroom.conf"],
    });
}

/// Goal: the opening of a store with content, its commits of several chunks and its closing can be cut short anywhere;
/// sled writes its recovery snapshot in that opening (storage.md, D1).
pub(crate) fn a_kill_while_a_store_is_in_use_loses_nothing() {
    let base = Place::used(&[1..=4, 5..=8], "mixed");
    kill_at_every_call(&Scene {
        base,
        first: 9,
        last: 16,
        lens: "mixed",
        must_hit: &[".generating", "unlink(", "greenroom.log.0", "greenroom.log.1"],
    });
}

/// Goal: so can the moving of pages into reused segments and the shortening of the log.
pub(crate) fn a_kill_while_a_store_is_compacted_loses_nothing() {
    if strace::is_here() {
        let (base, first) = about_to_be_compacted();
        let must_hit = &[".generating", "ftruncate("];
        kill_at_every_call(&Scene { base, first, last: first + 15, lens: COMPACTED_LENS, must_hit });
    }
}

/// How long the states are in a store of [`about_to_be_compacted`]: a few of them fill a segment of sled's log.
pub(crate) const COMPACTED_LENS: &str = "30000";

/// A store whose log sled shortens when it is opened next, and the number of its next commit.
pub(crate) fn about_to_be_compacted() -> (Place, u64) {
    let with_commits = |newest: u64| (Place::used(&[1..=newest], COMPACTED_LENS), newest + 1);
    let is_it = |(base, first): &(Place, u64)| {
        let place = base.copy();
        let opened = job("commit", &[&place.store().display(), first, first, &COMPACTED_LENS]);
        !trace(&place, &opened, &["ftruncate"], None).calls_of("ftruncate").is_empty()
    };
    (60..80).map(with_commits).find(is_it).expect("sled shortens its log in the end")
}

/// What the child does: it opens a copy of `base` and commits from `first` to `last`.
struct Scene {
    base: Place,
    first: u64,
    last: u64,
    lens: &'static str,
    /// Parts of calls at which at least one kill must have fallen.
    must_hit: &'static [&'static str],
}

/// What the kills fell upon: calls by name, with their numbers among all threads.
#[derive(Default)]
struct Tally {
    kills: u64,
    hit: BTreeMap<String, BTreeSet<usize>>,
    texts: Vec<String>,
}

fn kill_at_every_call(scene: &Scene) {
    if !strace::is_here() {
        return;
    }
    let (whole, names) = scene.uninterrupted();
    // First with one thread for sled's writes, so that all of them are hit; then with all, as often as wished.
    let tally = Mutex::new(Tally::default());
    let mut work: Vec<_> = names.iter().map(|name| (name, IoThreads::One)).collect();
    for _ in 0..rounds() {
        let changing = names.iter().filter(|name| CHANGING.contains(&name.as_str()));
        work.extend(changing.map(|name| (name, IoThreads::All)));
    }
    shared(work, |(name, threads)| {
        let mut whens = strikes();
        while whens.next().is_some_and(|when| scene.kill_once(name, when, threads, &tally)) {}
    });

    let tally = tally.into_inner().unwrap();
    println!("  {} kills; distinct calls hit, of those in a run:", tally.kills);
    for (name, count) in &whole {
        let hit = tally.hit.get(name).map_or(0, BTreeSet::len);
        println!("  {name:>16} {hit:>4} of {count}");
        // Not all: the first of one thread hide behind those of another that came before.
        let is_enough = !every() || !CHANGING.contains(&name.as_str()) || 2 * hit >= *count;
        assert!(is_enough, "{hit} of {count} {name}");
    }
    for part in scene.must_hit {
        assert!(tally.texts.iter().any(|text| text.contains(part)), "no kill fell upon a call with {part:?}");
    }
}

impl Scene {
    fn job(&self, place: &Place) -> String {
        job("commit", &[&place.store().display(), &self.first, &self.last, &self.lens])
    }

    /// The calls of a run that nobody kills, and the names to strike at: all that occur, or those that change something.
    fn uninterrupted(&self) -> (BTreeMap<String, usize>, Vec<String>) {
        let place = self.base.copy();
        let names = if every() { vec!["all"] } else { CHANGING.to_vec() };
        let traced = trace(&place, &self.job(&place), &names, None);
        assert!(traced.ended.status.success(), "{:?}", traced.ended);
        let mut counts = BTreeMap::new();
        let ends = ["execve", "exit", "exit_group"];
        for call in traced.calls.into_iter().filter(|call| !ends.contains(&call.name.as_str())) {
            *counts.entry(call.name).or_insert(0) += 1;
        }
        let names = counts.keys().cloned().collect();
        (counts, names)
    }

    /// `false` if no thread came to the call.
    fn kill_once(&self, call: &str, when: u64, threads: IoThreads, tally: &Mutex<Tally>) -> bool {
        let place = self.base.copy();
        let strike = Strike { call, what: "signal=KILL", when, lasts: Lasts::Once, threads };
        let traced = trace(&place, &self.job(&place), &[call], Some(strike));
        let was_killed = traced.ended.status.signal() == Some(SIGKILL);
        assert!(was_killed || traced.ended.status.success(), "{strike:?}: {:?}", traced.ended);

        let newest = self.first - 1 + traced.ended.count("acknowledged ");
        // A commit that was not acknowledged may be there all the same.
        let attempted = (newest + 1).min(self.last);
        let judge = job("judge", &[&place.store().display(), &newest, &attempted, &self.lens]);
        let judged = run(&judge, &place.errors());
        let verdict = judged.lines.as_ref().unwrap().first().unwrap();
        let hit = traced.hit(strike);
        assert!(
            verdict.starts_with("Whole("),
            "{verdict} after {newest} acknowledged: {strike:?} at {hit:?}"
        );

        if was_killed {
            let mut tally = tally.lock().unwrap();
            tally.kills += 1;
            if let Some((number, call)) = hit {
                tally.hit.entry(call.name.clone()).or_default().insert(number);
                tally.texts.push(call.text.clone());
            }
        }
        was_killed
    }
}
