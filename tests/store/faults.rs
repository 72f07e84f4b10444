//! Calls that fail: a full disk, or a broken one. The child lives, is told, and has lost nothing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::child::{CLOSING, job};
use crate::kills::{COMPACTED_LENS, about_to_be_compacted};
use crate::place::Place;
use crate::process::run;
use crate::strace::{self, Call, IoThreads, Lasts, Strike, trace};
use crate::{every, rounds, shared, strikes};

/// Calls whose failure a disk can be the cause of.
const FAILING: [&str; 11] = [
    "pwrite64",
    "write",
    "fdatasync",
    "fsync",
    "sync_file_range",
    "ftruncate",
    "rename",
    "unlink",
    "mkdir",
    "copy_file_range",
    "openat",
];
/// Of those the ones that nobody but a commit or an opening makes: no failure of theirs goes without a word.
const TOLD: [&str; 5] = ["write", "fdatasync", "rename", "mkdir", "copy_file_range"];
/// How they fail.
const FAILURES: [(&str, Lasts); 3] =
    [("ENOSPC", Lasts::FromThenOn), ("EIO", Lasts::Once), ("ENOSPC", Lasts::Once)];

/// Behind what came of a call on a log in front of sled.
const OF_LOG: &str = " (log)";

/// The calls by which sled writes its log, on threads of its own.
const WRITING: [&str; 2] = ["pwrite64", "sync_file_range"];
/// Added to a failure: the call takes 0.3 s, so that the thread that needs it waits by then.
const LATE: &str = ":delay_enter=300000";

/// Goal: whatever call fails, and however: no panic, a typed error, no further word from this opening, nothing lost.
/// Method: a store that is made, one that is in use, and one that is compacted; one call fails, and
/// all others do not, or all after it too. It found that sled panics where a store is dropped and its last `fsync` fails.
pub(crate) fn a_call_that_fails_loses_nothing_and_is_told() {
    if !strace::is_here() {
        return;
    }
    let used = Place::used(&[1..=4, 5..=8], "mixed");
    let (compacted, next) = about_to_be_compacted();
    let scenes = [
        ("made", Place::new(), 1..=8, "mixed"),
        ("in use", used, 9..=16, "mixed"),
        ("compacted", compacted, next..=next + if every() { 15 } else { 7 }, COMPACTED_LENS),
    ];
    for (scene, base, commits, lens) in &scenes {
        let failures = if every() { &FAILURES[..] } else { &FAILURES[..2] };
        let of_call = |call| failures.iter().map(move |failure| (call, *failure));
        let work = FAILING.into_iter().flat_map(of_call).collect();
        // First with one thread for sled's writes, so that all of them are hit; then with all, as often as wished.
        let all = std::iter::repeat_n(IoThreads::All, rounds() as usize);
        let threads: Vec<IoThreads> = std::iter::once(IoThreads::One).chain(all).collect();
        let table = shared(work, |(call, failure)| {
            (call, failure, fail_at_every(base, call, failure, "", &threads, commits, lens))
        });
        println!("  a store that is {scene}: what came of it, how often");
        for (call, (error, lasts), outcomes) in table {
            println!("  {call:>16} {error:>6} {lasts:<10?} {outcomes:?}");
            let must_hit_log = *scene == "in use" && ["write", "fdatasync"].contains(&call);
            let is_of_log = |outcome: &String| outcome.starts_with("failed") && outcome.ends_with(OF_LOG);
            assert!(!must_hit_log || outcomes.keys().any(is_of_log), "no {call} of a log was struck");
        }
    }
}

/// Goal: a write that fails while somebody waits for it is told to whoever waits.
/// Method: each write of sled's threads fails late. sled notes the error of the first write of a batch and wakes nobody,
/// so its `flush` waits for good (`Log::exit_reservation`); without our nudges nearly each of these runs hangs.
pub(crate) fn a_write_that_fails_late_is_told_to_whoever_waits_for_it() {
    if !strace::is_here() {
        return;
    }
    let used = Place::used(&[1..=4, 5..=8], "mixed");
    let work = WRITING.into_iter().flat_map(|call| FAILURES.map(|failure| (call, failure))).collect();
    let table = shared(work, |(call, failure)| {
        let threads = [IoThreads::All; 2];
        (call, failure, fail_at_every(&used, call, failure, LATE, &threads, &(9..=16), "mixed"))
    });
    println!("  what came of a call that fails late, how often");
    for (call, (error, lasts), outcomes) in table {
        println!("  {call:>16} {error:>6} {lasts:<10?} {outcomes:?}");
        assert!(outcomes.keys().any(|outcome| outcome.starts_with("failed: ")), "no commit was struck");
    }
}

/// What came of it, counted.
fn fail_at_every(
    base: &Place,
    call: &str,
    (error, lasts): (&str, Lasts),
    delay: &str,
    threads: &[IoThreads],
    commits: &RangeInclusive<u64>,
    lens: &str,
) -> BTreeMap<String, u64> {
    let (what, mut outcomes) = (format!("error={error}{delay}"), BTreeMap::new());
    for threads in threads.iter().copied() {
        let strikes = strikes().map(|when| Strike { call, what: &what, when, lasts, threads });
        for outcome in strikes.map_while(|strike| fail_once(base, strike, commits, lens)) {
            *outcomes.entry(outcome).or_insert(0) += 1;
        }
    }
    outcomes
}

/// `None` if no thread came to the call.
fn fail_once(base: &Place, strike: Strike<'_>, commits: &RangeInclusive<u64>, lens: &str) -> Option<String> {
    let place = base.copy();
    let store = place.store();
    let (first, last) = (*commits.start(), *commits.end());
    let work = job("commit", &[&store.display(), &first, &last, &lens]);
    let traced = trace(&place, &work, &[strike.call, "writev"], Some(strike));
    let hit = traced.calls_of(strike.call).into_iter().find(|call| call.text.contains("(INJECTED)"))?;
    let ended = &traced.ended;
    if ended.lines.is_none() {
        return Some("before its begin".into());
    }
    let errors = || std::fs::read_to_string(place.errors()).unwrap_or_default();
    assert!(ended.status.success(), "{strike:?} at {hit:?}: {ended:?}\n{}", errors());
    let outcome = match (ended.after("unopened "), ended.after("failed "), ended.after("later ")) {
        (None, None, None) => "no harm".to_owned(),
        (Some(error), None, None) => format!("unopened: {}", name_of(error)),
        (None, Some(error), Some("[true, true, true]")) => format!("failed: {}", name_of(error)),
        _ => panic!("{strike:?} at {hit:?}: {ended:?}"),
    };

    // What fails while the store is closed is left to the next opening; what fails while sled is given what is in the logs is
    // told to the next commit, if there is one.
    let is_closing = |call: &&Call| call.name == "writev" && call.text.contains(&format!("\"{CLOSING}\\n\""));
    let is_late = traced.calls.iter().find(is_closing).is_some_and(|closing| closing.begun < hit.begun);
    let is_of_sled = ["/db>", "/blobs"].iter().any(|file| hit.text.contains(file));
    let must_be_told = TOLD.contains(&strike.call) && !is_late && !is_of_sled;
    assert!(outcome != "no harm" || !must_be_told, "no word about {strike:?} at {hit:?}");

    let outcome = if hit.text.contains("/greenroom.log.") { outcome + OF_LOG } else { outcome };

    let newest = first - 1 + ended.count("acknowledged ");
    let attempted = (newest + 1).min(last);
    let judged = run(&job("judge", &[&store.display(), &newest, &attempted, &lens]), &place.errors());
    let verdict = judged.lines.as_ref().unwrap().first().unwrap();
    assert!(verdict.starts_with("Whole("), "{verdict} after {newest} acknowledged: {strike:?} at {hit:?}");
    Some(outcome)
}

/// The name of an error, first word of its words.
fn name_of(error: &str) -> &str {
    let name = error.split([' ', '{', '(']).next().unwrap();
    assert!(["Open", "NoSpace", "Write", "Failed", "Locked"].contains(&name), "no error for this: {error}");
    name
}
