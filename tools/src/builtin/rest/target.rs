//! Where a request goes: an address of the web, parsed once, in normal form, and compared with the allow list.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::spec::Origin;
use crate::tool_error::ToolError;

/// Longest address.
const URL_MAX: usize = 8 * 1024;

/// What may be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowList {
    pub(super) origins: BTreeSet<Origin>,
}

/// An allowed address. What is written into the request is this, not the text it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) origin: Origin,
}

impl AllowList {
    /// Parses `text` as a browser does: `0177.1`, `2130706433` and `LOCALHOST.` come out as what they mean.
    pub(super) fn target(&self, text: &str) -> Result<Target, ToolError> {
        if text.len() > URL_MAX {
            return Err(ToolError::Arguments {
                path: "url".into(),
                expected: format!("at most {URL_MAX} bytes"),
            });
        }
        let wrong = |error: url::ParseError| ToolError::Arguments {
            path: "url".into(),
            expected: format!("a URL ({error})"),
        };
        self.allowed(Url::parse(text).map_err(wrong)?)
    }

    /// Where a redirect of `from` leads.
    pub(super) fn redirect(&self, from: &Target, location: &str) -> Result<Target, ToolError> {
        let to = from
            .url
            .join(location)
            .map_err(|error| ToolError::refused(format!("a redirect to nowhere: {error}")))?;
        self.allowed(to)
    }

    fn allowed(&self, mut url: Url) -> Result<Target, ToolError> {
        let origin = origin(&url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ToolError::not_allowed("a name or a password in a URL"));
        }
        if !self.origins.contains(&origin) {
            return Err(ToolError::not_allowed(format!("{origin} is not on the list")));
        }
        // The host as it was compared; a fragment is not sent anyway.
        url.set_host(Some(&origin.host))
            .map_err(|_| ToolError::not_allowed("a host that cannot be asked"))?;
        url.set_fragment(None);
        Ok(Target { url, origin })
    }
}

/// Scheme, host and port in normal form: lower case, no dot at the end, numbers as addresses, punycode.
pub(super) fn origin(url: &Url) -> Result<Origin, ToolError> {
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(ToolError::not_allowed(format!("the scheme `{other}`"))),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            // `1.2.3.4.` with its dot would be a name to some and an address to others.
            if name.is_empty() || name.ends_with('.') || name.parse::<std::net::IpAddr>().is_ok() {
                return Err(ToolError::not_allowed("a host that cannot be asked"));
            }
            name
        }
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        None => return Err(ToolError::not_allowed("a URL without a host")),
    };
    let port = url.port_or_known_default().ok_or_else(|| ToolError::not_allowed("a URL without a port"))?;
    Ok(Origin { secure, host, port })
}
