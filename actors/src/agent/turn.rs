//! What a turn does next: a pure and total function of the conversation and the definition.

use greenroom_runtime::Effect;
use greenroom_tools::{Approval, ArgumentHash, FinishReason, ToolCall, ToolOutcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::conversation::{Conversation, Spent};
use super::definition::{AgentDefinition, Kind};
use super::form::Form;
use super::limits::Limit;
use super::pending::{Decided, Pending, PendingKind};
use super::thought::Answer;
use crate::role::Role;

/// A turn that is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TurnState {
    pub(super) spent: Spent,
    /// How often the model was told that its answer is of the wrong form.
    pub(super) repairs: u32,
    /// The turn ends when its calls have their results.
    pub(super) over: Option<Limit>,
    /// The last answer was empty.
    pub(super) said_nothing: bool,
    /// Why the last answer ended.
    pub(super) finish: Option<FinishReason>,
    /// Calls of tools are under way: set before, taken back after.
    pub(super) is_running: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// What waited goes into the history.
    Tell,
    /// A call has its result without anybody being asked.
    Settle { call: String, outcome: ToolOutcome, text: String },
    /// These calls are made, side by side.
    Call(Vec<Planned>),
    /// Persons are waited for.
    Wait(Vec<Pending>),
    /// A call waits for a person from now on.
    Pend(Pending),
    /// The case is to go to somebody else.
    HandOff { call: String, role: Role, payload: Value },
    /// The history is too long.
    Compact,
    /// The model is asked.
    Ask,
    /// The model is told what is wrong with its answer.
    Repair { complaint: String },
    /// It has answered.
    Answer(Answer),
    /// A bound is reached.
    Over(Limit),
    /// Nobody has said anything that is to be answered.
    Nothing,
}

/// A call that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) call: ToolCall,
    /// Of a call that needs an approval and has none: `Pure`, for the tool does not run.
    pub(super) effect: Effect,
    pub(super) approval: Option<Approval>,
}

/// What comes next. Each step but `Ask`, `Call` and `Compact` is taken without anything outside, and brings the turn nearer
/// to its end: it closes a call, or uses up a bound.
pub(super) fn next(conversation: &Conversation, definition: &AgentDefinition, is_late: bool) -> Next {
    match about_calls(conversation, definition) {
        Some(next) => next,
        None => about_words(conversation, definition, is_late),
    }
}

/// What is to be done about open calls, if there are any: first what can be settled, then what can run, then the persons,
/// and when all others have their results, the handoff.
fn about_calls(conversation: &Conversation, definition: &AgentDefinition) -> Option<Next> {
    let mut calls = Vec::new();
    let mut waits = Vec::new();
    let mut hand_off = None;
    for call in conversation.history.open_calls() {
        let settle = |outcome, text: String| Some(Next::Settle { call: call.id.clone(), outcome, text });
        let pending = conversation.pending.iter().find(|pending| pending.call == call.id);
        if let Some(Pending { decided: Some(Decided::Denied { reason }), .. }) = pending {
            return settle(ToolOutcome::Refused, format!("a person said no: {reason}"));
        }
        match definition.kind(&call.name) {
            Kind::HandOff(_) if hand_off.is_some() => {
                return settle(ToolOutcome::Refused, "one handoff at a time".into());
            }
            Kind::HandOff(target) => match target.payload.read(&call.arguments) {
                Ok(payload) => {
                    let (call, role) = (call.id.clone(), target.role.clone());
                    hand_off = Some(Next::HandOff { call, role, payload });
                }
                Err(complaint) => return settle(ToolOutcome::Refused, complaint),
            },
            Kind::AskPerson(form) => match pending {
                Some(Pending { decided: Some(Decided::Answered { text }), .. }) => {
                    return settle(ToolOutcome::Ok, text.clone());
                }
                Some(pending) => waits.push(pending.clone()),
                None => match question(form, call) {
                    Ok(pending) => return Some(Next::Pend(pending)),
                    Err(complaint) => return settle(ToolOutcome::Refused, complaint),
                },
            },
            Kind::Tool { effect, needs_approval } => match pending {
                Some(Pending { decided: Some(Decided::Approved(approval)), .. }) => {
                    calls.push(Planned { call: call.clone(), effect, approval: Some(approval.clone()) });
                }
                Some(pending) => waits.push(pending.clone()),
                None => {
                    let effect = if needs_approval { Effect::Pure } else { effect };
                    calls.push(Planned { call: call.clone(), effect, approval: None });
                }
            },
        }
    }
    match () {
        () if !calls.is_empty() => Some(Next::Call(calls)),
        () if !waits.is_empty() => Some(Next::Wait(waits)),
        () => hand_off,
    }
}

/// What is to be said, when no call is open.
fn about_words(conversation: &Conversation, definition: &AgentDefinition, is_late: bool) -> Next {
    let (limits, history) = (definition.limits(), &conversation.history);
    let turn = conversation.turn.as_ref().unwrap_or(const { &TurnState::NEW });
    if let Some(over) = &turn.over {
        return Next::Over(over.clone());
    }
    if !conversation.waiting.is_empty() {
        return Next::Tell;
    }
    let repair = |complaint: String| {
        if turn.repairs < limits.repairs {
            Next::Repair { complaint }
        } else {
            Next::Over(Limit::Repairs { complaint })
        }
    };
    if turn.said_nothing {
        return repair("the answer was empty".into());
    }
    if history.is_ready() {
        return match () {
            () if turn.spent.model_calls >= limits.model_calls => Next::Over(Limit::ModelCalls),
            () if turn.spent.tokens() >= limits.tokens => Next::Over(Limit::Tokens),
            () if is_late => Next::Over(Limit::WallTime),
            () if definition.0.window.is_exceeded_by(history) => Next::Compact,
            () => Next::Ask,
        };
    }
    let Some(text) = conversation.last_words().filter(|_| conversation.turn.is_some()) else {
        return Next::Nothing;
    };
    let finish = turn.finish.clone().unwrap_or(FinishReason::Stop);
    match definition.0.output.as_ref().map(|(form, _)| form.read(&text)) {
        None => Next::Answer(Answer { text, json: None, finish }),
        Some(Ok(json)) => Next::Answer(Answer { text, json: Some(json), finish }),
        Some(Err(complaint)) => repair(complaint),
    }
}

impl TurnState {
    const NEW: TurnState = TurnState {
        spent: Spent { model_calls: 0, tool_calls: 0, input_tokens: 0, output_tokens: 0 },
        repairs: 0,
        over: None,
        said_nothing: false,
        finish: None,
        is_running: false,
    };
}

/// A call of `ask_person` that waits for its answer.
fn question(form: &Form, call: &ToolCall) -> Result<Pending, String> {
    let value = form.read(&call.arguments)?;
    let question = value["question"].as_str().unwrap_or_default().to_owned();
    Ok(Pending {
        kind: PendingKind::Question { question },
        ..waits(call, ArgumentHash::of(&call.name, &value))
    })
}

/// A call that waits for an approval of these arguments.
pub(super) fn waits(call: &ToolCall, hash: ArgumentHash) -> Pending {
    Pending {
        call: call.id.clone(),
        kind: PendingKind::Approval,
        tool: call.name.clone(),
        arguments: call.arguments.clone(),
        hash,
        decided: None,
    }
}

#[cfg(test)]
mod tests {
    use greenroom_tools::{
        AnyTool, Grant, ModelHandle, ModelReply, Origin, ReplyPart, ScriptedModel, ToolRegistry, Usage,
        tool_fn,
    };

    use super::*;
    use crate::agent::Limits;

    #[derive(Deserialize, schemars::JsonSchema)]
    struct Number {
        #[expect(dead_code, reason = "its form is what counts")]
        n: u64,
    }

    fn desk(limits: Limits) -> AgentDefinition {
        let pay = AnyTool::new(tool_fn("pay", "", |_: Number| async { Ok(1) }).with_approval());
        let tools = ToolRegistry::new().with(pay).unwrap();
        let tools = tools.with(tool_fn("add", "", |_: Number| async { Ok(1) }).pure()).unwrap();
        AgentDefinition::named("desk")
            .model(ModelHandle::new(ScriptedModel::new(|_| "")))
            .tools(tools, Grant::all())
            .hand_off::<Number>(Role::named("billing"), "money")
            .asks_people()
            .limits(limits)
            .build()
            .unwrap()
    }

    fn reply(parts: Vec<ReplyPart>) -> ModelReply {
        let facts = Box::default();
        ModelReply { parts, finish: FinishReason::Stop, usage: Usage::default(), facts }
    }

    fn call(id: &str, name: &str, arguments: &str) -> ReplyPart {
        ReplyPart::Call(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
    }

    /// A conversation in which the model has answered that.
    fn after(definition: &AgentDefinition, parts: Vec<ReplyPart>) -> Conversation {
        let mut conversation = Conversation::new();
        conversation.hear(definition, Origin::Customer, "hello".into()).unwrap();
        conversation.tell().unwrap();
        conversation.reply(definition, reply(parts)).unwrap().unwrap();
        conversation
    }

    /// In short.
    fn name(next: &Next) -> String {
        match next {
            Next::Settle { call, outcome, .. } => format!("settle {call} {outcome:?}"),
            Next::Call(calls) => {
                let of = |planned: &Planned| format!(" {} {:?}", planned.call.id, planned.effect);
                format!("call{}", calls.iter().map(of).collect::<String>())
            }
            Next::Pend(pending) => format!("pend {}", pending.call),
            Next::Wait(pending) => format!("wait for {}", pending.len()),
            Next::HandOff { call, role, .. } => format!("hand off {call} to {role}"),
            Next::Answer(answer) => format!("answer {}", answer.text),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_comes_next_is_decided_by_what_is_there() {
        let definition = desk(Limits { tool_calls: 3, ..Limits::default() });
        let good = r#"{"n":1}"#;
        let table = [
            (vec![ReplyPart::Text("hi".into())], "answer hi"),
            (vec![], "Repair { complaint: \"the answer was empty\" }"),
            (vec![call("a", "add", good), call("b", "nobody", "")], "call a Pure b Pure"),
            (vec![call("a", "pay", good)], "call a Pure"), // to hear that it needs a yes
            (vec![call("a", "ask_person", r#"{"question":"?"}"#)], "pend a"),
            (vec![call("a", "ask_person", "{}")], "settle a Refused"),
            (vec![call("a", "hand_off_to_billing", good)], "hand off a to billing"),
            (vec![call("a", "hand_off_to_billing", "{")], "settle a Refused"),
            (
                vec![call("a", "hand_off_to_billing", good), call("b", "hand_off_to_billing", good)],
                "settle b Refused",
            ),
            (vec![call("a", "hand_off_to_billing", good), call("b", "add", good)], "call b Pure"),
            (vec![call("a", "hand_off_to_technical", good)], "call a Pure"), // which nobody has
            (["a", "b", "c", "d"].map(|id| call(id, "add", good)).to_vec(), "call a Pure b Pure c Pure"),
        ];
        for (parts, expected) in table {
            let conversation = after(&definition, parts.clone());
            assert_eq!(name(&next(&conversation, &definition, false)), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_yes_runs_the_call_with_its_own_effect_and_a_no_settles_it() {
        let definition = desk(Limits::default());
        let mut waiting = after(&definition, vec![call("a", "pay", r#"{"n":1}"#)]);
        let open = waiting.history.open_calls().next().unwrap().clone();
        let hash = ArgumentHash::of("pay", &serde_json::json!({ "n": 1 }));
        waiting.pending.push(waits(&open, hash));
        assert_eq!(name(&next(&waiting, &definition, false)), "wait for 1");

        let mut denied = waiting.clone();
        denied.deny("a", "no").unwrap();
        assert_eq!(name(&next(&denied, &definition, false)), "settle a Refused");
        let approval = Approval { tool: "pay".into(), arguments: hash, by: "bob".into(), at_ms: 0 };
        waiting.approve(approval).unwrap();
        assert_eq!(name(&next(&waiting, &definition, false)), "call a Once");
    }

    #[test]
    fn nothing_is_asked_beyond_a_bound() {
        let definition = desk(Limits { model_calls: 2, ..Limits::default() });
        let mut conversation = Conversation::new();
        assert_eq!(next(&conversation, &definition, false), Next::Nothing);
        conversation.hear(&definition, Origin::Customer, "hello".into()).unwrap();
        assert_eq!(next(&conversation, &definition, false), Next::Tell);
        conversation.tell().unwrap();
        assert_eq!(next(&conversation, &definition, false), Next::Ask);
        assert_eq!(next(&conversation, &definition, true), Next::Over(Limit::WallTime));
        conversation.book(&Usage { input_tokens: 500_000, ..Usage::default() });
        assert_eq!(next(&conversation, &definition, false), Next::Over(Limit::Tokens));
        conversation.book(&Usage::default());
        assert_eq!(next(&conversation, &definition, false), Next::Over(Limit::ModelCalls));
    }

    quickcheck::quickcheck! {
        /// A turn ends, within its bounds, whatever is answered; and the model is asked only when it is its turn.
        fn a_turn_ends_whatever_the_model_answers(answers: Vec<Vec<u8>>) -> bool {
            let limits = Limits { model_calls: 5, tool_calls: 6, ..Limits::default() };
            let definition = desk(limits);
            let mut answers = answers.into_iter().chain(std::iter::repeat(vec![2, 3, 200]));
            let part = |byte: u8| match byte % 9 {
                0 => ReplyPart::Text("words".into()),
                1 => ReplyPart::Text(" ".into()),
                2 | 3 => call("a", "add", "{}"),
                4 => call("b", "pay", r#"{"n":1}"#),
                5 => call("", "ask_person", r#"{"question":"?"}"#),
                6 => call("b", "ask_person", ""),
                7 => call("c", "hand_off_to_billing", r#"{"n":1}"#),
                _ => call("c", "hand_off_to_billing", "{}"),
            };
            let mut conversation = Conversation::new();
            conversation.hear(&definition, Origin::Customer, "hello".into()).unwrap();
            let (mut asked, mut called) = (0, 0);
            for _ in 0..200 {
                match next(&conversation, &definition, false) {
                    Next::Tell => conversation.tell().unwrap(),
                    Next::Settle { call, outcome, text } => conversation.settle(&call, outcome, &text).unwrap(),
                    Next::Pend(pending) => conversation.pending.push(pending),
                    Next::Call(calls) => for planned in calls {
                        called += 1;
                        if planned.call.name == "pay" && planned.approval.is_none() {
                            let hash = ArgumentHash::of("pay", &Value::Null);
                            conversation.pending.push(waits(&planned.call, hash));
                        } else {
                            conversation.settle(&planned.call.id, ToolOutcome::Ok, "1").unwrap();
                        }
                    },
                    Next::Wait(waiting) => for pending in waiting {
                        conversation.deny(&pending.call, "no").unwrap();
                    },
                    Next::Ask => {
                        asked += 1;
                        assert!(conversation.history.is_ready());
                        let parts = answers.next().unwrap().into_iter().take(9).map(part).collect();
                        conversation.reply(&definition, reply(parts)).unwrap().unwrap();
                    }
                    Next::Repair { complaint } => conversation.repair(&complaint).unwrap(),
                    Next::Compact => return false,
                    Next::HandOff { .. } | Next::Answer(_) | Next::Over(_) | Next::Nothing => {
                        return asked <= 5 && called <= 6;
                    }
                }
            }
            false
        }
    }
}
