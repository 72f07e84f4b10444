//! Whether supervision keeps OTP's promises, and those we add to them: trees of real actors, in paused time.

mod backoff;
mod blocked;
mod escalation;
mod intensity;
mod listing;
mod mailboxes;
mod nested;
mod restarts;
mod shutdown;
mod start;
mod storm;
mod strategies;
#[expect(dead_code, reason = "shared with `tests/otp`, which uses the rest")]
mod support;
