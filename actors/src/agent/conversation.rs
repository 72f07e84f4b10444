//! What is kept of a conversation between messages: a part of the actor's state.

use greenroom_runtime::Failure;
use greenroom_tools::{Approval, Closing, History, ModelReply, Origin, ReplyPart, ToolOutcome, Turn, Usage};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::definition::{AgentDefinition, Fingerprint};
use super::guardrail::guarded;
use super::limits::Limit;
use super::pending::{Decided, Pending, PendingError, PendingKind};
use super::thought::{Refusal, Side};
use super::turn::TurnState;

/// The form in which conversations are stored.
const VERSION: u16 = 1;

/// A conversation of an agent: its history, what waits for a person, and what was spent. Stored with the state of its actor,
/// whole, so the [`Window`](crate::Window) bounds what a commit writes.
///
/// What others wrote is marked in the history by its [`Origin`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    version: Version,
    pub(super) history: History,
    /// The definition that it was had with.
    pub(super) had_with: Option<Fingerprint>,
    /// The turn that is under way: it runs, or waits for a person.
    pub(super) turn: Option<TurnState>,
    /// What was said while calls were open.
    pub(super) waiting: Vec<(Origin, String)>,
    /// Calls of the last turn that a person decides about.
    pub(super) pending: Vec<Pending>,
    spent: Spent,
}

/// What a conversation has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Answers of the model.
    pub model_calls: u32,
    /// Calls that the model asked for.
    pub tool_calls: u32,
    /// Tokens that the model read.
    pub input_tokens: u64,
    /// Tokens that the model wrote.
    pub output_tokens: u64,
}

impl Spent {
    pub(super) fn book(&mut self, usage: &Usage) {
        self.model_calls = self.model_calls.saturating_add(1);
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens);
    }

    pub(super) fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

impl Conversation {
    /// Nobody has spoken.
    pub fn new() -> Self {
        Conversation::default()
    }

    /// Goes on from what another agent has [shared](crate::ThinkExt::share). Its open calls are closed.
    pub fn received(history: History) -> Self {
        Conversation { history: history.handed_over(), ..Conversation::default() }
    }

    /// What was said.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What was spent on it in all.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// The definition that it was had with; `None` before the first turn.
    pub fn had_with(&self) -> Option<&Fingerprint> {
        self.had_with.as_ref()
    }

    /// The calls that wait for a person.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter().filter(|pending| pending.decided.is_none())
    }

    /// A person said yes. The call runs with the next [`Input::Continue`](crate::Input::Continue), once. Of several calls with
    /// the same arguments one is approved.
    ///
    /// # Errors
    ///
    /// [`PendingError::NotWaitedFor`] if no call waits for a yes to exactly these arguments.
    pub fn approve(&mut self, approval: Approval) -> Result<(), PendingError> {
        let waits = |pending: &&mut Pending| {
            pending.decided.is_none()
                && pending.kind == PendingKind::Approval
                && approval.covers(&pending.tool, pending.hash)
        };
        match self.pending.iter_mut().find(waits) {
            Some(pending) => {
                pending.decided = Some(Decided::Approved(approval));
                Ok(())
            }
            None => Err(PendingError::NotWaitedFor { tool: approval.tool }),
        }
    }

    /// A person said no, to an approval or a question. The model reads the reason.
    ///
    /// # Errors
    ///
    /// [`PendingError::NoSuchCall`].
    pub fn deny(&mut self, call: &str, reason: impl Into<String>) -> Result<(), PendingError> {
        let reason = reason.into();
        self.decide(call, |_| true, Decided::Denied { reason })
    }

    /// A person answered a question.
    ///
    /// # Errors
    ///
    /// [`PendingError::NoSuchCall`], also for a call that waits for an approval.
    pub fn answer(&mut self, call: &str, text: impl Into<String>) -> Result<(), PendingError> {
        let text = text.into();
        let is_question = |pending: &Pending| matches!(pending.kind, PendingKind::Question { .. });
        self.decide(call, is_question, Decided::Answered { text })
    }

    fn decide(
        &mut self,
        call: &str,
        fits: impl Fn(&Pending) -> bool,
        decided: Decided,
    ) -> Result<(), PendingError> {
        let mut open = self.pending.iter_mut();
        let waits = open
            .find(|pending| pending.call == call && pending.decided.is_none() && fits(pending))
            .ok_or_else(|| PendingError::NoSuchCall { call: call.to_owned() })?;
        waits.decided = Some(decided);
        Ok(())
    }

    /// Calls off a turn that waits: its calls are closed, those that waited did not run. What was said meanwhile is kept.
    /// (One that runs: [`CallOff`](crate::CallOff).)
    pub fn cancel(&mut self) {
        self.close(Closing::Cancelled);
        self.turn = None;
    }

    /// Ends the turn under way, with all its calls closed.
    pub(super) fn close(&mut self, why: Closing) {
        for pending in std::mem::take(&mut self.pending) {
            // It may be closed already: then there is nothing to say about it.
            let text = "withdrawn: it did not run";
            drop(self.history.result(&pending.call, ToolOutcome::Cancelled, text));
        }
        self.history.close_open_calls(why);
    }

    /// Whether it may go on with `definition`: takes it on, or says with which one it was had.
    pub(super) fn pin(&mut self, definition: &AgentDefinition) -> Result<Option<Fingerprint>, Failure> {
        let is = definition.fingerprint();
        let Some(was) = self.had_with.clone().filter(|was| was != is) else {
            self.had_with = Some(is.clone());
            return Ok(None);
        };
        let parts = &definition.0;
        let is_accepted = parts.accepts.contains(&was) || (parts.accepts_at_rest && self.turn.is_none());
        if !is_accepted {
            let Some(migration) = &parts.migration else { return Ok(Some(was)) };
            migration(self, &was)?;
        }
        self.had_with = Some(is.clone());
        Ok(None)
    }

    /// Closes the calls of a turn whose future was dropped while they ran. Only without a journal is anything left of such.
    pub(super) fn wake(&mut self) {
        if self.turn.as_ref().is_some_and(|turn| turn.is_running) {
            self.cancel();
        }
    }

    /// Takes on what the agent is told, behind open calls if there are any.
    pub(super) fn hear(
        &mut self,
        definition: &AgentDefinition,
        origin: Origin,
        text: String,
    ) -> Result<(), Refusal> {
        let limits = definition.limits();
        let sized = |text: &str| match text.len() {
            _ if text.trim().is_empty() => Err(Refusal::Blank),
            bytes if bytes > limits.input_bytes => Err(Refusal::TooLong { bytes, max: limits.input_bytes }),
            _ => Ok(()),
        };
        // Before the guardrails, which need not be made for any length, and after those who may make it longer.
        sized(&text)?;
        let text = guarded(text, &definition.0.before).map_err(|refused| Refusal::Guardrail {
            by: refused.by,
            side: Side::In,
            reason: refused.reason,
        })?;
        sized(&text)?;
        if self.waiting.len() >= limits.inputs_waiting.max(1) {
            return Err(Refusal::TooMany { waiting: self.waiting.len() });
        }
        self.waiting.push((origin, text));
        self.turn.get_or_insert_default();
        Ok(())
    }

    /// Puts what waited into the history.
    pub(super) fn tell(&mut self) -> Result<(), Failure> {
        self.waiting
            .drain(..)
            .try_for_each(|(origin, text)| self.history.user(origin, text))
            .map_err(Failure::bug)
    }

    /// Takes on what the model answered.
    pub(super) fn reply(
        &mut self,
        definition: &AgentDefinition,
        reply: ModelReply,
    ) -> Result<Result<(), Refusal>, Failure> {
        self.book(&reply.usage);
        let mut parts = reply.parts;
        let is_answer = !parts.iter().any(|part| matches!(part, ReplyPart::Call(_)));
        if is_answer && !definition.0.after.is_empty() {
            let texts = parts.iter().filter_map(|part| match part {
                ReplyPart::Text(text) => Some(text.as_str()),
                _ => None,
            });
            let said: String = texts.collect();
            let refusal = |by, reason| Refusal::Guardrail { by, side: Side::Out, reason };
            match guarded(said.clone(), &definition.0.after) {
                Ok(same) if same == said => {}
                Ok(other) => parts = vec![ReplyPart::Text(other)],
                Err(refused) => return Ok(Err(refusal(refused.by, refused.reason))),
            }
        }
        let turns = self.history.turns().len();
        self.history.reply(parts).map_err(Failure::bug)?;
        let turn = self.turn.get_or_insert_default();
        turn.finish = Some(reply.finish);
        turn.said_nothing = self.history.turns().len() == turns;

        let made = turn.spent.tool_calls;
        let allowed =
            usize::try_from(definition.limits().tool_calls.saturating_sub(made)).unwrap_or(usize::MAX);
        let calls: Vec<String> = self.history.open_calls().map(|call| call.id.clone()).collect();
        let asked_for = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        for spent in [&mut turn.spent, &mut self.spent] {
            spent.tool_calls = spent.tool_calls.saturating_add(asked_for);
        }
        for call in calls.iter().skip(allowed) {
            turn.over = Some(Limit::ToolCalls);
            let text = "not run: all the calls that this turn may make are made";
            self.history.result(call, ToolOutcome::Refused, text).map_err(Failure::bug)?;
        }
        Ok(Ok(()))
    }

    /// Gives the model its answer back. What is wrong with it may repeat what a customer wrote, so it is no instruction.
    pub(super) fn repair(&mut self, complaint: &str) -> Result<(), Failure> {
        const WISH: &str = "Your answer cannot be used. Answer again, as you were asked to.";
        let turn = self.turn.get_or_insert_default();
        (turn.repairs, turn.said_nothing) = (turn.repairs.saturating_add(1), false);
        let told = self.history.user(Origin::Tool, format!("What is wrong with the answer: {complaint}"));
        told.and_then(|()| self.history.user(Origin::Instruction, WISH)).map_err(Failure::bug)
    }

    /// Counts an answer of the model.
    pub(super) fn book(&mut self, usage: &Usage) {
        self.spent.book(usage);
        self.turn.get_or_insert_default().spent.book(usage);
    }

    /// Counts an answer that is no part of a turn.
    pub(super) fn book_outside(&mut self, usage: &Usage) {
        self.spent.book(usage);
    }

    /// Gives an open call its result.
    pub(super) fn settle(&mut self, call: &str, outcome: ToolOutcome, text: &str) -> Result<(), Failure> {
        self.pending.retain(|pending| pending.call != call);
        self.history.result(call, outcome, text).map_err(Failure::bug)
    }

    /// What the agent said last, if it was the last to speak and called nothing.
    pub(super) fn last_words(&self) -> Option<String> {
        let Some(Turn::Agent { parts }) = self.history.turns().last() else { return None };
        let texts = parts.iter().filter_map(|part| match part {
            greenroom_tools::model::AgentPart::Text(text) => Some(text.as_str()),
            _ => None,
        });
        (!self.history.is_ready()).then(|| texts.collect())
    }
}

/// Refuses what a newer release has stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Version(u16);

impl Default for Version {
    fn default() -> Self {
        Version(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u16::deserialize(from)? {
            version if version > VERSION => {
                Err(D::Error::custom(format!("a conversation of version {version}, newer than {VERSION}")))
            }
            version => Ok(Version(version)),
        }
    }
}
