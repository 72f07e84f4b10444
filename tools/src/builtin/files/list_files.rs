//! Lists a directory.

use greenroom_runtime::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::roots::{FileRoots, For, blocking, checked, told};
use crate::schema;
use crate::tool::Tool;
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// The tool `list_files`.
#[derive(Clone, Debug)]
pub struct ListFiles(FileRoots);

/// What a model gives [`ListFiles`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToList {
    /// The name of a root.
    pub root: String,
    /// The path of a directory below it; empty is the root itself.
    #[serde(default)]
    pub path: String,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Names, sorted; a directory ends with `/`, a link with `@`.
    pub names: Vec<String>,
    /// Whether there are more than were listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl ListFiles {
    /// Lists below `roots`.
    pub fn new(roots: &FileRoots) -> Self {
        ListFiles(roots.clone())
    }
}

impl Tool for ListFiles {
    type Input = ToList;
    type Output = Listed;

    fn name(&self) -> &str {
        "list_files"
    }

    fn description(&self) -> &str {
        "Lists the names in a directory."
    }

    fn effect(&self) -> Effect {
        Effect::Pure
    }

    fn input_schema(&self) -> Value {
        let mut schema = schema::schema_of::<ToList>();
        schema["properties"]["root"]["enum"] = self.0.names(For::Reading).into();
        schema
    }

    async fn call(&self, input: ToList, cx: &ToolContext) -> Result<Listed, ToolError> {
        let dir = self.0.open(self.name(), &input.root, For::Reading, cx)?;
        let max = self.0.limits.list;
        blocking(move || {
            let mut entries = dir.read_dir(checked(&input.path)?).map_err(|error| told(&error))?;
            let mut names = Vec::new();
            for entry in entries.by_ref().take(max) {
                let entry = entry.map_err(|error| told(&error))?;
                let kind = entry.file_type().map_err(|error| told(&error))?;
                let mark = if kind.is_dir() {
                    "/"
                } else if kind.is_symlink() {
                    "@"
                } else {
                    ""
                };
                names.push(format!("{}{mark}", entry.file_name().to_string_lossy()));
            }
            names.sort();
            Ok(Listed { names, more: entries.next().is_some() })
        })
        .await
    }
}
