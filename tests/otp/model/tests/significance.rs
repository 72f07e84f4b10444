//! When the end of a child is the end of its supervisor.

use super::*;

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

#[test]
fn nonsignificant_temporary() {
    for mode in MODES {
        for how in EXITS {
            let mut tree = Tree::of(SupervisorSpec {
                auto_shutdown: mode,
                ..one_for_one_of([temporary("a"), temporary("b"), permanent("c")])
            });
            tree.terminate("top", "a");
            tree.exit("top/b", how);
            assert_eq!(tree.children_of("top"), "c running");
        }
    }
}

#[test]
fn nonsignificant_transient() {
    for mode in MODES {
        for how in EXITS {
            let mut tree = Tree::of(SupervisorSpec {
                auto_shutdown: mode,
                ..one_for_one_of([transient("a"), transient("b")])
            });
            tree.terminate("top", "a");
            tree.exit("top/b", how);
            assert!(tree.model.is_running());
        }
    }
}

#[test]
fn significant_temporary_any() {
    for how in EXITS {
        let children = [significant(temporary("a")), significant(temporary("b")), permanent("c")];
        let mut tree = Tree::of(any_significant(one_for_one_of(children)));

        assert_eq!(tree.terminate("top", "a"), "stopped top/a, = Ok");
        assert_eq!(tree.exit("top/b", how), "ended top/b, stopped top/c, ended top");
        assert!(!tree.model.is_running());
    }
}

#[test]
fn significant_temporary_all() {
    for how in EXITS {
        let children = [significant(temporary("a")), permanent("b"), significant(temporary("c"))];
        let mut tree = Tree::of(all_significant(one_for_one_of(children)));

        assert_eq!(tree.exit("top/a", how), "ended top/a");
        assert_eq!(tree.exit("top/c", how), "ended top/c, stopped top/b, ended top");
    }
}

#[test]
fn significant_transient_any() {
    let children = [significant(transient("a")), significant(transient("b")), permanent("c")];
    let mut tree = Tree::of(any_significant(one_for_one_of(children)));

    assert_eq!(tree.terminate("top", "a"), "stopped top/a, = Ok");
    assert_eq!(tree.exit("top/b", Exit::Killed), "ended top/b, started top/b");
    assert_eq!(tree.exit("top/b", Exit::Abnormal), "ended top/b, started top/b");
    assert_eq!(tree.exit("top/b", Exit::Normal), "ended top/b, stopped top/c, ended top");
}

#[test]
fn significant_transient_shutdown_triggers_like_normal() {
    let mut tree = Tree::of(any_significant(one_for_one_of([significant(transient("a"))])));

    assert_eq!(tree.exit("top/a", Exit::Shutdown), "ended top/a, ended top");
}

#[test]
fn significant_transient_all() {
    let children = [significant(transient("a")), significant(transient("b")), permanent("c")];
    let mut tree = Tree::of(all_significant(one_for_one_of(children)));

    assert_eq!(tree.exit("top/b", Exit::Normal), "ended top/b");
    assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, started top/a");
    assert_eq!(tree.exit("top/a", Exit::Normal), "ended top/a, stopped top/c, ended top");
}

#[test]
fn the_last_significant_one_may_be_terminated_without_consequence() {
    let children = [significant(transient("a")), significant(transient("b")), permanent("c")];
    let mut tree = Tree::of(all_significant(one_for_one_of(children)));

    tree.exit("top/a", Exit::Normal);
    assert_eq!(tree.terminate("top", "b"), "stopped top/b, = Ok");
    assert_eq!(tree.children_of("top"), "a stopped, b stopped, c running");

    // But a terminated one does not count as alive when another ends.
    tree.restart("top", "a");
    assert_eq!(tree.exit("top/a", Exit::Normal), "ended top/a, stopped top/c, ended top");
}

#[test]
fn a_significant_child_that_waits_for_its_restart_counts_as_alive() {
    let children = [significant(transient("a")), significant(transient("b"))];
    let mut tree = Tree::of(all_significant(one_for_one_of(children)));
    tree.fail_starts("top/a", 1);
    tree.apply_once(Event::Exit { path: "top/a".into(), how: Exit::Abnormal });

    tree.apply_once(Event::Exit { path: "top/b".into(), how: Exit::Normal });

    assert_eq!(tree.children_of("top"), "a restarting, b stopped");
}

#[test]
fn a_significant_child_that_declines_its_restart_does_not_trigger() {
    let mut tree = Tree::of(any_significant(one_for_one_of([significant(transient("a"))])));
    tree.decline_start("top/a");

    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, declined top/a");
    assert!(tree.model.is_running());
}

#[test]
fn significant_bystander() {
    for mode in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for strategy in ORDERED {
            let children = [permanent("a"), significant(transient("b")), significant(temporary("c"))];
            let mut tree = Tree::of(SupervisorSpec { auto_shutdown: mode, ..spec(strategy, children) });

            tree.exit("top/a", Exit::Killed);

            let left = if strategy == Strategy::OneForOne {
                "a running, b running, c running"
            } else {
                "a running, b running"
            };
            assert_eq!(tree.children_of("top"), left);
        }
    }
}

#[test]
fn significant_escalation() {
    let inner = || any_significant(one_for_one_of([significant(transient("a")), permanent("b")]));

    let child = significant(supervisor("s", Restart::Transient, inner()));
    let mut tree = Tree::of(any_significant(one_for_one_of([permanent("x"), child])));
    assert_eq!(
        tree.exit("top/s/a", Exit::Normal),
        "ended top/s/a, stopped top/s/b, ended top/s, stopped top/x, ended top"
    );

    let child = supervisor("s", Restart::Transient, inner());
    let mut tree = Tree::of(any_significant(one_for_one_of([permanent("x"), child])));
    assert_eq!(tree.exit("top/s/a", Exit::Normal), "ended top/s/a, stopped top/s/b, ended top/s");
    assert_eq!(tree.children_of("top"), "x running, s stopped");
}

#[test]
fn significant_escalation_of_a_temporary_supervisor_that_was_killed() {
    let child = significant(supervisor("s", Restart::Temporary, one_for_one_of([])));
    let mut tree = Tree::of(any_significant(one_for_one_of([permanent("x"), child])));

    assert_eq!(tree.kill_supervisor("top/s"), "ended top/s, stopped top/x, ended top");
}

#[test]
fn a_permanent_supervisor_that_shut_itself_down_is_restarted() {
    let inner = any_significant(one_for_one_of([significant(temporary("a"))]));
    let mut tree = Tree::of(one_for_one_of([supervisor("s", Restart::Permanent, inner)]));

    assert_eq!(
        tree.exit("top/s/a", Exit::Abnormal),
        "ended top/s/a, ended top/s, started top/s/a, started top/s"
    );
}
