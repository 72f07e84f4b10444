//! The three wires, each with answers as its providers send them.

use greenroom::tools::model::{
    Attempt, History, HttpModel, HttpModelBuilder, ModelError, ModelErrorKind, ModelReply, ModelRequest,
    Origin,
};
use greenroom::{Model, ToolSpec};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire {
    Chat,
    Responses,
    Anthropic,
}

impl Wire {
    pub(crate) const ALL: [Wire; 3] = [Wire::Chat, Wire::Responses, Wire::Anthropic];

    pub(crate) fn at(self, url: &str) -> HttpModelBuilder {
        match self {
            Wire::Chat => HttpModel::openai_chat(url, "m-1"),
            Wire::Responses => HttpModel::openai_responses(url, "m-1"),
            Wire::Anthropic => HttpModel::anthropic(url, "m-1"),
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Wire::Chat => "/v1/chat/completions",
            Wire::Responses => "/v1/responses",
            Wire::Anthropic => "/v1/messages",
        }
    }

    /// An answer in one piece: a text and two calls.
    pub(crate) fn whole(self) -> String {
        let value = match self {
            Wire::Chat => json!({
                "id": "r-1", "model": "m-1-0613",
                "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": "Let me see.", "tool_calls": [
                        { "id": "a", "type": "function", "function": { "name": "look_up", "arguments": "{\"n\":1}" } },
                        { "id": "b", "type": "function", "function": { "name": "look_up", "arguments": "{\"n\":2}" } },
                    ] } }],
                "usage": { "prompt_tokens": 11, "completion_tokens": 7 },
            }),
            Wire::Responses => json!({
                "id": "r-1", "model": "m-1-0613", "status": "completed", "error": null, "output": [
                    { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Let me see." }] },
                    { "type": "function_call", "call_id": "a", "name": "look_up", "arguments": "{\"n\":1}" },
                    { "type": "function_call", "call_id": "b", "name": "look_up", "arguments": "{\"n\":2}" },
                ],
                "usage": { "input_tokens": 11, "output_tokens": 7 },
            }),
            Wire::Anthropic => json!({
                "id": "r-1", "type": "message", "model": "m-1-0613", "stop_reason": "tool_use", "content": [
                    { "type": "text", "text": "Let me see." },
                    { "type": "tool_use", "id": "a", "name": "look_up", "input": { "n": 1 } },
                    { "type": "tool_use", "id": "b", "name": "look_up", "input": { "n": 2 } },
                ],
                "usage": { "input_tokens": 11, "output_tokens": 7 },
            }),
        };
        value.to_string()
    }

    /// The same as a stream, event by event.
    pub(crate) fn events(self) -> Vec<String> {
        let values = match self {
            Wire::Chat => {
                let delta = |delta: serde_json::Value| json!({ "id": "r-1", "model": "m-1-0613", "choices": [{ "index": 0, "delta": delta }] });
                let call = |index: u64, id: &str, arguments: &str| {
                    delta(
                        json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": "look_up", "arguments": arguments } }] }),
                    )
                };
                let more = |index: u64, arguments: &str| {
                    delta(
                        json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] }),
                    )
                };
                vec![
                    delta(json!({ "role": "assistant", "content": "" })),
                    delta(json!({ "content": "Let me " })),
                    delta(json!({ "content": "see." })),
                    call(0, "a", "{\"n\""),
                    call(1, "b", ""),
                    more(0, ":1}"),
                    more(1, "{\"n\":2}"),
                    json!({ "id": "r-1", "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] }),
                    json!({ "id": "r-1", "choices": [], "usage": { "prompt_tokens": 11, "completion_tokens": 7 } }),
                ]
            }
            Wire::Responses => {
                let whole: serde_json::Value = serde_json::from_str(&self.whole()).unwrap();
                let made = json!({ "id": "r-1", "model": "m-1-0613", "status": "in_progress", "output": [] });
                let text = |number: u64, text: &str| json!({ "type": "response.output_text.delta", "sequence_number": number, "delta": text });
                vec![
                    json!({ "type": "response.created", "sequence_number": 0, "response": made }),
                    text(1, "Let me "),
                    text(2, "see."),
                    json!({ "type": "response.completed", "sequence_number": 3, "response": whole }),
                ]
            }
            Wire::Anthropic => {
                let begin = |index: u64, block: serde_json::Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
                let text = |text: &str| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } });
                let part = |index: u64, part: &str| json!({ "type": "content_block_delta", "index": index, "delta": { "type": "input_json_delta", "partial_json": part } });
                let tool = |id: &str| json!({ "type": "tool_use", "id": id, "name": "look_up", "input": {} });
                vec![
                    json!({ "type": "message_start", "message": { "id": "r-1", "model": "m-1-0613", "content": [], "usage": { "input_tokens": 11, "output_tokens": 1 } } }),
                    begin(0, json!({ "type": "text", "text": "" })),
                    text("Let me "),
                    text("see."),
                    begin(1, tool("a")),
                    part(1, "{\"n\""),
                    begin(2, tool("b")),
                    part(1, ":1}"),
                    part(2, "{\"n\":2}"),
                    json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 7 } }),
                    json!({ "type": "message_stop" }),
                ]
            }
        };
        let mut events: Vec<String> = values
            .iter()
            .map(|value| {
                let name = value["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
                format!("{name}data: {value}\n\n")
            })
            .collect();
        if self == Wire::Chat {
            events.push("data: [DONE]\n\n".to_owned());
        }
        events
    }
}

/// A request with a tool.
pub(crate) fn request() -> ModelRequest {
    let mut history = History::new();
    history.user(Origin::Customer, "my lamp is dark").unwrap();
    let tool = ToolSpec::new("look_up", "Looks up.", json!({ "type": "object" })).unwrap();
    ModelRequest::new("be kind", history, 500).unwrap().tool(tool).unwrap()
}

/// One attempt at [`request`].
pub(crate) async fn ask(model: &HttpModel) -> Result<ModelReply, ModelError> {
    model.attempt(&request(), Attempt::new().key("key-1").numbered(3)).await
}

/// The name of a kind.
pub(crate) fn kind(error: &ModelError) -> String {
    match &error.kind {
        ModelErrorKind::TimedOut(phase) => format!("{phase:?}"),
        kind => format!("{kind:?}").split([' ', '{', '(']).next().unwrap().to_owned(),
    }
}
