//! One run: opens the role, lets the askers ask, makes trouble, and reports.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use greenroom::prelude::*;

use crate::args::Args;
use crate::askers::Askers;
use crate::judge::{Handled, Part, Seen};
use crate::progress::Progress;
use crate::report::Report;
use crate::role::{self, Rerouting, Ward};
use crate::trouble::{KILL_EVERY, Trouble};

/// How long everybody together gets to end in order.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs for as long as the arguments say.
pub(crate) async fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let runtime = Runtime::builder().seed(args.seed).start().await?;
    let clock = runtime.clock();
    let handled = Arc::new(Handled::default());
    let rerouting = if args.no_reroute { Rerouting::Off } else { Rerouting::On };
    let ward = Ward { clock, handled: handled.clone() };
    let (pool, way) = role::open(&runtime, ward, rerouting).await?;
    let mut trouble = Trouble::new(&runtime, pool, args.seed);

    let begin = clock.now();
    let (trouble_begins, end) = (begin + args.base(), begin + args.all());
    let seen = Arc::new(Seen::new(trouble_begins));
    let askers = Askers::begin(args, clock, begin, &way, &seen);
    let progress = Progress::new(args);
    let mut next = begin;
    loop {
        next += KILL_EVERY;
        if next >= end {
            break;
        }
        clock.sleep_until(next + trouble.delay()).await;
        match (next > trouble_begins, args.all_down) {
            (false, _) => {}
            (true, false) => trouble.kill_one(),
            (true, true) if trouble.kills == 0 => {
                trouble.stop_all().await?;
                trouble.kills = role::REPLICAS as u64;
                seen.all_are_down(clock.now());
            }
            (true, true) => {}
        }
        trouble.look();
        progress.at(next - begin, seen.asks(Part::Base) + seen.asks(Part::Trouble), trouble.kills);
    }
    askers.end().await;
    trouble.look();
    progress.end();

    let restarts = trouble.restarts();
    for path in runtime.shutdown(SHUTDOWN).await.late {
        eprintln!("route_around: {path} did not end in time");
    }
    Ok(Report::new(args, &seen, &handled, &trouble, restarts))
}
