//! The supervisor at work: carries out what the policy decides.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::{
    ActorPath, ChildExit, ExitPhase, ExitReason, Failure, Flow, Overseer, OverseerContext, OverseerRef,
    PathError, RuntimeEvent,
};
use tokio::sync::oneshot;

use crate::child::{Child, Ticket, classify};
use crate::policy::{
    ChildFacts, ChildState, Decision, ExitClass, RestartHistory, SupervisorFacts, SupervisorPhase,
    after_failed_start, decide,
};
use crate::supervisor_ref::ChildInfo;
use crate::supervisor_spec::Supervisor;

/// One life of a supervisor.
pub(crate) struct Supervising {
    spec: Supervisor,
    /// In start order.
    children: Vec<Child>,
    history: RestartHistory,
    phase: SupervisorPhase,
}

pub(crate) enum SupervisorMessage {
    /// A restart that failed, or waits for its backoff, is due. Through the mailbox, so that a stop is heard between.
    TryAgain {
        child: String,
        start: Vec<String>,
        how: Try,
        ticket: Ticket,
    },
    Children(oneshot::Sender<Vec<ChildInfo>>),
}

#[derive(Clone, Copy)]
pub(crate) enum Try {
    /// It was decided already and only waited.
    Delayed,
    /// A start failed: the policy has its say first.
    AfterFailure,
}

enum NotStarted {
    Failed {
        child: ActorPath,
        reason: ExitReason,
    },
    /// The supervisor was asked to stop meanwhile.
    Stopping,
}

impl Supervising {
    pub(crate) fn new(spec: Supervisor) -> Self {
        let history = RestartHistory::new(spec.intensity);
        Supervising { spec, children: Vec::new(), history, phase: SupervisorPhase::Running }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.spec.name() == name)
    }

    fn ask_policy(
        &mut self,
        which: fn(&SupervisorFacts<'_>, usize, ExitClass, &mut RestartHistory) -> Decision,
        child: usize,
        exit: ExitClass,
        cx: &OverseerContext,
    ) -> Decision {
        let children: Vec<ChildFacts> = self.children.iter().map(Child::facts).collect();
        let now_ms = u64::try_from(cx.runtime().clock().elapsed().as_millis()).unwrap_or(u64::MAX);
        let facts =
            SupervisorFacts { strategy: self.spec.strategy, phase: self.phase, children: &children, now_ms };
        which(&facts, child, exit, &mut self.history)
    }

    // ---- starting ----

    async fn start_all(&mut self, cx: &OverseerContext) -> Result<(), NotStarted> {
        self.end_leftovers(cx).await;
        for spec in self.spec.children.clone() {
            let place = spec.place.place(cx.runtime(), Some(cx.path()));
            let place = place.map_err(|error| not_launched(cx.path().child(spec.name()), error, cx))?;
            self.children.push(Child::new(spec, place));
        }
        self.close_unclaimed(cx);
        for at in 0..self.children.len() {
            self.start_child(at, cx).await?;
        }
        Ok(())
    }

    /// Waits for those whom the kill of an earlier life took along, and fences who does not hear it: only a vacant
    /// place can be claimed. Parents first, so that none of them starts anybody again.
    async fn end_leftovers(&self, cx: &OverseerContext) {
        for place in cx.runtime().places_below(cx.path()) {
            place.bring_down(Some(Duration::ZERO)).await;
        }
    }

    /// Deletes what an earlier life left that this one's spec does not name.
    fn close_unclaimed(&self, cx: &OverseerContext) {
        for place in cx.runtime().places_below(cx.path()) {
            let mine = |child: &Child| {
                place.path() == child.place.path() || place.path().is_below(child.place.path())
            };
            if !self.children.iter().any(mine) {
                place.close();
            }
        }
    }

    async fn start_child(&mut self, at: usize, cx: &OverseerContext) -> Result<(), NotStarted> {
        if cx.is_stopping() {
            return Err(NotStarted::Stopping);
        }
        let child = &mut self.children[at];
        let path = child.place.path().clone();
        let launched = child.place.launch(cx.link()).await;
        let incarnation = launched.map_err(|error| not_launched(Ok(path.clone()), error, cx))?;
        child.incarnation = Some(incarnation);
        tokio::select! {
            biased;
            started = child.place.started(incarnation) => match started {
                Ok(()) => {
                    child.has_started(cx.runtime().clock().elapsed());
                    Ok(())
                }
                Err(reason) => {
                    child.incarnation = None;
                    Err(NotStarted::Failed { child: path, reason })
                }
            },
            () = cx.stopping() => Err(NotStarted::Stopping),
        }
    }

    // ---- stopping ----

    /// Stops what runs, in reverse start order.
    async fn stop_all(&mut self, cx: &OverseerContext) {
        self.phase = SupervisorPhase::Stopping;
        for child in self.children.iter_mut().rev() {
            child.bring_down(cx.runtime()).await;
        }
    }

    // ---- restarting ----

    async fn carry_out(
        &mut self,
        decision: Decision,
        at: usize,
        reason: &ExitReason,
        cx: &OverseerContext,
    ) -> Flow {
        match decision {
            Decision::Ignore => Flow::Stay,
            Decision::Forget => {
                self.children.remove(at).place.close();
                Flow::Stay
            }
            Decision::Keep => {
                self.children[at].state = ChildState::Stopped;
                self.children[at].place.shelve();
                Flow::Stay
            }
            Decision::GiveUp => self.give_up(at, reason, cx).await,
            Decision::Restart { stop, forget, start } => {
                let name = self.children[at].spec.name().to_owned();
                self.children[at].last_exit = Some(reason.clone());
                for child in stop {
                    self.children[child].bring_down(cx.runtime()).await;
                }
                let start: Vec<String> =
                    start.iter().map(|child| self.children[*child].spec.name().to_owned()).collect();
                for child in forget {
                    self.children.remove(child).place.close();
                }
                self.begin_restart(name, start, cx).await
            }
        }
    }

    async fn begin_restart(&mut self, name: String, start: Vec<String>, cx: &OverseerContext) -> Flow {
        // Whoever of the group waits for a try of its own comes up with the group instead.
        self.call_off_tries(&start);
        let Some(at) = self.position(&name) else { return Flow::Stay };
        let runtime = cx.runtime();
        let child = &mut self.children[at];
        let ticket = child.await_try();
        let delay = child.delay(runtime.clock().elapsed(), runtime.random());
        runtime.publish(RuntimeEvent::Restarting { path: child.place.path().clone(), delay });
        if delay.is_zero() {
            return self.start_group(start, cx).await;
        }
        self.post(SupervisorMessage::TryAgain { child: name, start, how: Try::Delayed, ticket }, delay, cx);
        Flow::Stay
    }

    fn call_off_tries(&mut self, names: &[String]) {
        let of_group = |child: &&mut Child| names.iter().any(|name| name == child.spec.name());
        self.children.iter_mut().filter(of_group).for_each(Child::call_off_try);
    }

    /// Starts the named children in order. The first that does not start becomes the one to try again.
    async fn start_group(&mut self, start: Vec<String>, cx: &OverseerContext) -> Flow {
        for name in &start {
            let Some(at) = self.position(name) else { continue };
            match self.start_child(at, cx).await {
                Ok(()) => {}
                Err(NotStarted::Stopping) => return Flow::Leave(self.on_stop(cx).await),
                Err(NotStarted::Failed { reason, .. }) => {
                    self.call_off_tries(&start);
                    let child = &mut self.children[at];
                    let ticket = child.await_try();
                    child.last_exit = Some(reason);
                    let (child, start, how) = (name.clone(), Vec::new(), Try::AfterFailure);
                    self.post(SupervisorMessage::TryAgain { child, start, how, ticket }, Duration::ZERO, cx);
                    return Flow::Stay;
                }
            }
        }
        Flow::Stay
    }

    async fn try_again(&mut self, at: usize, start: Vec<String>, how: Try, cx: &OverseerContext) -> Flow {
        match how {
            Try::Delayed => self.start_group(start, cx).await,
            Try::AfterFailure => {
                let reason = self.children[at].last_exit.clone().unwrap_or(ExitReason::StartTimedOut);
                let decision = self.ask_policy(after_failed_start, at, classify(&reason), cx);
                self.carry_out(decision, at, &reason, cx).await
            }
        }
    }

    fn post(&self, message: SupervisorMessage, delay: Duration, cx: &OverseerContext) {
        let me = cx.runtime().place(cx.path()).ok().and_then(|place| OverseerRef::<Self>::of(&place));
        if let Some(me) = me {
            me.post_after(delay, message);
        }
    }

    async fn give_up(&mut self, at: usize, reason: &ExitReason, cx: &OverseerContext) -> Flow {
        let child = &mut self.children[at];
        child.state = ChildState::Stopped;
        let reason = ExitReason::IntensityExceeded {
            child: child.place.path().clone(),
            caused_by: Arc::new(reason.clone()),
        };
        let limit = self.spec.intensity;
        tracing::error!(supervisor = %cx.path(), max = limit.max, within = ?limit.within, %reason, "restart intensity exceeded, escalating");
        cx.runtime().publish(RuntimeEvent::GaveUp { path: cx.path().clone(), reason: reason.clone() });
        self.stop_all(cx).await;
        Flow::Leave(reason)
    }
}

impl Overseer for Supervising {
    type Message = SupervisorMessage;

    async fn begin(&mut self, cx: &OverseerContext) -> Flow {
        match self.start_all(cx).await {
            Ok(()) => Flow::Stay,
            Err(NotStarted::Stopping) => Flow::Leave(self.on_stop(cx).await),
            Err(NotStarted::Failed { child, reason }) => {
                self.stop_all(cx).await;
                Flow::Leave(ExitReason::ChildFailedToStart { child, caused_by: Arc::new(reason) })
            }
        }
    }

    async fn on_message(&mut self, message: SupervisorMessage, cx: &OverseerContext) -> Flow {
        match message {
            SupervisorMessage::TryAgain { child, start, how, ticket } => match self.position(&child) {
                Some(at) if self.children[at].awaits(&ticket) => self.try_again(at, start, how, cx).await,
                _ => Flow::Stay, // called off: it came up with its group, or an earlier life posted this
            },
            SupervisorMessage::Children(answer) => {
                let children = self.children.iter().map(ChildInfo::of).collect();
                // Who asked may have gone.
                drop(answer.send(children));
                Flow::Stay
            }
        }
    }

    async fn on_child_exit(&mut self, exit: ChildExit, cx: &OverseerContext) -> Flow {
        let Some(at) = self.children.iter().position(|child| child.incarnation == Some(exit.incarnation))
        else {
            return Flow::Stay; // an end that this supervisor brought about, or of a child it has forgotten
        };
        let decision = self.ask_policy(decide, at, classify(&exit.reason), cx);
        self.children[at].incarnation = None;
        self.carry_out(decision, at, &exit.reason, cx).await
    }

    async fn on_stop(&mut self, cx: &OverseerContext) -> ExitReason {
        self.stop_all(cx).await;
        ExitReason::Shutdown
    }
}

/// Without a place or a task there is no start: it has failed, unless the supervisor is ending.
fn not_launched(
    child: Result<ActorPath, PathError>,
    error: impl std::error::Error + Send + Sync + 'static,
    cx: &OverseerContext,
) -> NotStarted {
    if cx.is_stopping() {
        return NotStarted::Stopping;
    }
    let child = child.unwrap_or_else(|_| cx.path().clone());
    let reason = ExitReason::Failed { phase: ExitPhase::Start, failure: Failure::bug(error) };
    NotStarted::Failed { child, reason }
}
