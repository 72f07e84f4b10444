//! The same answers, whatever the seed, the concurrency, and the crashes.

use crate::harness::{Place, SHIPPED, assert_differs_only_where_marked, desk, reference};

#[test]
fn a_run_without_crashes_accounts_for_every_ticket() {
    let place = Place::new();

    let ended = place.run(&[]);

    ended.assert_all_accounted_for();
    assert_eq!(ended.count("tickets"), SHIPPED);
    for field in ["malformed", "quarantined", "rerouted", "crashes", "restarts", "resumed"] {
        assert_eq!(ended.count(field), 0, "{field} in {}", ended.stdout);
    }
    assert!(ended.count("handoffs") > SHIPPED, "some tickets are handed over more than once");
    assert!(ended.report()["p99_ms"].as_f64() >= ended.report()["p50_ms"].as_f64());
}

#[test]
fn without_crashes_the_out_file_is_the_same_for_every_seed_and_concurrency() {
    for seed in ["1", "2", "3", "4", "5"] {
        for concurrency in ["1", "8", "200"] {
            let place = Place::new();
            place.run(&["--seed", seed, "--concurrency", concurrency]).assert_all_accounted_for();
            assert_eq!(place.finished(), reference(), "seed {seed}, concurrency {concurrency}");
        }
    }
}

#[test]
fn crashes_lose_and_double_nothing_and_change_only_what_is_marked() {
    for (rate, seed) in [("0.1", "7"), ("0.5", "8")] {
        let place = Place::new();

        let ended = place.run(&["--crash-rate", rate, "--seed", seed]);

        ended.assert_all_accounted_for();
        assert!(ended.count("crashes") > 20, "{}", ended.stdout);
        assert_eq!(ended.count("crashes"), ended.count("restarts"), "each crash costs one incarnation");
        assert!(!ended.stderr.contains("planned crash"), "planned panics stay off the terminal");
        assert_differs_only_where_marked(&place.finished());
    }
}

#[test]
fn a_ticket_that_everybody_falls_over_is_quarantined_not_lost() {
    let place = Place::new();

    let ended = place.run(&["--crash-rate", "1"]);

    ended.assert_all_accounted_for();
    assert_eq!(ended.count("quarantined"), SHIPPED);
    // Four attempts at the front desk; then at most four at the escalation desk, if that is up long enough to hear
    // of the ticket.
    let crashes = ended.count("crashes");
    assert!((SHIPPED * 4 + 1..=SHIPPED * 8).contains(&crashes), "{crashes} crashes");
}

/// Noise reaches the escalation desk, is refused there, stays with the front desk, and is answered by it.
#[test]
fn a_refused_handoff_stays_with_its_giver_who_answers_itself() {
    let own = reference().iter().filter(|line| line.contains(r#""role":"front-desk""#));

    let own: Vec<&String> = own.collect();

    assert_eq!(own.len(), 6);
    for line in own {
        assert!(line.contains(r#""outcome":"resolved""#) && line.contains(r#""handoffs":0"#), "{line}");
        assert!(line.contains("Please tell us which device or order it is about"), "{line}");
    }
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let place = Place::new();
    place.run(&[]).assert_all_accounted_for();

    let again = place.run(&["--crash-rate", "1"]);

    again.assert_all_accounted_for();
    assert_eq!(again.count("crashes"), 0, "nobody was asked to do anything");
    assert_eq!(place.finished(), reference());
}

#[test]
fn the_text_report_shows_the_roles_and_how_to_go_on() {
    let output = desk().args(["--think-ms", "0", "--crash-rate", "0.05"]).output().expect("the desk runs");

    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in
        ["front-desk", "billing", "technical", "escalation", "restarts", "p99 ms", "0 lost", "Next steps:"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}
