//! What lies between a commit and its acknowledgement: an `fdatasync` of the log, each time.

use crate::child::{CLOSING, job};
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

/// Goal: nothing that sled has not synced is written over in a log. Method: between the last write to a log and the next use of
/// it from its start, sled's own log was synced; the first use of each log has nothing before it.
pub(crate) fn a_log_is_used_again_when_sled_has_synced_what_was_in_it() {
    if !strace::is_here() {
        return;
    }
    let place = Place::new();
    let job = job("commit", &[&place.store().display(), &1, &COMMITS, &"mixed"]);
    let calls = trace(&place, &job, &["lseek", "write", "fdatasync", "writev"], None).calls;
    let said =
        |words: &str| calls.iter().find(|call| call.text.contains(&format!("\"{words}\\n\""))).unwrap();
    let (opened, closing) = (said("opened").begun, said(CLOSING).begun);
    let mut reused = 0;
    for log in ["/greenroom.log.0>", "/greenroom.log.1>"] {
        let of_log = |call: &&Call, name: &str| call.name == name && call.text.contains(log);
        let within = |call: &&Call| call.begun > opened && call.begun < closing;
        for rewound in calls.iter().filter(within).filter(|call| of_log(call, "lseek")) {
            let before = calls.iter().filter(|call| call.ended < rewound.begun && call.begun > opened);
            let Some(written) = before.clone().rfind(|call| of_log(call, "write")) else {
                continue;
            };
            let mut syncs = before.filter(|call| call.name == "fdatasync" && call.text.contains("/db>"));
            assert!(
                syncs.any(|sync| sync.begun > written.ended && sync.text.ends_with(" = 0")),
                "{rewound:?}"
            );
            reused += 1;
        }
    }
    assert!(reused > 3, "{reused}");
}

/// Goal: a store that was made is there after a power loss: a new name in a folder is durable once the folder is synced.
/// Method: behind the last file that is made, both the folder of the store and the one around it are synced.
pub(crate) fn a_new_store_syncs_its_folders_before_it_is_used() {
    if !strace::is_here() {
        return;
    }
    let place = Place::new();
    let job = job("commit", &[&place.store().display(), &1, &1, &"mixed"]);
    let calls = trace(&place, &job, &["openat", "rename", "fsync", "writev"], None).calls;
    let store = place.store().canonicalize().unwrap();
    let opened = calls.iter().find(|call| call.text.contains("\"opened\\n\"")).unwrap().begun;
    let makes = |call: &&Call| call.text.contains("O_CREAT") || call.name == "rename";
    let names_store = |call: &&Call| call.text.contains(&format!("{}/", store.display()));
    let made = calls.iter().filter(|call| call.ended < opened).filter(makes).filter(names_store);
    let made = made.map(|call| call.ended).max().expect("a store is made of files");
    for folder in [&*store, store.parent().unwrap()] {
        let is_it =
            |call: &Call| call.name == "fsync" && call.text.contains(&format!("<{}>", folder.display()));
        let synced = calls.iter().any(|call| is_it(call) && call.begun > made && call.ended < opened);
        assert!(synced, "{} is not synced", folder.display());
    }
}

/// Which commits were acknowledged although the log was not synced between their write and that.
fn unsynced(kind: &str) -> Vec<u64> {
    let place = Place::new();
    let job = job(kind, &[&place.store().display(), &1, &COMMITS, &"mixed"]);
    let traced = trace(&place, &job, &["write", "fdatasync", "writev"], None);
    assert!(traced.ended.status.success(), "{:?}", traced.ended);
    assert_eq!(traced.ended.count("acknowledged "), COMMITS);

    let said = |words: &str| {
        let is_it = |call: &&Call| call.name == "writev" && call.text.contains(&format!("\"{words}\\n\""));
        traced.calls.iter().find(is_it).unwrap_or_else(|| panic!("it never said {words:?}"))
    };
    let of_log = |call: &&Call, name: &str| call.name == name && call.text.contains("/greenroom.log.");
    let mut unsynced = Vec::new();
    for n in 1..=COMMITS {
        let before = if n == 1 { said("opened") } else { said(&format!("acknowledged {}", n - 1)) };
        let (since, until) = (before.ended, said(&format!("acknowledged {n}")).begun);
        let within = |call: &&Call| call.begun > since && call.ended < until;
        let mut writes = traced.calls.iter().filter(within).filter(|call| of_log(call, "write"));
        let written = writes.next().unwrap_or_else(|| panic!("commit {n} wrote nothing")).ended;
        let mut syncs = traced.calls.iter().filter(within).filter(|call| of_log(call, "fdatasync"));
        if !syncs.any(|sync| sync.begun > written && sync.text.ends_with(" = 0")) {
            unsynced.push(n);
        }
    }
    unsynced
}
