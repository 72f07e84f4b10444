//! A supervisor of very many children that are all alike and come by request: OTP's `simple_one_for_one`.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::{Actor, ActorPath, ActorRef, ActorSpec, Address, Backoff, Durable, DurableInbox};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{AdminError, ChildCounts, ChildInfo, Request};
use crate::child_spec::{ChildSettings, ChildSpec};
use crate::comeback::Memory;
use crate::policy::{Restart, RestartIntensity, Shutdown};
use crate::supervisor_ref::SupervisorRef;
use crate::supervisor_spec::Supervisor;

/// A supervisor of actors of one type, started one by one with their own arguments.
///
/// Each child stands alone, as under one-for-one, and all share one intensity. A child that ended for good leaves
/// nothing behind. When the supervisor stops, all are asked at once and share one patience. When the supervisor is
/// restarted it begins without children.
///
/// ```
/// # use greenroom_runtime::{Actor, Failure, Open, Runtime};
/// # struct Session;
/// # impl Actor for Session {
/// #     type Args = String;
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &String) -> Result<Self, Failure> { Ok(Session) }
/// # }
/// use greenroom_supervision::{AdminError, DynamicSupervisor, Restart, SuperviseExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().start().await?;
/// let sessions = DynamicSupervisor::<Session>::named("sessions").restart(Restart::Temporary).max_children(2);
/// let sessions = runtime.supervise(sessions).await?.dynamic::<Session>();
///
/// let ada = sessions.start("ada", "Ada Lovelace".to_owned()).await?;
/// let guest = sessions.start_unnamed("a guest".to_owned()).await?;
/// assert_eq!(ada.path().as_str(), "sessions/ada");
///
/// let third = sessions.start("third", "one too many".to_owned()).await;
/// assert!(matches!(third, Err(AdminError::TooMany { max: 2 })));
/// # runtime.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct DynamicSupervisor<A: Actor> {
    name: String,
    intensity: RestartIntensity,
    max_children: usize,
    settings: ChildSettings,
    configure: Arc<dyn Fn(ActorSpec<A>) -> ActorSpec<A> + Send + Sync>,
    memory: Option<Memory>,
}

impl<A: Actor> DynamicSupervisor<A> {
    /// A supervisor called `name`: 1 restart in 5 s, permanent children, 5 s to stop, at most 100,000 children.
    pub fn named(name: impl Into<String>) -> Self {
        DynamicSupervisor {
            name: name.into(),
            intensity: RestartIntensity::default(),
            max_children: 100_000,
            settings: ChildSettings::WORKER,
            configure: Arc::new(|spec| spec),
            memory: None,
        }
    }

    /// Gives up at more than `max` restarts, of all children together, `within` any stretch of that length.
    #[must_use]
    pub fn intensity(mut self, max: u32, within: Duration) -> Self {
        self.intensity = RestartIntensity { max, within };
        self
    }

    /// How many children there may be at a time, those that wait for their next try included.
    #[must_use]
    pub fn max_children(mut self, max: usize) -> Self {
        self.max_children = max;
        self
    }

    /// Whether a child comes back. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How children are stopped. Default: within 5 s, which they share when the supervisor stops.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Waits before each restart: see [`ChildSpec::backoff`](crate::ChildSpec::backoff).
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = Some(backoff);
        self
    }

    /// How many starts in a row an outage may fail, as [`ChildSpec::outage_tries`](crate::ChildSpec::outage_tries); after
    /// that the child goes, for it has no spec of its own to keep.
    #[must_use]
    pub fn outage_tries(mut self, max: u32) -> Self {
        self.settings.outage_tries = Some(max);
        self
    }

    /// What each child's spec says besides its name and arguments: mailbox, start deadline, durability.
    #[must_use]
    pub fn each(mut self, configure: impl Fn(ActorSpec<A>) -> ActorSpec<A> + Send + Sync + 'static) -> Self {
        self.configure = Arc::new(configure);
        self
    }
}

impl<A: Durable> DynamicSupervisor<A>
where
    A::Inbox: DurableInbox,
    A::Args: Serialize + DeserializeOwned,
{
    /// Each child is [durable](ActorSpec::durable), and its arguments are written down before it starts. When the process
    /// ends, however, those who have something to see to, messages that wait, steps, timers, come back with the supervisor;
    /// the others when they are started again, with the state they had.
    ///
    /// A child that is terminated or ends for good does not come back; what is kept of it stays until it is
    /// [erased](greenroom_runtime::Runtime::erase).
    #[must_use]
    pub fn durable(self) -> Self {
        let DynamicSupervisor { configure, .. } = self.clone();
        let configure = Arc::new(move |spec: ActorSpec<A>| configure(spec).durable());
        DynamicSupervisor { configure, memory: Some(Memory::of::<A>()), ..self }
    }
}

impl<A: Actor> Clone for DynamicSupervisor<A> {
    fn clone(&self) -> Self {
        let (configure, memory) = (self.configure.clone(), self.memory.clone());
        DynamicSupervisor { name: self.name.clone(), configure, memory, ..*self }
    }
}

impl<A: Actor> fmt::Debug for DynamicSupervisor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicSupervisor({})", self.name)
    }
}

impl<A: Actor> From<DynamicSupervisor<A>> for Supervisor {
    fn from(dynamic: DynamicSupervisor<A>) -> Self {
        let DynamicSupervisor { name, intensity, max_children, settings, configure, memory } = dynamic;
        let make = move |name: String, args: Box<dyn Any + Send>| {
            let spec = args.downcast::<ActorSpec<A>>().ok()?;
            Some(ChildSpec::of(configure(spec.named(name))))
        };
        let template = Template { max_children, settings, make: Arc::new(make), memory };
        Supervisor { intensity, template: Some(template), ..Supervisor::named(name) }
    }
}

type Make = dyn Fn(String, Box<dyn Any + Send>) -> Option<ChildSpec> + Send + Sync;

/// How the children of a supervisor are made that are all alike.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) max_children: usize,
    pub(crate) settings: ChildSettings,
    /// How they are written down, if they come back with the process.
    pub(crate) memory: Option<Memory>,
    /// `None`: the arguments are of another type.
    pub(crate) make: Arc<Make>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A reference to a running [`DynamicSupervisor`] of `A`s. Does not keep the runtime alive.
pub struct DynamicRef<A: Actor> {
    supervisor: SupervisorRef,
    of: PhantomData<fn() -> A>,
}

impl<A: Actor> DynamicRef<A> {
    pub(crate) fn new(supervisor: SupervisorRef) -> Self {
        DynamicRef { supervisor, of: PhantomData }
    }

    /// The same supervisor, whatever it supervises.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Starts a child called `name` with `args` and waits until it has started.
    ///
    /// # Errors
    ///
    /// [`AdminError::AlreadyStarted`] if there is one of that name, [`AdminError::TooMany`],
    /// [`AdminError::StartFailed`], [`AdminError::Declined`] and others; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the child may be started all the same.
    pub async fn start(&self, name: &str, args: A::Args) -> Result<ActorRef<A>, AdminError> {
        self.start_instance(Some(name.to_owned()), args).await
    }

    /// As [`start`](DynamicRef::start), under a name that no child has: `child-1`, `child-2` and so on.
    ///
    /// # Errors
    ///
    /// As [`start`](DynamicRef::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](DynamicRef::start).
    pub async fn start_unnamed(&self, args: A::Args) -> Result<ActorRef<A>, AdminError> {
        self.start_instance(None, args).await
    }

    async fn start_instance(&self, name: Option<String>, args: A::Args) -> Result<ActorRef<A>, AdminError> {
        // As a spec: it drops them quietly, should nothing be made of it.
        let args: Box<dyn Any + Send> = Box::new(ActorSpec::<A>::new("", args));
        let info = self.supervisor.request(|answer| Request::StartInstance { name, args, answer }).await?;
        self.at(info.path)
    }

    /// A reference to the child called `name`.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`].
    pub fn get(&self, name: &str) -> Result<ActorRef<A>, AdminError> {
        let path = self.supervisor.path().child(name);
        self.at(path.map_err(|_| AdminError::NotFound { name: name.to_owned() })?)
    }

    fn at(&self, path: ActorPath) -> Result<ActorRef<A>, AdminError> {
        let name = path.name().to_owned();
        // Gone meanwhile, or of another type: not one of ours.
        self.supervisor.runtime().resolve(&Address::new(path)).map_err(|_| AdminError::NotFound { name })
    }

    /// Stops the child called `name` as its spec says, and forgets it. Good also when nobody lives there: it may have
    /// ended a moment before.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] if somebody lives there who is no child, or the name is none;
    /// [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it is stopped all the same.
    pub async fn terminate(&self, name: &str) -> Result<(), AdminError> {
        self.supervisor.terminate_child(name).await
    }

    /// Its children in start order.
    ///
    /// # Errors
    ///
    /// [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn children(&self) -> Result<Vec<ChildInfo>, AdminError> {
        self.supervisor.children().await
    }

    /// How many there are.
    ///
    /// # Errors
    ///
    /// [`AdminError::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped.
    pub async fn count(&self) -> Result<ChildCounts, AdminError> {
        self.supervisor.count_children().await
    }
}

impl<A: Actor> Clone for DynamicRef<A> {
    fn clone(&self) -> Self {
        DynamicRef::new(self.supervisor.clone())
    }
}

impl<A: Actor> fmt::Debug for DynamicRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicRef({})", self.supervisor.path())
    }
}
