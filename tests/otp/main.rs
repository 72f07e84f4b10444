//! OTP's own suite for its supervisor, case by case and under the same names; `docs/otp-conformance.md` lists all 93.
//! Beside it random histories, held against a model of OTP's rules. In paused time unless a case says otherwise.

mod administration;
mod case;
mod common;
mod counting;
mod hanging;
mod histories;
mod kept;
mod model;
mod reports;
mod restart;
mod restart_simple;
mod scale;
mod significant;
mod specs;
mod start;
mod stop;
mod termination;
mod trees;
mod upgrade;

#[path = "../supervision/support.rs"]
#[expect(dead_code, reason = "shared with `tests/supervision`, which uses the rest")]
mod support;
