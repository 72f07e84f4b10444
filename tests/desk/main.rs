//! The main job from outside: the support desk as a process that is run, crashed, killed, run again and judged.
//!
//! `DESK_KILLS=20 cargo test --test desk` kills it more often than the everyday run.

mod border; // what comes in: malformed lines, wrong usage, torn files
mod crashes; // the same answers, whatever crashes
mod harness; // the example as a process
mod judging; // the judge is able to fail
mod kills; // `kill -9`, and again
mod metrics; // the page, scraped while it runs

#[expect(dead_code, reason = "the tests need less of it than the example")]
#[path = "../../examples/support_desk/judge.rs"]
mod judge;
#[path = "../../examples/support_desk/ticket.rs"]
mod ticket;
