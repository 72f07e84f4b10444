//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A role of three replicas keeps its promises while one of them is killed every 200 ms.
///
/// Many askers ask at a steady rate. First, for a quarter of the time, nothing happens: the base. Then the kills begin.
/// The bars: nothing lost, nothing handled twice, 99.9 % answered, and the 99th percentile at most 50 ms above the base.
/// Ends with 0 when they are met, and with 1 when one is missed.
#[derive(Clone, Debug, Parser)]
#[command(name = "route_around", args_override_self = true)]
pub(crate) struct Args {
    /// How long it takes in all, at least 4: the base is a quarter of it, and at least 3.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(4..=3_600))]
    pub(crate) seconds: u32,

    /// How many ask. Each has at most one ask under way.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) askers: u32,

    /// How many asks a second all of them make together. Two replicas carry the default easily.
    #[arg(long, value_name = "R", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,

    /// Who is killed when, and who asks when.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Instead of the kills, all replicas are stopped: the fallback must answer everything, within a second.
    #[arg(long, conflicts_with = "no_reroute")]
    pub(crate) all_down: bool,

    /// A plain sender takes the replicas in turns, and nothing moves: to show that the bars can be missed.
    #[arg(long)]
    pub(crate) no_reroute: bool,

    /// How the end is reported on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Tables for people.
    Text,
    /// One JSON object on the last line.
    Json,
}

impl Args {
    pub(crate) fn all(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// How long nothing happens.
    pub(crate) fn base(&self) -> Duration {
        (self.all() / 4).max(Duration::from_secs(3))
    }
}
