//! Those who ask again for what is not answered any more.

use std::sync::Arc;

use greenroom::testing::{Fault, FaultyStore};
use greenroom::{AskError, MemoryStore};

use super::answerer;
use crate::steps::{job, start, start_on};
use crate::support::{Board, Gate, end, keep, secs};

/// What the second of two askers hears, when `ending` happens while the first one's message is handled.
macro_rules! second_hears {
    ($store:expr, |$kept:ident, $gate:ident| $ending:expr) => {{
        let (board, $gate) = (Board::default(), Gate::new());
        let runtime = $store;
        let $kept = keep(&runtime, answerer(&board, &$gate)).await;
        let ask = || $kept.actor.ask(job("wait")).with_id("x").within(secs(600)).into_future();
        let second = async {
            $gate.entered().await;
            let begun = runtime.clock().now();
            let (heard, ()) = tokio::join!(ask(), async {
                // Behind the second: in the order of the writer.
                $kept.actor.tell(job("behind")).await.unwrap();
                $ending
            });
            (heard, runtime.clock().now() - begun)
        };
        let (_, (heard, waited)) = tokio::join!(ask(), second);
        assert!(waited < secs(60), "it heard only after {waited:?}");
        end(runtime).await;
        heard
    }};
}

#[tokio::test(start_paused = true)]
async fn who_asked_again_hears_that_the_actor_was_stopped() {
    let heard = second_hears!(start(&MemoryStore::new()).await, |kept, gate| {
        kept.actor.place().bring_down(Some(secs(1))).await;
        kept.actor.place().close();
    });

    assert!(matches!(heard, Err(AskError::Stopped { .. })), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asked_again_hears_that_the_store_failed() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let heard = second_hears!(start_on(store.clone()).await, |kept, gate| {
        store.fail_next_commit(Fault::Write);
        drop(kept.exits.clone());
        gate.open();
    });

    assert!(matches!(heard, Err(AskError::StoreUnavailable { .. })), "{heard:?}");
}
