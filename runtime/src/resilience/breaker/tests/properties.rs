//! Random histories of calls that overlap, hang and are called off: what holds of each.
//!
//! A failing case is printed, shrunk, with its input; `SEED=42 cargo test breaker` repeats a run.

use std::time::Duration;

use quickcheck::{Arbitrary, Gen, QuickCheck, Testable};
use tokio::time::Instant;

use super::start;
use crate::resilience::Backoff;
use crate::resilience::breaker::circuit::{Answer, Circuit, Event, Ticket};
use crate::resilience::breaker::{BreakerSpec, BreakerState, CallOutcome, FailureShare};

#[derive(Clone, Copy, Debug)]
enum Step {
    Knock,
    /// Settles one of the calls in flight.
    Settle(usize, CallOutcome),
    Wait(Duration),
    /// Waits until an open breaker is due.
    WaitUntilDue,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let any = usize::arbitrary(g);
        let outcomes = [
            CallOutcome::Failure,
            CallOutcome::Failure,
            CallOutcome::Failure,
            CallOutcome::Success,
            CallOutcome::Success,
            CallOutcome::Neither,
        ];
        match any % 10 {
            0..=3 => Step::Knock,
            4..=7 => Step::Settle(usize::arbitrary(g), *g.choose(&outcomes).expect("not empty")),
            8 => Step::Wait(millis(u8::arbitrary(g) % 40)),
            _ => Step::WaitUntilDue,
        }
    }
}

/// A small spec, so that bounds are often met. The share is in tenths.
#[derive(Clone, Debug)]
struct Spec {
    spec: BreakerSpec,
    tenths: u32,
}

impl Arbitrary for Spec {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut upto = |max: u32| u32::arbitrary(g) % (max + 1);
        let tenths = upto(10);
        let share = FailureShare { share: f64::from(tenths) / 10.0, window: upto(7), calls_min: upto(8) };
        let spec = BreakerSpec {
            failures_in_a_row: (upto(3) > 0).then(|| upto(4)),
            failure_share: (upto(1) > 0).then_some(share),
            open_for: Backoff {
                first: millis(upto(20) as u8),
                max: millis(upto(80) as u8),
                jitter: f64::from(upto(1)),
                reset_after: millis(upto(50) as u8),
            },
            half_open_calls: upto(3),
            successes_to_close: upto(3),
            trial_patience: millis(1 + upto(60) as u8),
        };
        Spec { spec, tenths }
    }
}

fn millis(n: u8) -> Duration {
    Duration::from_millis(n.into())
}

/// One event with what was before and after it.
struct Moment {
    before: Circuit,
    event: Event,
    answer: Answer,
    after: Circuit,
    now: Instant,
}

/// A circuit and the calls in flight.
struct Run {
    circuit: Circuit,
    spec: BreakerSpec,
    now: Instant,
    in_flight: Vec<Ticket>,
    moments: Vec<Moment>,
}

impl Run {
    fn of(spec: &BreakerSpec, steps: &[Step]) -> Self {
        let now = start();
        let circuit = Circuit::new(11, now);
        let mut run = Run { circuit, spec: spec.clone(), now, in_flight: vec![], moments: vec![] };
        for step in steps {
            run.step(*step);
        }
        run
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Knock => {
                self.knock();
            }
            Step::Settle(..) if self.in_flight.is_empty() => {}
            Step::Settle(which, outcome) => {
                let ticket = self.in_flight.swap_remove(which % self.in_flight.len());
                self.take(Event::Settled(ticket, outcome));
            }
            Step::Wait(time) => self.now += time,
            Step::WaitUntilDue => {
                if let BreakerState::Open { until } = self.circuit.observe().state {
                    self.now = self.now.max(until);
                }
            }
        }
    }

    fn knock(&mut self) -> bool {
        let answer = self.take(Event::Knock);
        if let Answer::Admitted(ticket) = answer {
            self.in_flight.push(ticket);
        }
        matches!(answer, Answer::Admitted(_))
    }

    fn take(&mut self, event: Event) -> Answer {
        let before = self.circuit.clone();
        let answer = self.circuit.take(event, self.now, &self.spec);
        assert_eq!(self.circuit.complaint(&self.spec), None);
        let after = self.circuit.clone();
        self.moments.push(Moment { before, event, answer, after, now: self.now });
        answer
    }
}

fn state(circuit: &Circuit) -> BreakerState {
    circuit.observe().state
}

fn quickcheck(property: impl Testable) {
    let seed = crate::testing::seed();
    QuickCheck::new().tests(1_000).rng(Gen::from_size_and_seed(100, seed)).quickcheck(property);
}

type OfHistory = fn(Spec, Vec<Step>) -> bool;

/// Trials are counted apart from the circuit: who was admitted while it was half-open, is not settled, and has not
/// outlasted the patience.
#[test]
fn there_are_never_more_trials_in_flight_than_allowed() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        let mut trials: Vec<(Ticket, Instant)> = Vec::new();
        Run::of(&spec, &steps).moments.iter().all(|moment| {
            match (moment.event, moment.answer) {
                (Event::Knock, Answer::Admitted(ticket))
                    if state(&moment.after) == BreakerState::HalfOpen =>
                {
                    trials.push((ticket, moment.now));
                }
                (Event::Settled(ticket, _), _) => trials.retain(|trial| trial.0 != ticket),
                _ => {}
            }
            let hoped_for = trials.iter().filter(|trial| moment.now - trial.1 < spec.trial_patience).count();
            hoped_for <= spec.half_open_calls.max(1) as usize
        })
    }
    quickcheck(property as OfHistory);
}

/// Whether it should open is counted anew from the list of all results, in whole numbers.
#[test]
fn a_closed_breaker_opens_exactly_at_its_threshold() {
    fn is_enough(results: &[CallOutcome], Spec { spec, tenths }: &Spec) -> bool {
        let failures =
            |of: &[CallOutcome]| of.iter().filter(|result| **result == CallOutcome::Failure).count() as u32;
        let row = results.iter().rev().take_while(|result| **result == CallOutcome::Failure).count() as u32;
        let by_row = spec.failures_in_a_row.is_some_and(|enough| row >= 1 && row >= enough);
        let by_share = spec.failure_share.is_some_and(|of| {
            let window = of.window.max(1);
            let newest = &results[results.len().saturating_sub(window as usize)..];
            let calls = newest.len() as u32;
            let enough = calls >= 1 && calls >= of.calls_min.min(window);
            enough && failures(newest) >= 1 && failures(newest) * 10 >= tenths * calls
        });
        by_row || by_share
    }
    fn property(spec: Spec, steps: Vec<Step>) -> bool {
        let mut results = Vec::new();
        Run::of(&spec.spec, &steps).moments.iter().all(|moment| {
            if state(&moment.before) != BreakerState::Closed {
                results.clear();
                return true;
            }
            if let Event::Settled(ticket, outcome) = moment.event
                && ticket.turn == moment.before.turn()
                && outcome != CallOutcome::Neither
            {
                results.push(outcome);
            }
            is_enough(&results, &spec) != (state(&moment.after) == BreakerState::Closed)
        })
    }
    quickcheck(property as OfHistory);
}

#[test]
fn an_open_breaker_admits_nobody_before_its_time_and_says_how_long_that_is() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        Run::of(&spec, &steps).moments.iter().all(|moment| match (state(&moment.before), moment.event) {
            (BreakerState::Open { until }, Event::Knock) if moment.now < until => {
                moment.answer == Answer::Refused { retry_after: Some(until - moment.now) }
            }
            (BreakerState::Open { until }, Event::Settled(..)) => {
                state(&moment.after) == BreakerState::Open { until }
            }
            _ => true,
        })
    }
    quickcheck(property as OfHistory);
}

/// Who can go elsewhere looks before it knocks: then each knock is admitted, or ends a trial that is overdue.
#[test]
fn it_is_worth_a_try_exactly_when_that_is_admitted_or_ends_an_overdue_trial() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        Run::of(&spec, &steps).moments.iter().all(|moment| {
            let Event::Knock = moment.event else { return true };
            let is_admitted = matches!(moment.answer, Answer::Admitted(_));
            let ends_trial = matches!(
                (state(&moment.before), state(&moment.after)),
                (BreakerState::HalfOpen, BreakerState::Open { .. })
            );
            moment.before.is_worth_a_knock(moment.now, &spec) == (is_admitted || ends_trial)
        })
    }
    quickcheck(property as OfHistory);
}

#[test]
fn the_result_of_a_call_begun_in_an_earlier_phase_changes_no_state_and_no_count() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        Run::of(&spec, &steps).moments.iter().all(|moment| {
            let Event::Settled(ticket, _) = moment.event else { return true };
            let (before, mut after) = (moment.before.observe(), moment.after.observe());
            // But its place is free.
            after.trials = before.trials;
            ticket.turn == moment.before.turn() || before == after
        })
    }
    quickcheck(property as OfHistory);
}

#[test]
fn only_as_many_successful_trials_as_asked_for_close_it() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        let mut successes = 0;
        Run::of(&spec, &steps).moments.iter().all(|moment| {
            let turn = moment.before.turn();
            match (state(&moment.before), moment.event) {
                (BreakerState::HalfOpen, Event::Settled(ticket, CallOutcome::Success))
                    if ticket.turn == turn =>
                {
                    successes += 1;
                }
                (BreakerState::HalfOpen, _) => {}
                _ => successes = 0,
            }
            let closes =
                state(&moment.before) != BreakerState::Closed && state(&moment.after) == BreakerState::Closed;
            closes == (successes >= spec.successes_to_close.max(1))
        })
    }
    quickcheck(property as OfHistory);
}

#[test]
fn calls_that_are_called_off_never_keep_it_from_another_trial() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        // Without the patience that would free their places in the end.
        let mut run = Run::of(&BreakerSpec { trial_patience: Duration::MAX, ..spec }, &steps);
        for ticket in std::mem::take(&mut run.in_flight) {
            run.take(Event::Settled(ticket, CallOutcome::Neither));
        }
        run.step(Step::WaitUntilDue);
        run.circuit.observe().trials == 0 && run.knock()
    }
    quickcheck(property as OfHistory);
}

#[test]
fn time_alone_brings_another_trial_even_if_no_call_ever_ends() {
    fn property(Spec { spec, .. }: Spec, steps: Vec<Step>) -> bool {
        let mut run = Run::of(&spec, &steps);
        let long = 2 * spec.open_for.max + spec.trial_patience;
        (0..2).any(|_| {
            run.step(Step::Wait(long));
            run.knock()
        })
    }
    quickcheck(property as OfHistory);
}

/// The histories above would prove little if they never left the closed state.
#[test]
fn the_histories_go_everywhere() {
    let mut g = Gen::from_size_and_seed(100, 1);
    let mut seen = [0_u32; 4];
    for _ in 0..300 {
        let Spec { spec, .. } = Spec::arbitrary(&mut g);
        for moment in Run::of(&spec, &Vec::arbitrary(&mut g)).moments {
            match (state(&moment.before), state(&moment.after)) {
                (BreakerState::Closed, BreakerState::Open { .. }) => seen[0] += 1,
                (BreakerState::Open { .. }, BreakerState::HalfOpen) => seen[1] += 1,
                (BreakerState::HalfOpen, BreakerState::Open { .. }) => seen[2] += 1,
                (BreakerState::HalfOpen, BreakerState::Closed) => seen[3] += 1,
                _ => {}
            }
        }
    }
    assert!(seen.iter().all(|times| *times > 100), "{seen:?}");
}
