//! The tasks of one incarnation, which end with it.

use std::future::Future;
use std::sync::Mutex;

use tokio::task::{AbortHandle, JoinSet};

use crate::sync::lock;

/// The tasks of one incarnation: timers, monitors, work of [`Context::spawn`]. All are aborted when it ends.
#[derive(Default)]
pub(crate) struct Scope {
    tasks: Mutex<JoinSet<()>>,
}

impl Scope {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        // Those that are through would pile up otherwise.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task)
    }

    pub(crate) fn abort(&self) {
        lock(&self.tasks).abort_all();
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
