//! Agents: actors that think with a model, in turns that a crash, a cancel or a person who takes a week cannot break.
//!
//! No base class: any actor calls [`ThinkExt::think`] in a handler, with a definition and a conversation of its state.
//! What to do next is a [pure function](turn::next); the shell around it makes each call a step. `docs/agents.md` is the
//! guide.

pub mod assistant; // a ready agent: one conversation per customer
mod call_off; // calling a turn off while it runs
mod conversation; // what is kept between messages
mod define; // how a definition is made
mod definition; // what an agent is
mod form; // JSON that must be of a type
mod guardrail; // what may come in and go out
mod limits; // bounds of a turn
mod output; // provisional output
mod pending; // what waits for a person
mod share; // what another agent gets to see
mod think; // the shell: steps, in the order that the pure function says
mod thinker; // who makes the attempts at an answer
mod thought; // what comes of a turn
mod turn; // what to do next
mod window; // how long a history may get

pub use call_off::CallOff;
pub use conversation::{Conversation, Spent};
pub use define::{AgentBuilder, DefinitionError};
pub use definition::{AgentDefinition, Fingerprint};
pub use guardrail::{Guardrail, Verdict};
pub use limits::{Limit, Limits};
pub use output::OutputEvent;
pub use pending::{Pending, PendingError, PendingKind};
pub use share::HistoryPolicy;
pub use think::{ThinkExt, ToolEnded};
pub use thinker::{ThinkCall, ThinkFuture, Thinker};
pub use thought::{Answer, Input, Refusal, Side, Thought};
pub use window::Window;

/// At most `bytes` bytes of `text`, without cutting a character.
fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
