//! Whatever is done to a history, no provider refuses it.
//!
//! `SEED=42 cargo test --test models histories` repeats one, `HISTORIES=100000` runs so many.

use std::cell::Cell;

use greenroom::tools::model::{Closing, HttpModel, OpaquePart, ReplyPart, ToolCall, ToolOutcome};
use greenroom::{History, ModelRequest, Origin, ToolSpec};
use serde_json::{Value, json};

use crate::rules;
use crate::wires::Wire;

/// Goal: 0 of 100,000 random histories of answers, results, crashes, cancels, timeouts, handoffs, cuts and restarts are
/// refused. Method: after each doing, whenever the model could be asked, the three bodies go to the rules.
#[test]
fn no_provider_refuses_a_history_whatever_was_done_to_it() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HISTORIES").unwrap_or(1_000),
    };
    let models = Models::new();
    let mut requests = 0;
    for seed in seeds.clone() {
        requests += live(seed, &models).unwrap_or_else(|why| panic!("SEED={seed}: {why}"));
    }
    println!("{} histories, {requests} requests on three wires, 0 refused", seeds.end - seeds.start);
}

/// The test of the test: each rule that is broken by hand is noticed.
#[test]
fn what_is_not_valid_is_refused_by_the_rules() {
    let mut history = History::new();
    history.user(Origin::Customer, "hello").unwrap();
    let call =
        |id: &str| ReplyPart::Call(ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into() });
    history.reply(vec![call("a"), call("b")]).unwrap();
    history.close_open_calls(Closing::Crashed);
    let models = Models::new();
    let request = ModelRequest::new("be kind", history, 9).unwrap();
    let bodies = models.bodies(&request);
    assert!(bodies.iter().all(|(_, verdict)| verdict.is_ok()), "{bodies:?}");

    let [chat, responses, anthropic] = bodies.map(|(body, _)| body);
    let breaks: [Break<'_>; 10] = [
        (&chat, rules::chat, |body| drop(list(&mut body["messages"]).pop())),
        (&chat, rules::chat, |body| list(&mut body["messages"]).swap(2, 3)),
        (&chat, rules::chat, |body| {
            list(&mut body["messages"])
                .insert(0, json!({ "role": "tool", "tool_call_id": "a", "content": "x" }))
        }),
        (&chat, rules::chat, |body| body["messages"][2]["tool_calls"][1]["id"] = "a".into()),
        (&responses, rules::responses, |body| drop(list(&mut body["input"]).pop())),
        (&responses, rules::responses, |body| drop(list(&mut body["input"]).remove(1))),
        (&anthropic, rules::anthropic, |body| drop(list(&mut body["messages"]).pop())),
        (&anthropic, rules::anthropic, |body| drop(list(&mut body["messages"][2]["content"]).pop())),
        (&anthropic, rules::anthropic, |body| drop(list(&mut body["messages"]).remove(0))),
        (&anthropic, rules::anthropic, |body| body["tools"] = Value::Null),
    ];
    for (at, (body, rules, change)) in breaks.into_iter().enumerate() {
        let mut body = body.clone();
        change(&mut body);
        assert!(rules(&body).is_err(), "number {at} was not noticed: {body}");
    }
}

type Rules = fn(&Value) -> Result<(), String>;
type Break<'a> = (&'a Value, Rules, fn(&mut Value));

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().unwrap()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

struct Models([HttpModel; 3]);

impl Models {
    fn new() -> Self {
        Models(Wire::ALL.map(|wire| wire.at("http://localhost/v1").build().unwrap()))
    }

    fn bodies(&self, request: &ModelRequest) -> [(Value, Result<(), String>); 3] {
        let [chat, responses, anthropic] = self.0.each_ref().map(|model| model.body(request));
        let verdicts = [rules::chat(&chat), rules::responses(&responses), rules::anthropic(&anthropic)];
        let [a, b, c] = verdicts;
        [(chat, a), (responses, b), (anthropic, c)]
    }
}

/// Small numbers from a seed (SplitMix64).
struct Dice(Cell<u64>);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn one_of<'a>(&self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

const TEXTS: [&str; 6] =
    ["hello", "", " \n", "ä </customer> ö", "</looked_up>", "a longer text, of several words"];
const IDS: [&str; 8] =
    ["a", "b", "", "functions.look_up:0", "a", "toolu_01", "ü", "0123456789012345678901234567890123456789x"];
const NAMES: [&str; 4] = ["look_up", "no such tool", "", "größe"];
const ARGUMENTS: [&str; 6] = ["{}", "{\"n\":1}", "", "{\"n\":", "[1]", "null"];
const OPAQUE: [(&str, &str); 4] = [
    ("anthropic", r#"{"type":"thinking","thinking":"hm","signature":"s"}"#),
    ("openai", r#"{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"z"}"#),
    ("other", "{}"),
    ("anthropic", "not JSON"),
];

/// One history; how often it could be sent.
fn live(seed: u64, models: &Models) -> Result<u64, String> {
    let dice = Dice(Cell::new(seed));
    let mut history = History::new();
    let mut requests = 0;
    for _ in 0..dice.roll(30) {
        let done = act(&mut history, &dice);
        if !history.is_ready() {
            continue;
        }
        let instructions = dice.one_of(&["be kind", "", " "]);
        let mut request =
            ModelRequest::new(instructions, history.clone(), 9).map_err(|error| error.to_string())?;
        if dice.roll(2) == 0 {
            let tool = ToolSpec::new("look_up", "", json!({ "type": "object" })).unwrap();
            request = request.tool(tool).unwrap();
        }
        requests += 1;
        for (body, verdict) in models.bodies(&request) {
            verdict.map_err(|rule| format!("after {done}: {rule}\n{body:#}"))?;
        }
    }
    Ok(requests)
}

/// One random doing, refused or not; its name.
fn act(history: &mut History, dice: &Dice) -> &'static str {
    match dice.roll(15) {
        0..=2 => {
            let origins =
                [Origin::Customer, Origin::Instruction, Origin::Tool, Origin::Agent, Origin::Summary];
            drop(history.user(origins[dice.roll(5)], dice.one_of(&TEXTS)));
            "a user"
        }
        3..=6 => {
            drop(history.reply((0..dice.roll(5)).map(|_| part(dice)).collect()));
            "a reply"
        }
        7..=8 => {
            let open: Vec<String> = history.open_calls().map(|call| call.id.clone()).collect();
            let id = open.get(dice.roll(open.len() + 1)).map_or("a", |id| id);
            let outcomes =
                [ToolOutcome::Ok, ToolOutcome::Error, ToolOutcome::Refused, ToolOutcome::Cancelled];
            drop(history.result(id, outcomes[dice.roll(4)], dice.one_of(&TEXTS)));
            "a result"
        }
        9..=10 => {
            let why = [
                Closing::Crashed,
                Closing::Cancelled,
                Closing::TimedOut,
                Closing::HandedOff,
                Closing::Compacted,
            ];
            history.close_open_calls(why[dice.roll(5)]);
            "calls closed"
        }
        11 => {
            *history = history.last(dice.roll(5));
            "the last turns"
        }
        12 => {
            *history = history.window(dice.roll(200) as u64).unwrap_or_else(|_| history.clone());
            "a window"
        }
        13 => {
            *history = match dice.roll(2) {
                0 => history.clone().handed_over(),
                _ => history.summarised(dice.roll(4), dice.one_of(&TEXTS)),
            };
            "a handoff or a summary"
        }
        _ => {
            let stored = serde_json::to_string(history).unwrap();
            *history = serde_json::from_str(&stored).unwrap();
            "a restart"
        }
    }
}

fn part(dice: &Dice) -> ReplyPart {
    match dice.roll(4) {
        0 => ReplyPart::Text(dice.one_of(&TEXTS).to_owned()),
        1 => {
            let (provider, json) = OPAQUE[dice.roll(OPAQUE.len())];
            ReplyPart::Opaque(OpaquePart { provider: provider.to_owned(), json: json.to_owned() })
        }
        _ => ReplyPart::Call(ToolCall {
            id: dice.one_of(&IDS).to_owned(),
            name: dice.one_of(&NAMES).to_owned(),
            arguments: dice.one_of(&ARGUMENTS).to_owned(),
        }),
    }
}
