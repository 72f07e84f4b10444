//! One attempt over HTTP: the request, and what comes back, with all that is learned on the way.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::model::attempt::{Anchor, Attempt, AttemptEvent, AttemptFacts};
use crate::model::error::{ModelError, ModelErrorKind, TimeoutPhase};
use crate::model::reply::{FinishReason, ModelReply};
use crate::model::request::ModelRequest;

use super::answer::{Answer, Assemble, Fault, Known, usage_of};
use super::reading::{Reading, chain};
use super::sse::{Event, Events};
use super::verdict::{keep_headers, of_fault, of_status};
use super::{HttpModel, Output, Wire};

/// The version of Anthropic's API that the wire is written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// Longest body of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// One attempt under way.
struct Exchange<'a> {
    model: &'a HttpModel,
    request: &'a ModelRequest,
    attempt: Attempt<'a>,
    begun: Instant,
    key: Option<SecretString>,
    /// Lives outside of the future that runs, so that a timeout loses nothing of it.
    facts: &'a mut AttemptFacts,
}

impl HttpModel {
    pub(super) async fn run(
        &self,
        request: &ModelRequest,
        attempt: Attempt<'_>,
    ) -> Result<ModelReply, ModelError> {
        let begun = self.clock.now();
        let mut facts = Box::new(AttemptFacts {
            provider: self.provider.clone(),
            model_asked: self.model.clone(),
            request_hash: request.hash(),
            ..AttemptFacts::default()
        });
        let limit =
            attempt.time_left(&self.clock).map_or(self.bounds.total, |left| left.min(self.bounds.total));
        let outcome = match self.key.read() {
            Err(error) => {
                Err(ModelErrorKind::BadKey { from: self.key.to_string(), message: error.to_string() })
            }
            Ok(_) if limit.is_zero() => {
                // Too late to begin: nothing was sent.
                let message = "the deadline had passed".to_owned();
                Err(ModelErrorKind::Connection { sent: false, message })
            }
            Ok(key) => {
                let text = key.as_ref().map(|key| key.expose_secret().to_owned().into());
                let mut exchange = Exchange { model: self, request, attempt, begun, key, facts: &mut facts };
                let outcome = self.clock.within(limit, exchange.ask()).await;
                let outcome = outcome.unwrap_or(Err(ModelErrorKind::TimedOut(TimeoutPhase::Total)));
                outcome.map_err(|kind| without_key(kind, text.as_ref()))
            }
        };
        facts.took = self.clock.now() - begun;
        match outcome {
            Err(kind) => Err(ModelError { kind, facts }),
            Ok(answer) => {
                facts.keep(&answer.known);
                let usage = usage_of(&answer.known, &answer.parts, request);
                facts.usage = Some(usage);
                let finish = answer.known.finish.unwrap_or(FinishReason::Stop);
                facts.finish = Some(finish.clone());
                Ok(ModelReply { parts: answer.parts, finish, usage, facts })
            }
        }
    }
}

impl Exchange<'_> {
    async fn ask(&mut self) -> Result<Answer, ModelErrorKind> {
        let mut http = match self.model.usable_anchor(&self.attempt) {
            Some(anchor) => {
                self.facts.reattached = true;
                let streamed = (self.model.output == Output::Streamed).then_some(anchor.cursor);
                self.get(self.model.anchor_url(&anchor.response_id, streamed))
            }
            None => {
                let http = self.start(Method::POST, self.model.post_url());
                let body = self.model.body(self.request).to_string();
                http.header(CONTENT_TYPE, "application/json").body(body)
            }
        };
        loop {
            let first_by = self.model.clock.after(self.model.bounds.first_byte);
            let response = self.send(http, first_by).await?;
            match self.read(response, first_by).await? {
                Ok(answer) => return Ok(answer),
                Err(Fault::NotYet(known)) => {
                    let Some(id) = known.response_id.clone() else {
                        return Err(of_fault(Fault::NotYet(known), ""));
                    };
                    self.learn(&known);
                    self.model.clock.sleep(self.model.bounds.poll_every).await;
                    http = self.get(self.model.anchor_url(&id, None));
                }
                Err(fault) => return Err(of_fault(fault, &self.model.key.to_string())),
            }
        }
    }

    fn get(&self, url: Url) -> RequestBuilder {
        self.start(Method::GET, url)
    }

    fn start(&self, method: Method, url: Url) -> RequestBuilder {
        let http = self.model.client.request(method, url).headers(self.model.headers.clone());
        let accepted = match self.model.output {
            Output::Streamed => "text/event-stream, application/json",
            Output::Whole => "application/json",
        };
        let mut http = http.header(ACCEPT, accepted);
        if let Some(key) = self.attempt.idempotency_key() {
            http = http.header("idempotency-key", key);
        }
        if self.model.wire == Wire::Anthropic {
            http = http.header("anthropic-version", ANTHROPIC_VERSION);
        }
        http
    }

    /// Sends, and waits for the head of an answer that is no refusal.
    async fn send(&mut self, http: RequestBuilder, first_by: Instant) -> Result<Response, ModelErrorKind> {
        let model = self.model;
        let mut http = http.build().map_err(|error| {
            // A key for repeats that is no header is the only part that was not checked when the model was made.
            ModelErrorKind::Refused { message: chain(error) }
        })?;
        if let Some(key) = &self.key {
            let (name, value) = match model.wire {
                Wire::Anthropic => ("x-api-key".parse().ok(), HeaderValue::try_from(key.expose_secret())),
                _ => (Some(AUTHORIZATION), format!("Bearer {}", key.expose_secret()).try_into()),
            };
            let (Some(name), Ok(mut value)) = (name, value) else {
                let message = "it has characters that no header can have".to_owned();
                return Err(ModelErrorKind::BadKey { from: model.key.to_string(), message });
            };
            value.set_sensitive(true);
            http.headers_mut().insert(name, value);
        }
        let limit = first_by.saturating_duration_since(model.clock.now());
        let response = match model.clock.within(limit, model.client.execute(http)).await {
            None => return Err(ModelErrorKind::TimedOut(TimeoutPhase::FirstByte)),
            Some(Err(error)) if error.is_connect() && error.is_timeout() => {
                return Err(ModelErrorKind::TimedOut(TimeoutPhase::Connect));
            }
            Some(Err(error)) => {
                let sent = !error.is_connect();
                return Err(ModelErrorKind::Connection { sent, message: chain(error) });
            }
            Some(Ok(response)) => response,
        };
        self.facts.status = Some(response.status().as_u16());
        keep_headers(self.facts, response.headers(), model.clock.wall_ms());
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = self.refusal(response, first_by).await;
        Err(of_status(status, &String::from_utf8_lossy(&body), &model.key.to_string()))
    }

    /// As much as arrives of a refusal; its status says enough if nothing does.
    async fn refusal(&self, response: Response, first_by: Instant) -> Vec<u8> {
        let bounds = &self.model.bounds;
        let mut reading = Reading::new(response, &self.model.clock, first_by, bounds.idle, REFUSAL_BYTES_MAX);
        let mut body = Vec::new();
        while let Ok(Some(piece)) = reading.next().await {
            body.extend_from_slice(piece.as_ref());
        }
        body
    }

    /// Reads a body: a stream of events, or one piece of JSON, whichever it is.
    async fn read(
        &mut self,
        response: Response,
        first_by: Instant,
    ) -> Result<Result<Answer, Fault>, ModelErrorKind> {
        let model = self.model;
        let told = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut is_stream = match told.map(str::to_ascii_lowercase) {
            Some(told) if told.contains("event-stream") => Some(true),
            Some(told) if told.contains("json") => Some(false),
            // Some servers say nothing, or something else: the first character tells.
            _ => None,
        };
        let bounds = &model.bounds;
        let mut reading = Reading::new(response, &model.clock, first_by, bounds.idle, bounds.body_bytes);
        let mut body = Vec::new();
        let mut events = Events::default();
        let mut assembly = model.assembly();
        loop {
            let piece = match reading.next().await {
                Ok(piece) => piece,
                // The answer is here; only what was to be said about it is not.
                Err(_) if assembly.is_whole() => break,
                Err(kind) => return Err(kind),
            };
            let Some(piece) = piece else { break };
            let piece = piece.as_ref();
            is_stream = is_stream.or_else(|| {
                let first = piece.iter().find(|byte| !byte.is_ascii_whitespace())?;
                Some(*first != b'{')
            });
            if is_stream != Some(true) {
                // Blanks keep a connection alive and are no output.
                if piece.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    self.note_output();
                }
                body.extend_from_slice(piece);
                continue;
            }
            for event in events.push(piece) {
                match self.take(&event, &mut *assembly) {
                    Err(fault) => return Ok(Err(fault)),
                    Ok(false) => {}
                    Ok(true) => {
                        reading.take_end().await;
                        return Ok(assembly.finish());
                    }
                }
            }
        }
        if is_stream == Some(true) {
            if let Some(event) = events.finish()
                && let Err(fault) = self.take(&event, &mut *assembly)
                // A half of an event at the end is a cut, unless the answer is here.
                && !matches!(fault, Fault::Garbage(_))
            {
                return Ok(Err(fault));
            }
            return Ok(assembly.finish());
        }
        let answer = model.whole(&body);
        if let Ok(answer) = &answer {
            self.learn(&answer.known);
            for part in &answer.parts {
                if let crate::model::ReplyPart::Text(text) = part {
                    self.attempt.tell_text(text);
                }
            }
        }
        Ok(answer)
    }

    /// Takes an event. `true`: it was the last.
    fn take(&mut self, event: &Event, assembly: &mut dyn Assemble) -> Result<bool, Fault> {
        let news = assembly.event(event);
        self.learn(assembly.known());
        let news = news?;
        if news.output {
            self.note_output();
        }
        if !news.text.is_empty() {
            self.attempt.tell_text(&news.text);
        }
        Ok(news.last)
    }

    fn note_output(&mut self) {
        if !self.facts.had_output {
            let after = self.model.clock.now() - self.begun;
            self.facts.had_output = true;
            self.facts.first_output_after = Some(after);
            self.attempt.tell(AttemptEvent::FirstOutput(after));
        }
    }

    /// Keeps what is known of the answer, and tells its id the first time.
    fn learn(&mut self, known: &Known) {
        if let Some(id) = known.response_id.as_ref().filter(|_| self.facts.response_id.is_none()) {
            let anchor = Anchor {
                provider: self.model.provider.clone(),
                response_id: id.clone(),
                cursor: known.cursor,
                lasts: self.model.background,
            };
            self.attempt.tell(AttemptEvent::Anchored(&anchor));
        }
        self.facts.keep(known);
    }
}

impl AttemptFacts {
    fn keep(&mut self, known: &Known) {
        let take = |mine: &mut Option<String>, theirs: &Option<String>| {
            if mine != theirs && theirs.is_some() {
                mine.clone_from(theirs);
            }
        };
        take(&mut self.response_id, &known.response_id);
        take(&mut self.model_answered, &known.model);
        self.usage = known.usage.or(self.usage);
        if self.finish != known.finish && known.finish.is_some() {
            self.finish.clone_from(&known.finish);
        }
    }
}

/// A provider may repeat the key in what it says about it.
fn without_key(mut kind: ModelErrorKind, key: Option<&SecretString>) -> ModelErrorKind {
    use ModelErrorKind as Kind;
    let (
        Some(key),
        Kind::RateLimited { message }
        | Kind::Overloaded { message }
        | Kind::Connection { message, .. }
        | Kind::StreamCut { message }
        | Kind::Refused { message }
        | Kind::BadKey { message, .. }
        | Kind::TooLong { message }
        | Kind::InvalidAnswer { message }
        | Kind::Filtered { message },
    ) = (key, &mut kind)
    else {
        return kind;
    };
    if message.contains(key.expose_secret()) {
        *message = message.replace(key.expose_secret(), "[key]");
    }
    kind
}
