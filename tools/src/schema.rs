//! The schema of a tool's input, and arguments read against it.
//!
//! Arguments are validated by reading them into the type, not by a validator of JSON schemas: decision 0021 has the weights.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tool_error::ToolError;

/// Longest text about a mistake that goes back to the model: it may quote what the model sent.
const EXPECTED_MAX: usize = 300;

/// The JSON schema of a type, without what a provider has no use for.
pub fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    // Providers differ in what they make of `$ref`; a recursive type still has one.
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Value::Object(map) = &mut schema {
        map.remove("title");
        // Some providers insist on it, also for an input without fields.
        map.entry("type").or_insert_with(|| "object".into());
    }
    schema
}

/// Parses arguments of at most `max` bytes. Empty ones are `{}`: some models send nothing for a tool without parameters.
pub(crate) fn parse(arguments: &str, max: usize) -> Result<Value, ToolError> {
    if arguments.len() > max {
        return Err(refusal(".", format!("at most {max} bytes, not {}", arguments.len())));
    }
    if arguments.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value =
        serde_json::from_str(arguments).map_err(|error| refusal(".", format!("a JSON object ({error})")))?;
    if value.is_object() { Ok(value) } else { Err(refusal(".", "a JSON object".into())) }
}

/// Reads arguments into their type; what does not fit is named by its path.
pub(crate) fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.into_inner().to_string())
    })
}

fn refusal(path: &str, mut expected: String) -> ToolError {
    cut(&mut expected, EXPECTED_MAX);
    let mut path = path.to_owned();
    cut(&mut path, EXPECTED_MAX);
    ToolError::Arguments { path, expected }
}

/// Cuts a text to at most `max` bytes at a border of characters; says how many bytes went.
pub(crate) fn cut(text: &mut String, max: usize) -> usize {
    let whole = text.len();
    if whole > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    whole - text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, JsonSchema, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read only by serde")]
    struct Order {
        /// What to send.
        lines: Vec<Line>,
    }

    #[derive(serde::Deserialize, JsonSchema, Debug)]
    #[expect(dead_code, reason = "read only by serde")]
    struct Line {
        amount: u8,
    }

    #[test]
    fn a_schema_has_the_fields_and_their_words() {
        let schema = schema_of::<Order>();

        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["lines"]["description"], "What to send.");
        assert_eq!(schema["properties"]["lines"]["items"]["required"][0], "amount");
        assert_eq!(schema.get("$schema"), None);
    }

    #[test]
    fn a_refusal_names_the_path_and_what_is_expected() {
        let refused = |text: &str| match parse(text, 100).and_then(read::<Order>) {
            Err(ToolError::Arguments { path, expected }) => (path, expected),
            other => panic!("{other:?}"),
        };
        let cases = [
            (r#"{"lines":[{"amount":1},{"amount":"x"}]}"#, "lines[1].amount", "u8"),
            (r#"{"lines":[{"amount":300}]}"#, "lines[0].amount", "300"),
            (r#"{"lines":[{}]}"#, "lines[0]", "missing field `amount`"),
            (r#"{"lines":[],"also":1}"#, "also", "unknown field `also`"),
            ("", ".", "missing field `lines`"),
            ("[]", ".", "a JSON object"),
            ("{", ".", "a JSON object"),
        ];
        for (text, path, expected) in cases {
            let (at, why) = refused(text);
            assert_eq!(at, path, "{text}");
            assert!(why.contains(expected), "{text}: {why}");
        }
        let (_, why) = refused(&format!("{{{:200}}}", ""));
        assert!(why.contains("at most 100 bytes"), "{why}");
        let (_, why) = refused(&"[".repeat(100));
        assert!(why.contains("JSON"), "{why}");
    }
}
