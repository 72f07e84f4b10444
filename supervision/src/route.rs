//! A chain of roles: who is asked first, and who takes over when nobody there can.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::{
    Accepts, ActorPath, ActorRef, AskError, Handler, LifeState, Message, Recipient, TellError,
};

use crate::pool_ref::{BoxFuture, PoolRef, RouteError};

/// A chain of fallbacks for messages of type `M`: pools and single actors, the preferred one first.
///
/// A step is passed over while nobody there runs, has room, and is not behind an open breaker. When that is so of all, the message goes to the first
/// step whose members are about to come back: their mailboxes stand.
///
/// ```
/// # use greenroom_runtime::{Actor, Context, Failure, Handler, Message, Open, Runtime};
/// # struct Technician;
/// # struct Manager;
/// # struct Repair;
/// # impl Message for Repair { type Reply = &'static str; }
/// # impl Actor for Technician {
/// #     type Args = ();
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Technician) }
/// # }
/// # impl Handler<Repair> for Technician {
/// #     async fn handle(&mut self, _: Repair, _: &mut Context<'_, Self>) -> Result<&'static str, Failure> { Ok("mended") }
/// # }
/// # impl Actor for Manager {
/// #     type Args = ();
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Manager) }
/// # }
/// # impl Handler<Repair> for Manager {
/// #     async fn handle(&mut self, _: Repair, _: &mut Context<'_, Self>) -> Result<&'static str, Failure> { Ok("a voucher") }
/// # }
/// use greenroom_supervision::{Pool, Route, SuperviseExt};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().start().await?;
/// let technical = runtime.supervise(Pool::<Technician>::new("technical", 2, ())).await?;
/// let manager = runtime.spawn::<Manager>("manager", ()).await?;
/// let route = Route::to(technical.as_pool::<Technician>().await?).or(manager);
///
/// assert_eq!(route.ask(Repair, Duration::from_secs(1)).await?.reply, "mended");
/// technical.terminate_child("1").await?;
/// technical.terminate_child("2").await?;
/// assert_eq!(route.ask(Repair, Duration::from_secs(1)).await?.reply, "a voucher");
/// # runtime.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct Route<M: Message> {
    steps: Arc<[Arc<dyn Step<M>>]>,
}

/// An answer, and which step of the [`Route`] gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Routed<R> {
    /// The answer.
    pub reply: R,
    /// The position of the step, from 0: more than 0 is a fallback.
    pub step: usize,
}

impl<M: Message> Route<M> {
    /// A route of one step.
    pub fn to(first: impl IntoStep<M>) -> Self {
        Route { steps: [first.into_step()].into() }
    }

    /// The same route with a further fallback at its end.
    #[must_use]
    pub fn or(self, next: impl IntoStep<M>) -> Self {
        Route { steps: self.steps.iter().cloned().chain([next.into_step()]).collect() }
    }

    /// Asks the first step that can take `message`, and waits at most `limit` for room and answer of each step
    /// that is tried.
    ///
    /// # Errors
    ///
    /// [`RouteError`]. An error after somebody accepted the message is not answered by asking another: the handler may
    /// have run.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::ask`].
    pub async fn ask(&self, message: M, limit: Duration) -> Result<Routed<M::Reply>, RouteError<M>> {
        let ready = self.steps.iter().enumerate().filter(|(_, step)| step.is_ready());
        let coming_back = self.steps.iter().enumerate().filter(|(_, step)| step.comes_back());
        let mut message = message;
        for (at, step) in ready.chain(coming_back) {
            match step.ask(message, limit).await {
                Ok(reply) => return Ok(Routed { reply, step: at }),
                Err(
                    RouteError::NobodyAvailable { message: back, .. }
                    | RouteError::DeadlinePassed { message: back, .. },
                )
                | Err(RouteError::Asked(AskError::NotDelivered(
                    TellError::MailboxFull { message: back, .. }
                    | TellError::Gone { message: back, .. }
                    | TellError::Draining { message: back, .. }
                    | TellError::Stopped { message: back, .. }
                    | TellError::StoreUnavailable { message: back, .. },
                ))) => message = back,
                Err(error) => return Err(error),
            }
        }
        let at = self.steps[self.steps.len() - 1].path().clone();
        Err(RouteError::NobodyAvailable { at, message })
    }
}

impl<M: Message> Clone for Route<M> {
    fn clone(&self) -> Self {
        Route { steps: self.steps.clone() }
    }
}

impl<M: Message> fmt::Debug for Route<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|step| step.path())).finish()
    }
}

/// What a [`Route`] may lead to: a [`PoolRef`], an [`ActorRef`], a [`Recipient`]. Sealed.
pub trait IntoStep<M: Message>: sealed::Sealed {
    #[doc(hidden)]
    fn into_step(self) -> Arc<dyn Step<M>>;
}

#[doc(hidden)]
pub trait Step<M: Message>: Send + Sync {
    fn path(&self) -> &ActorPath;
    fn is_ready(&self) -> bool;
    fn comes_back(&self) -> bool;
    fn ask(&self, message: M, limit: Duration) -> BoxFuture<'_, Result<M::Reply, RouteError<M>>>;
}

mod sealed {
    pub trait Sealed {}
    impl<A: greenroom_runtime::Actor> Sealed for super::PoolRef<A> {}
    impl<A: greenroom_runtime::Actor> Sealed for super::ActorRef<A> {}
    impl<M: greenroom_runtime::Message> Sealed for super::Recipient<M> {}
}

impl<M, A> IntoStep<M> for PoolRef<A>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    fn into_step(self) -> Arc<dyn Step<M>> {
        Arc::new(self)
    }
}

impl<M, A> IntoStep<M> for ActorRef<A>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    fn into_step(self) -> Arc<dyn Step<M>> {
        Arc::new(Recipient::from(self))
    }
}

impl<M: Message> IntoStep<M> for Recipient<M> {
    fn into_step(self) -> Arc<dyn Step<M>> {
        Arc::new(self)
    }
}

impl<M, A> Step<M> for PoolRef<A>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    fn path(&self) -> &ActorPath {
        self.supervisor().path()
    }
    fn is_ready(&self) -> bool {
        PoolRef::is_ready(self)
    }
    fn comes_back(&self) -> bool {
        !PoolRef::is_ready(self) && self.pick().is_some()
    }
    fn ask(&self, message: M, limit: Duration) -> BoxFuture<'_, Result<M::Reply, RouteError<M>>> {
        PoolRef::ask(self, message).within(limit).into_future()
    }
}

impl<M: Message> Step<M> for Recipient<M> {
    fn path(&self) -> &ActorPath {
        Recipient::path(self)
    }
    fn is_ready(&self) -> bool {
        let load = self.place().load();
        load.state == LifeState::Running && load.is_open && load.waiting < load.capacity
    }
    fn comes_back(&self) -> bool {
        let load = self.place().load();
        load.state != LifeState::Running && load.is_open && load.waiting < load.capacity
    }
    fn ask(&self, message: M, limit: Duration) -> BoxFuture<'_, Result<M::Reply, RouteError<M>>> {
        Box::pin(async move { Recipient::ask(self, message, Some(limit)).await.map_err(RouteError::Asked) })
    }
}
