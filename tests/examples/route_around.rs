//! `examples/route_around` as a process: the bars that a busy machine cannot miss, both controls, and wrong usage.

use serde_json::Value;

use crate::{example, in_time};

/// How one short run ended, and what it reported.
async fn run(args: &[&str]) -> (Option<i32>, Value) {
    let mut command = example("route_around");
    command.args(["--seconds", "4", "--rate", "1000", "--askers", "500", "--report", "json"]).args(args);
    let output = in_time("route_around", command.output()).await.expect("the example can be run");
    let stdout = String::from_utf8(output.stdout).expect("an example prints UTF-8");
    let last = stdout.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}")))
}

fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no count `{field}` in {report}"))
}

fn missed(report: &Value) -> Vec<&str> {
    report["missed"].as_array().expect("a list").iter().map(|bar| bar.as_str().expect("a name")).collect()
}

/// Everything has one end, and was handled once.
fn assert_all_accounted_for(report: &Value) {
    assert_eq!(count(report, "lost"), 0, "{report}");
    assert_eq!(count(report, "doubled"), 0, "{report}");
    assert_eq!(count(report, "base_asks"), 3_000, "{report}");
    assert_eq!(count(report, "base_ok"), 3_000, "{report}");
    assert_eq!(count(report, "asks"), 1_000, "{report}");
    assert_eq!(count(report, "ok") + count(report, "typed_errors"), 1_000, "{report}");
}

/// Goal: with a replica killed every 200 ms nothing is lost or doubled, and nearly everything is answered.
/// Method: the share and the percentile are for the long run in release (`.ci/nightly`): here a kill more or less over a
/// message in hand is a thousandth of all asks, and the machine is busy with other tests.
#[tokio::test]
async fn route_around_loses_and_doubles_nothing_while_replicas_are_killed() {
    let (code, report) = run(&[]).await;

    assert_all_accounted_for(&report);
    assert!(count(&report, "typed_errors") <= count(&report, "kills"), "{report}");
    assert!(count(&report, "kills") > 0 && count(&report, "restarts") > 0, "{report}");
    assert_eq!(code, Some(i32::from(!missed(&report).is_empty())), "{report}");
    assert!(missed(&report).iter().all(|bar| ["ok", "p99_ms"].contains(bar)), "{report}");
}

/// Goal: when all replicas are stopped, the declared fallback answers everything within the supervision period.
#[tokio::test]
async fn route_around_answers_from_the_fallback_when_all_replicas_are_down() {
    let (code, report) = run(&["--all-down"]).await;

    assert_all_accounted_for(&report);
    assert_eq!(count(&report, "down_fallback_answers"), count(&report, "down_asks"), "{report}");
    assert!(count(&report, "down_asks") > 500, "{report}");
    assert!(report["down_slowest_ms"].as_f64().expect("a time") <= 1_000.0, "{report}");
    assert_eq!(code, Some(0), "{report}");
}

/// Goal: the bars can be missed. A sender that takes the replicas in turns waits for those that are down.
#[tokio::test]
async fn route_around_misses_its_bars_when_nothing_is_routed_around() {
    let (code, report) = run(&["--no-reroute"]).await;

    assert_all_accounted_for(&report);
    assert!(missed(&report).contains(&"p99_ms"), "{report}");
    assert_eq!(count(&report, "rerouted"), 0, "{report}");
    assert_eq!(code, Some(1), "{report}");
}

#[tokio::test]
async fn route_around_ends_with_2_on_wrong_usage() {
    for args in [&["--seconds", "3"][..], &["--all-down", "--no-reroute"], &["--rate", "0"], &["--nonsense"]]
    {
        let output =
            in_time("usage", example("route_around").args(args).output()).await.expect("it can be run");

        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}
