//! What all cells of one runtime share: clock, directory, dead letters, events, the way to the store.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::address::ActorPath;
use crate::address::directory::Directory;
use crate::budget::Book;
use crate::cell::OverseerRef;
use crate::clock::Clock;
use crate::config::RuntimeConfig;
use crate::dice;
use crate::durable::Leftovers;
use crate::events::RuntimeEvent;
use crate::mailbox::{DeadLetterReason, DeadLetters};
use crate::message::Head;
use crate::root::Root;
use crate::store::{StoreError, StoreHandle, StoreHead, StoreId};
use crate::sync::lock;
use crate::telemetry::Telemetry;

/// What all cells of one runtime share.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) config: RuntimeConfig,
    pub(crate) directory: Directory,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) telemetry: Telemetry,
    pub(crate) budgets: Book,
    pub(crate) store: Mutex<Option<StoreHandle>>,
    /// The head of the store as it was found; `None` without one.
    pub(crate) found: Option<StoreHead>,
    /// Which durable actors have begun here, if the process before did not end in order.
    pub(crate) begun_after_crash: Mutex<BTreeSet<ActorPath>>,
    pub(crate) leftovers: Leftovers,
    pub(crate) events: broadcast::Sender<RuntimeEvent>,
    pub(crate) numbers: AtomicU64,
    pub(crate) luck: AtomicU64,
    pub(crate) resources: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
    /// Tasks of the runtime itself; aborted with it.
    pub(crate) tasks: Mutex<JoinSet<()>>,
    /// The task of the store's writer; whoever closes the store waits for it here.
    pub(crate) writer: tokio::sync::Mutex<JoinSet<()>>,
    pub(crate) store_failed: OnceLock<()>,
    /// While the runtime shuts down: those that did not end in order within their patience.
    pub(crate) late: Mutex<Option<Vec<ActorPath>>>,
    /// Held by whoever moves messages between mailboxes: one move at a time, for it holds the locks of one mailbox while
    /// it takes those of others.
    pub(crate) moving: Mutex<()>,
    /// Held by whoever makes a place at the top: to look whether one is there and to make it is one step.
    pub(crate) planting: Mutex<()>,
    /// Taken out at the end: the root's cell holds this world.
    pub(crate) root: Mutex<Option<OverseerRef<Root>>>,
    /// Held by the shutdown that is under way, and the root that it brings down.
    pub(crate) ending: tokio::sync::Mutex<Option<OverseerRef<Root>>>,
}

impl World {
    /// A number that this runtime has not given out before; from 1.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The next number from [0, 1) of this runtime's seed.
    pub(crate) fn random(&self) -> f64 {
        // One atomic addition: good enough for jitter.
        dice::share(self.luck.fetch_add(dice::STEP, Ordering::Relaxed))
    }

    pub(crate) fn publish(&self, event: RuntimeEvent) {
        if self.events.receiver_count() > 0 {
            // The last reader may leave in between: nobody listening is no error.
            drop(self.events.send(event));
        }
    }

    pub(crate) fn dead_letter(&self, to: &ActorPath, head: Head, reason: DeadLetterReason) {
        self.telemetry.dead_letter(reason.label());
        let letter = self.dead_letters.add(to.clone(), head, reason);
        tracing::debug!(to = %letter.to, message = letter.message, reason = %letter.reason, "dead letter");
        self.publish(RuntimeEvent::DeadLetter(letter));
    }

    pub(crate) fn store_available(&self) -> bool {
        lock(&self.store).as_ref().is_some_and(StoreHandle::is_available)
    }

    pub(crate) fn has_store(&self) -> bool {
        self.found.is_some()
    }

    /// Which store it is; 0 without one, where nothing is named by it.
    pub(crate) fn store_id(&self) -> StoreId {
        self.found.map_or(StoreId(0), |found| found.id)
    }

    /// Whether this is the first time here that the durable actor at `path` begins, and the process before may have ended
    /// over one of its messages.
    pub(crate) fn begins_after_crash(&self, path: &ActorPath) -> bool {
        let ended_in_order = self.found.is_none_or(|found| found.ended_in_order);
        !ended_in_order && lock(&self.begun_after_crash).insert(path.clone())
    }

    /// The way to the store; `None` without one, and after the shutdown.
    pub(crate) fn store(&self) -> Option<StoreHandle> {
        lock(&self.store).clone()
    }

    pub(crate) fn root(&self) -> Option<OverseerRef<Root>> {
        lock(&self.root).clone()
    }

    /// Lets the store go, which is told that this is an end in order: it is closed when this returns, unless a commit takes
    /// longer than `limit`.
    pub(crate) async fn close_store(&self, limit: Duration) {
        let store = lock(&self.store).take();
        lock(&self.tasks).abort_all();
        let ended = async {
            if let Some(store) = store
                && let Err(error) = store.read(|store| store.end()).await
            {
                tracing::debug!(%error, "the next process will not know that this one ended in order");
            }
            let mut writer = self.writer.lock().await;
            while writer.join_next().await.is_some() {}
        };
        if self.clock.within(limit, ended).await.is_none() {
            tracing::error!("the store is still writing; it is closed when it is done");
        }
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        if self.store_failed.set(()).is_ok() {
            tracing::error!(%error, "the store has failed; durable actors refuse until it is opened again");
            self.publish(RuntimeEvent::StoreFailed { error: error.clone() });
        }
    }

    /// Remembers, if the runtime is shutting down, that whoever lives at `path` did not end in order.
    pub(crate) fn note_late(&self, path: &ActorPath) {
        if let Some(late) = &mut *lock(&self.late) {
            late.push(path.clone());
        }
    }

    pub(crate) fn resource<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.resources.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }

    pub(crate) fn track(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        // Those that are through would pile up otherwise.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}
