//! The store on disk against the machine: kills, failing calls, a lying flush, damaged bytes, stalls.
//!
//! Each proof runs this very program again as the process that suffers, hence no `#[test]`: that harness makes system
//! calls of its own, and the proofs count them. `cargo test --test store -- kill` runs the proofs with `kill` in their name.
//!
//! The everyday run is a sample; `.ci/nightly` runs all of it with these variables:
//!
//! * `STORE_EVERY=1`: each system call and each byte instead of one in several.
//! * `STORE_FLIPS=10000`: that many flipped bits; `SEED=42` chooses others.
//! * `STORE_RUNS=200`: that many runs of 10,000 commits that must not stall.
//!
//! `STORE_GOLDEN=write cargo test --test store -- golden` writes the golden stores anew: see `golden`.
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot reach its own files and processes")]

mod aborts; // a process that is to be aborted when its store stalls
mod child; // the process that suffers
mod contents; // what is committed, and whether what is found again is that: alone knows batches, records and scans
mod damage; // bytes that changed or went
mod faults; // calls that fail
mod golden; // stores of format 1, kept in the repository
mod kills; // `kill -9` at a system call
mod place; // folders: made, copied, changed
mod process; // a child under watch
mod stalls; // commits that never come back
mod strace; // system calls: listed, and made to fail
mod syncs; // what lies between a commit and its acknowledgement

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;

const PROOFS: [(&str, fn()); 19] = [
    ("a_kill_while_a_store_is_made_loses_nothing", kills::a_kill_while_a_store_is_made_loses_nothing),
    ("a_kill_while_a_store_is_in_use_loses_nothing", kills::a_kill_while_a_store_is_in_use_loses_nothing),
    (
        "a_kill_while_a_store_is_compacted_loses_nothing",
        kills::a_kill_while_a_store_is_compacted_loses_nothing,
    ),
    ("a_call_that_fails_loses_nothing_and_is_told", faults::a_call_that_fails_loses_nothing_and_is_told),
    (
        "a_write_that_fails_late_is_told_to_whoever_waits_for_it",
        faults::a_write_that_fails_late_is_told_to_whoever_waits_for_it,
    ),
    ("each_acknowledgement_follows_a_sync_of_the_log", syncs::each_acknowledgement_follows_a_sync_of_the_log),
    ("a_store_that_skips_its_sync_is_caught", syncs::a_store_that_skips_its_sync_is_caught),
    (
        "a_log_is_used_again_when_sled_has_synced_what_was_in_it",
        syncs::a_log_is_used_again_when_sled_has_synced_what_was_in_it,
    ),
    (
        "a_new_store_syncs_its_folders_before_it_is_used",
        syncs::a_new_store_syncs_its_folders_before_it_is_used,
    ),
    (
        "a_cut_at_any_byte_of_the_last_commit_is_noticed",
        damage::a_cut_at_any_byte_of_the_last_commit_is_noticed,
    ),
    ("a_flipped_bit_anywhere_is_noticed_or_harmless", damage::a_flipped_bit_anywhere_is_noticed_or_harmless),
    ("a_flipped_bit_beneath_the_engine_is_reported", damage::a_flipped_bit_beneath_the_engine_is_reported),
    ("ten_thousand_commits_do_not_stall", stalls::ten_thousand_commits_do_not_stall),
    ("the_watch_notices_a_child_that_hangs", stalls::the_watch_notices_a_child_that_hangs),
    (
        "a_process_whose_store_stalls_is_aborted_if_it_asked_for_that",
        aborts::a_process_whose_store_stalls_is_aborted_if_it_asked_for_that,
    ),
    (
        "a_process_whose_store_stalls_lives_on_unless_it_asked_to_be_aborted",
        aborts::a_process_whose_store_stalls_lives_on_unless_it_asked_to_be_aborted,
    ),
    ("a_golden_store_of_format_1_is_read_exactly", golden::a_golden_store_of_format_1_is_read_exactly),
    ("what_is_written_is_still_format_1", golden::what_is_written_is_still_format_1),
    (
        "golden_states_and_messages_of_old_versions_are_migrated_and_unknown_ones_refused",
        golden::golden_states_and_messages_of_old_versions_are_migrated_and_unknown_ones_refused,
    ),
];

/// Children at a time.
const WORKERS: usize = 3;

fn main() -> ExitCode {
    if let Some(job) = process::job() {
        child::carry_out(&job);
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut failed = 0;
    for (name, proof) in PROOFS.into_iter().filter(|(name, _)| is_wanted(name)) {
        println!("proof {name}");
        let held = catch_unwind(proof).is_ok();
        println!("proof {name} ... {}", if held { "ok" } else { "FAILED" });
        failed += u8::from(!held);
    }
    ExitCode::from(failed)
}

/// The number in the environment variable `name`, else `everyday`.
fn asked(name: &str, everyday: u64) -> u64 {
    std::env::var(name).map_or(everyday, |n| n.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What `work` makes of each item, in their order; several at a time, since much of it is waiting.
fn shared<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (items, done) = (Mutex::new(items.into_iter().enumerate()), Mutex::new(BTreeMap::new()));
    let next = || items.lock().unwrap().next();
    let go_on = || {
        while let Some((at, item)) = next() {
            let result = work(item);
            done.lock().unwrap().insert(at, result);
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(go_on))));
    done.into_inner().unwrap().into_values().collect()
}

/// The how manieth calls are struck at: each, or the first few and then one in several.
fn strikes() -> impl Iterator<Item = u64> {
    (1..).filter(|when| every() || *when <= 4 || when % 7 == 0)
}

/// How often all strikes are repeated with as many threads as sled wants.
fn rounds() -> u64 {
    asked("STORE_ROUNDS", if every() { 3 } else { 0 })
}

/// Whether every call and every byte has its turn, instead of one in several.
fn every() -> bool {
    asked("STORE_EVERY", 0) > 0
}
