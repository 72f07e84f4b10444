//! Where tools come from that this program does not know when it is built: the seam for MCP servers and databases.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::tool::{AnyTool, Calling, Erased, ToolDescription};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// Lists tools, and calls one.
///
/// # Contract
///
/// * No retries inside: one call is one attempt.
/// * The source validates arguments against its own schema: here they are any JSON object within the bound.
/// * Dropping the future of a call calls it off as far as that is possible.
/// * A description is foreign text: it is bounded by the source, and its reader does not trust it.
pub trait ToolSource: Send + Sync + 'static {
    /// The tools there are now. Asked once, when the source is added to a [`ToolRegistry`](crate::ToolRegistry).
    fn list(&self) -> Pin<Box<dyn Future<Output = Result<Vec<ToolDescription>, ToolError>> + Send + '_>>;

    /// Calls the tool `name`.
    fn call<'a>(
        &'a self,
        name: &'a str,
        arguments: Value,
        cx: &'a ToolContext,
    ) -> Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send + 'a>>;
}

const _STAYS_OBJECT_SAFE: fn(&dyn ToolSource) = |_| ();

/// One tool of a source.
struct Sourced {
    name: String,
    source: Arc<dyn ToolSource>,
}

impl Erased for Sourced {
    fn check(&self, _arguments: &Value) -> Result<(), ToolError> {
        Ok(())
    }

    fn call<'a>(&'a self, arguments: Value, cx: &'a ToolContext) -> Calling<'a> {
        self.source.call(&self.name, arguments, cx)
    }
}

/// The tools of a source, each as any other tool.
pub(crate) async fn tools_of(source: Arc<dyn ToolSource>) -> Result<Vec<AnyTool>, ToolError> {
    let listed = source.list().await?;
    let tool = |description: ToolDescription| {
        let sourced = Sourced { name: description.name.clone(), source: source.clone() };
        AnyTool::erased(description, sourced)
    };
    Ok(listed.into_iter().map(tool).collect())
}
