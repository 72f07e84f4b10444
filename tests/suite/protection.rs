//! Work that is protected may come to its end when its actor is wanted gone; nothing else may.

use greenroom::{
    ActorSpec, ChildSpec, ExitReason, Failure, ProtectionOver, Shutdown, SuperviseExt, Supervisor,
};

use crate::support::{Act, Board, Gate, Probe, act, end, keep, millis, runtime, secs};

/// Stands in `gate` under protection, then writes `paid`, then waits once more.
fn pay(gate: &Gate, deadline: std::time::Duration) -> Act {
    let gate = gate.clone();
    act(move |probe, cx| {
        Box::pin(async move {
            let paid = cx.protect(deadline, gate.pass()).await;
            match paid {
                Ok(()) => probe.board.write("paid"),
                Err(ProtectionOver { after }) => probe.board.write(format!("over after {after:?}")),
            }
            std::future::pending::<Result<u32, Failure>>().await
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_beyond_its_patience_for_protected_work_and_then_cuts_the_handler() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    kept.actor.tell(pay(&gate, secs(60))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    let stopped = async { (kept.actor.stop(secs(1)).await, runtime.clock().now() - begun) };
    let released = async {
        runtime.clock().sleep(secs(30)).await;
        gate.open();
    };
    let ((exit, took), ()) = tokio::join!(stopped, released);

    assert_eq!(board.lines(), ["paid"]);
    assert!(matches!(exit, Some(ExitReason::Killed { .. })), "{exit:?}");
    assert_eq!(took, secs(30));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn protection_ends_with_its_deadline() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    kept.actor.tell(pay(&gate, secs(20))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    kept.actor.stop(secs(1)).await;

    assert_eq!(runtime.clock().now() - begun, secs(20));
    assert!(board.lines().iter().all(|line| line == "over after 20s"), "{:?}", board.lines());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_cuts_protected_work() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    probe.tell(pay(&gate, secs(60))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    probe.kill();
    probe.closed().await;

    assert_eq!(runtime.clock().now(), begun);
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_of_the_runtime_does_not_wait_beyond_its_own_deadline() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let child = ChildSpec::actor::<Probe>("probe", Board::default()).shutdown(Shutdown::Within(secs(1)));
    let tree = runtime.supervise(Supervisor::named("sup").child(child)).await.unwrap();
    tree.actor::<Probe>("probe").unwrap().tell(pay(&gate, secs(3_600))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    let report = runtime.shutdown(secs(5)).await;

    assert!(runtime.clock().now() - begun <= secs(7), "{:?}", runtime.clock().now() - begun);
    assert!(!report.is_clean());
}

#[tokio::test(start_paused = true)]
async fn protection_within_protection_ends_with_the_outer_one() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let nested = act({
        let gate = gate.clone();
        move |probe, cx| {
            Box::pin(async move {
                let outer = cx.protect(secs(60), async {
                    let _inner = cx.protect(millis(10), std::future::pending::<()>()).await;
                    gate.pass().await;
                });
                outer.await.map_err(Failure::from)?;
                probe.board.write("paid");
                Ok(0)
            })
        }
    });
    kept.actor.tell(nested).await.unwrap();
    gate.entered().await;

    let stopped = kept.actor.stop(secs(1));
    let released = async {
        runtime.clock().sleep(secs(30)).await;
        gate.open();
    };
    tokio::join!(stopped, released);

    assert_eq!(board.lines(), ["paid"]);
    end(runtime).await;
}
