//! What a provider's refusal means: from its status, its words, and its headers.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::model::attempt::AttemptFacts;
use crate::model::error::ModelErrorKind;

use super::answer::{Fault, ProviderError, shortened};

/// Most headers about rate limits that are kept.
const RATE_LIMITS_MAX: usize = 24;

/// Why an answer with that status is none. `from` is where the key comes from.
pub(super) fn of_status(status: u16, body: &str, from: &str) -> ModelErrorKind {
    let value = serde_json::from_str(body).unwrap_or_default();
    let error = ProviderError::inside(&value).unwrap_or_else(|| {
        // Some servers put the message beside, some send a page.
        let message = value["message"].as_str().or(value["detail"].as_str()).unwrap_or(body);
        ProviderError { kind: String::new(), message: shortened(message) }
    });
    let message = format!("{status}: {}", error.message);
    of_words(Some(status), &error, message, from)
}

/// Why what arrived is no answer.
pub(super) fn of_fault(fault: Fault, from: &str) -> ModelErrorKind {
    match fault {
        Fault::Provider(error) => of_words(None, &error, error.message.clone(), from),
        Fault::Garbage(message) => ModelErrorKind::InvalidAnswer { message },
        Fault::Cut => ModelErrorKind::StreamCut { message: "its end is missing".to_owned() },
        Fault::NotYet(_) => ModelErrorKind::InvalidAnswer { message: "it is still in the making".to_owned() },
    }
}

fn of_words(status: Option<u16>, error: &ProviderError, message: String, from: &str) -> ModelErrorKind {
    let kind = error.kind.as_str();
    let says = error.message.to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    let said = |words: &[&str]| words.iter().any(|word| says.contains(word));
    let too_long = is(&["context_length", "request_too_large", "string_above_max_length"])
        || said(&["context length", "context window", "prompt is too long", "too many tokens in"]);
    let limited = is(&["rate_limit", "insufficient_quota", "too_many_requests", "resource_exhausted"]);
    let overloaded = is(&["overloaded", "server_error", "api_error", "timeout_error", "unavailable"]);
    match status {
        Some(401..=403) => ModelErrorKind::BadKey { from: from.to_owned(), message },
        Some(429) => ModelErrorKind::RateLimited { message },
        Some(408 | 409 | 425 | 500..) => ModelErrorKind::Overloaded { message },
        Some(413) => ModelErrorKind::TooLong { message },
        _ if is(&["authentication", "permission", "invalid_api_key", "billing"]) => {
            ModelErrorKind::BadKey { from: from.to_owned(), message }
        }
        _ if limited => ModelErrorKind::RateLimited { message },
        _ if overloaded => ModelErrorKind::Overloaded { message },
        _ if too_long => ModelErrorKind::TooLong { message },
        _ if is(&["content_filter", "content_policy", "content_safety"]) => {
            ModelErrorKind::Filtered { message }
        }
        Some(_) => ModelErrorKind::Refused { message },
        None if is(&["invalid_request", "invalid_prompt", "not_found", "bad_request"]) => {
            ModelErrorKind::Refused { message }
        }
        // In the middle of an answer nothing but a fault of the server is likely.
        None => ModelErrorKind::Overloaded { message },
    }
}

/// Keeps what the headers tell. `now_ms` is the time of day, for servers that do not say theirs.
pub(super) fn keep_headers(facts: &mut AttemptFacts, headers: &HeaderMap, now_ms: u64) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = ["x-request-id", "request-id", "x-amzn-requestid", "cf-ray"].iter().find_map(|name| text(name));
    facts.request_id = id.map(shortened);
    facts.retry_after = retry_after(headers, now_ms);
    let limits = headers.iter().filter(|(name, _)| name.as_str().contains("ratelimit"));
    let limits = limits.filter_map(|(name, value)| Some((name.to_string(), shortened(value.to_str().ok()?))));
    facts.rate_limits = limits.take(RATE_LIMITS_MAX).collect();
}

/// `Retry-After` in seconds or as a date, which counts from the server's own `Date`; milliseconds in `retry-after-ms`.
fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(time) = millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok()) {
        return Some(time);
    }
    let after = text("retry-after")?;
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let here = || std::time::UNIX_EPOCH + Duration::from_millis(now_ms);
    let now = text("date").and_then(date).unwrap_or_else(here);
    Some(date(after)?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_kind() {
        let error = |kind: &str, message: &str| {
            serde_json::json!({ "error": { "type": kind, "message": message } }).to_string()
        };
        let cases = [
            (401, error("", "bad"), "BadKey"),
            (403, error("permission_error", "no"), "BadKey"),
            (429, error("", "slow"), "RateLimited"),
            (429, "<html>".to_owned(), "RateLimited"),
            (529, error("overloaded_error", ""), "Overloaded"),
            (500, String::new(), "Overloaded"),
            (400, error("invalid_request_error", "prompt is too long: 9 tokens > 8"), "TooLong"),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#.to_owned(), "TooLong"),
            (413, error("request_too_large", ""), "TooLong"),
            (400, r#"{"error":{"code":"content_filter"}}"#.to_owned(), "Filtered"),
            (400, error("invalid_request_error", "no such field"), "Refused"),
            (404, r#"{"error":"model not found"}"#.to_owned(), "Refused"),
            (422, r#"{"detail":"no"}"#.to_owned(), "Refused"),
            (301, String::new(), "Refused"),
        ];
        for (status, body, kind) in cases {
            let found = format!("{:?}", of_status(status, &body, "nowhere"));
            assert!(found.starts_with(kind), "{status} {body}: {found}");
        }
    }

    #[test]
    fn retry_after_is_read_in_each_of_its_forms() {
        type Given = &'static [(&'static str, &'static str)];
        let cases: [(Given, Option<u64>); 7] = [
            (&[("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "0.5")], Some(500)),
            (&[("retry-after", "7"), ("retry-after-ms", "250")], Some(250)),
            (&[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], Some(8_000)),
            (
                &[
                    ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("date", "Sun, 06 Nov 1994 08:49:34 GMT"),
                ],
                Some(3_000),
            ),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
        ];
        for (given, millis) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(retry_after(&headers, 1_000), millis.map(Duration::from_millis), "{given:?}");
        }
    }
}
