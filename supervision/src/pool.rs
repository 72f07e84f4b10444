//! Several actors of one type that share a role: a supervisor of members, and who of them gets a message.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use greenroom_runtime::{Actor, ActorSpec, Backoff, BreakerSpec};

use crate::child_spec::{ChildSettings, ChildSpec};
use crate::policy::{Restart, RestartIntensity, Shutdown};
use crate::routing::Routing;
use crate::supervisor_spec::Supervisor;

/// A supervisor of `size` actors of one type, one-for-one, called `1`, `2` and so on. Messages go to whichever member
/// [`Routing`] says; members that cannot take them are passed over.
///
/// ```
/// # use greenroom_runtime::{Actor, Context, Failure, Handler, Message, Open, Runtime};
/// # struct Technician;
/// # struct Repair;
/// # impl Message for Repair { type Reply = (); }
/// # impl Actor for Technician {
/// #     type Args = ();
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Technician) }
/// # }
/// # impl Handler<Repair> for Technician {
/// #     async fn handle(&mut self, _: Repair, _: &mut Context<'_, Self>) -> Result<(), Failure> { Ok(()) }
/// # }
/// use greenroom_supervision::{ChildSpec, Pool, Routing, SuperviseExt, Supervisor};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().start().await?;
/// let technical = Pool::<Technician>::new("technical", 4, ()).routing(Routing::LeastLoaded);
/// let support = runtime.supervise(Supervisor::named("support").child(ChildSpec::pool(technical))).await?;
///
/// let technical = support.pool::<Technician>("technical").await?;
/// technical.ask(Repair).within(Duration::from_secs(1)).await?;
/// # runtime.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct Pool<A: Actor> {
    name: String,
    size: usize,
    intensity: RestartIntensity,
    settings: ChildSettings,
    member: ActorSpec<A>,
    routing: Routing,
    watermark: f64,
    /// `None`: as the routing would have it.
    reroute_after: Option<Option<Duration>>,
    breaker: Option<BreakerSpec>,
}

/// How the members of a pool share their work.
#[derive(Clone, Debug)]
pub(crate) struct Sharing {
    pub(crate) routing: Routing,
    /// The part of its mailbox up to which a member is offered more.
    pub(crate) watermark: f64,
    /// `None`: what waits stays where it is.
    pub(crate) reroute_after: Option<Duration>,
    /// `None`: what a member answers says nothing about it.
    pub(crate) breaker: Option<BreakerSpec>,
}

/// What the supervisor of a pool knows of it.
#[derive(Clone)]
pub(crate) struct PoolSpec {
    pub(crate) sharing: Sharing,
    /// Whose turn it is: shared by all references.
    pub(crate) turn: Arc<AtomicUsize>,
    /// Says which type of actor it is made of: a `PhantomData<fn() -> A>`.
    pub(crate) of: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for PoolSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sharing.fmt(f)
    }
}

/// How long a member may be down before what waits there moves on.
const REROUTE_AFTER: Duration = Duration::from_millis(100);

impl<A: Actor> Pool<A> {
    /// A pool called `name` of `size` members, at least 1, started with the same `args`: in turns, 1 restart in 5 s for
    /// all together, permanent members, 5 s to stop.
    pub fn new(name: impl Into<String>, size: usize, args: A::Args) -> Self {
        Pool {
            name: name.into(),
            size: size.max(1),
            intensity: RestartIntensity::default(),
            settings: ChildSettings::WORKER,
            member: ActorSpec::new("member", args),
            routing: Routing::default(),
            watermark: 0.8,
            reroute_after: None,
            breaker: None,
        }
    }

    /// Who gets a message. Default: [`Routing::RoundRobin`].
    #[must_use]
    pub fn routing(mut self, routing: Routing) -> Self {
        self.routing = routing;
        self
    }

    /// The part of its mailbox, from 0 to 1, up to which a member is offered more. Default: 0.8.
    #[must_use]
    pub fn watermark(mut self, part: f64) -> Self {
        self.watermark = part.clamp(0.0, 1.0);
        self
    }

    /// Messages that wait at a member which is down for longer than this move to those that run, as far as they have
    /// room; askers are then answered by the colleague. `None`: they wait for the member. Default: 100 ms; under
    /// [`Routing::ByKey`] none, since the order of the messages of one key ends with a move.
    ///
    /// That goes for what the pool routed: sent through its [`PoolRef`](crate::PoolRef), or through a reference that its
    /// [`pick`](crate::PoolRef::pick) or [`by_key`](crate::PoolRef::by_key) chose. What was sent to a member itself
    /// stays: through its own reference or address, its timers, an offer of a handoff, a
    /// [broadcast](crate::PoolRef::broadcast). So does what a durable member has accepted, and an ask whose move would
    /// close a ring of waits.
    #[must_use]
    pub fn reroute_after(mut self, after: Option<Duration>) -> Self {
        self.reroute_after = Some(after);
        self
    }

    /// Puts a breaker in front of each member: a member that fails too often is left alone until a trial shows that it is
    /// back. Default: none.
    ///
    /// What [asks of the pool](crate::PoolRef::ask) came to is counted by the table of
    /// [`CallOutcome`](greenroom_runtime::CallOutcome): a refused input is a sign of life, a silence or a fall is not.
    /// With this addition: while the member was down, an answer may be a colleague's to whom the message moved, so it is no
    /// success. A [tell](crate::PoolRef::tell) brings no answer, so it is not counted; it passes over open breakers as
    /// long as there is somebody else. What goes to a member through a reference of its own meets no breaker.
    ///
    /// While its breaker is open a member gets no ask; then as many trials as the spec allows. When all are open, an ask
    /// brings its message back as [`RouteError::NobodyAvailable`](crate::RouteError), or goes on along its
    /// [`Route`](crate::Route).
    ///
    /// The breaker belongs to the place, as the mailbox does: a restart of the member, or of the pool, leaves it as it
    /// is, for a new life proves nothing yet; the next trial does. It is counted under the path of the member.
    ///
    /// ```
    /// # use greenroom_runtime::{Actor, Context, Failure, Handler, Message, Open, Runtime};
    /// # struct Technician;
    /// # struct Repair;
    /// # impl Message for Repair { type Reply = String; }
    /// # impl Actor for Technician {
    /// #     type Args = ();
    /// #     type Inbox = Open<Self>;
    /// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Technician) }
    /// # }
    /// # impl Handler<Repair> for Technician {
    /// #     async fn handle(&mut self, _: Repair, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
    /// #         match cx.path().name() {
    /// #             "1" => Err(Failure::external("the van has broken down")),
    /// #             name => Ok(name.to_owned()),
    /// #         }
    /// #     }
    /// # }
    /// use greenroom_runtime::BreakerSpec;
    /// use greenroom_supervision::{Pool, SuperviseExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::builder().start().await?;
    /// let spec = BreakerSpec { failures_in_a_row: Some(1), ..BreakerSpec::default() };
    /// let technical = runtime.supervise(Pool::<Technician>::new("technical", 2, ()).breaker(spec)).await?;
    /// let technical = technical.as_pool::<Technician>().await?;
    ///
    /// assert!(technical.ask(Repair).await.is_err()); // member 1 cannot
    /// for _ in 0..4 {
    ///     assert_eq!(technical.ask(Repair).await?, "2"); // and is left alone for 5 s
    /// }
    /// # runtime.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn breaker(mut self, spec: BreakerSpec) -> Self {
        self.breaker = Some(spec);
        self
    }

    /// Gives up at more than `max` restarts, of all members together, `within` any stretch of that length.
    #[must_use]
    pub fn intensity(mut self, max: u32, within: Duration) -> Self {
        self.intensity = RestartIntensity { max, within };
        self
    }

    /// Whether a member comes back. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How members are stopped. Default: within 5 s.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Waits before each restart: see [`ChildSpec::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = Some(backoff);
        self
    }

    /// How long an outage may keep a member from starting: see [`ChildSpec::outage_tries`].
    #[must_use]
    pub fn outage_tries(mut self, max: u32) -> Self {
        self.settings.outage_tries = Some(max);
        self
    }

    /// What each member's spec says besides its name and arguments: mailbox, start deadline, durability.
    #[must_use]
    pub fn each(mut self, configure: impl FnOnce(ActorSpec<A>) -> ActorSpec<A>) -> Self {
        self.member = configure(self.member);
        self
    }
}

impl<A: Actor> From<Pool<A>> for Supervisor {
    fn from(pool: Pool<A>) -> Self {
        let Pool { name, size, intensity, settings, member, routing, watermark, reroute_after, breaker } =
            pool;
        let usual = match routing {
            Routing::RoundRobin | Routing::LeastLoaded | Routing::FirstAvailable => Some(REROUTE_AFTER),
            // The messages of one key are in order because they go to one member.
            Routing::ByKey => None,
        };
        let reroute_after = reroute_after.unwrap_or(usual);
        let sharing = Sharing { routing, watermark, reroute_after, breaker };
        let members = (1..=size).map(|number| {
            let spec = ChildSpec::of(member.clone().named(number.to_string()));
            ChildSpec { settings, ..spec }
        });
        let of = Arc::new(PhantomData::<fn() -> A>);
        let pool = Some(PoolSpec { sharing, turn: Arc::default(), of });
        Supervisor { intensity, pool, ..Supervisor::named(name).children(members) }
    }
}

impl<A: Actor> Clone for Pool<A> {
    fn clone(&self) -> Self {
        let (name, member, breaker) = (self.name.clone(), self.member.clone(), self.breaker.clone());
        Pool { name, member, breaker, ..*self }
    }
}

impl<A: Actor> fmt::Debug for Pool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {})", self.name, self.size)
    }
}
