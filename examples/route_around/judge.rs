//! Counts from outside of the actors: what was asked and how it ended, and which questions were handled, how often.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::role::End;
use crate::times::Times;

/// The numbers of the questions whose handler came to its end. Handlers write it; no actor owns it.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    once: Mutex<HashSet<u64>>,
    again: AtomicU64,
}

impl Handled {
    pub(crate) fn add(&self, question: u64) {
        let is_first = self.once.lock().unwrap_or_else(PoisonError::into_inner).insert(question);
        self.again.fetch_add(u64::from(!is_first), Ordering::Relaxed);
    }

    /// How many were handled a second time.
    pub(crate) fn doubled(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }
}

/// Which part of the run an ask belongs to: by the instant it was planned for, not by when it came to its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Before any trouble.
    Base,
    /// From the first kill, or stop, on.
    Trouble,
}

/// What the askers have seen.
#[derive(Debug)]
pub(crate) struct Seen {
    trouble: Instant,
    /// When the last replica was down, if that is what the run is for.
    down: OnceLock<Instant>,
    parts: [PartSeen; 2],
    /// Of the asks planned when all were down: how many, and those that the fallback did not answer.
    while_down: Mutex<WhileDown>,
}

#[derive(Debug, Default)]
struct PartSeen {
    asks: AtomicU64,
    ended: Mutex<Ended>,
    times: Times,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WhileDown {
    pub(crate) asks: u64,
    pub(crate) by_fallback: u64,
    pub(crate) slowest: Duration,
}

/// How asks ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) ok: u64,
    /// Of those that are ok.
    pub(crate) by_fallback: u64,
    pub(crate) errors: BTreeMap<&'static str, u64>,
}

impl Ended {
    pub(crate) fn typed_errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Seen {
    pub(crate) fn new(trouble: Instant) -> Self {
        Seen { trouble, down: OnceLock::new(), parts: Default::default(), while_down: Mutex::default() }
    }

    /// From now on nobody of the role is up.
    pub(crate) fn all_are_down(&self, now: Instant) {
        self.down.get_or_init(|| now);
    }

    fn part(&self, part: Part) -> &PartSeen {
        &self.parts[part as usize]
    }

    fn part_of(&self, planned: Instant) -> &PartSeen {
        self.part(if planned < self.trouble { Part::Base } else { Part::Trouble })
    }

    pub(crate) fn asked(&self, planned: Instant) {
        self.part_of(planned).asks.fetch_add(1, Ordering::Relaxed);
    }

    /// The time is counted from the instant for which the ask was planned: a stall that keeps an asker from asking is
    /// part of the answer's time, not a pause in the measurement.
    pub(crate) fn ended(&self, planned: Instant, now: Instant, end: End) {
        let part = self.part_of(planned);
        let time = now - planned;
        let mut ended = lock(&part.ended);
        match end {
            End::Answered => ended.ok += 1,
            End::AnsweredByFallback => {
                ended.ok += 1;
                ended.by_fallback += 1;
            }
            End::Error(name) => *ended.errors.entry(name).or_default() += 1,
            End::Silence => {} // lost: it was asked and has no end
        }
        drop(ended);
        part.times.add(time);
        if self.down.get().is_some_and(|down| *down <= planned) {
            let mut down = lock(&self.while_down);
            down.asks += 1;
            down.by_fallback += u64::from(end == End::AnsweredByFallback);
            down.slowest = down.slowest.max(time);
        }
    }

    pub(crate) fn asks(&self, part: Part) -> u64 {
        self.part(part).asks.load(Ordering::Relaxed)
    }

    pub(crate) fn ends(&self, part: Part) -> Ended {
        lock(&self.part(part).ended).clone()
    }

    pub(crate) fn times(&self, part: Part) -> &Times {
        &self.part(part).times
    }

    pub(crate) fn while_down(&self) -> WhileDown {
        *lock(&self.while_down)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
