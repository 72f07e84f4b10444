//! The report at the end: a table for people, or one JSON object.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::intake::Ended;
use crate::judge::Judgement;
use crate::tally::JobFigures;
use crate::team::Job;
use crate::times::Percentiles;

/// Most tickets named in one line.
const NAMED_MAX: usize = 10;

/// What there is to say about a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) judgement: Judgement,
    pub(crate) ended: Ended,
    pub(crate) jobs: Vec<(Job, JobFigures, Restarts)>,
    /// Of one ticket, from its arrival to the out file.
    pub(crate) times: Percentiles,
    pub(crate) restarts: Restarts,
    pub(crate) dead_letters: u64,
    /// Tickets that an earlier run had left open in the store.
    pub(crate) resumed: u64,
    /// For the reader: where the answers are, and whether they stay there.
    pub(crate) out: String,
    pub(crate) stays: Stays,
}

/// Lives after the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restarts(pub(crate) u64);

/// Whether store and out file outlive the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    Kept,
    Temporary,
}

/// The JSON report. Totals are for the store; crashes, restarts and percentiles for this run.
#[derive(Serialize)]
struct JsonReport<'a> {
    tickets: u64,
    malformed: u64,
    resolved: u64,
    escalated: u64,
    quarantined: u64,
    lost: usize,
    resolved_twice: usize,
    crashes: u64,
    restarts: u64,
    handoffs: u64,
    rerouted: u64,
    dead_letters: u64,
    resumed: u64,
    left_open: u64,
    disputed: usize,
    unreadable: u64,
    p50_ms: f64,
    p99_ms: f64,
    out: &'a str,
}

impl Report {
    fn crashes(&self) -> u64 {
        self.jobs.iter().map(|(_, figures, _)| figures.crashes).sum()
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let judged = &self.judgement;
        let report = JsonReport {
            tickets: judged.tickets,
            malformed: judged.malformed,
            resolved: judged.resolved,
            escalated: judged.escalated,
            quarantined: judged.quarantined,
            lost: judged.lost.len(),
            resolved_twice: judged.resolved_twice.len(),
            crashes: self.crashes(),
            restarts: self.restarts.0,
            handoffs: judged.handoffs,
            rerouted: judged.rerouted,
            dead_letters: self.dead_letters,
            resumed: self.resumed,
            left_open: judged.left_open,
            disputed: judged.disputed.len(),
            unreadable: judged.unreadable,
            p50_ms: self.times.p50_ms,
            p99_ms: self.times.p99_ms,
            out: &self.out,
        };
        serde_json::to_string(&report).expect("numbers and a string have a JSON form")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["role", "messages", "handoffs", "crashes", "restarts", "p50 ms", "p99 ms"]);
        for (job, figures, restarts) in &self.jobs {
            table.add_row([
                job.name().to_owned(),
                figures.messages.to_string(),
                figures.handoffs.to_string(),
                figures.crashes.to_string(),
                restarts.0.to_string(),
                format!("{:.1}", figures.times.p50_ms),
                format!("{:.1}", figures.times.p99_ms),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { judgement: judged, times, out, .. } = self;
        writeln!(f, "{}\n", self.table())?;
        writeln!(
            f,
            "{} tickets: {} resolved, {} escalated to a person, {} quarantined, {} lost, {} finished twice",
            judged.tickets,
            judged.resolved,
            judged.escalated,
            judged.quarantined,
            judged.lost.len(),
            judged.resolved_twice.len()
        )?;
        writeln!(
            f,
            "{} handoffs, {} rerouted, {} crashes, {} restarts, {} dead letters, {} taken up from an earlier run",
            judged.handoffs,
            judged.rerouted,
            self.crashes(),
            self.restarts.0,
            self.dead_letters,
            self.resumed
        )?;
        writeln!(f, "a ticket took {:.0} ms (p50), {:.0} ms (p99)", times.p50_ms, times.p99_ms)?;
        let judged_by = "counted from the input, the out file and the store, after everything had ended";
        writeln!(f, "({judged_by})\n")?;
        let named = [
            ("lost", &judged.lost),
            ("finished twice", &judged.resolved_twice),
            ("owner disputed", &judged.disputed),
        ];
        for (what, tickets) in named {
            if !tickets.is_empty() {
                let more = if tickets.len() > NAMED_MAX { " …" } else { "" };
                let named: Vec<&str> = tickets.iter().take(NAMED_MAX).map(String::as_str).collect();
                writeln!(f, "{what}: {}{more}", named.join(" "))?;
            }
        }
        match self.ended {
            Ended::AllServed => {}
            Ended::Stalled => writeln!(f, "it stalled: no ticket was finished for too long")?,
            Ended::Interrupted => writeln!(f, "it was interrupted")?,
        }
        next_steps(f, out, self.stays, judged.lost.len())
    }
}

fn next_steps(f: &mut fmt::Formatter<'_>, out: &str, stays: Stays, left: usize) -> fmt::Result {
    const RUN: &str = "cargo run --release --example support_desk --";
    writeln!(f, "Next steps:")?;
    match stays {
        Stays::Kept => {
            writeln!(f, "  the answers       less {out}")?;
            writeln!(f, "  run it again      the same command finishes what is left: {left} tickets")?;
        }
        Stays::Temporary => {
            writeln!(f, "  keep the answers  {RUN} --store desk-store --out finished.jsonl")?;
            writeln!(f, "  kill it           kill -9 it in the middle, and run the same command again")?;
        }
    }
    writeln!(f, "  let actors crash  {RUN} --crash-rate 0.1 --seed 7")?;
    write!(
        f,
        "  watch it          {RUN} --think-ms 400 --metrics 127.0.0.1:9464; curl 127.0.0.1:9464/metrics"
    )
}
