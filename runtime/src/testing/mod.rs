//! Doubles and probes for tests: ours and yours. Behind the feature `testing`.

mod chaos;
mod faulty_store;
mod probe;
mod raw_store;
mod test_runtime;

pub use chaos::{Chaos, seed};
pub use faulty_store::{Fault, FaultyStore, HeldCommits};
pub use probe::Probe;
pub use raw_store::{RawRecord, RawStore};
pub use test_runtime::TestRuntime;
