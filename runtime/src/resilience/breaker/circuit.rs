//! What a breaker knows, and how it decides. Pure: the caller brings the time, and luck follows from a seed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{BreakerObservation, BreakerSpec, BreakerState, CallOutcome};
use crate::clock::later;
use crate::dice;

/// What a breaker knows.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    phase: Phase,
    /// The number of the phase. A result counts only in the phase in which its call was admitted.
    turn: u64,
    since: Instant,
    /// Openings since it was last closed for long: the next one is so many doublings longer.
    openings: u32,
    failures_in_a_row: u32,
    window: Window,
    /// Trial calls in flight, those of earlier phases too: they burden what is called all the same.
    trials: Vec<Trial>,
    admitted: u64,
    refused: u64,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { successes: u32 },
}

/// What happens to a breaker.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Somebody wants to call.
    Knock,
    /// A call that was admitted came to this.
    Settled(Ticket, CallOutcome),
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Admitted(Ticket),
    /// `None`: as soon as one of the trials in flight is settled.
    Refused {
        retry_after: Option<Duration>,
    },
    Noted,
}

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) turn: u64,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    ticket: Ticket,
    began: Instant,
}

impl Trial {
    fn is_late(&self, now: Instant, spec: &BreakerSpec) -> bool {
        now.saturating_duration_since(self.began) >= spec.trial_patience
    }
}

/// An [`Event`], seen from the present phase.
enum News {
    /// `overdue`: a trial of this phase has outlasted the patience.
    Knock {
        overdue: bool,
    },
    Success,
    Failure,
    /// A call has ended, and that says nothing: its outcome is neither, or it was admitted in an earlier phase.
    Nothing,
}

impl Circuit {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Circuit {
            phase: Phase::Closed,
            turn: 0,
            since: now,
            openings: 0,
            failures_in_a_row: 0,
            window: Window::default(),
            trials: Vec::new(),
            admitted: 0,
            refused: 0,
            seed,
        }
    }

    /// Takes in `event`: the one place that decides.
    pub(super) fn take(&mut self, event: Event, now: Instant, spec: &BreakerSpec) -> Answer {
        let news = self.news(event, now, spec);
        let answer = match (self.phase, news) {
            (_, News::Nothing) => Answer::Noted,

            (Phase::Closed, News::Knock { .. }) => Answer::Admitted(self.ticket()),
            (Phase::Closed, News::Success) => {
                self.count_success(spec);
                // It may have been the call that was missing before the share says something.
                self.open_if_enough(now, spec)
            }
            (Phase::Closed, News::Failure) => {
                self.count_failure(spec);
                self.open_if_enough(now, spec)
            }

            (Phase::Open { until }, News::Knock { .. }) if now < until => self.refuse(Some(until - now)),
            (Phase::Open { .. }, News::Knock { .. }) => {
                self.enter(Phase::HalfOpen { successes: 0 }, now);
                self.try_trial(now, spec)
            }
            // Of whom? An open breaker admits nobody.
            (Phase::Open { .. }, News::Success | News::Failure) => Answer::Noted,

            (Phase::HalfOpen { .. }, News::Knock { overdue: false }) => self.try_trial(now, spec),
            (Phase::HalfOpen { .. }, News::Knock { overdue: true }) => {
                self.count_failure(spec);
                let until = self.open(now, spec);
                self.refuse(Some(until - now))
            }
            (Phase::HalfOpen { successes }, News::Success) => {
                self.count_success(spec);
                if successes + 1 >= spec.successes_to_close {
                    self.close(now);
                } else {
                    self.phase = Phase::HalfOpen { successes: successes + 1 };
                }
                Answer::Noted
            }
            (Phase::HalfOpen { .. }, News::Failure) => {
                self.count_failure(spec);
                self.open(now, spec);
                Answer::Noted
            }
        };
        debug_assert_eq!(self.complaint(spec), None, "after {event:?}: {self:?}");
        answer
    }

    /// Whether a knock would be admitted, or change anything.
    pub(super) fn is_worth_a_knock(&self, now: Instant, spec: &BreakerSpec) -> bool {
        // One that is overdue has no place any more: it fails when the knock comes.
        let in_flight = self.trials.iter().filter(|trial| !trial.is_late(now, spec)).count();
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } if now < until => false,
            Phase::Open { .. } | Phase::HalfOpen { .. } => in_flight < trials_max(spec),
        }
    }

    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    pub(super) fn observe(&self) -> BreakerObservation {
        BreakerObservation {
            state: match self.phase {
                Phase::Closed => BreakerState::Closed,
                Phase::Open { until } => BreakerState::Open { until },
                Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            },
            since: self.since,
            changes: self.turn,
            failures_in_a_row: self.failures_in_a_row,
            window_calls: self.window.failed.len(),
            window_failures: self.window.failures,
            trials: self.trials.len(),
            admitted: self.admitted,
            refused: self.refused,
        }
    }

    /// What is wrong with it, if anything is: holds after every event.
    pub(super) fn complaint(&self, spec: &BreakerSpec) -> Option<&'static str> {
        let window_max = spec.failure_share.map_or(0, |of| of.window.max(1) as usize);
        let failed = self.window.failed.iter().filter(|failed| **failed).count();
        if self.trials.len() > trials_max(spec) {
            Some("more trials in flight than allowed")
        } else if self.window.failed.len() > window_max || self.window.failures != failed {
            Some("the window is too long or miscounted")
        } else if self.phase == Phase::Closed && self.has_enough(spec) {
            Some("closed, with failures enough to open")
        } else {
            None
        }
    }

    /// Frees the places of trials that are settled or overdue, and says what the event means in this phase.
    fn news(&mut self, event: Event, now: Instant, spec: &BreakerSpec) -> News {
        match event {
            Event::Knock => {
                let mut overdue = false;
                self.trials.retain(|trial| {
                    let late = trial.is_late(now, spec);
                    overdue |= late && trial.ticket.turn == self.turn;
                    !late
                });
                News::Knock { overdue }
            }
            Event::Settled(ticket, outcome) => {
                self.trials.retain(|trial| trial.ticket != ticket);
                match outcome {
                    _ if ticket.turn != self.turn => News::Nothing,
                    CallOutcome::Success => News::Success,
                    CallOutcome::Failure => News::Failure,
                    CallOutcome::Neither => News::Nothing,
                }
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.admitted += 1;
        Ticket { number: self.admitted, turn: self.turn }
    }

    fn try_trial(&mut self, now: Instant, spec: &BreakerSpec) -> Answer {
        if self.trials.len() >= trials_max(spec) {
            return self.refuse(None);
        }
        let ticket = self.ticket();
        self.trials.push(Trial { ticket, began: now });
        Answer::Admitted(ticket)
    }

    fn refuse(&mut self, retry_after: Option<Duration>) -> Answer {
        self.refused += 1;
        Answer::Refused { retry_after }
    }

    fn count_success(&mut self, spec: &BreakerSpec) {
        self.failures_in_a_row = 0;
        self.window.push(false, spec);
    }

    fn count_failure(&mut self, spec: &BreakerSpec) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.window.push(true, spec);
    }

    fn open_if_enough(&mut self, now: Instant, spec: &BreakerSpec) -> Answer {
        if self.has_enough(spec) {
            self.open(now, spec);
        }
        Answer::Noted
    }

    /// Whether the counts say to open.
    fn has_enough(&self, spec: &BreakerSpec) -> bool {
        let Window { failed, failures } = &self.window;
        spec.failures_in_a_row.is_some_and(|enough| self.failures_in_a_row >= enough.max(1))
            || spec.failure_share.is_some_and(|of| of.is_reached(*failures, failed.len()))
    }

    fn open(&mut self, now: Instant, spec: &BreakerSpec) -> Instant {
        let closed_for = now.saturating_duration_since(self.since);
        if self.phase == Phase::Closed && closed_for >= spec.open_for.reset_after {
            self.openings = 0;
        }
        let luck = dice::share(self.seed.wrapping_add(self.turn.wrapping_mul(dice::STEP)));
        let until = later(now, spec.open_for.delay(self.openings, luck));
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open { until }, now);
        until
    }

    fn close(&mut self, now: Instant) {
        self.failures_in_a_row = 0;
        self.window = Window::default();
        self.enter(Phase::Closed, now);
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        self.phase = phase;
        self.turn += 1;
        self.since = now;
    }
}

fn trials_max(spec: &BreakerSpec) -> usize {
    spec.half_open_calls.max(1) as usize
}

/// The newest results: whether they were failures.
#[derive(Clone, Debug, Default)]
struct Window {
    failed: VecDeque<bool>,
    failures: usize,
}

impl Window {
    fn push(&mut self, failed: bool, spec: &BreakerSpec) {
        let Some(of) = spec.failure_share else { return };
        if self.failed.len() == of.window.max(1) as usize && self.failed.pop_front() == Some(true) {
            self.failures -= 1;
        }
        self.failures += usize::from(failed);
        self.failed.push_back(failed);
    }
}
