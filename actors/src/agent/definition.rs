//! What an agent is: plain data, and handles that are shared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use greenroom_runtime::{Effect, Failure};
use greenroom_tools::{
    ArgumentHash, AuditSink, Grant, History, ModelRequest, OutputSchema, ToolContext, ToolRegistry, ToolSpec,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::conversation::Conversation;
use super::define::AgentBuilder;
use super::form::Form;
use super::guardrail::Guardrail;
use super::limits::Limits;
use super::output::OutputObserver;
use super::thinker::Thinker;
use super::window::Window;
use crate::role::Role;

/// The tool by which a model asks a person.
pub(super) const ASK_PERSON: &str = "ask_person";
/// The begin of the names of tools by which a model hands over.
pub(super) const HAND_OFF: &str = "hand_off_to_";

/// What an agent is: name, instructions, model, tools, whom it may hand over to, bounds. Made by
/// [`AgentDefinition::named`], never changed, cloned for free.
#[derive(Clone)]
pub struct AgentDefinition(pub(super) Arc<Parts>);

/// What a definition is made of.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) instructions: String,
    pub(super) thinker: Arc<dyn Thinker>,
    pub(super) tools: ToolRegistry,
    pub(super) grant: Grant,
    pub(super) hand_offs: Vec<HandOffTarget>,
    /// What the model fills in to ask a person, if it may.
    pub(super) asks_people: Option<Form>,
    pub(super) output: Option<(Form, OutputSchema)>,
    pub(super) limits: Limits,
    pub(super) before: Vec<Guardrail>,
    pub(super) after: Vec<Guardrail>,
    pub(super) window: Window,
    pub(super) filters: BTreeMap<String, Arc<HistoryFilter>>,
    pub(super) accepts: BTreeSet<Fingerprint>,
    pub(super) accepts_at_rest: bool,
    pub(super) migration: Option<Arc<Migration>>,
    pub(super) on_output: Option<Arc<OutputObserver>>,
    pub(super) audit: Option<Arc<dyn AuditSink>>,
    /// All that the model is offered.
    pub(super) offered: Vec<ToolSpec>,
    pub(super) fingerprint: Fingerprint,
}

pub(super) type HistoryFilter = dyn Fn(&History) -> History + Send + Sync;
pub(super) type Migration = dyn Fn(&mut Conversation, &Fingerprint) -> Result<(), Failure> + Send + Sync;

/// Somebody whom the agent may hand over to.
#[derive(Clone)]
pub(super) struct HandOffTarget {
    pub(super) role: Role,
    pub(super) description: String,
    pub(super) payload: Form,
}

/// What tells one definition from another: SHA-256 over all that shapes what the agent does. Of functions their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// One that was written down, such as in the list of those that a newer definition accepts.
    pub fn recorded(text: impl Into<String>) -> Self {
        Fingerprint(text.into())
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a call is for.
pub(super) enum Kind<'a> {
    HandOff(&'a HandOffTarget),
    AskPerson(&'a Form),
    Tool {
        effect: Effect,
        /// Whether each call needs a person's yes.
        needs_approval: bool,
    },
}

impl AgentDefinition {
    /// Begins a definition.
    pub fn named(name: impl Into<String>) -> AgentBuilder {
        AgentBuilder::new(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its version, as its author counts.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// What tells it from others.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// Its bounds.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The request for the next answer to `history`.
    pub(super) fn request(&self, history: &History, output_tokens: u32) -> Result<ModelRequest, Failure> {
        let request = self.plain_request(history, output_tokens)?;
        Ok(match &self.0.output {
            Some((_, schema)) => request.output(schema.clone()),
            None => request,
        })
    }

    /// The same, for an answer of no form.
    pub(super) fn plain_request(
        &self,
        history: &History,
        output_tokens: u32,
    ) -> Result<ModelRequest, Failure> {
        let parts = &self.0;
        let request = ModelRequest::new(parts.instructions.clone(), history.clone(), output_tokens);
        let offered = parts.offered.iter().cloned();
        offered.fold(request, |request, tool| request?.tool(tool)).map_err(Failure::bug)
    }

    /// What the call of a tool of that name is for. One that is not there, or not granted, is refused by the registry, which
    /// does nothing.
    pub(super) fn kind(&self, name: &str) -> Kind<'_> {
        let parts = &self.0;
        if let Some(form) = parts.asks_people.as_ref().filter(|_| name == ASK_PERSON) {
            return Kind::AskPerson(form);
        }
        let role = name.strip_prefix(HAND_OFF);
        let target = role.and_then(|role| parts.hand_offs.iter().find(|target| target.role.as_str() == role));
        if let Some(target) = target {
            return Kind::HandOff(target);
        }
        match parts.tools.get(name).filter(|_| parts.grant.allows(name)) {
            Some(tool) => {
                let description = tool.description();
                let by_tool = description.approval == greenroom_tools::ApprovalRule::Needed;
                let needs_approval = by_tool || parts.grant.asks_for_approval(name);
                Kind::Tool { effect: description.effect, needs_approval }
            }
            None => Kind::Tool { effect: Effect::Pure, needs_approval: false },
        }
    }

    pub(super) fn tool_context(&self, caller: String) -> ToolContext {
        let cx = ToolContext::new(caller, self.0.grant.clone());
        match self.0.audit.clone() {
            Some(audit) => cx.with_audit(move |record: &greenroom_tools::AuditRecord| audit.record(record)),
            None => cx,
        }
    }
}

impl Parts {
    /// Over all that shapes what the agent does. Handles and observers do not, and what is accepted from others does not.
    pub(super) fn seal(&self) -> Fingerprint {
        let names = |all: &[Guardrail]| all.iter().map(|rail| rail.name().to_owned()).collect::<Vec<_>>();
        let tool = |description: &greenroom_tools::ToolDescription| {
            let approval = format!("{:?}", description.approval);
            json!([description.name, format!("{:?}", description.effect), approval])
        };
        let offered = self.offered.iter();
        let shape = json!({
            "name": self.name,
            "version": self.version,
            "instructions": self.instructions,
            "model": [self.thinker.provider(), self.thinker.model()],
            "tools": self.tools.describe(&self.grant).into_iter().map(tool).collect::<Vec<_>>(),
            "grant": serde_json::to_value(&self.grant).unwrap_or_default(),
            "offered": offered.map(|tool| json!([tool.name(), tool.description(), tool.input_schema()])).collect::<Vec<_>>(),
            "output": self.output.as_ref().map(|(form, schema)| json!([schema.name(), form.schema])),
            "limits": format!("{:?}", self.limits),
            "before": names(&self.before),
            "after": names(&self.after),
            "window": format!("{:?}", self.window),
        });
        // A hash over canonical JSON is what the tools have for arguments already.
        Fingerprint(ArgumentHash::of("agent definition", &shape).to_string())
    }
}

impl fmt::Debug for AgentDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentDefinition")
            .field("name", &self.0.name)
            .field("version", &self.0.version)
            .field("fingerprint", &self.0.fingerprint.0)
            .finish_non_exhaustive()
    }
}
