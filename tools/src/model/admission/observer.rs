//! Whoever is asked before each attempt and told after it: where a caller reserves, journals and settles.

use std::future::ready;
use std::pin::Pin;

use greenroom_runtime::Failure;
use tokio::time::Instant;

use crate::model::attempt::{Anchor, AttemptEvent};
use crate::model::error::ModelError;
use crate::model::reply::ModelReply;

/// What [`CallObserver`] returns.
pub type ObserverFuture<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// An attempt that is about to leave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AttemptPlan<'a> {
    /// Which attempt of the call, from 0, over all models.
    pub number: u32,
    /// Which model of the chain, from 0.
    pub model_index: usize,
    /// Who is asked.
    pub provider: &'a str,
    /// The model that is asked for.
    pub model: &'a str,
    /// The idempotency key.
    pub key: Option<&'a str>,
    /// When it ends at the latest.
    pub deadline: Instant,
    /// The answer that it picks up, if it does not ask for a new one.
    pub anchor: Option<&'a Anchor>,
    /// Why the attempt before it failed.
    pub earlier: Option<&'a ModelError>,
    /// An earlier attempt of this call may have made a provider work, and this one asks again: it may be paid twice.
    pub may_cost_twice: bool,
}

/// Is asked before each attempt of a call and told after it.
///
/// An attempt that was asked about and never told of was called off (its call was dropped, or the process ended): it may
/// have left, and may cost.
pub trait CallObserver: Send + Sync {
    /// The attempt leaves once this says so: reserve its worst case, write its intent down. It has a turn and a place among
    /// those under way meanwhile, so it should not take long. Default: yes.
    ///
    /// # Errors
    ///
    /// Then it does not leave, its turn goes to another, and the call ends with [`Denied::Refused`](super::Denied::Refused).
    fn before<'a>(&'a self, plan: &'a AttemptPlan<'a>) -> ObserverFuture<'a> {
        let _ = plan;
        Box::pin(ready(Ok(())))
    }

    /// What the attempt tells while it runs. Must return at once. Default: ignored.
    fn during(&self, plan: &AttemptPlan<'_>, event: AttemptEvent<'_>) {
        let _ = (plan, event);
    }

    /// The attempt ended. Default: ignored.
    ///
    /// # Errors
    ///
    /// Then the call ends with [`Denied::Refused`](super::Denied::Refused), whatever came of the attempt.
    fn after<'a>(
        &'a self,
        plan: &'a AttemptPlan<'a>,
        outcome: Result<&'a ModelReply, &'a ModelError>,
    ) -> ObserverFuture<'a> {
        let _ = (plan, outcome);
        Box::pin(ready(Ok(())))
    }
}
