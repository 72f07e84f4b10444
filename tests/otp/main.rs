//! OTP's own suite for its supervisor, case by case and under the same names; `docs/otp-conformance.md` lists all 93.
//! Beside it random histories, held against a model of OTP's rules. In paused time unless a case says otherwise.

mod histories;
mod model;
