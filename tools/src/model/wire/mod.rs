//! Models of providers over HTTP: three wires, one way of asking.

mod answer; // an answer in the making, what can be wrong with it
mod anthropic; // Messages
mod builder; // how a model is set up
mod exchange; // one request, and what comes back
mod openai_chat; // Chat Completions
mod openai_responses; // Responses, also in the background
mod reading; // a body, with its bounds
mod sse; // events out of bytes
mod verdict; // what a refusal means

#[cfg(test)]
mod tests;

use std::time::Duration;

use greenroom_runtime::Clock;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::attempt::{Anchor, Attempt};
use super::client::{Model, ModelFuture};
use super::key::KeySource;
use super::request::ModelRequest;

use answer::{Answer, Assemble, Fault};

pub use builder::{HttpModelBuilder, HttpModelError};

/// A model of a provider, over HTTP.
///
/// | made by | posts to | key in |
/// |---|---|---|
/// | [`openai_chat`](HttpModel::openai_chat) | `URL/chat/completions` | `Authorization: Bearer` |
/// | [`openai_responses`](HttpModel::openai_responses) | `URL/responses` | `Authorization: Bearer` |
/// | [`anthropic`](HttpModel::anthropic) | `URL/v1/messages`, or `URL/messages` if the URL ends with `/v1` | `x-api-key` |
///
/// No retries, no redirects, no proxy but by [`ambient_proxy`](HttpModelBuilder::ambient_proxy). Connections are kept and
/// used again; they are served by tasks of the tokio runtime the attempts run in, and closed with the model.
///
/// ```
/// use greenroom_tools::model::{HttpModel, KeySource};
///
/// let model = HttpModel::openai_chat("https://api.openai.com/v1", "gpt-5-mini")
///     .key(KeySource::env("OPENAI_API_KEY"))
///     .build()?;
/// # Ok::<(), greenroom_tools::model::HttpModelError>(())
/// ```
pub struct HttpModel {
    wire: Wire,
    url: Url,
    provider: String,
    model: String,
    key: KeySource,
    output: Output,
    background: bool,
    bound_field: &'static str,
    extra: Map<String, Value>,
    headers: HeaderMap,
    bounds: Bounds,
    client: reqwest::Client,
    clock: Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Chat,
    Responses,
    Anthropic,
}

/// Whether an answer comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Streamed,
    Whole,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    first_byte: Duration,
    idle: Duration,
    total: Duration,
    poll_every: Duration,
    body_bytes: usize,
}

impl HttpModel {
    /// Chat Completions, as OpenAI and most other servers speak it. The URL is what stands before `/chat/completions`.
    pub fn openai_chat(url: impl AsRef<str>, model: impl Into<String>) -> HttpModelBuilder {
        HttpModelBuilder::new(Wire::Chat, url.as_ref(), model.into())
    }

    /// Responses, as OpenAI speaks it. The URL is what stands before `/responses`.
    pub fn openai_responses(url: impl AsRef<str>, model: impl Into<String>) -> HttpModelBuilder {
        HttpModelBuilder::new(Wire::Responses, url.as_ref(), model.into())
    }

    /// Anthropic's Messages. The URL is what stands before `/v1/messages`, or before `/messages`.
    pub fn anthropic(url: impl AsRef<str>, model: impl Into<String>) -> HttpModelBuilder {
        HttpModelBuilder::new(Wire::Anthropic, url.as_ref(), model.into())
    }

    /// The body that is sent for `request`: for tests, and for whoever wants to see it. It contains no key.
    pub fn body(&self, request: &ModelRequest) -> Value {
        let streamed = self.output == Output::Streamed;
        let mut body = match self.wire {
            Wire::Chat => {
                let mut body = openai_chat::body(request);
                body[self.bound_field] = request.max_output_tokens().into();
                if streamed {
                    body["stream_options"] = json!({ "include_usage": true });
                }
                body
            }
            Wire::Responses => {
                let mut body = openai_responses::body(request, &self.provider);
                // What runs in the background must be stored; nothing else has to be.
                body["store"] = self.background.into();
                if self.background {
                    body["background"] = true.into();
                }
                body
            }
            Wire::Anthropic => anthropic::body(request, &self.provider),
        };
        body["model"] = self.model.as_str().into();
        body["stream"] = streamed.into();
        for (name, value) in &self.extra {
            body[name] = value.clone();
        }
        body
    }

    fn post_url(&self) -> Url {
        match self.wire {
            Wire::Chat => below(&self.url, &["chat", "completions"]),
            Wire::Responses => below(&self.url, &["responses"]),
            Wire::Anthropic if self.url.path().trim_end_matches('/').ends_with("/v1") => {
                below(&self.url, &["messages"])
            }
            Wire::Anthropic => below(&self.url, &["v1", "messages"]),
        }
    }

    /// Where the answer of an earlier attempt is found.
    fn anchor_url(&self, response_id: &str, streamed: Option<Option<u64>>) -> Url {
        let mut url = below(&self.url, &["responses", response_id]);
        if let Some(cursor) = streamed {
            let mut query = url.query_pairs_mut();
            query.append_pair("stream", "true");
            if let Some(cursor) = cursor {
                query.append_pair("starting_after", &cursor.to_string());
            }
        }
        url
    }

    /// The anchor that the attempt is to pick up, if this model can.
    fn usable_anchor<'a>(&self, attempt: &Attempt<'a>) -> Option<&'a Anchor> {
        let known = |anchor: &&Anchor| self.wire == Wire::Responses && anchor.provider == self.provider;
        attempt.anchor().filter(known)
    }

    fn assembly(&self) -> Box<dyn Assemble> {
        match self.wire {
            Wire::Chat => Box::new(openai_chat::Assembly::default()),
            Wire::Responses => Box::new(openai_responses::Assembly::new(&self.provider)),
            Wire::Anthropic => Box::new(anthropic::Assembly::new(&self.provider)),
        }
    }

    fn whole(&self, body: &[u8]) -> Result<Answer, Fault> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Fault::Garbage(format!("no JSON: {error}")))?;
        if let Some(error) = answer::ProviderError::inside(&value) {
            return Err(Fault::Provider(error));
        }
        match self.wire {
            Wire::Chat => openai_chat::whole(&value),
            Wire::Responses => openai_responses::whole(&value, &self.provider),
            Wire::Anthropic => anthropic::whole(&value, &self.provider),
        }
    }
}

/// `url` with more segments behind its path; what it asks for in its query stays.
fn below(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    // The builder takes http and https only, and those have segments.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

impl Model for HttpModel {
    fn provider(&self) -> &str {
        &self.provider
    }

    fn model(&self) -> &str {
        &self.model
    }

    fn attempt<'a>(&'a self, request: &'a ModelRequest, attempt: Attempt<'a>) -> ModelFuture<'a> {
        Box::pin(self.run(request, attempt))
    }
}

impl std::fmt::Debug for HttpModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the query: some servers take their key there.
        let mut url = self.url.clone();
        url.set_query(None);
        f.debug_struct("HttpModel")
            .field("wire", &self.wire)
            .field("url", &url.as_str())
            .field("model", &self.model)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
