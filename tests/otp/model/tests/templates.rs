//! Instances of a template: `simple_one_for_one`.

use super::*;

/// A template with the instances `a`, `b` and `c`. What is passed besides the name is of no importance.
fn three(restart: Restart) -> Tree {
    let mut tree = Tree::of(template(worker("instance", restart)));
    for name in ["a", "b", "c"] {
        assert_eq!(tree.start_child("top", temporary(name)), format!("started top/{name}, = Started"));
    }
    tree
}

#[test]
fn simple_one_for_one() {
    let mut tree = three(Restart::Permanent);

    assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, started top/a");
    assert_eq!(tree.exit("top/b", Exit::Normal), "ended top/b, started top/b");
    assert_eq!(tree.exit("top/a", Exit::Killed), "ended top/a, {stopped top/b, stopped top/c}, ended top");
}

#[test]
fn simple_one_for_one_shutdown() {
    let mut tree = three(Restart::Transient);

    assert_eq!(tree.apply(Event::StopTop), "{stopped top/a, stopped top/b, stopped top/c}, stopped top");
}

#[test]
fn a_parallel_stop_of_one_is_no_set() {
    let mut tree = three(Restart::Temporary);
    tree.exit("top/a", Exit::Abnormal);
    tree.terminate("top", "b");

    assert_eq!(tree.apply(Event::StopTop), "stopped top/c, stopped top");
}

#[test]
fn simple_one_for_one_escalation() {
    let mut tree = three(Restart::Permanent);
    tree.fail_starts("top/a", 10);

    assert_eq!(
        tree.exit("top/a", Exit::Abnormal),
        "ended top/a, failed top/a, failed top/a, {stopped top/b, stopped top/c}, ended top"
    );
}

#[test]
fn simple_one_for_one_restart_ignore() {
    for restart in [Restart::Permanent, Restart::Transient] {
        let mut tree = three(restart);

        tree.decline_start("top/b");
        assert_eq!(tree.exit("top/b", Exit::Abnormal), "ended top/b, declined top/b");
        assert_eq!(tree.children_of("top"), "a running, c running");
    }
}

#[test]
fn an_instance_that_is_not_restarted_leaves_no_entry() {
    let mut tree = three(Restart::Transient);
    assert_eq!(tree.exit("top/b", Exit::Normal), "ended top/b");
    assert_eq!(tree.children_of("top"), "a running, c running");

    let mut tree = three(Restart::Temporary);
    assert_eq!(tree.exit("top/b", Exit::Killed), "ended top/b");
    assert_eq!(tree.children_of("top"), "a running, c running");
}

#[test]
fn sup_start_ignore_child_start_child_simple() {
    for restart in RESTARTS {
        let mut tree = Tree::of(template(worker("instance", restart)));

        tree.decline_start("top/a");
        assert_eq!(tree.start_child("top", permanent("a")), "declined top/a, = Declined");
        assert_eq!(tree.children_of("top"), "");
        assert_eq!(tree.apply(Event::StopTop), "stopped top");
    }
}

#[test]
fn sup_start_child_returns_error_simple() {
    let mut tree = Tree::of(template(permanent("instance")));

    tree.fail_starts("top/a", 1);
    assert_eq!(tree.start_child("top", permanent("a")), "failed top/a, = StartFailed");
    assert_eq!(tree.children_of("top"), "");
}

#[test]
fn child_adm_simple() {
    let mut tree = three(Restart::Permanent);

    assert_eq!(tree.start_child("top", permanent("a")), "= AlreadyStarted");
    assert_eq!(tree.restart("top", "a"), "= NotForTemplate");
    assert_eq!(tree.delete("top", "a"), "= NotForTemplate");
    assert_eq!(tree.restart("top", "stranger"), "= NotForTemplate");
    assert_eq!(tree.delete("top", "stranger"), "= NotForTemplate");

    assert_eq!(tree.terminate("top", "a"), "stopped top/a, = Ok");
    assert_eq!(tree.terminate("top", "a"), "= Ok");
    assert_eq!(tree.terminate("top", "stranger"), "= NotFound");
    assert_eq!(tree.children_of("top"), "b running, c running");
    assert_eq!(tree.start_child("top", permanent("a")), "started top/a, = Started");
}

#[test]
fn hanging_restart_loop_simple() {
    let mut tree = Tree::of(allowing(100, 10_000, template(permanent("instance"))));
    tree.start_child("top", permanent("a"));
    tree.fail_starts("top/a", 1);
    tree.apply_once(Event::Exit { path: "top/a".into(), how: Exit::Abnormal });

    assert_eq!(tree.children_of("top"), "a restarting");
    assert_eq!(tree.apply_once(Event::Terminate { supervisor: "top".into(), name: "a".into() }), "= Ok");
    assert_eq!(tree.children_of("top"), "");
    assert_eq!(tree.retry_once(), None);
}

#[test]
fn instances_may_be_supervisors() {
    let inner = one_for_one_of([permanent("x"), permanent("y")]);
    let mut tree = Tree::of(template(supervisor("instance", Restart::Permanent, inner)));
    let started = "started top/a/x, started top/a/y, started top/a, = Started";
    assert_eq!(tree.start_child("top", permanent("a")), started);

    assert_eq!(tree.exit("top/a/y", Exit::Abnormal), "ended top/a/y, started top/a/y");
    assert_eq!(tree.children_of("top/a"), "x running, y running");
    // Terminating one is no parallel stop: its own order is seen.
    assert_eq!(tree.terminate("top", "a"), "stopped top/a/y, stopped top/a/x, stopped top/a, = Ok");

    tree.start_child("top", permanent("a"));
    assert_eq!(tree.apply(Event::StopTop), "{stopped top/a, stopped top/a/x, stopped top/a/y}, stopped top");
}
