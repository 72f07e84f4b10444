//! What is written down about each call of a tool.

use std::time::Duration;

use greenroom_runtime::FailureClass;

use crate::approval::ArgumentHash;

/// Hears of each call that was refused, ended, or was dropped. Called once a call, by the caller's task: it must not block.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes one record.
    fn record(&self, record: &AuditRecord);
}

impl<F: Fn(&AuditRecord) + Send + Sync + 'static> AuditSink for F {
    fn record(&self, record: &AuditRecord) {
        self(record);
    }
}

/// One call of a tool, without its arguments and its result: those are the agent's, and may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Who called, such as the path of an agent.
    pub caller: String,
    /// The idempotency key of the call.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// A hash of tool and arguments; absent if they could not be parsed.
    pub arguments: Option<ArgumentHash>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// What was enforced, in the tool's words, such as `landlock abi 7`.
    pub enforced: Vec<String>,
    /// How it ended.
    pub outcome: CallEnd,
    /// How long it took.
    pub duration: Duration,
}

/// How a call of a tool ended, in an [`AuditRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// With a result of that many bytes, of which `cut` were cut off.
    Answered {
        /// Bytes of the result that were given on.
        bytes: usize,
        /// Bytes that were cut off.
        cut: usize,
    },
    /// With an error.
    Failed {
        /// Its class.
        class: FailureClass,
        /// Its text.
        reason: String,
    },
    /// The caller dropped it half-way.
    Dropped,
}
