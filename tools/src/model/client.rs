//! The trait of a model, and how an actor finds the model of its runtime.

use std::pin::Pin;
use std::sync::Arc;

use greenroom_runtime::{Actor, Context, Failure};

use super::attempt::Attempt;
use super::error::ModelError;
use super::reply::ModelReply;
use super::request::ModelRequest;

/// What [`Model::attempt`] returns.
pub type ModelFuture<'a> = Pin<Box<dyn Future<Output = Result<ModelReply, ModelError>> + Send + 'a>>;

/// Something that answers requests: a provider, or a script.
///
/// # Contract
///
/// * One call is one attempt: at most one request leaves, and no redirect is followed. Retrying is the caller's, in one
///   place.
/// * It ends at the attempt's deadline at the latest.
/// * Dropping the future calls the attempt off as far as that is possible.
/// * The answer has at most [`max_output_tokens`](ModelRequest::max_output_tokens).
/// * Reply and error tell all that is known of the attempt.
pub trait Model: Send + Sync + 'static {
    /// Who answers, such as `openai`: with [`model`](Model::model) what limits and prices are about.
    fn provider(&self) -> &str;

    /// The model that is asked for.
    fn model(&self) -> &str;

    /// Makes one attempt at an answer.
    ///
    /// # Errors
    ///
    /// [`ModelError`], whose kind says whether to try again.
    fn attempt<'a>(&'a self, request: &'a ModelRequest, attempt: Attempt<'a>) -> ModelFuture<'a>;
}

const _STAYS_OBJECT_SAFE: fn(&dyn Model) = |_| ();

/// The model of a runtime: given to the builder as a resource, found by [`ModelExt::model`]. Cloning it is free.
///
/// ```
/// use greenroom_runtime::Runtime;
/// use greenroom_tools::{ModelHandle, ScriptedModel};
///
/// let script = ScriptedModel::new(|request| format!("{} turns", request.history().turns().len()));
/// let builder = Runtime::builder().resource(ModelHandle::new(script));
/// ```
#[derive(Clone)]
pub struct ModelHandle(Arc<dyn Model>);

impl ModelHandle {
    /// Wraps a model.
    pub fn new(model: impl Model) -> Self {
        ModelHandle(Arc::new(model))
    }

    /// Who answers; see [`Model::provider`].
    pub fn provider(&self) -> &str {
        self.0.provider()
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        self.0.model()
    }

    /// Makes one attempt at an answer; see [`Model::attempt`].
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it calls the attempt off as far as that is possible: the connection is closed. The provider may have worked
    /// meanwhile, and charge for it.
    pub async fn attempt(
        &self,
        request: &ModelRequest,
        attempt: Attempt<'_>,
    ) -> Result<ModelReply, ModelError> {
        self.0.attempt(request, attempt).await
    }

    /// One attempt without key and deadline, for programs that need neither.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    ///
    /// # Cancel safety
    ///
    /// As [`attempt`](ModelHandle::attempt).
    pub async fn complete(&self, request: &ModelRequest) -> Result<ModelReply, ModelError> {
        self.attempt(request, Attempt::new()).await
    }
}

impl std::fmt::Debug for ModelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelHandle({}/{})", self.provider(), self.model())
    }
}

/// Finds the model from inside a handler. In the prelude.
pub trait ModelExt {
    /// The model the runtime was built with.
    ///
    /// # Errors
    ///
    /// A `Bug`, if the builder was given no [`ModelHandle`].
    fn model(&self) -> Result<ModelHandle, Failure>;
}

impl<A: Actor> ModelExt for Context<'_, A> {
    fn model(&self) -> Result<ModelHandle, Failure> {
        self.resource::<ModelHandle>().map(|handle| (*handle).clone())
    }
}
