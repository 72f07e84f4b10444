//! Building a runtime.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use metrics::Recorder;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::address::ActorPath;
use crate::address::directory::Directory;
use crate::budget::Book;
use crate::cell::OverseerRef;
use crate::clock::Clock;
use crate::config::{KEPT_MAX, RuntimeConfig};
use crate::durable::{Leftovers, store_error};
use crate::mailbox::DeadLetters;
use crate::root::Root;
use crate::runtime::{Runtime, SpawnError};
use crate::store::{Stall, Store, StoreHandle, store_writer};
use crate::sync::lock;
use crate::telemetry::Telemetry;
use crate::world::World;

/// Builds a [`Runtime`]. Everything is optional.
#[derive(Default)]
pub struct Builder {
    config: RuntimeConfig,
    store: Option<Arc<dyn Store>>,
    recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    resources: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    seed: u64,
}

impl Builder {
    /// The bounds and patiences. Default: [`RuntimeConfig::default`].
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }

    /// Where durable actors keep their state: a store belongs to one runtime at a time, and may be given to the next one
    /// when the [`shutdown`](Runtime::shutdown) of the one before has returned. Default: none, and durable actors are
    /// refused.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where the counters of [`telemetry`](crate::telemetry) go. Default: nowhere. No global recorder is read or set.
    pub fn metrics(mut self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        self.recorder = Some(Arc::new(recorder));
        self
    }

    /// Something actors find by its type: a model client, a connection pool. One of each type; the last one counts.
    pub fn resource<T: Send + Sync + 'static>(mut self, resource: T) -> Self {
        self.resources.insert(TypeId::of::<T>(), Arc::new(resource));
        self
    }

    /// The seed of the runtime's own dice, which draw the jitter of backoffs. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the runtime inside the tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Store`] if another runtime has the store, or it cannot be read; [`SpawnError::Launch`] if the tokio runtime is shutting
    /// down.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or inside one whose time driver is off.
    pub async fn start(self) -> Result<Runtime, SpawnError> {
        let after = self.config.store_stalls_after;
        let stall = Stall { after, aborts: self.config.abort_when_store_stalls };
        let (store, writer) = match self.store.map(|store| store_writer(store, stall)).transpose()? {
            Some((handle, writer)) => (Some(handle), Some(writer)),
            None => (None, None),
        };
        let mut writers = JoinSet::new();
        if let Some(writer) = writer {
            writers.spawn(writer);
        }
        let world = Arc::new(World {
            clock: Clock::default(),
            directory: Directory::default(),
            dead_letters: DeadLetters::new(self.config.dead_letters_kept.clamp(1, KEPT_MAX)),
            telemetry: Telemetry::new(self.recorder),
            budgets: Book::default(),
            found: store.as_ref().map(StoreHandle::found),
            begun_after_crash: Mutex::default(),
            store: Mutex::new(store),
            leftovers: Leftovers::default(),
            events: broadcast::Sender::new(self.config.events_kept.clamp(1, KEPT_MAX)),
            numbers: AtomicU64::new(0),
            luck: AtomicU64::new(self.seed),
            resources: self.resources,
            tasks: Mutex::default(),
            writer: tokio::sync::Mutex::new(writers),
            store_failed: OnceLock::new(),
            late: Mutex::default(),
            moving: Mutex::default(),
            planting: Mutex::default(),
            root: Mutex::default(),
            ending: tokio::sync::Mutex::default(),
            config: self.config,
        });
        if let Some(store) = world.store() {
            // Before anybody can spend anything: what was charged when the process before ended counts.
            let budgets = store.read(|store| store.budgets()).await.map_err(store_error)?;
            world.budgets.recall(budgets);
            let of = Arc::downgrade(&world);
            world.track(async move {
                if let Some(world) = of.upgrade() {
                    // Whoever needs it looks again, if this fails.
                    let _found = world.leftovers.look_up(&store).await;
                }
            });
        }
        // The root is not in the directory; its path only shows in logs.
        let path = ActorPath::parse("root").map_err(SpawnError::Path)?;
        let (root, incarnation) = OverseerRef::<Root>::root(&world, path, Root::new).await?;
        let started = root.place().started(incarnation).await;
        let path = root.place().path().clone();
        started.map_err(|reason| SpawnError::StartFailed { path, reason })?;
        *lock(&world.root) = Some(root);
        Ok(Runtime::owning(world))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).field("store", &self.store.is_some()).finish()
    }
}
