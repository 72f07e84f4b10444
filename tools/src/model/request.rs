//! What a model is asked.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::history::{AgentPart, History, HistoryError, Turn};

/// Longest name of a tool or an output.
const NAME_LEN_MAX: usize = 64;

/// What a model is asked. Its history is ready to be answered, and its answer has a bound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRequest {
    instructions: String,
    /// It is the agent's turn in it.
    history: History,
    tools: Vec<ToolSpec>,
    tool_choice: ToolChoice,
    output: Option<OutputSchema>,
    max_output_tokens: u32,
    temperature: Option<f32>,
}

/// Whether the model is to call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
}

/// A tool, as the model is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolSpec {
    name: String,
    description: String,
    /// An object.
    input_schema: Value,
}

/// The form that the answer must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputSchema {
    name: String,
    /// An object.
    schema: Value,
}

/// Why something cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is not the agent's turn.
    #[error(transparent)]
    NotReady(#[from] HistoryError),
    /// A bound of no tokens.
    #[error("an answer needs at least one token")]
    NoOutput,
    /// A name must be 1 to 64 letters, digits, `_` and `-`.
    #[error("{name:?} is no name for a tool or an output")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two tools have that name.
    #[error("two tools are named {name}")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A schema must be a JSON object.
    #[error("the schema of {name} is no object")]
    NoSchema {
        /// Whose schema it is.
        name: String,
    },
}

impl ModelRequest {
    /// Asks for an answer of at most so many tokens to `history`. The instructions are trusted; they may be empty.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if it is not the agent's turn, or if the answer may have no tokens.
    pub fn new(
        instructions: impl Into<String>,
        history: History,
        max_output_tokens: u32,
    ) -> Result<Self, RequestError> {
        history.check_ready()?;
        if max_output_tokens == 0 {
            return Err(RequestError::NoOutput);
        }
        Ok(ModelRequest {
            instructions: instructions.into(),
            history,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output: None,
            max_output_tokens,
            temperature: None,
        })
    }

    /// Offers one more tool.
    ///
    /// # Errors
    ///
    /// [`RequestError::NameTaken`].
    pub fn tool(mut self, tool: ToolSpec) -> Result<Self, RequestError> {
        if self.tools.iter().any(|other| other.name == tool.name) {
            return Err(RequestError::NameTaken { name: tool.name });
        }
        self.tools.push(tool);
        Ok(self)
    }

    /// Whether a tool is to be called. Default: as the model likes.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Asks for an answer of that form. Default: text.
    #[must_use]
    pub fn output(mut self, schema: OutputSchema) -> Self {
        self.output = Some(schema);
        self
    }

    /// Sets the temperature. Default: the model's own. Many reasoning models refuse any.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// What the agent is and shall do.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    /// What was said so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The tools on offer.
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// The bound of the answer, in tokens.
    pub fn max_output_tokens(&self) -> u32 {
        self.max_output_tokens
    }

    /// What tells this request from others: equal for equal requests, in each process and release.
    ///
    /// SHA-256 over all of it, in the order of its names, so that no way of building a schema changes it.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic, see below")]
    pub fn hash(&self) -> RequestHash {
        // What serde makes of it contains only strings, numbers and sequences: nothing that JSON has no form for.
        let value = serde_json::to_value(self).expect("a request has a form in JSON");
        let mut text = Vec::new();
        write_sorted(&value, &mut text);
        let digest = Sha256::digest(&text);
        RequestHash(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Bytes of all that the model reads: no request has more tokens.
    pub fn input_bytes(&self) -> u64 {
        let tools: usize = self.tools.iter().map(ToolSpec::bytes).sum();
        let output = self.output.as_ref().map_or(0, |output| output.schema.to_string().len());
        let turns: usize = self.history.turns().iter().map(bytes_of).sum();
        u64::try_from(self.instructions.len() + tools + output + turns).unwrap_or(u64::MAX)
    }

    #[cfg(feature = "providers")]
    pub(super) fn wanted(&self) -> (&ToolChoice, Option<&OutputSchema>, Option<f32>) {
        (&self.tool_choice, self.output.as_ref(), self.temperature)
    }
}

impl ToolSpec {
    /// A tool with the JSON schema of its arguments.
    ///
    /// # Errors
    ///
    /// [`RequestError::BadName`], [`RequestError::NoSchema`].
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: Value,
    ) -> Result<Self, RequestError> {
        let name = checked(name.into(), &input_schema)?;
        Ok(ToolSpec { name, description: description.into(), input_schema })
    }

    /// What the model calls it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does, for the model.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON schema of its arguments.
    pub fn input_schema(&self) -> &Value {
        &self.input_schema
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.description.len() + self.input_schema.to_string().len()
    }
}

impl OutputSchema {
    /// An answer that fits a JSON schema. Providers that are strict about it want `additionalProperties: false` and all
    /// properties required.
    ///
    /// # Errors
    ///
    /// [`RequestError::BadName`], [`RequestError::NoSchema`].
    pub fn new(name: impl Into<String>, schema: Value) -> Result<Self, RequestError> {
        Ok(OutputSchema { name: checked(name.into(), &schema)?, schema })
    }

    /// Its name, for the provider.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }
}

fn checked(name: String, schema: &Value) -> Result<String, RequestError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=NAME_LEN_MAX).contains(&name.len()) || !name.bytes().all(good) {
        return Err(RequestError::BadName { name });
    }
    if schema.is_object() { Ok(name) } else { Err(RequestError::NoSchema { name }) }
}

fn bytes_of(turn: &Turn) -> usize {
    // What providers write around a turn or a part of it.
    const EACH: usize = 16;
    match turn {
        Turn::User { text, .. } => EACH + text.len(),
        Turn::Agent { parts } => {
            let of = |part: &AgentPart| match part {
                AgentPart::Text(text) => text.len(),
                AgentPart::Opaque(part) => part.json.len(),
                AgentPart::Call { call, result } => {
                    let result = result.as_ref().map_or(0, |result| result.text.len());
                    call.id.len() + call.name.len() + call.arguments.len() + result
                }
            };
            parts.iter().map(|part| EACH + of(part)).sum()
        }
    }
}

/// Writes objects by the order of their names: `Value` keeps the order of insertion if any crate of the build asks it to.
fn write_sorted(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort_unstable();
            text.push(b'{');
            for name in names {
                text.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                text.push(b':');
                write_sorted(&object[name], text);
                text.push(b',');
            }
            text.push(b'}');
        }
        Value::Array(items) => {
            text.push(b'[');
            for item in items {
                write_sorted(item, text);
                text.push(b',');
            }
            text.push(b']');
        }
        plain => text.extend_from_slice(plain.to_string().as_bytes()),
    }
}

/// What tells one request from another: 64 hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestHash(String);

impl fmt::Display for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use serde_json::json;

    fn request(schema: &str) -> ModelRequest {
        let mut history = History::new();
        history.user(Origin::Customer, "my lamp is dark").unwrap();
        let tool = ToolSpec::new("look_up", "Looks up.", serde_json::from_str(schema).unwrap()).unwrap();
        ModelRequest::new("be kind", history, 10).unwrap().tool(tool).unwrap()
    }

    #[test]
    fn a_request_has_the_same_hash_everywhere_and_another_one_has_another() {
        let one = request(r#"{"type":"object","title":"x"}"#);

        assert_eq!(one.hash(), request(r#"{"title":"x","type":"object"}"#).hash());
        assert_eq!(
            one.hash().to_string(),
            "28f540458441d99c1dafc7bad5b9277fa9760a3ea4f1ebb296ef3b4e5a2cf5d2",
            "the hash must not change: journals of earlier releases have it"
        );
        assert_ne!(one.hash(), one.clone().temperature(0.5).hash());
        assert_ne!(one.hash(), one.clone().tool_choice(ToolChoice::None).hash());
        assert_ne!(one.hash(), request(r#"{"type":"object","title":"y"}"#).hash());
    }

    #[test]
    fn what_no_provider_takes_is_refused_before_it_is_asked() {
        assert!(matches!(
            ModelRequest::new("", History::new(), 10),
            Err(RequestError::NotReady(HistoryError::NothingToAnswer))
        ));
        assert_eq!(
            ToolSpec::new("two words", "", json!({})),
            Err(RequestError::BadName { name: "two words".into() })
        );
        assert!(matches!(ToolSpec::new("a", "", json!([])), Err(RequestError::NoSchema { .. })));
        let again = ToolSpec::new("look_up", "", json!({})).unwrap();
        assert!(matches!(request("{}").tool(again), Err(RequestError::NameTaken { .. })));
    }
}
