//! What an author writes: a state with a way to start, and a handler for each message.

use std::future::Future;

use crate::actor::{Context, ExitReason, Inbox};
use crate::message::{Failure, Message};

/// A state that handles one message at a time.
///
/// ```
/// use greenroom_runtime::{Actor, Context, Failure, Handler, Message, Open};
///
/// struct Counter(u64);
/// struct Add(u64);
///
/// impl Message for Add { type Reply = u64; }
/// impl Actor for Counter {
///     type Args = u64;
///     type Inbox = Open<Self>;
///     async fn start(first: &u64) -> Result<Self, Failure> { Ok(Counter(*first)) }
/// }
/// impl Handler<Add> for Counter {
///     async fn handle(&mut self, m: Add, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
///         self.0 += m.0;
///         Ok(self.0)
///     }
/// }
/// ```
///
/// `&self` held over an `.await` needs `Self: Sync`, as everywhere in async Rust; `&mut self` does not.
pub trait Actor: Sized + Send + 'static {
    /// What `start` is given at each life. Kept by the cell, so that a restart starts from the same arguments.
    type Args: Send + Sync + 'static;

    /// Which messages the mailbox takes: [`Open<Self>`](crate::Open) for any [`Handler`], two allocations a message;
    /// or the enum made by [`inbox!`](crate::inbox!), none.
    type Inbox: Inbox<Self>;

    /// Makes the state of a new life, in the actor's own task, within the start deadline of its spec (30 s).
    ///
    /// # Errors
    ///
    /// A [`Failure`] is a failed start: the supervisor decides as for a crash. So is a panic, and a deadline passed.
    ///
    /// # Cancel safety
    ///
    /// Dropped at an `.await` when the actor is stopped or killed meanwhile.
    fn start(args: &Self::Args) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Called once a life, after the state was made or read back and before the first message: the place for timers,
    /// and for taking up what an earlier life left undone. Sends of [`Context::tell`] leave when it is done. Part of the
    /// start: within its deadline, before the supervisor goes on to the next child. Default: nothing.
    ///
    /// # Errors
    ///
    /// A [`Failure`] is a failed start.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Actor::start).
    fn started(&mut self, _cx: &mut Context<'_, Self>) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }

    /// Called after the last message of an orderly end: stop, drain, or the actor's own wish. Not called after a
    /// crash or a kill, so nothing durable may depend on it. Default: nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropped at an `.await` when the patience of the stop runs out.
    fn stopping(&mut self, _reason: &ExitReason) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// How an actor handles messages of type `M`.
pub trait Handler<M: Message>: Actor {
    /// Handles one message. While this future waits, the control lane is served: stop, kill and drain are heard
    /// through [`Context::stopping`], and a cut drops the future at its `.await`.
    ///
    /// # Errors
    ///
    /// The class of the [`Failure`] decides what follows. Every failure drops the sends held back by
    /// [`Context::tell`]. A panic counts as [`FailureClass::Bug`](crate::FailureClass::Bug).
    ///
    /// # Cancel safety
    ///
    /// A cut handler leaves the state as it was at the `.await`: it is never snapshotted, and the incarnation ends.
    fn handle(
        &mut self,
        message: M,
        cx: &mut Context<'_, Self>,
    ) -> impl Future<Output = Result<M::Reply, Failure>> + Send;
}
