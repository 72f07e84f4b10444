//! A runtime for tests that does not let an actor outlive its test unnoticed.

use std::ops::Deref;
use std::time::Duration;

use crate::builder::Builder;
use crate::runtime::{Runtime, ShutdownReport};

/// A [`Runtime`] that must be shut down with [`end`](TestRuntime::end): dropped while an actor is alive it panics, and
/// names whoever is.
///
/// ```
/// use greenroom_runtime::testing::TestRuntime;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let world = TestRuntime::start().await;
/// // … spawn, ask, assert …
/// world.end().await;
/// # }
/// ```
#[derive(Debug)]
pub struct TestRuntime {
    runtime: Runtime,
}

impl TestRuntime {
    /// A runtime with the default bounds and no store.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub async fn start() -> Self {
        Self::of(Runtime::builder()).await
    }

    /// A runtime of this builder.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub async fn of(builder: Builder) -> Self {
        TestRuntime { runtime: builder.start().await.expect("a test runs inside a tokio runtime") }
    }

    /// Shuts down within 60 s, of a paused clock if it is paused.
    ///
    /// # Panics
    ///
    /// When somebody did not end in order; names who.
    pub async fn end(self) {
        let report = self.end_late().await;
        assert!(report.is_clean(), "these did not end in order: {:?}", report.late);
    }

    /// Shuts down, and returns who did not end in order.
    pub async fn end_late(self) -> ShutdownReport {
        self.runtime.shutdown(Duration::from_secs(60)).await
    }
}

impl Deref for TestRuntime {
    type Target = Runtime;
    fn deref(&self) -> &Runtime {
        &self.runtime
    }
}

impl Drop for TestRuntime {
    fn drop(&mut self) {
        let alive: Vec<_> = self.runtime.places().iter().map(|place| place.path().to_string()).collect();
        assert!(
            alive.is_empty() || std::thread::panicking(),
            "the test ended while these were alive: {}; call `end().await`",
            alive.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Probe;

    #[tokio::test]
    #[should_panic(expected = "the test ended while these were alive: probe")]
    async fn an_actor_that_outlives_its_test_is_named() {
        let world = TestRuntime::start().await;
        let _probe = Probe::<crate::testing::probe::tests::Ping>::spawn(&world, "probe").await;
    }
}
