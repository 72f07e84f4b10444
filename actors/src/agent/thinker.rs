//! Who makes the attempts at an answer: a model, or what stands in front of one.

use std::pin::Pin;

use greenroom_runtime::{ActorPath, Failure};
use greenroom_tools::{Attempt, ModelHandle, ModelReply, ModelRequest};

/// What [`Thinker::think`] returns.
pub type ThinkFuture<'a> = Pin<Box<dyn Future<Output = Result<ModelReply, Failure>> + Send + 'a>>;

/// Makes the attempts at an answer: a [`ModelHandle`], or what stands in front of one, such as admission or a budget.
///
/// It is called within the step of the call, so once for each try, and not at all when the answer is in the journal.
/// Whatever is to be done around an attempt (reserve before, settle after, or refuse) is a thinker around another one. A
/// failure of class [`Exhausted`](greenroom_runtime::FailureClass::Exhausted) ends the turn, with the conversation kept, so
/// that it goes on when there is more.
pub trait Thinker: Send + Sync + 'static {
    /// Who answers first. Part of the definition's fingerprint.
    fn provider(&self) -> &str;

    /// The model that is asked first. Part of the definition's fingerprint.
    fn model(&self) -> &str;

    /// How often a call is made that fails with [`External`](greenroom_runtime::FailureClass::External), at least once.
    /// One that repeats by itself says 1. Default: 3, with the waits of steps.
    fn tries(&self) -> u32 {
        3
    }

    /// Gets an answer.
    fn think<'a>(&'a self, request: &'a ModelRequest, call: ThinkCall<'a>) -> ThinkFuture<'a>;
}

/// What a [`Thinker`] is told of a call besides its request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ThinkCall<'a> {
    /// The name of the definition.
    pub agent: &'a str,
    /// The actor that thinks.
    pub actor: &'a ActorPath,
    /// Key, number, deadline and observer, for [`ModelHandle::attempt`].
    pub attempt: Attempt<'a>,
}

impl Thinker for ModelHandle {
    fn provider(&self) -> &str {
        ModelHandle::provider(self)
    }

    fn model(&self) -> &str {
        ModelHandle::model(self)
    }

    fn think<'a>(&'a self, request: &'a ModelRequest, call: ThinkCall<'a>) -> ThinkFuture<'a> {
        Box::pin(async move { Ok(self.attempt(request, call.attempt).await?) })
    }
}
