//! Sending to a pool: to whichever member can take it.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom_runtime::{
    Accepts, Actor, ActorPath, ActorRef, AskError, Failure, Handler, LifeState, Load, Message, TellError,
};

use crate::pool::Sharing;
use crate::routing::{Candidate, Standing, responsible};
use crate::supervisor_ref::SupervisorRef;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a message found nobody, or brought no answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RouteError<M> {
    /// Nobody can take it now: all are stopped, gone, or have enough. The message is here; nothing happened. Retry later,
    /// or give the role a fallback: [`Route`](crate::Route).
    #[error("nobody of {at} can take the message")]
    NobodyAvailable {
        /// The pool, or the last step of the route.
        at: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// Somebody was asked, and gave no answer.
    #[error(transparent)]
    Asked(AskError<M>),
}

// By hand, as for `AskError`.
impl<M> fmt::Debug for RouteError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteError({self})")
    }
}

impl<M> RouteError<M> {
    /// The message, if nobody accepted it.
    pub fn into_message(self) -> Option<M> {
        match self {
            RouteError::NobodyAvailable { message, .. } => Some(message),
            RouteError::Asked(error) => error.into_message(),
        }
    }
}

impl<M> From<RouteError<M>> for Failure {
    /// A role that is down is no bug of ours: `External`.
    fn from(error: RouteError<M>) -> Self {
        Failure::external(error.to_string())
    }
}

/// A reference to a running [`Pool`](crate::Pool). All references to one pool share its turns. Does not keep the runtime
/// alive.
pub struct PoolRef<A: Actor> {
    supervisor: SupervisorRef,
    /// At least one.
    members: Arc<[ActorRef<A>]>,
    sharing: Arc<Sharing>,
    turn: Arc<AtomicUsize>,
}

impl<A: Actor> PoolRef<A> {
    /// `None` without members.
    pub(crate) fn new(
        supervisor: SupervisorRef,
        members: Vec<ActorRef<A>>,
        sharing: Sharing,
        turn: Arc<AtomicUsize>,
    ) -> Option<Self> {
        let pool = PoolRef { supervisor, members: members.into(), sharing: Arc::new(sharing), turn };
        (!pool.members.is_empty()).then_some(pool)
    }

    /// The supervisor of the members.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Its members, by number.
    #[must_use]
    pub fn members(&self) -> &[ActorRef<A>] {
        &self.members
    }

    /// Whether a member runs and has room: whether a message would be taken up at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.members.iter().any(|member| self.candidate(member).standing == Standing::Ready)
    }

    fn candidate(&self, member: &ActorRef<A>) -> Candidate {
        let Load { state, waiting, capacity, is_open, is_busy, .. } = member.place().load();
        #[expect(clippy::cast_precision_loss, reason = "a share of a mailbox, not a count")]
        let has_enough = waiting > 0 && waiting as f64 >= self.sharing.watermark * capacity as f64;
        let standing = match state {
            _ if !is_open => Standing::Out,
            _ if has_enough => Standing::HasEnough,
            LifeState::Running => Standing::Ready,
            LifeState::Vacant | LifeState::Starting | LifeState::Stopping => Standing::Restarting,
            LifeState::Draining | LifeState::Closed => Standing::Out,
        };
        Candidate { standing, load: waiting + usize::from(is_busy) }
    }

    /// Whom to try, best first. Those that have enough are tried only by who can wait for room.
    fn order(&self, can_wait: bool) -> Vec<usize> {
        let members: Vec<Candidate> = self.members.iter().map(|member| self.candidate(member)).collect();
        let mut order = self.sharing.routing.order(&members, self.turn.fetch_add(1, Ordering::Relaxed));
        order.retain(|&at| can_wait || members[at].standing != Standing::HasEnough);
        order
    }

    /// Who gets the next message; `None` when nobody can take one. What it can take now it may not a moment later.
    #[must_use]
    pub fn pick(&self) -> Option<&ActorRef<A>> {
        self.order(false).first().map(|&at| &self.members[at])
    }

    /// The member that is responsible for `key`, whatever its state: messages of one key stay in order. With a member
    /// more or less only the keys of that one move.
    #[must_use]
    pub fn by_key(&self, key: impl AsRef<[u8]>) -> &ActorRef<A> {
        let names = self.members.iter().map(|member| member.path().name());
        &self.members[responsible(key.as_ref(), names)]
    }

    /// Tells a member `message`, as [`ActorRef::tell`]; who has no room is passed over. When nobody has, it waits for room
    /// at one of them.
    ///
    /// # Errors
    ///
    /// [`TellError`] of one of the members, with the message in it.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::tell`].
    pub async fn tell<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let order = self.order(true);
        let mut message = message;
        for &at in &order {
            match self.members[at].try_tell(message) {
                Ok(()) => return Ok(()),
                Err(error) => message = error.into_message(),
            }
        }
        // The best of those that are full; when nobody takes anything, somebody has to say why.
        self.members[order.first().copied().unwrap_or(0)].tell(message).await
    }

    /// Asks a member, as [`ActorRef::ask`]; who does not accept the message is passed over.
    ///
    /// # Errors
    ///
    /// [`RouteError`]. An error after somebody accepted the message is not answered by asking another: the handler may
    /// have run.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::ask`].
    pub fn ask<M>(&self, message: M) -> PoolAsk<'_, A, M>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        PoolAsk { pool: self, message, limit: None }
    }

    async fn ask_one<M>(&self, message: M, limit: Option<Duration>) -> Result<M::Reply, RouteError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let mut message = message;
        for at in self.order(false) {
            let ask = self.members[at].ask(message);
            let answer = match limit {
                Some(limit) => ask.within(limit).await,
                None => ask.await,
            };
            match answer {
                Ok(reply) => return Ok(reply),
                // A ring of waits is not mended by asking a colleague.
                Err(AskError::NotDelivered(
                    error @ (TellError::WaitsInRing { .. } | TellError::SenderFenced { .. }),
                )) => return Err(RouteError::Asked(AskError::NotDelivered(error))),
                Err(AskError::NotDelivered(error)) => message = error.into_message(),
                Err(error) => return Err(RouteError::Asked(error)),
            }
        }
        Err(RouteError::NobodyAvailable { at: self.supervisor.path().clone(), message })
    }

    /// Tells every member, also those that are down: their mailboxes stand, and nobody hears it in their stead. Never
    /// waits. The answers are in the order of the members.
    pub fn broadcast<M>(&self, message: &M) -> Vec<Result<(), TellError<M>>>
    where
        M: Message + Clone,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.members.iter().map(|member| member.try_tell_to_stay(message.clone())).collect()
    }
}

impl<A: Actor> Clone for PoolRef<A> {
    fn clone(&self) -> Self {
        PoolRef {
            supervisor: self.supervisor.clone(),
            members: self.members.clone(),
            sharing: self.sharing.clone(),
            turn: self.turn.clone(),
        }
    }
}

impl<A: Actor> fmt::Debug for PoolRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolRef({} of {})", self.supervisor.path(), self.members.len())
    }
}

/// An ask of a pool: made by [`PoolRef::ask`], awaited for the reply. One allocation.
#[must_use = "nothing is asked before it is awaited"]
pub struct PoolAsk<'a, A: Actor, M> {
    pool: &'a PoolRef<A>,
    message: M,
    limit: Option<Duration>,
}

impl<A: Actor, M> PoolAsk<'_, A, M> {
    /// Waits at most `limit` for each member that is tried. Default: 5 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl<'a, A, M> IntoFuture for PoolAsk<'a, A, M>
where
    M: Message,
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    type Output = Result<M::Reply, RouteError<M>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.pool.ask_one(self.message, self.limit))
    }
}
