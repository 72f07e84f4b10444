//! What lies between a commit and its acknowledgement: an `fdatasync` of the log, each time.

use crate::child::job;
use crate::place::Place;
use crate::strace::{self, Call, trace};

const COMMITS: u64 = 50;

/// Goal: the promise of `SledStore` that each group is on the disk, not only handed to the kernel.
pub(crate) fn each_acknowledgement_follows_a_sync_of_the_log() {
    if strace::is_here() {
        assert_eq!(unsynced("commit"), [] as [u64; 0]);
    }
}

/// Goal: the proof above can fail.
pub(crate) fn a_store_that_skips_its_sync_is_caught() {
    if strace::is_here() {
        assert_eq!(unsynced("commit-unsynced"), (1..=COMMITS).collect::<Vec<u64>>());
    }
}

/// Which commits were acknowledged although the log was not synced between their write and that.
fn unsynced(kind: &str) -> Vec<u64> {
    let place = Place::new();
    let job = job(kind, &[&place.store().display(), &1, &COMMITS, &"mixed"]);
    let traced = trace(&place, &job, &["pwrite64", "fdatasync", "writev"], None);
    assert!(traced.ended.status.success(), "{:?}", traced.ended);
    assert_eq!(traced.ended.count("acknowledged "), COMMITS);

    let said = |words: &str| {
        let is_it = |call: &&Call| call.name == "writev" && call.text.contains(&format!("\"{words}\\n\""));
        traced.calls.iter().find(is_it).unwrap_or_else(|| panic!("it never said {words:?}"))
    };
    let of_log = |call: &&Call, name: &str| call.name == name && call.text.contains("/db>");
    let mut unsynced = Vec::new();
    for n in 1..=COMMITS {
        let before = if n == 1 { said("opened") } else { said(&format!("acknowledged {}", n - 1)) };
        let (since, until) = (before.ended, said(&format!("acknowledged {n}")).begun);
        let within = |call: &&Call| call.begun > since && call.ended < until;
        let mut writes = traced.calls.iter().filter(within).filter(|call| of_log(call, "pwrite64"));
        let written = writes.next().unwrap_or_else(|| panic!("commit {n} wrote nothing")).ended;
        let mut syncs = traced.calls.iter().filter(within).filter(|call| of_log(call, "fdatasync"));
        if !syncs.any(|sync| sync.begun > written && sync.text.ends_with(" = 0")) {
            unsynced.push(n);
        }
    }
    unsynced
}
