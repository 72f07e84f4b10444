//! The one file that reads time or waits for it.
//!
//! Everything else asks the [`Clock`], so that under tokio's paused test time there is no second clock to run away.
#![expect(clippy::disallowed_methods, reason = "this is the file the ban points to")]

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, Sleep};

/// The runtime's clock: tokio's, so a paused test clock pauses it. Copying it is free.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    /// Milliseconds from 1970 to `origin`.
    origin_ms: u64,
}

impl Default for Clock {
    /// A clock whose [`elapsed`](Clock::elapsed) counts from now.
    fn default() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { origin: Instant::now(), origin_ms: millis(since_1970) }
    }
}

impl Clock {
    /// The monotonic now. About 25 ns; not for the path of every message.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The instant `delay` from now; a delay too long for the clock counts as thirty years.
    pub fn after(&self, delay: Duration) -> Instant {
        later(self.now(), delay)
    }

    /// Time since the runtime was started.
    pub fn elapsed(&self) -> Duration {
        self.now() - self.origin
    }

    /// Time since the runtime was started, in whole milliseconds.
    pub fn elapsed_ms(&self) -> u64 {
        millis(self.elapsed())
    }

    /// Milliseconds since 1970, for what outlives the process: the time of the system when the runtime was started, and
    /// from there the monotonic clock.
    pub fn wall_ms(&self) -> u64 {
        self.origin_ms.saturating_add(self.elapsed_ms())
    }

    /// What [`wall_ms`](Clock::wall_ms) says `after` that much time.
    pub(crate) fn wall_ms_in(&self, after: Duration) -> u64 {
        self.wall_ms().saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
    }

    /// When this clock was made, in milliseconds since 1970.
    pub(crate) fn started_ms(&self) -> u64 {
        self.origin_ms
    }

    /// Waits for `duration`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the timer; nothing else happens.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        tokio::time::sleep(duration)
    }

    /// Waits until `deadline`.
    ///
    /// # Cancel safety
    ///
    /// As [`sleep`](Clock::sleep).
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(deadline)
    }

    /// Waits for `future`, at most `limit`. `None`: the limit passed first and the future was dropped.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `future` is.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `delay` after `instant`; a delay too long for the clock counts as thirty years.
pub(crate) fn later(instant: Instant, delay: Duration) -> Instant {
    instant.checked_add(delay).unwrap_or_else(|| instant + Duration::from_secs(30 * 365 * 24 * 3_600))
}
