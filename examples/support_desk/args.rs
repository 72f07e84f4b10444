//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A support desk of supervised actors that survives crashes and `kill -9`.
///
/// Tickets flow through a front desk, a billing and a technical pool, an escalation desk and a (scripted) person.
/// Nothing is lost when actors crash (--crash-rate) or the process is killed: run it again with the same --store and
/// --out, and it finishes what was left.
#[derive(Clone, Debug, Parser)]
#[command(name = "support_desk", args_override_self = true)]
pub(crate) struct Args {
    /// Tickets as JSON lines.
    #[arg(long, value_name = "FILE", default_value = shipped_tickets(), hide_default_value = true)]
    pub(crate) input: PathBuf,

    /// Where finished tickets go, one JSON line each [default: finished.jsonl in the store's directory].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Where the actors keep their state [default: a temporary directory, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// How many tickets are in work at the same time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    pub(crate) concurrency: u16,

    /// Which crashes happen.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How likely an actor crashes over a ticket, from 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub(crate) crash_rate: f64,

    /// How many milliseconds the scripted model and the scripted person think.
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) think_ms: u32,

    /// How the end is reported on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,

    /// Serves Prometheus metrics while it runs, such as 127.0.0.1:9464 (port 0: any).
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Without a terminal: a line on stderr each time so many tickets are finished.
    #[arg(long, value_name = "N", default_value_t = 25, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) progress_every: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A table for people.
    Text,
    /// One JSON object on the last line.
    Json,
}

impl Args {
    pub(crate) fn think_time(&self) -> Duration {
        Duration::from_millis(self.think_ms.into())
    }
}

const fn shipped_tickets() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support_desk/data/tickets.jsonl")
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        Ok(_) | Err(_) => Err("not a number from 0 to 1".to_owned()),
    }
}
