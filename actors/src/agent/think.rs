//! The shell around the pure turn: each call of the model or a tool is a step of the handler.

use std::sync::atomic::{AtomicU32, Ordering};

use greenroom_runtime::{Actor, Context, Effect, Failure, FailureClass};
use greenroom_tools::{
    ArgumentHash, Attempt, AttemptEvent, Closing, History, ModelReply, ModelRequest, ToolError, ToolOutcome,
};
use serde::{Deserialize, Serialize};

use super::call_off::{CallOff, side_by_side};
use super::conversation::Conversation;
use super::definition::AgentDefinition;
use super::head;
use super::limits::Limit;
use super::output::OutputEvent;
use super::share::{self, HistoryPolicy};
use super::thinker::ThinkCall;
use super::thought::{Input, Refusal, Thought};
use super::turn::{Next, Planned, next, waits};
use super::window::Compaction;

/// Longest name of a step for a tool: a model may make up any.
const NAME_BYTES_MAX: usize = 64;
/// How often a call is tried that fails with what may pass. The failure of the last try is its result.
const TRIES: u32 = 3;
/// Longest error of a tool that a model is shown.
const ERROR_BYTES_MAX: usize = 2 << 10;

/// Thinking for handlers. In the prelude.
pub trait ThinkExt {
    /// Takes one turn: tells the agent `input`, asks its model, makes the calls that it asks for, and so on until it has
    /// answered, a person is needed, or a bound is reached.
    ///
    /// Of a durable actor each call is a step: what is in the journal is not called again, whenever the process ends. So the
    /// definition and the conversation must be those of before when the message is handled again; a definition that changed
    /// in the middle of a message makes another request, and the actor is parked. Elsewhere the calls are made once, and
    /// what was said is in memory.
    ///
    /// A tool that fails gives the model a result that says so. Only a [`Once`](Effect::Once) that may have happened parks
    /// its actor.
    ///
    /// # Errors
    ///
    /// What the model fails with, but for [`Exhausted`](FailureClass::Exhausted), which is [`Thought::Over`]: a provider that
    /// is down is `External` after the tries of the step; a request or answer that it refuses is `Invalid`. What a migration
    /// fails with. And what a handler must hand on, see [`Step::run`](greenroom_runtime::Step::run).
    ///
    /// # Cancel safety
    ///
    /// Dropped with its handler, the message is handled again. Dropped by the handler, which goes on, the conversation stays
    /// valid; calls that were under way are closed with the next turn, as cancelled.
    fn think(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        input: Input,
    ) -> impl Future<Output = Result<Thought, Failure>> + Send;

    /// As [`think`](ThinkExt::think), until somebody calls it off: then the calls under way are dropped, what is open is
    /// closed, and the turn ends as [`Thought::Cancelled`].
    ///
    /// # Errors
    ///
    /// As [`think`](ThinkExt::think).
    ///
    /// # Cancel safety
    ///
    /// As [`think`](ThinkExt::think).
    fn think_unless(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        input: Input,
        call_off: &CallOff,
    ) -> impl Future<Output = Result<Thought, Failure>> + Send;

    /// What another agent shall see of the conversation, for the payload of a handoff. Its open calls are closed in it, and
    /// it has nothing that only one provider understands. For [`HistoryPolicy::Summary`] the model is asked, in a step.
    ///
    /// # Errors
    ///
    /// A `Bug` for a filter that the definition does not have; for a summary, what the model fails with.
    ///
    /// # Cancel safety
    ///
    /// As [`Step::run`](greenroom_runtime::Step::run).
    fn share(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        policy: &HistoryPolicy,
    ) -> impl Future<Output = Result<History, Failure>> + Send;
}

/// How the call of a tool ended: the result of its step. For whoever [decides](greenroom_runtime::Resolution::done) about a
/// step in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolEnded {
    /// With this result for the model.
    Result {
        /// How.
        outcome: ToolOutcome,
        /// What the model reads.
        text: String,
    },
    /// It did not run: a person has to approve these arguments.
    NeedsApproval {
        /// Of which arguments.
        arguments: ArgumentHash,
    },
}

impl<A: Actor> ThinkExt for Context<'_, A> {
    async fn think(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        input: Input,
    ) -> Result<Thought, Failure> {
        self.think_unless(definition, conversation, input, &CallOff::new()).await
    }

    async fn think_unless(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        input: Input,
        call_off: &CallOff,
    ) -> Result<Thought, Failure> {
        conversation.wake();
        if let Some(was) = conversation.pin(definition)? {
            return Ok(Thought::DefinitionChanged { was, is: definition.fingerprint().clone() });
        }
        match input {
            Input::Say { origin, text } => {
                if let Err(refusal) = conversation.hear(definition, origin, text) {
                    return Ok(Thought::Refused(refusal));
                }
            }
            Input::Continue => drop(conversation.turn.get_or_insert_default()),
        }
        let shell = Shell { cx: self, definition, call_off };
        // Time is a decision of its own, so it is asked for in the order of steps, and only by those who have that bound.
        let wall_ms =
            definition.limits().wall_time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let began_ms = wall_ms.map(|_| self.time_ms());
        loop {
            let is_late = wall_ms
                .zip(began_ms)
                .is_some_and(|(wall, began)| self.time_ms().saturating_sub(began) >= wall);
            if let Some(thought) = shell.go_on(conversation, is_late).await? {
                if !matches!(thought, Thought::Waiting(_)) {
                    conversation.turn = None;
                }
                return Ok(thought);
            }
        }
    }

    async fn share(
        &self,
        definition: &AgentDefinition,
        conversation: &mut Conversation,
        policy: &HistoryPolicy,
    ) -> Result<History, Failure> {
        let whole = conversation.history.clone().handed_over();
        let HistoryPolicy::Summary { max_tokens } = policy else {
            return share::share(&whole, definition, policy);
        };
        if whole.is_empty() {
            return Ok(whole);
        }
        let call_off = CallOff::new();
        let shell = Shell { cx: self, definition, call_off: &call_off };
        let reply = shell.summary(&whole, (*max_tokens).max(1)).await?;
        conversation.book_outside(&reply.usage);
        Ok(share::only_summary(&whole, &reply.text(), *max_tokens))
    }
}

/// What a turn is taken with.
struct Shell<'s, 'c, A: Actor> {
    cx: &'s Context<'c, A>,
    definition: &'s AgentDefinition,
    call_off: &'s CallOff,
}

impl<A: Actor> Shell<'_, '_, A> {
    /// Does what comes next. `Some`: the turn is over, or waits.
    async fn go_on(
        &self,
        conversation: &mut Conversation,
        is_late: bool,
    ) -> Result<Option<Thought>, Failure> {
        match next(conversation, self.definition, is_late) {
            Next::Tell => conversation.tell()?,
            Next::Settle { call, outcome, text } => conversation.settle(&call, outcome, &text)?,
            Next::Pend(pending) => conversation.pending.push(pending),
            Next::Call(calls) => return self.call(conversation, calls).await,
            Next::Ask => {
                let output_tokens = self.definition.limits().output_tokens;
                let request = self.definition.request(&conversation.history, output_tokens)?;
                match self.ask("model", &request).await {
                    Ok(reply) => {
                        if let Err(refusal) = conversation.reply(self.definition, reply)? {
                            return Ok(Some(Thought::Refused(refusal)));
                        }
                    }
                    Err(failure) => return unanswered(conversation, failure).map(Some),
                }
            }
            Next::Compact => return self.compact(conversation).await,
            Next::Repair { complaint } => conversation.repair(&complaint)?,
            Next::HandOff { call, role, payload } => {
                conversation.settle(&call, ToolOutcome::Ok, &format!("The case is offered to {role}."))?;
                return Ok(Some(Thought::HandOff { role, payload }));
            }
            Next::Wait(pending) => return Ok(Some(Thought::Waiting(pending))),
            Next::Answer(answer) => return Ok(Some(Thought::Answer(answer))),
            Next::Over(limit) => return Ok(Some(Thought::Over(limit))),
            Next::Nothing => return Ok(Some(Thought::Refused(Refusal::NothingToDo))),
        }
        Ok(None)
    }

    /// One call of the model, a step.
    async fn ask(&self, name: &str, request: &ModelRequest) -> Result<ModelReply, Failure> {
        let (parts, cx) = (&self.definition.0, self.cx);
        let thinker = &parts.thinker;
        let step = cx.step(name, Effect::Idempotent, &request.hash()).tries(thinker.tries());
        let attempts = AtomicU32::new(0);
        let tell = |event: OutputEvent<'_>| {
            if let Some(observer) = &parts.on_output {
                observer(event);
            }
        };
        let work = step.run(|| async {
            let attempt = attempts.fetch_add(1, Ordering::Relaxed);
            let call = step.key();
            tell(OutputEvent::Superseded { call, attempt });
            let observer = |event: AttemptEvent<'_>| {
                if let AttemptEvent::Text { added, .. } = event {
                    tell(OutputEvent::Text { call, attempt, added });
                }
            };
            let deadline = cx.clock().after(parts.limits.call_deadline);
            let asked = Attempt::new().key(call).numbered(attempt).deadline(deadline).observer(&observer);
            thinker.think(request, ThinkCall { agent: &parts.name, actor: cx.path(), attempt: asked }).await
        });
        let done = side_by_side(vec![Box::pin(work)], self.call_off).await;
        let called_off = || Err(Failure::cancelled("the turn was called off"));
        done.into_iter().next().flatten().unwrap_or_else(called_off)
    }

    /// A summary of that history, which has no open call.
    async fn summary(&self, history: &History, tokens: u32) -> Result<ModelReply, Failure> {
        let request = share::summary_request(self.definition, history, tokens)?;
        self.ask("summary", &request).await
    }

    async fn compact(&self, conversation: &mut Conversation) -> Result<Option<Thought>, Failure> {
        let window = self.definition.0.window;
        let compaction = match window.compaction(&conversation.history) {
            Compaction::Summarise { keep, tokens } => {
                match self.summary(&conversation.history, tokens).await {
                    Ok(reply) => {
                        conversation.book(&reply.usage);
                        window.summarised(&conversation.history, keep, &reply.text())
                    }
                    Err(failure) => return unanswered(conversation, failure).map(Some),
                }
            }
            other => other,
        };
        match compaction {
            Compaction::Shorter(history) => {
                conversation.history = history;
                Ok(None)
            }
            Compaction::TooSmall(limit) => Ok(Some(Thought::Over(limit))),
            Compaction::Summarise { .. } => Err(Failure::bug("a summary asks for a summary")),
        }
    }

    /// Calls of tools, side by side, each a step. The steps are made in the order of the model, whatever ends first.
    async fn call(
        &self,
        conversation: &mut Conversation,
        calls: Vec<Planned>,
    ) -> Result<Option<Thought>, Failure> {
        conversation.turn.get_or_insert_default().is_running = true;
        let steps = calls.iter().map(|planned| {
            let name = format!("tool {}", head(&planned.call.name, NAME_BYTES_MAX));
            self.cx.step(&name, planned.effect, &planned.call).tries(TRIES)
        });
        let steps: Vec<_> = steps.collect();
        let work = calls.iter().zip(&steps).map(|(planned, step)| {
            let tries = AtomicU32::new(0);
            let run = async move {
                let once = || self.call_once(planned, step.key(), tries.fetch_add(1, Ordering::Relaxed));
                step.run(once).await
            };
            Box::pin(run) as super::call_off::Work<'_, Result<ToolEnded, Failure>>
        });
        let work: Vec<_> = work.collect();
        let ended = side_by_side(work, self.call_off).await;
        let mut is_called_off = false;
        for (Planned { call, .. }, ended) in calls.iter().zip(ended) {
            match ended {
                Some(Ok(ToolEnded::Result { outcome, text })) => {
                    conversation.settle(&call.id, outcome, &text)?
                }
                Some(Ok(ToolEnded::NeedsApproval { arguments })) => {
                    conversation.pending.retain(|pending| pending.call != call.id);
                    conversation.pending.push(waits(call, arguments));
                }
                // Dropped, now or, by the journal, the time before.
                None => is_called_off = true,
                Some(Err(failure)) if failure.class() == FailureClass::Cancelled => is_called_off = true,
                Some(Err(failure)) => return Err(failure),
            }
        }
        if is_called_off {
            conversation.close(Closing::Cancelled);
            return Ok(Some(Thought::Cancelled));
        }
        conversation.turn.get_or_insert_default().is_running = false;
        Ok(None)
    }

    /// One try of a call. What fails for good is a result: the model reads it, and the journal keeps it.
    async fn call_once(&self, planned: &Planned, key: &str, tried: u32) -> Result<ToolEnded, Failure> {
        let cx = self.definition.tool_context(self.cx.path().to_string()).with_key(key);
        let cx = match planned.approval.clone() {
            Some(approval) => cx.with_approval(approval),
            None => cx,
        };
        let Planned { call, effect, .. } = planned;
        match self.definition.0.tools.call(&call.name, &call.arguments, &cx).await {
            Ok(result) => Ok(ToolEnded::Result { outcome: ToolOutcome::Ok, text: result.text }),
            Err(ToolError::NeedsApproval { arguments, .. }) => Ok(ToolEnded::NeedsApproval { arguments }),
            Err(error) if may_be_repeated(&error, *effect, tried) => Err(error.into()),
            Err(error) => {
                let outcome = match &error {
                    ToolError::Cancelled => ToolOutcome::Cancelled,
                    error if error.is_before_the_call() => ToolOutcome::Refused,
                    _ => ToolOutcome::Error,
                };
                let text = head(&error.to_string(), ERROR_BYTES_MAX).to_owned();
                Ok(ToolEnded::Result { outcome, text })
            }
        }
    }
}

/// Whether the step is to decide about the failure: try again, or, of a `Once` that may have happened, park.
fn may_be_repeated(error: &ToolError, effect: Effect, tried: u32) -> bool {
    match error.class() {
        FailureClass::External => effect == Effect::Once || tried + 1 < TRIES,
        FailureClass::Cancelled => effect == Effect::Once,
        _ => false,
    }
}

/// What a turn ends with whose model gave no answer.
fn unanswered(conversation: &mut Conversation, failure: Failure) -> Result<Thought, Failure> {
    match failure.class() {
        FailureClass::Exhausted => Ok(Thought::Over(Limit::Exhausted { reason: failure.to_string() })),
        FailureClass::Cancelled => {
            conversation.close(Closing::Cancelled);
            Ok(Thought::Cancelled)
        }
        _ => Err(failure),
    }
}
