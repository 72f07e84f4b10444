//! How a model of a provider is set up.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::Clock;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde_json::{Map, Value};

use crate::model::key::KeySource;

use super::{Bounds, HttpModel, Output, Wire};

/// Sets up an [`HttpModel`].
#[derive(Debug)]
pub struct HttpModelBuilder {
    wire: Wire,
    url: String,
    provider: Option<String>,
    model: String,
    key: KeySource,
    output: Output,
    background: bool,
    bound_field: Option<&'static str>,
    extra: Map<String, Value>,
    headers: Vec<(String, String)>,
    connect: Duration,
    bounds: Bounds,
    ambient_proxy: bool,
}

/// Why a model cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpModelError {
    /// The URL must begin with `http://` or `https://`, and have no name or password in it.
    #[error("not a URL of a provider: {why}")]
    BadUrl {
        /// What is wrong with it.
        why: String,
    },
    /// A header's name or value is none.
    #[error("no header can be named {name:?} or have that value")]
    BadHeader {
        /// Its name.
        name: String,
    },
    /// Only Responses can run in the background.
    #[error("this wire has no background")]
    NoBackground,
    /// The certificates of the system cannot be read, or the client not be made.
    #[error("no client: {why}")]
    NoClient {
        /// What is known.
        why: String,
    },
}

impl HttpModelBuilder {
    pub(super) fn new(wire: Wire, url: &str, model: String) -> Self {
        HttpModelBuilder {
            wire,
            url: url.to_owned(),
            provider: None,
            model,
            key: KeySource::none(),
            output: Output::Streamed,
            background: false,
            bound_field: None,
            extra: Map::new(),
            headers: Vec::new(),
            connect: Duration::from_secs(10),
            bounds: Bounds {
                first_byte: Duration::from_secs(120),
                idle: Duration::from_secs(60),
                total: Duration::from_secs(600),
                poll_every: Duration::from_secs(2),
                body_bytes: 16 << 20,
            },
            ambient_proxy: false,
        }
    }

    /// Where the key comes from. Default: none is sent.
    #[must_use]
    pub fn key(mut self, key: KeySource) -> Self {
        self.key = key;
        self
    }

    /// What the provider is called in facts, limits and prices. Default: `openai` or `anthropic`, after the wire. Parts of
    /// answers that only their provider understands go back to a provider of the same name alone.
    #[must_use]
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// Asks for answers in one piece. Default: in a stream, which tells the provider's id at once and shows when an answer
    /// stands still.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.output = Output::Whole;
        self
    }

    /// Lets answers be made in the background: a later attempt can pick one up by its anchor. Responses only. The provider
    /// stores them for that.
    #[must_use]
    pub fn background(mut self) -> Self {
        self.background = true;
        self
    }

    /// The field of Chat that bounds the answer. Default: `max_completion_tokens` for hosts of OpenAI and Azure, which
    /// refuse the old one for newer models, and `max_tokens` for all others, which may not know the new one.
    #[must_use]
    pub fn bound_field(mut self, field: &'static str) -> Self {
        self.bound_field = Some(field);
        self
    }

    /// Sends one more field at the top of the body, such as `reasoning_effort` or `thinking`; it wins over ours.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Sends one more header. Not for keys: it is no secret here.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Longest wait for a connection. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect = time;
        self
    }

    /// Longest wait for the first byte of an answer. Default: 120 s; a model that thinks long without streaming needs more.
    #[must_use]
    pub fn first_byte_timeout(mut self, time: Duration) -> Self {
        self.bounds.first_byte = time;
        self
    }

    /// Longest wait between two pieces of an answer. Default: 60 s.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.bounds.idle = time;
        self
    }

    /// Longest attempt; an attempt's own deadline counts if it is earlier. Default: 600 s.
    #[must_use]
    pub fn total_timeout(mut self, time: Duration) -> Self {
        self.bounds.total = time;
        self
    }

    /// Time between two questions whether an answer in the background is ready, where it is not streamed. Default: 2 s.
    #[must_use]
    pub fn poll_every(mut self, time: Duration) -> Self {
        self.bounds.poll_every = time;
        self
    }

    /// Longest answer, in bytes as they come. Default: 16 MiB.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.bounds.body_bytes = bytes;
        self
    }

    /// Uses the proxy that the environment names. Default: none, whatever the environment says.
    #[must_use]
    pub fn ambient_proxy(mut self) -> Self {
        self.ambient_proxy = true;
        self
    }

    /// Makes the model. For https it reads the certificates of the system, which takes some milliseconds: make one model
    /// and share it.
    ///
    /// # Errors
    ///
    /// [`HttpModelError`].
    pub fn build(self) -> Result<HttpModel, HttpModelError> {
        let url = checked(&self.url)?;
        if self.background && self.wire != Wire::Responses {
            return Err(HttpModelError::NoBackground);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let pair = HeaderName::try_from(&name).ok().zip(HeaderValue::try_from(&value).ok());
            let Some((known, value)) = pair else { return Err(HttpModelError::BadHeader { name }) };
            headers.insert(known, value);
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(url.scheme())?)
            .connect_timeout(self.connect)
            .redirect(reqwest::redirect::Policy::none())
            // Retries have one owner, and it is not here.
            .retry(reqwest::retry::never());
        let client = if self.ambient_proxy { client } else { client.no_proxy() };
        let client = client.build().map_err(|error| HttpModelError::NoClient { why: error.to_string() })?;

        let host = url.host_str().unwrap_or_default();
        let is_openai = host == "api.openai.com" || host.ends_with(".azure.com");
        let named = if is_openai { "max_completion_tokens" } else { "max_tokens" };
        let default_provider = if self.wire == Wire::Anthropic { "anthropic" } else { "openai" };
        Ok(HttpModel {
            wire: self.wire,
            url,
            provider: self.provider.unwrap_or_else(|| default_provider.to_owned()),
            model: self.model,
            key: self.key,
            output: self.output,
            background: self.background,
            bound_field: self.bound_field.unwrap_or(named),
            extra: self.extra,
            headers,
            bounds: self.bounds,
            client,
            clock: Clock::default(),
        })
    }
}

fn checked(text: &str) -> Result<Url, HttpModelError> {
    let bad = |why: String| HttpModelError::BadUrl { why };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("its scheme is {}", url.scheme())));
    }
    // It would stand in logs and errors.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it has a name or a password in it".to_owned()));
    }
    Ok(url)
}

/// ring, and whom the system trusts. No roots at all for http, which needs none and runs where a system has none.
fn tls(scheme: &str) -> Result<ClientConfig, HttpModelError> {
    let no_client = |error: rustls::Error| HttpModelError::NoClient { why: error.to_string() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Given by hand: nothing is installed for the whole process.
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_client)?;
    let config = match scheme {
        "https" => config.with_platform_verifier().map_err(no_client)?,
        _ => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}
