//! Sending to a pool: to whichever member can take it.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom_runtime::overseer::{Load, Whereabouts};
use greenroom_runtime::{
    Accepts, Actor, ActorPath, ActorRef, AskError, Breaker, BreakerOpen, BreakerPermit, CallOutcome, Failure,
    Handler, LifeState, Message, TellError,
};
use tokio::time::Instant;

use crate::pool::Sharing;
use crate::routing::{Candidate, Standing, responsible, ring};
use crate::supervisor_ref::SupervisorRef;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a message found nobody, or brought no answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RouteError<M> {
    /// Nobody can take it now: all are stopped, gone, have enough, or are behind an open breaker. The message is here;
    /// nothing happened. Retry later, or give the role a fallback: [`Route`](crate::Route).
    #[error("nobody of {at} can take the message")]
    NobodyAvailable {
        /// The pool, or the last step of the route.
        at: ActorPath,
        /// What was not accepted.
        message: M,
    },
    /// The deadline passed before anybody had accepted the message. It is here; nothing happened.
    #[error("nobody of {at} accepted the message within {waited:?}")]
    DeadlinePassed {
        /// The pool.
        at: ActorPath,
        /// The deadline that was given.
        waited: Duration,
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
            RouteError::NobodyAvailable { message, .. } | RouteError::DeadlinePassed { message, .. } => {
                Some(message)
            }
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
    /// The way to each.
    ways: Arc<[Way<A>]>,
    sharing: Arc<Sharing>,
    turn: Arc<AtomicUsize>,
}

/// How the pool sends to one member.
struct Way<A: Actor> {
    /// What goes through it may be handled by a colleague.
    to: ActorRef<A>,
    breaker: Option<Breaker>,
}

impl<A: Actor> Way<A> {
    fn standing(&self, load: &Load, watermark: f64) -> Standing {
        #[expect(clippy::cast_precision_loss, reason = "a share of a mailbox, not a count")]
        let has_enough = load.waiting > 0 && load.waiting as f64 >= watermark * load.capacity as f64;
        let lets_through = self.breaker.as_ref().is_none_or(Breaker::is_worth_a_try);
        match load.state {
            _ if !load.is_open => Standing::Out,
            LifeState::Draining | LifeState::Closed => Standing::Out,
            _ if !lets_through => Standing::Tripped,
            _ if has_enough => Standing::HasEnough,
            LifeState::Running => Standing::Ready,
            LifeState::Vacant | LifeState::Starting | LifeState::Stopping => Standing::Restarting,
        }
    }

    /// Leave to ask the member, if that needs leave.
    fn admit(&self) -> Result<Permit<'_, A>, BreakerOpen> {
        let permit = self.breaker.as_ref().map(Breaker::admit).transpose()?;
        Ok(permit.map(|permit| (permit, self, self.to.place().whereabouts())))
    }
}

/// A call that a breaker counts, and where the member was in its life when it began.
type Permit<'a, A> = Option<(BreakerPermit, &'a Way<A>, Whereabouts)>;

/// Tells the breaker what the ask came to.
fn settle<A: Actor, M: Message>(permit: Permit<'_, A>, answer: &Result<M::Reply, AskError<M>>) {
    let Some((permit, way, before)) = permit else { return };
    let was_down = before.state != LifeState::Running || way.to.place().whereabouts() != before;
    permit.settle(match CallOutcome::of(answer) {
        // While the member was down it may have moved to a colleague: then the answer says nothing about this one.
        CallOutcome::Success if was_down => CallOutcome::Neither,
        outcome => outcome,
    });
}

impl<A: Actor> PoolRef<A> {
    /// `None` without members.
    pub(crate) fn new(
        supervisor: SupervisorRef,
        members: Vec<ActorRef<A>>,
        sharing: Sharing,
        turn: Arc<AtomicUsize>,
    ) -> Option<Self> {
        let way = |member: &ActorRef<A>| Way {
            to: member.routed(),
            breaker: member.place().set_breaker(sharing.breaker.as_ref(), supervisor.runtime()),
        };
        let ways = members.iter().map(way).collect();
        let pool = PoolRef { supervisor, members: members.into(), ways, sharing: Arc::new(sharing), turn };
        (!pool.members.is_empty()).then_some(pool)
    }

    /// The supervisor of the members.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Its members, by number. What is sent through these references is for that member and nobody else: it does not
    /// move, and meets no breaker.
    #[must_use]
    pub fn members(&self) -> &[ActorRef<A>] {
        &self.members
    }

    /// Whether a member runs, has room, and is not behind an open breaker: whether a message would be taken up at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.candidates().iter().any(|member| member.standing == Standing::Ready)
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |way: &Way<A>| {
            let load = way.to.place().load();
            let standing = way.standing(&load, self.sharing.watermark);
            Candidate { standing, load: load.waiting + usize::from(load.is_busy) }
        };
        self.ways.iter().map(candidate).collect()
    }

    /// Whom to try, best first: those whose standing is at worst that.
    fn order(&self, worst: Standing) -> Vec<usize> {
        let members = self.candidates();
        let mut order = self.sharing.routing.order(&members, self.turn.fetch_add(1, Ordering::Relaxed));
        order.retain(|&at| members[at].standing <= worst);
        order
    }

    /// Whom to ask about something that has a key, best first.
    fn order_by_key(&self, key: &Key) -> Vec<usize> {
        let members = self.candidates();
        match key {
            Key::Alone(at) => {
                [*at].into_iter().filter(|at| members[*at].standing <= Standing::HasEnough).collect()
            }
            Key::OrNext(ring) => {
                let mut order = ring.clone();
                order.retain(|&at| members[at].standing <= Standing::Restarting);
                order.sort_by_key(|&at| members[at].standing);
                order
            }
        }
    }

    /// Without the member whose handler asks, which would wait for itself; unless there is nobody else at all.
    fn without_sender(&self, mut order: Vec<usize>) -> Vec<usize> {
        if self.ways.len() > 1 {
            order.retain(|&at| !self.ways[at].to.is_sender());
        }
        order
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.path().name())
    }

    /// Who gets the next message; `None` when nobody can take one. What it can take now it may not a moment later. What
    /// is sent through this reference may [move](crate::Pool::reroute_after); its outcome is not told to a breaker.
    #[must_use]
    pub fn pick(&self) -> Option<&ActorRef<A>> {
        self.order(Standing::Restarting).first().map(|&at| &self.ways[at].to)
    }

    /// The member that is responsible for `key`, whatever its state, and whether its breaker is open or not: messages of
    /// one key stay in order. With a member more or less only the keys of that one move. What is sent through this
    /// reference may [move](crate::Pool::reroute_after) if the pool says so; its outcome is not told to a breaker: for that
    /// use [`PoolAsk::by_key`].
    #[must_use]
    pub fn by_key(&self, key: impl AsRef<[u8]>) -> &ActorRef<A> {
        &self.ways[responsible(key.as_ref(), self.names())].to
    }

    /// Tells a member `message`, as [`ActorRef::tell`]; who has no room is passed over. When nobody has, it waits for room
    /// at one of them. An open breaker keeps it away from a member only while there is another: with no answer to wait
    /// for, nobody waits in vain.
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
        let mut order = self.order(Standing::HasEnough);
        if order.is_empty() {
            order = self.order(Standing::Tripped);
        }
        let mut message = message;
        for &at in &order {
            match self.ways[at].to.try_tell(message) {
                Ok(()) => return Ok(()),
                Err(error) => message = error.into_message(),
            }
        }
        // The best of those that are full; when nobody takes anything, somebody has to say why.
        let best = self.without_sender(order).first().copied().unwrap_or(0);
        self.ways[best].to.tell(message).await
    }

    /// Asks a member, as [`ActorRef::ask`]; who does not accept the message is passed over. A member that asks its own pool
    /// asks a colleague, for it cannot answer while it waits.
    ///
    /// # Errors
    ///
    /// [`RouteError`]. An error after somebody accepted the message is not answered by asking another: the handler may
    /// have run. The only member of a pool that asks that pool gets [`AskError::WaitsInRing`] at once.
    ///
    /// # Cancel safety
    ///
    /// As [`ActorRef::ask`]. Dropped early, it counts for a [breaker](crate::Pool::breaker) as neither success nor failure.
    pub fn ask<M>(&self, message: M) -> PoolAsk<'_, A, M>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        PoolAsk { pool: self, message, limit: None, key: None }
    }

    /// Asks those in `order`, one after the other, until somebody accepts the message.
    async fn ask_in<M>(
        &self,
        order: Vec<usize>,
        message: M,
        patience: Patience,
    ) -> Result<M::Reply, RouteError<M>>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let clock = self.supervisor.runtime().clock();
        let Patience { limit, deadline } = patience;
        let at = self.supervisor.path();
        let mut message = message;
        let mut left = limit;
        for way in order.into_iter().map(|member| &self.ways[member]) {
            // Another one may have taken the last trial meanwhile.
            let Ok(permit) = way.admit() else { continue };
            let answer = way.to.ask(message).within(left).await;
            settle(permit, &answer);
            message = match answer {
                Ok(reply) => return Ok(reply),
                // A ring of waits is not mended by asking a colleague, nor is what lies aside here.
                Err(AskError::NotDelivered(
                    error @ (TellError::WaitsInRing { .. }
                    | TellError::SenderFenced { .. }
                    | TellError::LaidAside { .. }),
                )) => return Err(RouteError::Asked(AskError::NotDelivered(error))),
                Err(AskError::NotDelivered(error)) => error.into_message(),
                Err(AskError::DeadlinePassed { to, .. }) => {
                    return Err(RouteError::Asked(AskError::DeadlinePassed { to, waited: limit }));
                }
                Err(error) => return Err(RouteError::Asked(error)),
            };
            left = deadline.saturating_duration_since(clock.now());
            if left.is_zero() {
                return Err(RouteError::DeadlinePassed { at: at.clone(), waited: limit, message });
            }
        }
        Err(RouteError::NobodyAvailable { at: at.clone(), message })
    }

    /// Tells every member, also those that are down: their mailboxes stand, and nobody hears it in their stead. Never
    /// waits. The answers are in the order of the members.
    pub fn broadcast<M>(&self, message: &M) -> Vec<Result<(), TellError<M>>>
    where
        M: Message + Clone,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.members.iter().map(|member| member.try_tell(message.clone())).collect()
    }
}

impl<A: Actor> Clone for PoolRef<A> {
    fn clone(&self) -> Self {
        PoolRef {
            supervisor: self.supervisor.clone(),
            members: self.members.clone(),
            ways: self.ways.clone(),
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

/// How long an ask may take, and until when that is.
struct Patience {
    limit: Duration,
    deadline: Instant,
}

/// Who may be asked about something that has a key.
enum Key {
    /// The member that is responsible.
    Alone(usize),
    /// Who stands in for it as well, in this order.
    OrNext(Vec<usize>),
}

/// An ask of a pool: made by [`PoolRef::ask`], awaited for the reply. One allocation.
#[must_use = "nothing is asked before it is awaited"]
pub struct PoolAsk<'a, A: Actor, M> {
    pool: &'a PoolRef<A>,
    message: M,
    limit: Option<Duration>,
    key: Option<Key>,
}

impl<A: Actor, M> PoolAsk<'_, A, M> {
    /// Waits at most `limit` in all, counted from when it is first polled: for room and for the answer, however many
    /// members are tried. Default: 5 s, the deadline of all asks of the runtime.
    ///
    /// When it is over: [`RouteError::DeadlinePassed`], with the message, if nobody had accepted it; else
    /// [`AskError::DeadlinePassed`] of the member.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Asks the member that is responsible for `key`, as [`PoolRef::by_key`] chooses it, and nobody else: it is waited
    /// for while it has no room or is being restarted. While it is stopped, draining, or behind an open breaker the message
    /// comes back as [`RouteError::NobodyAvailable`].
    pub fn by_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(Key::Alone(responsible(key.as_ref(), self.pool.names())));
        self
    }

    /// As [`by_key`](PoolAsk::by_key), but while the member that is responsible is down, has enough, or is behind an open
    /// breaker, the next one for this key stands in for it, always the same. The order of the messages of one key ends
    /// there.
    pub fn by_key_or_next(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(Key::OrNext(ring(key.as_ref(), self.pool.names())));
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
        let PoolAsk { pool, message, limit, key } = self;
        Box::pin(async move {
            let runtime = pool.supervisor.runtime();
            let limit = limit.unwrap_or(runtime.config().ask_deadline);
            let patience = Patience { limit, deadline: runtime.clock().after(limit) };
            let order = match key {
                // Also if it is the sender itself: then it is told so, for nobody else has the key.
                Some(key @ Key::Alone(_)) => pool.order_by_key(&key),
                Some(key @ Key::OrNext(_)) => pool.without_sender(pool.order_by_key(&key)),
                None => pool.without_sender(pool.order(Standing::Restarting)),
            };
            pool.ask_in(order, message, patience).await
        })
    }
}

#[cfg(test)]
mod tests {
    use greenroom_runtime::{Context, Open, Runtime};

    use super::*;
    use crate::{Pool, SuperviseExt};

    /// Never done with anything.
    struct Busy;

    struct Work;

    impl Message for Work {
        type Reply = ();
    }

    impl Actor for Busy {
        type Args = ();
        type Inbox = Open<Self>;
        async fn start(_: &()) -> Result<Self, Failure> {
            Ok(Busy)
        }
    }

    impl Handler<Work> for Busy {
        async fn handle(&mut self, _: Work, _: &mut Context<'_, Self>) -> Result<(), Failure> {
            std::future::pending().await
        }
    }

    /// The story: each member that was tried had the whole time for itself, so that an ask within 3 s took 9 s.
    /// Method: the order is given, as if all had filled up since it was made.
    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_an_ask_is_that_of_all_tries_together() {
        let runtime = Runtime::builder().start().await.unwrap();
        let pool = Pool::<Busy>::new("pool", 3, ()).each(|spec| spec.capacity(1));
        let pool = runtime.supervise(pool).await.unwrap().as_pool::<Busy>().await.unwrap();
        for member in pool.members() {
            for _ in 0..2 {
                member.tell(Work).await.unwrap(); // one in hand, one waiting
            }
        }
        let clock = runtime.clock();
        let (begun, limit) = (clock.now(), Duration::from_secs(3));

        let patience = Patience { limit, deadline: clock.after(limit) };
        let error = pool.ask_in(vec![0, 1, 2], Work, patience).await.unwrap_err();

        assert_eq!(clock.now() - begun, limit);
        assert!(matches!(&error, RouteError::DeadlinePassed { waited, .. } if *waited == limit), "{error:?}");
        assert!(error.into_message().is_some());
        runtime.shutdown(Duration::ZERO).await;
    }
}
