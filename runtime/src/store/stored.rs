//! What is kept of an actor: its state with the logs of it, the messages that wait, the journals of their steps, what was
//! laid aside.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{BudgetChange, CaseChange, ChargeKey};
use crate::address::ActorPath;
use crate::budget::{Amount, BudgetPath};
use crate::message::MessageId;

/// Longest state of one snapshot: 16 MiB.
pub const SNAPSHOT_LEN_MAX: usize = 16 << 20;

/// Longest stored form of a message or an answer: 1 MiB.
pub const CONTENT_LEN_MAX: usize = 1 << 20;

/// Longest journal entry, 8 KiB more: a result as long as a content may be, and what it is the result of.
pub const JOURNAL_LEN_MAX: usize = CONTENT_LEN_MAX + (8 << 10);

/// Longest request id: 200 bytes.
pub const REQUEST_LEN_MAX: usize = 200;

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The whole state of the writer; it takes the place of the snapshot before.
    Snapshot(Snapshot),
    /// Adds an entry to a log of the writer, in the place of one with that index. Which entries its state knows, the state
    /// itself says; the writer sees to it that those of both kept snapshots are there.
    Append(LogEntry),
    /// Deletes the entries of a log of the writer whose index is not in `keep`.
    Trim {
        /// Which log.
        log: u32,
        /// What is kept of it; nothing, if it is empty.
        keep: Range<u64>,
    },
    /// Puts a message into the inbox of `to`, behind all that wait there, unless `to` knows its request id. `id` and
    /// `origin` of the message are not read: the commit numbers it.
    Deliver {
        /// Whose inbox.
        to: ActorPath,
        /// What goes in.
        message: StoredMessage,
    },
    /// The writer is done with a message: it leaves the inbox, and its journal goes.
    Done {
        /// Which message.
        message: MessageId,
        /// What its sender is told when it comes again with the same request id. Not kept if it names another request
        /// than the message, or if that has come again meanwhile, because its record was lost.
        answer: Option<StoredAnswer>,
    },
    /// Counts the tries of a message that waits in the writer's inbox; of any other it says nothing.
    Tries {
        /// Which message.
        message: MessageId,
        /// How often.
        tries: Tries,
    },
    /// Takes a message out of the writer's inbox, and keeps it aside with its journal.
    LayAside {
        /// Which message.
        message: MessageId,
        /// Why, for people to read.
        cause: String,
    },
    /// Puts a message that was laid aside back into the inbox of `to`, behind all that wait there. It expires no more.
    Return {
        /// Of whom it was laid aside.
        to: ActorPath,
        /// Which message.
        message: MessageId,
    },
    /// Deletes a message that was laid aside, with its journal.
    Forget {
        /// Of whom it was laid aside.
        of: ActorPath,
        /// Which message.
        message: MessageId,
    },
    /// Deletes the journal of a message of the writer.
    ForgetJournal {
        /// The [`origin`](StoredMessage::origin) of the message.
        message: MessageId,
    },
    /// Sets a timer of the writer, in the place of the one with that name.
    SetTimer(StoredTimer),
    /// Deletes the timer of the writer with that name, if there is one.
    CancelTimer {
        /// The name of the timer.
        name: String,
    },
    /// Puts the message of a timer into the writer's own inbox, and deletes the timer or sets it anew; nothing, if there is
    /// no timer of that name that is due at that time.
    Fire {
        /// The name of the timer.
        name: String,
        /// When it was due, in milliseconds since 1970.
        due_ms: u64,
        /// When it is due again.
        next_ms: Option<u64>,
    },
    /// Writes down how an actor was made, so that it can be made again.
    Birth {
        /// Which actor.
        of: ActorPath,
        /// What is written; at most [`CONTENT_LEN_MAX`] bytes.
        content: Vec<u8>,
    },
    /// Deletes everything that is kept of an actor but its epoch, which is raised: nobody writes for it any more. Nothing,
    /// if nothing is kept of it. What stands behind it in its batch is kept.
    Erase {
        /// Which actor.
        of: ActorPath,
    },
    /// Writes down what a handler of the writer did outside of it. It goes with its message; that one waits, or lies
    /// aside, the writer sees to that.
    Journal(JournalEntry),
    /// Changes who owns a case, or to whom it is offered. The record of a case belongs to no actor: it stays when its owner
    /// is [erased](Record::Erase), until somebody assigns it.
    Case {
        /// Its name; at most [`REQUEST_LEN_MAX`] bytes.
        case: String,
        /// What becomes of it.
        change: CaseChange,
    },
    /// Charges the worst case of a call that the writer is about to make. It belongs to its budget: it stays, whatever
    /// becomes of the message and of the writer, until it is settled.
    Charge {
        /// Which call; its actor is the writer.
        charge: ChargeKey,
        /// Its worst case.
        amount: Amount,
    },
    /// Deletes a charge, and adds what the call came to to what was spent in its budget: above the amount of the charge it
    /// is an overdraft, which stops the budget. Nothing, if there is no such charge.
    Settle {
        /// Which call.
        charge: ChargeKey,
        /// What it came to; nothing, if it did not happen.
        spent: Amount,
    },
    /// Changes a budget.
    Budget {
        /// Which.
        path: BudgetPath,
        /// What becomes of it.
        change: BudgetChange,
    },
}

impl Record {
    /// Length of what it carries, in bytes.
    pub(crate) fn len_bytes(&self) -> usize {
        match self {
            Record::Snapshot(snapshot) => snapshot.state.len(),
            Record::Deliver { message, .. } => message.body.len(),
            Record::Done { answer, .. } => answer.as_ref().map_or(0, |answer| answer.body.len()),
            Record::Journal(entry) => entry.content.len(),
            Record::Append(entry) => entry.content.len(),
            Record::SetTimer(timer) => timer.message.body.len(),
            Record::Birth { content, .. } => content.len(),
            Record::Tries { .. }
            | Record::LayAside { .. }
            | Record::Return { .. }
            | Record::Forget { .. }
            | Record::CancelTimer { .. }
            | Record::Fire { .. }
            | Record::Erase { .. }
            | Record::Case { .. }
            | Record::Trim { .. }
            | Record::Charge { .. }
            | Record::Settle { .. }
            | Record::Budget { .. }
            | Record::ForgetJournal { .. } => 0,
        }
    }

    /// The other actor whose records it writes.
    pub(crate) fn receiver(&self) -> Option<&ActorPath> {
        match self {
            Record::Deliver { to, .. } | Record::Return { to, .. } => Some(to),
            Record::Forget { of, .. } | Record::Birth { of, .. } | Record::Erase { of } => Some(of),
            Record::Snapshot(_)
            | Record::Append(_)
            | Record::Trim { .. }
            | Record::Done { .. }
            | Record::Tries { .. }
            | Record::LayAside { .. }
            | Record::ForgetJournal { .. }
            | Record::SetTimer(_)
            | Record::CancelTimer { .. }
            | Record::Fire { .. }
            | Record::Case { .. }
            | Record::Charge { .. }
            | Record::Settle { .. }
            | Record::Budget { .. }
            | Record::Journal(_) => None,
        }
    }
}

/// The whole state of an actor at one point of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Registered, stable name of the state's type; at most 255 bytes.
    pub type_name: String,
    /// Version of that type.
    pub version: u16,
    /// Number of this snapshot in the actor's history. It rises with each snapshot; the caller sees to that.
    pub seq: u64,
    /// The encoded state; at most [`SNAPSHOT_LEN_MAX`] bytes.
    pub state: Vec<u8>,
}

/// A message in an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredMessage {
    /// Its number: its place in the store's history, and so in the inbox.
    #[serde(skip)]
    pub id: MessageId,
    /// The number under which it was accepted first; another than `id` for one that was laid aside and returned. Its
    /// journal goes by this.
    #[serde(skip)]
    pub origin: MessageId,
    /// Stable name of its type.
    pub name: String,
    /// Version of that type.
    pub version: u16,
    /// The actor that sent it; `None` for one from outside of the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<ActorPath>,
    /// The work it belongs to; 0: itself.
    pub trace: u64,
    /// Under which it is recognised when it is sent again; at most [`REQUEST_LEN_MAX`] bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How often it was tried in vain.
    #[serde(skip)]
    pub tries: Tries,
    /// When it expires, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When the timer was due that sent it, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// Its encoded form; at most [`CONTENT_LEN_MAX`] bytes.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// How often a message was tried in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// How often a handler fell over it.
    pub falls: u32,
    /// How often the store was opened with this message first in line: each time but the last, the process ended before it
    /// was done.
    pub openings: u32,
}

/// The answer to a message with a request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The request id of the message.
    pub request: String,
    /// When it was answered, in milliseconds since 1970. Answers of the same actor that ended before are deleted.
    pub at_ms: u64,
    /// Until when it is kept, in milliseconds since 1970.
    pub until_ms: u64,
    /// The encoded answer; at most [`CONTENT_LEN_MAX`] bytes.
    pub body: Vec<u8>,
}

/// A message that an actor sends itself later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTimer {
    /// Its name, at most [`REQUEST_LEN_MAX`] bytes: one timer of an actor has it.
    pub name: String,
    /// When it is due, in milliseconds since 1970.
    pub due_ms: u64,
    /// After how many milliseconds it is due again; `None`: only once.
    pub every_ms: Option<u64>,
    /// What is sent.
    pub message: StoredMessage,
}

/// A message that was laid aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaidAside {
    /// The message as it was; once it is returned, its tries are counted anew.
    pub message: StoredMessage,
    /// Why.
    pub cause: String,
}

/// One entry in the journal of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The [`origin`](StoredMessage::origin) of the message.
    pub message: MessageId,
    /// Its place: a later entry in the same place replaces the one before.
    pub place: u32,
    /// What is written; at most [`JOURNAL_LEN_MAX`] bytes.
    pub content: Vec<u8>,
}

/// One entry of a log that is a part of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Which log of the actor.
    pub log: u32,
    /// Its index: entries of a log are numbered upwards, from 0, and never again.
    pub index: u64,
    /// The encoded entry; at most [`CONTENT_LEN_MAX`] bytes.
    pub content: Vec<u8>,
}
