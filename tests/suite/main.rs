//! The promises of the runtime, each with a test that is named after it.

mod breaker;
mod control;
mod drops;
mod durable;
mod durable_ends;
mod embedding;
mod failures;
mod fence;
mod handoff;
mod held;
mod ordering;
mod overflow;
mod poison;
mod progress;
mod properties;
mod protection;
mod recovery;
mod references;
mod regressions;
mod regressions_durable;
mod replies;
mod rings;
mod shutdown;
mod steps;
mod support;
mod timers;
