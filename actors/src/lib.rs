//! Greenroom's floor 2: what agents do. For now: roles, handoff between them, and the context they share.

mod hand_off;
mod handoff;
mod roles;
mod transcript;

pub use hand_off::HandOffExt;
pub use handoff::{
    Decision, Fallback, Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload, Role, RoleError,
    TooManyHops,
};
pub use roles::{Pick, Roles};
pub use transcript::{ContextPolicy, Entry, Transcript};
