//! The load: many askers, each on a schedule of its own that does not wait for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom::Clock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::args::Args;
use crate::dice::{mix, share};
use crate::judge::Seen;
use crate::role::{ASK_LIMIT, Question, Way};

/// So many askers ask at the same instant: what comes in waves waits, also where there is little to do.
const WAVE: u32 = 50;

/// What an asker knows.
#[derive(Clone)]
struct Plan {
    clock: Clock,
    way: Way,
    seen: Arc<Seen>,
    number: Arc<AtomicU64>,
    begin: Instant,
    end: Instant,
    /// Between two asks of one asker.
    interval: Duration,
}

/// All askers at work.
pub(crate) struct Askers {
    tasks: JoinSet<()>,
    clock: Clock,
}

impl Askers {
    /// They begin at `begin`.
    pub(crate) fn begin(args: &Args, clock: Clock, begin: Instant, way: &Way, seen: &Arc<Seen>) -> Self {
        let plan = Plan {
            clock,
            way: way.clone(),
            seen: seen.clone(),
            number: Arc::default(),
            begin,
            end: begin + args.all(),
            interval: Duration::from_secs(1) * args.askers / args.rate,
        };
        let mut tasks = JoinSet::new();
        for asker in 0..args.askers {
            let wave = mix(args.seed ^ mix((asker / WAVE).into()));
            let first = plan.interval.mul_f64(share(wave));
            tasks.spawn(plan.clone().follow(first));
        }
        Askers { tasks, clock }
    }

    /// Waits until all have their last answer. Who has none by then never gets one.
    pub(crate) async fn end(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        self.clock.within(2 * ASK_LIMIT, all).await;
    }
}

impl Plan {
    async fn follow(self, first: Duration) {
        let mut planned = self.begin + first;
        while planned < self.end {
            // Behind its schedule it does not wait: it asks, and the delay counts.
            self.clock.sleep_until(planned).await;
            let question = Question(self.number.fetch_add(1, Ordering::Relaxed));
            self.seen.asked(planned);
            let end = self.way.ask(question).await;
            self.seen.ended(planned, self.clock.now(), end);
            planned += self.interval;
        }
    }
}
