//! Chat Completions, as OpenAI and many others speak it.

use serde_json::{Value, json};

use crate::model::history::{AgentPart, ReplyPart, ToolCall, Turn};
use crate::model::reply::FinishReason;
use crate::model::request::ModelRequest;
use crate::model::usage::Usage;

use super::answer::{
    Answer, Assemble, Fault, Known, News, ProviderError, arguments, calls, json, marked, number, result_text,
    text, tool_name,
};
use super::sse::Event;

/// What is sent, but for the name of the model, the bound of the answer, and whether to stream.
pub(super) fn body(request: &ModelRequest) -> Value {
    let mut body = json!({ "messages": messages(request) });
    let (choice, output, temperature) = request.wanted();
    if !request.tools().is_empty() {
        let tool = |tool: &crate::model::ToolSpec| {
            json!({ "type": "function", "function": {
                "name": tool.name(), "description": tool.description(), "parameters": tool.input_schema(),
            } })
        };
        body["tools"] = request.tools().iter().map(tool).collect();
        body["tool_choice"] = json!(choice); // the words are the same
    }
    if let Some(output) = output {
        body["response_format"] = json!({ "type": "json_schema", "json_schema": {
            "name": output.name(), "schema": output.schema(), "strict": true,
        } });
    }
    if let Some(temperature) = temperature {
        body["temperature"] = temperature.into();
    }
    body
}

fn messages(request: &ModelRequest) -> Vec<Value> {
    let mut messages: Vec<Value> = Vec::new();
    if !request.instructions().trim().is_empty() {
        messages.push(json!({ "role": "system", "content": request.instructions() }));
    }
    let turns = request.history().turns();
    // What is said in one breath is one message: the templates of many models want the roles to take turns.
    let mut told = String::new();
    for turn in turns {
        match turn {
            Turn::User { origin, text } => {
                if !told.is_empty() {
                    told.push_str("\n\n");
                }
                told.push_str(&marked(*origin, text, turns));
            }
            Turn::Agent { parts } => {
                if !told.is_empty() {
                    messages.push(json!({ "role": "user", "content": std::mem::take(&mut told) }));
                }
                messages.push(assistant(parts));
                messages.extend(calls(parts).map(|(call, result)| {
                    json!({ "role": "tool", "tool_call_id": call.id, "content": result_text(result) })
                }));
            }
        }
    }
    if !told.is_empty() {
        messages.push(json!({ "role": "user", "content": told }));
    }
    messages
}

fn assistant(parts: &[AgentPart]) -> Value {
    let texts = parts.iter().filter_map(|part| match part {
        AgentPart::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    let made = calls(parts).map(|(call, _)| {
        let arguments = arguments(&call.arguments).to_string();
        let function = json!({ "name": tool_name(&call.name), "arguments": arguments });
        json!({ "id": call.id, "type": "function", "function": function })
    });
    let made: Vec<Value> = made.collect();
    let mut message = json!({ "role": "assistant", "content": text });
    if text.is_empty() {
        message["content"] = Value::Null;
    }
    if !made.is_empty() {
        message["tool_calls"] = made.into();
    }
    message
}

/// Reads an answer that came in one piece.
pub(super) fn whole(value: &Value) -> Result<Answer, Fault> {
    let mut assembly = Assembly::default();
    let choice = &value["choices"][0];
    if !choice["message"].is_object() {
        return Err(Fault::Garbage("no message in it".to_owned()));
    }
    assembly.take(value, &choice["message"], choice)?;
    // Some servers leave the reason out where all is well.
    assembly.known.finish.get_or_insert(FinishReason::Stop);
    Box::new(assembly).finish()
}

/// An answer out of chunks.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    known: Known,
    said: String,
    /// By the server's index; calls without one by their order.
    calls: Vec<(Option<u64>, ToolCall)>,
    done: bool,
}

impl Assembly {
    /// Takes a chunk, or a whole answer as the only chunk.
    fn take(&mut self, value: &Value, delta: &Value, choice: &Value) -> Result<News, Fault> {
        if let Some(error) = ProviderError::inside(value) {
            return Err(Fault::Provider(error));
        }
        let mut news = News::default();
        let known = &mut self.known;
        known.response_id = known.response_id.take().or_else(|| text(&value["id"]));
        known.model = text(&value["model"]).or_else(|| known.model.take());
        // Some servers count on in each chunk; the last count is the sum.
        known.usage = usage(&value["usage"]).or(known.usage);
        known.finish = choice["finish_reason"].as_str().map(finish).or_else(|| known.finish.take());

        for said in [&delta["content"], &delta["refusal"]] {
            match said {
                Value::String(said) => news.text.push_str(said),
                Value::Array(pieces) => {
                    pieces
                        .iter()
                        .filter_map(|piece| piece["text"].as_str())
                        .for_each(|text| news.text.push_str(text));
                }
                _ => {}
            }
        }
        self.said.push_str(&news.text);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.take_call(call);
            news.output = true;
        }
        let thought = ["reasoning_content", "reasoning"].iter().any(|name| text(&delta[*name]).is_some());
        news.output |= thought || !news.text.is_empty();
        Ok(news)
    }

    fn take_call(&mut self, delta: &Value) {
        let index = delta["index"].as_u64();
        let id = text(&delta["id"]);
        let at = match (index, &id) {
            (Some(_), _) => self.calls.iter().position(|(at, _)| *at == index),
            // Without an index: what has an id of its own begins a call, all else goes on with the last.
            (None, Some(id)) => self.calls.iter().position(|(_, call)| call.id == *id),
            (None, None) if text(&delta["function"]["name"]).is_some() => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        let at = at.unwrap_or_else(|| {
            let empty = ToolCall { id: String::new(), name: String::new(), arguments: String::new() };
            self.calls.push((index, empty));
            self.calls.len() - 1
        });
        let call = &mut self.calls[at].1;
        if let Some(id) = id {
            call.id = id;
        }
        if let Some(name) = text(&delta["function"]["name"]) {
            call.name = name;
        }
        match &delta["function"]["arguments"] {
            Value::String(more) => call.arguments.push_str(more),
            // By the book it is a string; some servers send the object itself.
            object @ Value::Object(_) => call.arguments.push_str(&object.to_string()),
            _ => {}
        }
    }
}

impl Assemble for Assembly {
    fn event(&mut self, event: &Event) -> Result<News, Fault> {
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(News { last: true, ..News::default() });
        }
        let value = json(&event.data)?;
        if event.name == "error" {
            let error = ProviderError::inside(&value).unwrap_or_else(|| ProviderError::of(&value));
            return Err(Fault::Provider(error));
        }
        let choice = &value["choices"][0];
        self.take(&value, &choice["delta"], choice)
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn is_whole(&self) -> bool {
        self.known.finish.is_some() || (self.done && !(self.said.is_empty() && self.calls.is_empty()))
    }

    fn finish(self: Box<Self>) -> Result<Answer, Fault> {
        if !self.is_whole() {
            return Err(Fault::Cut);
        }
        let mut known = self.known;
        let mut parts = Vec::new();
        if !self.said.is_empty() {
            parts.push(ReplyPart::Text(self.said));
        }
        let mut calls = self.calls;
        // Stable: calls without an index stay as they came.
        calls.sort_by_key(|(index, _)| *index);
        if known.finish.as_ref().is_none_or(|finish| *finish == FinishReason::Stop) {
            let finish = if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
            known.finish = Some(finish);
        }
        parts.extend(calls.into_iter().map(|(_, call)| ReplyPart::Call(call)));
        Ok(Answer { parts, known })
    }
}

fn finish(word: &str) -> FinishReason {
    match word {
        "stop" => FinishReason::Stop,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "length" => FinishReason::MaxTokens,
        "content_filter" => FinishReason::Filtered,
        other => FinishReason::Other(other.to_owned()),
    }
}

fn usage(value: &Value) -> Option<Usage> {
    value.as_object()?;
    Some(Usage {
        input_tokens: number(&value["prompt_tokens"]),
        output_tokens: number(&value["completion_tokens"]),
        cache_read_tokens: number(&value["prompt_tokens_details"]["cached_tokens"]),
        cache_creation_tokens: 0,
        reasoning_tokens: number(&value["completion_tokens_details"]["reasoning_tokens"]),
        estimated: false,
    })
}
