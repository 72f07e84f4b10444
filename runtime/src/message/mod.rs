//! What travels: messages, their envelope, the reply, and the failure a handler answers with.

mod chain;
pub(crate) mod encoding;
pub(crate) mod envelope;
mod failure;
#[cfg(all(test, greenroom_races))]
mod races;
pub(crate) mod reply;

use crate::address::PathError;
pub use chain::Chain;
pub use envelope::{Envelope, Head, MessageId, Verdict};
pub use failure::{Failure, FailureClass};
pub use reply::{NoReply, ReplyPort};

/// Something an actor can be told or asked.
///
/// ```
/// use greenroom_runtime::Message;
///
/// #[derive(Clone)]
/// struct Add(u64);
///
/// impl Message for Add {
///     type Reply = u64;
///     fn again(&self) -> Option<Self> { Some(self.clone()) } // may run a second time after a crash
/// }
/// ```
pub trait Message: Send + Sized + 'static {
    /// What the asker gets. A domain answer ("no such order") belongs in here, not in [`Failure`].
    type Reply: Send + 'static;

    /// The stable name under which the message is stored, counted and shown. `None`: the name of the Rust type,
    /// which is good enough for everything but storage.
    const NAME: Option<&'static str> = None;

    /// Raised whenever the stored form changes; see [`DurableMessage::upgrade`](crate::DurableMessage::upgrade).
    const VERSION: u16 = 1;

    /// The copy that a further delivery gets when the handler falls over this one. `None` (the default): no further
    /// delivery, and the asker gets [`NoReply::ActorFailed`]; but a durable inbox (`inbox!(durable …)`) then makes the copy
    /// from the stored form, so its messages come again unless [`ActorSpec::redeliveries`](crate::ActorSpec::redeliveries)
    /// is 0. Called before each delivery that may be followed by another; keep it cheap.
    fn again(&self) -> Option<Self> {
        None
    }
}

/// The name of `M`: its [`Message::NAME`], else the Rust type without its module.
pub fn message_name<M: Message>() -> &'static str {
    M::NAME.unwrap_or_else(|| short_type_name::<M>())
}

/// The name of a type without its module path; type parameters keep theirs.
pub(crate) fn short_type_name<T>() -> &'static str {
    let full = std::any::type_name::<T>();
    let end = full.find('<').unwrap_or(full.len());
    let start = full[..end].rfind("::").map_or(0, |at| at + 2);
    &full[start..]
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        Failure::invalid(error)
    }
}
