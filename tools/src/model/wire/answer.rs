//! What the wires have in common: an answer in the making, and what can be wrong with it.

use serde_json::Value;

use crate::model::history::{AgentPart, Origin, ReplyPart, ToolOutcome, ToolResult, Turn};
use crate::model::reply::FinishReason;
use crate::model::request::ModelRequest;
use crate::model::text::head;
use crate::model::usage::{Usage, estimate_tokens};

use super::sse::Event;

/// What is known of an answer, whole or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) response_id: Option<String>,
    pub(super) model: Option<String>,
    /// As the server counts; `None` until it says.
    pub(super) usage: Option<Usage>,
    pub(super) finish: Option<FinishReason>,
    /// The number of the last event, where events are numbered.
    pub(super) cursor: Option<u64>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) parts: Vec<ReplyPart>,
    pub(super) known: Known,
}

/// What an event brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// More text for whoever watches.
    pub(super) text: String,
    /// Output of any kind, shown or not.
    pub(super) output: bool,
    /// Nothing comes behind it.
    pub(super) last: bool,
}

/// Makes an answer of the events of one wire.
pub(super) trait Assemble: Send {
    /// Takes the next event.
    fn event(&mut self, event: &Event) -> Result<News, Fault>;

    /// What is known so far.
    fn known(&self) -> &Known;

    /// Whether all of the answer has come, even if more was to come about it.
    fn is_whole(&self) -> bool;

    /// The answer, if it is whole.
    fn finish(self: Box<Self>) -> Result<Answer, Fault>;
}

/// Why something is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The provider says that it failed.
    Provider(ProviderError),
    /// It makes no sense.
    Garbage(String),
    /// Its end is missing.
    Cut,
    /// It is still being made: ask again.
    NotYet(Box<Known>),
}

/// What a provider says about its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProviderError {
    /// `type`, `code` and the like, in lower case, separated by blanks.
    pub(super) kind: String,
    pub(super) message: String,
}

/// Longest text of a provider that becomes part of an error.
const MESSAGE_LEN_MAX: usize = 500;

impl ProviderError {
    /// Reads what `{"error": …}` holds in any of the forms that are about.
    pub(super) fn of(error: &Value) -> Self {
        let text = |name: &str| match &error[name] {
            Value::String(text) => text.to_lowercase(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let message = error.as_str().or_else(|| error["message"].as_str());
        let message = message.map_or_else(|| error.to_string(), str::to_owned);
        ProviderError { kind: format!("{} {}", text("type"), text("code")), message: shortened(&message) }
    }

    /// If `value` is an error instead of an answer.
    pub(super) fn inside(value: &Value) -> Option<Self> {
        match &value["error"] {
            Value::Null => (value["type"] == "error").then(|| ProviderError::of(value)),
            error => Some(ProviderError::of(error)),
        }
    }
}

/// At most as much of a text as an error should have.
pub(super) fn shortened(text: &str) -> String {
    head(text, MESSAGE_LEN_MAX).trim().to_owned()
}

/// Reads JSON.
pub(super) fn json(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Garbage(format!("no JSON: {error}")))
}

/// A text that is there and not empty.
pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A number, or 0.
pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// What the server says was used, or what we make of it if it says nothing.
pub(super) fn usage_of(known: &Known, parts: &[ReplyPart], request: &ModelRequest) -> Usage {
    let of = |part: &ReplyPart| match part {
        ReplyPart::Text(text) => estimate_tokens(text),
        ReplyPart::Call(call) => estimate_tokens(&call.name) + estimate_tokens(&call.arguments),
        ReplyPart::Opaque(part) => estimate_tokens(&part.json),
    };
    let output = || parts.iter().map(of).sum();
    match known.usage {
        Some(usage) if usage.input_tokens > 0 && (usage.output_tokens > 0 || parts.is_empty()) => usage,
        // Some servers count only one side.
        Some(usage) if usage.input_tokens > 0 => Usage { output_tokens: output(), estimated: true, ..usage },
        Some(usage) if usage.output_tokens > 0 => {
            Usage { input_tokens: request.input_bytes().div_ceil(3), estimated: true, ..usage }
        }
        _ => Usage {
            input_tokens: request.input_bytes().div_ceil(3),
            output_tokens: output(),
            estimated: true,
            ..Usage::default()
        },
    }
}

/// The text of a user turn as it is sent. What comes from elsewhere stands between tags that it cannot close; a customer's
/// does so where the application speaks as well.
pub(super) fn marked(origin: Origin, text: &str, turns: &[Turn]) -> String {
    let app_speaks =
        || turns.iter().any(|turn| matches!(turn, Turn::User { origin: Origin::Instruction, .. }));
    let tag = match origin {
        Origin::Instruction => return text.to_owned(),
        Origin::Customer if !app_speaks() => return text.to_owned(),
        Origin::Customer => "customer",
        Origin::Tool => "looked_up",
        Origin::Agent => "other_agent",
        Origin::Summary => "summary_of_earlier",
    };
    let text = text.replace(&format!("</{tag}"), &format!("<\\/{tag}"));
    format!("<{tag}>\n{text}\n</{tag}>")
}

/// The text of a result as it is sent where there is no other place for its outcome.
pub(super) fn result_text(result: &ToolResult) -> String {
    match result.outcome {
        ToolOutcome::Ok => result.text.clone(),
        ToolOutcome::Error => format!("[error] {}", result.text),
        ToolOutcome::Refused => format!("[refused] {}", result.text),
        ToolOutcome::Cancelled => format!("[cancelled] {}", result.text),
    }
}

/// The arguments of a call as an object, which is what providers want back, whatever the model wrote.
pub(super) fn arguments(raw: &str) -> Value {
    match serde_json::from_str(raw) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ if raw.trim().is_empty() => Value::Object(serde_json::Map::new()),
        _ => serde_json::json!({ "not_an_object": raw }),
    }
}

/// The name of a tool as it is sent: a model may have made up one that no provider takes back.
pub(super) fn tool_name(name: &str) -> String {
    let good = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(good).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The calls of an agent's turn with their results. A history that is ready has no call without one.
pub(super) fn calls(
    parts: &[AgentPart],
) -> impl Iterator<Item = (&crate::model::history::ToolCall, &ToolResult)> {
    parts.iter().filter_map(|part| match part {
        AgentPart::Call { call, result: Some(result) } => Some((call, result)),
        _ => None,
    })
}
