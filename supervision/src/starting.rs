//! How a supervisor starts its children.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::overseer::{Flow, Incarnation, OverseerContext};
use greenroom_runtime::{ExitPhase, ExitReason, Failure, Place, SpawnError};

use crate::child::Child;
use crate::child_spec::ChildSpec;
use crate::children::Key;
use crate::policy::RestartHistory;
use crate::rerouting::Rerouting;
use crate::supervisor::{Began, Supervising};
use crate::supervisor_spec::Supervisor;

impl Supervising {
    /// Makes the places of all children, then starts them from left to right.
    pub(crate) async fn start_all(&mut self, cx: &OverseerContext) -> Result<(), Flow> {
        self.make_spec()?;
        let has_leftovers = self.end_leftovers(cx).await;
        for spec in std::mem::take(&mut self.spec.children) {
            let place = claim(&spec, cx).map_err(|error| self.not_launched(spec.name(), error, cx))?;
            spec.place.renew(&place);
            self.children.add(Child::new(spec.settings, place));
        }
        if has_leftovers {
            self.close_unclaimed(cx);
        }
        for key in self.children.keys() {
            match self.start_child(key, cx).await {
                Began::Started => {}
                Began::Declined(_) => _ = self.settle_declined(key, cx),
                Began::Stopping => return Err(self.leave_stopped(cx).await),
                Began::Failed(reason) => {
                    let child = self.children.get(key).map_or(cx.path(), |child| child.place.path()).clone();
                    self.stop_all(cx).await;
                    let caused_by = Arc::new(reason);
                    return Err(Flow::Leave(ExitReason::ChildFailedToStart { child, caused_by }));
                }
            }
        }
        self.bring_back(cx).await
    }

    /// Runs the author's `init`, if the spec has one.
    fn make_spec(&mut self) -> Result<(), Flow> {
        let Some(init) = &self.spec.init else { return Ok(()) };
        let phase = ExitPhase::Start;
        let fail = |failure| Flow::Leave(ExitReason::Failed { phase, failure });
        let name = self.spec.name.clone();
        match (init.0)() {
            Ok(Some(made)) if made.init.is_some() => Err(fail(Failure::bug(
                "a spec that is made at the begin of a life cannot leave that to another function",
            ))),
            Ok(Some(made)) => {
                let complaints = made.complaints();
                if !complaints.is_empty() {
                    return Err(fail(Failure::bug(crate::SuperviseError::Spec(complaints))));
                }
                self.history = RestartHistory::new(made.limit());
                let pool = made.pool.as_ref();
                self.rerouting = Rerouting::new(pool.and_then(|pool| pool.sharing.reroute_after));
                self.spec = Supervisor { name, init: None, ..made };
                self.board.change(&self.spec);
                Ok(())
            }
            Ok(None) => {
                let why = Failure::declined("the supervisor has nothing to do here");
                Err(Flow::Leave(ExitReason::Declined { why }))
            }
            Err(failure) => Err(fail(failure)),
        }
    }

    /// Without a place there is no start: it has failed, unless the supervisor is ending.
    fn not_launched(
        &self,
        name: &str,
        error: impl std::error::Error + Send + Sync + 'static,
        cx: &OverseerContext,
    ) -> Flow {
        let child = cx.path().child(name).unwrap_or_else(|_| cx.path().clone());
        let caused_by = Arc::new(unplaced(error));
        Flow::Leave(ExitReason::ChildFailedToStart { child, caused_by })
    }

    /// Waits for those whom the kill of an earlier life took along, and fences who does not hear it: only a vacant
    /// place can be claimed. Parents first, so that none of them starts anybody again. Says whether an earlier life left
    /// any place at all.
    async fn end_leftovers(&self, cx: &OverseerContext) -> bool {
        let left = cx.runtime().places_below(cx.path());
        for place in &left {
            place.bring_down(Some(Duration::ZERO)).await;
        }
        !left.is_empty()
    }

    /// Deletes what an earlier life left that this one's spec does not name.
    fn close_unclaimed(&self, cx: &OverseerContext) {
        for place in cx.runtime().places_below(cx.path()) {
            let is_child = place.path().parent().as_ref() == Some(cx.path());
            if is_child && self.children.named(place.path().name()).is_none() {
                place.close(); // with what is below it
            }
        }
    }

    /// Launches a child and waits until it has started. Whatever else comes of it is the caller's to carry out.
    pub(crate) async fn start_child(&mut self, key: Key, cx: &OverseerContext) -> Began {
        match self.launch_child(key, cx).await {
            Ok(incarnation) => self.await_start(key, incarnation, cx).await,
            Err(began) => began,
        }
    }

    pub(crate) async fn launch_child(
        &mut self,
        key: Key,
        cx: &OverseerContext,
    ) -> Result<Incarnation, Began> {
        let Some(place) = self.children.get(key).map(|child| child.place.clone()) else {
            return Err(Began::Stopping); // cannot be: keys are taken from the list in the same breath
        };
        if cx.is_stopping() {
            return Err(Began::Stopping);
        }
        let incarnation = match place.launch(cx.link()).await {
            Ok(incarnation) => incarnation,
            Err(_) if cx.is_stopping() => return Err(Began::Stopping),
            Err(error) => return Err(Began::Failed(unplaced(error))),
        };
        if let Some(child) = self.children.get_mut(key) {
            child.incarnation = Some(incarnation);
            if self.spec.pool.is_some() && !std::mem::replace(&mut child.is_watched, true) {
                self.rerouting.watch(&place, cx.runtime());
            }
        }
        Ok(incarnation)
    }

    pub(crate) async fn await_start(
        &mut self,
        key: Key,
        incarnation: Incarnation,
        cx: &OverseerContext,
    ) -> Began {
        let Some(place) = self.children.get(key).map(|child| child.place.clone()) else {
            return Began::Stopping; // cannot be, as above
        };
        let started = tokio::select! {
            biased;
            started = place.started(incarnation) => started,
            () = cx.stopping() => return Began::Stopping,
        };
        let child = self.children.get_mut(key);
        match started {
            Ok(()) => {
                let now = cx.runtime().clock().elapsed();
                child.into_iter().for_each(|child| child.has_started(now));
                Began::Started
            }
            Err(reason) => {
                child.into_iter().for_each(|child| child.incarnation = None);
                match reason {
                    ExitReason::Declined { .. } => Began::Declined(reason),
                    reason => Began::Failed(reason),
                }
            }
        }
    }

    /// A child that declined stays listed without an incarnation, unless nothing is kept of its kind. Says which.
    pub(crate) fn settle_declined(&mut self, key: Key, cx: &OverseerContext) -> bool {
        let is_kept = self.keeps_spec(key);
        if is_kept {
            self.lay_aside(key)
        } else {
            self.forget(key, cx)
        }
        is_kept
    }
}

/// The place for a child: the one of an earlier life, if it can be claimed, with its mailbox.
fn claim(spec: &ChildSpec, cx: &OverseerContext) -> Result<Place, SpawnError> {
    let claimed = spec.place.place(cx.runtime(), Some(cx.path()));
    if let Err(SpawnError::WrongType { path, .. }) = &claimed
        && let Ok(other) = cx.runtime().place(path)
    {
        // Somebody else was added under that name by request, in an earlier life; nobody claims that one.
        other.close();
        return spec.place.place(cx.runtime(), Some(cx.path()));
    }
    claimed
}

/// How a child ended that got no place or no task.
fn unplaced(error: impl std::error::Error + Send + Sync + 'static) -> ExitReason {
    ExitReason::Failed { phase: ExitPhase::Start, failure: Failure::bug(error) }
}
