//! Greenroom's floor 2: what agents do. For now: roles, handoff between them, and the context they share.

mod acceptance;
mod handoff;
mod role;
mod roles;
mod transcript;

pub use acceptance::{AcceptExt, Acceptance};
pub use handoff::{
    Decision, Fallback, Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload, TooManyHops,
};
pub use role::{Role, RoleError};
pub use roles::{HandOffExt, Roles};
pub use transcript::{ContextPolicy, Entry, Transcript};
