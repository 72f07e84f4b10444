//! Commits that never come back: sled 0.34.7 can deadlock (storage.md, D2), and one flush for each commit prevents it.

use std::time::Duration;

use crate::child::job;
use crate::place::Place;
use crate::process::{PATIENCE, command, watch};
use crate::{asked, shared};

/// Longest time between two acknowledgements.
const STALL: Duration = Duration::from_secs(10);

/// Goal: 200 runs of 10,000 commits without a stall over 10 s; the everyday run is shorter.
pub(crate) fn ten_thousand_commits_do_not_stall() {
    let runs = asked("STORE_RUNS", 1);
    let commits = if runs > 1 { 10_000 } else { 2_000 };
    shared((1..=runs).collect(), |run| {
        let place = Place::new();
        let job = job("commit", &[&place.store().display(), &1, &commits, &"mixed"]);
        let ended = watch(command(&[], &job), &place.errors(), STALL);
        let ended = ended.unwrap_or_else(|lines| panic!("run {run} stalls after {:?}", lines.last()));
        assert!(ended.status.success(), "run {run}: {:?}", ended.status);
        assert_eq!(ended.count("acknowledged "), commits, "run {run}");
    });
    println!("  {runs} runs of {commits} commits without a silence of {STALL:?}");
}

/// Goal: all proofs rest on the watch, so it must notice.
pub(crate) fn the_watch_notices_a_child_that_hangs() {
    let place = Place::new();
    let hung = watch(command(&[], &job("hang", &[])), &place.errors(), PATIENCE / 120);
    assert_eq!(hung.expect_err("it never ends").len(), 1, "it said that it began");
}
