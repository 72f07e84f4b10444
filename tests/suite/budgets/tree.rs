//! Budgets opened, extended and closed, by handlers and from outside; and in the next process.

use greenroom::{Amount, BudgetError, BudgetGrant, Dimension, Effect, Failure, MemoryStore};

use super::{RUN, billed, call, open, payer, status, sums, tokens};
use crate::steps::{job, start, worker};
use crate::support::{end, keep};

#[tokio::test(start_paused = true)]
async fn budgets_are_in_the_next_process_what_they_were() {
    let store = MemoryStore::new();
    let runtime = start(&store).await;
    open(&runtime).await;
    let budgets = runtime.budgets();
    budgets.open("acme/other/deep", BudgetGrant::calls(5)).await.unwrap();
    budgets.extend(RUN, tokens(50)).await.unwrap();
    let kept = keep(&runtime, payer(Effect::Pure, call(|_, _| Box::pin(async { billed(60) })))).await;
    kept.actor.ask(job("a")).await.unwrap();
    let before = budgets.list(None, 100);
    end(runtime).await;

    let runtime = start(&store).await;

    assert_eq!(runtime.budgets().list(None, 100), before);
    let run = status(&runtime, RUN);
    assert_eq!((run.grant, run.spent, run.overdraft), (BudgetGrant::tokens(150), tokens(60), tokens(20)));
    assert!(run.stopped.is_some());
    end(runtime).await;
}

/// What it has not used is there for others, at once, and in the next process.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_budget_goes_back_when_it_is_closed() {
    let store = MemoryStore::new();
    let runtime = start(&store).await;
    open(&runtime).await;
    let kept = keep(&runtime, payer(Effect::Pure, call(|_, _| Box::pin(async { billed(15) })))).await;
    kept.actor.ask(job("a")).await.unwrap();

    let closed = runtime.budgets().close(RUN).await.unwrap().unwrap();

    assert_eq!(closed.spent, tokens(15));
    assert_eq!(sums(&runtime, "acme"), (15, 0, 0));
    assert!(matches!(runtime.budgets().at(RUN), Err(BudgetError::NotOpen { .. })));
    assert!(runtime.budgets().close(RUN).await.unwrap().is_none());
    end(runtime).await;
    let runtime = start(&store).await;
    assert_eq!(runtime.budgets().list(None, 100).len(), 1);
    assert_eq!(status(&runtime, "acme").left(Dimension::Tokens), Some(985));
    end(runtime).await;
}

/// Goal: a call in flight at the end of its budget is settled there all the same, and nothing is left of it on disk.
/// Method: its own handler closes it while the call runs.
#[tokio::test(start_paused = true)]
async fn a_budget_that_is_closed_under_a_call_is_gone_when_that_is_settled() {
    let store = MemoryStore::new();
    let runtime = start(&store).await;
    open(&runtime).await;
    let pays = call(|runtime, _| {
        Box::pin(async move {
            runtime.budgets().close(RUN).await.unwrap();
            assert_eq!(sums(&runtime, "acme"), (0, 40, 0));
            billed(15)
        })
    });
    let kept = keep(&runtime, payer(Effect::Pure, pays)).await;

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(sums(&runtime, "acme"), (15, 0, 0));
    end(runtime).await;
    let runtime = start(&store).await;
    assert_eq!(sums(&runtime, "acme"), (15, 0, 0));
    assert_eq!(runtime.budgets().list(None, 100).len(), 1);
    end(runtime).await;
}

/// A handler may run twice: what is open stays as it is.
#[tokio::test(start_paused = true)]
async fn a_handler_opens_a_budget_of_its_own_once() {
    let store = MemoryStore::new();
    let runtime = start(&store).await;
    open(&runtime).await;
    let spec = worker(|text, cx| {
        Box::pin(async move {
            let budget = cx.open_budget("acme/run/agent", BudgetGrant::tokens(30)).await?;
            let too_much = cx.open_budget("acme/run/greedy", BudgetGrant::tokens(71)).await;
            assert!(matches!(too_much, Err(BudgetError::Exhausted { left: 70, .. })), "{:?}", too_much.err());
            let step = cx.step("pay", Effect::Pure, &text).charged(&budget, tokens(10));
            step.run_billed(|_| async { billed(10) }).await?;
            if cx.tries() == 0 { Err(Failure::bug("it falls over")) } else { Ok(text) }
        })
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(sums(&runtime, "acme/run/agent"), (10, 0, 0), "paid once");
    assert_eq!(sums(&runtime, RUN), (10, 20, 0));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_path_or_a_charge_that_is_none_is_said_to_be_none() {
    let runtime = crate::support::runtime().await;
    let budgets = runtime.budgets();

    assert!(matches!(budgets.open("Acme", BudgetGrant::UNLIMITED).await, Err(BudgetError::Path(_))));
    assert!(matches!(budgets.at("acme"), Err(BudgetError::NotOpen { .. })));
    assert!(matches!(budgets.extend("acme", Amount::call()).await, Err(BudgetError::NotOpen { .. })));
    assert_eq!(budgets.status("acme"), None);
    end(runtime).await;
}
