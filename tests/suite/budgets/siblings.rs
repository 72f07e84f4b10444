//! Many who charge the same budget at once.

use greenroom::{ActorSpec, BudgetGrant, Effect, Runtime};

use super::{billed, tokens};
use crate::steps::{Program, Worker, job};
use crate::support::{Board, end, soon};

/// Each ends with nothing left: the race is at the end.
const ROUNDS: usize = 8;

/// Goal: a reservation is one step for all who share a budget. Method: eight actors on four threads try 50 calls each, of
/// which 60 can be paid; and so for some rounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn siblings_never_both_get_the_last_of_what_is_left() {
    let runtime = Runtime::builder().start().await.unwrap();
    runtime.budgets().open("acme", BudgetGrant::tokens(600)).await.unwrap();
    let calls = Board::default();
    let mut workers = Vec::new();
    for number in 0..8 {
        runtime.budgets().open(&format!("acme/{number}"), BudgetGrant::UNLIMITED).await.unwrap();
        let calls = calls.clone();
        let program: std::sync::Arc<Program> = std::sync::Arc::new(move |_, cx| {
            let calls = calls.clone();
            Box::pin(async move {
                let budget = cx.budget(&format!("acme/{number}"))?;
                for _ in 0..25 {
                    let step = cx.step("think", Effect::Pure, "").charged(&budget, tokens(10));
                    let thought = step.run_billed(|_| async {
                        let acme = super::status(&cx.runtime(), "acme");
                        assert!(
                            acme.spent.tokens + acme.reserved.tokens <= acme.grant.tokens.unwrap(),
                            "{acme:?}"
                        );
                        tokio::task::yield_now().await;
                        calls.write("called");
                        billed(10)
                    });
                    drop(thought.await);
                }
                Ok("done".to_owned())
            })
        });
        let spec = ActorSpec::<Worker>::new(format!("worker-{number}"), program);
        workers.push(runtime.spawn_spec(spec).await.unwrap());
    }

    for round in 1..=ROUNDS {
        for worker in &workers {
            worker.tell(job("a")).await.unwrap();
        }
        for worker in &workers {
            soon(worker.ask(job("b"))).await.unwrap();
        }
        assert_eq!(calls.lines().len(), 60 * round);
        assert_eq!(super::sums(&runtime, "acme"), (600 * round as u64, 0, 0));
        runtime.budgets().extend("acme", tokens(600)).await.unwrap();
    }
    end(runtime).await;
}
