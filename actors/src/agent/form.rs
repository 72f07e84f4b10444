//! JSON that a model writes and that must be of a type.

use std::sync::Arc;

use greenroom_tools::schema_of;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::head;

/// Longest complaint that a model is shown.
const COMPLAINT_BYTES_MAX: usize = 500;

/// A type, as the schema that the model is told and the check of what it writes.
#[derive(Clone)]
pub(super) struct Form {
    pub(super) schema: Value,
    check: Arc<Check>,
}

/// The value that a text is, or what is wrong with it.
type Check = dyn Fn(&str) -> Result<Value, String> + Send + Sync;

impl Form {
    pub(super) fn of<T: DeserializeOwned + JsonSchema>() -> Self {
        let check = |text: &str| {
            let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
            serde_path_to_error::deserialize::<_, T>(&value).map_err(|error| error.to_string())?;
            Ok(value)
        };
        Form { schema: schema_of::<T>(), check: Arc::new(check) }
    }

    /// The value, or in short what is wrong with it.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        (self.check)(text).map_err(|complaint| head(&complaint, COMPLAINT_BYTES_MAX).to_owned())
    }
}
