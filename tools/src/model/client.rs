//! The trait of a model, its errors, and how an actor finds the model of its runtime.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::{Actor, Context, Failure};

use super::{ModelReply, ModelRequest};

/// Something that answers requests: a provider, or a script.
///
/// # Contract
///
/// * No retries inside: one call is one attempt. Retrying is the caller's, in one place.
/// * Dropping the future calls the attempt off as far as that is possible.
/// * The answer has at most `max_tokens` tokens.
pub trait Model: Send + Sync + 'static {
    /// Answers one request.
    ///
    /// # Errors
    ///
    /// [`ModelError`], whose kind says whether to try again.
    fn complete(
        &self,
        request: ModelRequest,
    ) -> Pin<Box<dyn Future<Output = Result<ModelReply, ModelError>> + Send + '_>>;
}

const _STAYS_OBJECT_SAFE: fn(&dyn Model) = |_| ();

/// Why a model did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Too many requests. Try again after the time, if one is given.
    #[error("the model is overloaded")]
    Overloaded {
        /// What the provider asks for.
        retry_after: Option<Duration>,
    },
    /// The provider is down or does not answer. Try again later.
    #[error("the model is unavailable: {reason}")]
    Unavailable {
        /// What is known.
        reason: String,
    },
    /// The request was refused. Trying again is of no use.
    #[error("the model refused the request: {reason}")]
    Refused {
        /// What the provider says.
        reason: String,
    },
}

impl From<ModelError> for Failure {
    /// An overloaded or absent model is `External`, never a crash; a refused request is `Invalid`.
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Overloaded { .. } | ModelError::Unavailable { .. } => Failure::external(error),
            ModelError::Refused { .. } => Failure::invalid(error),
        }
    }
}

/// The model of a runtime: given to the builder as a resource, found by [`ModelExt::model`].
///
/// ```
/// use greenroom_runtime::Runtime;
/// use greenroom_tools::{ModelHandle, ScriptedModel};
///
/// let script = ScriptedModel::new(|request| format!("{} turns", request.turns.len()));
/// let builder = Runtime::builder().resource(ModelHandle::new(script));
/// ```
#[derive(Clone)]
pub struct ModelHandle(Arc<dyn Model>);

impl ModelHandle {
    /// Wraps a model.
    pub fn new(model: impl Model) -> Self {
        ModelHandle(Arc::new(model))
    }

    /// Answers one request; see [`Model::complete`].
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it calls the attempt off as far as that is possible.
    pub async fn complete(&self, request: ModelRequest) -> Result<ModelReply, ModelError> {
        self.0.complete(request).await
    }
}

impl std::fmt::Debug for ModelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModelHandle")
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
