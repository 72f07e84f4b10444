//! A process that ends at each commit between a question and its answer.

use std::sync::Arc;

use greenroom::MemoryStore;
use greenroom::testing::{Fault, FaultyStore};

use super::{answerer, asker, done, pair};
use crate::steps::{job, process, start, start_on};
use crate::support::{Board, Gate, end, secs};

/// Goal: whoever asks by way of a durable actor gets its answer once, wherever the process ends.
/// Method: the store dies before, or right after, its commit number `n`, for each `n` until the question is answered; then a
/// new process begins on its content, and the same request is sent again. The reopened store says what was done.
#[test]
fn a_question_is_answered_once_wherever_the_process_ends() {
    let mut ends = 0;
    let before = process(async {
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let runtime = start_on(store.clone()).await;
        pair(&runtime, asker(), answerer(&Board::default(), &Gate::new())).await;
        store.commits()
    });
    for fault in [Fault::Write, Fault::CrashAfterCommit] {
        for nth in 1.. {
            let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
            let is_answered = process(async {
                let faulty = FaultyStore::new(store.clone()).fail_commit(before + nth, fault);
                let runtime = start_on(faulty).await;
                let (a, _) = pair(&runtime, asker(), answerer(&board, &gate)).await;
                a.ask(job("order")).with_id("x").within(secs(60)).await.is_ok()
            });
            if is_answered {
                break;
            }
            ends += 1;
            process(async {
                let runtime = start(&store).await;
                let (a, b) = pair(&runtime, asker(), answerer(&board, &gate)).await;
                let answer = a.ask(job("order")).with_id("x").await.unwrap();
                assert_eq!(answer, "answer to order", "{fault:?} at {nth}");
                assert_eq!((a.parked(), b.parked()), (None, None));
                end(runtime).await;
            });
            for at in ["pair/a", "pair/b"] {
                assert_eq!(done(&store, at), ["order", "answer to order"], "{at}, {fault:?} at {nth}");
            }
        }
    }
    assert!(ends >= 8, "only {ends} ends");
}
