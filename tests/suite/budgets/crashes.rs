//! Stores that fail and processes that end, at each commit of a charged call: what was billed outside is spent or charged.

use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{ActorSpec, Effect, MemoryStore, Store};

use super::{RUN, billed, call, opened, payer, sums};
use crate::steps::{Worker, job, process, start, start_on};
use crate::support::{Board, end, keep, soon};

/// Each call is billed with 15 tokens by somebody outside, and written down there.
fn counted(bills: &Board) -> ActorSpec<Worker> {
    let bills = bills.clone();
    payer(
        Effect::Idempotent,
        call(move |_, _| {
            bills.write("15 tokens");
            Box::pin(async { billed(15) })
        }),
    )
}

/// How many commits there are before those of a message.
fn commits_before() -> u64 {
    let store = MemoryStore::new();
    opened(&store);
    process(async {
        let store = Arc::new(FaultyStore::new(store));
        let _runtime = keep(&start_on(store.clone()).await, counted(&Board::default())).await;
        store.commits()
    })
}

/// Spent and charged tokens on disk.
fn on_disk(store: &MemoryStore) -> (u64, u64) {
    let kept = store.budgets().expect("the store reads");
    let spent = kept.budgets.iter().map(|(_, budget)| budget.expect("it is whole").spent.tokens).sum();
    let charged = kept.charges.iter().map(|(_, amount)| amount.expect("it is whole").tokens).sum();
    (spent, charged)
}

/// Goal: whatever the commit at which the store fails or the process ends, what was billed is spent or charged on disk;
/// afterwards what is settled is the bill of the answer in the journal, and the rest of the bill is listed as suspected.
/// Method: each commit of a message, failed before it is kept and after.
#[test]
fn a_crash_at_any_commit_forgets_no_bill() {
    let before = commits_before();
    let mut suspicions = 0;
    for nth in 1..=4 {
        for fault in [Fault::Write, Fault::CrashAfterCommit] {
            let (store, bills) = (MemoryStore::new(), Board::default());
            opened(&store);
            process(async {
                let faulty = FaultyStore::new(store.clone()).fail_commit(before + nth, fault);
                let runtime = start_on(faulty).await;
                let kept = keep(&runtime, counted(&bills)).await;
                let asked = kept.actor.ask(job("a")).with_id("a").await;
                assert!(asked.is_err(), "{nth} {fault:?}: {asked:?}");
                end(runtime).await;
            });
            let (spent, charged) = on_disk(&store);
            let bill = 15 * bills.lines().len() as u64;
            assert!(spent + charged >= bill, "{nth} {fault:?}: {spent} + {charged} of {bill}");

            process(async {
                let runtime = start(&store).await;
                let found = sums(&runtime, RUN);
                assert_eq!((found.0, found.1), (spent, charged), "{nth} {fault:?}");
                let kept = keep(&runtime, counted(&bills)).await;
                kept.actor.ask(job("a")).with_id("a").await.unwrap();
                let bill = 15 * bills.lines().len() as u64;
                let (spent, reserved, suspected) = sums(&runtime, RUN);
                assert_eq!(
                    (spent, reserved),
                    (15, suspected),
                    "{nth} {fault:?}: one answer is in the journal"
                );
                assert!(bill - spent <= suspected, "{nth} {fault:?}: {bill}, {suspected}");
                suspicions += suspected / 40;
                end(runtime).await;
            });
        }
    }
    assert_eq!(suspicions, 2, "in doubt is the call whose intent was kept and whose result was not");
}

/// Goal: nothing is booked that is not on disk. Method: the commit of the result fails.
#[test]
fn what_is_not_on_disk_is_not_settled() {
    let (store, bills) = (MemoryStore::new(), Board::default());
    let before = commits_before();
    opened(&store);
    process(async {
        let faulty = FaultyStore::new(store.clone()).fail_commit(before + 3, Fault::Write);
        let runtime = start_on(faulty).await;
        let kept = keep(&runtime, counted(&bills)).await;
        kept.actor.ask(job("a")).await.unwrap_err();
        assert_eq!(bills.lines().len(), 1);
        assert_eq!(sums(&runtime, RUN), (0, 40, 40));
        end(runtime).await;
    });
    assert_eq!(on_disk(&store), (0, 40));
}

/// Goal: a call that noted where it was is paid once, though the process was killed over it. Method: the first process
/// ends as soon as the note is on disk.
#[test]
fn an_anchored_call_of_a_process_that_was_killed_goes_on_and_is_charged_once() {
    let (store, seen) = (MemoryStore::new(), Board::default());
    opened(&store);
    let payer = |effect| {
        let seen = seen.clone();
        payer(
            effect,
            call(move |_, attempt| {
                let seen = seen.clone();
                Box::pin(async move {
                    seen.write(format!("{:?}", attempt.anchored()));
                    if attempt.anchored().is_none() {
                        attempt.anchor(b"r1")?;
                        seen.write("noted");
                        std::future::pending::<()>().await;
                    }
                    billed(15)
                })
            }),
        )
    };
    for (round, effect) in [Effect::Pure, Effect::Once].into_iter().enumerate() {
        let spent = 15 * round as u64;
        process(async {
            let runtime = start(&store).await;
            let kept = keep(&runtime, payer(effect)).await;
            kept.actor.tell(job("a")).await.unwrap();
            soon(seen.until(4 * round + 2)).await;
            // Whatever is queued behind the note is on disk after it.
            runtime
                .budgets()
                .open(&format!("behind-{round}"), greenroom::BudgetGrant::UNLIMITED)
                .await
                .unwrap();
            assert_eq!(on_disk(&store), (spent, 40));
        });

        process(async {
            let runtime = start(&store).await;
            assert_eq!(sums(&runtime, RUN), (spent, 40, 40));
            let kept = keep(&runtime, payer(effect)).await;
            soon(seen.until(4 * round + 3)).await;
            seen.write("through");
            while sums(&runtime, RUN).0 == spent {
                tokio::task::yield_now().await;
            }
            assert_eq!(sums(&runtime, RUN), (spent + 15, 0, 0), "the charge of the first call is settled");
            drop(kept);
            end(runtime).await;
        });
        assert_eq!(seen.lines()[4 * round..], ["None", "noted", "Some([114, 49])", "through"], "{effect:?}");
    }
}
