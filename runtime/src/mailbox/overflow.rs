//! What happens to a message that finds the mailbox full.

use std::time::Duration;

/// What a full mailbox does with one message more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The sender waits for room, in line with the others, until its deadline; `try_tell` is refused at once.
    #[default]
    Wait,
    /// The sender is refused at once and gets its message back.
    Reject,
    /// The message that has waited longest goes to dead letters, and its asker is told so.
    DropOldest,
    /// The new message goes to dead letters, and its asker is told so. The sender of a tell is not: it asked for this.
    DropNewest,
}

/// The bound of a mailbox and what happens at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MailboxSpec {
    /// How many messages may wait, those the actor has already taken over in a batch included. At least 1.
    /// Default: 1,024.
    pub(crate) capacity: usize,
    /// What happens to one message more. Default: [`Overflow::Wait`].
    pub(crate) overflow: Overflow,
}

impl Default for MailboxSpec {
    fn default() -> Self {
        MailboxSpec { capacity: 1_024, overflow: Overflow::Wait }
    }
}

/// How long a sender waits for room when it names no limit itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomPatience {
    /// Outside of handlers. Default: 5 s.
    pub outside: Duration,
    /// Inside a handler, which keeps its own mailbox waiting meanwhile. Default: 1 s.
    pub in_handler: Duration,
}

impl Default for RoomPatience {
    fn default() -> Self {
        RoomPatience { outside: Duration::from_secs(5), in_handler: Duration::from_secs(1) }
    }
}
