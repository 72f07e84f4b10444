//! Messages that were accepted, or meant to be, and were not handled: who sent what to whom, and why it ended here.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::broadcast;

use crate::actor::ExitReason;
use crate::address::ActorPath;
use crate::durable::Parked;
use crate::message::envelope::MessageKind;
use crate::message::{Failure, Head, MessageId};
use crate::sync::lock;

/// Why a message became a dead letter.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The actor fell over it, and it does not come again.
    #[error("the actor fell over it")]
    Crashed(#[source] ExitReason),
    /// The handler was cut by a stop or kill.
    #[error("its handler was cut by a stop or kill")]
    Cut,
    /// The handler returned a failure and nobody was waiting for the answer.
    #[error("its handler failed")]
    Failed(#[source] Failure),
    /// A budget, bound or deadline was used up while it was handled.
    #[error("its handler ran out of means")]
    Exhausted(#[source] Failure),
    /// The asker gave up before its turn came.
    #[error("its asker gave up before its turn came")]
    Expired,
    /// A full mailbox shed it.
    #[error("a full mailbox shed it")]
    Shed,
    /// The place was deleted, or laid aside for now, while it waited.
    #[error("its place was deleted, or laid aside for now, while it waited")]
    Gone,
    /// Its actor had told it itself, and takes nothing new any more because it drains.
    #[error("its actor drains, and takes nothing new")]
    Draining,
    /// Its actor went down with its group, and its supervisor clears the mailbox then.
    #[error("its actor was restarted with its group, and its mailbox cleared")]
    Cleared,
    /// The state after it could not be stored, or its handler was cut in the middle of that.
    #[error("the state after it may not be stored")]
    Unstored,
    /// Its actor was parked over it, and somebody laid it aside.
    #[error("{0}")]
    Parked(Parked),
    /// The process ended again and again while it was first in line, and nobody can say whether for its sake.
    #[error("the process ended {times} times while it was first in line")]
    ProcessEnded {
        /// How often.
        times: u32,
    },
    /// The journal of its steps is damaged: what its handler did outside is not known any more.
    #[error("the journal of its steps is damaged")]
    JournalDamaged,
    /// The sending incarnation was replaced before the message left.
    #[error("the incarnation that sent it was replaced")]
    Fenced,
}

impl DeadLetterReason {
    /// A short fixed word for metrics labels.
    pub fn label(&self) -> &'static str {
        match self {
            DeadLetterReason::Crashed(_) => "crashed",
            DeadLetterReason::Cut => "cut",
            DeadLetterReason::Failed(_) => "failed",
            DeadLetterReason::Exhausted(_) => "exhausted",
            DeadLetterReason::Expired => "expired",
            DeadLetterReason::Shed => "shed",
            DeadLetterReason::Gone => "gone",
            DeadLetterReason::Draining => "draining",
            DeadLetterReason::Cleared => "cleared",
            DeadLetterReason::Unstored => "unstored",
            DeadLetterReason::Parked(_) => "parked",
            DeadLetterReason::ProcessEnded { .. } => "process_ended",
            DeadLetterReason::JournalDamaged => "journal_damaged",
            DeadLetterReason::Fenced => "fenced",
        }
    }
}

/// A message that was not handled. Its content is gone; what is known of it is here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Position in the stream of dead letters of this runtime, from 1, without gaps.
    pub number: u64,
    /// For whom it was.
    pub to: ActorPath,
    /// The name of its type.
    pub message: &'static str,
    /// The version of its type.
    pub version: u16,
    /// The receiver's number for it; 0 if it never got one.
    pub id: MessageId,
    /// The actor whose handler sent it, if any.
    pub sender: Option<ActorPath>,
    /// How often a handler fell over it.
    pub tries: u32,
    /// Why it is here.
    pub reason: DeadLetterReason,
}

/// The dead letters of one runtime: a bounded window of the newest, a count of all, and a stream.
#[derive(Debug)]
pub struct DeadLetters {
    window: Mutex<Window>,
    stream: broadcast::Sender<DeadLetter>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Window {
    newest: VecDeque<DeadLetter>,
    total: u64,
}

impl DeadLetters {
    pub(crate) fn new(capacity: usize) -> Self {
        DeadLetters { window: Mutex::default(), stream: broadcast::Sender::new(capacity), capacity }
    }

    pub(crate) fn add(&self, to: ActorPath, head: Head, reason: DeadLetterReason) -> DeadLetter {
        let Head { id, tries, sender, kind, .. } = head;
        let MessageKind { name, version } = kind.look_up();
        let mut window = lock(&self.window);
        window.total += 1;
        let number = window.total;
        let letter = DeadLetter { number, to, message: name, version, id, sender, tries, reason };
        if window.newest.len() == self.capacity {
            window.newest.pop_front();
        }
        window.newest.push_back(letter.clone());
        // Sent under the lock, so that the stream has the order of the numbers. Nobody listening is no error.
        drop(self.stream.send(letter.clone()));
        letter
    }

    /// How many there were since the runtime started, also those that have left the window.
    pub fn total(&self) -> u64 {
        lock(&self.window).total
    }

    /// The newest, oldest first: at most the configured window (1,024). Copies them under a lock.
    pub fn newest(&self) -> Vec<DeadLetter> {
        lock(&self.window).newest.iter().cloned().collect()
    }

    /// All that come from now on. A reader that falls more than the window behind is told how many it missed.
    pub fn stream(&self) -> broadcast::Receiver<DeadLetter> {
        self.stream.subscribe()
    }
}
