//! Snapshots now and then: what a crash costs, and what an orderly stop saves.

use greenroom::{MemoryStore, SnapshotPolicy};

use super::{Plan, add, stored, volatile};
use crate::support::{end, keep, secs};

/// Goal: `EveryMessages(3)` stores after each third message, and a crash costs what came after it, no more.
/// The story: the hook `started` was counted as a message, so that the first snapshot of a life came one too early.
#[tokio::test(start_paused = true)]
async fn a_crash_costs_what_came_after_the_last_third_message() {
    let runtime = stored(MemoryStore::new()).await;
    let plan = Plan::default();
    let spec = volatile(&plan).snapshotted(SnapshotPolicy::EveryMessages(3));
    let kept = keep(&runtime, spec).await;

    // Up to two messages before the first snapshot, none behind it, two behind it.
    for (sent, left) in [(vec![1, 2], 0), (vec![1, 2, 4], 7), (vec![8, 16], 7), (vec![8, 16, 32, 64], 63)] {
        for part in &sent {
            kept.actor.ask(add(*part)).await.unwrap();
        }
        let ended = kept.exits.lines().len();
        kept.actor.kill();
        kept.exits.until(ended + 1).await;

        assert_eq!(kept.actor.ask(add(0)).await.unwrap(), left, "after {sent:?}");
        kept.actor.kill();
        kept.exits.until(ended + 2).await;
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_stores_the_rest() {
    let store = MemoryStore::new();
    let spec = || volatile(&Plan::default()).snapshotted(SnapshotPolicy::EveryMessages(3));
    let runtime = stored(store.clone()).await;
    let tally = runtime.spawn_spec(spec()).await.unwrap();
    for part in [1, 2, 4, 8] {
        tally.ask(add(part)).await.unwrap();
    }

    tally.stop(secs(5)).await;
    end(runtime).await;

    let runtime = stored(store).await;
    let tally = runtime.spawn_spec(spec()).await.unwrap();
    assert_eq!(tally.ask(add(0)).await.unwrap(), 15);
    end(runtime).await;
}
