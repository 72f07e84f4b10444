//! Doubles for tests.
mod faulty_store;
pub use faulty_store::{Fault, FaultyStore, HeldCommits};
