//! Group `sup_stop`: each child's own patience, and a stop that nothing disturbs.

use std::time::Duration;

use greenroom::{
    AutoShutdown, ChildSpec, Context, Failure, Handler, Message, Restart, Shutdown, Supervisor, SupervisorRef,
};

use crate::common::{ONE_SECOND, RESTARTS, dynamic, empty, stops_in_order, template};
use crate::support::{Child, Crash, Finish, Stage, Stop, Wait, child, millis, secs};

/// A worker and a supervisor that take two hours each get them.
#[tokio::test(start_paused = true)]
async fn sup_stop_infinity() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]).map(|part| part.stopping(Stop::Takes(secs(7_200))));
    let tree = stage.supervise(empty()).await;
    let below = Supervisor::named("below").child(a.spec().shutdown(Shutdown::Infinity));
    let below = ChildSpec::supervisor(below).shutdown(Shutdown::Infinity);
    tree.start_child(below).await.expect("it starts");
    tree.start_child(b.spec().shutdown(Shutdown::Infinity)).await.expect("it starts");

    let took = stop(&stage, &tree).await;

    assert_eq!(took, secs(2 * 7_200));
    let expected = ["sup/b shutdown", "sup/below/a shutdown", "sup/below shutdown", "sup shutdown"];
    assert_eq!(stage.exits(), expected);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(empty()).await;
    for part in [&a, &b] {
        tree.start_child(part.spec().shutdown(ONE_SECOND)).await.expect("it starts");
    }
    child(&tree, "b").tell(Wait).await.unwrap();
    stage.log.until("wait b").await;

    let took = stop(&stage, &tree).await;

    assert_eq!(took, secs(1));
    assert_eq!(stage.exits(), ["sup/b killed", "sup/a shutdown", "sup shutdown"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_timeout_dynamic() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let sup = dynamic(&stage, template().restart(Restart::Temporary)).await;
    sup.start("a", a).await.expect("it starts");
    let busy = sup.start("b", b).await.expect("it starts");
    busy.tell(Wait).await.unwrap();
    stage.log.until("wait b").await;

    let took = stop(&stage, sup.supervisor()).await;

    assert_eq!(took, secs(1));
    assert_eq!(stage.exits(), ["sup/a shutdown", "sup/b killed", "sup shutdown"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill() {
    let mut stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(empty()).await;
    tree.start_child(a.spec().shutdown(ONE_SECOND)).await.expect("it starts");
    tree.start_child(b.spec().shutdown(Shutdown::Brutal)).await.expect("it starts");
    stage.log.take();

    let took = stop(&stage, &tree).await;

    assert_eq!(took, secs(0));
    assert_eq!(stage.exits(), ["sup/b killed", "sup/a shutdown", "sup shutdown"]);
    assert_eq!(stage.log.take(), ["stop a"], "b was not asked");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sup_stop_brutal_kill_dynamic() {
    let mut stage = Stage::new().await;
    let part = stage.part("any");
    let of_all = template().restart(Restart::Temporary).shutdown(Shutdown::Brutal);
    let sup = dynamic(&stage, of_all).await;
    for _ in 0..10 {
        sup.start_unnamed(part.clone()).await.expect("it starts");
    }
    stage.log.take();

    let took = stop(&stage, sup.supervisor()).await;

    assert_eq!(took, secs(0));
    let exits = stage.exits();
    assert_eq!(exits.len(), 11);
    assert!(exits[..10].iter().all(|exit| exit.ends_with(" killed")), "{exits:?}");
    assert_eq!(exits[10], "sup shutdown");
    assert_eq!(stage.log.take(), [""; 0], "nobody was asked");
    stage.end().await;
}

/// While the last child takes its second to stop, all others but the first end by themselves. OTP's `{shutdown, test}`
/// is the end of a supervisor whose significant child has ended.
#[tokio::test(start_paused = true)]
async fn sup_stop_race() {
    let mut stage = Stage::new().await;
    let [any, first] = stage.parts(["any", "first"]);
    let last = stage.part("last").stopping(Stop::Takes(secs(1)));
    let tree = stage.supervise(empty()).await;
    let temporary = |part: &crate::support::Part| part.spec().restart(Restart::Temporary);
    tree.start_child(temporary(&first).shutdown(ONE_SECOND)).await.expect("it starts");
    let mut expected = Vec::new();
    for (number, restart) in RESTARTS.into_iter().enumerate() {
        for (how, reason) in [("a", "normal"), ("b", "shutdown"), ("c", "auto_shutdown"), ("d", "panicked")] {
            let name = format!("{how}-{number}");
            expected.push(format!("sup/{name} {reason}"));
            let spec = if reason == "auto_shutdown" {
                expected.push(format!("sup/{name}/any normal"));
                let leaf = temporary(&any).significant();
                ChildSpec::supervisor(
                    Supervisor::named(name).auto_shutdown(AutoShutdown::AnySignificant).child(leaf),
                )
            } else {
                ChildSpec::actor::<Child>(name, any.clone())
            };
            tree.start_child(spec.restart(restart).shutdown(ONE_SECOND)).await.expect("it starts");
        }
    }
    tree.start_child(temporary(&last).shutdown(Shutdown::Within(secs(2)))).await.expect("it starts");
    stage.log.take();

    let (took, ()) = tokio::join!(stop(&stage, &tree), async {
        stage.log.until("stop last").await;
        stage.runtime.clock().sleep(millis(200)).await;
        for number in 0..RESTARTS.len() {
            child(&tree, &format!("a-{number}")).tell(Finish).await.unwrap();
            child(&tree, &format!("b-{number}")).place().ask_to_stop();
            child(&tree, &format!("c-{number}/any")).tell(Finish).await.unwrap();
            child(&tree, &format!("d-{number}")).tell(Crash).await.unwrap();
        }
    });

    assert_eq!(took, secs(1), "the supervisor waits for none of them");
    let mut exits = stage.exits();
    let own = exits.split_off(expected.len());
    assert_eq!(own, ["sup/last shutdown", "sup/first shutdown", "sup shutdown"]);
    exits.sort();
    expected.sort();
    assert_eq!(exits, expected);
    let starts = stage.log.take().into_iter().filter(|line| line.starts_with("start"));
    assert_eq!(starts.count(), 0, "nobody comes back");
    stage.end().await;
}

/// Adapted: an actor that was asked to stop and does has ended with `shutdown`, whatever it meant by it; so OTP's
/// `normal` and `{shutdown, _}` are one with that. The other ways are a hook or a handler that breaks, a kill from
/// outside, and patience that ends.
#[tokio::test(start_paused = true)]
async fn sup_stop_non_shutdown_exit_dynamic() {
    for restart in RESTARTS {
        let mut stage = Stage::new().await;
        let [a, b, c, d] = stage.parts(["a", "b", "c", "d"]);
        let e = stage.part("e").stopping(Stop::Panics);
        let f = stage.part("f").stopping(Stop::Takes(secs(6)));
        let sup = dynamic(&stage, template().restart(restart).shutdown(Shutdown::Within(secs(5)))).await;
        for part in [a, b, c, d, e, f] {
            sup.start(part.name, part).await.expect("it starts");
        }
        let named = |name: &str| sup.get(name).expect("it lives there");
        named("b").tell(AtStop(|| panic!("no time for that"))).await.unwrap();
        named("c").tell(AtStop(|| Err(Failure::bug("no time for that")))).await.unwrap();
        let victim = named("d");
        victim.tell(Wait).await.unwrap();
        stage.log.until("wait d").await;
        stage.log.take();

        let (took, ()) = tokio::join!(stop(&stage, sup.supervisor()), async {
            stage.log.until("stop f").await;
            stage.runtime.clock().sleep(secs(1)).await;
            victim.kill();
        });

        assert_eq!(took, secs(5), "{restart:?}");
        let mut exits = stage.exits();
        assert_eq!(exits.pop().unwrap(), "sup shutdown");
        exits.sort();
        let expected = [
            "sup/a shutdown",
            "sup/b panicked",
            "sup/c failed",
            "sup/d killed",
            "sup/e shutdown",
            "sup/f killed",
        ];
        assert_eq!(exits, expected, "{restart:?}");
        assert!(!stage.log.take().iter().any(|line| line.starts_with("start")), "nobody comes back");
        stage.end().await;
    }
}

/// Stops `tree`, which leaves nothing, and says how long it took.
async fn stop(stage: &Stage, tree: &SupervisorRef) -> Duration {
    let begun = stage.runtime.clock().now();
    stops_in_order(stage, tree).await;
    begun.elapsed()
}

/// The handler waits until its actor is asked to stop, and then does this.
struct AtStop(fn() -> Result<(), Failure>);

impl Message for AtStop {
    type Reply = ();
}

impl Handler<AtStop> for Child {
    async fn handle(&mut self, at_stop: AtStop, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.stopping().await;
        (at_stop.0)()
    }
}
