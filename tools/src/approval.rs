//! A person's yes to one call, bound to a hash of what was asked.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A SHA-256 over a tool's name and its arguments in canonical form: the order of keys and the blanks do not matter.
///
/// Not reversible, but arguments that are easily guessed are easily found by trying.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArgumentHash([u8; 32]);

impl ArgumentHash {
    /// The hash of a call. Costs about a microsecond for a kilobyte.
    pub fn of(tool: &str, arguments: &Value) -> Self {
        let mut text = String::new();
        // The name cannot run into the arguments: it is written as a JSON string.
        canonical(&Value::String(tool.to_owned()), &mut text);
        canonical(arguments, &mut text);
        ArgumentHash(Sha256::digest(text.as_bytes()).into())
    }
}

/// Sorted keys and no blanks, whatever order the map of `serde_json` has in this build.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (key, value) in entries {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

impl fmt::Display for ArgumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ArgumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A person's yes to one call. Changed arguments, or another tool, have another hash: then it is void.
///
/// It says nothing about how often: who asks for it keeps that it was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The tool.
    pub tool: String,
    /// What was shown to the person.
    pub arguments: ArgumentHash,
    /// Who said yes.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

impl Approval {
    /// Whether it is a yes to exactly this call.
    pub fn covers(&self, tool: &str, arguments: ArgumentHash) -> bool {
        self.tool == tool && self.arguments == arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(tool: &str, arguments: &str) -> ArgumentHash {
        ArgumentHash::of(tool, &serde_json::from_str(arguments).unwrap())
    }

    #[test]
    fn the_hash_is_of_the_call_and_not_of_its_writing() {
        let asked = hash("pay", r#"{"to":"ann","cents":100,"why":{"b":[1,2],"a":null}}"#);

        assert_eq!(asked, hash("pay", r#"{ "why": {"a":null, "b":[1,2]}, "cents":100, "to":"ann" }"#));
        for (tool, other) in [
            ("pay", r#"{"to":"ann","cents":1000,"why":{"b":[1,2],"a":null}}"#),
            ("pay", r#"{"to":"ann","cents":"100","why":{"b":[1,2],"a":null}}"#),
            ("pay", r#"{"to":"ann","cents":100,"why":{"b":[2,1],"a":null}}"#),
            ("pay", r#"{"to":"ann","cents":100}"#),
            ("play", r#"{"to":"ann","cents":100,"why":{"b":[1,2],"a":null}}"#),
        ] {
            assert_ne!(asked, hash(tool, other), "{tool} {other}");
        }
        let approval = Approval { tool: "pay".into(), arguments: asked, by: "bob".into(), at_ms: 1 };
        assert!(approval.covers("pay", asked));
        assert!(!approval.covers("play", asked));
    }
}
