//! Programs that try to get out of the system tool, as real processes, and those that only do their work.
//!
//! `cargo test --test tools -- orphan` runs the proofs with `orphan` in their name. Without Landlock the proofs fail, since they
//! prove nothing then; `GREENROOM_WITHOUT_LANDLOCK=1` says that this is known and leaves them out. One proof runs this very
//! program again as the runtime that is killed, hence no `#[test]`.
#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test panics where it cannot reach its own files")
)]

#[cfg(target_os = "linux")]
mod bench; // a place to work in, a tool, and what tells that all of its processes are gone
#[cfg(target_os = "linux")]
mod ends; // deadlines, orphans, and a runtime that is killed
#[cfg(target_os = "linux")]
mod escapes; // what is refused
#[cfg(target_os = "linux")]
mod work; // what is allowed

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the system tool needs Linux");
}

#[cfg(target_os = "linux")]
const PROOFS: [(&str, fn()); 19] = [
    (
        "an_allowed_program_reads_and_writes_in_its_root",
        work::an_allowed_program_reads_and_writes_in_its_root,
    ),
    ("a_program_reads_what_it_is_given", work::a_program_reads_what_it_is_given),
    ("a_program_that_is_not_allowed_is_not_run", work::a_program_that_is_not_allowed_is_not_run),
    ("a_program_that_was_replaced_is_not_run", work::a_program_that_was_replaced_is_not_run),
    ("the_audit_says_what_was_enforced", work::the_audit_says_what_was_enforced),
    ("the_environment_has_only_what_was_named", work::the_environment_has_only_what_was_named),
    ("reading_outside_is_refused", escapes::reading_outside_is_refused),
    ("writing_outside_is_refused", escapes::writing_outside_is_refused),
    ("a_link_leads_nowhere", escapes::a_link_leads_nowhere),
    ("no_connection_leaves", escapes::no_connection_leaves),
    ("the_environment_of_the_runtime_is_not_read", escapes::the_environment_of_the_runtime_is_not_read),
    (
        "the_runtime_and_its_guardian_cannot_be_signalled",
        escapes::the_runtime_and_its_guardian_cannot_be_signalled,
    ),
    ("another_program_cannot_be_started", escapes::another_program_cannot_be_started),
    ("a_fork_bomb_is_bounded", escapes::a_fork_bomb_is_bounded),
    ("a_flood_is_cut_and_counted", escapes::a_flood_is_cut_and_counted),
    ("memory_files_and_processor_time_are_bounded", escapes::memory_files_and_processor_time_are_bounded),
    ("a_tool_that_ignores_sigterm_frees_its_agent", ends::a_tool_that_ignores_sigterm_frees_its_agent),
    ("no_orphan_outlives_its_call", ends::no_orphan_outlives_its_call),
    ("no_process_outlives_the_runtime", ends::no_process_outlives_the_runtime),
];

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::process::ExitCode;
    if let Some(job) = ends::job() {
        ends::be_killed(&job);
    }
    if std::env::var_os("GREENROOM_WITHOUT_LANDLOCK").is_some() {
        println!("left out: without Landlock nothing is proved");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let mut failed = 0;
    for (name, proof) in PROOFS.into_iter().filter(|(name, _)| is_wanted(name)) {
        println!("proof {name}");
        let held = std::panic::catch_unwind(proof).is_ok();
        println!("proof {name} ... {}", if held { "ok" } else { "FAILED" });
        failed += u8::from(!held);
    }
    ExitCode::from(failed)
}
