//! The supervisor at work: carries out what the policy decides.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::overseer::{ChildExit, Flow, Overseer, OverseerContext, OverseerRef, Shown};
use greenroom_runtime::{ActorPath, ExitReason, Place, RuntimeEvent};

use crate::admin::Request;
use crate::board::Board;
use crate::child::{Child, Group, Ticket, classify};
use crate::child_spec::Mailbox;
use crate::children::{Children, Key};
use crate::policy::{
    AutoShutdown, ChildState, Decision, ExitClass, RestartHistory, Shutdown, Strategy, SupervisorFacts,
    SupervisorPhase, after_failed_start, decide,
};
use crate::rerouting::Rerouting;
use crate::supervisor_spec::Supervisor;

/// One life of a supervisor.
pub(crate) struct Supervising {
    pub(crate) spec: Supervisor,
    pub(crate) children: Children,
    pub(crate) history: RestartHistory,
    pub(crate) board: Arc<Board>,
    /// How many names were made up for children that got none.
    pub(crate) named: u64,
    /// What a pool does when a member is down.
    pub(crate) rerouting: Arc<Rerouting>,
    phase: SupervisorPhase,
}

pub(crate) enum SupervisorMessage {
    /// A restart that failed, or waits for its backoff, is due. Through the mailbox, so that a stop is heard between.
    TryAgain {
        child: String,
        how: Try,
        ticket: Ticket,
    },
    Request(Request),
}

pub(crate) enum Try {
    /// It was decided already and only waited: the child's group is to be started.
    Delayed,
    /// A start failed: the policy has its say first.
    AfterFailure(ExitReason),
}

/// How one start went.
pub(crate) enum Began {
    Started,
    /// There is nothing for it to do: no failure.
    Declined(ExitReason),
    Failed(ExitReason),
    /// The supervisor was asked to stop meanwhile.
    Stopping,
}

impl Supervising {
    pub(crate) fn new(spec: Supervisor) -> Self {
        let history = RestartHistory::new(spec.limit());
        let (children, phase) = (Children::default(), SupervisorPhase::Running);
        let rerouting = Rerouting::new(spec.pool.as_ref().and_then(|pool| pool.sharing.reroute_after));
        let board = Board::of(&spec);
        Supervising { spec, children, history, board, named: 0, rerouting, phase }
    }

    /// Asks the policy about one child. The keys are those that the positions in the decision mean.
    fn ask_policy(
        &mut self,
        which: fn(&SupervisorFacts<'_>, usize, ExitClass, &mut RestartHistory) -> Decision,
        key: Key,
        exit: ExitClass,
        cx: &OverseerContext,
    ) -> (Decision, Vec<Key>) {
        let (strategy, auto_shutdown) = (self.spec.strategy, self.spec.auto_shutdown);
        // One of 100,000 that stand alone is decided about as fast as one of ten.
        let alone = strategy == Strategy::OneForOne && auto_shutdown != AutoShutdown::AllSignificant;
        let (keys, children) = self.children.facts(alone.then_some(key));
        let names: Vec<&str> = match strategy {
            Strategy::Custom(_) => self.children.iter().map(Child::name).collect(),
            Strategy::OneForOne | Strategy::OneForAll | Strategy::RestForOne => Vec::new(),
        };
        let now_ms = cx.runtime().clock().elapsed_ms();
        let (phase, children, names) = (self.phase, &*children, &*names);
        let facts = SupervisorFacts { strategy, auto_shutdown, phase, children, names, now_ms };
        let at = keys.iter().position(|one| *one == key).unwrap_or(keys.len());
        let counted = self.history.recorded();
        let decision = which(&facts, at, exit, &mut self.history);
        #[cfg(any(test, feature = "testing"))]
        let decision = crate::planted::spoil(self.spec.planted, decision, &mut self.history, now_ms);
        self.board.count(self.history.recorded() - counted, now_ms);
        (decision, keys)
    }

    // ---- stopping ----

    /// Removes a child that does not run, and its place.
    pub(crate) fn forget(&mut self, key: Key, cx: &OverseerContext) {
        if let Some(child) = self.children.remove(key) {
            child.place.close();
            if self.spec.template.as_ref().is_some_and(|template| template.memory.is_some()) {
                cx.runtime().forget_birth(child.place.path());
            }
        }
    }

    /// Keeps a child that does not run: what waits for it goes to dead letters.
    pub(crate) fn lay_aside(&mut self, key: Key) {
        if let Some(child) = self.children.get_mut(key) {
            child.has_stopped();
            child.place.shelve();
        }
    }

    /// Stops what runs: in reverse start order, one after the other; those made from a template all at once.
    pub(crate) async fn stop_all(&mut self, cx: &OverseerContext) {
        self.phase = SupervisorPhase::Stopping;
        if let Some(template) = &self.spec.template {
            let shutdown = template.settings.shutdown;
            return self.stop_at_once(shutdown, cx).await;
        }
        #[cfg(any(test, feature = "testing"))]
        if self.spec.planted == Some(crate::PlantedBug::StopInStartOrder) {
            for child in self.children.iter_mut() {
                child.bring_down(cx.runtime()).await;
            }
        }
        for child in self.children.iter_mut().rev() {
            child.bring_down(cx.runtime()).await;
        }
    }

    async fn stop_at_once(&mut self, shutdown: Shutdown, cx: &OverseerContext) {
        let clock = cx.runtime().clock();
        let deadline = match shutdown {
            Shutdown::Brutal => Some(clock.now()),
            Shutdown::Within(patience) => Some(clock.after(patience)),
            Shutdown::Infinity => None,
        };
        if shutdown != Shutdown::Brutal {
            self.children.iter().for_each(|child| child.place.ask_to_stop());
        }
        let mut is_over = false;
        for child in self.children.iter_mut() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(clock.now()));
            if left == Some(Duration::ZERO) && !std::mem::replace(&mut is_over, true) {
                // All of them: the first that does not hear it must not hold up the others.
                let below = cx.runtime().places_below(cx.path());
                let whom = |place: &&Place| shutdown == Shutdown::Brutal || !place.is_protected();
                below.iter().filter(whom).for_each(Place::kill);
            }
            // One that is protected is not killed at once: asked again, it is waited for.
            let waits = is_over && shutdown != Shutdown::Brutal && child.place.is_protected();
            let left = if waits { Some(Duration::from_millis(1)) } else { left };
            child.bring_down_within(left, cx.runtime()).await;
        }
    }

    pub(crate) async fn leave_stopped(&mut self, cx: &OverseerContext) -> Flow {
        self.stop_all(cx).await;
        Flow::Leave(ExitReason::Shutdown)
    }

    // ---- restarting ----

    async fn carry_out(
        &mut self,
        (decision, keys): (Decision, Vec<Key>),
        key: Key,
        reason: &ExitReason,
        cx: &OverseerContext,
    ) -> Flow {
        match decision {
            Decision::Ignore => Flow::Stay,
            Decision::Forget => {
                self.forget(key, cx);
                Flow::Stay
            }
            Decision::Keep if self.keeps_spec(key) => {
                self.lay_aside(key);
                Flow::Stay
            }
            Decision::Keep => {
                self.forget(key, cx);
                Flow::Stay
            }
            Decision::LayAside { start } => {
                let start = start.into_iter().map(|at| keys[at]).collect();
                self.outlasted(key, reason, cx);
                self.start_group(start, cx).await
            }
            Decision::GiveUp => self.give_up(key, reason, cx).await,
            Decision::AutoShutdown => self.end_with(key, reason, cx).await,
            Decision::Restart { stop, forget, start } => {
                for sibling in stop {
                    self.stop_with_group(keys[sibling], cx).await;
                }
                for temporary in forget {
                    self.forget(keys[temporary], cx);
                }
                let start = start.into_iter().map(|at| keys[at]).collect();
                self.begin_restart(key, start, cx).await
            }
        }
    }

    /// An outage has lasted for longer than the spec of a child allows.
    fn outlasted(&mut self, key: Key, reason: &ExitReason, cx: &OverseerContext) {
        let Some(path) = self.children.get(key).map(|child| child.place.path().clone()) else { return };
        tracing::error!(child = %path, %reason, "an outage goes on for too long, the child is laid aside");
        self.settle_declined(key, cx);
        cx.runtime().publish(RuntimeEvent::LaidAside { path, reason: reason.clone() });
    }

    async fn stop_with_group(&mut self, key: Key, cx: &OverseerContext) {
        let Some(child) = self.children.get_mut(key) else { return };
        child.bring_down(cx.runtime()).await;
        if child.settings.mailbox == Mailbox::Clear {
            child.place.clear();
        }
    }

    async fn begin_restart(&mut self, key: Key, start: Vec<Key>, cx: &OverseerContext) -> Flow {
        // Whoever of the group waits for a try of its own comes up with the group instead.
        self.call_off_tries(&start);
        let runtime = cx.runtime();
        let Some(child) = self.children.get_mut(key) else { return Flow::Stay };
        let now = runtime.clock().elapsed();
        let delay = child.delay(now, runtime.random());
        let names = if delay.is_zero() { Vec::new() } else { self.names(&start) };
        let Some(child) = self.children.get_mut(key) else { return Flow::Stay };
        let ticket = child.await_try(Group::ComesUp(names));
        child.show(Some(now.saturating_add(delay)));
        runtime.publish(RuntimeEvent::Restarting { path: child.place.path().clone(), delay });
        if delay.is_zero() {
            return self.start_group(start, cx).await;
        }
        let child = child.name().to_owned();
        self.post(SupervisorMessage::TryAgain { child, how: Try::Delayed, ticket }, delay, cx);
        Flow::Stay
    }

    fn names(&self, keys: &[Key]) -> Vec<String> {
        keys.iter().filter_map(|key| self.children.get(*key)).map(|child| child.name().to_owned()).collect()
    }

    /// A child was terminated while it waited for a try: what becomes of those that were to come up with it.
    pub(crate) fn leave_group(&mut self, terminated: &str, group: &Group, cx: &OverseerContext) {
        let down = |name: &&String| {
            let child = self.children.named(name).and_then(|key| self.children.get(key));
            *name != terminated && child.is_some_and(|child| child.state == ChildState::Stopped)
        };
        let down: Vec<String> = group.names().iter().filter(down).cloned().collect();
        let keys: Vec<Key> = down.iter().filter_map(|name| self.children.named(name)).collect();
        match (group, keys.first()) {
            // Through the mailbox, as every try.
            (Group::ComesUp(_), Some(first)) => {
                if let Some(child) = self.children.get_mut(*first) {
                    let (child, ticket) = (child.name().to_owned(), child.await_try(Group::ComesUp(down)));
                    let again = SupervisorMessage::TryAgain { child, how: Try::Delayed, ticket };
                    self.post(again, Duration::ZERO, cx);
                }
            }
            (Group::StaysDown(_), _) => keys.into_iter().for_each(|key| self.lay_aside(key)),
            (Group::ComesUp(_), None) => {}
        }
    }

    fn call_off_tries(&mut self, group: &[Key]) {
        for key in group {
            if let Some(child) = self.children.get_mut(*key) {
                child.call_off_try();
            }
        }
    }

    /// Starts children in order. The first that does not start becomes the one to try again.
    async fn start_group(&mut self, start: Vec<Key>, cx: &OverseerContext) -> Flow {
        for key in &start {
            // By request, while the group waited for its backoff.
            if self.children.get(*key).is_some_and(|child| child.state == ChildState::Running) {
                continue;
            }
            match self.start_child(*key, cx).await {
                Began::Started => {}
                Began::Declined(_) => _ = self.settle_declined(*key, cx),
                Began::Stopping => return self.leave_stopped(cx).await,
                Began::Failed(reason) => {
                    self.call_off_tries(&start);
                    self.announce_try(*key, &start, reason, cx);
                    return Flow::Stay;
                }
            }
        }
        Flow::Stay
    }

    pub(crate) fn announce_try(&mut self, key: Key, group: &[Key], reason: ExitReason, cx: &OverseerContext) {
        let group = Group::StaysDown(self.names(group));
        let Some(child) = self.children.get_mut(key) else { return };
        child.has_failed(classify(&reason));
        let ticket = child.await_try(group);
        let child = child.name().to_owned();
        #[cfg(any(test, feature = "testing"))]
        if self.spec.planted == Some(crate::PlantedBug::ForgetFailedStart) {
            return;
        }
        let how = Try::AfterFailure(reason);
        self.post(SupervisorMessage::TryAgain { child, how, ticket }, Duration::ZERO, cx);
    }

    async fn try_again(&mut self, key: Key, how: Try, cx: &OverseerContext) -> Flow {
        match how {
            Try::Delayed => {
                let group = self.children.get(key).and_then(Child::group);
                let names = group.iter().flat_map(|group| group.names());
                let start = names.filter_map(|name| self.children.named(name)).collect();
                self.start_group(start, cx).await
            }
            Try::AfterFailure(reason) => {
                let decided = self.ask_policy(after_failed_start, key, classify(&reason), cx);
                self.carry_out(decided, key, &reason, cx).await
            }
        }
    }

    fn post(&self, message: SupervisorMessage, delay: Duration, cx: &OverseerContext) {
        let me = cx.runtime().place(cx.path()).ok().and_then(|place| OverseerRef::<Self>::of(&place));
        if let Some(me) = me {
            me.post_after(delay, message);
        }
    }

    // ---- ending ----

    async fn give_up(&mut self, key: Key, reason: &ExitReason, cx: &OverseerContext) -> Flow {
        let (child, caused_by) = (self.leave_out(key, cx), Arc::new(reason.clone()));
        let reason = ExitReason::IntensityExceeded { child, caused_by };
        let limit = self.spec.intensity;
        tracing::error!(supervisor = %cx.path(), max = limit.max, within = ?limit.within, %reason, "restart intensity exceeded, escalating");
        cx.runtime().publish(RuntimeEvent::GaveUp { path: cx.path().clone(), reason: reason.clone() });
        self.stop_all(cx).await;
        Flow::Leave(reason)
    }

    /// A significant child has ended, and with it this supervisor.
    async fn end_with(&mut self, key: Key, reason: &ExitReason, cx: &OverseerContext) -> Flow {
        let (child, caused_by) = (self.leave_out(key, cx), Arc::new(reason.clone()));
        let reason = ExitReason::AutoShutdown { child, caused_by };
        tracing::info!(supervisor = %cx.path(), %reason, "a significant child ended");
        self.stop_all(cx).await;
        Flow::Leave(reason)
    }

    /// The child whose end ends all does not run any more.
    fn leave_out(&mut self, key: Key, cx: &OverseerContext) -> ActorPath {
        match self.children.get_mut(key) {
            Some(child) => {
                child.has_stopped();
                child.place.path().clone()
            }
            None => cx.path().clone(),
        }
    }
}

impl Overseer for Supervising {
    type Message = SupervisorMessage;

    async fn begin(&mut self, cx: &OverseerContext) -> Flow {
        match self.start_all(cx).await {
            Ok(()) => Flow::Stay,
            Err(_) if cx.is_stopping() => self.leave_stopped(cx).await,
            Err(leave) => leave,
        }
    }

    async fn on_message(&mut self, message: SupervisorMessage, cx: &OverseerContext) -> Flow {
        match message {
            SupervisorMessage::TryAgain { child, how, ticket } => {
                let key = self.children.named(&child);
                match key.and_then(|key| self.children.get(key)).zip(key) {
                    Some((child, key)) if child.awaits(&ticket) => self.try_again(key, how, cx).await,
                    _ => Flow::Stay, // called off: it came up with its group, or an earlier life posted this
                }
            }
            SupervisorMessage::Request(request) => self.on_request(request, cx).await,
        }
    }

    async fn on_child_exit(&mut self, exit: ChildExit, cx: &OverseerContext) -> Flow {
        let Some(key) = self.children.that_ended(&exit) else {
            return Flow::Stay; // an end that this supervisor brought about, or of a child it has forgotten
        };
        let class = if exit.is_repeat { ExitClass::Repeat } else { classify(&exit.reason) };
        let decided = self.ask_policy(decide, key, class, cx);
        if let Some(child) = self.children.get_mut(key) {
            child.incarnation = None;
        }
        self.carry_out(decided, key, &exit.reason, cx).await
    }

    async fn on_stop(&mut self, cx: &OverseerContext) -> ExitReason {
        self.stop_all(cx).await;
        ExitReason::Shutdown
    }

    fn shows(&self) -> Option<Shown> {
        Some(self.board.clone())
    }
}
