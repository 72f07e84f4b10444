//! Poison: messages that an actor fell over again and again, laid aside with their cause while it lives on.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

use crate::actor::ExitReason;
use crate::address::ActorPath;
use crate::mailbox::queue::Queued;
use crate::message::{Head, MessageId};
use crate::sync::lock;

/// A message in quarantine, as [`ActorRef::quarantined`](crate::ActorRef::quarantined) shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Quarantined {
    /// Its number in the mailbox, by which it is injected again or discarded.
    pub id: MessageId,
    /// The name of its type.
    pub message: &'static str,
    /// The actor whose handler sent it; `None` when it came from outside the tree.
    pub sender: Option<ActorPath>,
    /// How often the actor fell over it.
    pub tries: u32,
    /// How it ended the last time.
    pub cause: ExitReason,
}

/// The quarantine of one actor: at most [`QUARANTINE_MAX`] messages. Made when the first comes: most actors
/// never have one.
pub(crate) struct Quarantine<E>(OnceLock<Box<Mutex<Held<E>>>>);

type Held<E> = VecDeque<(Queued<E>, ExitReason)>;

/// How many messages the quarantine of one actor holds. The oldest goes to dead letters when one more comes.
pub const QUARANTINE_MAX: usize = 64;

impl<E> Default for Quarantine<E> {
    fn default() -> Self {
        Quarantine(OnceLock::new())
    }
}

impl<E> Quarantine<E> {
    /// Lays a message aside; returns the one that had to go for it.
    pub(crate) fn add(&self, queued: Queued<E>, cause: ExitReason) -> Option<(Queued<E>, ExitReason)> {
        let mut held = lock(self.0.get_or_init(Box::default));
        let oldest = if held.len() == QUARANTINE_MAX { held.pop_front() } else { None };
        held.push_back((queued, cause));
        oldest
    }

    pub(crate) fn take(&self, id: MessageId) -> Option<(Queued<E>, ExitReason)> {
        let mut held = lock(self.0.get()?);
        let at = held.iter().position(|(queued, _)| queued.head.id == id)?;
        held.remove(at)
    }

    pub(crate) fn take_all(&self) -> Vec<(Queued<E>, ExitReason)> {
        self.0.get().map(|held| lock(held).drain(..).collect()).unwrap_or_default()
    }

    /// Oldest first.
    pub(crate) fn list(&self) -> Vec<Quarantined> {
        let show = |(queued, cause): &(Queued<E>, ExitReason)| {
            let Head { id, tries, sender, kind, .. } = &queued.head;
            let message = kind.look_up().name;
            Quarantined { id: *id, message, sender: sender.clone(), tries: *tries, cause: cause.clone() }
        };
        self.0.get().map(|held| lock(held).iter().map(show).collect()).unwrap_or_default()
    }
}
