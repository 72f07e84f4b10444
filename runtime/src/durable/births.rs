//! How actors were made, written down so that they can be made again; and what is left of those whom nobody runs.

use crate::address::ActorPath;
use crate::runtime::Runtime;
use crate::store::{Batch, CommitError, Record, StoreError, StoreHandle};

impl Runtime {
    /// The actors in the store that have something to see to, messages that wait, steps, timers, and that nobody runs:
    /// their supervisors are not started, or know nothing of them any more. Nothing of it is lost; whoever starts an actor
    /// of their type at their path takes it over.
    ///
    /// Reads some records of each actor in the store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot read. Without a store there are none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn unclaimed(&self) -> Result<Vec<ActorPath>, StoreError> {
        let Some(store) = self.world().store() else { return Ok(Vec::new()) };
        let unfinished = store.read(|store| store.unfinished()).await.map_err(store_error)?;
        Ok(unfinished.into_iter().filter(|path| self.place(path).is_err()).collect())
    }

    /// Deletes everything that is kept of the actor at `path` but the number of its last life: its state, the messages that
    /// wait, its journals, its timers, and what was laid aside. An actor that lives there is fenced at its next commit; stop
    /// it first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot write; [`StoreError::Closed`] without a store.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may be deleted all the same.
    pub async fn erase(&self, path: &ActorPath) -> Result<(), StoreError> {
        let erase = Record::Erase { of: path.clone() };
        self.write(vec![erase]).await
    }

    /// Writes down how the actor at `path` was made. For the crates that build on this one.
    ///
    /// # Errors
    ///
    /// As [`erase`](Runtime::erase).
    #[doc(hidden)]
    pub async fn write_birth(&self, path: &ActorPath, content: Vec<u8>) -> Result<(), StoreError> {
        self.write(vec![Record::Birth { of: path.clone(), content }]).await
    }

    /// Does not wait for it. For the crates that build on this one.
    #[doc(hidden)]
    pub fn forget_birth(&self, path: &ActorPath) {
        let (runtime, path) = (self.clone().into_guest(), path.clone());
        let world = self.world().clone();
        world.track(async move {
            if let Err(error) = runtime.write_birth(&path, Vec::new()).await {
                tracing::warn!(actor = %path, %error, "how it was made is still written down");
            }
        });
    }

    /// How those right below `parent` were made that have something to see to. For the crates that build on this one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot read.
    #[doc(hidden)]
    pub async fn births_below(&self, parent: &ActorPath) -> Result<Vec<(ActorPath, Vec<u8>)>, StoreError> {
        let Some(store) = self.world().store() else { return Ok(Vec::new()) };
        let parent = parent.clone();
        let found = store.read(move |store| {
            let mut births = Vec::new();
            for path in store.unfinished()? {
                if path.parent().as_ref() == Some(&parent)
                    && let Some(birth) = store.scan(&path)?.birth.filter(|birth| !birth.is_empty())
                {
                    births.push((path, birth));
                }
            }
            Ok(births)
        });
        found.await.map_err(store_error)
    }

    async fn write(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let store: StoreHandle = self.world().store().ok_or(StoreError::Closed)?;
        store.commit(Batch::from_outside(records)).await.map(drop).map_err(store_error)
    }
}

/// What the store said, for those to whom a replaced life means nothing.
pub(crate) fn store_error(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        CommitError::Stale { .. } | CommitError::Conflict { .. } | CommitError::Unavailable => {
            StoreError::Closed
        }
    }
}
