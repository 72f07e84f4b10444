//! The tries of a step: what one is, and whether there is another.

use std::future::Future;

use super::step::Step;
use super::step_log::Effect;
use crate::actor::Actor;
use crate::message::{Failure, FailureClass};

impl<A: Actor> Step<'_, A> {
    /// The tries of a step that has no journal.
    pub(super) async fn attempts<T, Fut>(&self, call: impl Fn() -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut tried = 0;
        loop {
            match self.attempt(&call).await {
                Err(failure) if self.comes_again(&failure, tried) => tried = self.pause(tried).await,
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn attempt<T, Fut>(&self, call: &impl Fn() -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, Failure>>,
    {
        let Some(limit) = self.timeout else { return call().await };
        self.at.cell.core.world.clock.within(limit, call()).await.unwrap_or_else(|| {
            Err(Failure::external(format!("the step `{}` took longer than {limit:?}", self.intent.name)))
        })
    }

    /// Whether the failed call may have happened all the same, and must not be made twice.
    pub(super) fn leaves_doubt(&self, failure: &Failure) -> bool {
        let says_little = matches!(failure.class(), FailureClass::External | FailureClass::Cancelled);
        self.intent.effect == Effect::Once && says_little && !failure.is_sure_that_nothing_happened()
    }

    /// Whether the call is made again in this step, after so many tries in vain before.
    pub(super) fn comes_again(&self, failure: &Failure, tried: u32) -> bool {
        let is_outage = failure.class() == FailureClass::External;
        is_outage && tried + 1 < self.tries && !self.leaves_doubt(failure)
    }

    /// Waits before the next try, and counts the one before.
    pub(super) async fn pause(&self, tried: u32) -> u32 {
        let world = &self.at.cell.core.world;
        world.clock.sleep(world.config.external_backoff.delay(tried, world.random())).await;
        tried + 1
    }
}
