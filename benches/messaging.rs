//! What a message, a spawn and a restart cost here, beside raw ractor and raw tokio, measured in the same run.
//!
//! ```text
//! cargo bench --bench messaging                   everything, some minutes
//! cargo bench --bench messaging -- --quick        the same with fewer rounds and shorter groups
//! cargo bench --bench messaging -- --table-only   without criterion's groups
//! ```
//!
//! Three parts: criterion's groups, for comparing one commit with the next; an interleaved comparison, for the ratios
//! ([`support::comparison`] says why criterion cannot give them); and the exact figures, instructions and allocations
//! per message. At the end the gates are checked, and the exit code is 1 if one is missed.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use support::comparison::Comparison;
use support::workload::{Side, Workload};
use support::{allocations, gates, instructions, workload};

fn main() -> ExitCode {
    // Crashes are part of what is measured; printing each would be measured too.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(measured) = instructions::measured_run(&arguments) {
        measured.carry_out();
        return ExitCode::SUCCESS;
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let quick = has("--quick");
    if !has("--table-only") {
        criterion_groups(quick);
    }
    if !has("--bench") {
        return ExitCode::SUCCESS; // started as a test: each workload ran once, that is all
    }

    let times = Comparison::measure(if quick { 7 } else { 21 });
    let instructions = instructions::per_message();
    let allocations = allocations::per_message();
    println!("\n{times}\n\n{instructions}\n\n{allocations}\n");
    let verdicts = gates::check(&times, &allocations);
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if verdicts.iter().all(|verdict| verdict.passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn criterion_groups(quick: bool) {
    let pace = Duration::from_millis(if quick { 250 } else { 1_000 });
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(pace / 4)
        .measurement_time(pace)
        .configure_from_args();
    for workload in Workload::ALL {
        let mut group = criterion.benchmark_group(workload.name());
        for side in Side::ALL.into_iter().filter(|side| workload.runs_on(*side)) {
            group.bench_function(BenchmarkId::from_parameter(side.name()), |bencher| {
                bencher.iter_custom(|times| workload::on_two_threads(side, workload, times));
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
