//! `examples/crash_torture` as a process: a few kills, and every promise that can be broken on purpose.
//!
//! The long runs are `.ci/run` (50 kills) and the example itself (`--kills 1000`).

mod judging; // what the judge counts with
mod kills; // short runs

#[expect(dead_code, reason = "the tests need less of it than the example")]
#[path = "../../examples/crash_torture/applied.rs"]
mod applied;
#[expect(dead_code, reason = "the tests need less of it than the example")]
#[path = "../../examples/crash_torture/calls.rs"]
mod calls;
#[expect(dead_code, reason = "the tests need less of it than the example")]
#[path = "../../examples/crash_torture/item.rs"]
mod item;
