//! Damage: which record a read refused, and why.

use std::fmt;

use crate::address::ActorPath;
use crate::message::MessageId;

/// A record that could not be vouched for, so that it was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Whose record it is.
    pub actor: ActorPath,
    /// Which record of the actor.
    pub place: DamagePlace,
    /// What is wrong with it.
    pub reason: DamageReason,
}

/// Which record of an actor is damaged. Snapshots lie in two slots, 0 and 1, written in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamagePlace {
    /// The head: epoch, newest sequence number and the slot in use.
    Head,
    /// The header of a slot.
    SlotHeader {
        /// 0 or 1.
        slot: u8,
    },
    /// One chunk of the state in a slot.
    Chunk {
        /// 0 or 1.
        slot: u8,
        /// Position of the chunk, from 0.
        index: u32,
    },
    /// A message that waited; one that is missing may have been laid aside.
    Message {
        /// Its number.
        id: MessageId,
    },
    /// The count of its tries.
    Tries {
        /// The number of the message.
        id: MessageId,
    },
    /// An entry in the journal of a message.
    Journal {
        /// The number under which the message was accepted first.
        message: MessageId,
        /// The place of the entry.
        place: u32,
    },
    /// What became of a request, or when its answer may go.
    Request,
    /// A message that was laid aside.
    LaidAside {
        /// Its number.
        id: MessageId,
    },
    /// A timer.
    Timer,
    /// How the actor was made.
    Birth,
    /// An entry of a log.
    LogEntry {
        /// Which log of the actor.
        log: u32,
        /// The index of the entry.
        index: u64,
    },
    /// A record under a key that this version does not write.
    Stray,
}

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageReason {
    /// It should be there and is not.
    Missing,
    /// Its bytes do not match its checksum, or it lies under a key it was not written for.
    Checksum,
    /// Checksum fine, content not: what a writer with a fault leaves.
    Malformed,
    /// Fine by itself, but it does not belong to the records around it: a lost or repeated write.
    OutOfStep,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} is damaged: {}", self.place, self.actor, self.reason)
    }
}

impl fmt::Display for DamagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DamagePlace::Head => f.write_str("the head"),
            DamagePlace::SlotHeader { slot } => write!(f, "the header of slot {slot}"),
            DamagePlace::Chunk { slot, index } => write!(f, "chunk {index} of slot {slot}"),
            DamagePlace::Message { id } => write!(f, "message {id}"),
            DamagePlace::Tries { id } => write!(f, "the count of tries of message {id}"),
            DamagePlace::Journal { message, place } => {
                write!(f, "journal entry {place} of message {message}")
            }
            DamagePlace::Request => f.write_str("the record of a request"),
            DamagePlace::LaidAside { id } => write!(f, "message {id}, which was laid aside,"),
            DamagePlace::Timer => f.write_str("a timer"),
            DamagePlace::LogEntry { log, index } => write!(f, "entry {index} of log {log}"),
            DamagePlace::Birth => f.write_str("the record of how it was made"),
            DamagePlace::Stray => f.write_str("an unexpected record"),
        }
    }
}

impl fmt::Display for DamageReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DamageReason::Missing => "it is missing",
            DamageReason::Checksum => "its checksum does not match",
            DamageReason::Malformed => "its content makes no sense",
            DamageReason::OutOfStep => "it does not belong to the records around it",
        })
    }
}
