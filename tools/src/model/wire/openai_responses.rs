//! OpenAI's Responses, also in the background.

use serde_json::{Value, json};

use crate::model::history::{AgentPart, OpaquePart, ReplyPart, ToolCall, Turn};
use crate::model::reply::FinishReason;
use crate::model::request::ModelRequest;
use crate::model::usage::Usage;

use super::answer::{
    Answer, Assemble, Fault, Known, News, ProviderError, arguments, json, marked, number, result_text, text,
    tool_name,
};
use super::sse::Event;

/// What is sent, but for the name of the model, whether to stream, and whether in the background.
pub(super) fn body(request: &ModelRequest, provider: &str) -> Value {
    let mut body = json!({
        "input": items(request, provider),
        "max_output_tokens": request.max_output_tokens(),
    });
    if !request.instructions().trim().is_empty() {
        body["instructions"] = request.instructions().into();
    }
    let (choice, output, temperature) = request.wanted();
    if !request.tools().is_empty() {
        let tool = |tool: &crate::model::ToolSpec| {
            json!({
                "type": "function", "name": tool.name(), "description": tool.description(),
                // Strict is the default here, and takes only a part of what a schema may say.
                "parameters": tool.input_schema(), "strict": false,
            })
        };
        body["tools"] = request.tools().iter().map(tool).collect();
        body["tool_choice"] = json!(choice); // the words are the same
    }
    if let Some(output) = output {
        body["text"] = json!({ "format": {
            "type": "json_schema", "name": output.name(), "schema": output.schema(), "strict": true,
        } });
    }
    if let Some(temperature) = temperature {
        body["temperature"] = temperature.into();
    }
    body
}

fn items(request: &ModelRequest, provider: &str) -> Vec<Value> {
    let turns = request.history().turns();
    let mut items = Vec::new();
    for turn in turns {
        match turn {
            Turn::User { origin, text } => {
                items.push(json!({ "role": "user", "content": marked(*origin, text, turns) }));
            }
            Turn::Agent { parts } => {
                for part in parts {
                    match part {
                        AgentPart::Text(text) => items.push(json!({ "role": "assistant", "content": text })),
                        AgentPart::Call { call, .. } => items.push(json!({
                            "type": "function_call", "call_id": call.id, "name": tool_name(&call.name),
                            "arguments": arguments(&call.arguments).to_string(),
                        })),
                        AgentPart::Opaque(part) if part.provider == provider => {
                            items.extend(serde_json::from_str::<Value>(&part.json).ok());
                        }
                        AgentPart::Opaque(_) => {}
                    }
                }
                items.extend(super::answer::calls(parts).map(|(call, result)| {
                    json!({
                        "type": "function_call_output", "call_id": call.id, "output": result_text(result),
                    })
                }));
            }
        }
    }
    items
}

/// Reads a response, whole or still in the making.
pub(super) fn whole(value: &Value, provider: &str) -> Result<Answer, Fault> {
    if let Some(error) = ProviderError::inside(value) {
        return Err(Fault::Provider(error));
    }
    let mut known = Known {
        response_id: text(&value["id"]),
        model: text(&value["model"]),
        usage: usage(&value["usage"]),
        ..Known::default()
    };
    match value["status"].as_str() {
        Some("queued" | "in_progress") => return Err(Fault::NotYet(Box::new(known))),
        Some("failed" | "cancelled") => {
            let message = format!("the response is {}", value["status"]);
            return Err(Fault::Provider(ProviderError { kind: "server_error".to_owned(), message }));
        }
        _ => {}
    }
    let Some(output) = value["output"].as_array() else {
        return Err(Fault::Garbage("no output in it".to_owned()));
    };
    let parts = parts(output, provider);
    known.finish = Some(finish(value, output, &parts));
    Ok(Answer { parts, known })
}

fn parts(output: &[Value], provider: &str) -> Vec<ReplyPart> {
    let mut parts = Vec::new();
    for item in output {
        let field = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                let pieces = item["content"].as_array().into_iter().flatten();
                let said = pieces.filter_map(|piece| piece["text"].as_str().or(piece["refusal"].as_str()));
                parts.push(ReplyPart::Text(said.collect()));
            }
            "function_call" => parts.push(ReplyPart::Call(ToolCall {
                id: field("call_id"),
                name: field("name"),
                arguments: field("arguments"),
            })),
            // A thought can be sent back only if all of it is in the item; the id alone means something to a server that
            // has stored it.
            "reasoning" if item["encrypted_content"].is_string() => {
                let mut kept = item.clone();
                if let Some(object) = kept.as_object_mut() {
                    object
                        .retain(|name, _| matches!(&**name, "type" | "id" | "summary" | "encrypted_content"));
                }
                let (provider, json) = (provider.to_owned(), kept.to_string());
                parts.push(ReplyPart::Opaque(OpaquePart { provider, json }));
            }
            _ => {}
        }
    }
    parts
}

fn finish(value: &Value, output: &[Value], parts: &[ReplyPart]) -> FinishReason {
    let pieces = output.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
    let refused = pieces.into_iter().any(|piece| piece["type"] == "refusal");
    match value["incomplete_details"]["reason"].as_str() {
        Some("max_output_tokens") => FinishReason::MaxTokens,
        Some("content_filter") => FinishReason::Filtered,
        Some(other) => FinishReason::Other(other.to_owned()),
        None if refused => FinishReason::Filtered,
        None if parts.iter().any(|part| matches!(part, ReplyPart::Call(_))) => FinishReason::ToolCalls,
        None => FinishReason::Stop,
    }
}

/// An answer out of events. The last one has all of it; those before are for whoever watches.
#[derive(Debug)]
pub(super) struct Assembly {
    provider: String,
    known: Known,
    /// In case that the last event has no output, as some servers do.
    items: Vec<Value>,
    response: Option<Value>,
}

impl Assembly {
    pub(super) fn new(provider: &str) -> Self {
        Assembly { provider: provider.to_owned(), known: Known::default(), items: Vec::new(), response: None }
    }
}

impl Assemble for Assembly {
    fn event(&mut self, event: &Event) -> Result<News, Fault> {
        if event.data.trim() == "[DONE]" {
            return Ok(News { last: true, ..News::default() });
        }
        let value = json(&event.data)?;
        let mut news = News::default();
        let known = &mut self.known;
        known.cursor = value["sequence_number"].as_u64().or(known.cursor);
        let response = &value["response"];
        known.response_id = known.response_id.take().or_else(|| text(&response["id"]));
        known.model = text(&response["model"]).or_else(|| known.model.take());
        known.usage = usage(&response["usage"]).or(known.usage);

        let kind = value["type"].as_str().unwrap_or(&event.name);
        match kind {
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.response = Some(response.clone());
                news.last = true;
            }
            "response.output_item.done" => {
                self.items.push(value["item"].clone());
                news.output = true;
            }
            "response.output_text.delta" => {
                news.text = value["delta"].as_str().unwrap_or_default().to_owned();
                news.output = true;
            }
            "error" => {
                let error = ProviderError::inside(&value).filter(|_| value["error"].is_object());
                return Err(Fault::Provider(error.unwrap_or_else(|| ProviderError::of(&value))));
            }
            _ => news.output = kind.ends_with(".delta"),
        }
        Ok(news)
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn is_whole(&self) -> bool {
        self.response.is_some()
    }

    fn finish(self: Box<Self>) -> Result<Answer, Fault> {
        let Some(mut response) = self.response else { return Err(Fault::Cut) };
        if !response.is_object() {
            return Err(Fault::Garbage("an end without a response".to_owned()));
        }
        if response["output"].as_array().is_none_or(Vec::is_empty) {
            response["output"] = self.items.into();
        }
        let mut answer = whole(&response, &self.provider)?;
        answer.known.response_id = answer.known.response_id.or(self.known.response_id);
        answer.known.cursor = self.known.cursor;
        Ok(answer)
    }
}

fn usage(value: &Value) -> Option<Usage> {
    value.as_object()?;
    Some(Usage {
        input_tokens: number(&value["input_tokens"]),
        output_tokens: number(&value["output_tokens"]),
        cache_read_tokens: number(&value["input_tokens_details"]["cached_tokens"]),
        cache_creation_tokens: 0,
        reasoning_tokens: number(&value["output_tokens_details"]["reasoning_tokens"]),
        estimated: false,
    })
}
