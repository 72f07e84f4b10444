//! How a definition is made, and what it must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use greenroom_runtime::Failure;
use greenroom_tools::{
    AuditSink, Grant, History, ModelRequest, Origin, OutputSchema, RequestError, ToolRegistry, ToolSpec,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::conversation::Conversation;
use super::definition::{ASK_PERSON, AgentDefinition, Fingerprint, HAND_OFF, HandOffTarget, Parts};
use super::form::Form;
use super::guardrail::Guardrail;
use super::limits::Limits;
use super::output::OutputEvent;
use super::thinker::Thinker;
use super::window::Window;
use crate::role::Role;

/// Makes an [`AgentDefinition`].
#[must_use = "a definition is made by `build`"]
pub struct AgentBuilder {
    parts: Parts,
    thinker: Option<Arc<dyn Thinker>>,
}

/// Why a definition cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// It has no model: [`AgentBuilder::model`].
    #[error("the agent has no model")]
    NoModel,
    /// A name or a schema that providers do not take: of a tool, an output, or a role of more than 52 characters; or two
    /// tools of one name.
    #[error(transparent)]
    Offered(#[from] RequestError),
    /// The numbers of the window do not fit together.
    #[error("{0:?} is no window")]
    Window(Window),
    /// A bound of no model call, no token or no byte.
    #[error("the limits allow nothing")]
    Limits,
}

/// What a model fills in to ask a person.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "its schema and its reader are what is used")]
struct Question {
    /// What you want to know.
    question: String,
}

impl AgentBuilder {
    pub(super) fn new(name: String) -> Self {
        let parts = Parts {
            name,
            version: 1,
            instructions: String::new(),
            thinker: Arc::new(Nobody),
            tools: ToolRegistry::new(),
            grant: Grant::none(),
            hand_offs: Vec::new(),
            asks_people: None,
            output: None,
            limits: Limits::default(),
            before: Vec::new(),
            after: Vec::new(),
            window: Window::default(),
            filters: BTreeMap::new(),
            accepts: BTreeSet::new(),
            accepts_at_rest: false,
            migration: None,
            on_output: None,
            audit: None,
            offered: Vec::new(),
            fingerprint: Fingerprint::recorded(""),
        };
        AgentBuilder { parts, thinker: None }
    }

    /// Its version, for people. Default: 1.
    pub fn version(mut self, version: u32) -> Self {
        self.parts.version = version;
        self
    }

    /// What it is and shall do. Trusted. Default: nothing.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.parts.instructions = instructions.into();
        self
    }

    /// What it thinks with: a [`ModelHandle`](greenroom_tools::ModelHandle), or what stands in front of one.
    pub fn model(mut self, thinker: impl Thinker) -> Self {
        self.thinker = Some(Arc::new(thinker));
        self
    }

    /// What it may call: of these tools those that the grant has. Default: none.
    pub fn tools(mut self, tools: ToolRegistry, grant: Grant) -> Self {
        (self.parts.tools, self.parts.grant) = (tools, grant);
        self
    }

    /// It may hand over to `role`: the model is offered a tool `hand_off_to_ROLE` with these arguments. The description says
    /// when.
    pub fn hand_off<T: DeserializeOwned + JsonSchema>(
        mut self,
        role: Role,
        description: impl Into<String>,
    ) -> Self {
        let target = HandOffTarget { role, description: description.into(), payload: Form::of::<T>() };
        self.parts.hand_offs.push(target);
        self
    }

    /// It may ask a person: the model is offered a tool `ask_person`.
    pub fn asks_people(mut self) -> Self {
        self.parts.asks_people = Some(Form::of::<Question>());
        self
    }

    /// Its answers are JSON of that type, under a name for the provider. What is of another form goes back to the model, at
    /// most [`Limits::repairs`] times.
    ///
    /// # Errors
    ///
    /// [`DefinitionError::Offered`] for a name that providers do not take.
    pub fn answers<T: DeserializeOwned + JsonSchema>(mut self, name: &str) -> Result<Self, DefinitionError> {
        let form = Form::of::<T>();
        let schema = OutputSchema::new(name, form.schema.clone())?;
        self.parts.output = Some((form, schema));
        Ok(self)
    }

    /// Within other bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.parts.limits = limits;
        self
    }

    /// One more check of what it is told, in the order of the calls.
    pub fn before(mut self, guardrail: Guardrail) -> Self {
        self.parts.before.push(guardrail);
        self
    }

    /// One more check of its answers, in the order of the calls, before they are part of the history. What it says beside a
    /// call is no answer.
    pub fn after(mut self, guardrail: Guardrail) -> Self {
        self.parts.after.push(guardrail);
        self
    }

    /// How long its history may get.
    pub fn window(mut self, window: Window) -> Self {
        self.parts.window = window;
        self
    }

    /// A filter that [`HistoryPolicy::Filter`](crate::HistoryPolicy::Filter) names: what others may see of a history.
    pub fn filter(
        mut self,
        name: impl Into<String>,
        filter: impl Fn(&History) -> History + Send + Sync + 'static,
    ) -> Self {
        self.parts.filters.insert(name.into(), Arc::new(filter));
        self
    }

    /// Goes on with conversations that were had with that definition, as they are.
    pub fn accepts(mut self, was: Fingerprint) -> Self {
        self.parts.accepts.insert(was);
        self
    }

    /// Goes on with conversations of any definition, if no turn of theirs is under way. One that waits for a person is.
    pub fn accepts_at_rest(mut self) -> Self {
        self.parts.accepts_at_rest = true;
        self
    }

    /// Changes conversations of other definitions so that this one can go on with them. If it fails, so does the turn.
    pub fn migrates(
        mut self,
        migration: impl Fn(&mut Conversation, &Fingerprint) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        self.parts.migration = Some(Arc::new(migration));
        self
    }

    /// Tells what the model says while it says it.
    pub fn on_output(mut self, observer: impl Fn(OutputEvent<'_>) + Send + Sync + 'static) -> Self {
        self.parts.on_output = Some(Arc::new(observer));
        self
    }

    /// Records of tool calls go to `sink`. Default: nowhere.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.parts.audit = Some(Arc::new(sink));
        self
    }

    /// The definition.
    ///
    /// # Errors
    ///
    /// [`DefinitionError`].
    pub fn build(self) -> Result<AgentDefinition, DefinitionError> {
        let AgentBuilder { mut parts, thinker } = self;
        parts.thinker = thinker.ok_or(DefinitionError::NoModel)?;
        let limits = &parts.limits;
        if limits.model_calls == 0
            || limits.output_tokens == 0
            || limits.input_bytes == 0
            || limits.tokens == 0
        {
            return Err(DefinitionError::Limits);
        }
        if !parts.window.is_sound() {
            return Err(DefinitionError::Window(parts.window));
        }
        parts.offered = offered(&parts)?;
        parts.fingerprint = parts.seal();
        let definition = AgentDefinition(Arc::new(parts));
        // Each request is made of these parts: what is wrong with them shall be heard now.
        let mut history = History::new();
        let said = history.user(Origin::Instruction, "hello").map_err(RequestError::from);
        said.and_then(|()| probe(&definition, history))?;
        Ok(definition)
    }
}

fn offered(parts: &Parts) -> Result<Vec<ToolSpec>, RequestError> {
    let tools = parts.tools.describe(&parts.grant).into_iter();
    let tools = tools.map(|tool| ToolSpec::new(&tool.name, &tool.description, tool.input_schema.clone()));
    let hand_offs = parts.hand_offs.iter().map(|target| {
        let name = format!("{HAND_OFF}{}", target.role);
        ToolSpec::new(name, &target.description, target.payload.schema.clone())
    });
    let person = parts.asks_people.iter().map(|form| {
        ToolSpec::new(ASK_PERSON, "Asks a person, whose answer may take long.", form.schema.clone())
    });
    tools.chain(hand_offs).chain(person).collect()
}

fn probe(definition: &AgentDefinition, history: History) -> Result<(), RequestError> {
    let request = ModelRequest::new("", history, 1)?;
    definition.0.offered.iter().cloned().try_fold(request, ModelRequest::tool).map(drop)
}

/// In the place of a model until there is one.
struct Nobody;

impl Thinker for Nobody {
    fn provider(&self) -> &str {
        ""
    }

    fn model(&self) -> &str {
        ""
    }

    fn think<'a>(
        &'a self,
        _: &'a ModelRequest,
        _: super::thinker::ThinkCall<'a>,
    ) -> super::thinker::ThinkFuture<'a> {
        Box::pin(std::future::ready(Err(Failure::bug("the agent has no model"))))
    }
}
