//! A conversation goes on with the definition that it was had with, or with one that says what becomes of it.

use greenroom::agents::assistant::Say;
use greenroom::agents::{AgentBuilder, Fingerprint, Limits};
use greenroom::{
    AgentDefinition, ApprovalRule, Failure, MemoryStore, Origin, RuntimeEvent, ScriptedAnswer, Thought,
};

use crate::support::{Calls, Numbered, Process, agent, process, rounds, soon, text_of, tools};

fn desk(calls: &Calls, instructions: &str) -> AgentBuilder {
    let script = |request: &_| match rounds(request) {
        0 if crate::support::asked(request) == "pay" => {
            ScriptedAnswer::default().call("c", "pay", "{\"n\":1}")
        }
        _ => "done".into(),
    };
    let pay = Numbered { approval: ApprovalRule::Needed, ..Numbered::new("pay", calls) };
    let (registry, grant) = tools([pay]);
    agent(calls, script).tools(registry, grant).instructions(instructions)
}

/// What the second process answers after the first one was told `first`; or why its message was laid aside.
fn second(first: &str, old: AgentDefinition, new: AgentDefinition) -> Result<Thought, String> {
    let disk = MemoryStore::new();
    process(async {
        let process = Process::start(disk.clone(), old).await;
        drop(process.say(first).await);
    });
    process(async {
        let process = Process::start(disk.clone(), new).await;
        let answer = soon(process.ann.ask(Say("hello".into()))).await;
        if let Ok(thought) = answer {
            return Ok(thought);
        }
        let laid = process.ann.laid_aside().await.unwrap();
        assert_eq!(laid.len(), 1, "the question is not lost");
        assert_eq!(process.look().await.history().turns().len(), 2, "and nothing was done");
        Err(format!("{laid:?}"))
    })
}

#[test]
fn a_changed_definition_never_goes_on_by_itself() {
    let calls = Calls::default();
    let old = || desk(&calls, "be kind").build().unwrap();
    let was = old().fingerprint().clone();

    let refused = second("hi", old(), desk(&calls, "be rude").build().unwrap()).unwrap_err();
    assert!(refused.contains(was.as_str()), "{refused}");

    let accepting = desk(&calls, "be rude").accepts(was.clone()).build().unwrap();
    assert_eq!(text_of(&second("hi", old(), accepting).unwrap()), "done");
    let at_rest = || desk(&calls, "be rude").accepts_at_rest().build().unwrap();
    assert_eq!(text_of(&second("hi", old(), at_rest()).unwrap()), "done");
    assert!(second("pay", old(), at_rest()).is_err(), "a turn is under way: it waits for a yes");

    let migrating = desk(&calls, "be rude").migrates(move |conversation, from| {
        assert_eq!(*from, was);
        conversation.cancel();
        Ok(())
    });
    assert_eq!(text_of(&second("pay", old(), migrating.build().unwrap()).unwrap()), "done");
    let failing = desk(&calls, "be rude").migrates(|_, _| Err(Failure::exhausted("no way")));
    let failed = second("hi", old(), failing.build().unwrap()).unwrap_err();
    assert!(failed.contains("no way"), "{failed}");
}

/// Between two calls of one message the journal tells: another request in the place of the one it knows.
#[test]
fn a_definition_that_changes_in_the_middle_of_a_turn_parks_the_agent() {
    let (disk, calls) = (MemoryStore::new(), Calls::default());
    let adds = |calls: &Calls, instructions: &str| {
        let script = |request: &_| match rounds(request) {
            0 => ScriptedAnswer::default().call("c", "add", "{\"n\":1}"),
            _ => "done".into(),
        };
        let (registry, grant) = tools([Numbered::new("add", calls)]);
        agent(calls, script).tools(registry, grant).instructions(instructions).build().unwrap()
    };
    calls.hang_in(Some("model 1"));
    process(async {
        let process = Process::start(disk.clone(), adds(&calls, "be kind")).await;
        process.ann.tell(Say("add".into())).await.unwrap();
        calls.hung().await;
    });
    calls.hang_in(None);
    let made = calls.names().len();
    process(async {
        let process = Process::start(disk.clone(), adds(&calls, "be rude")).await;
        let mut events = process.runtime.events();
        while process.ann.parked().is_none() {
            drop::<Result<RuntimeEvent, _>>(soon(events.recv()).await);
        }
    });
    assert_eq!(calls.names().len(), made, "nothing was called on a guess");
}

#[test]
fn a_fingerprint_is_of_all_that_shapes_an_agent_and_of_nothing_else() {
    let calls = Calls::default();
    let of = |builder: AgentBuilder| builder.build().unwrap().fingerprint().clone();
    let base = || desk(&calls, "be kind");
    let is = of(base());
    assert_eq!(
        is,
        of(base().on_output(|_| {}).accepts(Fingerprint::recorded("x")).filter("a", Clone::clone))
    );
    assert_eq!(is.as_str().len(), 64);

    let shaped = [
        of(base().instructions("be rude")),
        of(base().version(2)),
        of(base().asks_people()),
        of(base().limits(Limits { repairs: 3, ..Limits::default() })),
        of(base().window(greenroom::agents::Window::Cut { at: 10, keep: 5 })),
        of(base().before(greenroom::agents::Guardrail::new("a", |_| greenroom::agents::Verdict::Pass))),
        of(base().after(greenroom::agents::Guardrail::new("a", |_| greenroom::agents::Verdict::Pass))),
        of(base().hand_off::<String>(greenroom::Role::named("billing"), "money")),
        of(base().answers::<u64>("number").unwrap()),
        of(base().tools(tools([Numbered::new("pay", &calls)]).0, greenroom::Grant::all())),
        of(base().tools(greenroom::ToolRegistry::new(), greenroom::Grant::none())),
    ];
    let mut all: Vec<_> = shaped.iter().chain([&is]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), shaped.len() + 1, "each has its own");
}

#[tokio::test(start_paused = true)]
async fn a_handoff_is_a_checked_wish_and_the_case_stays() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[expect(dead_code, reason = "its form is what counts")]
    struct Case {
        topic: String,
    }
    let calls = Calls::default();
    let script = |request: &_| match (crate::support::asked(request).as_str(), rounds(request)) {
        ("it is down", _) => ScriptedAnswer::text("then I do it"),
        (_, 0) => ScriptedAnswer::default().call("a", "hand_off_to_billing", "{}"),
        _ => ScriptedAnswer::default()
            .call("b", "hand_off_to_billing", r#"{"topic":"invoice"}"#)
            .call("c", "hand_off_to_billing", r#"{"topic":"again"}"#)
            .call("d", "pay", r#"{"n":1}"#),
    };
    let (registry, grant) = tools([Numbered::new("pay", &calls)]);
    let definition = agent(&calls, script).tools(registry, grant);
    let definition = definition.hand_off::<Case>(greenroom::Role::named("billing"), "money").build().unwrap();
    let process = Process::start(MemoryStore::new(), definition).await;

    let Thought::HandOff { role, payload } = process.say("my invoice").await else { panic!("it hands over") };

    assert_eq!((role.as_str(), &payload["topic"]), ("billing", &"invoice".into()));
    let conversation = process.look().await;
    assert_eq!(
        crate::support::results(&conversation),
        ["missing field `topic`", "The case is offered to billing.", "one handoff at a time", "1"]
    );
    assert_eq!(text_of(&process.say("it is down").await), "then I do it");
    assert!(
        conversation
            .history()
            .turns()
            .iter()
            .all(|turn| !matches!(turn, greenroom::Turn::User { origin: Origin::Instruction, .. }))
    );
    process.end().await;
}
