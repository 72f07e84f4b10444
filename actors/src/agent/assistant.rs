//! A ready agent: a durable actor for each customer, whose state is the conversation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use greenroom_runtime::{
    Actor, ActorPath, Context, Durable, DurableMessage, Failure, Handler, Message, inbox,
};
use greenroom_tools::{Approval, Origin};
use serde::{Deserialize, Serialize};

use super::call_off::CallOff;
use super::conversation::Conversation;
use super::definition::AgentDefinition;
use super::think::ThinkExt;
use super::thought::{Input, Thought};

/// The definitions that the assistants of a runtime are found by; given to its builder as a resource.
#[derive(Debug, Default)]
pub struct Agents {
    definitions: BTreeMap<String, AgentDefinition>,
    running: Mutex<BTreeMap<ActorPath, CallOff>>,
}

impl Agents {
    /// None.
    pub fn new() -> Self {
        Agents::default()
    }

    /// And this one, in the place of another of its name.
    #[must_use]
    pub fn with(mut self, definition: AgentDefinition) -> Self {
        self.definitions.insert(definition.name().to_owned(), definition);
        self
    }

    /// The definition of that name.
    pub fn get(&self, name: &str) -> Option<&AgentDefinition> {
        self.definitions.get(name)
    }

    /// Calls off the turn that the assistant at `path` takes now, in this process. Whether it takes one.
    pub fn call_off(&self, path: &ActorPath) -> bool {
        let running = self.running();
        running.get(path).map(CallOff::call_off).is_some()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<ActorPath, CallOff>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a turn off the list of those that run, also when its future is dropped.
struct Running<'a> {
    agents: &'a Agents,
    path: &'a ActorPath,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.agents.running().remove(self.path);
    }
}

/// Has one conversation: a durable actor for each customer, such as `assistants/ann`, below a
/// durable `DynamicSupervisor`. A second question knows the first, also after `kill -9`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Assistant {
    conversation: Conversation,
}

/// What an assistant is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssistantArgs {
    /// The name of its definition, one of the [`Agents`] of the runtime.
    pub agent: String,
}

/// The customer says something. What waits for a person is not asked about again: the answer is
/// [`Thought::Waiting`], and what was said is read when the calls have their results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say(pub String);

/// A person says yes to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve(pub Approval);

/// A person says no to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny {
    /// The id of the call.
    pub call: String,
    /// Why, for the model.
    pub reason: String,
}

/// A person answers a question of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The id of the call.
    pub call: String,
    /// What.
    pub text: String,
}

/// Goes on with a turn that was over, such as when there is budget again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume;

/// Calls off a turn that waits for a person. One that runs: [`Agents::call_off`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel;

/// The conversation as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look;

macro_rules! message {
    ($message:ident -> $reply:ty, $name:literal) => {
        impl Message for $message {
            type Reply = $reply;
            const NAME: Option<&'static str> = Some($name);
        }
        impl DurableMessage for $message {}
    };
}

message!(Say -> Thought, "assistant-say");
message!(Approve -> Thought, "assistant-approve");
message!(Deny -> Thought, "assistant-deny");
message!(Reply -> Thought, "assistant-reply");
message!(Resume -> Thought, "assistant-resume");
message!(Cancel -> (), "assistant-cancel");
message!(Look -> Conversation, "assistant-look");

inbox!(durable pub AssistantInbox for Assistant: Say, Approve, Deny, Reply, Resume, Cancel, Look);

impl Durable for Assistant {
    const NAME: &'static str = "assistant";
}

impl Actor for Assistant {
    type Args = AssistantArgs;
    type Inbox = AssistantInbox;

    async fn start(_: &AssistantArgs) -> Result<Self, Failure> {
        Ok(Assistant::default())
    }
}

impl Assistant {
    /// A changed definition that takes over no conversation lays the message aside, for a program that does.
    async fn think(&mut self, cx: &Context<'_, Self>, input: Input) -> Result<Thought, Failure> {
        let agents = cx.resource::<Agents>()?;
        let name = &cx.args().agent;
        let definition =
            agents.get(name).ok_or_else(|| Failure::bug(format!("there is no agent `{name}`")))?;
        let call_off = CallOff::new();
        agents.running().insert(cx.path().clone(), call_off.clone());
        let _running = Running { agents: &agents, path: cx.path() };
        match cx.think_unless(definition, &mut self.conversation, input, &call_off).await? {
            Thought::DefinitionChanged { was, is } => Err(Failure::exhausted(format!(
                "the conversation was had with definition {was}, and {is} does not go on with it"
            ))),
            thought => Ok(thought),
        }
    }
}

impl Handler<Say> for Assistant {
    async fn handle(&mut self, Say(text): Say, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        self.think(cx, Input::Say { origin: Origin::Customer, text }).await
    }
}

impl Handler<Approve> for Assistant {
    async fn handle(&mut self, m: Approve, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        self.conversation.approve(m.0).map_err(Failure::invalid)?;
        self.think(cx, Input::Continue).await
    }
}

impl Handler<Deny> for Assistant {
    async fn handle(&mut self, m: Deny, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        self.conversation.deny(&m.call, m.reason).map_err(Failure::invalid)?;
        self.think(cx, Input::Continue).await
    }
}

impl Handler<Reply> for Assistant {
    async fn handle(&mut self, m: Reply, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        self.conversation.answer(&m.call, m.text).map_err(Failure::invalid)?;
        self.think(cx, Input::Continue).await
    }
}

impl Handler<Resume> for Assistant {
    async fn handle(&mut self, _: Resume, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        self.think(cx, Input::Continue).await
    }
}

impl Handler<Cancel> for Assistant {
    async fn handle(&mut self, _: Cancel, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.conversation.cancel();
        Ok(())
    }
}

impl Handler<Look> for Assistant {
    async fn handle(&mut self, _: Look, _: &mut Context<'_, Self>) -> Result<Conversation, Failure> {
        Ok(self.conversation.clone())
    }
}
