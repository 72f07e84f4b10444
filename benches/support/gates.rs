//! What the figures must come to. Loose where they are times, exact where they are counts.

use std::fmt;

use super::allocations::Allocations;
use super::comparison::Comparison;
use super::workload::{Side, Workload};

/// How one gate came out.
pub(crate) struct GateVerdict {
    what: &'static str,
    measured: Option<f64>,
    at_most: f64,
    pub(crate) passed: bool,
}

pub(crate) fn check(times: &Comparison, allocations: &Allocations) -> Vec<GateVerdict> {
    let to_ractor = |workload| times.ratio(workload, Side::Declared, Side::Ractor);
    vec![
        gate("tell, declared inbox: time, as a ratio to ractor", to_ractor(Workload::Tell), 0.6),
        gate("tell, declared inbox: allocations", allocations.of(Workload::Tell, Side::Declared), 0.05),
        gate("ask with a deadline: time, as a ratio to ractor's `call`", to_ractor(Workload::Ask), 1.0),
    ]
}

/// A figure that is missing misses its gate.
fn gate(what: &'static str, measured: Option<f64>, at_most: f64) -> GateVerdict {
    GateVerdict { what, measured, at_most, passed: measured.is_some_and(|measured| measured <= at_most) }
}

impl fmt::Display for GateVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GateVerdict { what, measured, at_most, passed } = self;
        let verdict = if *passed { "PASS" } else { "FAIL" };
        match measured {
            Some(measured) => write!(f, "{verdict}  {what}: {measured:.3}, at most {at_most}"),
            None => write!(f, "{verdict}  {what}: not measured, at most {at_most}"),
        }
    }
}
