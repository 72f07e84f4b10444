//! One child as its supervisor sees it: its spec, its place, and whether it runs.

use std::time::Duration;

use greenroom_runtime::{ExitPhase, ExitReason, FailureClass, Incarnation, Place};

use crate::child_spec::ChildSpec;
use crate::policy::{ChildFacts, ChildState, ExitClass, OnExternal, Shutdown};

#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) place: Place,
    pub(crate) state: ChildState,
    pub(crate) incarnation: Option<Incarnation>,
    /// How its last start or life ended, while it waits to be tried again.
    pub(crate) last_exit: Option<ExitReason>,
    /// Restarts in a row, for the backoff.
    attempts: u32,
    last_restart: Duration,
}

impl Child {
    pub(crate) fn new(spec: ChildSpec, place: Place) -> Self {
        Child {
            spec,
            place,
            state: ChildState::Stopped,
            incarnation: None,
            last_exit: None,
            attempts: 0,
            last_restart: Duration::ZERO,
        }
    }

    pub(crate) fn facts(&self) -> ChildFacts {
        ChildFacts {
            restart: self.spec.restart,
            state: self.state,
            on_external: if self.spec.backoff.is_some() { OnExternal::BacksOff } else { OnExternal::Counts },
        }
    }

    /// How long to wait before the next restart, at `now` since the start of the runtime.
    pub(crate) fn delay(&mut self, now: Duration, luck: f64) -> Duration {
        let Some(backoff) = self.spec.backoff else { return Duration::ZERO };
        if now.saturating_sub(self.last_restart) > backoff.reset_after {
            self.attempts = 0;
        }
        let delay = backoff.delay(self.attempts, luck);
        self.attempts = self.attempts.saturating_add(1);
        self.last_restart = now + delay;
        delay
    }

    /// Brings it down as its spec says, and reports an end that nobody expected.
    pub(crate) async fn bring_down(&mut self) {
        let patience = match self.spec.shutdown {
            Shutdown::Brutal => Some(Duration::ZERO),
            Shutdown::Within(patience) => Some(patience),
            Shutdown::Infinity => None,
        };
        if let Some(reason) = self.place.bring_down(patience).await {
            let expected = match self.spec.shutdown {
                Shutdown::Brutal => matches!(reason, ExitReason::Killed { .. }),
                Shutdown::Within(_) | Shutdown::Infinity => !reason.is_abnormal(),
            };
            if !expected {
                tracing::warn!(child = %self.place.path(), %reason, "a child did not end as it was asked to");
            }
        }
        self.state = ChildState::Stopped;
        self.incarnation = None;
    }
}

/// What an exit means to the policy.
pub(crate) fn classify(reason: &ExitReason) -> ExitClass {
    match reason {
        ExitReason::Failed { phase: ExitPhase::Start, failure }
            if failure.class() == FailureClass::External =>
        {
            ExitClass::External
        }
        reason if reason.is_normal() => ExitClass::Normal,
        reason if reason.is_shutdown() => ExitClass::Shutdown,
        _ => ExitClass::Abnormal,
    }
}
