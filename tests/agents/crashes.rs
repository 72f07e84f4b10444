//! A process that ends at any instant of a turn: what is in the journal is not called again, and there is one answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom::agents::Window;
use greenroom::agents::assistant::Say;
use greenroom::testing::{Fault, FaultyStore};
use greenroom::{AgentDefinition, MemoryStore, ScriptedAnswer, Thought, Turn};

use crate::support::{Calls, Numbered, Process, agent, process, results, rounds, secs, soon, text_of, tools};

/// Three calls of the model and three of tools, two of them side by side.
fn desk(calls: &Calls) -> AgentDefinition {
    let script = |request: &_| match rounds(request) {
        0 => ScriptedAnswer::default().call("c", "a", "{\"n\":1}").call("d", "b", "{\"n\":2}"),
        1 => ScriptedAnswer::default().call("c", "a", "{\"n\":3}"),
        _ => "done".into(),
    };
    let (registry, grant) = tools([Numbered::new("a", calls), Numbered::new("b", calls)]);
    agent(calls, script).tools(registry, grant).build().unwrap()
}

const ORDER: [&[&str]; 5] = [&["model 0"], &["a 1", "b 2"], &["model 1"], &["a 3"], &["model 2"]];

/// Asks under an id, so that it is one question in all processes; `None` if the process cannot answer any more.
async fn ask(process: &Process) -> Option<Thought> {
    soon(process.ann.ask(Say("help".into())).within(secs(90_000)).with_id("ticket-1")).await.ok()
}

/// What holds whatever happened: who was called on a result is not called before that result again; a repeat has the key of
/// the first; the conversation has each turn once.
fn judge(calls: &Calls, thought: &Thought, conversation: &greenroom::Conversation, when: &str) {
    let rank = |name: &str| ORDER.iter().position(|names| names.contains(&name)).unwrap();
    let ranks: Vec<usize> = calls.names().iter().map(|name| rank(name)).collect();
    assert!(ranks.is_sorted(), "{when}: a completed call was repeated: {:?}", calls.names());
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for (name, key) in calls.all() {
        keys.entry(name).or_default().push(key);
    }
    assert_eq!(keys.len(), 6, "{when}");
    for (name, keys) in keys {
        assert!(keys.len() <= 2, "{when}: {name} was called {} times", keys.len());
        assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{when}: {name}: {keys:?}");
    }
    assert_eq!(text_of(thought), "done", "{when}");
    assert_eq!(results(conversation), ["1", "2", "3"], "{when}");
    assert_eq!(conversation.history().turns().len(), 4, "{when}");
    assert_eq!((conversation.spent().model_calls, conversation.spent().tool_calls), (3, 3), "{when}");
}

/// The next process, which finds the disk as it is.
fn finish(disk: &MemoryStore, calls: &Calls, when: &str) {
    process(async {
        let process = Process::start(disk.clone(), desk(calls)).await;
        let thought = ask(&process).await.expect("this process answers");
        judge(calls, &thought, &process.look().await, when);
        process.end().await;
    });
}

/// Goal: no commit of a turn is one at which a crash makes a completed call again. Method: the process dies before, or
/// right after, each of them.
#[test]
fn no_completed_call_is_repeated_whichever_commit_a_process_dies_at() {
    let calls = Calls::default();
    let commits = process(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let process = Process::start(store.clone(), desk(&calls)).await;
        let before = store.commits();
        judge(&calls, &ask(&process).await.unwrap(), &process.look().await, "whole");
        store.commits() - before
    });
    assert!(commits >= 10, "an intent and a result of each step, and more: {commits}");
    for (fault, passing) in [Fault::Write, Fault::CrashAfterCommit]
        .into_iter()
        .flat_map(|fault| (0..commits).map(move |passing| (fault, passing)))
    {
        let (disk, calls, when) =
            (MemoryStore::new(), Calls::default(), format!("{fault:?} after {passing}"));
        process(async {
            let store = Arc::new(FaultyStore::new(disk.clone()));
            let process = Process::start(store.clone(), desk(&calls)).await;
            store.fail_commit_after(passing, fault);
            drop(ask(&process).await);
        });
        finish(&disk, &calls, &when);
        if fault == Fault::CrashAfterCommit {
            // The result of a call of the model is on disk, or the call was not made: it has a commit of its own.
            let models = calls.names().iter().filter(|name| name.starts_with("model")).count();
            assert_eq!(models, 3, "{when}: {:?}", calls.names());
        }
    }
}

#[test]
fn a_call_in_flight_at_a_kill_is_made_again_with_its_key_and_nothing_before_it() {
    for hangs in ORDER.concat() {
        let (disk, calls) = (MemoryStore::new(), Calls::default());
        calls.hang_in(Some(hangs));
        process(async {
            let process = Process::start(disk.clone(), desk(&calls)).await;
            process.ann.tell(Say("help".into())).with_id("ticket-1").await.unwrap();
            calls.hung().await;
        });
        calls.hang_in(None);
        finish(&disk, &calls, hangs);
        assert_eq!(calls.names().iter().filter(|name| *name == hangs).count(), 2);
    }
}

#[test]
fn a_second_question_knows_the_first_also_after_the_process_was_killed() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let remembers = |calls: &Calls| {
        let script = |request: &greenroom::ModelRequest| {
            let turns = request.history().turns();
            let told = turns.iter().filter_map(|turn| match turn {
                Turn::User { text, .. } => Some(text.as_str()),
                Turn::Agent { .. } => None,
            });
            told.collect::<Vec<_>>().join(", then ")
        };
        agent(calls, script).build().unwrap()
    };
    process(async {
        let process = Process::start(disk.clone(), remembers(&calls)).await;
        assert_eq!(text_of(&process.say("my lamp is dark").await), "my lamp is dark");
        // Neither a stop nor a shutdown.
    });
    process(async {
        let process = Process::start(disk.clone(), remembers(&calls)).await;
        assert_eq!(text_of(&process.say("and now?").await), "my lamp is dark, then and now?");
        process.end().await;
    });
}

#[test]
fn a_summary_is_written_once() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let desk = |calls: &Calls| {
        let window = Window::Summary { at: 60, keep: 30, summary_tokens: 20 };
        agent(calls, |_: &_| "x".repeat(60)).window(window).build().unwrap()
    };
    process(async {
        let process = Process::start(disk.clone(), desk(&calls)).await;
        for _ in 0..2 {
            drop(process.say(&"y".repeat(60)).await);
        }
        calls.hang_in(Some("model 0"));
        process.ann.tell(Say("and now?".into())).await.unwrap();
        calls.hung().await;
    });
    calls.hang_in(None);
    process(async {
        let process = Process::start(disk.clone(), desk(&calls)).await;
        assert_eq!(text_of(&process.say("still there?").await), "x".repeat(60));
        process.end().await;
    });
    // What was asked in the process that was killed is asked again, the summary before it is not.
    let names = calls.names();
    let is_again = |made: &[String]| made == ["summary", "model 0", "model 0"];
    assert!(names.windows(3).any(is_again), "{names:?}");
}
