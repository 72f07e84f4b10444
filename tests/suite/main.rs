//! The promises of the runtime, each with a test that is named after it.

mod ordering;
mod support;
