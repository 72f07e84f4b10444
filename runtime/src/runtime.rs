//! The runtime: what an embedder builds inside their own tokio application, and shuts down again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, oneshot};

use crate::actor::{Actor, ActorSpec, ExitReason};
use crate::address::directory::typed;
use crate::address::{ActorPath, ActorRef, Address, PathError, ResolveError};
use crate::builder::Builder;
use crate::cell::{Incarnation, LaunchError, OverseerRef, Place, PlaceSpec};
use crate::clock::Clock;
use crate::config::RuntimeConfig;
use crate::events::RuntimeEvent;
use crate::mailbox::{DeadLetters, Overflow};
use crate::resilience::{Breaker, BreakerSpec};
use crate::root::{Root, RootMessage};
use crate::store::StoreError;
use crate::sync::lock;
use crate::world::World;

/// Why an actor could not be spawned.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The name is no path segment, such as one with a `/` in it.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Somebody runs there already. Choose another name, or stop it first.
    #[error("{path} is taken")]
    Taken {
        /// Where.
        path: ActorPath,
    },
    /// Another type lived there before: a path keeps its type.
    #[error("a `{lives_there}` lives at {path}")]
    WrongType {
        /// Where.
        path: ActorPath,
        /// Who lives there.
        lives_there: &'static str,
    },
    /// The spec says durable, but the runtime was built without a store. Give the builder one.
    #[error("{path} is durable, but the runtime has no store")]
    NoStore {
        /// Where.
        path: ActorPath,
    },
    /// A durable mailbox may shed nothing that it accepted: `DropOldest` and `DropNewest` are refused.
    #[error("{path} is durable, so its mailbox may not drop messages ({overflow:?})")]
    DurableMayNotShed {
        /// Where.
        path: ActorPath,
        /// The refused policy.
        overflow: Overflow,
    },
    /// It did not start. The place is deleted again.
    #[error("{path} did not start")]
    StartFailed {
        /// Where.
        path: ActorPath,
        /// How its start ended.
        #[source]
        reason: ExitReason,
    },
    /// The runtime cannot have its store: [`StoreError::Locked`] if another runtime has it. Shut that one down first.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be launched.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The runtime is shutting down, or has.
    #[error("the runtime is shut down")]
    ShutDown,
}

pub(crate) fn check_durable(
    world: &World,
    path: &ActorPath,
    durable: bool,
    overflow: Overflow,
) -> Result<(), SpawnError> {
    if !durable {
        return Ok(());
    }
    if !world.has_store() {
        return Err(SpawnError::NoStore { path: path.clone() });
    }
    match overflow {
        Overflow::Wait | Overflow::Reject => Ok(()),
        Overflow::DropOldest | Overflow::DropNewest => {
            Err(SpawnError::DurableMayNotShed { path: path.clone(), overflow })
        }
    }
}

/// A handle to one runtime; cloning is two reference counts.
///
/// A guest in the tokio application that started it: no tokio runtime, signal handlers, panic hooks or globals of its own.
/// Threads: none without a store; with one, the engine's few, and one of tokio's blocking pool during a flush. When the
/// last handle that [`Builder::start`] gave out is dropped without [`shutdown`](Runtime::shutdown), everything in it
/// is killed.
#[derive(Clone)]
pub struct Runtime {
    world: Arc<World>,
    /// `None` for the handles that actors get: they do not keep the runtime alive.
    owner: Option<Arc<Owner>>,
}

struct Owner(Arc<World>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(root) = lock(&self.0.root).take() {
            root.place().kill();
        }
        // A shutdown that was dropped half-way: its root knows what to do.
        if let Ok(mut ending) = self.0.ending.try_lock() {
            drop(ending.take());
        }
        for place in self.0.directory.all().into_iter().rev() {
            place.close();
        }
        // The writer finishes what it has and ends with the last handle.
        drop(lock(&self.0.store).take());
        if let Ok(mut writer) = self.0.writer.try_lock() {
            writer.detach_all();
        }
    }
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Those that did not end in order within their time and were killed or fenced; empty if all went well.
    pub late: Vec<ActorPath>,
}

impl ShutdownReport {
    /// Whether everybody ended in order.
    pub fn is_clean(&self) -> bool {
        self.late.is_empty()
    }
}

impl Runtime {
    /// Begins to build a runtime.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The handle that keeps the runtime alive.
    pub(crate) fn owning(world: Arc<World>) -> Self {
        Runtime { owner: Some(Arc::new(Owner(world.clone()))), world }
    }

    /// A handle that does not keep the runtime alive.
    pub(crate) fn guest(world: Arc<World>) -> Self {
        Runtime { world, owner: None }
    }

    /// The same runtime, by a handle that does not keep it alive: for what lives inside it.
    #[must_use]
    pub fn into_guest(self) -> Self {
        Self::guest(self.world)
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The clock of this runtime.
    pub fn clock(&self) -> Clock {
        self.world.clock
    }

    /// The settings it was built with.
    pub fn config(&self) -> &RuntimeConfig {
        &self.world.config
    }

    /// Spawns an `A` called `name`, which is one segment of a path, at the top of the tree and waits until it has started.
    /// Nobody restarts it: for that put it under a supervisor.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the actor may have been spawned; it is then found in the directory.
    pub async fn spawn<A: Actor>(&self, name: &str, args: A::Args) -> Result<ActorRef<A>, SpawnError> {
        self.spawn_spec(ActorSpec::new(name, args)).await
    }

    /// As [`spawn`](Runtime::spawn), with a full spec.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Runtime::spawn).
    pub async fn spawn_spec<A: Actor>(&self, spec: ActorSpec<A>) -> Result<ActorRef<A>, SpawnError> {
        let place = self.plant(&spec.into(), Some(Duration::from_secs(5))).await?;
        typed(&place).map_err(|_| unreachable!("the spec of an `A` makes an `A`"))
    }

    /// Puts what `spec` describes at the top of the tree and waits until it has started. At shutdown it gets `patience`
    /// to end in order; `None`: as long as the shutdown's own deadline.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Runtime::spawn).
    pub async fn plant(&self, spec: &PlaceSpec, patience: Option<Duration>) -> Result<Place, SpawnError> {
        let path = ActorPath::top(spec.name())?;
        // Nobody brings back what ended up here: its place goes, even if the root has not heard of the end yet.
        if let Some(place) = self.world.directory.get(&path)
            && !place.state().is_occupied()
            && place.0.core().last_exit().is_some()
        {
            place.close();
        }
        let root = self.world.root().ok_or(SpawnError::ShutDown)?;
        let place = self.make_place(spec, path)?;
        let (answer, launched) = oneshot::channel();
        let message = RootMessage::Launch { place: place.clone(), patience, answer };
        // Each caller waits for one answer, so it is the callers who are the bound.
        if root.post_unbounded(message).is_err() {
            place.close();
            return Err(SpawnError::ShutDown);
        }
        let incarnation: Incarnation = match launched.await {
            Ok(Ok(incarnation)) => incarnation,
            Ok(Err(error)) => {
                // A supervisor was faster, and it is its child's.
                if let LaunchError::Occupied(path) = error {
                    return Err(SpawnError::Taken { path });
                }
                place.close();
                return Err(error.into());
            }
            Err(_) => {
                place.close();
                return Err(SpawnError::ShutDown);
            }
        };
        match place.started(incarnation).await {
            Ok(()) => Ok(place),
            Err(reason) => {
                // The root deletes it; after that the name is free again.
                place.closed().await;
                Err(SpawnError::StartFailed { path: place.path().clone(), reason })
            }
        }
    }

    /// Makes the place of `spec` at `path`. One that is there is never claimed: who lives there, or is about to, belongs to
    /// another caller.
    fn make_place(&self, spec: &PlaceSpec, path: ActorPath) -> Result<Place, SpawnError> {
        // Of callers with one name the first makes the place, and the others find it.
        let _alone = lock(&self.world.planting);
        let Some(there) = self.world.directory.get(&path) else { return spec.place(self, None) };
        if there.state().is_occupied() {
            spec.place(self, None)?; // tells if another type lives there
        }
        Err(SpawnError::Taken { path })
    }

    /// A reference to whoever lives at `address` now.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]: nobody lives there, or another type does.
    pub fn resolve<A: Actor>(&self, address: &Address<A>) -> Result<ActorRef<A>, ResolveError> {
        typed(&self.place(address.path())?)
    }

    /// The place at `path`.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Nobody`].
    pub fn place(&self, path: &ActorPath) -> Result<Place, ResolveError> {
        self.world.directory.get(path).ok_or_else(|| ResolveError::Nobody { path: path.clone() })
    }

    /// The places below `path`, parents before children.
    pub fn places_below(&self, path: &ActorPath) -> Vec<Place> {
        self.world.directory.below(path)
    }

    /// All places, ordered by path. Copies the directory under a lock.
    pub fn places(&self) -> Vec<Place> {
        self.world.directory.all()
    }

    /// The dead letters of this runtime.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.world.dead_letters
    }

    /// What happens from now on. Bounded: a reader that falls behind is told how many events it missed.
    pub fn events(&self) -> broadcast::Receiver<RuntimeEvent> {
        self.world.events.subscribe()
    }

    /// Announces something; for the crates that build on this one.
    #[doc(hidden)]
    pub fn publish(&self, event: RuntimeEvent) {
        self.world.publish(event);
    }

    /// Runs `task` until it is done or the runtime is shut down; for the crates that build on this one.
    #[doc(hidden)]
    pub fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.world.track(task);
    }

    /// The next number from [0, 1) of this runtime's seed; for the crates that build on this one.
    #[doc(hidden)]
    pub fn random(&self) -> f64 {
        self.world.random()
    }

    /// A breaker that is counted under `name` by this runtime's recorder and draws its jitter from this runtime's seed.
    /// Give each one a name of its own, and hand clones of it to those who call the same thing.
    pub fn breaker(&self, name: &str, spec: BreakerSpec) -> Breaker {
        let name = Arc::from(name);
        let metrics = self.world.telemetry.breaker(&name);
        Breaker::with(name, spec, self.world.clock, self.world.random().to_bits(), metrics)
    }

    /// What the builder was given under its type.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.world.resource()
    }

    /// What the store's writer has done, if there is a store.
    pub fn store_stats(&self) -> Option<crate::store::WriterStats> {
        self.world.store().map(|store| store.stats())
    }

    /// Sets the gauges: places, waiting messages, commits. Walks over all places; call it before each scrape, not more.
    pub fn measure(&self) {
        let telemetry = &self.world.telemetry;
        telemetry.actors.set(self.world.directory.len() as f64);
        if let Some(stats) = self.store_stats() {
            telemetry.store_commits.set(stats.commits as f64);
            telemetry.store_groups.set(stats.groups as f64);
        }
        let mut waiting: BTreeMap<&'static str, usize> = BTreeMap::new();
        for place in self.walk(None) {
            *waiting.entry(place.0.core().type_name).or_default() += place.0.waiting().0;
        }
        for (name, metrics) in telemetry.types() {
            metrics.waiting.set(waiting.get(name).copied().unwrap_or(0) as f64);
        }
    }

    /// Brings everything down, the newest first, each with its own patience, all within `deadline`; after it, up to the
    /// kill grace (1 s) for each that blocks its thread, and up to `deadline` (at least 1 s) for the store's last commit.
    ///
    /// Never hangs: whoever does not end in time is killed, whoever does not hear that is fenced, and both are named.
    /// Called again meanwhile, it waits for the first call; after everything has ended, it reports nobody.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the actors still go down in order; the store is closed by a second call, which waits for that
    /// within its own `deadline`, or with the last handle.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let mut ending = self.world.ending.lock().await;
        let mut late = Vec::new();
        let begins = lock(&self.world.root).take();
        let is_first = begins.is_some();
        *ending = begins.or_else(|| ending.take());
        if let Some(root) = &*ending {
            let has_ended = if is_first {
                self.stop_all(root, deadline, &mut late).await
            } else {
                self.has_ended(root, deadline).await
            };
            if !has_ended {
                root.place().kill();
            }
            // Nobody, unless the root itself fell or heard nothing: then its work is done here.
            for place in self.world.directory.all().into_iter().rev() {
                place.bring_down(Some(Duration::ZERO)).await;
                place.close();
                // Who never lived has not been late.
                if place.0.core().last_exit().is_some() {
                    late.push(place.path().clone());
                }
            }
            late.append(&mut lock(&self.world.late).take().unwrap_or_default());
        }
        *ending = None;
        self.world.close_store(deadline.max(Duration::from_secs(1))).await;
        late.sort();
        late.dedup();
        ShutdownReport { late }
    }

    /// Has the root bring down everything below it. `false`: it heard nothing of that in time.
    async fn stop_all(&self, root: &OverseerRef<Root>, within: Duration, late: &mut Vec<ActorPath>) -> bool {
        // Those that were killed or fenced before are no news.
        *lock(&self.world.late) = Some(Vec::new());
        let (answer, stopped) = oneshot::channel();
        let (begun, hears) = oneshot::channel();
        let posted = root.post_unbounded(RootMessage::StopAll { within, begun, answer });
        // The root may be next in line on a thread that a handler blocks: then it hears nothing.
        let hears = posted.is_ok() && self.clock().within(within, hears).await.is_some();
        if hears {
            late.append(&mut stopped.await.unwrap_or_default());
            root.place().closed().await;
        }
        hears
    }

    /// Waits for a root that was told to bring everything down by a call that nobody waits for any more.
    async fn has_ended(&self, root: &OverseerRef<Root>, deadline: Duration) -> bool {
        self.clock().within(deadline, root.place().closed()).await.is_some()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owns = self.owner.is_some();
        f.debug_struct("Runtime").field("places", &self.world.directory.len()).field("owns", &owns).finish()
    }
}
