//! The times of all sides beside one another, in rounds.
//!
//! Criterion measures one group after the other. On a shared machine whose speed changes by the minute (by 2x, see
//! `docs/performance.md`) a ratio of two such figures says more about the minute than about the code. So each round
//! here measures every workload on every side within a second or so, in an order that is shuffled anew; ratios are
//! taken within a round, and what is reported is their median over the rounds.

use std::fmt;

use super::table::Table;
use super::workload::{Side, Workload, on_two_threads};

/// Nanoseconds for each workload and side; one entry per round.
pub(crate) struct Comparison {
    measured: Vec<(Workload, Side, Vec<f64>)>,
    rounds: usize,
}

impl Comparison {
    pub(crate) fn measure(rounds: usize) -> Self {
        let mut measured: Vec<(Workload, Side, Vec<f64>)> = Workload::ALL
            .into_iter()
            .flat_map(|workload| Side::ALL.map(|side| (workload, side, Vec::new())))
            .filter(|(workload, side, _)| workload.runs_on(*side))
            .collect();
        let mut dice = Dice(0x5eed);
        for round in 0..=rounds {
            for at in dice.shuffled(measured.len()) {
                let (workload, side, figures) = &mut measured[at];
                let times = workload.times();
                let took = on_two_threads(*side, *workload, times);
                // The first round only warms up: code pages, the allocator's arenas.
                if round > 0 {
                    figures.push(took.as_nanos() as f64 / times as f64);
                }
            }
        }
        Comparison { measured, rounds }
    }

    /// The median over the rounds, in nanoseconds; `None` where a workload does not run on a side.
    fn nanoseconds(&self, workload: Workload, side: Side) -> Option<f64> {
        self.figures(workload, side).map(|figures| median(figures.to_vec()))
    }

    /// How long `side` takes for what `other` takes 1 for: the median of the ratios within each round.
    pub(crate) fn ratio(&self, workload: Workload, side: Side, other: Side) -> Option<f64> {
        let pairs = self.figures(workload, side)?.iter().zip(self.figures(workload, other)?);
        Some(median(pairs.map(|(ours, theirs)| ours / theirs).collect()))
    }

    fn figures(&self, workload: Workload, side: Side) -> Option<&[f64]> {
        let found = self.measured.iter().find(|(w, s, _)| (*w, *s) == (workload, side));
        found.map(|(.., figures)| figures.as_slice())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "time: nanoseconds, and in brackets the ratio to ractor (medians of {} interleaved rounds, two workers)",
            self.rounds
        );
        let mut table = Table::new(title, &["", "greenroom", "greenroom-open", "ractor", "tokio"]);
        for workload in Workload::ALL {
            let cell =
                |side| match (self.nanoseconds(workload, side), self.ratio(workload, side, Side::Ractor)) {
                    (Some(time), Some(ratio)) => format!("{time:.0} ({ratio:.2})"),
                    _ => "-".to_owned(),
                };
            let mut row = vec![workload.name().to_owned()];
            row.extend(Side::ALL.map(cell));
            table.row(row);
        }
        table.fmt(f)
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Enough chance to shuffle an order, and the same in each run.
struct Dice(u64);

impl Dice {
    /// 0 to `len`, in a new order.
    fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for at in (1..len).rev() {
            // xorshift64 (Marsaglia 2003).
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(at, (self.0 % (at as u64 + 1)) as usize);
        }
        order
    }
}
