//! The REST tool: asks web servers that are on its list, and can be led to no other.
//!
//! The address is parsed once, its host compared with the list, all of its addresses looked up and checked, and the connection
//! goes to a checked one. A redirect goes the same way from the beginning.

mod address; // what belongs to this house
mod spec;
mod target; // what is on the list

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use greenroom_runtime::Effect;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Host;

use spec::{Credential, Origin};
pub use spec::{RestLimits, RestResolver, RestToolBuilder, RestToolError};
use target::{AllowList, Target};

use crate::permission::LimitKind;
use crate::schema;
use crate::tool::{ApprovalRule, Tool, ToolLimits};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// Asks web servers that are on its list. See `docs/tools.md` for what is checked.
///
/// A call needs a tokio runtime with its IO driver on.
pub struct RestTool {
    name: String,
    description: String,
    approval: ApprovalRule,
    limits: RestLimits,
    methods: Vec<String>,
    allowed: AllowList,
    credentials: BTreeMap<Origin, Vec<Credential>>,
    permitted: std::collections::BTreeSet<IpAddr>,
    resolver: Option<Arc<dyn RestResolver>>,
    tls: ClientConfig,
}

/// What a model gives a [`RestTool`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestRequest {
    /// The whole address, with its scheme.
    pub url: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The media type that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// The media type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

fn get() -> String {
    "GET".into()
}

/// What a server answered. An answer of 404 or 500 is an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestAnswer {
    /// Its status.
    pub status: u16,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its body; what is no UTF-8 is replaced.
    pub body: String,
}

impl RestTool {
    /// A tool of that name, so far without a host.
    pub fn builder(name: impl Into<String>) -> RestToolBuilder {
        RestToolBuilder::new(name.into())
    }
}

impl RestToolBuilder {
    /// Checks all of it, and reads whom the system trusts.
    ///
    /// # Errors
    ///
    /// [`RestToolError`].
    pub fn build(self) -> Result<RestTool, RestToolError> {
        let (allowed, credentials) = self.checked()?;
        let no_client = |error: rustls::Error| RestToolError::NoClient { reason: error.to_string() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Given by hand: nothing is installed for the whole process.
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(no_client)?;
        let tls = match allowed.origins.iter().any(|origin| origin.secure) {
            true => tls.with_platform_verifier().map_err(no_client)?,
            // Runs where a system trusts nobody.
            false => tls.with_root_certificates(rustls::RootCertStore::empty()),
        };
        Ok(RestTool {
            name: self.name,
            description: self.description,
            approval: self.approval,
            limits: self.limits,
            methods: self.methods.into_iter().collect(),
            allowed,
            credentials,
            permitted: self.permitted,
            resolver: self.resolver,
            tls: tls.with_no_client_auth(),
        })
    }
}

impl Tool for RestTool {
    type Input = RestRequest;
    type Output = RestAnswer;

    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    /// `Pure` with `GET` and `HEAD` alone, else `Once`.
    fn effect(&self) -> Effect {
        let harmless = |method: &String| matches!(&**method, "GET" | "HEAD");
        if self.methods.iter().all(harmless) { Effect::Pure } else { Effect::Once }
    }

    fn limits(&self) -> ToolLimits {
        let RestLimits { time, request, result, .. } = self.limits;
        // The body is written as a string of JSON, which may be six times as long.
        let arguments_max = request.saturating_mul(6).saturating_add(16 * 1024);
        ToolLimits { deadline: time, arguments_max, result_max: result, ..ToolLimits::default() }
    }

    fn approval(&self) -> ApprovalRule {
        self.approval
    }

    fn input_schema(&self) -> Value {
        let mut schema = schema::schema_of::<RestRequest>();
        schema["properties"]["method"]["enum"] = self.methods.clone().into();
        let hosts: Vec<String> = self.allowed.origins.iter().map(ToString::to_string).collect();
        schema["properties"]["url"]["description"] =
            format!("The whole address. One of: {}", hosts.join(", ")).into();
        schema
    }

    async fn call(&self, input: RestRequest, cx: &ToolContext) -> Result<RestAnswer, ToolError> {
        let (mut method, mut body) = self.method_and_body(&input)?;
        let mut target = self.allowed.target(&input.url)?;
        for _ in 0..=self.limits.redirects {
            let response = self.ask(&target, &method, body.as_deref(), &input, cx).await?;
            let status = response.status();
            let location = response.headers().get(LOCATION).filter(|_| status.is_redirection());
            let Some(location) = location.and_then(|location| location.to_str().ok()) else {
                return self.answer(response, cx).await;
            };
            let next = self.allowed.redirect(&target, location)?;
            let keeps = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if method != Method::GET && method != Method::HEAD {
                if next.origin != target.origin {
                    return Err(ToolError::not_allowed(
                        "a redirect of a request that changes something, to another host",
                    ));
                }
                if !keeps {
                    (method, body) = (Method::GET, None);
                }
            }
            target = next;
        }
        Err(ToolError::Exhausted { reason: format!("{} redirects", self.limits.redirects) })
    }
}

impl RestTool {
    fn method_and_body(&self, input: &RestRequest) -> Result<(Method, Option<String>), ToolError> {
        let wrong = |path: &str, expected: String| ToolError::Arguments { path: path.into(), expected };
        if !self.methods.contains(&input.method) {
            return Err(wrong("method", format!("one of {}", self.methods.join(", "))));
        }
        let method = Method::from_bytes(input.method.as_bytes());
        let method = method.map_err(|_| wrong("method", "a method of HTTP".into()))?;
        if input.body.as_ref().is_some_and(|body| body.len() > self.limits.request) {
            return Err(wrong("body", format!("at most {} bytes", self.limits.request)));
        }
        Ok((method, input.body.clone()))
    }

    /// One request to one checked address. A client of its own: no pool, no cookies, no memory of another host.
    async fn ask(
        &self,
        target: &Target,
        method: &Method,
        body: Option<&str>,
        input: &RestRequest,
        cx: &ToolContext,
    ) -> Result<Response, ToolError> {
        let Origin { host, .. } = &target.origin;
        if !cx.grant().permits(&self.name, LimitKind::Hosts, host) {
            return Err(ToolError::not_allowed(format!("the grant has no host `{host}`")));
        }
        let addresses = self.checked_addresses(target).await?;
        let said: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        cx.enforced(format!("{} at {}", target.origin, said.join(" ")));
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            // For a host that is an address already this is not asked: it was checked as it stands.
            .resolve_to_addrs(host, &addresses)
            .build()
            .map_err(told)?;
        let mut request = client.request(method.clone(), target.url.clone());
        let header = |text: &str, path: &str| {
            let expected = || ToolError::Arguments { path: path.into(), expected: "a media type".into() };
            HeaderValue::from_str(text).map_err(|_| expected())
        };
        if let Some(accept) = &input.accept {
            request = request.header(ACCEPT, header(accept, "accept")?);
        }
        if let Some(body) = body {
            if let Some(content_type) = &input.content_type {
                request = request.header(CONTENT_TYPE, header(content_type, "content_type")?);
            }
            request = request.body(body.to_owned());
        }
        if *method != Method::GET && !cx.key().is_empty() {
            let key =
                HeaderValue::from_str(cx.key()).map_err(|_| ToolError::broken("its key is no header"))?;
            request = request.header(HeaderName::from_static("idempotency-key"), key);
        }
        for credential in self.credentials.get(&target.origin).into_iter().flatten() {
            let absent = || ToolError::unavailable(format!("there is no credential for {}", target.origin));
            let mut value =
                HeaderValue::from_str(&(credential.value)().ok_or_else(absent)?).map_err(|_| absent())?;
            value.set_sensitive(true);
            request = request.header(&credential.header, value);
        }
        request.send().await.map_err(told)
    }

    /// All addresses of the host. One of this house among them refuses the host: the next answer might be that one alone.
    async fn checked_addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, ToolError> {
        let Origin { host, port, .. } = &target.origin;
        let found = match target.url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            _ => self
                .resolve(host, *port)
                .await
                .map_err(|error| ToolError::unavailable(format!("{host} has no address: {error}")))?,
        };
        if found.is_empty() {
            return Err(ToolError::unavailable(format!("{host} has no address")));
        }
        for address in &found {
            if let Some(why) = address::refused(*address).filter(|_| !self.permitted.contains(address)) {
                return Err(ToolError::not_allowed(format!(
                    "{host} has an address that is not of the internet ({why})"
                )));
            }
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, *port)).collect())
    }

    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<IpAddr>> {
        match &self.resolver {
            Some(resolver) => resolver.resolve(host).await,
            None => Ok(tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect()),
        }
    }

    async fn answer(&self, mut response: Response, cx: &ToolContext) -> Result<RestAnswer, ToolError> {
        let too_long = || ToolError::Exhausted {
            reason: format!("an answer of more than {} bytes", self.limits.answer),
        };
        if response.content_length().is_some_and(|length| length > self.limits.answer as u64) {
            return Err(too_long());
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(told)? {
            if body.len() + piece.len() > self.limits.answer {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        cx.enforced(format!("status {status}, {} bytes", body.len()));
        Ok(RestAnswer { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// The reason, without the address: it may hold what is nobody's business.
fn told(error: reqwest::Error) -> ToolError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    ToolError::unavailable(text)
}

impl fmt::Debug for RestTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestTool")
            .field("name", &self.name)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
