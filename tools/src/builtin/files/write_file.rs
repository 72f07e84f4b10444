//! Writes a text file, whole or not at all.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::fs::{Dir, OpenOptions};
use greenroom_runtime::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::roots::{FileRoots, For, blocking, checked, told};
use crate::schema;
use crate::tool::{Tool, ToolLimits};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// The tool `write_file`.
#[derive(Clone, Debug)]
pub struct WriteFile(FileRoots);

/// What a model gives [`WriteFile`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToWrite {
    /// The name of a root.
    pub root: String,
    /// The path below it. Its directories are made.
    pub path: String,
    /// The whole text of the file.
    pub text: String,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its length in bytes.
    pub length: u64,
}

impl WriteFile {
    /// Writes below those of `roots` that may be written.
    pub fn new(roots: &FileRoots) -> Self {
        WriteFile(roots.clone())
    }
}

/// Of files that are not yet what they are to be.
static UNFINISHED: AtomicU64 = AtomicU64::new(0);

impl Tool for WriteFile {
    type Input = ToWrite;
    type Output = Written;

    fn name(&self) -> &str {
        "write_file"
    }

    fn description(&self) -> &str {
        "Writes a text file, in place of what was there."
    }

    /// The same text at the same place: repeated, it comes out the same.
    fn effect(&self) -> Effect {
        Effect::Idempotent
    }

    fn limits(&self) -> ToolLimits {
        // As a string of JSON it may be six times as long.
        let arguments_max = self.0.limits.write.saturating_mul(6).saturating_add(16 * 1024);
        ToolLimits { arguments_max, ..ToolLimits::default() }
    }

    fn input_schema(&self) -> Value {
        let mut schema = schema::schema_of::<ToWrite>();
        schema["properties"]["root"]["enum"] = self.0.names(For::Writing).into();
        schema
    }

    async fn call(&self, input: ToWrite, cx: &ToolContext) -> Result<Written, ToolError> {
        let dir = self.0.open(self.name(), &input.root, For::Writing, cx)?;
        if input.text.len() > self.0.limits.write {
            let expected = format!("at most {} bytes", self.0.limits.write);
            return Err(ToolError::Arguments { path: "text".into(), expected });
        }
        blocking(move || replace(&dir, Path::new(checked(&input.path)?), input.text.as_bytes())).await
    }
}

/// Beside it, flushed, and then in its place: a reader sees the old text or the new one.
fn replace(root: &Dir, path: &Path, text: &[u8]) -> Result<Written, ToolError> {
    let name = path.file_name().ok_or_else(|| ToolError::refused("no name of a file"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    root.create_dir_all(parent).map_err(|error| told(&error))?;
    let dir = root.open_dir(parent).map_err(|error| told(&error))?;
    if dir.symlink_metadata(name).is_ok_and(|there| !there.is_file()) {
        return Err(ToolError::refused("something else is there, which is no file"));
    }
    let unfinished =
        format!(".greenroom-{}-{}", std::process::id(), UNFINISHED.fetch_add(1, Ordering::Relaxed));
    let write = || {
        let mut file = dir.open_with(&unfinished, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(text)?;
        file.sync_all()?;
        dir.rename(&unfinished, &dir, name)
    };
    if let Err(error) = write() {
        if error.kind() != ErrorKind::AlreadyExists {
            drop(dir.remove_file(&unfinished));
        }
        return Err(told(&error));
    }
    Ok(Written { length: text.len() as u64 })
}
