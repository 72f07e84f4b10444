//! What waits for a person, over restarts; and turns that somebody calls off.

use std::sync::Arc;

use greenroom::agents::assistant::{Agents, Approve, Cancel, Deny, Reply};
use greenroom::agents::{CallOff, PendingKind};
use greenroom::testing::{Fault, FaultyStore};
use greenroom::{
    ActorSpec, AgentDefinition, Approval, ApprovalRule, AskError, Effect, MemoryStore, Runtime,
    ScriptedAnswer, Thought,
};

use crate::random::{Act, Agent};
use crate::support::{
    Calls, Numbered, Process, agent, asked, process, results, rounds, secs, soon, text_of, tools,
};

/// A desk whose payments need a yes.
fn desk(calls: &Calls) -> AgentDefinition {
    let script = |request: &_| match rounds(request) {
        0 if asked(request) == "pay" => {
            ScriptedAnswer::default().call("c", "pay", "{\"n\":100}").call("d", "add", "{\"n\":1}")
        }
        _ => "done".into(),
    };
    let pay =
        Numbered { effect: Effect::Once, approval: ApprovalRule::Needed, ..Numbered::new("pay", calls) };
    let (registry, grant) = tools([pay, Numbered::new("add", calls)]);
    agent(calls, script).tools(registry, grant).asks_people().build().unwrap()
}

/// The yes to the one call that waits.
fn yes(thought: &Thought) -> Approval {
    let Thought::Waiting(pending) = thought else { panic!("nothing waits: {thought:?}") };
    let [pending] = &pending[..] else { panic!("one waits: {pending:?}") };
    assert_eq!((&pending.kind, &*pending.arguments), (&PendingKind::Approval, "{\"n\":100}"));
    Approval { tool: pending.tool.clone(), arguments: pending.hash, by: "bob".into(), at_ms: 1 }
}

fn paid(calls: &Calls) -> usize {
    calls.names().iter().filter(|name| *name == "pay 100").count()
}

#[test]
fn an_approval_asked_for_before_a_kill_and_given_after_it_runs_the_tool_once() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let approval = process(async {
        let process = Process::start(disk.clone(), desk(&calls)).await;
        let thought = process.say("pay").await;
        assert_eq!(calls.names(), ["model 0", "add 1"], "what needs no yes has run");
        yes(&thought)
    });
    process(async {
        let process = Process::start(disk.clone(), desk(&calls)).await;
        assert_eq!(process.look().await.pending().count(), 1);
        let thought = soon(process.ann.ask(Approve(approval.clone())).with_id("yes-1")).await.unwrap();
        assert_eq!(text_of(&thought), "done");
    });
    process(async {
        let process = Process::start(disk.clone(), desk(&calls)).await;
        // The same message again is answered from its record, and a second yes is to nothing.
        assert!(soon(process.ann.ask(Approve(approval.clone())).with_id("yes-1")).await.is_ok());
        let again = soon(process.ann.ask(Approve(approval.clone()))).await;
        assert!(matches!(again, Err(AskError::Refused { .. })), "{again:?}");
        assert_eq!(results(&process.look().await), ["100", "1"]);
        process.end().await;
    });
    assert_eq!(paid(&calls), 1);
}

#[test]
fn an_approval_counts_once_wherever_the_process_ends() {
    for hangs in ["pay 100", "model 1"] {
        let (disk, calls) = (MemoryStore::new(), Calls::default());
        let approval = process(async {
            let process = Process::start(disk.clone(), desk(&calls)).await;
            yes(&process.say("pay").await)
        });
        calls.hang_in(Some(hangs));
        process(async {
            let process = Process::start(disk.clone(), desk(&calls)).await;
            process.ann.tell(Approve(approval.clone())).await.unwrap();
            calls.hung().await;
        });
        calls.hang_in(None);
        process(async {
            let process = Process::start(disk.clone(), desk(&calls)).await;
            if hangs == "pay 100" {
                // Nobody knows whether it was paid.
                let mut events = process.runtime.events();
                while process.ann.parked().is_none() {
                    drop(soon(events.recv()).await);
                }
            } else {
                assert_eq!(results(&process.look().await), ["100", "1"]);
            }
        });
        assert_eq!(paid(&calls), 1, "{hangs}");
    }
}

#[tokio::test(start_paused = true)]
async fn changed_arguments_void_an_approval() {
    let calls = Calls::default();
    let process = Process::start(MemoryStore::new(), desk(&calls)).await;
    let thought = process.say("pay").await;
    let other = greenroom::ArgumentHash::of("pay", &serde_json::json!({ "n": 101 }));

    for void in
        [Approval { arguments: other, ..yes(&thought) }, Approval { tool: "add".into(), ..yes(&thought) }]
    {
        let refused = process.ann.ask(Approve(void)).await;
        assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    }

    assert_eq!(paid(&calls), 0);
    assert_eq!(process.look().await.pending().count(), 1, "it still waits");
    process.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_no_is_told_to_the_model_and_what_the_customer_says_meanwhile_waits() {
    let calls = Calls::default();
    let process = Process::start(MemoryStore::new(), desk(&calls)).await;
    let Thought::Waiting(pending) = process.say("pay").await else { panic!("it needs a yes") };

    let waiting = process.say("hello? are you there?").await;
    assert!(matches!(&waiting, Thought::Waiting(still) if *still == pending), "{waiting:?}");
    let models = calls.names().len();
    let denied = Deny { call: pending[0].call.clone(), reason: "too much".into() };
    assert_eq!(text_of(&soon(process.ann.ask(denied)).await.unwrap()), "done");

    assert_eq!(calls.names().len(), models + 1, "the model was not asked while it waited");
    let conversation = process.look().await;
    assert_eq!(results(&conversation), ["a person said no: too much", "1"]);
    assert_eq!(conversation.history().turns().len(), 4, "pay, the calls, hello, done");
    assert_eq!(paid(&calls), 0);
    process.end().await;
}

#[test]
fn a_question_to_a_person_is_answered_after_a_restart() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let asks = |calls: &Calls| {
        let script = |request: &_| match rounds(request) {
            0 => ScriptedAnswer::default().call("c", "ask_person", r#"{"question":"which lamp?"}"#),
            1 => ScriptedAnswer::default().call("d", "ask_person", r#"{"whom":"bob"}"#),
            _ => "done".into(),
        };
        agent(calls, script).asks_people().build().unwrap()
    };
    let call = process(async {
        let process = Process::start(disk.clone(), asks(&calls)).await;
        let Thought::Waiting(pending) = process.say("my lamp").await else { panic!("it asks") };
        assert_eq!(pending[0].kind, PendingKind::Question { question: "which lamp?".into() });
        pending[0].call.clone()
    });
    process(async {
        let process = Process::start(disk.clone(), asks(&calls)).await;
        let wrong = process.ann.ask(Reply { call: "x".into(), text: "the red one".into() }).await;
        assert!(matches!(wrong, Err(AskError::Refused { .. })));
        let thought = soon(process.ann.ask(Reply { call, text: "the red one".into() })).await.unwrap();
        assert_eq!(text_of(&thought), "done");
        let results = results(&process.look().await);
        assert!(results[0] == "the red one" && results[1].contains("unknown field `whom`"), "{results:?}");
        process.end().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_can_be_called_off() {
    let calls = Calls::default();
    let process = Process::start(MemoryStore::new(), desk(&calls)).await;
    let approval = yes(&process.say("pay").await);

    process.ann.ask(Cancel).await.unwrap();

    assert!(process.ann.ask(Approve(approval)).await.is_err());
    assert_eq!(results(&process.look().await), ["withdrawn: it did not run", "1"]);
    assert_eq!(text_of(&process.say("hello").await), "done");
    assert_eq!(paid(&calls), 0);
    process.end().await;
}

#[test]
fn a_turn_that_is_called_off_while_a_call_runs_leaves_a_valid_history() {
    for hangs in ["model 0", "add 1", "model 1"] {
        let (disk, calls) = (MemoryStore::new(), Calls::default());
        let adds = |calls: &Calls| {
            let script = |request: &_| match rounds(request) {
                0 if asked(request) == "add" => {
                    ScriptedAnswer::default().call("c", "add", "{\"n\":1}").call("d", "sub", "{\"n\":2}")
                }
                _ => "done".into(),
            };
            let (registry, grant) = tools([Numbered::new("add", calls), Numbered::new("sub", calls)]);
            agent(calls, script).tools(registry, grant).build().unwrap()
        };
        calls.hang_in(Some(hangs));
        process(async {
            let process = Process::start(disk.clone(), adds(&calls)).await;
            let call_off = async {
                calls.hung().await;
                assert!(process.runtime.resource::<Agents>().unwrap().call_off(process.ann.path()));
            };
            let (thought, ()) = tokio::join!(process.say("add"), call_off);
            assert_eq!(thought, Thought::Cancelled, "{hangs}");
        });
        calls.hang_in(None);
        process(async {
            let process = Process::start(disk.clone(), adds(&calls)).await;
            let conversation = process.look().await;
            match hangs {
                "add 1" => {
                    // The other one has its result, or was called off before that was on disk.
                    let results = results(&conversation);
                    assert!(results.len() == 2 && results[0].starts_with("cancelled"), "{results:?}");
                }
                _ => assert!(conversation.history().is_ready()),
            }
            assert_eq!(text_of(&process.say("hello").await), "done", "{hangs}");
            process.end().await;
        });
    }
}

/// Goal: a message that is handled again takes the way of its journal, although somebody has called off meanwhile. Method:
/// the commit that says that the turn was called off is refused once.
#[tokio::test(start_paused = true)]
async fn a_call_off_does_not_part_a_message_from_its_journal() {
    let calls = Calls::default();
    let script = |request: &_| match rounds(request) {
        0 => ScriptedAnswer::default().call("c", "add", "{\"n\":1}"),
        _ => "done".into(),
    };
    let (registry, grant) = tools([Numbered::new("add", &calls)]);
    let definition = agent(&calls, script).tools(registry, grant).build().unwrap();
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let call_off = CallOff::new();
    let spec = ActorSpec::<Agent>::new("agent", (definition, call_off.clone())).durable();
    let agent = runtime.spawn_spec(spec).await.unwrap();
    calls.hang_in(Some("model 1"));
    let calls_off = async {
        calls.hung().await;
        store.fail_commit_after(0, Fault::LowSpace);
        call_off.call_off();
    };

    let asks = agent.ask(Act::Say("add".into())).within(secs(1_000));
    let (answer, ()) = tokio::join!(soon(asks.into_future()), calls_off);

    assert_eq!(agent.parked(), None);
    assert_eq!(answer.unwrap(), "Cancelled");
    assert!(calls.names().starts_with(&["model 0", "add 1", "model 1"].map(str::to_owned)));
    assert_eq!(
        calls.names().iter().filter(|name| *name != "model 1").count(),
        2,
        "what was done is not done again"
    );
}
