//! Why an incarnation ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::ActorPath;
use crate::message::{Failure, FailureClass};

/// What an incarnation was doing when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitPhase {
    /// It was starting.
    Start,
    /// It was handling a message.
    Handle,
    /// It was waiting for a message.
    Idle,
    /// It was running its `stopping` hook.
    Stop,
}

impl fmt::Display for ExitPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExitPhase::Start => "while starting",
            ExitPhase::Handle => "while handling a message",
            ExitPhase::Idle => "while idle",
            ExitPhase::Stop => "while stopping",
        })
    }
}

/// Why an incarnation ended. Cloning costs at most two reference counts and a short text.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExitReason {
    /// It ended by itself, as it wished: OTP's `normal`.
    #[error("ended normally")]
    Normal,
    /// Its `start` declined: there is nothing to do for it. OTP's `ignore`.
    #[error("declined to start: {why}")]
    Declined {
        /// What the start said. No link of the chain of its own, for it is in the text.
        why: Failure,
    },
    /// It was asked to stop by its supervisor or by the runtime: OTP's `shutdown`.
    #[error("was shut down")]
    Shutdown,
    /// It was killed: by hand, by the end of a stop's patience, or with its supervisor. OTP's `killed`.
    #[error("was killed {phase}")]
    Killed {
        /// What it was doing.
        phase: ExitPhase,
    },
    /// It panicked.
    #[error("panicked {phase}: {text}")]
    Panicked {
        /// What it was doing.
        phase: ExitPhase,
        /// What the panic said.
        text: Arc<str>,
    },
    /// It failed: its `start` returned an error, or a handler a [`FailureClass::Bug`].
    #[error("failed {phase}")]
    Failed {
        /// What it was doing.
        phase: ExitPhase,
        /// Why.
        #[source]
        failure: Failure,
    },
    /// Its `start` was not done within the start deadline.
    #[error("did not start within its deadline")]
    StartTimedOut,
    /// Its handler was not done within the progress deadline of its spec, and was cut.
    #[error("made no progress within {within:?}")]
    NoProgress {
        /// The deadline.
        within: Duration,
    },
    /// It was killed, and did not reach an `.await` within the grace after it: its thread is blocked. It was fenced:
    /// what it still sends, answers or stores is refused.
    #[error("blocks its thread and was fenced")]
    Unresponsive,
    /// A child supervisor gave up: it had to restart its children more often than its intensity allows.
    #[error("gave up: {child} needed too many restarts")]
    IntensityExceeded {
        /// The child whose exit was one too many.
        child: ActorPath,
        /// How that child ended.
        #[source]
        caused_by: Arc<ExitReason>,
    },
    /// A supervisor ended because a significant child had ended: OTP's `auto_shutdown`.
    #[error("ended because {child}, a significant child, had ended")]
    AutoShutdown {
        /// The significant child that ended last.
        child: ActorPath,
        /// How that child ended.
        #[source]
        caused_by: Arc<ExitReason>,
    },
    /// A supervisor could not start one of its children.
    #[error("could not start {child}")]
    ChildFailedToStart {
        /// The child that did not start.
        child: ActorPath,
        /// How its start ended.
        #[source]
        caused_by: Arc<ExitReason>,
    },
}

impl ExitReason {
    /// Whether it ended by itself, as it wished, or declined to start.
    pub fn is_normal(&self) -> bool {
        matches!(self, ExitReason::Normal | ExitReason::Declined { .. })
    }

    /// Whether it was asked to end, or is a supervisor that gave up (OTP gives both the reason `shutdown`).
    pub fn is_shutdown(&self) -> bool {
        matches!(
            self,
            ExitReason::Shutdown
                | ExitReason::IntensityExceeded { .. }
                | ExitReason::ChildFailedToStart { .. }
                | ExitReason::AutoShutdown { .. }
        )
    }

    /// Whether a transient child that ended so comes back: neither normal nor shutdown.
    pub fn is_abnormal(&self) -> bool {
        !self.is_normal() && !self.is_shutdown()
    }

    /// What it was doing, where that is known.
    pub fn phase(&self) -> Option<ExitPhase> {
        match self {
            ExitReason::Killed { phase }
            | ExitReason::Panicked { phase, .. }
            | ExitReason::Failed { phase, .. } => Some(*phase),
            ExitReason::StartTimedOut | ExitReason::Declined { .. } => Some(ExitPhase::Start),
            ExitReason::NoProgress { .. } | ExitReason::Unresponsive => Some(ExitPhase::Handle),
            ExitReason::Normal
            | ExitReason::Shutdown
            | ExitReason::IntensityExceeded { .. }
            | ExitReason::AutoShutdown { .. }
            | ExitReason::ChildFailedToStart { .. } => None,
        }
    }

    /// The class of the failure behind it, where there is one. A panic is a bug.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            ExitReason::Failed { failure, .. } => Some(failure.class()),
            ExitReason::Panicked { .. } => Some(FailureClass::Bug),
            _ => None,
        }
    }

    /// Whether the actor itself fell over what it did: a panic, a failure, a handler that was not done in time.
    pub(crate) fn is_fall(&self) -> bool {
        matches!(
            self,
            ExitReason::Panicked { .. } | ExitReason::Failed { .. } | ExitReason::NoProgress { .. }
        )
    }

    /// A short fixed word for metrics labels: `normal`, `shutdown`, `killed`, `panicked`, `failed`, ….
    pub fn label(&self) -> &'static str {
        match self {
            ExitReason::Normal => "normal",
            ExitReason::Declined { .. } => "declined",
            ExitReason::Shutdown => "shutdown",
            ExitReason::Killed { .. } => "killed",
            ExitReason::Panicked { .. } => "panicked",
            ExitReason::Failed { .. } => "failed",
            ExitReason::StartTimedOut => "start_timed_out",
            ExitReason::NoProgress { .. } => "no_progress",
            ExitReason::Unresponsive => "unresponsive",
            ExitReason::IntensityExceeded { .. } => "intensity_exceeded",
            ExitReason::AutoShutdown { .. } => "auto_shutdown",
            ExitReason::ChildFailedToStart { .. } => "child_failed_to_start",
        }
    }
}
