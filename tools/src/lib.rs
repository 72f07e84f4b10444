//! Greenroom's floor 1: what an agent may reach outside. For now: models.

pub mod model;

pub use model::{
    Model, ModelError, ModelExt, ModelHandle, ModelReply, ModelRequest, ScriptedModel, Speaker, Turn,
};
