//! Work that is protected may come to its end when its actor is wanted gone; nothing else may.

use greenroom::{
    ActorSpec, ChildSpec, DynamicSupervisor, ExitReason, Failure, ProtectionOver, Shutdown, SuperviseExt,
    Supervisor,
};

use crate::support::{Act, Board, Gate, Probe, act, end, hold, keep, millis, runtime, secs, soon};

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

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_beyond_its_deadline_for_protected_work_at_the_top() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    probe.tell(pay(&gate, secs(3_600))).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    runtime.shutdown(secs(5)).await;

    assert!(runtime.clock().now() - begun <= secs(7), "{:?}", runtime.clock().now() - begun);
}

/// The story: of two protections side by side, the end of one took the other with it.
#[tokio::test(start_paused = true)]
async fn each_of_two_protections_side_by_side_stands_for_itself() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let both = act({
        let gate = gate.clone();
        move |probe, cx| {
            Box::pin(async move {
                let (clock, board) = (cx.clock(), &probe.board);
                let short = cx.protect(secs(60), clock.sleep(secs(3)));
                let long = cx.protect(secs(60), async {
                    gate.enter();
                    clock.sleep(secs(30)).await;
                    board.write("paid");
                });
                let (short, long) = tokio::join!(short, long);
                short.and(long)?;
                Ok(0)
            })
        }
    });
    kept.actor.tell(both).await.unwrap();
    gate.entered().await;

    kept.actor.stop(secs(1)).await;

    assert_eq!(board.lines(), ["paid"]);
    end(runtime).await;
}

/// The story: of two protections that had ended in the order in which they began, one was left behind.
#[tokio::test(start_paused = true)]
async fn protections_that_are_over_prolong_nothing() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let both = act({
        let gate = gate.clone();
        move |_, cx| {
            Box::pin(async move {
                let clock = cx.clock();
                let first = cx.protect(secs(3_600), clock.sleep(millis(1)));
                let second = cx.protect(secs(3_600), clock.sleep(millis(2)));
                let (first, second) = tokio::join!(first, second);
                first.and(second)?;
                gate.pass().await;
                Ok(0)
            })
        }
    });
    kept.actor.tell(both).await.unwrap();
    gate.entered().await;
    let begun = runtime.clock().now();

    kept.actor.stop(secs(1)).await;

    assert_eq!(runtime.clock().now() - begun, secs(1));
    end(runtime).await;
}

/// The story: an inner protection that ended while a stop was waiting took the outer one with it.
#[tokio::test(start_paused = true)]
async fn an_inner_protection_that_ends_while_a_stop_waits_leaves_the_outer_one() {
    let runtime = runtime().await;
    let (board, gate) = (Board::default(), Gate::new());
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let nested = act({
        let gate = gate.clone();
        move |probe, cx| {
            Box::pin(async move {
                let clock = cx.clock();
                let outer = cx.protect(secs(60), async {
                    gate.enter();
                    let _inner = cx.protect(secs(5), std::future::pending::<()>()).await;
                    clock.sleep(secs(10)).await;
                });
                outer.await?;
                probe.board.write("paid");
                Ok(0)
            })
        }
    });
    kept.actor.tell(nested).await.unwrap();
    gate.entered().await;

    kept.actor.stop(secs(1)).await;

    assert_eq!(board.lines(), ["paid"]);
    end(runtime).await;
}

/// The story: whoever protected one piece of work after the other was never stopped.
#[tokio::test(start_paused = true)]
async fn what_begins_to_be_protected_after_the_patience_does_not_prolong_it() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let again_and_again = act({
        let gate = gate.clone();
        move |_, cx| {
            Box::pin(async move {
                gate.enter();
                loop {
                    let _again = cx.protect(secs(10), cx.clock().sleep(secs(5))).await;
                }
            })
        }
    });
    kept.actor.tell(again_and_again).await.unwrap();
    gate.entered().await;

    soon(kept.actor.stop(secs(1))).await;

    end(runtime).await;
}

/// The story: children that are stopped all at once were all killed when the first had run out of patience.
#[tokio::test(start_paused = true)]
async fn a_stop_of_many_at_once_waits_for_the_one_that_is_protected() {
    let runtime = runtime().await;
    let (board, stuck, paid) = (Board::default(), Gate::new(), Gate::new());
    let many = DynamicSupervisor::<Probe>::named("many").shutdown(Shutdown::Within(secs(1)));
    let tree = runtime.supervise(many).await.unwrap();
    for name in ["a", "b"] {
        tree.dynamic::<Probe>().start(name, board.clone()).await.unwrap();
    }
    tree.actor::<Probe>("a").unwrap().tell(hold(&stuck)).await.unwrap();
    stuck.entered().await;
    tree.actor::<Probe>("b").unwrap().tell(pay(&paid, secs(60))).await.unwrap();
    paid.entered().await;

    let released = async {
        runtime.clock().sleep(secs(30)).await;
        paid.open();
    };
    tokio::join!(tree.stop(secs(300)), released);

    assert_eq!(board.lines(), ["paid"]);
    end(runtime).await;
}
