//! One call of a tool, from the text of a model to a bounded result: permission, validation, deadline, audit. No retries.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use serde_json::Value;
use tokio::time::Instant;

use crate::approval::ArgumentHash;
use crate::audit::{AuditRecord, CallEnd};
use crate::schema;
use crate::tool::{AnyTool, ApprovalRule, Calling};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// What a call gave, as the text that goes back to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// JSON; a result that is one string is that string. Cut if it was too long, with a last line that says so.
    pub text: String,
    /// How many bytes were cut off; 0: it is whole.
    pub cut: usize,
}

impl AnyTool {
    /// Runs one call: parses the arguments (JSON text, as a model sends it), checks grant, approval and input, runs it within
    /// its deadline, and cuts the result to its bound. Writes one record of the audit, also when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`ToolError`]. A panic of the tool is [`ToolError::Broken`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it calls the tool off as far as that is possible.
    pub async fn run(&self, arguments: &str, cx: &ToolContext) -> Result<ToolResult, ToolError> {
        let description = self.description();
        let limits = description.limits;
        let cx = cx.of_one_call(limits.deadline);
        let mut audit = Audit::new(&description.name, &cx);
        let outcome = self.run_audited(arguments, &cx, &mut audit).await;
        let outcome = outcome.map(|value| bounded(value, limits.result_max));
        audit.end(match &outcome {
            Ok(result) => CallEnd::Answered { bytes: result.text.len(), cut: result.cut },
            Err(error) => CallEnd::Failed { class: error.class(), reason: error.to_string() },
        });
        outcome
    }

    async fn run_audited(
        &self,
        arguments: &str,
        cx: &ToolContext,
        audit: &mut Audit<'_>,
    ) -> Result<Value, ToolError> {
        let description = self.description();
        let name = &description.name;
        if !cx.grant().allows(name) {
            return Err(ToolError::not_allowed(format!("the grant has no `{name}`")));
        }
        let arguments = schema::parse(arguments, description.limits.arguments_max)?;
        let hash = ArgumentHash::of(name, &arguments);
        audit.arguments = Some(hash);
        // Before the approval: nobody shall be asked for a yes to what cannot be run.
        self.check(&arguments)?;
        if description.approval == ApprovalRule::Needed || cx.grant().asks_for_approval(name) {
            match cx.approval().filter(|approval| approval.covers(name, hash)) {
                Some(approval) => audit.approved_by = Some(approval.by.clone()),
                None => return Err(ToolError::NeedsApproval { tool: name.clone(), arguments: hash }),
            }
        }
        self.within_deadline(arguments, cx).await
    }

    /// A tool that keeps the deadline itself has its grace after it; a stop drops either at once.
    async fn within_deadline(&self, arguments: Value, cx: &ToolContext) -> Result<Value, ToolError> {
        let limits = self.description().limits;
        let after = cx.time_left(limits.deadline);
        if after.is_zero() {
            return Err(ToolError::TimedOut { after });
        }
        let called = NoPanic(self.call(arguments, cx));
        let clock = cx.clock();
        let mut called = pin!(clock.within(after + limits.grace, called));
        let mut stopped = pin!(cx.stopped());
        std::future::poll_fn(|task| {
            if stopped.as_mut().poll(task).is_ready() {
                return Poll::Ready(Err(ToolError::Cancelled));
            }
            called.as_mut().poll(task).map(|ended| ended.unwrap_or(Err(ToolError::TimedOut { after })))
        })
        .await
    }
}

/// A call whose panics are errors.
struct NoPanic<'a>(Calling<'a>);

impl Future for NoPanic<'_> {
    type Output = Result<Value, ToolError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = AssertUnwindSafe(|| self.0.as_mut().poll(task));
        catch_unwind(poll).unwrap_or_else(|cause| Poll::Ready(Err(ToolError::panicked(&*cause))))
    }
}

/// The text of a result, cut to `max` bytes and the note that it was.
fn bounded(value: Value, max: usize) -> ToolResult {
    let mut text = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let cut = schema::cut(&mut text, max);
    if cut > 0 {
        text.push_str(&format!("\n[cut: {cut} more bytes]"));
    }
    ToolResult { text, cut }
}

/// Writes the record of a call, once: at its end, or when it is dropped.
struct Audit<'a> {
    tool: &'a str,
    cx: &'a ToolContext,
    began: Instant,
    arguments: Option<ArgumentHash>,
    approved_by: Option<String>,
    end: CallEnd,
}

impl<'a> Audit<'a> {
    fn new(tool: &'a str, cx: &'a ToolContext) -> Self {
        let began = cx.clock().now();
        Audit { tool, cx, began, arguments: None, approved_by: None, end: CallEnd::Dropped }
    }

    fn end(mut self, end: CallEnd) {
        self.end = end;
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        self.cx.record(&AuditRecord {
            caller: self.cx.caller().to_owned(),
            key: self.cx.key().to_owned(),
            tool: self.tool.to_owned(),
            arguments: self.arguments,
            approved_by: self.approved_by.take(),
            enforced: self.cx.take_enforced(),
            outcome: self.end.clone(),
            duration: self.cx.clock().now() - self.began,
        });
    }
}

#[cfg(test)]
mod tests;
