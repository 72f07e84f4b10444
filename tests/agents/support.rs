//! An assistant whose calls are written down, and processes that can be killed.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::agents::assistant::{Agents, Assistant, AssistantArgs, Look, Say};
use greenroom::agents::{AgentBuilder, ThinkCall, ThinkFuture};
use greenroom::tools::model::AgentPart;
use greenroom::{
    ActorRef, ActorSpec, AgentDefinition, AnyTool, ApprovalRule, Conversation, Effect, Grant, ModelHandle,
    ModelRequest, Runtime, ScriptedAnswer, ScriptedModel, Store, Thinker, Thought, Tool, ToolContext,
    ToolError, ToolRegistry, Turn,
};
use tokio::sync::{Barrier, Notify};

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Runs `life` as a process that is killed when it returns: whatever goes on then is gone at once.
pub(crate) fn process<T>(life: impl Future<Output = T>) -> T {
    let process = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    process.expect("threads are there").block_on(life)
}

/// A promise that is broken fails its test instead of hanging it.
#[expect(clippy::disallowed_methods, reason = "a watchdog, not a wait: no test depends on its length")]
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(secs(100_000), event).await.expect("the event that the test waits for")
}

/// The calls that were made, over all processes, each with its key; and the one that does not come to its end.
#[derive(Clone, Default)]
pub(crate) struct Calls {
    made: Arc<Mutex<Vec<(String, String)>>>,
    hangs: Arc<Mutex<Option<String>>>,
    hung: Arc<Notify>,
}

impl Calls {
    pub(crate) async fn made(&self, what: String, key: &str) {
        let hangs = self.hangs.lock().unwrap().as_deref() == Some(&*what);
        self.made.lock().unwrap().push((what, key.to_owned()));
        if hangs {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn hang_in(&self, what: Option<&str>) {
        *self.hangs.lock().unwrap() = what.map(str::to_owned);
    }

    pub(crate) async fn hung(&self) {
        soon(self.hung.notified()).await;
    }

    pub(crate) fn all(&self) -> Vec<(String, String)> {
        self.made.lock().unwrap().clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|(what, _)| what).collect()
    }
}

/// A model whose calls are written down: what stands in front of one looks like this.
pub(crate) struct Watched {
    pub(crate) model: ModelHandle,
    pub(crate) calls: Calls,
}

impl Watched {
    pub(crate) fn new<T: Into<ScriptedAnswer>>(
        calls: &Calls,
        script: impl Fn(&ModelRequest) -> T + Send + Sync + 'static,
    ) -> Self {
        Watched { model: ModelHandle::new(ScriptedModel::new(script)), calls: calls.clone() }
    }
}

impl Thinker for Watched {
    fn provider(&self) -> &str {
        self.model.provider()
    }

    fn model(&self) -> &str {
        self.model.model()
    }

    fn think<'a>(&'a self, request: &'a ModelRequest, call: ThinkCall<'a>) -> ThinkFuture<'a> {
        Box::pin(async move {
            let key = call.attempt.idempotency_key().unwrap_or_default();
            let is_summary = asked(request).starts_with("Summarise");
            let what = if is_summary { "summary".to_owned() } else { format!("model {}", rounds(request)) };
            self.calls.made(what, key).await;
            Ok(self.model.attempt(request, call.attempt).await?)
        })
    }
}

/// How often the agent has spoken since it was told something.
pub(crate) fn rounds(request: &ModelRequest) -> usize {
    let agents = request.history().turns().iter().rev();
    agents.take_while(|turn| matches!(turn, Turn::Agent { .. })).count()
}

/// The text that the agent was told last.
pub(crate) fn asked(request: &ModelRequest) -> String {
    let user = request.history().turns().iter().rev().find_map(|turn| match turn {
        Turn::User { text, .. } => Some(text.clone()),
        Turn::Agent { .. } => None,
    });
    user.unwrap_or_default()
}

/// All results in the history, in their order.
pub(crate) fn results(conversation: &Conversation) -> Vec<String> {
    let parts = conversation.history().turns().iter().flat_map(|turn| match turn {
        Turn::Agent { parts } => &parts[..],
        Turn::User { .. } => &[],
    });
    let results = parts.filter_map(|part| match part {
        AgentPart::Call { result: Some(result), .. } => Some(result.text.clone()),
        _ => None,
    });
    results.collect()
}

/// A tool that is written down, and gives back its number.
#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) approval: ApprovalRule,
    pub(crate) calls: Calls,
    pub(crate) fails: Option<ToolError>,
    /// Goes on when so many calls have come here.
    pub(crate) meets: Option<Arc<Barrier>>,
}

impl Numbered {
    pub(crate) fn new(name: &'static str, calls: &Calls) -> Self {
        let (effect, approval) = (Effect::Idempotent, ApprovalRule::NotNeeded);
        Numbered { name, effect, approval, calls: calls.clone(), fails: None, meets: None }
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    n: u64,
}

impl Tool for Numbered {
    type Input = Number;
    type Output = u64;

    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> &str {
        "Gives back its number."
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn approval(&self) -> ApprovalRule {
        self.approval
    }

    async fn call(&self, input: Number, cx: &ToolContext) -> Result<u64, ToolError> {
        self.calls.made(format!("{} {}", self.name, input.n), cx.key()).await;
        if let Some(barrier) = &self.meets {
            barrier.wait().await;
        }
        self.fails.clone().map_or(Ok(input.n), Err)
    }
}

pub(crate) fn tools<const N: usize>(tools: [Numbered; N]) -> (ToolRegistry, Grant) {
    let registry =
        tools.into_iter().fold(ToolRegistry::new(), |all, tool| all.with(AnyTool::new(tool)).unwrap());
    (registry, Grant::all())
}

pub(crate) fn agent<T: Into<ScriptedAnswer>>(
    calls: &Calls,
    script: impl Fn(&ModelRequest) -> T + Send + Sync + 'static,
) -> AgentBuilder {
    AgentDefinition::named("desk").instructions("be kind").model(Watched::new(calls, script))
}

/// One process: its runtime, and the assistant of a customer.
pub(crate) struct Process {
    pub(crate) runtime: Runtime,
    pub(crate) ann: ActorRef<Assistant>,
}

impl Process {
    pub(crate) async fn start(store: impl Store, definition: AgentDefinition) -> Self {
        let agents = Agents::new().with(definition);
        let runtime =
            Runtime::builder().store(store).resource(agents).start().await.expect("the store is free");
        let args = AssistantArgs { agent: "desk".into() };
        let spec = ActorSpec::<Assistant>::new("ann", args).durable();
        let ann = runtime.spawn_spec(spec).await.expect("it starts");
        Process { runtime, ann }
    }

    pub(crate) async fn say(&self, text: &str) -> Thought {
        soon(self.ann.ask(Say(text.to_owned())).within(secs(90_000))).await.expect("an answer")
    }

    pub(crate) async fn look(&self) -> Conversation {
        self.ann.ask(Look).await.expect("it has a state")
    }

    pub(crate) async fn end(self) {
        assert!(self.runtime.shutdown(secs(5)).await.is_clean());
    }
}

pub(crate) fn text_of(thought: &Thought) -> &str {
    match thought {
        Thought::Answer(answer) => &answer.text,
        other => panic!("no answer: {other:?}"),
    }
}
