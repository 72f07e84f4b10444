//! Supervisors under supervisors.

use super::*;

#[test]
fn tree() {
    let [left, right] = ["l", "r"].map(|name| {
        let inner = allowing(1, 10_000, one_for_one_of([permanent("x"), permanent("y")]));
        supervisor(name, Restart::Permanent, inner)
    });
    let dynamic = supervisor("d", Restart::Transient, one_for_one_of([]));
    let mut tree = Tree::of(one_for_all_of([left, right, dynamic]));
    tree.start_child("top/d", permanent("z"));
    tree.start_child("top/l", permanent("w"));

    // Only the dead worker is replaced.
    assert_eq!(tree.exit("top/l/x", Exit::Killed), "ended top/l/x, started top/l/x");
    tree.terminate("top", "d");
    assert_eq!(tree.children_of("top"), "l running, r running, d stopped");

    // The child supervisor gives up: all three return, with their static children only.
    assert_eq!(
        tree.exit("top/l/y", Exit::Killed),
        "ended top/l/y, stopped top/l/w, stopped top/l/x, ended top/l, \
         stopped top/r/y, stopped top/r/x, stopped top/r, \
         started top/l/x, started top/l/y, started top/l, \
         started top/r/x, started top/r/y, started top/r, started top/d"
    );
    assert_eq!(tree.children_of("top/l"), "x running, y running");
    assert_eq!(tree.children_of("top/d"), "");
}

#[test]
fn a_transient_supervisor_that_gives_up_is_not_restarted() {
    let inner = allowing(0, 1_000, one_for_one_of([permanent("a")]));
    let mut tree = Tree::of(one_for_one_of([supervisor("s", Restart::Transient, inner)]));

    assert_eq!(tree.exit("top/s/a", Exit::Abnormal), "ended top/s/a, ended top/s");
    assert_eq!(tree.children_of("top"), "s stopped");
    assert_eq!(tree.restart("top", "s"), "started top/s/a, started top/s, = Started");
}

#[test]
fn a_temporary_supervisor_that_gives_up_is_forgotten() {
    let inner = allowing(0, 1_000, one_for_one_of([permanent("a")]));
    let mut tree = Tree::of(one_for_one_of([supervisor("s", Restart::Temporary, inner)]));

    assert_eq!(tree.exit("top/s/a", Exit::Abnormal), "ended top/s/a, ended top/s");
    assert_eq!(tree.children_of("top"), "");
}

#[test]
fn intensities_multiply_up_the_tree() {
    let inner = allowing(1, 1_000, one_for_one_of([permanent("a")]));
    let mut tree = Tree::of(allowing(1, 1_000, one_for_one_of([supervisor("s", Restart::Permanent, inner)])));
    let quick = "ended top/s/a, started top/s/a";

    assert_eq!(tree.exit("top/s/a", Exit::Abnormal), quick);
    // A new incarnation begins with an empty list.
    assert_eq!(
        tree.exit("top/s/a", Exit::Abnormal),
        "ended top/s/a, ended top/s, started top/s/a, started top/s"
    );
    assert_eq!(tree.exit("top/s/a", Exit::Abnormal), quick);
    assert_eq!(tree.exit("top/s/a", Exit::Abnormal), "ended top/s/a, ended top/s, ended top");
}

#[test]
fn a_worker_that_cannot_start_fails_its_supervisor_and_counts_on_every_level() {
    let inner = allowing(1, 1_000, one_for_one_of([permanent("a"), permanent("b")]));
    let mut tree = Tree::of(allowing(2, 1_000, one_for_one_of([supervisor("s", Restart::Permanent, inner)])));
    tree.fail_starts("top/s/b", 2);

    assert_eq!(
        tree.exit("top/s/b", Exit::Abnormal),
        "ended top/s/b, failed top/s/b, stopped top/s/a, ended top/s, \
         started top/s/a, failed top/s/b, stopped top/s/a, failed top/s, \
         started top/s/a, started top/s/b, started top/s"
    );
}

#[test]
fn a_killed_supervisor_takes_all_below_along_and_returns_with_its_static_children() {
    let inner = one_for_one_of([permanent("b")]);
    let middle = one_for_one_of([permanent("a"), temporary("t"), supervisor("i", Restart::Permanent, inner)]);
    let mut tree = Tree::of(one_for_one_of([permanent("x"), supervisor("s", Restart::Permanent, middle)]));
    tree.start_child("top/s", permanent("dynamic"));
    tree.exit("top/s/t", Exit::Normal);

    assert_eq!(
        tree.kill_supervisor("top/s"),
        "{ended top/s, ended top/s/a, ended top/s/dynamic, ended top/s/i, ended top/s/i/b}, \
         started top/s/a, started top/s/t, started top/s/i/b, started top/s/i, started top/s"
    );
    assert_eq!(tree.children_of("top/s"), "a running, t running, i running");
}

#[test]
fn a_killed_supervisor_is_an_abnormal_exit_to_its_parent() {
    for (restart, left) in [
        (Restart::Permanent, "x running, s running"),
        (Restart::Transient, "x running, s running"),
        (Restart::Temporary, "x running"),
    ] {
        let mut tree =
            Tree::of(one_for_one_of([permanent("x"), supervisor("s", restart, one_for_one_of([]))]));
        tree.kill_supervisor("top/s");
        assert_eq!(tree.children_of("top"), left);
    }
}

#[test]
fn a_killed_supervisor_restarts_its_group() {
    let mut tree = Tree::of(rest_for_one_of([
        permanent("a"),
        supervisor("s", Restart::Permanent, one_for_one_of([])),
        permanent("b"),
    ]));

    assert_eq!(tree.kill_supervisor("top/s"), "ended top/s, stopped top/b, started top/s, started top/b");
}

#[test]
fn a_killed_top_ends_everything() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));

    assert_eq!(tree.kill_supervisor("top"), "{ended top, ended top/a}");
    assert!(!tree.model.is_running());
    assert_eq!(tree.kill_supervisor("top"), "");
}

#[test]
fn a_supervisor_hears_no_exit_but_kill() {
    let mut tree = Tree::of(one_for_one_of([supervisor("s", Restart::Permanent, one_for_one_of([]))]));

    for how in [Exit::Normal, Exit::Shutdown, Exit::Abnormal] {
        assert_eq!(tree.exit("top/s", how), "");
        assert_eq!(tree.exit("top", how), "");
    }
    assert_eq!(tree.exit("top/s", Exit::Killed), "ended top/s, started top/s");
    assert_eq!(tree.exit("top", Exit::Killed), "{ended top, ended top/s}");
}

#[test]
fn a_dynamic_supervisor_returns_from_the_spec_it_was_started_with() {
    let mut tree = Tree::of(one_for_one_of([]));
    tree.start_child("top", supervisor("s", Restart::Permanent, one_for_one_of([permanent("a")])));
    tree.start_child("top/s", permanent("b"));
    tree.terminate("top/s", "a");
    tree.delete("top/s", "a");
    assert_eq!(tree.children_of("top/s"), "b running");

    assert_eq!(tree.terminate("top", "s"), "stopped top/s/b, stopped top/s, = Ok");
    assert_eq!(tree.restart("top", "s"), "started top/s/a, started top/s, = Started");
}
