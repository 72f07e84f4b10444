//! A reference to anybody who takes messages of one type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::{Accepts, Handler};
use crate::address::{ActorPath, ActorRef, AskError, TellError};
use crate::cell::Place;
use crate::message::Message;

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Anybody who takes messages of type `M`. Made of an [`ActorRef`] by `into()`. One allocation more per `tell` and
/// `ask` than the typed reference, none per `try_tell`.
pub struct Recipient<M: Message>(Arc<dyn Receives<M>>);

trait Receives<M: Message>: Send + Sync {
    fn path(&self) -> &ActorPath;
    fn place(&self) -> Place;
    fn try_tell(&self, message: M) -> Result<(), TellError<M>>;
    fn tell(&self, message: M, limit: Option<Duration>) -> BoxFuture<'_, Result<(), TellError<M>>>;
    fn ask(&self, message: M, limit: Option<Duration>) -> BoxFuture<'_, Result<M::Reply, AskError<M>>>;
}

impl<M: Message, A: Handler<M>> Receives<M> for ActorRef<A>
where
    A::Inbox: Accepts<M, A>,
{
    fn path(&self) -> &ActorPath {
        ActorRef::path(self)
    }
    fn place(&self) -> Place {
        ActorRef::place(self)
    }
    fn try_tell(&self, message: M) -> Result<(), TellError<M>> {
        ActorRef::try_tell(self, message)
    }
    fn tell(&self, message: M, limit: Option<Duration>) -> BoxFuture<'_, Result<(), TellError<M>>> {
        let tell = ActorRef::tell(self, message);
        Box::pin(match limit {
            Some(limit) => tell.within(limit),
            None => tell,
        })
    }
    fn ask(&self, message: M, limit: Option<Duration>) -> BoxFuture<'_, Result<M::Reply, AskError<M>>> {
        let ask = ActorRef::ask(self, message);
        Box::pin(match limit {
            Some(limit) => ask.within(limit),
            None => ask,
        })
    }
}

impl<M: Message> Recipient<M> {
    /// Where the actor lives.
    pub fn path(&self) -> &ActorPath {
        self.0.path()
    }

    /// The same place without its message type.
    pub fn place(&self) -> Place {
        self.0.place()
    }

    /// As [`ActorRef::try_tell`].
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message in it.
    pub fn try_tell(&self, message: M) -> Result<(), TellError<M>> {
        self.0.try_tell(message)
    }

    /// As [`ActorRef::tell`], waiting for room at most `limit` (`None`: the default).
    ///
    /// # Errors
    ///
    /// [`TellError`] with the message in it.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::tell`].
    pub async fn tell(&self, message: M, limit: Option<Duration>) -> Result<(), TellError<M>> {
        self.0.tell(message, limit).await
    }

    /// As [`ActorRef::ask`], waiting at most `limit` (`None`: the default).
    ///
    /// # Errors
    ///
    /// [`AskError`].
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::ask`].
    pub async fn ask(&self, message: M, limit: Option<Duration>) -> Result<M::Reply, AskError<M>> {
        self.0.ask(message, limit).await
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Recipient(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.path())
    }
}

impl<M: Message, A: Handler<M>> From<ActorRef<A>> for Recipient<M>
where
    A::Inbox: Accepts<M, A>,
{
    fn from(actor: ActorRef<A>) -> Self {
        Recipient(Arc::new(actor))
    }
}
