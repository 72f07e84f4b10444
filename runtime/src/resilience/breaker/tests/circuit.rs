//! What follows what, with the time as a number.

use std::time::Duration;

use tokio::time::Instant;

use super::{secs, start, three_in_a_row};
use crate::resilience::Backoff;
use crate::resilience::breaker::circuit::{Answer, Circuit, Event, Ticket};
use crate::resilience::breaker::{BreakerSpec, BreakerState, CallOutcome, FailureShare};
use CallOutcome::{Failure, Neither, Success};

/// A circuit with its spec and its time.
#[derive(Clone)]
struct Bench {
    circuit: Circuit,
    spec: BreakerSpec,
    now: Instant,
}

impl Bench {
    fn new(spec: BreakerSpec) -> Self {
        let now = start();
        Bench { circuit: Circuit::new(7, now), spec, now }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn take(&mut self, event: Event) -> Answer {
        self.circuit.take(event, self.now, &self.spec)
    }

    fn knock(&mut self) -> Answer {
        self.take(Event::Knock)
    }

    fn admitted(&mut self) -> Ticket {
        let answer = self.knock();
        let Answer::Admitted(ticket) = answer else { panic!("{answer:?} of {:?}", self.circuit) };
        ticket
    }

    fn holds_a_trial(&mut self) {
        self.admitted();
    }

    fn refused(&mut self) -> Option<Duration> {
        let answer = self.knock();
        let Answer::Refused { retry_after } = answer else { panic!("{answer:?} of {:?}", self.circuit) };
        retry_after
    }

    fn settle(&mut self, ticket: Ticket, outcome: CallOutcome) {
        assert_eq!(self.take(Event::Settled(ticket, outcome)), Answer::Noted);
    }

    /// One call after the other, with these outcomes.
    fn calls(&mut self, outcomes: &[CallOutcome]) {
        for outcome in outcomes {
            let ticket = self.admitted();
            self.settle(ticket, *outcome);
        }
    }

    fn state(&self) -> &'static str {
        self.circuit.observe().state.label()
    }

    /// How long it stays open from now on.
    fn open_for(&self) -> Duration {
        match self.circuit.observe().state {
            BreakerState::Open { until } => until - self.now,
            state => panic!("{state}"),
        }
    }
}

#[test]
fn every_state_and_event_has_one_successor() {
    let spec = BreakerSpec { half_open_calls: 2, successes_to_close: 2, ..three_in_a_row() };
    let closed = Bench::new(spec);
    let two_failed = bench_after(&closed, |bench| bench.calls(&[Failure, Failure]));
    let open = bench_after(&two_failed, |bench| bench.calls(&[Failure]));
    let due = bench_after(&open, |bench| bench.wait(secs(10)));
    let one_trial = bench_after(&due, Bench::holds_a_trial);
    let two_trials = bench_after(&one_trial, Bench::holds_a_trial);
    let overdue = bench_after(&two_trials, |bench| bench.wait(secs(30)));
    let one_success = bench_after(&one_trial, |bench| bench.calls(&[Success]));
    #[rustfmt::skip]
    let table = [
        // "+": admitted, "-": refused
        //            Knock         Success      Failure      Neither      late Success late Failure
        (closed,      ["closed+",    "closed",    "closed",    "closed",    "closed",    "closed"]),
        (two_failed,  ["closed+",    "closed",    "open",      "closed",    "closed",    "closed"]),
        (open,        ["open-",      "open",      "open",      "open",      "open",      "open"]),
        (due,         ["half_open+", "open",      "open",      "open",      "open",      "open"]),
        (one_trial,   ["half_open+", "half_open", "open",      "half_open", "half_open", "half_open"]),
        (two_trials,  ["half_open-", "half_open", "open",      "half_open", "half_open", "half_open"]),
        (overdue,     ["open-",      "half_open", "open",      "half_open", "half_open", "half_open"]),
        (one_success, ["half_open+", "closed",    "open",      "half_open", "half_open", "half_open"]),
    ];
    for (before, after) in table {
        let (turn, number) = (before.circuit.turn(), before.circuit.observe().admitted);
        let now = Ticket { number, turn };
        let late = Ticket { number, turn: turn.wrapping_sub(1) };
        let events = [
            Event::Knock,
            Event::Settled(now, Success),
            Event::Settled(now, Failure),
            Event::Settled(now, Neither),
            Event::Settled(late, Success),
            Event::Settled(late, Failure),
        ];
        for (event, expected) in events.into_iter().zip(after) {
            let mut bench = before.clone();
            let answer = match bench.take(event) {
                Answer::Admitted(_) => "+",
                Answer::Refused { .. } => "-",
                Answer::Noted => "",
            };
            assert_eq!(format!("{}{answer}", bench.state()), expected, "{:?}, {event:?}", before.circuit);
        }
    }
}

fn bench_after(before: &Bench, deed: impl FnOnce(&mut Bench)) -> Bench {
    let mut bench = before.clone();
    deed(&mut bench);
    bench
}

#[test]
fn a_success_breaks_the_row_and_a_result_that_says_nothing_does_not() {
    let mut bench = Bench::new(three_in_a_row());

    bench.calls(&[Failure, Failure, Success, Failure, Neither, Failure, Neither]);
    assert_eq!((bench.state(), bench.circuit.observe().failures_in_a_row), ("closed", 2));

    bench.calls(&[Failure]);
    assert_eq!((bench.state(), bench.circuit.observe().failures_in_a_row), ("open", 3));
}

#[test]
fn it_opens_when_the_share_of_the_window_is_reached_and_not_before() {
    let spec = |share, window, calls_min| BreakerSpec {
        failures_in_a_row: None,
        failure_share: Some(FailureShare { share, window, calls_min }),
        ..three_in_a_row()
    };
    let runs = [
        ("too few calls say nothing", spec(0.5, 4, 3), vec![Failure, Failure], "closed"),
        ("exactly half of four", spec(0.5, 4, 4), vec![Success, Failure, Success, Failure], "open"),
        (
            "a success may be the call that was missing",
            spec(0.5, 4, 3),
            vec![Failure, Failure, Success],
            "open",
        ),
        ("old ones leave the window", spec(0.5, 3, 3), [Failure, Success, Success].repeat(9), "closed"),
        ("what says nothing has no place in it", spec(0.5, 2, 2), vec![Failure, Neither, Neither], "closed"),
        ("7 of 25 are 0.28", spec(0.28, 25, 25), [vec![Success; 18], vec![Failure; 7]].concat(), "open"),
        ("6 of 25 are not", spec(0.28, 25, 25), [vec![Success; 19], vec![Failure; 6]].concat(), "closed"),
        ("more than the window is the window", spec(1.0, 2, 9), vec![Failure, Failure], "open"),
        ("above 1 is 1", spec(7.0, 2, 2), vec![Failure, Failure], "open"),
        ("no number is 1", spec(f64::NAN, 2, 2), vec![Failure, Success, Success, Failure, Failure], "open"),
        ("no number is 1, not less", spec(f64::NAN, 2, 2), [Failure, Success].repeat(3), "closed"),
        ("at 0 any failure is too many", spec(0.0, 9, 0), vec![Success, Success, Failure], "open"),
        ("but no success is", spec(0.0, 9, 0), vec![Success; 9], "closed"),
    ];
    for (what, spec, outcomes, expected) in runs {
        let mut bench = Bench::new(spec);
        bench.calls(&outcomes);
        assert_eq!(bench.state(), expected, "{what}");
    }
}

#[test]
fn a_breaker_without_a_threshold_never_opens() {
    let mut bench = Bench::new(BreakerSpec { failures_in_a_row: None, ..three_in_a_row() });

    bench.calls(&[Failure; 100]);

    assert_eq!(bench.state(), "closed");
}

#[test]
fn a_refused_caller_learns_when_to_come_again() {
    let mut bench = Bench::new(three_in_a_row());
    bench.calls(&[Failure; 3]);

    assert_eq!(bench.refused(), Some(secs(10)));
    bench.wait(Duration::from_millis(9_999));
    assert_eq!(bench.refused(), Some(Duration::from_millis(1)));
    bench.wait(Duration::from_millis(1));
    bench.admitted();
    assert_eq!(bench.refused(), None, "the trial decides when");
    assert_eq!(bench.circuit.observe().refused, 3);
}

#[test]
fn each_opening_is_longer_until_it_was_closed_for_long() {
    let backoff = Backoff { first: secs(5), max: secs(15), jitter: 0.0, reset_after: secs(60) };
    let mut bench = Bench::new(BreakerSpec { open_for: backoff, ..three_in_a_row() });
    let mut waits = Vec::new();
    let mut opened = |bench: &mut Bench| {
        waits.push(bench.open_for().as_secs());
        bench.wait(bench.open_for());
    };

    bench.calls(&[Failure; 3]);
    opened(&mut bench);
    bench.calls(&[Failure]);
    opened(&mut bench);
    bench.calls(&[Success]);
    bench.wait(secs(59));
    bench.calls(&[Failure; 3]);
    opened(&mut bench);
    bench.calls(&[Success]);
    bench.wait(secs(60));
    bench.calls(&[Failure; 3]);
    opened(&mut bench);

    assert_eq!(waits, [5, 10, 15, 5]);
}

#[test]
fn breakers_of_different_seeds_wait_differently_and_each_time_anew() {
    let spec =
        BreakerSpec { open_for: Backoff { jitter: 1.0, ..Backoff::constant(secs(10)) }, ..three_in_a_row() };
    let now = start();
    let mut waits = Vec::new();
    for seed in 0..4 {
        let mut bench = Bench { circuit: Circuit::new(seed, now), spec: spec.clone(), now };
        bench.calls(&[Failure; 3]);
        waits.push(bench.open_for());
        bench.wait(bench.open_for());
        bench.calls(&[Failure]);
        waits.push(bench.open_for());
    }

    assert!(waits.iter().all(|wait| (secs(10)..secs(20)).contains(wait)), "{waits:?}");
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 8, "{waits:?}");
}

#[test]
fn a_trial_that_hangs_has_failed_when_its_patience_is_over() {
    let mut bench = Bench::new(three_in_a_row());
    bench.calls(&[Failure; 3]);
    bench.wait(secs(10));
    let hangs = bench.admitted();

    bench.wait(Duration::from_millis(29_999));
    assert_eq!((bench.refused(), bench.state()), (None, "half_open"));
    bench.wait(Duration::from_millis(1));
    assert_eq!((bench.refused(), bench.state()), (Some(secs(10)), "open"));
    bench.wait(secs(10));
    let next = bench.admitted();
    bench.settle(hangs, Success);
    assert_eq!((bench.state(), bench.circuit.observe().trials), ("half_open", 1), "it came too late");
    bench.settle(next, Success);
    assert_eq!(bench.state(), "closed");
}

#[test]
fn trials_in_flight_keep_their_places_when_another_one_has_failed() {
    let mut bench = Bench::new(BreakerSpec { half_open_calls: 2, ..three_in_a_row() });
    bench.calls(&[Failure; 3]);
    bench.wait(secs(10));
    let (first, second) = (bench.admitted(), bench.admitted());
    bench.settle(first, Failure);
    bench.wait(secs(10));

    let third = bench.admitted();

    assert_eq!(bench.refused(), None, "the second one is still there");
    bench.settle(second, Success);
    assert_eq!(bench.state(), "half_open", "and its result is of before");
    bench.admitted();
    bench.settle(third, Success);
    assert_eq!(bench.state(), "closed");
}

#[test]
fn what_makes_no_sense_is_borne() {
    let longest =
        Backoff { first: Duration::MAX, max: Duration::MAX, jitter: f64::NAN, reset_after: Duration::ZERO };
    let mut bench = Bench::new(BreakerSpec {
        failures_in_a_row: Some(0),
        failure_share: Some(FailureShare { share: -1.0, window: 0, calls_min: 0 }),
        open_for: longest,
        half_open_calls: 0,
        successes_to_close: 0,
        trial_patience: Duration::MAX,
    });

    bench.calls(&[Success, Failure]);
    assert!(bench.refused() > Some(secs(365 * 24 * 3_600)));
    bench.wait(bench.open_for());
    bench.calls(&[Neither, Success]);
    assert_eq!(bench.state(), "closed");
}
