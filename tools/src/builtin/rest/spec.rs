//! What a REST tool is built from: hosts, methods, headers that are secrets, limits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::target::{self, AllowList};
use crate::tool::ApprovalRule;

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestLimits {
    /// Longest time of a call, with all its redirects. Default: 20 s.
    pub time: Duration,
    /// Longest body of an answer in bytes; a longer one is an error. No compression is asked for, so these are all there are.
    /// Default: 256 KiB.
    pub answer: usize,
    /// Longest body of a request in bytes. Default: 64 KiB.
    pub request: usize,
    /// Longest result the model sees, in bytes; the rest is cut off. Default: 16 KiB.
    pub result: usize,
    /// Redirects that are followed, each checked like the first address. Default: 3.
    pub redirects: usize,
}

impl Default for RestLimits {
    fn default() -> Self {
        RestLimits {
            time: Duration::from_secs(20),
            answer: 256 * 1024,
            request: 64 * 1024,
            result: 16 * 1024,
            redirects: 3,
        }
    }
}

/// Finds the addresses of a host. The system's own, unless a test brings another.
pub trait RestResolver: Send + Sync + 'static {
    /// All addresses of `host`; asked once a request, and the connection goes to what it says here.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// A header whose value is a secret, asked for at each call and held nowhere.
#[derive(Clone)]
pub(super) struct Credential {
    pub(super) header: String,
    pub(super) value: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Why a [`RestTool`](super::RestTool) was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestToolError {
    /// No origin of the web, such as `https://api.example.com`.
    #[error("`{origin}` is no origin: {reason}")]
    BadOrigin {
        /// What was given.
        origin: String,
        /// Why.
        reason: String,
    },
    /// A credential for a host that is not on the list, or in clear over the network.
    #[error("a credential for `{origin}`: {reason}")]
    BadCredential {
        /// What was given.
        origin: String,
        /// Why.
        reason: String,
    },
    /// A tool that may ask nobody.
    #[error("a REST tool without a host")]
    NoHost,
    /// The TLS of this system cannot be set up.
    #[error("no client: {reason}")]
    NoClient {
        /// Why.
        reason: String,
    },
}

/// Builds a [`RestTool`](super::RestTool).
#[derive(Clone)]
pub struct RestToolBuilder {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) methods: BTreeSet<String>,
    pub(super) approval: ApprovalRule,
    pub(super) limits: RestLimits,
    pub(super) permitted: BTreeSet<IpAddr>,
    pub(super) resolver: Option<Arc<dyn RestResolver>>,
    hosts: Vec<(String, bool)>,
    credentials: Vec<(String, Credential)>,
}

impl RestToolBuilder {
    pub(super) fn new(name: String) -> Self {
        RestToolBuilder {
            name,
            description: "Asks a web server.".into(),
            methods: BTreeSet::from(["GET".into()]),
            approval: ApprovalRule::NotNeeded,
            limits: RestLimits::default(),
            permitted: BTreeSet::new(),
            resolver: None,
            hosts: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// What the model is told it does. The hosts are told too.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// May ask `origin`, such as `https://api.example.com` or `https://api.example.com:8443`: this very host and port.
    #[must_use]
    pub fn host(mut self, origin: impl Into<String>) -> Self {
        self.hosts.push((origin.into(), false));
        self
    }

    /// May ask `origin` although it is `http`: anybody on the way can read and change what is said.
    #[must_use]
    pub fn host_in_clear(mut self, origin: impl Into<String>) -> Self {
        self.hosts.push((origin.into(), true));
        self
    }

    /// May use these methods. Default: `GET` alone. With another than `GET` and `HEAD` a call is of effect `Once`.
    #[must_use]
    pub fn methods<M: IntoIterator<Item: Into<String>>>(mut self, methods: M) -> Self {
        self.methods = methods.into_iter().map(|method| method.into().to_ascii_uppercase()).collect();
        self
    }

    /// Adds a header to each request to `origin`, and to no other, also not behind a redirect. The model never sees it.
    ///
    /// `value` is asked at each request, so a key can be changed while the program runs; `None` refuses the call.
    #[must_use]
    pub fn credential(
        mut self,
        origin: impl Into<String>,
        header: impl Into<String>,
        value: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.credentials.push((origin.into(), Credential { header: header.into(), value: Arc::new(value) }));
        self
    }

    /// May reach `address` although it is one of this house, if an allowed host has it. For a service beside this one.
    #[must_use]
    pub fn permit_address(mut self, address: IpAddr) -> Self {
        self.permitted.insert(address);
        self
    }

    /// What one call may use.
    #[must_use]
    pub fn limits(mut self, limits: RestLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Each call needs a person's yes.
    #[must_use]
    pub fn with_approval(mut self) -> Self {
        self.approval = ApprovalRule::Needed;
        self
    }

    /// Finds addresses by `resolver`. Default: as the system does.
    #[must_use]
    pub fn resolver(mut self, resolver: impl RestResolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// The origins in normal form, and who gets which credential.
    pub(super) fn checked(&self) -> Result<(AllowList, BTreeMap<Origin, Vec<Credential>>), RestToolError> {
        let mut allowed = AllowList::default();
        for (text, in_clear) in &self.hosts {
            let origin = parse(text)?;
            if !origin.secure && !in_clear {
                let reason = "http has to be said: host_in_clear".into();
                return Err(RestToolError::BadOrigin { origin: text.clone(), reason });
            }
            allowed.origins.insert(origin);
        }
        if allowed.origins.is_empty() {
            return Err(RestToolError::NoHost);
        }
        let mut credentials: BTreeMap<Origin, Vec<Credential>> = BTreeMap::new();
        for (text, credential) in &self.credentials {
            let origin = parse(text)?;
            if !allowed.origins.contains(&origin) {
                let reason = "it is not on the list".into();
                return Err(RestToolError::BadCredential { origin: text.clone(), reason });
            }
            credentials.entry(origin).or_default().push(credential.clone());
        }
        Ok((allowed, credentials))
    }
}

fn parse(text: &str) -> Result<Origin, RestToolError> {
    let bad = |reason: String| RestToolError::BadOrigin { origin: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(bad("more than scheme, host and port".into()));
    }
    target::origin(&url).map_err(|error| bad(error.to_string()))
}

impl fmt::Debug for RestToolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestToolBuilder")
            .field("name", &self.name)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}
