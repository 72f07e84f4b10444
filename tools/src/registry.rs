//! The tools of a program, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::call::ToolResult;
use crate::permission::Grant;
use crate::source::{ToolSource, tools_of};
use crate::tool::{AnyTool, ToolDescription};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// Longest name of a tool that all providers take.
const NAME_MAX: usize = 64;

/// The tools of a program, by name. Built once, then shared; cloning is one count.
///
/// ```
/// use greenroom_tools::{Grant, ToolContext, ToolRegistry, tool_fn};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add { a: i64, b: i64 }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let add = tool_fn("add", "Adds two numbers.", |input: Add| async move { Ok(input.a + input.b) });
/// let tools = ToolRegistry::new().with(add)?;
/// let cx = ToolContext::new("root/desk", Grant::of(["add"]));
/// assert_eq!(tools.call("add", r#"{"a": 1, "b": 2}"#, &cx).await?.text, "3");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ToolRegistry {
    tools: Arc<BTreeMap<String, AnyTool>>,
}

/// Why a tool was not taken into a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Providers would refuse the name.
    #[error("`{name}` is no name of a tool: 1 to {NAME_MAX} of a-z A-Z 0-9 _ -")]
    BadName {
        /// The name.
        name: String,
    },
    /// There is one of that name.
    #[error("there are two tools `{name}`")]
    TwiceNamed {
        /// The name.
        name: String,
    },
    /// The source could not list its tools.
    #[error("the source does not list its tools")]
    Source(#[from] ToolError),
}

impl ToolRegistry {
    /// Without a tool.
    pub fn new() -> Self {
        ToolRegistry::default()
    }

    /// And with `tool`.
    ///
    /// # Errors
    ///
    /// [`RegistryError::BadName`], [`RegistryError::TwiceNamed`].
    pub fn with(mut self, tool: impl Into<AnyTool>) -> Result<Self, RegistryError> {
        self.add(tool.into())?;
        Ok(self)
    }

    /// And with all tools that `source` lists now.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; then none of them was taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the registry with it.
    pub async fn with_source(mut self, source: impl ToolSource) -> Result<Self, RegistryError> {
        for tool in tools_of(Arc::new(source)).await? {
            self.add(tool)?;
        }
        Ok(self)
    }

    /// The tool of that name.
    pub fn get(&self, name: &str) -> Option<&AnyTool> {
        self.tools.get(name)
    }

    /// What a model is told that works under `grant`: the tools it may call, by name.
    pub fn describe(&self, grant: &Grant) -> Vec<&ToolDescription> {
        let all = self.tools.values().map(AnyTool::description);
        all.filter(|description| grant.allows(&description.name)).collect()
    }

    /// Runs one call; see [`AnyTool::run`].
    ///
    /// # Errors
    ///
    /// [`ToolError::Unknown`], which has no record in the audit, and what the tool says.
    ///
    /// # Cancel safety
    ///
    /// As [`AnyTool::run`].
    pub async fn call(&self, name: &str, arguments: &str, cx: &ToolContext) -> Result<ToolResult, ToolError> {
        let Some(tool) = self.get(name) else {
            let mut name = name.to_owned();
            crate::schema::cut(&mut name, NAME_MAX);
            return Err(ToolError::Unknown { name });
        };
        tool.run(arguments, cx).await
    }

    fn add(&mut self, tool: AnyTool) -> Result<(), RegistryError> {
        let name = tool.description().name.clone();
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(good) {
            return Err(RegistryError::BadName { name });
        }
        if self.tools.contains_key(&name) {
            return Err(RegistryError::TwiceNamed { name });
        }
        Arc::make_mut(&mut self.tools).insert(name, tool);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use greenroom_runtime::Effect;
    use serde_json::{Value, json};

    use super::*;
    use crate::tool::{ApprovalRule, ToolLimits, tool_fn};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Empty {}

    fn named(name: &str) -> AnyTool {
        tool_fn(name, "Does nothing.", |_: Empty| async { Ok(()) }).into()
    }

    #[test]
    fn names_are_unique_and_what_providers_take() {
        let long = "x".repeat(64);
        let tools = ToolRegistry::new().with(named("a-B_9")).unwrap().with(named(&long)).unwrap();

        for bad in ["", "a b", "a.b", "ä", "a/b", &"x".repeat(65)] {
            assert!(matches!(tools.clone().with(named(bad)), Err(RegistryError::BadName { .. })), "{bad}");
        }
        assert!(matches!(tools.clone().with(named("a-B_9")), Err(RegistryError::TwiceNamed { .. })));
        let told = tools.describe(&Grant::of(["a-B_9", "gone"]));
        assert_eq!(told.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["a-B_9"]);
    }

    /// A source with one tool, which says what it was given.
    struct Echo;

    impl ToolSource for Echo {
        fn list(&self) -> Pin<Box<dyn Future<Output = Result<Vec<ToolDescription>, ToolError>> + Send + '_>> {
            let echo = ToolDescription {
                name: "echo".into(),
                description: "Says it again.".into(),
                input_schema: json!({"type": "object"}),
                effect: Effect::Pure,
                approval: ApprovalRule::NotNeeded,
                limits: ToolLimits { result_max: 20, ..ToolLimits::default() },
            };
            Box::pin(std::future::ready(Ok(vec![echo])))
        }

        fn call<'a>(
            &'a self,
            name: &'a str,
            arguments: Value,
            _cx: &'a ToolContext,
        ) -> Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send + 'a>> {
            Box::pin(async move { Ok(json!([name, arguments])) })
        }
    }

    #[tokio::test]
    async fn a_tool_of_a_source_is_called_as_any_other() {
        let tools = ToolRegistry::new().with_source(Echo).await.unwrap();
        let cx = ToolContext::new("me", Grant::of(["echo"]));

        let short = tools.call("echo", r#"{"a":1}"#, &cx).await.unwrap();
        let long = tools.call("echo", r#"{"a":"a long one"}"#, &cx).await.unwrap();

        assert_eq!(short.text, r#"["echo",{"a":1}]"#);
        assert!(long.cut > 0);
        let refused = tools.call("echo", "{}", &ToolContext::new("me", Grant::none())).await;
        assert!(matches!(refused, Err(ToolError::NotAllowed { .. })));
        assert!(matches!(tools.call("no", "{}", &cx).await, Err(ToolError::Unknown { .. })));
    }
}
