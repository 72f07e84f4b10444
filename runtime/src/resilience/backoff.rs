//! How long to wait before trying again. Pure: the caller brings the attempt and the luck.

use std::time::Duration;

/// Exponential waits with a cap and jitter: `min(max, first * 2^attempt) * (1 + jitter * luck)`, the formula of Akka's
/// `restartWithBackoff`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The wait before the first retry. Default: 100 ms.
    pub first: Duration,
    /// The longest wait, before jitter. Default: 2 s.
    pub max: Duration,
    /// How much of the wait luck may add, from 0 to 1. Default: 0.2.
    pub jitter: f64,
    /// After so long without a failure the count of attempts begins anew. Default: 10 s.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_millis(100),
            max: Duration::from_secs(2),
            jitter: 0.2,
            reset_after: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// The same wait every time.
    pub fn constant(wait: Duration) -> Self {
        Backoff { first: wait, max: wait, jitter: 0.0, ..Backoff::default() }
    }

    /// The wait before retry number `attempt` (from 0). `luck` is drawn from [0, 1); what lies outside is clamped.
    pub fn delay(&self, attempt: u32, luck: f64) -> Duration {
        let doubled = 2_u32.checked_pow(attempt).and_then(|factor| self.first.checked_mul(factor));
        let base = doubled.unwrap_or(self.max).min(self.max);
        let stretch = 1.0 + share(self.jitter) * share(luck);
        Duration::try_from_secs_f64(base.as_secs_f64() * stretch).unwrap_or(Duration::MAX)
    }
}

/// `of`, brought into [0, 1]; no number at all counts as 0.
fn share(of: f64) -> f64 {
    if of.is_nan() { 0.0 } else { of.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let waits: Vec<u128> = (0..7).map(|attempt| backoff.delay(attempt, 0.9).as_millis()).collect();

        assert_eq!(waits, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
        assert_eq!(backoff.delay(u32::MAX, 0.0), backoff.max);
    }

    #[test]
    fn luck_that_is_no_number_and_the_longest_wait_of_all_are_borne() {
        let endless =
            Backoff { first: Duration::MAX, max: Duration::MAX, jitter: f64::NAN, ..Backoff::default() };

        assert_eq!(Backoff::default().delay(0, f64::NAN), Duration::from_millis(100));
        assert!(endless.delay(9, 1.0) >= Duration::from_secs(u64::from(u32::MAX)));
    }

    #[test]
    fn jitter_only_adds_and_stays_in_its_share() {
        fn property(attempt: u32, luck: f64) -> bool {
            let backoff = Backoff::default();
            let plain = Backoff { jitter: 0.0, ..backoff }.delay(attempt, 0.0);
            let wait = backoff.delay(attempt, luck);
            plain.mul_f64(1.0 - 1e-6) <= wait && wait <= plain.mul_f64(1.2 + 1e-6)
        }
        quickcheck::quickcheck(property as fn(u32, f64) -> bool);
    }
}
