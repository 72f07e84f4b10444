//! State that outlives its incarnation: when it is stored, and how it comes back.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::actor::Actor;
use crate::message::Failure;
use crate::store::DamageReason;

/// An actor whose state can be kept in the store of its runtime.
///
/// The state is the actor itself, by serde; what does not belong in it is `#[serde(skip)]` and made anew in
/// [`resume`](Durable::resume). What of it only grows is a [`Log`](crate::Log). There are two ways to keep it:
///
/// * [`durable`](crate::ActorSpec::durable): each message is a transaction. It is on disk before its sender hears that it
///   was accepted; state, reply, and what the handler sends through its [`Context`](crate::Context) are committed together
///   with its removal. Nothing is lost or applied twice, whenever the process is killed.
/// * [`snapshotted`](crate::ActorSpec::snapshotted): the state is stored now and then, the mailbox is in memory.
///
/// What a handler sends through an [`ActorRef`](crate::ActorRef) itself leaves at once, and is not taken back.
///
/// The state outlives its place: whoever is put at the same path later, under the same [`NAME`](Durable::NAME), starts
/// from it. There is no way yet to delete it.
pub trait Durable: Actor + Serialize + DeserializeOwned + Sync {
    /// The stable name of the state, at most 255 bytes. Never reuse one for another state.
    const NAME: &'static str;

    /// Raised whenever the stored form of the state changes. Default: 1.
    const VERSION: u16 = 1;

    /// Makes the state out of bytes that an older version wrote. Called with each `version` but the current one.
    ///
    /// # Errors
    ///
    /// [`MigrateError::UnknownVersion`] (the default for every version) makes the start fail, and names both.
    fn migrate(version: u16, _bytes: &[u8]) -> Result<Self, MigrateError> {
        Err(MigrateError::UnknownVersion { name: Self::NAME, stored: version, known: Self::VERSION })
    }

    /// Called after the state was read back, before the first message. Default: nothing.
    ///
    /// # Errors
    ///
    /// A [`Failure`] is a failed start.
    ///
    /// # Cancel safety
    ///
    /// As [`Actor::start`].
    fn resume(&mut self, _args: &Self::Args) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }
}

/// Why stored state could not be made into today's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// Nobody wrote how to get from there to here. Run the program that wrote it, or write the migration.
    #[error("the state `{name}` is stored as version {stored}, this program knows version {known}")]
    UnknownVersion {
        /// Name of the state.
        name: &'static str,
        /// Version of the stored bytes.
        stored: u16,
        /// Version of this program.
        known: u16,
    },
    /// Another state lives at this path. Give the actor another path, or the state its old name.
    #[error("the state `{stored}` is stored here, this program expects `{expected}`")]
    OtherState {
        /// Name of the stored state.
        stored: String,
        /// Name in this program.
        expected: &'static str,
    },
    /// An entry of a log of the state is damaged or missing. Nothing is made up in its place: bring the entry back, or
    /// [erase](crate::Runtime::erase) the actor.
    #[error("entry {index} of log {log} of the state is lost: {reason}")]
    LostEntry {
        /// Which log of the actor.
        log: u32,
        /// The index of the entry.
        index: u64,
        /// What became of it.
        reason: DamageReason,
    },
    /// The bytes of an entry of a log cannot be read: its form was changed without raising the version.
    #[error("entry {index} of log {log} of the state cannot be read")]
    UnreadableEntry {
        /// Which log of the actor.
        log: u32,
        /// The index of the entry.
        index: u64,
        /// What serde says of it.
        source: rmp_serde::decode::Error,
    },
    /// The bytes cannot be read as this state: its form was changed without raising the version.
    #[error("the stored state cannot be read")]
    Decode(#[from] rmp_serde::decode::Error),
}

/// When the state of a [snapshotted](crate::ActorSpec::snapshotted) actor is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotPolicy {
    /// After each message, before its reply and its sends leave. A message that leaves the state as it was costs no
    /// write. What waits in the mailbox is gone with the process.
    #[default]
    EveryMessage,
    /// After every n-th message, and at an orderly end. **A crash loses the effect of up to n - 1 messages whose
    /// replies and sends have left already.** For state that can be rebuilt. A message that fails without a crash costs
    /// only itself, as always.
    EveryMessages(u32),
}
