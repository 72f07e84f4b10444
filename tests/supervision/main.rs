//! Whether supervision keeps OTP's promises, and those we add to them: trees of real actors, in paused time.

mod attention;
mod backoff;
mod blocked;
mod comeback;
mod crew;
mod escalation;
mod intensity;
mod listing;
mod mailboxes;
mod moves;
mod nested;
mod pool_breakers;
mod pool_rings;
mod pool_storm;
mod pools;
mod renewal;
mod restarts;
mod routes;
mod shutdown;
mod start;
mod stays;
mod storm;
mod strategies;
#[expect(dead_code, reason = "shared with `tests/otp`, which uses the rest")]
mod support;
mod tree;
mod tree_mail;
mod tree_text;
mod workers;
