//! The loop of a turn: tools, repairs, guardrails and bounds.

use std::sync::{Arc, Mutex};

use greenroom::agents::assistant::Say;
use greenroom::agents::{Guardrail, Limit, Limits, OutputEvent, Refusal, Side, ToolEnded, Verdict};
use greenroom::tools::model::ModelErrorKind;
use greenroom::{
    AskError, Effect, FinishReason, MemoryStore, Origin, Resolution, RuntimeEvent, ScriptedAnswer, Thought,
    ToolError, ToolOutcome, Turn,
};

use crate::support::{Calls, Numbered, Process, agent, asked, results, rounds, soon, text_of, tools};

fn call(name: &str, n: u64) -> ScriptedAnswer {
    ScriptedAnswer::default().call("c", name, format!("{{\"n\":{n}}}"))
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_answer_run_side_by_side_and_their_results_go_back() {
    let calls = Calls::default();
    let script = |request: &_| match rounds(request) {
        0 => call("add", 1).call("d", "slow", "{\"n\":2}").call("e", "nobody", "{}").call(
            "f",
            "add",
            "{\"x\":1}",
        ),
        _ => "three".into(),
    };
    let both = Some(Arc::new(tokio::sync::Barrier::new(2)));
    let add = Numbered { meets: both.clone(), ..Numbered::new("add", &calls) };
    let slow = Numbered { meets: both, ..Numbered::new("slow", &calls) };
    let (registry, grant) = tools([add, slow]);
    let process =
        Process::start(MemoryStore::new(), agent(&calls, script).tools(registry, grant).build().unwrap())
            .await;

    let thought = process.say("one and two?").await;

    assert_eq!(text_of(&thought), "three");
    assert_eq!(calls.names(), ["model 0", "add 1", "slow 2", "model 1"]);
    let conversation = process.look().await;
    let results = results(&conversation);
    assert_eq!(results[..2], ["1", "2"]);
    assert_eq!(results[2], "there is no tool `nobody`");
    assert!(results[3].contains("unknown field"), "{results:?}");
    assert_eq!(conversation.spent().tool_calls, 4);
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_is_told_to_the_model_and_no_crash() {
    for (error, made, says) in [
        (ToolError::refused("no such file"), 1, "no such file"),
        (ToolError::unavailable("down"), 3, "unavailable: down"),
        (ToolError::Cancelled, 1, "called off"),
    ] {
        let calls = Calls::default();
        let script = |request: &_| if rounds(request) == 0 { call("add", 1) } else { "sorry".into() };
        let add = Numbered { fails: Some(error), ..Numbered::new("add", &calls) };
        let (registry, grant) = tools([add]);
        let definition = agent(&calls, script).tools(registry, grant).build().unwrap();
        let process = Process::start(MemoryStore::new(), definition).await;

        assert_eq!(text_of(&process.say("add").await), "sorry");

        assert_eq!(calls.names().iter().filter(|name| *name == "add 1").count(), made);
        assert_eq!(results(&process.look().await), [says]);
        process.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_a_bound_of_model_calls_and_of_tool_calls() {
    for (limits, over, made) in [
        (Limits { model_calls: 3, ..Limits::default() }, Limit::ModelCalls, (3, 3)),
        (Limits { tool_calls: 2, ..Limits::default() }, Limit::ToolCalls, (3, 2)),
        (Limits { tokens: 10, ..Limits::default() }, Limit::Tokens, (2, 2)),
    ] {
        let calls = Calls::default();
        let (registry, grant) = tools([Numbered::new("add", &calls)]);
        let endless = agent(&calls, |_: &_| call("add", 1)).tools(registry, grant).limits(limits);
        let process = Process::start(MemoryStore::new(), endless.build().unwrap()).await;

        assert_eq!(process.say("go").await, Thought::Over(over.clone()));

        let count = |begin: &str| calls.names().iter().filter(|name| name.starts_with(begin)).count();
        assert_eq!((count("model"), count("add")), made, "{over:?}");
        assert!(process.look().await.history().is_ready(), "the next turn can follow");
        process.end().await;
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "its form is what counts")]
struct Label {
    team: String,
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_wrong_form_is_given_back_a_bounded_number_of_times() {
    for (good_after, made) in [(1, 2), (9, 3)] {
        let calls = Calls::default();
        let tried = Arc::new(Mutex::new(0));
        let script = move |request: &_| {
            let mut tried = tried.lock().unwrap();
            *tried += 1;
            if asked(request).contains("cannot be used") && *tried > good_after {
                r#"{"team":"billing"}"#
            } else {
                r#"{"team":7}"#
            }
        };
        let definition = agent(&calls, script).answers::<Label>("label").unwrap().build().unwrap();
        let process = Process::start(MemoryStore::new(), definition).await;

        let thought = process.say("whose is it?").await;

        assert_eq!(calls.all().len(), made);
        let wrong = |turn: &Turn| matches!(turn, Turn::User { origin, text } if text.contains("invalid type") && !origin.is_trusted());
        let conversation = process.look().await;
        assert_eq!(conversation.history().turns().iter().filter(|turn| wrong(turn)).count(), made - 1);
        match thought {
            Thought::Answer(answer) => assert_eq!(answer.json.unwrap()["team"], "billing"),
            Thought::Over(Limit::Repairs { complaint }) => {
                assert!(good_after == 9 && complaint.starts_with("team: invalid type"), "{complaint}");
            }
            other => panic!("{other:?}"),
        }
        process.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_given_back_and_a_cut_one_says_so() {
    let calls = Calls::default();
    let script = |request: &_| match asked(request) {
        text if text.contains("cannot be used") => "more words than there is room for",
        _ => " ",
    };
    let limits = Limits { output_tokens: 3, ..Limits::default() };
    let process =
        Process::start(MemoryStore::new(), agent(&calls, script).limits(limits).build().unwrap()).await;

    let Thought::Answer(answer) = process.say("hello").await else { panic!("no answer") };

    assert_eq!((&*answer.text, answer.finish), ("more words than", FinishReason::MaxTokens));
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn guardrails_refuse_and_replace_on_both_sides() {
    let calls = Calls::default();
    let cards = |text: &str| match text {
        _ if text.contains("bomb") => Verdict::Refuse { reason: "not here".into() },
        _ if text.contains("4242") => Verdict::Replace(text.replace("4242", "****")),
        _ => Verdict::Pass,
    };
    let script = |request: &_| match asked(request) {
        text if text.contains("evil") => "a bomb".to_owned(),
        text => format!("{text} 4242"),
    };
    let (before, after) = (Guardrail::new("cards-in", cards), Guardrail::new("cards-out", cards));
    let definition = agent(&calls, script).before(before).after(after).build().unwrap();
    let process = Process::start(MemoryStore::new(), definition).await;
    let refusal = |by: &str, side| Refusal::Guardrail { by: by.into(), side, reason: "not here".into() };

    assert_eq!(text_of(&process.say("card 4242").await), "card **** ****");
    assert_eq!(process.say("bomb").await, Thought::Refused(refusal("cards-in", Side::In)));
    assert_eq!(process.say("evil").await, Thought::Refused(refusal("cards-out", Side::Out)));

    let history = format!("{:?}", process.look().await.history());
    assert!(!history.contains("bomb") && !history.contains("4242"), "{history}");
    assert_eq!(calls.all().len(), 2, "what came in and was refused is not asked about");
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_is_bounded_and_marked() {
    let calls = Calls::default();
    let limits = Limits { input_bytes: 10, ..Limits::default() };
    let process =
        Process::start(MemoryStore::new(), agent(&calls, |_: &_| "hi").limits(limits).build().unwrap()).await;

    assert_eq!(
        process.say("a text that is too long").await,
        Thought::Refused(Refusal::TooLong { bytes: 23, max: 10 })
    );
    assert_eq!(process.say(" \n").await, Thought::Refused(Refusal::Blank));
    assert_eq!(text_of(&process.say("hello").await), "hi");

    let conversation = process.look().await;
    assert!(matches!(&conversation.history().turns()[0], Turn::User { origin: Origin::Customer, .. }));
    assert_eq!(conversation.history().turns().len(), 2);
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_is_tried_again_and_an_exhausted_one_keeps_the_conversation() {
    let calls = Calls::default();
    let down = Arc::new(Mutex::new(2));
    let script = move |request: &_| {
        let mut down = down.lock().unwrap();
        if asked(request) == "too long" {
            return ScriptedAnswer::fails(ModelErrorKind::TooLong { message: "9 tokens".into() });
        }
        if *down > 0 {
            *down -= 1;
            return ScriptedAnswer::fails(ModelErrorKind::Overloaded { message: "later".into() });
        }
        "hello".into()
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let definition = agent(&calls, script).on_output(move |event| {
        listener.lock().unwrap().push(match event {
            OutputEvent::Superseded { attempt, .. } => format!("superseded by {attempt}"),
            OutputEvent::Text { attempt, added, .. } => format!("{attempt}: {added}"),
            other => format!("{other:?}"),
        });
    });
    let process = Process::start(MemoryStore::new(), definition.build().unwrap()).await;

    assert_eq!(text_of(&process.say("hello").await), "hello");
    let made = calls.all();
    assert!(
        made.len() == 3 && made.iter().all(|(_, key)| *key == made[0].1),
        "one key for one call: {made:?}"
    );
    assert_eq!(*told.lock().unwrap(), ["superseded by 0", "superseded by 1", "superseded by 2", "2: hello"]);

    let over = process.say("too long").await;
    assert!(
        matches!(&over, Thought::Over(Limit::Exhausted { reason }) if reason.contains("9 tokens")),
        "{over:?}"
    );
    assert!(process.look().await.history().is_ready());
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_provider_refuses_leaves_no_trace() {
    let calls = Calls::default();
    let script = |_: &_| ScriptedAnswer::fails(ModelErrorKind::Refused { message: "no".into() });
    let process = Process::start(MemoryStore::new(), agent(&calls, script).build().unwrap()).await;

    let refused = process.ann.ask(Say("hello".into())).await;

    assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    assert!(process.look().await.history().is_empty());
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_happened_parks_the_agent() {
    let calls = Calls::default();
    let script = |request: &_| if rounds(request) == 0 { call("pay", 1) } else { "done".into() };
    let pay = Numbered {
        effect: Effect::Once,
        fails: Some(ToolError::unavailable("the line is dead")),
        ..Numbered::new("pay", &calls)
    };
    let (registry, grant) = tools([pay]);
    let process =
        Process::start(MemoryStore::new(), agent(&calls, script).tools(registry, grant).build().unwrap())
            .await;
    let mut events = process.runtime.events();

    let parked_and_decided = async {
        while !matches!(soon(events.recv()).await.unwrap(), RuntimeEvent::Parked { .. }) {}
        let (outcome, text) = (ToolOutcome::Ok, "paid, as the bank says".to_owned());
        assert!(process.ann.decide(Resolution::done(&ToolEnded::Result { outcome, text }).unwrap()));
    };
    let (thought, ()) = tokio::join!(process.say("pay"), parked_and_decided);

    assert_eq!(text_of(&thought), "done");
    assert_eq!(calls.names().iter().filter(|name| *name == "pay 1").count(), 1);
    assert_eq!(results(&process.look().await), ["paid, as the bank says"]);
    process.end().await;
}
