//! What a tool is: a typed function with a name, a schema, an effect class, and bounds.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::Effect;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::schema;
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// Something a model may ask for: its input and output are types, and the schema is made from the input's.
///
/// # Contract
///
/// * No retries inside: one call is one attempt. Retrying is the caller's, in one place.
/// * Dropping the future of [`call`](Tool::call) calls it off as far as that is possible, and leaves nothing running.
/// * An [`Effect::Idempotent`] tool gives [`ToolContext::key`] to the other side, which recognises a repeat by it.
pub trait Tool: Send + Sync + 'static {
    /// What the model gives. Ranges and formats belong into types of their own (`TryFrom`), so that they are checked too.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// What the model gets.
    type Output: Serialize + Send;

    /// What the model calls it: 1 to 64 of `a-z A-Z 0-9 _ -`.
    fn name(&self) -> &str;

    /// What it does and when to use it, for the model.
    fn description(&self) -> &str;

    /// Whether a call may be repeated when nobody can say whether it happened.
    fn effect(&self) -> Effect;

    /// Bounds of a call. Default: [`ToolLimits::default`].
    fn limits(&self) -> ToolLimits {
        ToolLimits::default()
    }

    /// Whether a person says yes to each call. Default: [`ApprovalRule::NotNeeded`].
    fn approval(&self) -> ApprovalRule {
        ApprovalRule::NotNeeded
    }

    /// The JSON schema of the input. Default: made from the type.
    fn input_schema(&self) -> Value {
        schema::schema_of::<Self::Input>()
    }

    /// Does it, once.
    ///
    /// # Errors
    ///
    /// [`ToolError`], whose kind decides the failure class.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at its deadline, and when the call is called off.
    fn call(
        &self,
        input: Self::Input,
        cx: &ToolContext,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// Whether a person has to say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalRule {
    /// The grant is enough.
    NotNeeded,
    /// Each call needs an [`Approval`](crate::Approval) of its very arguments.
    Needed,
}

/// Bounds of one call of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolLimits {
    /// Longest time a call may take; the caller's own deadline may be sooner. Default: 30 s.
    pub deadline: Duration,
    /// How long after the deadline a tool may still say what it had by then, for one that keeps the deadline itself. Default:
    /// none, the future is dropped at the deadline.
    pub grace: Duration,
    /// Longest arguments in bytes; longer ones are refused. Default: 256 KiB.
    pub arguments_max: usize,
    /// Longest result in bytes, as JSON; the tail of a longer one is cut off and the cut is marked. Default: 16 KiB.
    pub result_max: usize,
}

impl Default for ToolLimits {
    fn default() -> Self {
        ToolLimits {
            deadline: Duration::from_secs(30),
            grace: Duration::ZERO,
            arguments_max: 256 * 1024,
            result_max: 16 * 1024,
        }
    }
}

/// What a model is told about a tool, and a caller has to know.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDescription {
    /// What the model calls it.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON schema of its arguments.
    pub input_schema: Value,
    /// Whether a call may be repeated.
    pub effect: Effect,
    /// Whether a person says yes to each call.
    pub approval: ApprovalRule,
    /// Bounds of a call.
    pub limits: ToolLimits,
}

/// A tool of any type. Cloning is one count.
#[derive(Clone)]
pub struct AnyTool {
    description: Arc<ToolDescription>,
    tool: Arc<dyn Erased>,
}

impl AnyTool {
    /// Any tool, from one of a type. Its description is asked for once, here.
    pub fn new(tool: impl Tool) -> Self {
        let description = ToolDescription {
            name: tool.name().to_owned(),
            description: tool.description().to_owned(),
            input_schema: tool.input_schema(),
            effect: tool.effect(),
            approval: tool.approval(),
            limits: tool.limits(),
        };
        AnyTool { description: Arc::new(description), tool: Arc::new(Typed(tool)) }
    }

    pub(crate) fn erased(description: ToolDescription, tool: impl Erased) -> Self {
        AnyTool { description: Arc::new(description), tool: Arc::new(tool) }
    }

    /// What it is.
    pub fn description(&self) -> &ToolDescription {
        &self.description
    }

    /// Checks the arguments against the input's type, without a call.
    pub(crate) fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        self.tool.check(arguments)
    }

    pub(crate) fn call<'a>(&'a self, arguments: Value, cx: &'a ToolContext) -> Calling<'a> {
        self.tool.call(arguments, cx)
    }
}

impl<T: Tool> From<T> for AnyTool {
    fn from(tool: T) -> Self {
        AnyTool::new(tool)
    }
}

impl fmt::Debug for AnyTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyTool").field(&self.description.name).finish()
    }
}

/// A call under way; its result is JSON.
pub(crate) type Calling<'a> = Pin<Box<dyn Future<Output = Result<Value, ToolError>> + Send + 'a>>;

/// A tool without its types.
pub(crate) trait Erased: Send + Sync + 'static {
    fn check(&self, arguments: &Value) -> Result<(), ToolError>;
    fn call<'a>(&'a self, arguments: Value, cx: &'a ToolContext) -> Calling<'a>;
}

struct Typed<T>(T);

impl<T: Tool> Erased for Typed<T> {
    /// By reading them into the type: what is validated is what is run.
    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        // The type's own code reads foreign text here; a panic of it is the tool's, not the caller's.
        let read = || schema::read::<T::Input>(arguments.clone()).map(drop);
        std::panic::catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|cause| Err(ToolError::panicked(&*cause)))
    }

    fn call<'a>(&'a self, arguments: Value, cx: &'a ToolContext) -> Calling<'a> {
        Box::pin(async move {
            let input = schema::read::<T::Input>(arguments)?;
            let output = self.0.call(input, cx).await?;
            serde_json::to_value(output)
                .map_err(|error| ToolError::broken(format!("its result is no JSON: {error}")))
        })
    }
}

/// A tool made of a function, of effect [`Effect::Once`] unless told otherwise.
///
/// ```
/// use greenroom_tools::{AnyTool, ToolError, tool_fn};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add { a: i64, b: i64 }
///
/// let add = tool_fn("add", "Adds two numbers.", |input: Add| async move { Ok(input.a + input.b) }).pure();
/// assert_eq!(AnyTool::new(add).description().name, "add");
/// ```
pub fn tool_fn<I, O, F, R>(
    name: impl Into<String>,
    description: impl Into<String>,
    function: F,
) -> FnTool<I, F>
where
    F: Fn(I) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, ToolError>> + Send,
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + Send,
{
    FnTool {
        name: name.into(),
        description: description.into(),
        effect: Effect::Once,
        limits: ToolLimits::default(),
        approval: ApprovalRule::NotNeeded,
        function,
        _input: std::marker::PhantomData,
    }
}

/// What [`tool_fn`] makes.
pub struct FnTool<I, F> {
    name: String,
    description: String,
    effect: Effect,
    limits: ToolLimits,
    approval: ApprovalRule,
    function: F,
    _input: std::marker::PhantomData<fn(I)>,
}

impl<I, F> FnTool<I, F> {
    /// It changes nothing outside: it may be repeated.
    #[must_use]
    pub fn pure(self) -> Self {
        self.effect(Effect::Pure)
    }

    /// Of another effect class. Default: [`Effect::Once`], the careful one.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Within other bounds.
    #[must_use]
    pub fn limits(mut self, limits: ToolLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Each call needs a person's yes.
    #[must_use]
    pub fn with_approval(mut self) -> Self {
        self.approval = ApprovalRule::Needed;
        self
    }
}

impl<I, O, F, R> Tool for FnTool<I, F>
where
    F: Fn(I) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, ToolError>> + Send,
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + Send,
{
    type Input = I;
    type Output = O;

    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn limits(&self) -> ToolLimits {
        self.limits
    }

    fn approval(&self) -> ApprovalRule {
        self.approval
    }

    async fn call(&self, input: I, _cx: &ToolContext) -> Result<O, ToolError> {
        (self.function)(input).await
    }
}

impl<I, F> fmt::Debug for FnTool<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FnTool").field(&self.name).finish()
    }
}
