//! What the three providers say of a valid request, written from their documentation and not from our code: the first rule
//! that a body breaks.

use std::collections::BTreeSet;

use serde_json::Value;

type Verdict = Result<(), String>;

fn ensure(holds: bool, rule: &str) -> Verdict {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

fn is_name(name: &Value) -> bool {
    name.as_str().is_some_and(|name| {
        (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    })
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn is_object_in_a_string(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Chat Completions, with what strict templates of open models ask for besides: the roles take turns.
pub(crate) fn chat(body: &Value) -> Verdict {
    let mut messages = items(&body["messages"]);
    if let [first, rest @ ..] = messages
        && first["role"] == "system"
    {
        ensure(is_text(&first["content"]), "a system message has a text")?;
        messages = rest;
    }
    ensure(messages.first().is_some_and(|first| first["role"] == "user"), "a user speaks first")?;
    let mut ids = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    let mut before = "";
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool" {
            ensure(
                open.is_empty(),
                "an assistant message with tool_calls must be followed by tool messages responding to each tool_call_id",
            )?;
        }
        match role {
            "user" => {
                ensure(is_text(&message["content"]), "a user message has a text")?;
                ensure(before != "user", "roles take turns")?;
            }
            "assistant" => {
                ensure(before != "assistant", "roles take turns")?;
                let has_calls = message.get("tool_calls").is_some();
                let content = &message["content"];
                ensure(
                    is_text(content) || (has_calls && content.is_null()),
                    "an assistant message has a text or calls",
                )?;
                ensure(!has_calls || !items(&message["tool_calls"]).is_empty(), "tool_calls is not empty")?;
                for call in items(&message["tool_calls"]) {
                    let id = call["id"].as_str().unwrap_or_default();
                    ensure((1..=40).contains(&id.len()), "an id has 1 to 40 characters")?;
                    ensure(ids.insert(id), "an id is used once")?;
                    ensure(
                        call["type"] == "function" && is_name(&call["function"]["name"]),
                        "a call has a name",
                    )?;
                    ensure(
                        is_object_in_a_string(&call["function"]["arguments"]),
                        "arguments are an object in a string",
                    )?;
                    open.push(id);
                }
            }
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                let at = open.iter().position(|open| *open == id);
                ensure(
                    at.is_some(),
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
                )?;
                open.remove(at.unwrap());
                ensure(message["content"].is_string(), "a tool message has a content")?;
            }
            other => return Err(format!("there is no role {other:?}")),
        }
        before = role;
    }
    ensure(open.is_empty(), "each call has its tool message")?;
    ensure(before != "assistant", "somebody waits for an answer")?;
    ensure(body["max_tokens"].as_u64().is_some_and(|max| max > 0), "the answer has a bound")?;
    items(&body["tools"])
        .iter()
        .try_for_each(|tool| ensure(is_name(&tool["function"]["name"]), "a tool has a name"))
}

/// Responses.
pub(crate) fn responses(body: &Value) -> Verdict {
    let mut ids = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    let input = items(&body["input"]);
    ensure(!input.is_empty(), "the input is not empty")?;
    for (at, item) in input.iter().enumerate() {
        let kind = item["type"].as_str().unwrap_or("message");
        match kind {
            "message" => {
                let role = item["role"].as_str().unwrap_or_default();
                ensure(matches!(role, "user" | "assistant"), "a message has a role")?;
                ensure(is_text(&item["content"]), "a message has a text")?;
                ensure(role == "assistant" || open.is_empty(), "no tool output found for function call")?;
            }
            "function_call" => {
                let id = item["call_id"].as_str().unwrap_or_default();
                ensure((1..=64).contains(&id.len()) && ids.insert(id), "a call_id is used once")?;
                ensure(is_name(&item["name"]), "a call has a name")?;
                ensure(is_object_in_a_string(&item["arguments"]), "arguments are an object in a string")?;
                open.push(id);
            }
            "function_call_output" => {
                let id = item["call_id"].as_str().unwrap_or_default();
                let at = open.iter().position(|open| *open == id);
                ensure(at.is_some(), "no tool call found for function call output")?;
                open.remove(at.unwrap());
                ensure(is_text(&item["output"]), "an output has a text")?;
            }
            "reasoning" => {
                let next = input.get(at + 1);
                let goes_on = next.is_some_and(|next| {
                    next["role"] == "assistant"
                        || next["type"] == "function_call"
                        || next["type"] == "reasoning"
                });
                ensure(goes_on, "reasoning was provided without its required following item")?;
            }
            other => return Err(format!("there is no item {other:?}")),
        }
    }
    ensure(open.is_empty(), "no tool output found for function call")?;
    let last = &input[input.len() - 1];
    ensure(last["role"] == "user" || last["type"] == "function_call_output", "somebody waits for an answer")?;
    ensure(body["max_output_tokens"].as_u64().is_some_and(|max| max > 0), "the answer has a bound")?;
    items(&body["tools"]).iter().try_for_each(|tool| ensure(is_name(&tool["name"]), "a tool has a name"))
}

/// Anthropic's Messages.
pub(crate) fn anthropic(body: &Value) -> Verdict {
    let messages = items(&body["messages"]);
    ensure(!messages.is_empty(), "at least one message is required")?;
    let mut ids = BTreeSet::new();
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let mut any_call = false;
    for (at, message) in messages.iter().enumerate() {
        let user = at % 2 == 0;
        ensure(
            message["role"] == if user { "user" } else { "assistant" },
            "roles take turns, and the user speaks first",
        )?;
        let blocks = items(&message["content"]);
        ensure(!blocks.is_empty(), "all messages must have non-empty content")?;
        let mut text_was = false;
        let mut spoke = false;
        let results: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "tool_result").collect();
        if user {
            let answered: BTreeSet<&str> =
                results.iter().filter_map(|block| block["tool_use_id"].as_str()).collect();
            ensure(answered.len() == results.len(), "each tool_use must have a single result")?;
            ensure(
                answered == open,
                "tool_use ids were found without tool_result blocks immediately after, or the other way",
            )?;
            open.clear();
        }
        for block in blocks {
            match (user, block["type"].as_str().unwrap_or_default()) {
                (_, "text") => {
                    ensure(is_text(&block["text"]), "text content blocks must contain non-whitespace text")?;
                    text_was = true;
                    spoke = true;
                }
                (true, "tool_result") => {
                    ensure(!text_was, "tool_result blocks come first")?;
                    ensure(
                        is_text(&block["content"]) && block["is_error"].is_boolean(),
                        "a result has a text",
                    )?;
                }
                (false, "tool_use") => {
                    let id = block["id"].as_str().unwrap_or_default();
                    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    ensure(!id.is_empty() && id.chars().all(good), "an id matches ^[a-zA-Z0-9_-]+$")?;
                    ensure(ids.insert(id), "tool_use ids must be unique")?;
                    ensure(
                        is_name(&block["name"]) && block["input"].is_object(),
                        "a call has a name and an object",
                    )?;
                    open.insert(id);
                    any_call = true;
                    spoke = true;
                }
                (false, "thinking") => ensure(block["signature"].is_string(), "a thought is signed")?,
                (_, other) => return Err(format!("no block {other:?} here")),
            }
        }
        let ends_with_thought = blocks.last().is_some_and(|block| block["type"] == "thinking");
        let rule = "the final block in an assistant message cannot be thinking";
        ensure(user || (spoke && !ends_with_thought), rule)?;
    }
    ensure(messages.len() % 2 == 1, "this model does not support assistant message prefill")?;
    ensure(body["max_tokens"].as_u64().is_some_and(|max| max > 0), "max_tokens is required")?;
    ensure(body.get("system").is_none_or(is_text), "system has a text")?;
    ensure(
        !any_call || !items(&body["tools"]).is_empty(),
        "requests which include tool_use blocks must define tools",
    )?;
    items(&body["tools"]).iter().try_for_each(|tool| {
        ensure(is_name(&tool["name"]) && tool["input_schema"].is_object(), "a tool has a name and a schema")
    })
}
