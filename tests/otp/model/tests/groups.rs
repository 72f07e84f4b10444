//! Restarts of several children at once.

use super::*;

#[test]
fn one_for_all() {
    let mut tree = Tree::of(one_for_all_of([permanent("a"), permanent("b"), permanent("c")]));
    let round = "ended top/b, stopped top/c, stopped top/a, started top/a, started top/b, started top/c";

    // A group counts once, however many are in it.
    assert_eq!(tree.exit("top/b", Exit::Killed), round);
    assert_eq!(tree.exit("top/b", Exit::Killed), round);
    assert_eq!(tree.exit("top/b", Exit::Killed), "ended top/b, stopped top/c, stopped top/a, ended top");
}

#[test]
fn one_for_all_escalation() {
    let mut tree = Tree::of(allowing(1, 1_000, one_for_all_of([permanent("a"), permanent("b")])));
    tree.fail_starts("top/b", 10);

    assert_eq!(
        tree.exit("top/a", Exit::Killed),
        "ended top/a, stopped top/b, started top/a, failed top/b, stopped top/a, ended top"
    );
}

#[test]
fn one_for_all_other_child_fails_restart() {
    let mut tree = Tree::of(one_for_all_of([permanent("a"), permanent("b"), permanent("c")]));
    tree.fail_starts("top/b", 1);

    assert_eq!(
        tree.exit("top/a", Exit::Killed),
        "ended top/a, stopped top/c, stopped top/b, started top/a, failed top/b, \
         stopped top/a, started top/a, started top/b, started top/c"
    );
    // Both attempts are on the list, so the next one ends it.
    assert_eq!(tree.exit("top/c", Exit::Killed), "ended top/c, stopped top/b, stopped top/a, ended top");
}

#[test]
fn rest_for_one() {
    let mut tree = Tree::of(rest_for_one_of([permanent("a"), permanent("b"), permanent("c")]));

    let round = "ended top/b, stopped top/c, started top/b, started top/c";
    assert_eq!(tree.exit("top/b", Exit::Killed), round);
    assert_eq!(tree.exit("top/b", Exit::Killed), round);
    assert_eq!(tree.exit("top/b", Exit::Killed), "ended top/b, stopped top/c, stopped top/a, ended top");
}

#[test]
fn rest_for_one_escalation() {
    let mut tree = Tree::of(allowing(1, 1_000, rest_for_one_of([permanent("a"), permanent("b")])));
    tree.fail_starts("top/b", 10);

    assert_eq!(
        tree.exit("top/a", Exit::Killed),
        "ended top/a, stopped top/b, started top/a, failed top/b, stopped top/a, ended top"
    );
}

#[test]
fn rest_for_one_other_child_fails_restart() {
    let mut tree = Tree::of(rest_for_one_of([permanent("a"), permanent("b"), permanent("c")]));
    tree.fail_starts("top/b", 1);

    assert_eq!(
        tree.exit("top/a", Exit::Killed),
        "ended top/a, stopped top/c, stopped top/b, started top/a, failed top/b, started top/b, started top/c"
    );
}

#[test]
fn rest_for_one_includes_those_added_later() {
    let mut tree = Tree::of(rest_for_one_of([permanent("a"), permanent("b")]));
    tree.start_child("top", permanent("c"));

    assert_eq!(
        tree.exit("top/b", Exit::Abnormal),
        "ended top/b, stopped top/c, started top/b, started top/c"
    );
}

#[test]
fn order_of_children() {
    let mut tree = Tree::of(rest_for_one_of(["a", "b", "c", "d", "e"].map(permanent)));

    assert_eq!(
        tree.exit("top/c", Exit::Killed),
        "ended top/c, stopped top/e, stopped top/d, started top/c, started top/d, started top/e"
    );
    assert_eq!(
        tree.apply(Event::StopTop),
        "stopped top/e, stopped top/d, stopped top/c, stopped top/b, stopped top/a, stopped top"
    );
}

#[test]
fn temporary_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut tree = Tree::of(allowing(1, 1_000, spec(strategy, [permanent("a"), temporary("b")])));

        assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, stopped top/b, started top/a");
        assert_eq!(tree.children_of("top"), "a running");
    }
}

#[test]
fn do_not_save_child_specs_for_temporary_children() {
    for strategy in ORDERED {
        for how in EXITS {
            let mut tree = Tree::of(spec(strategy, [permanent("a"), temporary("b"), permanent("c")]));
            assert_eq!(tree.exit("top/b", how), "ended top/b");
            assert_eq!(tree.children_of("top"), "a running, c running");
        }
        let mut tree = Tree::of(spec(strategy, [permanent("a"), temporary("b"), permanent("c")]));
        assert_eq!(tree.terminate("top", "b"), "stopped top/b, = Ok");
        assert_eq!(tree.children_of("top"), "a running, c running");
    }
}

#[test]
fn a_group_restart_brings_back_those_that_had_stopped() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut tree =
            Tree::of(spec(strategy, [permanent("a"), transient("b"), permanent("c"), transient("d")]));
        tree.exit("top/b", Exit::Normal);
        tree.terminate("top", "c");

        assert_eq!(
            tree.exit("top/a", Exit::Abnormal),
            "ended top/a, stopped top/d, started top/a, started top/b, started top/c, started top/d"
        );
        assert_eq!(tree.children_of("top"), "a running, b running, c running, d running");
    }
}

#[test]
fn a_stopped_child_before_the_failed_one_stays_stopped_under_rest_for_one() {
    let mut tree = Tree::of(rest_for_one_of([transient("a"), permanent("b")]));
    tree.exit("top/a", Exit::Normal);

    assert_eq!(tree.exit("top/b", Exit::Abnormal), "ended top/b, started top/b");
    assert_eq!(tree.children_of("top"), "a stopped, b running");
}

#[test]
fn a_normal_end_that_is_not_restarted_spares_the_group() {
    for strategy in ORDERED {
        let mut tree = Tree::of(spec(strategy, [transient("a"), permanent("b")]));

        assert_eq!(tree.exit("top/a", Exit::Normal), "ended top/a");
        assert_eq!(tree.children_of("top"), "a stopped, b running");
    }
}

#[test]
fn a_child_that_declines_in_a_group_restart_is_passed_over() {
    let mut tree = Tree::of(one_for_all_of([permanent("a"), transient("b"), permanent("c")]));
    tree.decline_start("top/b");

    assert_eq!(
        tree.exit("top/a", Exit::Abnormal),
        "ended top/a, stopped top/c, stopped top/b, started top/a, declined top/b, started top/c"
    );
    assert_eq!(tree.children_of("top"), "a running, b stopped, c running");
}

#[test]
fn while_another_child_is_tried_again_the_one_that_ended_is_only_stopped() {
    let mut tree = Tree::of(one_for_all_of([permanent("a"), permanent("b"), permanent("c")]));
    tree.fail_starts("top/a", 1);

    tree.apply_once(Event::Exit { path: "top/b".into(), how: Exit::Killed });
    assert_eq!(tree.children_of("top"), "a restarting, b stopped, c stopped");

    assert_eq!(tree.retry_once().as_deref(), Some("started top/a, started top/b, started top/c"));
    assert_eq!(tree.retry_once(), None);
}

#[test]
fn terminating_the_one_tried_again_leaves_the_rest_of_the_group_stopped() {
    let mut tree = Tree::of(rest_for_one_of([permanent("a"), permanent("b"), permanent("c")]));
    tree.fail_starts("top/b", 1);
    tree.apply_once(Event::Exit { path: "top/a".into(), how: Exit::Killed });
    assert_eq!(tree.children_of("top"), "a running, b restarting, c stopped");

    assert_eq!(tree.terminate("top", "b"), "= Ok");
    assert_eq!(tree.children_of("top"), "a running, b stopped, c stopped");
}
