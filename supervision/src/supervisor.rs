//! The supervisor at work: carries out what the policy decides.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::overseer::{
    ChildExit, Flow, Incarnation, Overseer, OverseerContext, OverseerRef, Shown,
};
use greenroom_runtime::{ActorPath, ExitPhase, ExitReason, Failure, Place, RuntimeEvent, SpawnError};

use crate::admin::Request;
use crate::board::Board;
use crate::child::{Child, Group, Ticket, classify};
use crate::child_spec::{ChildSpec, Mailbox};
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

    // ---- starting ----

    /// Makes the places of all children, then starts them from left to right.
    async fn start_all(&mut self, cx: &OverseerContext) -> Result<(), Flow> {
        self.make_spec()?;
        self.end_leftovers(cx).await;
        for spec in std::mem::take(&mut self.spec.children) {
            let place = claim(&spec, cx).map_err(|error| self.not_launched(spec.name(), error, cx))?;
            spec.place.renew(&place);
            self.children.add(Child::new(spec.settings, place));
        }
        self.close_unclaimed(cx);
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
    /// place can be claimed. Parents first, so that none of them starts anybody again.
    async fn end_leftovers(&self, cx: &OverseerContext) {
        for place in cx.runtime().places_below(cx.path()) {
            place.bring_down(Some(Duration::ZERO)).await;
        }
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
    async fn stop_all(&mut self, cx: &OverseerContext) {
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
