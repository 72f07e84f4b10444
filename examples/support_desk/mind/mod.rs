//! Thinking: what a role looks up, what it asks the model, and how the answer is read.

mod records; // the tools: orders and knowledge base
mod script; // the scripted model that stands in for a real one
mod thought; // one question to the model, and its verdict

pub(crate) use records::Records;
pub(crate) use script::scripted_model;
pub(crate) use thought::{Verdict, think};
