//! What one incarnation has to itself: what it was started with, and its tasks, which end with it.

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::task::{AbortHandle, JoinSet};

use crate::actor::Actor;
use crate::cell::Terms;
use crate::sync::{drop_quietly, lock};

/// What one incarnation has to itself.
pub(crate) struct Scope<A: Actor> {
    terms: Arc<Terms<A>>,
    /// Timers, monitors, work of [`Context::spawn`]; made with the first. All are aborted when it ends.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl<A: Actor> Scope<A> {
    pub(crate) fn new(terms: Arc<Terms<A>>) -> Self {
        Scope { terms, tasks: Mutex::default() }
    }

    pub(crate) fn args(&self) -> &A::Args {
        &self.terms.args
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        let tasks = tasks.get_or_insert_default();
        // Those that are through would pile up otherwise.
        while let Some(ended) = tasks.try_join_next() {
            drop_quietly(ended); // what a panic carries is the author's
        }
        tasks.spawn(task)
    }

    pub(crate) fn abort(&self) {
        if let Some(tasks) = &mut *lock(&self.tasks) {
            tasks.abort_all();
        }
    }
}

/// Cancels a timer, a monitor or a spawned piece of work. Dropping the handle cancels nothing.
#[derive(Clone, Debug)]
pub struct TimerHandle(pub(crate) AbortHandle);

impl TimerHandle {
    /// Cancels it. What it has put into the mailbox already stays there.
    pub fn cancel(&self) {
        self.0.abort();
    }
}
