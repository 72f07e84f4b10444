//! Agents: turns that no crash, cancel or wait for a person breaks, against scripted models on paused time.
#![expect(clippy::unwrap_used, reason = "a test panics where its own script is broken")]

mod crashes; // at each commit and in each call of a turn
mod customers; // one conversation each
mod loops; // tools, repairs, guardrails, bounds
mod people; // approvals, questions, call-offs
mod pins; // definitions that change
mod random; // whatever happens, no provider refuses a request
#[path = "../models/rules.rs"]
mod rules; // what providers say of a valid request
mod shared; // windows, summaries, and what another agent sees
mod support; // the desk that all of them talk to
