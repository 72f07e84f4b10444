//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::Duration;

use super::invariants;

/// Says how many restarts a supervisor bears before it gives up. Default: 1 in 5 seconds, as in OTP.
///
/// More than `max` restarts within any stretch of `within` are too many; `max: 0` bears none. There is one count per
/// supervisor, shared by all its children. The restart of a group counts once, each further try after a failed start
/// once more. Limits multiply up the tree: with the default in three supervisors one above the other, it takes eight
/// quick failures of a leaf to end the uppermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RestartIntensity {
    /// Most restarts that are borne within the window.
    pub max: u32,
    /// Length of the sliding window. A restart exactly this long ago still counts.
    pub within: Duration,
}

/// Whether one more restart is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an exceeded intensity ends the supervisor"]
pub(crate) enum RestartVerdict {
    /// The restart may go ahead.
    Borne,
    /// It was one too many.
    Exceeded,
}

/// The restarts of one supervisor that still count.
///
/// Holds at most `max + 1` stamps of eight bytes, and only as many as there were restarts in the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestartHistory {
    intensity: RestartIntensity,
    /// Milliseconds, never falling, at most `max + 1` of them.
    stamps_ms: VecDeque<u64>,
    /// All there ever were.
    recorded: u64,
}

impl Default for RestartIntensity {
    fn default() -> Self {
        RestartIntensity { max: 1, within: Duration::from_secs(5) }
    }
}

impl RestartHistory {
    /// A history without restarts.
    #[must_use]
    pub(crate) fn new(intensity: RestartIntensity) -> Self {
        RestartHistory { intensity, stamps_ms: VecDeque::new(), recorded: 0 }
    }

    /// Counts a restart at `now_ms` and says whether it is borne.
    ///
    /// Milliseconds of a clock that never runs backwards; should it do so, it counts as standing still. (OTP counts in
    /// whole seconds, which stretches its window by up to one.) Amortised constant time.
    pub(crate) fn record(&mut self, now_ms: u64) -> RestartVerdict {
        let RestartIntensity { max, within } = self.intensity;
        let now_ms = now_ms.max(self.stamps_ms.back().copied().unwrap_or(0));
        while self
            .stamps_ms
            .front()
            .is_some_and(|&stamp_ms| Duration::from_millis(now_ms - stamp_ms) > within)
        {
            self.stamps_ms.pop_front();
        }
        // Only someone who goes on after `Exceeded` gets here with a full history: the newest `max + 1` prove as much.
        if self.exceeds(max) {
            self.stamps_ms.pop_front();
        }
        self.stamps_ms.push_back(now_ms);
        self.recorded += 1;

        debug_assert!(invariants::history_is_bounded(self.len(), max), "{self:?}");
        debug_assert!(self.stamps_ms.iter().is_sorted(), "{self:?}");
        if self.exceeds(max) { RestartVerdict::Exceeded } else { RestartVerdict::Borne }
    }

    /// Holds the restarts against another limit from now on. What was counted stays counted.
    pub(crate) fn limit(&mut self, intensity: RestartIntensity) {
        self.intensity = intensity;
        // A stricter limit needs fewer stamps to be proven exceeded.
        let most = usize::try_from(intensity.max).unwrap_or(usize::MAX).saturating_add(1);
        while self.stamps_ms.len() > most {
            self.stamps_ms.pop_front();
        }
    }

    /// How many restarts counted when the last one was recorded.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.stamps_ms.len()
    }

    /// How many restarts count at `now_ms`, at most one more than are borne.
    #[must_use]
    pub(crate) fn counted_at(&self, now_ms: u64) -> usize {
        let within = self.intensity.within;
        let is_past = |stamp_ms: &u64| Duration::from_millis(now_ms.saturating_sub(*stamp_ms)) > within;
        self.stamps_ms.len() - self.stamps_ms.partition_point(is_past)
    }

    /// How many restarts there were, whether they still count or not.
    #[must_use]
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded
    }

    fn exceeds(&self, max: u32) -> bool {
        self.stamps_ms.len() as u64 > u64::from(max)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use RestartVerdict::{Borne, Exceeded};

    #[test]
    fn the_default_is_one_restart_in_five_seconds() {
        assert_eq!(RestartIntensity::default(), intensity(1, 5_000));
    }

    #[test]
    fn a_restart_counts_until_it_is_older_than_the_window() {
        #[rustfmt::skip]
        let table: &[(RestartIntensity, &[(u64, RestartVerdict)])] = &[
            (intensity(0, 5_000), &[(7, Exceeded)]),
            (intensity(1, 5_000), &[(0, Borne), (4_999, Exceeded)]),
            (intensity(1, 5_000), &[(0, Borne), (5_000, Exceeded)]), // the edge belongs to the window
            (intensity(1, 5_000), &[(0, Borne), (5_001, Borne), (10_001, Exceeded)]),
            (intensity(2, 1_000), &[(0, Borne), (900, Borne), (1_001, Borne), (1_900, Exceeded)]), // it slides
            (intensity(2, 1_000), &[(5, Borne), (5, Borne), (5, Exceeded)]),
            (intensity(1, 0), &[(5, Borne), (6, Borne), (6, Exceeded)]),
            (intensity(1, 5_000), &[(9_000, Borne), (10, Exceeded)]), // a clock that runs backwards stands still
            (intensity(1, u64::MAX), &[(0, Borne), (u64::MAX, Exceeded)]),
            // OTP's `multiple_restarts`: intensity 1 in 1 s bears a kill every 2.1 s for ever.
            (intensity(1, 1_000), &[(0, Borne), (2_100, Borne), (4_200, Borne), (6_300, Borne)]),
        ];

        for (intensity, restarts) in table {
            let mut history = RestartHistory::new(*intensity);
            for (now_ms, verdict) in *restarts {
                assert_eq!(history.record(*now_ms), *verdict, "{intensity:?} at {now_ms} of {restarts:?}");
            }
        }
    }

    quickcheck! {
        /// Goal: dropping old stamps never changes a verdict, also for those who go on after `Exceeded`.
        /// Method: against a model that keeps every stamp for ever and counts anew each time.
        fn the_window_agrees_with_counting_everything(max: u8, within: u8, gaps: Vec<u8>) -> bool {
            let (max, within) = (max % 6, u64::from(within % 40));
            let mut history = RestartHistory::new(intensity(max.into(), within));
            let (mut all, mut now_ms) = (Vec::new(), 0);
            gaps.iter().all(|gap| {
                now_ms += u64::from(gap % 16);
                all.push(now_ms);
                let counted = all.iter().filter(|&&stamp| stamp + within >= now_ms).count();
                let too_many = counted > usize::from(max);
                (history.record(now_ms) == Exceeded) == too_many
                    && invariants::history_is_bounded(history.len(), max.into())
                    && (too_many || history.len() == counted)
            })
        }

        fn any_clock_and_any_limit_get_a_verdict(max: u32, within: u64, clock: Vec<u64>) -> bool {
            let mut history = RestartHistory::new(intensity(max, within));
            clock.iter().for_each(|&now_ms| _ = history.record(now_ms));
            (history.len() == 0) == clock.is_empty() && invariants::history_is_bounded(history.len(), max)
        }
    }

    fn intensity(max: u32, within_ms: u64) -> RestartIntensity {
        RestartIntensity { max, within: Duration::from_millis(within_ms) }
    }
}
