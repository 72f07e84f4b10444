//! A role of three replicas keeps its promises while one of them is killed every 200 ms.
//!
//! A thousand askers ask at a steady rate, whatever the answers do. Each replica takes 120 ms to come back; meanwhile the
//! pool passes it over, and what had waited there moves to the others. With `--all-down` all replicas are stopped and
//! the declared fallback answers; with `--no-reroute` a plain sender takes the replicas in turns, and misses the bars.
//! Where to read on: `role` is the pool with its fallback, `askers` the load, `judge` counts from outside.

mod args; // the command line
mod askers; // the load, on an open schedule
#[path = "../shared/dice.rs"]
mod dice; // seeded numbers
mod histogram; // the times as a line of bars
mod judge; // what was asked, answered, handled, and the bars
mod progress; // the bar on the terminal
mod report; // the end, for people and for programs
mod role; // the replicas, their fallback, and the way to them
mod run; // one run, from the arguments to the report
#[path = "../shared/times.rs"]
mod times; // how long things took
mod trouble; // kills, or stops

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, ReportFormat};

/// A bar was missed, or the run broke off. (Wrong usage is 2, says clap.)
const MISSED: u8 = 1;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run::run(&args).await {
        Ok(report) => {
            match args.report {
                ReportFormat::Text => println!("{report}"),
                ReportFormat::Json => println!("{}", report.to_json()),
            }
            if report.missed().is_empty() { ExitCode::SUCCESS } else { MISSED.into() }
        }
        Err(error) => {
            eprintln!("route_around: {error}");
            MISSED.into()
        }
    }
}
