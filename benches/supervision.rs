//! What supervision costs when there are many children, and how soon a crashed actor works again.
//!
//! ```text
//! cargo bench --bench supervision              100,000 children, some minutes
//! cargo bench --bench supervision -- --quick   20,000 children against 200, fewer rounds
//! ```
//!
//! All figures are ratios of medians from rounds that alternate in one run: the machine is the same for both sides. At
//! the end the gates are checked, and the exit code is 1 if one is missed.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock and owns its tasks")]

#[path = "crowd/by_hand.rs"]
mod by_hand; // crash and recovery on raw ractor, as its users write it
#[path = "crowd/children.rs"]
mod children; // the trees that are measured
#[path = "support/table.rs"]
mod table; // figures in columns

use std::process::ExitCode;
use std::time::Duration;

use table::Table;

/// How much is measured.
struct Size {
    few: usize,
    many: usize,
    rounds: usize,
    crashes: usize,
}

fn main() -> ExitCode {
    // Crashes are part of what is measured; printing each would be measured too.
    std::panic::set_hook(Box::new(|_| {}));
    let quick = std::env::args().any(|argument| argument == "--quick");
    let size = if quick {
        Size { few: 200, many: 20_000, rounds: 3, crashes: 500 }
    } else {
        Size { few: 1_000, many: 100_000, rounds: 9, crashes: 5_000 }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let verdicts = runtime.expect("a tokio runtime").block_on(measure(&size));
    verdicts.iter().for_each(|(passed, text)| println!("{}  {text}", if *passed { "PASS" } else { "FAIL" }));
    if verdicts.iter().all(|(passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(size: &Size) -> Vec<(bool, String)> {
    let mut verdicts = crowds(size).await;
    verdicts.push(one_of_many(size).await);
    recovery(size).await;
    verdicts
}

/// Start and stop of many children against few: linear, so about as many times as there are more.
///
/// Many take more memory than the caches hold, and few that start again and again find theirs where they left it. So
/// rounds of many and of few alternate strictly: both find the caches full of something else, as the first children of
/// a process do. What few take again and again is printed beside it, and so is the same number of children below many
/// supervisors, each with few: what is left there is the memory's and not the supervisor's.
async fn crowds(size: &Size) -> Vec<(bool, String)> {
    let columns = &["", "few, ms", "again, ms", "many, ms", "ratio", "to again"];
    let mut table = Table::new("start and stop of a supervisor's children", columns);
    let mut verdicts = Vec::new();
    for kind in [children::Kind::Static, children::Kind::Scattered, children::Kind::Dynamic] {
        let (mut few, mut again, mut many) = (Vec::new(), Vec::new(), Vec::new());
        // The first time costs a third more, because the system hands out the memory page by page; the few have theirs
        // after their first round, and so shall the many.
        children::start_and_stop(kind, size.many).await;
        for _ in 0..size.rounds {
            few.push(children::start_and_stop(kind.of_few(), size.few).await);
            for _ in 0..3 {
                again.push(children::start_and_stop(kind.of_few(), size.few).await);
            }
            many.push(children::start_and_stop(kind, size.many).await);
        }
        let (few, again, many) = (median(few), median(again), median(many));
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        let to_again = many.as_secs_f64() / again.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let at_most = 1.5 * size.many as f64 / size.few as f64;
        let figures =
            [millis(few), millis(again), millis(many), format!("{ratio:.0}"), format!("{to_again:.0}")];
        table.row([vec![format!("{kind:?}")], figures.to_vec()].concat());
        if kind == children::Kind::Scattered {
            continue; // for comparison
        }
        let text = format!(
            "{kind:?}: {} children against {}: {ratio:.0} times as long, at most {at_most:.0}",
            size.many, size.few
        );
        verdicts.push((ratio <= at_most, text));
    }
    println!("\n{table}\n");
    verdicts
}

/// The restart of one child of many against one of ten.
async fn one_of_many(size: &Size) -> (bool, String) {
    let (ten, crowd) = (children::Crowd::of(10).await, children::Crowd::of(size.many).await);
    let (mut of_ten, mut of_many) = (Vec::new(), Vec::new());
    for round in 0..size.crashes {
        of_ten.push(ten.crash_one(round).await);
        of_many.push(crowd.crash_one(round).await);
    }
    ten.end().await;
    crowd.end().await;
    let (of_ten, of_many) = (median(of_ten), median(of_many));
    let ratio = of_many.as_secs_f64() / of_ten.as_secs_f64();
    let mut table =
        Table::new("crash of one child to its next message", &["", "of ten, us", "of many, us", "ratio"]);
    table.row(vec!["median".to_owned(), micros(of_ten), micros(of_many), format!("{ratio:.2}")]);
    println!("{table}\n");
    let text =
        format!("restart of one of {} against one of 10: {ratio:.2} times as long, at most 1.5", size.many);
    (ratio <= 1.5, text)
}

/// Crash to next message handled, beside a supervisor that is written by hand on raw ractor.
async fn recovery(size: &Size) {
    let ours = children::Crowd::of(1).await;
    let mut theirs = by_hand::Keeper::launch().await;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..size.crashes {
        our_times.push(ours.crash_one(round).await);
        their_times.push(theirs.crash_one().await);
    }
    ours.end().await;
    theirs.end().await;
    let mut table = Table::new("crash to next message handled", &["", "p50, us", "p99, us"]);
    for (name, times) in [("greenroom", our_times), ("by hand", their_times)] {
        table.row(vec![name.to_owned(), micros(percentile(&times, 50)), micros(percentile(&times, 99))]);
    }
    println!("{table}\n");
}

fn median(times: Vec<Duration>) -> Duration {
    percentile(&times, 50)
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}
