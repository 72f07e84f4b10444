//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::boundary::Boundary;
use crate::sabotage::Sabotage;

/// Kills a bank of durable actors with SIGKILL, many times, and judges from the outside what became of its promises.
///
/// The bank runs in a child process: transfers between accounts, orders whose steps call a server, cases that are handed
/// over, reminders. This process is its client, its server and its judge: it writes down what was accepted, counts each
/// call by key, and after each kill reads the store again. Ends with 0 when all promises were kept, and with 1 at the
/// first that was not.
#[derive(Clone, Debug, Parser)]
#[command(name = "crash_torture", args_override_self = true, after_help = sabotages())]
pub(crate) struct Args {
    /// How often the bank is killed. After the last kill it runs once more, to finish what is left.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) kills: u32,

    /// When it is killed.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Kills every other life at one boundary of the store: before-commit, after-commit, before-scan or after-scan; with
    /// `:N` at the N-th of the life, else at one drawn by the seed [default: boundaries and random instants].
    #[arg(long, value_name = "POINT")]
    pub(crate) at: Option<Boundary>,

    /// Breaks one promise on purpose, to show that it would be noticed; one of those below.
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) sabotage: Option<Sabotage>,

    /// How much work comes in.
    #[arg(long, value_enum, default_value_t = Load::Medium)]
    pub(crate) load: Load,

    /// Where the bank keeps its state [default: a temporary directory, removed unless a promise was broken].
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// How the end is reported on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,

    /// Runs the bank, as the child of the process that listens at the first address, with the server at the second.
    #[arg(long, value_name = "ADDR,ADDR", hide = true, value_delimiter = ',', requires = "store")]
    pub(crate) child: Vec<SocketAddr>,

    /// Which life of the bank the child is.
    #[arg(long, value_name = "N", hide = true, default_value_t = 0)]
    pub(crate) life: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A table for people.
    Text,
    /// One JSON object on the last line.
    Json,
}

/// How much work comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Each client waits 30 ms after each message.
    Small,
    /// 10 ms.
    Medium,
    /// Not at all: the bank falls behind.
    Heavy,
}

impl Load {
    pub(crate) fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Load::Small => 30,
            Load::Medium => 10,
            Load::Heavy => 0,
        })
    }
}

fn sabotages() -> String {
    let mut text = "Sabotages:".to_owned();
    for sabotage in Sabotage::value_variants() {
        let name = sabotage.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        text.push_str("\n  ");
        text.push_str(&name);
    }
    text
}
