//! What is measured, the sides it is measured on, and the tokio runtime under it.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock and owns its tasks")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::{greenroom_side, ractor_side, tokio_side};

/// How long an ask may take; never reached, but each side carries its price.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The mailbox of our actors and of tokio's channels. Ractor's has no bound.
pub(crate) const CAPACITY: usize = 1_024;

/// Senders of the fan-in.
pub(crate) const PRODUCERS: u64 = 4;

/// A sender that never waits gives way after so many sends, as tokio's budget makes a bounded one do. Without it, it
/// starves the receiver that waits in the same worker's slot.
pub(crate) const SENDS_IN_A_ROW: u64 = 128;

/// The message: 32 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Hit(pub(crate) [u64; 4]);

impl Hit {
    pub(crate) fn new(number: u64) -> Self {
        Hit([number; 4])
    }
}

/// The trivial receiver: adds up what it gets and says when it has got everything.
pub(crate) struct Tally {
    sum: u64,
    left: u64,
    done: Arc<Notify>,
}

impl Tally {
    /// With the signal that it gives after `expected` messages.
    pub(crate) fn of(expected: u64) -> (Self, Arc<Notify>) {
        let done = Arc::new(Notify::new());
        (Tally { sum: 0, left: expected, done: done.clone() }, done)
    }

    /// One that nobody waits for: its messages are asked, and answered one by one.
    pub(crate) fn endless() -> Self {
        Self::of(u64::MAX).0
    }

    pub(crate) fn add(&mut self, hit: Hit) -> u64 {
        self.sum = self.sum.wrapping_add(hit.0[0]);
        self.left -= 1;
        if self.left == 0 {
            self.done.notify_one();
        }
        self.sum
    }
}

/// What one measurement does `times` over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// One sender, one receiver.
    Tell,
    /// [`PRODUCERS`] senders, one receiver.
    FanIn,
    /// One question after the other, each with a deadline.
    Ask,
    /// Two actors that tell one another in turn; counted per message.
    PingPong,
    /// Spawned under a supervisor, until it has started.
    Spawn,
    /// From the message that crashes an actor to the answer of its next life.
    Restart,
}

/// Whose parts are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Ours, with an inbox made by `inbox!`.
    Declared,
    /// Ours, with an open inbox.
    Open,
    Ractor,
    /// A bounded channel of tokio and a task: no actor at all.
    Tokio,
}

impl Workload {
    pub(crate) const ALL: [Workload; 6] = [
        Workload::Tell,
        Workload::FanIn,
        Workload::Ask,
        Workload::PingPong,
        Workload::Spawn,
        Workload::Restart,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Tell => "tell",
            Workload::FanIn => "fan-in",
            Workload::Ask => "ask",
            Workload::PingPong => "ping-pong",
            Workload::Spawn => "spawn",
            Workload::Restart => "restart",
        }
    }

    /// The kind of inbox matters to what is told and asked, and to nothing else.
    pub(crate) fn runs_on(self, side: Side) -> bool {
        side != Side::Open || matches!(self, Workload::Tell | Workload::Ask)
    }

    /// How often it is done in one measurement of the comparison: some 10 ms each.
    pub(crate) fn times(self) -> u64 {
        match self {
            Workload::Tell | Workload::FanIn => 100_000,
            Workload::Ask | Workload::PingPong => 20_000,
            Workload::Spawn | Workload::Restart => 1_000,
        }
    }
}

impl Side {
    pub(crate) const ALL: [Side; 4] = [Side::Declared, Side::Open, Side::Ractor, Side::Tokio];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Declared => "greenroom",
            Side::Open => "greenroom-open",
            Side::Ractor => "ractor",
            Side::Tokio => "tokio",
        }
    }
}

/// Measures as a service would run: on two workers. Each measurement gets a tokio runtime of its own, so that none
/// inherits the tasks of another.
pub(crate) fn on_two_threads(side: Side, workload: Workload, times: u64) -> Duration {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
    measure(runtime.expect("the machine gives two threads"), side, workload, times)
}

/// Measures on the caller's thread alone, where counts repeat to the digit.
pub(crate) fn on_one_thread(side: Side, workload: Workload, times: u64) -> Duration {
    let runtime = Builder::new_current_thread().enable_time().build();
    measure(runtime.expect("the caller's thread is there"), side, workload, times)
}

fn measure(runtime: Runtime, side: Side, workload: Workload, times: u64) -> Duration {
    // A task of its own: `block_on` would poll from a thread that is no worker, and pay a hop for each wake-up.
    let task = runtime.spawn(async move {
        match side {
            Side::Declared | Side::Open => greenroom_side::run(side, workload, times).await,
            Side::Ractor => ractor_side::run(workload, times).await,
            Side::Tokio => tokio_side::run(workload, times).await,
        }
    });
    runtime.block_on(task).expect("no workload panics outside of its actors")
}

/// The time that `work` takes.
pub(crate) async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}
