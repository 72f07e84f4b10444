//! Short runs: all promises kept, each sabotage noticed, wrong usage told.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// What must be 0.
const PROMISES: [&str; 9] = [
    "lost",
    "applied_twice",
    "reordered",
    "money_drift",
    "completed_steps_repeated",
    "in_flight_unlisted",
    "owners_none",
    "owners_two",
    "timers_missed",
];

/// The example's binary, which cargo put beside this test's own.
fn run(args: &[&str]) -> Output {
    let me = std::env::current_exe().expect("a test knows its own binary");
    let profile: PathBuf = me.ancestors().nth(2).expect("target/<profile>/deps/<test>").into();
    let binary = profile.join("examples/crash_torture").with_extension(std::env::consts::EXE_EXTENSION);
    // Its own temporary folder it would keep, whenever a promise was broken.
    let folder = tempfile::tempdir().expect("a folder for the store");
    let run = Command::new(binary).args(args).arg("--store").arg(folder.path()).output();
    run.expect("`cargo test` builds the examples")
}

fn report(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

fn broken(report: &Value) -> Vec<&'static str> {
    PROMISES.into_iter().filter(|name| report[name].as_u64() != Some(0)).collect()
}

#[test]
fn every_promise_is_kept_while_the_bank_is_killed() {
    let output = run(&["--kills", "12", "--seed", "7", "--report", "json"]);

    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((report["kills"].as_u64(), broken(&report)), (Some(12), Vec::new()), "{report}");
    for field in ["accepted", "handoffs_offered", "handoffs_accepted", "handoffs_refused"] {
        assert!(report[field].as_u64() > Some(0), "no {field}: {report}");
    }
}

/// Goal: a judge that has never said no proves nothing.
#[test]
fn each_sabotage_is_listed_and_noticed() {
    let help = String::from_utf8(run(&["--help"]).stdout).expect("an example prints UTF-8");
    let (_, listed) = help.split_once("Sabotages:\n").expect("the help lists the sabotages");
    let listed: Vec<&str> = listed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(listed.len(), 9, "{listed:?}");

    for sabotage in listed {
        let output = run(&["--kills", "200", "--seed", "1", "--report", "json", "--sabotage", sabotage]);

        let report = report(&output);
        assert_eq!(output.status.code(), Some(1), "{sabotage}: {report}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    for args in
        [["--kills", "0"], ["--sabotage", "nonsense"], ["--at", "after-lunch"], ["--at", "before-commit:0"]]
    {
        assert_eq!(run(&args).status.code(), Some(2), "{args:?}");
    }
}
