//! One child as its supervisor sees it: its settings, its place, and whether it runs.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::overseer::Incarnation;
use greenroom_runtime::{ExitReason, FailureClass, Place, Runtime};

use crate::board::Mark;
use crate::child_spec::{ChildKind, ChildSettings};
use crate::policy::{ChildFacts, ChildState, ExitClass, OnExternal, Shutdown};

#[derive(Debug)]
pub(crate) struct Child {
    /// Not the whole spec: what it is started with lives in its cell alone.
    pub(crate) settings: ChildSettings,
    pub(crate) place: Place,
    pub(crate) state: ChildState,
    /// Rises in start order; set by [`Children::add`](crate::children::Children::add) alone.
    pub(crate) rank: u64,
    /// The one that runs, or is on its way to.
    pub(crate) incarnation: Option<Incarnation>,
    /// Restarts in a row, for the backoff.
    attempts: u32,
    /// Starts in a row that failed because the world outside did.
    outage_tries: u32,
    /// When it last started, since the start of the runtime; taken when it ends. A start that fails is no run.
    runs_since: Option<Duration>,
    /// The try it waits for, and who comes up with it.
    ticket: Option<(Ticket, Group)>,
    /// Whether somebody watches how long it is down: a member of a pool.
    pub(crate) is_watched: bool,
}

/// Tells one announced try from all others, also from those that an earlier life of the supervisor announced.
#[derive(Clone, Debug)]
pub(crate) struct Ticket(Arc<()>);

/// Those that a try is to start, in start order: by name, since a change may rearrange them.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    /// The child waits for its backoff. Terminated meanwhile, it holds up its siblings no longer.
    ComesUp(Vec<String>),
    /// Its start failed. Terminated before the next try, it leaves its siblings stopped, as in OTP.
    StaysDown(Vec<String>),
}

impl Group {
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Group::ComesUp(names) | Group::StaysDown(names) => names,
        }
    }
}

impl Child {
    pub(crate) fn new(settings: ChildSettings, place: Place) -> Self {
        Child {
            settings,
            place,
            state: ChildState::Stopped,
            rank: 0,
            incarnation: None,
            attempts: 0,
            outage_tries: 0,
            runs_since: None,
            ticket: None,
            is_watched: false,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.place.path().name()
    }

    pub(crate) fn facts(&self) -> ChildFacts {
        let ChildSettings { restart, backoff, outage_tries, significant, .. } = self.settings;
        let on_external = match (backoff, outage_tries) {
            (None, _) => OnExternal::Counts,
            (Some(_), Some(max)) if self.outage_tries >= max.max(1) => OnExternal::LaysAside,
            (Some(_), _) => OnExternal::BacksOff,
        };
        ChildFacts { restart, state: self.state, on_external, significant }
    }

    /// It has started, at `now` since the start of the runtime.
    pub(crate) fn has_started(&mut self, now: Duration) {
        self.turn(ChildState::Running);
        self.runs_since = Some(now);
        self.ticket = None;
        self.outage_tries = 0;
    }

    /// Its start failed in this way.
    pub(crate) fn has_failed(&mut self, class: ExitClass) {
        self.outage_tries =
            if class == ExitClass::External { self.outage_tries.saturating_add(1) } else { 0 };
    }

    /// From now on it waits for the try that comes with this ticket.
    pub(crate) fn await_try(&mut self, group: Group) -> Ticket {
        let ticket = Ticket(Arc::default());
        self.turn(ChildState::Restarting);
        self.ticket = Some((ticket.clone(), group));
        ticket
    }

    pub(crate) fn awaits(&self, ticket: &Ticket) -> bool {
        self.ticket.as_ref().is_some_and(|(mine, _)| Arc::ptr_eq(&mine.0, &ticket.0))
    }

    /// Who comes up with the try it waits for.
    pub(crate) fn group(&self) -> Option<Group> {
        self.ticket.as_ref().map(|(_, group)| group.clone())
    }

    /// Those that come up when its wait is over, itself included; nobody unless it waits for its backoff.
    pub(crate) fn brings_up(&self) -> impl Iterator<Item = &str> {
        let names = match &self.ticket {
            Some((_, Group::ComesUp(names))) => names.as_slice(),
            Some((_, Group::StaysDown(_))) | None => &[],
        };
        names.iter().map(String::as_str)
    }

    /// The try it waits for, if it does, means nothing any more.
    pub(crate) fn call_off_try(&mut self) {
        if self.ticket.take().is_some() {
            self.turn(ChildState::Stopped);
        }
    }

    /// No incarnation runs, and none is on its way.
    pub(crate) fn has_stopped(&mut self) {
        self.turn(ChildState::Stopped);
        self.incarnation = None;
        self.ticket = None;
        self.outage_tries = 0;
    }

    fn turn(&mut self, state: ChildState) {
        self.state = state;
        self.show(None);
    }

    /// Leaves on its cell what those see who look at the tree: its state, and when its next try is due.
    pub(crate) fn show(&self, due: Option<Duration>) {
        Mark { rank: self.rank, state: self.state, due }.leave_on(&self.place);
    }

    /// How long to wait before the next restart, at `now` since the start of the runtime.
    pub(crate) fn delay(&mut self, now: Duration, luck: f64) -> Duration {
        let Some(backoff) = self.settings.backoff else { return Duration::ZERO };
        if self.runs_since.take().is_some_and(|since| now.saturating_sub(since) > backoff.reset_after) {
            self.attempts = 0;
        }
        let delay = backoff.delay(self.attempts, luck);
        self.attempts = self.attempts.saturating_add(1);
        delay
    }

    /// Brings it down as its spec says, and reports an end that nobody expected.
    pub(crate) async fn bring_down(&mut self, runtime: &Runtime) {
        let patience = match self.settings.shutdown {
            Shutdown::Brutal => Some(Duration::ZERO),
            // Asked first, however little time it gets: only a brutal stop kills unasked.
            Shutdown::Within(patience) => Some(patience.max(Duration::from_millis(1))),
            Shutdown::Infinity => None,
        };
        self.bring_down_within(patience, runtime).await;
    }

    /// As [`bring_down`](Child::bring_down), with a patience that others share.
    pub(crate) async fn bring_down_within(&mut self, patience: Option<Duration>, runtime: &Runtime) {
        if let Some(reason) = self.place.bring_down(patience).await {
            let expected = match self.settings.shutdown {
                Shutdown::Brutal => matches!(reason, ExitReason::Killed { .. }),
                Shutdown::Within(_) | Shutdown::Infinity => !reason.is_abnormal(),
            };
            if !expected {
                tracing::warn!(child = %self.place.path(), %reason, "a child did not end as it was asked to");
            }
        }
        if self.settings.kind == ChildKind::Supervisor {
            // A supervisor that had to be killed took its children along: they end before the next is stopped.
            for place in runtime.places_below(self.place.path()) {
                place.bring_down(Some(Duration::ZERO)).await;
            }
        }
        self.has_stopped();
    }
}

/// What an exit means to the policy.
pub(crate) fn classify(reason: &ExitReason) -> ExitClass {
    match reason {
        // In its start, or when a durable actor could not read its state back; no other handler ends with this class.
        ExitReason::Failed { failure, .. } if failure.class() == FailureClass::External => {
            ExitClass::External
        }
        // Nor is it the fault of a supervisor that one of its children could not start for that.
        ExitReason::ChildFailedToStart { caused_by, .. } if classify(caused_by) == ExitClass::External => {
            ExitClass::External
        }
        reason if reason.is_normal() => ExitClass::Normal,
        reason if reason.is_shutdown() => ExitClass::Shutdown,
        _ => ExitClass::Abnormal,
    }
}

#[cfg(test)]
mod tests {
    use greenroom_runtime::{ActorPath, ExitPhase, Failure};

    use super::*;

    #[test]
    fn an_outage_is_one_wherever_it_showed_and_a_bug_is_none() {
        let failed = |phase, class| ExitReason::Failed { phase, failure: Failure::of(class, "as planned") };
        let below = |caused_by: ExitReason| ExitReason::ChildFailedToStart {
            child: ActorPath::parse("sup/a").unwrap(),
            caused_by: Arc::new(caused_by),
        };
        let (outage, bug) = (FailureClass::External, FailureClass::Bug);
        let table = [
            (failed(ExitPhase::Start, outage), ExitClass::External),
            (failed(ExitPhase::Handle, outage), ExitClass::External),
            (below(failed(ExitPhase::Start, outage)), ExitClass::External),
            (below(below(failed(ExitPhase::Start, outage))), ExitClass::External),
            (failed(ExitPhase::Start, bug), ExitClass::Abnormal),
            (below(failed(ExitPhase::Start, bug)), ExitClass::Shutdown), // as in OTP
            (ExitReason::StartTimedOut, ExitClass::Abnormal),
            (ExitReason::Killed { phase: ExitPhase::Idle }, ExitClass::Abnormal),
        ];

        for (reason, class) in table {
            assert_eq!(classify(&reason), class, "{reason:?}");
        }
    }
}
