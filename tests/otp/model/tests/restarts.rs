//! Restart types, and how many restarts are too many.

use super::*;

#[test]
fn permanent_normal_shutdown_and_abnormal() {
    for how in EXITS {
        let mut tree = Tree::of(one_for_one_of([permanent("a"), permanent("b")]));

        assert_eq!(tree.exit("top/a", how), "ended top/a, started top/a");
        assert_eq!(tree.children_of("top"), "a running, b running");
    }
}

#[test]
fn transient_normal_and_shutdown() {
    for how in [Exit::Normal, Exit::Shutdown] {
        let mut tree = Tree::of(one_for_one_of([transient("a"), permanent("b")]));

        assert_eq!(tree.exit("top/a", how), "ended top/a");
        assert_eq!(tree.children_of("top"), "a stopped, b running");
        assert_eq!(tree.restart("top", "a"), "started top/a, = Started");
    }
}

#[test]
fn transient_abnormal() {
    for how in [Exit::Abnormal, Exit::Killed] {
        let mut tree = Tree::of(one_for_one_of([transient("a")]));

        assert_eq!(tree.exit("top/a", how), "ended top/a, started top/a");
    }
}

#[test]
fn temporary_normal_shutdown_and_abnormal() {
    for how in EXITS {
        let mut tree = Tree::of(one_for_one_of([temporary("a"), permanent("b")]));

        assert_eq!(tree.exit("top/a", how), "ended top/a");
        assert_eq!(tree.children_of("top"), "b running");
        assert_eq!(tree.start_child("top", temporary("a")), "started top/a, = Started");
        assert_eq!(tree.children_of("top"), "b running, a running");
    }
}

#[test]
fn one_for_one() {
    let mut tree = Tree::of(one_for_one_of([permanent("a"), permanent("b")]));

    assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, started top/a");
    assert_eq!(tree.exit("top/b", Exit::Killed), "ended top/b, started top/b");
    // The third restart is one too many: the list is the supervisor's, not the child's.
    assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, stopped top/b, ended top");
    assert!(!tree.model.is_running());
    assert_eq!(tree.exit("top/b", Exit::Killed), "");
}

#[test]
fn one_for_one_escalation() {
    let mut tree = Tree::of(one_for_one_of([permanent("a"), permanent("b")]));
    tree.fail_starts("top/a", 10);

    assert_eq!(
        tree.exit("top/a", Exit::Abnormal),
        "ended top/a, failed top/a, failed top/a, stopped top/b, ended top"
    );
}

#[test]
fn every_failed_attempt_counts() {
    let mut tree = Tree::of(allowing(3, 1_000, one_for_one_of([permanent("a")])));

    tree.fail_starts("top/a", 2);
    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, failed top/a, failed top/a, started top/a");
    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, ended top");
}

#[test]
fn no_intensity_at_all_ends_it_at_the_first_restart() {
    let mut tree =
        Tree::of(allowing(0, 1_000, one_for_one_of([transient("a"), temporary("b"), permanent("c")])));

    assert_eq!(tree.exit("top/b", Exit::Abnormal), "ended top/b");
    assert_eq!(tree.exit("top/a", Exit::Normal), "ended top/a");
    assert_eq!(tree.exit("top/c", Exit::Normal), "ended top/c, ended top");
}

#[test]
fn multiple_restarts() {
    let mut tree = Tree::of(allowing(1, 1_000, one_for_one_of([permanent("a")])));

    for round in 0..10 {
        tree.now_ms = round * 2_100;
        assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, started top/a");
    }
}

#[test]
fn the_window_includes_its_boundary() {
    for (apart_ms, survives) in [(999, false), (1_000, false), (1_001, true)] {
        let mut tree = Tree::of(allowing(1, 1_000, one_for_one_of([permanent("a")])));
        tree.now_ms = 5_000;
        tree.exit("top/a", Exit::Killed);

        tree.now_ms += apart_ms;
        tree.exit("top/a", Exit::Killed);

        assert_eq!(tree.model.is_running(), survives, "{apart_ms} ms apart");
    }
}

#[test]
fn a_child_that_declines_its_restart_stays_listed() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));

    tree.decline_start("top/a");
    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, declined top/a");
    assert_eq!(tree.children_of("top"), "a stopped");
    assert_eq!(tree.restart("top", "a"), "started top/a, = Started");
}

#[test]
fn failures_come_before_a_decline() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));

    tree.decline_start("top/a");
    tree.fail_starts("top/a", 1);
    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, failed top/a, declined top/a");
}

#[test]
fn exits_of_those_that_do_not_run_are_ignored() {
    let mut tree = Tree::of(one_for_one_of([transient("a")]));
    tree.exit("top/a", Exit::Normal);

    for path in ["top/a", "top/nobody", "top/a/below", "elsewhere", "to", "top/", ""] {
        for how in EXITS {
            assert_eq!(tree.exit(path, how), "", "{path}");
        }
    }
    assert_eq!(tree.children_of("top"), "a stopped");
}
