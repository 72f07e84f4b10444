//! What waits: the bounded queue in front of an actor, its control lane, and what became of messages nobody took.

pub(crate) mod ahead;
pub(crate) mod batch;
#[cfg(test)]
mod counted;
mod dead_letters;
pub(crate) mod glance;
pub(crate) mod hand;
pub(crate) mod lanes;
pub(crate) mod line;
mod overflow;
pub(crate) mod quarantine;
pub(crate) mod queue;
#[cfg(all(test, greenroom_races))]
mod races;
mod stamps;
pub(crate) mod stored;

pub use dead_letters::{DeadLetter, DeadLetterReason, DeadLetters};
pub use lanes::StopToken;
pub(crate) use overflow::MailboxSpec;
pub use overflow::{Overflow, RoomPatience};
pub use quarantine::{QUARANTINE_MAX, Quarantined};
