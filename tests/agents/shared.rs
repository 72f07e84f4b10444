//! Histories that get shorter, and what another agent gets to see of them.

use std::sync::{Arc, Mutex};

use greenroom::agents::{Limit, Window};
use greenroom::{
    Actor, AgentDefinition, Context, Conversation, Failure, Handler, HistoryPolicy, Input, MemoryStore,
    Message, ModelRequest, Open, Origin, Runtime, ScriptedAnswer, ThinkExt, Thought, Turn,
};

use crate::support::{Calls, Numbered, Process, agent, asked, results, rounds, secs, text_of, tools};

/// A script that summarises when it is asked to, and tells how long its histories were.
fn summing(lengths: Arc<Mutex<Vec<u64>>>) -> impl Fn(&ModelRequest) -> ScriptedAnswer + Send + Sync {
    move |request| {
        if asked(request).starts_with("Summarise") {
            return "it is about a lamp".into();
        }
        lengths.lock().unwrap().push(request.history().estimated_tokens());
        match rounds(request) {
            0 => ScriptedAnswer::default().call("c", "add", "{\"n\":1}"),
            _ => "y".repeat(60).into(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_stays_within_its_window_by_cutting_or_by_a_summary() {
    for window in
        [Window::Cut { at: 200, keep: 100 }, Window::Summary { at: 200, keep: 100, summary_tokens: 50 }]
    {
        let (calls, lengths) = (Calls::default(), Arc::default());
        let (registry, grant) = tools([Numbered::new("add", &calls)]);
        let definition = agent(&calls, summing(Arc::clone(&lengths))).tools(registry, grant).window(window);
        let process = Process::start(MemoryStore::new(), definition.build().unwrap()).await;

        for _ in 0..20 {
            assert_eq!(text_of(&process.say(&"x".repeat(60)).await), "y".repeat(60));
        }

        let lengths = lengths.lock().unwrap().clone();
        assert!(lengths.iter().all(|tokens| *tokens <= 200), "{lengths:?}");
        let conversation = process.look().await;
        let is_summary = |turn: &Turn| matches!(turn, Turn::User { origin: Origin::Summary, .. });
        let summaries = conversation.history().turns().iter().filter(|turn| is_summary(turn)).count();
        assert_eq!(summaries, usize::from(matches!(window, Window::Summary { .. })));
        let models = calls.names().iter().filter(|name| !name.starts_with("add")).count();
        assert_eq!(models, usize::try_from(conversation.spent().model_calls).unwrap());
        assert_eq!(models > 40, summaries > 0, "a summary is a call of the model, a cut is none");
        process.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fits_into_no_window_ends_the_turn() {
    let calls = Calls::default();
    let definition = agent(&calls, |_: &_| "hi").window(Window::Cut { at: 10, keep: 5 }).build().unwrap();
    let process = Process::start(MemoryStore::new(), definition).await;

    let over = process.say(&"x".repeat(60)).await;

    assert_eq!(over, Thought::Over(Limit::Window { tokens: 24 }));
    assert!(calls.all().is_empty());
    process.end().await;
}

/// An actor that is not durable: it thinks all the same, and hands a history on.
struct Giver(Conversation);

struct Give(HistoryPolicy);

impl Message for Ask {
    type Reply = Thought;
}
impl Message for Give {
    type Reply = greenroom::History;
}

struct Ask(&'static str);

impl Actor for Giver {
    type Args = AgentDefinition;
    type Inbox = Open<Self>;
    async fn start(_: &AgentDefinition) -> Result<Self, Failure> {
        Ok(Giver(Conversation::new()))
    }
}

impl Handler<Ask> for Giver {
    async fn handle(&mut self, m: Ask, cx: &mut Context<'_, Self>) -> Result<Thought, Failure> {
        cx.think(cx.args(), &mut self.0, Input::customer(m.0)).await
    }
}

/// Thinks for a second at most, and goes on with what it has.
struct AskBriefly(&'static str);

impl Message for AskBriefly {
    type Reply = bool;
}

impl Handler<AskBriefly> for Giver {
    async fn handle(&mut self, m: AskBriefly, cx: &mut Context<'_, Self>) -> Result<bool, Failure> {
        let thinks = cx.think(cx.args(), &mut self.0, Input::customer(m.0));
        cx.clock().within(secs(1), thinks).await.map_or(Ok(false), |thought| thought.map(|_| true))
    }
}

impl Handler<Give> for Giver {
    async fn handle(&mut self, m: Give, cx: &mut Context<'_, Self>) -> Result<greenroom::History, Failure> {
        cx.share(cx.args(), &mut self.0, &m.0).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shared_is_whole_or_less_and_results_survive_the_crossing() {
    let (calls, lengths) = (Calls::default(), Arc::default());
    let (registry, grant) = tools([Numbered::new("add", &calls)]);
    let definition =
        agent(&calls, summing(lengths)).tools(registry, grant).filter("newest", |all| all.last(1));
    let runtime = Runtime::builder().start().await.unwrap();
    let giver = runtime.spawn::<Giver>("giver", definition.build().unwrap()).await.unwrap();
    for text in ["my lamp", "is dark"] {
        assert!(matches!(giver.ask(Ask(text)).await.unwrap(), Thought::Answer(_)));
    }
    let shared = async |policy| giver.ask(Give(policy)).await;

    let full = shared(HistoryPolicy::Full).await.unwrap();
    assert_eq!(full.turns().len(), 6);
    let received = Conversation::received(full.clone());
    assert_eq!((results(&received), received.had_with()), (vec!["1".to_owned(), "1".to_owned()], None));
    let last = shared(HistoryPolicy::Last(2)).await.unwrap();
    assert_eq!((last.turns().len(), results(&Conversation::received(last))), (3, vec!["1".to_owned()]));
    assert_eq!(shared(HistoryPolicy::Filter("newest".into())).await.unwrap(), full.last(1));
    let summary = shared(HistoryPolicy::Summary { max_tokens: 40 }).await.unwrap();
    let [Turn::User { origin: Origin::Summary, text }] = summary.turns() else { panic!("{summary:?}") };
    assert_eq!(text, "it is about a lamp");
    assert!(shared(HistoryPolicy::Filter("none".into())).await.is_err());
    let policy: HistoryPolicy = serde_json::from_str(r#"{"Filter":"newest"}"#).unwrap();
    assert_eq!(policy, HistoryPolicy::Filter("newest".into()), "a policy can be stored");
    runtime.shutdown(secs(5)).await;
}

/// A reply that asks a person is open until somebody answers; the next agent cannot be asked about it.
#[tokio::test(start_paused = true)]
async fn calls_that_are_open_are_closed_before_a_history_crosses() {
    let calls = Calls::default();
    let asks = |_: &_| ScriptedAnswer::default().call("c", "ask_person", r#"{"question":"which?"}"#);
    let runtime = Runtime::builder().start().await.unwrap();
    let definition = agent(&calls, asks).asks_people().build().unwrap();
    let giver = runtime.spawn::<Giver>("giver", definition).await.unwrap();
    assert!(matches!(giver.ask(Ask("my lamp")).await.unwrap(), Thought::Waiting(_)));

    let shared = giver.ask(Give(HistoryPolicy::Full)).await.unwrap();

    assert!(shared.is_ready());
    assert_eq!(results(&Conversation::received(shared)), ["not waited for: the case was handed over"]);
    runtime.shutdown(secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_its_handler_drops_leaves_a_conversation_that_goes_on() {
    for hangs in ["model 0", "add 1", "model 1"] {
        let calls = Calls::default();
        let script = |request: &_| match rounds(request) {
            0 if asked(request) == "add" => ScriptedAnswer::default().call("c", "add", "{\"n\":1}"),
            _ => "done".into(),
        };
        let (registry, grant) = tools([Numbered::new("add", &calls)]);
        let runtime = Runtime::builder().start().await.unwrap();
        let definition = agent(&calls, script).tools(registry, grant).build().unwrap();
        let giver = runtime.spawn::<Giver>("giver", definition).await.unwrap();
        calls.hang_in(Some(hangs));
        assert!(!giver.ask(AskBriefly("add")).await.unwrap());
        calls.hang_in(None);

        assert_eq!(text_of(&giver.ask(Ask("hello")).await.unwrap()), "done", "{hangs}");

        let added = calls.names().iter().filter(|name| *name == "add 1").count();
        assert_eq!(added, usize::from(hangs != "model 0"), "{hangs}: it is not made again by itself");
        runtime.shutdown(secs(5)).await;
    }
}
