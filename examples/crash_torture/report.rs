//! The report at the end: a table for people, or one JSON object.

use std::fmt;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};

use crate::sabotage::Sabotage;
use crate::verdict::Verdict;

/// What there is to say about a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) sabotage: Option<Sabotage>,
    /// Why the run ended before its time, if the bank did not live as it should.
    pub(crate) broke_off: Option<String>,
    /// What the bank complained of: for people who look for a cause.
    pub(crate) troubles: Vec<String>,
    pub(crate) stays: Stays,
}

/// Whether the store outlives the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stays {
    Kept(PathBuf),
    Temporary,
}

impl Report {
    /// Whether every promise was kept to the end.
    pub(crate) fn is_fine(&self) -> bool {
        self.broke_off.is_none() && self.verdict.broken().is_empty()
    }

    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.verdict).expect("numbers have a JSON form")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["must be 0", "found"]);
        for (name, count) in self.verdict.promises() {
            table.add_row([name.to_owned(), count.to_string()]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RUN: &str = "cargo run --release --example crash_torture --";
        let verdict = &self.verdict;
        writeln!(f, "{}\n", self.table())?;
        writeln!(f, "{} kills, {} messages accepted", verdict.kills, verdict.accepted)?;
        writeln!(
            f,
            "{} steps were in flight and repeated, {} were in doubt, of {} open at the kills",
            verdict.in_flight_repeated, verdict.suspected, verdict.open_at_kills
        )?;
        writeln!(
            f,
            "{} handoffs offered, {} accepted, {} refused",
            verdict.handoffs_offered, verdict.handoffs_accepted, verdict.handoffs_refused
        )?;
        writeln!(
            f,
            "{} actors came back with the process; {} reminders came in a later life than they were set in",
            verdict.came_back, verdict.outlived
        )?;
        writeln!(
            f,
            "up again after {:.0} ms (p50), {:.0} ms (p99)",
            verdict.recovery_p50_ms, verdict.recovery_p99_ms
        )?;
        writeln!(f, "(judged by the clients' books, the server's counts and the store, from outside)\n")?;
        let mut broken = verdict.broken();
        broken.extend(self.broke_off.as_deref());
        match self.sabotage {
            None if broken.is_empty() => writeln!(f, "every promise was kept\n")?,
            Some(sabotage) if broken.is_empty() => writeln!(f, "{} was not noticed\n", sabotage.name())?,
            Some(sabotage) => {
                writeln!(f, "{} was noticed: {}\n", sabotage.name(), broken.join(", "))?;
            }
            None => writeln!(f, "broken: {}\n", broken.join(", "))?,
        }
        writeln!(f, "Next steps:")?;
        if let Stays::Kept(at) = &self.stays {
            writeln!(f, "  look at the store      {}", at.display())?;
        }
        writeln!(f, "  at one boundary only   {RUN} --at after-commit")?;
        writeln!(f, "  another seed           {RUN} --kills 1000 --seed 2")?;
        write!(f, "  see that it can say no {RUN} --sabotage split-inbox-removal")
    }
}
