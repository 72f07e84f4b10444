//! A support desk of supervised actors that survives crashes and `kill -9`.
//!
//! Customer tickets flow through triage, specialists and an escalation desk as typed handoffs with shared context.
//! Crash its actors with `--crash-rate 0.1`, kill the process and start it again with the same `--store` and `--out`:
//! each ticket is finished exactly once. Where to read on: `team` is the desk itself, `mind` what its members look up
//! and think, `judge` counts from outside whether anything was lost.

mod args; // the command line
mod crash; // planned crashes
#[path = "../shared/dice.rs"]
mod dice; // seeded numbers
mod intake; // brings the tickets, and waits for them
mod judge; // counts from outside what became of them
mod metrics; // the Prometheus page
mod mind; // what the roles look up and think
mod out_file; // the file of finished tickets
mod progress; // the bar
mod report; // the end, for people and for programs
mod run; // one run, from the arguments to the report
mod tally; // what the run itself counts
mod team; // the actors
mod ticket; // what a customer wrote
#[path = "../shared/times.rs"]
mod times; // how long things took

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, ReportFormat};

/// Something is lost or doubled.
const NOT_ALL_ACCOUNTED_FOR: u8 = 1;
/// Something about the command line, or what it names, is wrong; so says clap as well.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    crash::silence_planned_panics();

    match run::run(&args).await {
        Ok(report) => {
            match args.report {
                ReportFormat::Text => println!("{report}"),
                ReportFormat::Json => println!("{}", report.to_json()),
            }
            match report.judgement.is_all_accounted_for() {
                true => ExitCode::SUCCESS,
                false => NOT_ALL_ACCOUNTED_FOR.into(),
            }
        }
        Err(error) => {
            eprintln!("support_desk: {error}");
            match error {
                run::RunError::Usage(_) => USAGE.into(),
                run::RunError::Broken(_) => NOT_ALL_ACCOUNTED_FOR.into(),
            }
        }
    }
}
