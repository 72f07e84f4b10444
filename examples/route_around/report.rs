//! The report at the end: tables for people, or one JSON object; and whether the bars were met.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::args::Args;
use crate::histogram::{bars, bounds};
use crate::judge::{Handled, Part, Seen, WhileDown};
use crate::times::{Percentiles, Times};
use crate::trouble::Trouble;

/// With nobody of the role up, the fallback has answered within this time: the supervision period. It is far more than
/// the fallback takes, which is asked at once; it is the bound that an asker can plan with.
const SUPERVISION_PERIOD: Duration = Duration::from_secs(1);
/// At least this share of the asks is answered, in thousandths.
const OK_SHARE_MILLE: u64 = 999;
/// The 99th percentile may be this much above that of the base.
const ABOVE_BASE_MS: f64 = 50.0;

/// What there is to say about a run. `asks` to `rerouted` count the time of the trouble; the base has its own figures.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    mode: &'static str,
    asks: u64,
    ok: u64,
    typed_errors: u64,
    /// Neither reply nor typed error, in the whole run.
    lost: u64,
    /// Questions that were handled to the end twice, in the whole run.
    doubled: u64,
    kills: u64,
    restarts: u64,
    rerouted: usize,
    fallback_answers: u64,
    base_p99_ms: f64,
    p99_ms: f64,
    base_p50_ms: f64,
    p50_ms: f64,
    base_max_ms: f64,
    max_ms: f64,
    base_asks: u64,
    base_ok: u64,
    /// Asks that were planned when all replicas were stopped, and how many of them the fallback has answered.
    down_asks: u64,
    down_fallback_answers: u64,
    down_slowest_ms: f64,
    errors: BTreeMap<&'static str, u64>,
    missed: Vec<&'static str>,
    seconds: u32,
    askers: u32,
    rate: u32,
    seed: u64,
    #[serde(skip)]
    bars: [String; 2],
}

impl Report {
    pub(crate) fn new(args: &Args, seen: &Seen, handled: &Handled, trouble: &Trouble, restarts: u64) -> Self {
        let (base, ends) = (seen.ends(Part::Base), seen.ends(Part::Trouble));
        let [base_asks, asks] = [Part::Base, Part::Trouble].map(|part| seen.asks(part));
        let [base_times, times] = [Part::Base, Part::Trouble].map(|part| seen.times(part));
        let [base_percentiles, percentiles] = [base_times, times].map(Times::percentiles);
        let [base_max_ms, max_ms] = [base_times, times].map(longest_ms);
        let WhileDown { asks: down_asks, by_fallback, slowest } = seen.while_down();
        let accounted = base.ok + base.typed_errors() + ends.ok + ends.typed_errors();
        let Percentiles { p50_ms, p99_ms } = percentiles;
        let mut report = Report {
            mode: match args {
                Args { all_down: true, .. } => "all-down",
                Args { no_reroute: true, .. } => "no-reroute",
                _ => "kills",
            },
            asks,
            ok: ends.ok,
            typed_errors: ends.typed_errors(),
            lost: base_asks + asks - accounted,
            doubled: handled.doubled(),
            kills: trouble.kills,
            restarts,
            rerouted: trouble.rerouted,
            fallback_answers: ends.by_fallback,
            base_p99_ms: base_percentiles.p99_ms,
            p99_ms,
            base_p50_ms: base_percentiles.p50_ms,
            p50_ms,
            base_max_ms,
            max_ms,
            base_asks,
            base_ok: base.ok,
            down_asks,
            down_fallback_answers: by_fallback,
            down_slowest_ms: slowest.as_secs_f64() * 1_000.0,
            errors: ends.errors,
            missed: Vec::new(),
            seconds: args.seconds,
            askers: args.askers,
            rate: args.rate,
            seed: args.seed,
            bars: [base_times, times].map(bars),
        };
        report.missed = report.bars().into_iter().filter(|bar| !bar.met).map(|bar| bar.name).collect();
        report
    }

    /// The bars that were missed.
    pub(crate) fn missed(&self) -> &[&'static str] {
        &self.missed
    }

    fn bars(&self) -> Vec<Bar> {
        let bar = |name, met, text| Bar { name, met, text };
        let mut bars = vec![
            bar("lost", self.lost == 0, format!("{} asks had no end", self.lost)),
            bar("doubled", self.doubled == 0, format!("{} questions were handled twice", self.doubled)),
            // Nothing asked, nothing killed: nothing shown.
            bar("kills", self.kills > 0 && self.asks > 0, format!("{} replicas were taken down", self.kills)),
            bar(
                "base",
                self.base_ok == self.base_asks && self.base_asks > 0,
                format!("{} of {} asks were answered before that", self.base_ok, self.base_asks),
            ),
        ];
        if self.mode == "all-down" {
            // What waited at a replica that was told to stop has a typed error. All that came later is to be answered.
            let all = self.down_asks > 0 && self.down_fallback_answers == self.down_asks;
            let text = format!("the fallback answered {} of {}", self.down_fallback_answers, self.down_asks);
            bars.push(bar("fallback", all, format!("{text} asks while all were down")));
            let in_time = self.down_slowest_ms <= SUPERVISION_PERIOD.as_secs_f64() * 1_000.0;
            let text = format!("within {:.1} ms, of {SUPERVISION_PERIOD:?}", self.down_slowest_ms);
            bars.push(bar("period", in_time, text));
        } else {
            let share = 100.0 * self.ok as f64 / self.asks.max(1) as f64;
            let enough = self.ok * 1_000 >= self.asks * OK_SHARE_MILLE;
            bars.push(bar("ok", enough, format!("{share:.3} % were answered, of 99.9 %")));
            let above = self.p99_ms - self.base_p99_ms;
            let text = format!("the 99th percentile is {above:+.1} ms from the base, of +{ABOVE_BASE_MS} ms");
            bars.push(bar("p99_ms", above <= ABOVE_BASE_MS, text));
        }
        bars
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings have a JSON form")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "asks", "answered", "by fallback", "errors", "p50 ms", "p99 ms", "max ms"]);
        let ms = |time: f64| format!("{time:.1}");
        let trouble = match self.mode {
            "all-down" => format!("{} stopped", self.kills),
            _ => format!("{} kills", self.kills),
        };
        for (name, counts, times) in [
            (
                "before".to_owned(),
                [self.base_asks, self.base_ok, 0, self.base_asks - self.base_ok],
                [self.base_p50_ms, self.base_p99_ms, self.base_max_ms],
            ),
            (
                trouble,
                [self.asks, self.ok, self.fallback_answers, self.typed_errors],
                [self.p50_ms, self.p99_ms, self.max_ms],
            ),
        ] {
            let counts = counts.iter().map(ToString::to_string);
            table.add_row([name].into_iter().chain(counts).chain(times.map(ms)));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// One of the bars, and whether it was met.
struct Bar {
    name: &'static str,
    met: bool,
    text: String,
}

fn longest_ms(times: &Times) -> f64 {
    times.sorted_micros().last().map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.table())?;
        writeln!(f, "ms       {}", bounds())?;
        writeln!(f, "before   {}", self.bars[0])?;
        writeln!(f, "after    {}\n", self.bars[1])?;
        writeln!(f, "{} restarts, {} messages moved to a colleague", self.restarts, self.rerouted)?;
        for (name, count) in &self.errors {
            writeln!(f, "{count} asks were told: {name}")?;
        }
        writeln!(f)?;
        for bar in self.bars() {
            writeln!(f, "{} {}", if bar.met { "✓" } else { "✗" }, bar.text)?;
        }
        writeln!(f, "(counted by the askers and the handlers, from the instant each ask was planned for)\n")?;
        const RUN: &str = "cargo run --release --example route_around --";
        writeln!(f, "Next steps:")?;
        writeln!(f, "  stop them all           {RUN} --all-down")?;
        writeln!(f, "  without routing around  {RUN} --no-reroute")?;
        writeln!(f, "  more load               {RUN} --rate {} --seed {}", self.rate * 2, self.seed + 1)?;
        write!(f, "  read on                 examples/route_around/role.rs, docs/guarantees.md (section 12)")
    }
}
