//! The hook of a new life: once in each, before what waits, and part of its start.

use greenroom::{ExitPhase, ExitReason, MemoryStore, SpawnError};

use super::{Add, Hook, Plan, add, stored, tally, volatile};
use crate::support::{end, keep, secs};

#[tokio::test(start_paused = true)]
async fn started_runs_once_in_each_life_before_what_waits() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let kept = keep(&runtime, spec(&plan).redeliveries(0)).await;
        let waits = async { kept.actor.ask(Add { add: 1, waits: true }).await };
        let behind = async { kept.actor.ask(add(10)).await };
        let killed = async {
            plan.gate.entered().await;
            kept.actor.kill();
        };

        let (_, behind, ()) = tokio::join!(waits, behind, killed);

        assert_eq!(behind.unwrap(), 10);
        assert_eq!(plan.board.lines(), ["started with 0", "1 on 0", "started with 0", "10 on 0"]);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn started_finds_the_state_of_the_life_before() {
    let runtime = stored(MemoryStore::new()).await;
    let plan = Plan::default();
    let kept = keep(&runtime, tally(&plan)).await;
    kept.actor.ask(add(5)).await.unwrap();

    kept.actor.kill();

    assert_eq!(plan.board.until(3).await, ["started with 0", "5 on 0", "started with 5"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_started_hook_that_fails_panics_or_hangs_is_a_failed_start() {
    for spec in [volatile, tally] {
        for hook in [Hook::Fails, Hook::Panics, Hook::Hangs, Hook::SpawnsAndFails] {
            let runtime = stored(MemoryStore::new()).await;
            let plan = Plan { hook, ..Plan::default() };

            let spawned = runtime.spawn_spec(spec(&plan).start_within(secs(2))).await;

            let Err(SpawnError::StartFailed { reason, .. }) = spawned else { panic!("{spawned:?}") };
            let phase = ExitPhase::Start;
            let as_promised = match hook {
                Hook::Returns => false,
                Hook::Fails | Hook::SpawnsAndFails => {
                    matches!(&reason, ExitReason::Failed { phase: at, .. } if *at == phase)
                }
                Hook::Panics => matches!(&reason, ExitReason::Panicked { phase: at, .. } if *at == phase),
                Hook::Hangs => matches!(&reason, ExitReason::StartTimedOut),
            };
            assert!(as_promised, "{hook:?}: {reason:?}");
            assert_eq!(plan.board.lines(), ["started with 0"], "{hook:?}: nothing left");
            end(runtime).await;
        }
    }
}
