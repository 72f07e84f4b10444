//! What a history refuses, mends, cuts and stores.

use quickcheck::{Gen, QuickCheck};

use super::*;

fn call(id: &str) -> ReplyPart {
    ReplyPart::Call(ToolCall { id: id.into(), name: "look_up".into(), arguments: "{}".into() })
}

fn asked() -> History {
    let mut history = History::new();
    history.user(Origin::Customer, "my lamp is dark").unwrap();
    history
}

/// A question, and `rounds` rounds of a call and its result.
fn looped(rounds: usize) -> History {
    let mut history = asked();
    for round in 0..rounds {
        let id = format!("c{round}");
        history.reply(vec![call(&id)]).unwrap();
        history.result(&id, ToolOutcome::Ok, "nothing").unwrap();
    }
    history
}

#[test]
fn nothing_else_is_said_while_a_call_is_open() {
    let mut history = asked();
    history.reply(vec![call("a"), call("b")]).unwrap();
    let open = Err(HistoryError::CallOpen { call: "a".into() });

    assert_eq!(history.user(Origin::Customer, "hello?"), open);
    assert_eq!(history.reply(vec![call("c")]).map(drop), open);
    assert_eq!(history.check_ready(), open);

    history.result("b", ToolOutcome::Ok, "x").unwrap();
    let answered = Err(HistoryError::NoSuchCall { call: "b".into() });
    assert_eq!(history.result("b", ToolOutcome::Ok, "y"), answered, "a call has one result");
    assert_eq!(history.open_calls().map(|call| &*call.id).collect::<Vec<_>>(), ["a"]);
    assert_eq!(history.close_open_calls(Closing::Crashed), 1);
    assert_eq!(history.close_open_calls(Closing::Crashed), 0);
    assert!(history.is_ready());
}

#[test]
fn the_agent_speaks_only_when_it_is_asked() {
    let mut history = History::new();
    let nothing = Err(HistoryError::NothingToAnswer);
    assert_eq!(history.reply(vec![ReplyPart::Text("hello".into())]).map(drop), nothing);

    history.user(Origin::Customer, "hello").unwrap();
    history.reply(vec![ReplyPart::Text("hello".into())]).unwrap();

    assert_eq!(history.reply(vec![ReplyPart::Text("hello?".into())]).map(drop), nothing);
    assert_eq!(history.user(Origin::Customer, " \n"), Err(HistoryError::Blank));
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(
        history.user(Origin::Customer, long),
        Err(HistoryError::TooLong { bytes: TEXT_BYTES_MAX + 1 })
    );
}

#[test]
fn ids_that_are_missing_taken_or_malformed_are_replaced() {
    let mut history = looped(1);

    let repairs =
        history.reply(vec![call("c0"), call("c0"), call(""), call("functions.x:0"), call("ok")]).unwrap();

    let ids: Vec<&str> = history.open_calls().map(|call| &*call.id).collect();
    assert_eq!(ids, ["c0-1", "c0-2", "call-1", "functionsx0-1", "ok"]);
    assert_eq!(repairs.len(), 4);
    assert_eq!(repairs[0], Repair::Renamed { from: "c0".into(), to: "c0-1".into() });
}

#[test]
fn an_answer_that_says_nothing_is_no_turn() {
    let mut history = asked();
    let thought = OpaquePart { provider: "p".into(), json: "{}".into() };

    let repairs = history.reply(vec![ReplyPart::Text(" ".into()), ReplyPart::Opaque(thought)]).unwrap();

    assert_eq!(repairs, [Repair::NothingSaid]);
    assert_eq!((history.turns().len(), history.is_ready()), (1, true));
}

#[test]
fn a_cut_keeps_the_question_that_a_loop_is_about() {
    let history = looped(5);

    let short = history.last(2);

    assert_eq!(short.turns().len(), 3);
    assert_eq!(short.turns()[0], history.turns()[0]);
    assert_eq!(short.turns()[1..], history.turns()[4..]);
    assert_eq!(history.last(99), history);
    let summary = history.summarised(1, "four looks, nothing found");
    assert!(matches!(&summary.turns()[0], Turn::User { origin: Origin::Summary, .. }));
    assert_eq!(summary.turns()[1..], history.last(1).turns()[..]);
}

#[test]
fn a_window_is_as_long_as_it_fits_and_never_longer() {
    let history = looped(20);
    for tokens in 0..history.estimated_tokens() + 2 {
        match history.window(tokens) {
            Ok(short) => {
                assert!(short.estimated_tokens() <= tokens, "{tokens}");
                assert!(short.is_ready());
                let longer = history.last(short.turns().len().min(history.turns().len()));
                assert!(longer == short || longer.estimated_tokens() > tokens, "{tokens} could hold more");
            }
            Err(error) => {
                assert!(error.tokens > tokens);
                assert_eq!(error.tokens, history.last(1).estimated_tokens());
            }
        }
    }
}

#[test]
fn a_long_result_loses_its_middle() {
    let mut history = asked();
    history.reply(vec![call("a")]).unwrap();

    history.result("a", ToolOutcome::Ok, &format!("begin{}end", "ä".repeat(RESULT_BYTES_MAX))).unwrap();

    let Turn::Agent { parts } = &history.turns()[1] else { panic!("the agent's turn") };
    let AgentPart::Call { result: Some(result), .. } = &parts[0] else { panic!("the call") };
    assert!(result.text.len() <= RESULT_BYTES_MAX);
    assert!(result.text.starts_with("begin") && result.text.ends_with("end") && result.text.contains("cut"));
}

#[test]
fn what_is_handed_over_has_no_open_call_and_nothing_of_a_provider() {
    let mut history = asked();
    let thought = OpaquePart { provider: "p".into(), json: "{}".into() };
    history.reply(vec![ReplyPart::Opaque(thought), call("a")]).unwrap();

    let given = history.handed_over();

    let Turn::Agent { parts } = &given.turns()[1] else { panic!("the agent's turn") };
    let closed = matches!(&parts[..], [AgentPart::Call { result: Some(r), .. }] if r.outcome == ToolOutcome::Cancelled);
    assert!(closed, "{parts:?}");
}

#[test]
fn what_was_stored_comes_back_and_what_is_no_history_does_not() {
    let mut history = looped(2);
    history.reply(vec![call("open")]).unwrap();

    let json = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history);

    let user = r#"{"user":{"origin":"customer","text":"x"}}"#;
    let agent = |parts: &str| format!(r#"{{"agent":{{"parts":[{parts}]}}}}"#);
    let open = r#"{"call":{"call":{"id":"a","name":"n","arguments":""},"result":null}}"#;
    let done =
        r#"{"call":{"call":{"id":"a","name":"n","arguments":""},"result":{"outcome":"ok","text":"x"}}}"#;
    let said = agent(r#"{"text":"x"}"#);
    let bad = [
        ("begins with the agent", said.clone()),
        ("a call has no result", format!("{user},{},{user}", agent(open))),
        ("the same id", format!("{user},{},{}", agent(done), agent(done))),
        ("answers itself", format!("{user},{said},{said}")),
        ("says nothing", format!("{user},{}", agent(""))),
        (
            "ends with a thought",
            format!("{user},{}", agent(r#"{"text":"x"},{"opaque":{"provider":"p","json":""}}"#)),
        ),
        ("blank", r#"{"user":{"origin":"customer","text":" "}}"#.to_owned()),
    ];
    for (why, turns) in bad {
        let error =
            serde_json::from_str::<History>(&format!(r#"{{"version":1,"turns":[{turns}]}}"#)).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
    let error = serde_json::from_str::<History>(r#"{"version":2,"turns":[]}"#).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}

/// Whatever is done to a history, reading it back finds nothing wrong with it.
#[test]
fn whatever_is_done_to_a_history_it_can_be_stored_and_read() {
    fn holds(doings: Vec<u8>) -> bool {
        let mut history = History::new();
        let mut all_hold = true;
        for doing in doings {
            match doing % 12 {
                0 | 1 => drop(history.user(Origin::Customer, "text")),
                2 => drop(history.user(Origin::Tool, " ")),
                3 => drop(history.reply(vec![ReplyPart::Text("text".into())])),
                4 | 5 => drop(history.reply(vec![call("a"), ReplyPart::Text(String::new()), call("b")])),
                6 => drop(history.reply(vec![ReplyPart::Text(" ".into())])),
                7 => {
                    let id = history.open_calls().last().map(|call| call.id.clone()).unwrap_or_default();
                    drop(history.result(&id, ToolOutcome::Error, ""));
                }
                8 => drop(history.close_open_calls(Closing::Cancelled)),
                9 => history = history.last(usize::from(doing / 12 % 4)),
                10 => history = history.summarised(usize::from(doing / 12 % 4), "short"),
                _ => history = history.window(u64::from(doing)).unwrap_or(history),
            }
            let json = serde_json::to_string(&history).unwrap();
            all_hold &= serde_json::from_str::<History>(&json).is_ok_and(|read| read == history);
        }
        all_hold
    }
    QuickCheck::new().rng(Gen::new(60)).tests(500).quickcheck(holds as fn(Vec<u8>) -> bool);
}
