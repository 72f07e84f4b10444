//! Anthropic's Messages.

use serde_json::{Value, json};

use crate::model::history::{AgentPart, OpaquePart, ReplyPart, ToolCall, ToolOutcome, Turn};
use crate::model::reply::FinishReason;
use crate::model::request::{ModelRequest, ToolChoice};
use crate::model::usage::Usage;

use super::answer::{
    Answer, Assemble, Fault, Known, News, ProviderError, arguments, calls, json, marked, number, result_text,
    text, tool_name,
};
use super::sse::Event;

/// What is sent, but for the name of the model and whether to stream.
pub(super) fn body(request: &ModelRequest, provider: &str) -> Value {
    let mut body = json!({
        "max_tokens": request.max_output_tokens(),
        "messages": messages(request, provider),
    });
    if !request.instructions().trim().is_empty() {
        body["system"] = request.instructions().into();
    }
    let (choice, output, temperature) = request.wanted();
    let offered = request.tools().iter().map(|tool| {
        json!({
            "name": tool.name(), "description": tool.description(), "input_schema": tool.input_schema(),
        })
    });
    let mut tools: Vec<Value> = offered.collect();
    let mut choice = match choice {
        ToolChoice::Auto => "auto",
        ToolChoice::None => "none",
        ToolChoice::Required => "any",
    };
    if tools.is_empty() {
        // Messages with calls want the tools to be named, also where, after a handoff, none is on offer any more.
        tools = called_tools(request);
        choice = "none";
    }
    if !tools.is_empty() {
        body["tools"] = tools.into();
        body["tool_choice"] = json!({ "type": choice });
    }
    if let Some(output) = output {
        body["output_config"] = json!({ "format": { "type": "json_schema", "schema": output.schema() } });
    }
    if let Some(temperature) = temperature {
        body["temperature"] = temperature.into();
    }
    body
}

fn called_tools(request: &ModelRequest) -> Vec<Value> {
    let mut names: Vec<String> = Vec::new();
    for turn in request.history().turns() {
        if let Turn::Agent { parts } = turn {
            names.extend(calls(parts).map(|(call, _)| tool_name(&call.name)));
        }
    }
    names.sort_unstable();
    names.dedup();
    let tool = |name: &String| json!({ "name": name, "input_schema": { "type": "object" } });
    names.iter().map(tool).collect()
}

fn messages(request: &ModelRequest, provider: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    let turns = request.history().turns();
    // The results of calls come first in the message behind them, then what else is said to the agent.
    let mut told: Vec<Value> = Vec::new();
    for turn in turns {
        match turn {
            Turn::User { origin, text } => {
                told.push(json!({ "type": "text", "text": marked(*origin, text, turns) }));
            }
            Turn::Agent { parts } => {
                if !told.is_empty() {
                    messages.push(json!({ "role": "user", "content": std::mem::take(&mut told) }));
                }
                let blocks: Vec<Value> = parts.iter().filter_map(|part| block(part, provider)).collect();
                messages.push(json!({ "role": "assistant", "content": blocks }));
                told.extend(calls(parts).map(|(call, result)| {
                    let content = match result.outcome {
                        ToolOutcome::Ok | ToolOutcome::Error => result.text.clone(),
                        _ => result_text(result),
                    };
                    json!({
                        "type": "tool_result", "tool_use_id": call.id, "content": content,
                        "is_error": result.outcome != ToolOutcome::Ok,
                    })
                }));
            }
        }
    }
    if !told.is_empty() {
        messages.push(json!({ "role": "user", "content": told }));
    }
    messages
}

fn block(part: &AgentPart, provider: &str) -> Option<Value> {
    match part {
        AgentPart::Text(text) => Some(json!({ "type": "text", "text": text })),
        AgentPart::Call { call, .. } => Some(json!({
            "type": "tool_use", "id": call.id, "name": tool_name(&call.name),
            "input": arguments(&call.arguments),
        })),
        AgentPart::Opaque(opaque) if opaque.provider == provider => serde_json::from_str(&opaque.json).ok(),
        AgentPart::Opaque(_) => None,
    }
}

/// Reads an answer that came in one piece.
pub(super) fn whole(value: &Value, provider: &str) -> Result<Answer, Fault> {
    if let Some(error) = ProviderError::inside(value) {
        return Err(Fault::Provider(error));
    }
    let Some(blocks) = value["content"].as_array() else {
        return Err(Fault::Garbage("no content in it".to_owned()));
    };
    let mut assembly = Assembly::new(provider);
    assembly.take_message(value);
    assembly.blocks =
        blocks.iter().map(|block| Block { value: block.clone(), json: String::new() }).collect();
    assembly.known.finish.get_or_insert(FinishReason::Stop);
    Box::new(assembly).finish()
}

/// An answer out of events.
#[derive(Debug)]
pub(super) struct Assembly {
    provider: String,
    known: Known,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    value: Value,
    /// The arguments of a call, as they come.
    json: String,
}

/// More blocks than any answer has; an index behind it is a fault and no reason to reserve memory.
const BLOCKS_MAX: usize = 4_096;

impl Assembly {
    pub(super) fn new(provider: &str) -> Self {
        Assembly { provider: provider.to_owned(), known: Known::default(), blocks: Vec::new() }
    }

    fn take_message(&mut self, message: &Value) {
        self.known.response_id = text(&message["id"]);
        self.known.model = text(&message["model"]);
        self.known.finish = message["stop_reason"].as_str().map(finish);
        self.take_usage(&message["usage"]);
    }

    /// Counts are sums; what a later event leaves out stays.
    fn take_usage(&mut self, value: &Value) {
        if !value.is_object() {
            return;
        }
        let before = self.known.usage.unwrap_or_default();
        let (read, created) =
            (value["cache_read_input_tokens"].as_u64(), value["cache_creation_input_tokens"].as_u64());
        let read = read.unwrap_or(before.cache_read_tokens);
        let created = created.unwrap_or(before.cache_creation_tokens);
        let fresh_before =
            before.input_tokens.saturating_sub(before.cache_read_tokens + before.cache_creation_tokens);
        let fresh = value["input_tokens"].as_u64().unwrap_or(fresh_before);
        self.known.usage = Some(Usage {
            input_tokens: fresh.saturating_add(read).saturating_add(created),
            output_tokens: value["output_tokens"].as_u64().unwrap_or(before.output_tokens),
            cache_read_tokens: read,
            cache_creation_tokens: created,
            reasoning_tokens: number(&value["output_tokens_details"]["thinking_tokens"])
                .max(before.reasoning_tokens),
            estimated: false,
        });
    }

    fn block_at(&mut self, value: &Value) -> Result<&mut Block, Fault> {
        let at = value["index"].as_u64().and_then(|at| usize::try_from(at).ok());
        let block = at.and_then(|at| self.blocks.get_mut(at));
        block.ok_or_else(|| Fault::Garbage("a delta for a block that was not begun".to_owned()))
    }

    fn take_delta(&mut self, value: &Value) -> Result<String, Fault> {
        let delta = &value["delta"];
        let block = self.block_at(value)?;
        let (name, more) = match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => ("text", &delta["text"]),
            "thinking_delta" => ("thinking", &delta["thinking"]),
            "signature_delta" => ("signature", &delta["signature"]),
            "input_json_delta" => {
                block.json.push_str(delta["partial_json"].as_str().unwrap_or_default());
                return Ok(String::new());
            }
            // New kinds may come at any time.
            _ => return Ok(String::new()),
        };
        let more = more.as_str().unwrap_or_default();
        if !block.value.is_object() {
            return Err(Fault::Garbage("a block that is no object".to_owned()));
        }
        match &mut block.value[name] {
            Value::String(text) => text.push_str(more),
            other => *other = more.into(),
        }
        Ok(if name == "text" { more.to_owned() } else { String::new() })
    }
}

impl Assemble for Assembly {
    fn event(&mut self, event: &Event) -> Result<News, Fault> {
        let value = json(&event.data)?;
        let mut news = News::default();
        match value["type"].as_str().unwrap_or(&event.name) {
            "message_start" => self.take_message(&value["message"]),
            "content_block_start" => {
                if self.blocks.len() >= BLOCKS_MAX {
                    return Err(Fault::Garbage("too many blocks".to_owned()));
                }
                let block = value["content_block"].clone();
                news.text = block["text"].as_str().unwrap_or_default().to_owned();
                news.output = true;
                self.blocks.push(Block { value: block, json: String::new() });
            }
            "content_block_delta" => {
                news.text = self.take_delta(&value)?;
                news.output = true;
            }
            "message_delta" => {
                self.known.finish =
                    value["delta"]["stop_reason"].as_str().map(finish).or(self.known.finish.take());
                self.take_usage(&value["usage"]);
            }
            "message_stop" => news.last = true,
            "error" => {
                let error = ProviderError::inside(&value).unwrap_or_else(|| ProviderError::of(&value));
                return Err(Fault::Provider(error));
            }
            _ => {
                if let Some(error) = ProviderError::inside(&value) {
                    return Err(Fault::Provider(error));
                }
            }
        }
        Ok(news)
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn is_whole(&self) -> bool {
        self.known.finish.is_some()
    }

    fn finish(self: Box<Self>) -> Result<Answer, Fault> {
        if !self.is_whole() {
            return Err(Fault::Cut);
        }
        let mut parts = Vec::new();
        for Block { value, json } in self.blocks {
            let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            match value["type"].as_str().unwrap_or_default() {
                "text" => parts.push(ReplyPart::Text(field("text"))),
                "tool_use" => {
                    let arguments = if json.is_empty() { value["input"].to_string() } else { json };
                    parts.push(ReplyPart::Call(ToolCall { id: field("id"), name: field("name"), arguments }));
                }
                _ => parts.push(ReplyPart::Opaque(OpaquePart {
                    provider: self.provider.clone(),
                    json: value.to_string(),
                })),
            }
        }
        Ok(Answer { parts, known: self.known })
    }
}

fn finish(word: &str) -> FinishReason {
    match word {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::MaxTokens,
        "refusal" => FinishReason::Filtered,
        other => FinishReason::Other(other.to_owned()),
    }
}
