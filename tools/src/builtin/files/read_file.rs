//! Reads a text file.

use std::io::{Read, Seek, SeekFrom};

use cap_std::fs::{OpenOptions, OpenOptionsExt as _};
use greenroom_runtime::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::roots::{FileRoots, For, blocking, checked, told};
use crate::schema;
use crate::tool::Tool;
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// The tool `read_file`.
#[derive(Clone, Debug)]
pub struct ReadFile(FileRoots);

/// What a model gives [`ReadFile`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToRead {
    /// The name of a root.
    pub root: String,
    /// The path below it.
    pub path: String,
    /// Where to begin, in bytes.
    #[serde(default)]
    pub offset: u64,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadText {
    /// The text; what is no UTF-8 is replaced.
    pub text: String,
    /// The whole length of the file in bytes.
    pub length: u64,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

impl ReadFile {
    /// Reads below `roots`.
    pub fn new(roots: &FileRoots) -> Self {
        ReadFile(roots.clone())
    }
}

impl Tool for ReadFile {
    type Input = ToRead;
    type Output = ReadText;

    fn name(&self) -> &str {
        "read_file"
    }

    fn description(&self) -> &str {
        "Reads a text file. A long one is read in pieces: go on at next_offset."
    }

    fn effect(&self) -> Effect {
        Effect::Pure
    }

    fn input_schema(&self) -> Value {
        let mut schema = schema::schema_of::<ToRead>();
        schema["properties"]["root"]["enum"] = self.0.names(For::Reading).into();
        schema
    }

    async fn call(&self, input: ToRead, cx: &ToolContext) -> Result<ReadText, ToolError> {
        let dir = self.0.open(self.name(), &input.root, For::Reading, cx)?;
        let max = self.0.limits.read;
        blocking(move || {
            let mut options = OpenOptions::new();
            // A pipe with a name would hold this thread for ever.
            options.read(true).custom_flags(NONBLOCK);
            let mut file = dir.open_with(checked(&input.path)?, &options).map_err(|error| told(&error))?;
            let meta = file.metadata().map_err(|error| told(&error))?;
            if !meta.is_file() {
                return Err(ToolError::refused("no file"));
            }
            file.seek(SeekFrom::Start(input.offset)).map_err(|error| told(&error))?;
            let mut bytes = Vec::new();
            file.take(max as u64).read_to_end(&mut bytes).map_err(|error| told(&error))?;
            let end = input.offset.saturating_add(bytes.len() as u64);
            let next_offset = (end < meta.len() && !bytes.is_empty()).then_some(end);
            Ok(ReadText {
                text: String::from_utf8_lossy(&bytes).into_owned(),
                length: meta.len(),
                next_offset,
            })
        })
        .await
    }
}

/// `O_NONBLOCK`, which no crate of this feature names.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NONBLOCK: i32 = 0o4000;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NONBLOCK: i32 = 0x4;
