//! Instructions per message: this binary, run again as a child of valgrind's callgrind.
//!
//! Two runs of one workload, one of them 100,000 messages longer; the difference is what the messages cost, without
//! the start of the program. On one thread, so that it repeats to a few digits whatever else the machine does.

use std::fmt;
use std::process::Command;

use super::table::Table;
use super::workload::{Side, Workload, on_one_thread};

/// The workloads that are counted, here and in `allocations`.
pub(crate) const COUNTED: [Workload; 2] = [Workload::Tell, Workload::Ask];

/// Messages of the shorter and of the longer run.
pub(crate) const SHORT: u64 = 20_000;
pub(crate) const LONG: u64 = 120_000;

/// One workload on one side, asked for by `--one SIDE WORKLOAD TIMES`.
pub(crate) struct MeasuredRun {
    side: Side,
    workload: Workload,
    times: u64,
}

/// The run that the command line asks for, if it asks for one.
pub(crate) fn measured_run(arguments: &[String]) -> Option<MeasuredRun> {
    let at = arguments.iter().position(|argument| argument == "--one")?;
    let [side, workload, times] = arguments.get(at + 1..at + 4)? else { return None };
    Some(MeasuredRun {
        side: Side::ALL.into_iter().find(|known| known.name() == side)?,
        workload: Workload::ALL.into_iter().find(|known| known.name() == workload)?,
        times: times.parse().ok()?,
    })
}

impl MeasuredRun {
    pub(crate) fn carry_out(&self) {
        on_one_thread(self.side, self.workload, self.times);
    }
}

/// The table, or why there is none.
pub(crate) enum Instructions {
    Counted(Table),
    Skipped(String),
}

pub(crate) fn per_message() -> Instructions {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Instructions::Skipped("valgrind is not installed".to_owned());
    }
    let title = "instructions per message (callgrind, one thread)";
    let mut table = Table::new(title, &["", "greenroom", "greenroom-open", "ractor", "tokio"]);
    for workload in COUNTED {
        let mut row = vec![workload.name().to_owned()];
        for side in Side::ALL {
            match (count(side, workload, SHORT), count(side, workload, LONG)) {
                (Ok(short), Ok(long)) => {
                    row.push(format!("{:.0}", (long as f64 - short as f64) / (LONG - SHORT) as f64));
                }
                (Err(why), _) | (_, Err(why)) => return Instructions::Skipped(why),
            }
        }
        table.row(row);
    }
    Instructions::Counted(table)
}

/// The instructions of one whole run.
fn count(side: Side, workload: Workload, times: u64) -> Result<u64, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(binary)
        .args(["--one", side.name(), workload.name(), &times.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| format!("callgrind gave no count, but said: {}", said.trim()))
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instructions::Counted(table) => table.fmt(f),
            Instructions::Skipped(why) => write!(f, "instructions per message: skipped, {why}"),
        }
    }
}
