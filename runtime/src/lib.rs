//! Greenroom's floor 0: actors, addresses, messages, mailboxes and the store.
//!
//! Use it through the facade crate `greenroom`, whose front page shows a whole program.

mod actor;
mod address;
mod builder;
mod cell;
mod clock;
mod config;
#[doc(hidden)] // for the crates that build on this one
pub mod dice;
mod events;
mod mailbox;
mod message;
mod resilience;
mod root;
mod runtime;
pub mod store;
mod sync;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod walk;
mod world;

pub use actor::*;
pub use address::*;
pub use builder::Builder;
pub use cell::*;
pub use clock::Clock;
pub use config::RuntimeConfig;
pub use events::RuntimeEvent;
pub use mailbox::{
    DeadLetter, DeadLetterReason, DeadLetters, MailboxSpec, Overflow, QUARANTINE_MAX, Quarantined,
    RoomPatience, StopToken,
};
pub use message::envelope::Parcel;
pub use message::reply::ErasedReply;
pub use message::{
    Chain, Envelope, Failure, FailureClass, Head, Message, MessageId, NoReply, ReplyPort, Verdict,
    message_name,
};
pub use resilience::{
    Backoff, Breaker, BreakerObservation, BreakerOpen, BreakerPermit, BreakerSpec, BreakerState, CallOutcome,
    FailureShare,
};
pub use runtime::{Runtime, ShutdownReport, SpawnError};
pub use store::*;

#[doc(hidden)]
pub use rmp_serde;
