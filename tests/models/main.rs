//! Models over HTTP, each wire against a scripted server in this process, and histories against the providers' rules.
#![expect(
    clippy::disallowed_methods,
    reason = "the server is no part of a runtime: its tasks end with the test"
)]
#![expect(clippy::unwrap_used, reason = "a test panics where its own server or script is broken")]

mod answers; // whole and in a stream
mod background; // picked up by a later attempt
mod failures; // each with its kind, its class and its facts
mod histories; // 100,000 random ones, none refused
mod rules; // what providers say of a valid request
mod server; // the scripted server
mod wires; // what the three have in common for a test
