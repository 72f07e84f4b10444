//! The parts of the benchmark: what is measured, on which sides, how, and what it must come to.

pub(crate) mod allocations; // a counting allocator
pub(crate) mod comparison; // times, interleaved, as ratios
pub(crate) mod gates; // what the figures must come to
mod greenroom_side; // the workloads on our actors
pub(crate) mod instructions; // a run of its own under callgrind
mod ractor_side; // the same on raw ractor
mod table; // figures in columns
mod tokio_side; // the same on tokio's own parts, as the floor
pub(crate) mod workload; // what is measured, and the sides
