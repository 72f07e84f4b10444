//! What durability costs, beside a bare loop that appends to a file and syncs it. (Beside one that overwrites a file of fixed
//! length for comparison: that is cheaper, and no gate.)
//!
//! ```text
//! cargo bench --bench durability              some minutes
//! cargo bench --bench durability -- --quick   fewer rounds
//! ```
//!
//! All times are ratios of medians from rounds that alternate in one run on one disk (the folder of the system for
//! temporary files, or `TMPDIR`). At the end the gates are checked, and the exit code is 1 if one is missed.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock and owns its tasks")]

#[path = "durable/bare.rs"]
mod bare; // a file, and the loop that appends to it and syncs it
#[path = "durable/clerk.rs"]
mod clerk; // the actors that are measured
#[path = "support/table.rs"]
mod table; // figures in columns

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bare::Bare;
use clerk::Office;
use table::Table;

/// How much is measured.
struct Size {
    rounds: usize,
    /// Calls of one actor in a round.
    calls: usize,
    /// Calls of each of many actors in a round.
    each: usize,
    /// Steps of which the processor's time is taken.
    steps: usize,
}

/// The bytes of one record: a message, or a state.
const RECORD_LEN: usize = 1_024;
const MANY: usize = 1_000;
/// Records that the bare loop writes before each sync, to compare with many actors.
const GROUP: usize = 100;

type Verdict = (bool, String);

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let size = if quick {
        Size { rounds: 5, calls: 300, each: 3, steps: 5_000 }
    } else {
        Size { rounds: 11, calls: 1_000, each: 5, steps: 20_000 }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let verdicts = runtime.expect("a tokio runtime").block_on(measure(&size));
    verdicts.iter().for_each(|(passed, text)| println!("{}  {text}", if *passed { "PASS" } else { "FAIL" }));
    if verdicts.iter().all(|(passed, _)| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(size: &Size) -> Vec<Verdict> {
    let mut verdicts = one_actor(size).await;
    verdicts.push(many_actors(size).await);
    verdicts.push(processor(size).await);
    verdicts
}

/// One actor that is called again and again: each flush beside one sync of the bare loop.
async fn one_actor(size: &Size) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bare = Bare::new(folder.path(), size.calls);
    let office = Office::open(folder.path(), 1).await;
    let kinds = [clerk::Call::Tell, clerk::Call::Ask, clerk::Call::Step, clerk::Call::Snapshot];
    let (mut syncs, mut overwrites) = (Vec::new(), Vec::new());
    let (mut times, mut flushes) = ([const { Vec::new() }; 4], [0; 4]);
    for _ in 0..size.rounds {
        for (at, kind) in kinds.into_iter().enumerate() {
            syncs.push(per(timed(|| bare.append(size.calls, 1)), size.calls));
            overwrites.push(per(timed(|| bare.overwrite(size.calls, 1)), size.calls));
            let before = office.flushes();
            let begun = Instant::now();
            for _ in 0..size.calls {
                office.call(0, kind).await;
            }
            times[at].push(per(begun.elapsed(), size.calls));
            office.rest().await;
            flushes[at] += office.flushes() - before;
        }
    }
    let sync = median(syncs);
    let mut table = Table::new(
        "one actor, one call after the other",
        &["", "us a call", "flushes a call", "x sync a flush"],
    );
    table.row(vec!["bare loop".into(), micros(sync), "1".into(), "1.00".into()]);
    table.row(vec!["overwriting".into(), micros(median(overwrites)), "1".into(), String::new()]);
    let mut verdicts = Vec::new();
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
    let calls = (size.rounds * size.calls) as f64;
    for ((kind, times), flushes) in kinds.into_iter().zip(times).zip(flushes) {
        let time = median(times);
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
        let flushes = flushes as f64 / calls;
        let ratio = time.as_secs_f64() / sync.as_secs_f64() / flushes;
        table.row(vec![format!("{kind:?}"), micros(time), format!("{flushes:.2}"), format!("{ratio:.2}")]);
        let text = format!("{kind:?}: {ratio:.2} times the bare loop a flush, at most 2.5");
        verdicts.push((ratio <= 2.5, text));
        let most = kind.flushes_at_most();
        let text = format!("{kind:?}: {flushes:.2} flushes, at most {most:.0}");
        verdicts.push((flushes <= most + 0.01, text));
    }
    println!("\n{table}\n");
    running_ahead(size, &office).await;
    office.close().await;
    verdicts
}

/// One actor that many ask at a time: with each commit waited for, and running ahead. No gate.
async fn running_ahead(size: &Size, office: &Office) {
    const CALLERS: usize = 64;
    let (mut times, mut flushes) = ([Vec::new(), Vec::new()], [0; 2]);
    for _ in 0..size.rounds {
        for (at, is_ahead) in [false, true].into_iter().enumerate() {
            let before = office.flushes();
            let begun = Instant::now();
            office.crowd(is_ahead, CALLERS, size.calls / CALLERS * CALLERS).await;
            times[at].push(per(begun.elapsed(), size.calls / CALLERS * CALLERS));
            flushes[at] += office.flushes() - before;
        }
    }
    let title = format!("one actor, {CALLERS} that ask at a time");
    let mut table = Table::new(title, &["", "us a message", "messages/s", "flushes a message"]);
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
    let calls = (size.rounds * (size.calls / CALLERS * CALLERS)) as f64;
    for ((name, times), flushes) in ["one by one", "running ahead"].into_iter().zip(times).zip(flushes) {
        let time = median(times);
        #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
        let flushes = flushes as f64 / calls;
        let a_second = format!("{:.0}", 1.0 / time.as_secs_f64());
        table.row(vec![name.into(), micros(time), a_second, format!("{flushes:.2}")]);
    }
    println!("{table}\n");
}

/// Many actors at a time, whose commits share their flushes, beside the bare loop with groups of records.
///
/// What is measured are asks from outside. Each is two records of a kilobyte, one behind the other, for the message is on
/// disk before it is handled: the message that is accepted, and the state after it. So the time of a call is divided by
/// two, and beside it stand two records of the bare loop. The time of the whole call is printed too, beside one record.
/// The writer makes its groups itself, larger ones than the bare loop has for the gate; the bare loop with groups as large
/// as those is printed for comparison.
async fn many_actors(size: &Size) -> Verdict {
    let folder = tempfile::tempdir().expect("a folder");
    let calls = MANY * size.each;
    let mut bare = Bare::new(folder.path(), 2 * calls);
    let office = Office::open(folder.path(), MANY).await;
    let (mut bare_times, mut times, mut groups) = (Vec::new(), Vec::new(), 0);
    office.all_call(1).await; // so that each has its first state behind it
    for _ in 0..size.rounds {
        // A call is two records: that it was accepted, and what came of it.
        bare_times.push(per(timed(|| bare.append(2 * calls, GROUP)), 2 * calls));
        let before = office.flushes();
        let begun = Instant::now();
        office.all_call(size.each).await;
        times.push(per(begun.elapsed(), 2 * calls));
        groups += office.flushes() - before;
    }
    let group = 2 * calls * size.rounds / usize::try_from(groups.max(1)).unwrap_or(usize::MAX);
    let grouped = (0..size.rounds).map(|_| per(timed(|| bare.append(2 * calls, group.max(1))), 2 * calls));
    let grouped = median(grouped.collect());
    let (bare, time) = (median(bare_times), median(times));
    let ratio = time.as_secs_f64() / bare.as_secs_f64();
    let mut table =
        Table::new(format!("{MANY} actors at a time"), &["", "us a record", "records a flush", "ratio"]);
    table.row(vec!["bare loop".into(), micros(bare), GROUP.to_string(), "1.00".into()]);
    table.row(vec!["greenroom".into(), micros(time), group.to_string(), format!("{ratio:.2}")]);
    let whole = 2.0 * ratio;
    table.row(vec!["an ask, two of them".into(), micros(2 * time), group.to_string(), format!("{whole:.2}")]);
    let of_grouped = grouped.as_secs_f64() / bare.as_secs_f64();
    table.row(vec![
        "bare, larger groups".into(),
        micros(grouped),
        group.to_string(),
        format!("{of_grouped:.2}"),
    ]);
    println!("{table}\n");
    office.close().await;
    (ratio <= 4.0, format!("{MANY} actors: {ratio:.2} times the bare loop a record, at most 4"))
}

/// The processor's time that a step takes: calls with a step, less as many without.
async fn processor(size: &Size) -> Verdict {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), MANY).await;
    let rounds = size.steps / MANY;
    office.all_call(1).await;
    let mut spent = [Duration::ZERO; 2];
    for _ in 0..rounds {
        for (kind, spent) in [clerk::Call::Ask, clerk::Call::Step].into_iter().zip(&mut spent) {
            let before = processor_time();
            office.each(kind, 1).await;
            *spent += processor_time() - before;
        }
    }
    let steps = rounds * MANY;
    let [without, with] = spent.map(|spent| per(spent, steps));
    let step = with.saturating_sub(without);
    let mut table = Table::new("processor's time", &["", "us a call"]);
    table.row(vec!["without step".into(), micros(without)]);
    table.row(vec!["with a step".into(), micros(with)]);
    println!("{table}\n");
    office.close().await;
    (
        step <= Duration::from_micros(30),
        format!("a step takes {} us of the processor, at most 30", micros(step)),
    )
}

/// User and system time of this process, from the kernel's own account: 10 ms steps.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux says how long a process ran");
    let behind_name = stat.rsplit_once(')').expect("the name is in brackets").1;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number of ticks");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn per(time: Duration, count: usize) -> Duration {
    time / u32::try_from(count).expect("a count of a benchmark")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}
