//! Whatever happens to a conversation, no provider refuses a request that it leads to.
//!
//! `SEED=42 cargo test --test agents random` repeats one, `HISTORIES=100000` runs so many.

use std::sync::{Arc, Mutex};

use greenroom::agents::{Limits, ThinkCall, ThinkFuture, Window};
use greenroom::testing::{Fault, FaultyStore};
use greenroom::tools::model::{HttpModel, ModelErrorKind, OpaquePart};
use greenroom::{
    Actor, ActorSpec, AgentDefinition, AnyTool, Approval, Clock, Context, Conversation, Durable,
    DurableMessage, Failure, Grant, Handler, HistoryPolicy, Input, MemoryStore, Message, ModelHandle,
    ModelReply, ModelRequest, Origin, ReplyPart, Role, Runtime, ScriptedAnswer, ScriptedModel, ThinkExt,
    Thinker, ToolCall, ToolError, ToolLimits, ToolRegistry, agents::CallOff, inbox, tool_fn,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rules;
use crate::support::{process, secs};

/// Goal: 0 of 100,000 random conversations, with crashes at commits and in calls, call-offs, timeouts, failures, people,
/// handoffs and compactions, lead to a request that a provider refuses, or to an actor that is parked over its own journal.
/// Method: a durable agent on a model that answers anything; each request goes to the rules of three wires.
#[test]
fn no_provider_refuses_a_request_whatever_happened_to_its_conversation() {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HISTORIES").unwrap_or(150),
    };
    let mut seen = Seen::default();
    for seed in seeds.clone() {
        live(seed, &mut seen);
    }
    println!("{} conversations: {seen:?}, 0 refused", seeds.end - seeds.start);
    if seeds.end - seeds.start > 50 {
        let Seen { requests, crashes, thoughts } = seen;
        assert!(requests > 100 && crashes > 50 && thoughts > 100, "the test does what it says");
    }
}

#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    crashes: u64,
    thoughts: u64,
}

/// Small numbers from a seed (SplitMix64), shared with the script: what a model says may differ from run to run.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn one_of<'a>(&self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.roll(all.len() as u64)).unwrap()]
    }
}

const TEXTS: [&str; 6] = [
    "hello",
    "",
    " \n",
    "ä </customer> ö",
    "{\"n\":1}",
    "a longer text, of several words, which fills a window",
];
const IDS: [&str; 6] =
    ["a", "b", "", "functions.look_up:0", "ü", "0123456789012345678901234567890123456789x"];
const NAMES: [&str; 8] =
    ["add", "add", "pay", "slow", "down", "ask_person", "hand_off_to_billing", "no such tool"];
const ARGUMENTS: [&str; 6] = ["{\"n\":1}", "{\"n\":2}", "{\"question\":\"which?\"}", "{}", "{\"n\":", "null"];

/// Answers anything, and shows each request to the rules first.
struct Judged {
    dice: Dice,
    wires: [HttpModel; 3],
    requests: Mutex<u64>,
    broken: Mutex<Vec<String>>,
}

impl Judged {
    fn new(dice: Dice) -> Self {
        let url = "http://localhost/v1";
        let wires = [
            HttpModel::openai_chat(url, "m"),
            HttpModel::openai_responses(url, "m"),
            HttpModel::anthropic(url, "m"),
        ];
        let wires = wires.map(|wire| wire.build().unwrap());
        Judged { dice, wires, requests: Mutex::default(), broken: Mutex::default() }
    }

    fn answer(&self) -> ScriptedAnswer {
        let dice = &self.dice;
        match dice.roll(16) {
            0 => ScriptedAnswer::fails(ModelErrorKind::Overloaded { message: "later".into() }),
            1 if dice.roll(3) == 0 => ScriptedAnswer::fails(ModelErrorKind::TooLong { message: "9".into() }),
            2 if dice.roll(3) == 0 => {
                ScriptedAnswer::fails(ModelErrorKind::Filtered { message: "no".into() })
            }
            3 => ScriptedAnswer::text("too late").thinks_for(secs(dice.roll(40))),
            4..=9 => ScriptedAnswer::text(dice.one_of(&TEXTS)),
            _ => (0..dice.roll(4)).fold(ScriptedAnswer::text(dice.one_of(&TEXTS)), |answer, _| {
                answer.call(dice.one_of(&IDS), dice.one_of(&NAMES), dice.one_of(&ARGUMENTS))
            }),
        }
    }
}

/// Of one life: the judge lives longer.
struct Judge(Arc<Judged>);

impl Thinker for Judge {
    fn provider(&self) -> &str {
        "judged"
    }

    fn model(&self) -> &str {
        "judged"
    }

    fn think<'a>(&'a self, request: &'a ModelRequest, call: ThinkCall<'a>) -> ThinkFuture<'a> {
        Box::pin(async move {
            let [chat, responses, anthropic] = self.0.wires.each_ref().map(|wire| wire.body(request));
            let verdicts: [(Value, Result<(), String>); 3] = [
                (chat.clone(), rules::chat(&chat)),
                (responses.clone(), rules::responses(&responses)),
                (anthropic.clone(), rules::anthropic(&anthropic)),
            ];
            for (body, verdict) in verdicts {
                if let Err(rule) = verdict {
                    self.0.broken.lock().unwrap().push(format!("{rule}\n{body:#}"));
                }
            }
            *self.0.requests.lock().unwrap() += 1;
            let answer = self.0.answer();
            let script = ModelHandle::new(ScriptedModel::new(move |_| answer.clone()));
            let mut reply: ModelReply = script.attempt(request, call.attempt).await?;
            if self.0.dice.roll(4) == 0 {
                let thought = r#"{"type":"thinking","thinking":"hm","signature":"s"}"#;
                let (provider, json) = ("anthropic".to_owned(), thought.to_owned());
                reply.parts.insert(0, ReplyPart::Opaque(OpaquePart { provider, json }));
            }
            if self.0.dice.roll(6) == 0 {
                let (id, name) = (self.0.dice.one_of(&IDS).to_owned(), "add".to_owned());
                reply.parts.push(ReplyPart::Call(ToolCall { id, name, arguments: "{\"n\":3}".to_owned() }));
            }
            Ok(reply)
        })
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Number {
    n: u64,
}

fn definition(seed: u64, judge: Arc<Judged>) -> AgentDefinition {
    let unavailable = |_: Number| async { Err::<u64, _>(ToolError::unavailable("down")) };
    let slow = |n: Number| async move {
        Clock::default().sleep(secs(n.n * 20)).await;
        Ok(n.n)
    };
    let limits = ToolLimits { deadline: secs(30), ..ToolLimits::default() };
    let tools = ToolRegistry::new()
        .with(
            tool_fn("add", "", |n: Number| async move { Ok("x".repeat(usize::try_from(n.n).unwrap() * 30)) })
                .pure(),
        )
        .and_then(|all| {
            all.with(AnyTool::new(
                tool_fn("pay", "", |n: Number| async move { Ok(n.n) }).pure().with_approval(),
            ))
        })
        .and_then(|all| all.with(tool_fn("slow", "", slow).pure().limits(limits)))
        .and_then(|all| all.with(tool_fn("down", "", unavailable).pure()))
        .unwrap();
    let windows = [
        Window::default(),
        Window::Cut { at: 150, keep: 70 },
        Window::Summary { at: 150, keep: 70, summary_tokens: 40 },
    ];
    let limits = Limits { model_calls: 6, tool_calls: 8, call_deadline: secs(30), ..Limits::default() };
    let limits = Limits { wall_time: (seed.is_multiple_of(5)).then(|| secs(60)), ..limits };
    let builder = AgentDefinition::named("any")
        .model(Judge(judge))
        .limits(limits)
        .window(windows[usize::try_from(seed % 3).unwrap()]);
    let builder = match seed % 4 {
        0 => builder,
        _ => builder.tools(tools, Grant::all()).asks_people().hand_off::<Number>(Role::named("billing"), ""),
    };
    let builder = if seed.is_multiple_of(7) { builder.answers::<Number>("number").unwrap() } else { builder };
    builder.filter("newest", |all| all.last(2)).build().unwrap()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Say(String),
    Decide { yes: bool },
    Cancel,
    HandOff(HistoryPolicy),
    Resume,
}

impl Message for Act {
    type Reply = String;
    const NAME: Option<&'static str> = Some("act");
}
impl DurableMessage for Act {}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Agent {
    conversation: Conversation,
}

inbox!(durable pub(crate) AgentInbox for Agent: Act);

impl Durable for Agent {
    const NAME: &'static str = "agent";
}

impl Actor for Agent {
    type Args = (AgentDefinition, CallOff);
    type Inbox = AgentInbox;
    async fn start(_: &Self::Args) -> Result<Self, Failure> {
        Ok(Agent::default())
    }
}

impl Handler<Act> for Agent {
    async fn handle(&mut self, act: Act, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        let ((definition, call_off), conversation) = (cx.args(), &mut self.conversation);
        let mut input = Input::Continue;
        match act {
            Act::Say(text) => input = Input::customer(text),
            Act::Resume => {}
            Act::Cancel => conversation.cancel(),
            Act::Decide { yes } => {
                let Some(pending) = conversation.pending().next().cloned() else {
                    return Ok("nobody asked".into());
                };
                let (tool, arguments) = (pending.tool.clone(), pending.hash);
                let approval = Approval { tool, arguments, by: "bob".into(), at_ms: 0 };
                let decided = match yes {
                    true => conversation
                        .approve(approval)
                        .or_else(|_| conversation.answer(&pending.call, "the red one")),
                    false => conversation.deny(&pending.call, "no"),
                };
                decided.map_err(Failure::bug)?;
            }
            Act::HandOff(policy) => {
                let shared = cx.share(definition, conversation, &policy).await?;
                *conversation = Conversation::received(shared);
                input = Input::Say { origin: Origin::Agent, text: "this is yours now".into() };
            }
        }
        let thought = cx.think_unless(definition, conversation, input, call_off).await?;
        Ok(format!("{thought:?}"))
    }
}

fn act(dice: &Dice) -> Act {
    match dice.roll(12) {
        0..=4 => Act::Say(dice.one_of(&TEXTS).to_owned()),
        5..=7 => Act::Decide { yes: dice.roll(3) > 0 },
        8 => Act::Cancel,
        9..=10 => Act::HandOff(match dice.roll(4) {
            0 => HistoryPolicy::Full,
            1 => HistoryPolicy::Last(usize::try_from(dice.roll(4)).unwrap()),
            2 => HistoryPolicy::Filter("newest".into()),
            _ => HistoryPolicy::Summary { max_tokens: 20 },
        }),
        _ => Act::Resume,
    }
}

/// One conversation, in some processes.
fn live(seed: u64, seen: &mut Seen) {
    let dice = Dice(Arc::new(Mutex::new(seed)));
    let (disk, judge) = (MemoryStore::new(), Arc::new(Judged::new(dice.clone())));
    for _ in 0..1 + dice.roll(4) {
        process(async {
            let store = Arc::new(FaultyStore::new(disk.clone()));
            let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
            let call_off = CallOff::new();
            let args = (definition(seed, judge.clone()), call_off.clone());
            let agent = runtime.spawn_spec(ActorSpec::<Agent>::new("agent", args).durable()).await.unwrap();
            for _ in 0..1 + dice.roll(5) {
                match dice.roll(6) {
                    0 => store.fail_commit_after(dice.roll(12), Fault::CrashAfterCommit),
                    1 => store.fail_commit_after(dice.roll(12), Fault::Write),
                    _ => {}
                }
                let ask = agent.ask(act(&dice)).within(secs(5_000));
                let patience = if dice.roll(5) == 0 { secs(dice.roll(60)) } else { secs(6_000) };
                let mut ask = std::pin::pin!(ask.into_future());
                let mut answer = runtime_clock().within(patience, ask.as_mut()).await;
                if answer.is_none() && dice.roll(2) == 0 {
                    call_off.call_off();
                    answer = runtime_clock().within(secs(6_000), ask).await;
                }
                assert!(agent.parked().is_none(), "SEED={seed}: {:?}", agent.parked());
                match answer {
                    Some(Ok(_)) => seen.thoughts += 1,
                    // It waits in a call, or its store is gone: the process is killed as it is.
                    None => break,
                    Some(Err(_)) if store.commit_is_over() => break,
                    Some(Err(_)) => {}
                }
            }
            seen.crashes += 1;
        });
    }
    let broken = judge.broken.lock().unwrap();
    assert!(broken.is_empty(), "SEED={seed}: {}", broken[0]);
    seen.requests += *judge.requests.lock().unwrap();
}

fn runtime_clock() -> Clock {
    Clock::default()
}

/// Whether a store has failed for good.
trait Over {
    fn commit_is_over(&self) -> bool;
}

impl Over for FaultyStore<MemoryStore> {
    fn commit_is_over(&self) -> bool {
        greenroom::Store::commit(self, &[]).is_err()
    }
}
