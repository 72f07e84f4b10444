//! What an agent thinks with: the trait that a real provider and the scripted model of tests both implement.

mod client;
mod request;
mod scripted;

pub use client::{Model, ModelError, ModelExt, ModelHandle};
pub use request::{ModelReply, ModelRequest, Speaker, Turn};
pub use scripted::ScriptedModel;
