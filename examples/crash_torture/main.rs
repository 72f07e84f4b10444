//! Kills a bank of durable actors with SIGKILL, many times, and judges from the outside what became of its promises.
//!
//! The process starts itself again as the bank (`child`), and is its client (`clients`), the server that its steps call
//! (`server`, `calls`), its killer (`life`, `run`), and its judge (`picture`, `judge`). With `--sabotage` one promise is
//! broken on purpose, mostly by a store that breaks its contract (`early`, `bent`, `zombie`): then it must end with 1.

mod applied; // what an actor has applied: in its state
mod args; // the command line
mod bank; // the actors
mod bent; // stores that break one promise
mod boundary; // where the store can be killed
mod calls; // what the server has seen
mod child; // the bank as a process
mod clients; // who hands in the work, and their books
#[path = "../shared/dice.rs"]
mod dice; // seeded numbers
mod early; // a store that answers before it has written
mod item; // one piece of work, and its way
mod judge; // compares books and store
mod life; // one life of the bank, seen by its parent
mod outside; // the server, as the actors reach it
mod picture; // the store, read after a kill
mod progress; // the bar
mod report; // the end, for people and for programs
mod run; // all lives
mod sabotage; // promises broken on purpose
mod server; // what the steps call
mod switchboard; // where the bank calls in
#[path = "../shared/times.rs"]
mod times; // how long things took
mod told; // what the bank tells
mod verdict; // the figures
mod zombie; // a life that was replaced and still writes

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, ReportFormat};

/// A promise was broken, or the bank did not live.
const BROKEN: u8 = 1;
/// Something about the command line, or what it names, is wrong; so says clap as well.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if !args.child.is_empty() {
        return match child::live(&args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("crash_torture: the bank: {error}");
                BROKEN.into()
            }
        };
    }
    match run::run(&args).await {
        Ok(report) => {
            for trouble in &report.troubles {
                eprintln!("crash_torture: the bank said: {trouble}");
            }
            if let Some(why) = &report.broke_off {
                eprintln!("crash_torture: after {} kills: {why}", report.verdict.kills);
            }
            match args.report {
                ReportFormat::Text => println!("{report}"),
                ReportFormat::Json => println!("{}", report.to_json()),
            }
            if report.is_fine() { ExitCode::SUCCESS } else { BROKEN.into() }
        }
        Err(error) => {
            eprintln!("crash_torture: {error}");
            USAGE.into()
        }
    }
}
