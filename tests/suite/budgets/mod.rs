//! Budgets: no call leaves without a reservation of its worst case, and none of what was spent is forgotten.

mod attempts; // what each end of an attempt does to its charge
mod crashes; // stores that fail and processes that end, at each commit
mod siblings; // many who charge the same budget at once
mod tree; // opened, extended, closed; and in the next process

use std::sync::Arc;

use greenroom::{
    Actor, ActorSpec, Amount, Billed, BudgetGrant, BudgetStatus, Context, Effect, Failure, MemoryStore,
    Runtime, StepAttempt,
};

use crate::steps::{Worker, process, start, worker};
use crate::support::{BoxFuture, end};

pub(crate) const RUN: &str = "acme/run";

pub(crate) fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::ZERO }
}

pub(crate) fn status(runtime: &Runtime, path: &str) -> BudgetStatus {
    runtime.budgets().status(path).expect("it is open")
}

/// Spent, reserved and suspected tokens.
pub(crate) fn sums(runtime: &Runtime, path: &str) -> (u64, u64, u64) {
    let status = status(runtime, path);
    (status.spent.tokens, status.reserved.tokens, status.suspected.tokens)
}

/// A tenant with 1,000 tokens and a run with a slice of 100 of them.
pub(crate) async fn open(runtime: &Runtime) {
    let budgets = runtime.budgets();
    budgets.open("acme", BudgetGrant::tokens(1_000)).await.expect("nothing is above it");
    budgets.open(RUN, BudgetGrant::tokens(100)).await.expect("there is enough");
}

/// The same, in a process of its own.
pub(crate) fn opened(store: &MemoryStore) {
    process(async {
        let runtime = start(store).await;
        open(&runtime).await;
        end(runtime).await;
    });
}

/// A call to somebody outside.
pub(crate) type Call =
    dyn Fn(Runtime, StepAttempt) -> BoxFuture<'static, Result<Billed<String>, Failure>> + Send + Sync;

pub(crate) fn call<F>(call: F) -> Arc<Call>
where
    F: Fn(Runtime, StepAttempt) -> BoxFuture<'static, Result<Billed<String>, Failure>>
        + Send
        + Sync
        + 'static,
{
    Arc::new(call)
}

pub(crate) fn billed(spent: u64) -> Result<Billed<String>, Failure> {
    Ok(Billed { value: "paid".into(), spent: tokens(spent) })
}

/// One step with a worst case of 40 tokens, charged to the run.
pub(crate) async fn pay<A: Actor>(
    cx: &Context<'_, A>,
    effect: Effect,
    call: &Call,
) -> Result<String, Failure> {
    let budget = cx.budget(RUN)?;
    let step = cx.step("pay", effect, "pay").charged(&budget, tokens(40));
    step.run_billed(|attempt| call(cx.runtime(), attempt)).await
}

/// A durable actor that makes this call for each message.
pub(crate) fn payer(effect: Effect, call: Arc<Call>) -> ActorSpec<Worker> {
    worker(move |_, cx| {
        let call = call.clone();
        Box::pin(async move { pay(cx, effect, &*call).await })
    })
}
