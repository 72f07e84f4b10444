//! How fast to send: a rate that is learned from refusals, and when the next one may leave. Pure.
//!
//! A server refuses what is above its limit, and it is not known how it counts: a bucket of tokens, large or small, or a
//! window. What is known of each refusal is the rate at which it was sent, and how much was accepted since the refusal
//! before. Of a small bucket and of a window the first is the limit, if the rate grew slowly; of a large bucket the second
//! is, since it was empty both times. So a refusal makes a guess of the first kind; if it comes again at once, what was
//! accepted says where to go on.

use std::time::Duration;

use tokio::time::Instant;

/// Whoever comes late by no more than that loses nothing: timers are no better.
const SLACK: Duration = Duration::from_millis(5);
/// Where below the ceiling it begins after a refusal.
const BELOW: f64 = 0.98;
/// And where it stays before it tries more. A window lets a rate that is slightly too high pass for a while.
const NEAR: f64 = 0.994;
/// How long it stays below a ceiling at least, in seconds, and at most. Between them it is sixty times as long as a refusal
/// costs, and twice that below a ceiling that was found again.
const HOLD_MIN: f64 = 10.0;
const HOLD_MAX: f64 = 120.0;
/// Above the ceiling it grows by a fiftieth in so many seconds, by eight times as much in twice as many, and so on.
const PROBE: f64 = 5.0;
/// How fast it grows where nothing is known, a second.
const SEARCH: f64 = 0.03;
/// A rate that was near its ceiling for so long is no guess any more.
const STEADY: f64 = 2.0;
/// Refusals further apart than that say nothing about a bucket: the limit may have changed between them.
const PERIOD_MAX: f64 = 20.0;
/// With fewer accepted between two refusals, their number says nothing.
const ACCEPTED_MIN: f64 = 25.0;

const RATE_MIN: f64 = 0.02;
const RATE_MAX: f64 = 1e9;

/// A rate, in units a second, and when the next unit may leave.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    phase: Phase,
    /// How long the phase has lasted, not counting times when nobody wanted more.
    lasted: f64,
    looked: Instant,
    next: Instant,
    /// All that was sent, ever.
    sent: f64,
    /// The number of the phase: what was sent in an earlier one says nothing about this one.
    era: u32,
    last: Option<Refusal>,
    hold: f64,
    ceiling: f64,
    fallback: f64,
    rate_max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Nothing is known, and nothing is held up; the rate is only measured.
    Free { from: Instant, sent: f64 },
    /// Nothing is known but that this much was never refused: it doubles each second.
    Ramp { from: f64 },
    /// The limit is somewhere above: it grows slowly.
    Search { from: f64 },
    /// The limit is believed to be here.
    Hold { ceiling: f64, told: bool },
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    at: Instant,
    sent: f64,
    /// Of what was sent from then on.
    refused: f64,
}

/// What to remember of something that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stamp {
    at: Instant,
    rate: f64,
    /// All that was sent before it.
    sent: f64,
    cost: f64,
    era: u32,
}

impl Pace {
    /// Begins at `start` units a second.
    pub(super) fn ramp(start: f64, rate_max: f64, now: Instant) -> Self {
        Self::with(Phase::Ramp { from: start.max(RATE_MIN) }, rate_max, now)
    }

    /// Holds nothing up before the first refusal.
    pub(super) fn free(rate_max: f64, now: Instant) -> Self {
        Self::with(Phase::Free { from: now, sent: 0.0 }, rate_max, now)
    }

    fn with(phase: Phase, rate_max: f64, now: Instant) -> Self {
        Pace {
            phase,
            lasted: 0.0,
            looked: now,
            next: now,
            sent: 0.0,
            era: 0,
            last: None,
            hold: HOLD_MIN,
            ceiling: 0.0,
            fallback: 0.0,
            rate_max: if rate_max > 0.0 { rate_max } else { RATE_MAX },
        }
    }

    /// Units a second, at present.
    pub(super) fn rate(&self) -> f64 {
        let at = self.lasted;
        let rate = match self.phase {
            Phase::Free { .. } => RATE_MAX,
            Phase::Ramp { from } => from * at.min(40.0).exp2(),
            Phase::Search { from } => from * (1.0 + SEARCH).powf(at),
            Phase::Hold { ceiling, told: true } => ceiling * NEAR,
            // CUBIC's curve: fast towards the ceiling, slow near it, and faster again once it turned out to be none.
            Phase::Hold { ceiling, told: false } if at < self.hold => {
                ceiling * (NEAR - (NEAR - BELOW) * (1.0 - at / self.hold).powi(3))
            }
            Phase::Hold { ceiling, told: false } => {
                ceiling * (NEAR + (1.0 - BELOW) * ((at - self.hold) / PROBE).powi(3))
            }
        };
        rate.clamp(RATE_MIN, RATE_MAX).min(self.rate_max)
    }

    /// Whether the rate is more than a guess.
    pub(super) fn is_learned(&self) -> bool {
        matches!(self.phase, Phase::Search { .. } | Phase::Hold { .. })
    }

    /// Before that nothing may leave.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Something leaves. `pressed`: somebody had to wait, so that a higher rate would be used.
    pub(super) fn send(&mut self, cost: f64, pressed: bool, now: Instant) -> Stamp {
        self.grow(pressed, now);
        let rate = self.rate();
        let stamp = Stamp { at: now, rate: self.measured(rate, now), sent: self.sent, cost, era: self.era };
        self.sent += cost;
        let from = now.checked_sub(SLACK).map_or(now, |earliest| self.next.max(earliest));
        self.next = from + seconds(cost / rate);
        stamp
    }

    /// It did not leave after all.
    pub(super) fn take_back(&mut self, stamp: &Stamp) {
        self.sent -= stamp.cost;
        if let Some(next) = self.next.checked_sub(seconds(stamp.cost / self.rate())) {
            self.next = next;
        }
    }

    /// It was refused, and nothing more may leave before `until`.
    pub(super) fn refused(&mut self, stamp: &Stamp, until: Instant) {
        self.next = self.next.max(until);
        if stamp.era != self.era {
            if let Some(last) = self.last.as_mut().filter(|last| stamp.at >= last.at) {
                last.refused += stamp.cost;
            }
            return;
        }
        let high = stamp.rate;
        let (accepted_rate, is_recent) = self.accepted_until(stamp);
        // The longer it costs to be refused, the longer it stays below.
        let costs = until.saturating_duration_since(stamp.at).as_secs_f64();
        let (shortest, longest) = (costs * 60.0, costs * 120.0);
        let far = high * 0.6;
        let near = high * 0.93;
        let accepted = accepted_rate.filter(|_| is_recent).unwrap_or(0.0);
        let phase = match self.phase {
            // What was measured lags behind.
            Phase::Free { .. } => Phase::Search { from: near },
            Phase::Ramp { .. } => self.hold_at(high * 0.97, far, shortest, longest),
            Phase::Search { .. } if self.lasted >= STEADY => {
                // Much more than was accepted: perhaps a bucket that had filled up.
                let fallback = accepted_rate.filter(|accepted| high > accepted * 1.2);
                let fallback = fallback.map_or(near, |accepted| accepted.max(far));
                self.hold_at(high * 0.955, fallback, shortest, longest)
            }
            // It grew slowly up to here, so this is where the limit is.
            Phase::Hold { ceiling, .. } if are_close(high, ceiling, 0.05) && self.lasted >= STEADY => {
                self.hold_at(high, near, shortest, longest)
            }
            Phase::Hold { ceiling, .. } if high >= ceiling && self.lasted >= STEADY => {
                let accepted = accepted_rate.unwrap_or(0.0);
                self.hold_at(high * 0.97, far.max(accepted), shortest, longest)
            }
            // What was accepted lately will be again, unless the limit has just fallen.
            Phase::Hold { .. } => Phase::Search { from: self.fallback.max(accepted).min(near) },
            Phase::Search { .. } => Phase::Search { from: far.max(accepted).min(near) },
        };
        self.enter(phase);
        match (&mut self.last, accepted_rate) {
            // Too few to say anything: the next refusal counts from where this one did.
            (Some(last), None) => last.refused += stamp.cost,
            _ => {
                self.last = Some(Refusal { at: stamp.at, sent: stamp.sent, refused: stamp.cost });
            }
        }
    }

    /// The provider says what its limit is.
    pub(super) fn told(&mut self, rate: f64) {
        let is_news =
            !matches!(self.phase, Phase::Hold { ceiling, told: true } if are_close(ceiling, rate, 0.02));
        if is_news && rate.is_finite() && rate > 0.0 {
            self.fallback = rate * 0.6;
            self.enter(Phase::Hold { ceiling: rate, told: true });
        }
    }

    /// How much was accepted a second since the refusal before, and whether that was not long ago.
    fn accepted_until(&self, stamp: &Stamp) -> (Option<f64>, bool) {
        let Some(last) = self.last else { return (None, false) };
        let period = stamp.at.saturating_duration_since(last.at).as_secs_f64();
        let accepted = stamp.sent - last.sent - last.refused;
        // A request counts as one, tokens by the thousand: what is meant is "not many requests".
        let enough = accepted >= ACCEPTED_MIN * stamp.cost && period > 0.0;
        (enough.then_some(accepted / period), period <= PERIOD_MAX)
    }

    /// Believes in a ceiling; `fallback` is where to go on if that is refuted at once.
    fn hold_at(&mut self, ceiling: f64, fallback: f64, shortest: f64, longest: f64) -> Phase {
        let again = are_close(ceiling, self.ceiling, 0.05);
        let hold = if again { (self.hold * 2.0).max(shortest).min(longest) } else { shortest };
        self.hold = hold.clamp(HOLD_MIN, HOLD_MAX);
        (self.ceiling, self.fallback) = (ceiling, fallback);
        Phase::Hold { ceiling, told: false }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.lasted = 0.0;
        self.era = self.era.wrapping_add(1);
    }

    /// What is sent a second while nothing is held up.
    fn measured(&mut self, rate: f64, now: Instant) -> f64 {
        let Phase::Free { from, sent } = self.phase else { return rate };
        let time = now.saturating_duration_since(from).as_secs_f64();
        if time > 4.0 {
            // About the last four seconds: half of what is known is forgotten.
            let half = from + seconds(time / 2.0);
            self.phase = Phase::Free { from: half, sent: sent + (self.sent - sent) / 2.0 };
        }
        ((self.sent - sent) / time.max(0.5)).max(RATE_MIN)
    }

    fn grow(&mut self, pressed: bool, now: Instant) {
        let time = now.saturating_duration_since(self.looked).as_secs_f64();
        self.looked = now;
        if pressed {
            // Longer than that and it was no wait for this pace: a closed gate, or nobody there.
            self.lasted += time.min((3.0 / self.rate()).clamp(0.02, 1.0));
        }
    }
}

fn are_close(one: f64, other: f64, share: f64) -> bool {
    (one - other).abs() <= share * other.abs()
}

fn seconds(time: f64) -> Duration {
    Duration::try_from_secs_f64(time).unwrap_or(Duration::from_secs(365 * 24 * 3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        greenroom_runtime::Clock::default().now()
    }

    /// Sends as fast as it may, for so long; `limit` says at which rate it is refused.
    fn run(pace: &mut Pace, from: Instant, time: Duration, limit: f64) -> (u32, u32) {
        let (mut sent, mut refused) = (0, 0);
        let mut now = from.max(pace.next());
        while now < from + time {
            let stamp = pace.send(1.0, true, now);
            sent += 1;
            if pace.rate() > limit {
                refused += 1;
                pace.refused(&stamp, now + Duration::from_secs(1));
            }
            now = pace.next().max(now);
        }
        (sent, refused)
    }

    #[tokio::test(start_paused = true)]
    async fn it_finds_the_limit_in_seconds_and_stays_just_below_it() {
        let now = start();
        let mut pace = Pace::ramp(10.0, 0.0, now);

        run(&mut pace, now, Duration::from_secs(10), 50.0);

        assert!((47.0..50.0).contains(&pace.rate()), "{pace:?}");
        let (sent, refused) = run(&mut pace, now + Duration::from_secs(10), Duration::from_secs(120), 50.0);
        assert!(sent > 5_700 && refused <= 4, "{sent} sent, {refused} refused");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_there_is_no_reason_to_go_faster() {
        let now = start();
        let mut pace = Pace::ramp(10.0, 0.0, now);

        for second in 0..1_000 {
            pace.send(1.0, false, now + Duration::from_secs(second));
        }

        assert!((pace.rate() - 10.0).abs() < 1e-6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_late_counts_as_the_same_refusal() {
        let now = start();
        let mut pace = Pace::ramp(10.0, 0.0, now);
        let stamps: Vec<Stamp> = (0..5).map(|_| pace.send(1.0, true, now)).collect();

        pace.refused(&stamps[0], now + Duration::from_secs(1));
        let rate = pace.rate();
        stamps[1..].iter().for_each(|stamp| pace.refused(stamp, now + Duration::from_secs(2)));

        assert!((pace.rate() - rate).abs() < 1e-9);
        assert!(pace.next() >= now + Duration::from_secs(2), "the later word counts");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_provider_says_is_believed_until_it_refuses() {
        let now = start();
        let mut pace = Pace::ramp(10.0, 0.0, now);
        pace.told(80.0);
        assert!((pace.rate() - 80.0).abs() < 1.0);

        let stamp = pace.send(1.0, true, now);
        pace.refused(&stamp, now);

        assert!(pace.rate() < 50.0);
    }

    #[test]
    fn it_never_stands_still_nor_runs_away() {
        fn property(events: Vec<(u8, u16)>) -> bool {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _inside = runtime.enter();
            let mut now = start();
            let mut pace = Pace::ramp(10.0, 500.0, now);
            let mut stamps = Vec::new();
            for (what, number) in events {
                let time = Duration::from_millis(number.into());
                now += time;
                match what % 5 {
                    0 | 1 => stamps.push(pace.send(f64::from(what) + 1.0, what > 100, now)),
                    2 => stamps.iter().for_each(|stamp| pace.refused(stamp, now + time)),
                    3 => pace.told(f64::from(number)),
                    _ => drop(stamps.pop().map(|stamp| pace.take_back(&stamp))),
                }
                let rate = pace.rate();
                assert!((RATE_MIN..=500.0).contains(&rate), "{pace:?}");
                assert!(pace.next() <= now + Duration::from_secs(13_000 * 256), "{pace:?}");
            }
            true
        }
        quickcheck::quickcheck(property as fn(Vec<(u8, u16)>) -> bool);
    }
}
