//! What a call of a tool knows about itself: key, deadline, stop, grant, and where the audit goes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_runtime::{Clock, StopToken};
use tokio::time::Instant;

use crate::approval::Approval;
use crate::audit::{AuditRecord, AuditSink};
use crate::permission::Grant;

/// What one call of a tool knows about itself.
///
/// ```
/// use greenroom_tools::{Grant, ToolContext};
///
/// let cx = ToolContext::new("root/desk", Grant::of(["add"])).with_key("step-7");
/// assert_eq!(cx.key(), "step-7");
/// ```
#[derive(Clone)]
pub struct ToolContext {
    caller: Arc<str>,
    key: Arc<str>,
    grant: Arc<Grant>,
    approval: Option<Arc<Approval>>,
    deadline: Option<Instant>,
    stop: Option<StopToken>,
    clock: Clock,
    audit: Option<Arc<dyn AuditSink>>,
    /// What the tool says it enforced, and which tool it is; for the audit.
    enforced: Arc<Mutex<Vec<String>>>,
}

impl ToolContext {
    /// A call by `caller`, such as the path of an agent, within `grant`.
    pub fn new(caller: impl Into<Arc<str>>, grant: Grant) -> Self {
        ToolContext {
            caller: caller.into(),
            key: Arc::from(""),
            grant: Arc::new(grant),
            approval: None,
            deadline: None,
            stop: None,
            clock: Clock::default(),
            audit: None,
            enforced: Arc::default(),
        }
    }

    /// With the idempotency key of the step this call is; see `Step::key` of the runtime.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = key.into();
        self
    }

    /// Ends at `deadline` at the latest. The tool's own limit may be sooner.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Called off when `stop` fires.
    #[must_use]
    pub fn with_stop(mut self, stop: StopToken) -> Self {
        self.stop = Some(stop);
        self
    }

    /// With a person's yes.
    #[must_use]
    pub fn with_approval(mut self, approval: Approval) -> Self {
        self.approval = Some(Arc::new(approval));
        self
    }

    /// Records of calls go to `sink`. Default: nowhere.
    #[must_use]
    pub fn with_audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = Some(Arc::new(sink));
        self
    }

    /// Who calls.
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// The idempotency key of this call: the same for each repeat of it. Empty if the caller gave none.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the call may do.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The clock to wait by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// When the call has to be over. In a tool: never later than its own limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time left until the deadline, at most `longest`.
    pub fn time_left(&self, longest: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(self.clock.now()));
        left.map_or(longest, |left| left.min(longest))
    }

    /// Waits until the call is called off; never ready if nobody can.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at will.
    pub async fn stopped(&self) {
        match &self.stop {
            Some(stop) => stop.fired().await,
            None => std::future::pending().await,
        }
    }

    /// Notes for the audit record what the tool enforced in this call, such as `landlock abi 7`.
    pub fn enforced(&self, what: impl Into<String>) {
        self.enforced.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    pub(crate) fn approval(&self) -> Option<&Approval> {
        self.approval.as_deref()
    }

    /// The context of one call: with its own notes, and its own deadline if that is sooner.
    pub(crate) fn of_one_call(&self, limit: Duration) -> Self {
        let own = self.clock.after(limit);
        let deadline = self.deadline.map_or(own, |deadline| deadline.min(own));
        ToolContext { deadline: Some(deadline), enforced: Arc::default(), ..self.clone() }
    }

    pub(crate) fn take_enforced(&self) -> Vec<String> {
        std::mem::take(&mut *self.enforced.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn record(&self, record: &AuditRecord) {
        if let Some(audit) = &self.audit {
            audit.record(record);
        }
    }
}

impl fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolContext")
            .field("caller", &self.caller)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
