//! What a supervisor answers in each state of a child.

use super::*;

#[test]
fn child_adm() {
    let mut tree = Tree::of(one_for_one_of([]));

    assert_eq!(tree.start_child("top", permanent("a")), "started top/a, = Started");
    assert_eq!(tree.start_child("top", permanent("a")), "= AlreadyStarted");
    assert_eq!(tree.terminate("top", "stranger"), "= NotFound");
    assert_eq!(tree.restart("top", "a"), "= Running");
    assert_eq!(tree.delete("top", "a"), "= Running");
    assert_eq!(tree.children_of("top"), "a running");

    assert_eq!(tree.terminate("top", "a"), "stopped top/a, = Ok");
    assert_eq!(tree.children_of("top"), "a stopped");
    assert_eq!(tree.terminate("top", "a"), "= Ok");
    assert_eq!(tree.start_child("top", permanent("a")), "= AlreadyPresent");
    assert_eq!(tree.restart("top", "a"), "started top/a, = Started");
    assert_eq!(tree.restart("top", "stranger"), "= NotFound");

    tree.terminate("top", "a");
    assert_eq!(tree.delete("top", "a"), "= Ok");
    assert_eq!(tree.delete("top", "a"), "= NotFound");
    assert_eq!(tree.restart("top", "a"), "= NotFound");
    assert_eq!(tree.children_of("top"), "");

    // OTP's caller would exit with `noproc`.
    tree.apply(Event::StopTop);
    assert_eq!(tree.start_child("top", permanent("a")), "");
    assert_eq!(tree.terminate("top", "a"), "");
}

#[test]
fn child_adm_of_something_that_is_no_supervisor() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));

    assert_eq!(tree.start_child("top/a", permanent("b")), "");
    assert_eq!(tree.start_child("top/nobody", permanent("b")), "");
    assert_eq!(tree.kill_supervisor("top/a"), "");
    assert_eq!(tree.kill_supervisor("top/nobody"), "");
}

#[test]
fn start_child_refuses_a_bad_combination_before_it_looks_at_the_name() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));
    assert_eq!(tree.start_child("top", significant(transient("a"))), "= BadCombination");

    let mut tree = Tree::of(any_significant(one_for_one_of([])));
    assert_eq!(tree.start_child("top", significant(permanent("a"))), "= BadCombination");
    assert_eq!(tree.start_child("top", significant(transient("a"))), "started top/a, = Started");
}

#[test]
fn restart_child_that_declines_stays_listed() {
    let mut tree = Tree::of(one_for_one_of([transient("a")]));
    tree.exit("top/a", Exit::Normal);

    tree.decline_start("top/a");
    assert_eq!(tree.restart("top", "a"), "declined top/a, = Declined");
    assert_eq!(tree.children_of("top"), "a stopped");
}

#[test]
fn restart_child_by_hand_counts_for_no_intensity() {
    let mut tree = Tree::of(allowing(1, 10_000, one_for_one_of([transient("a")])));
    for _ in 0..5 {
        tree.exit("top/a", Exit::Normal);
        assert_eq!(tree.restart("top", "a"), "started top/a, = Started");
    }
    assert_eq!(tree.exit("top/a", Exit::Abnormal), "ended top/a, started top/a");
}

#[test]
fn terminate_child_counts_for_nothing_and_spares_the_group() {
    for strategy in ORDERED {
        let mut tree = Tree::of(allowing(0, 10_000, spec(strategy, [permanent("a"), permanent("b")])));

        assert_eq!(tree.terminate("top", "a"), "stopped top/a, = Ok");
        assert_eq!(tree.children_of("top"), "a stopped, b running");
    }
}

#[test]
fn terminate_child_keeps_the_place_in_the_start_order() {
    let mut tree = Tree::of(rest_for_one_of([permanent("a"), permanent("b")]));
    tree.terminate("top", "a");
    tree.restart("top", "a");

    assert_eq!(
        tree.exit("top/a", Exit::Abnormal),
        "ended top/a, stopped top/b, started top/a, started top/b"
    );
}

#[test]
fn hanging_restart_loop() {
    for strategy in ORDERED {
        let mut tree = Tree::of(allowing(100, 10_000, spec(strategy, [permanent("a")])));
        tree.fail_starts("top/a", 50);
        let exit = Event::Exit { path: "top/a".into(), how: Exit::Abnormal };
        assert_eq!(tree.apply_once(exit), "ended top/a, failed top/a");
        assert_eq!(tree.retry_once().as_deref(), Some("failed top/a"));

        let child = permanent("a");
        assert_eq!(tree.apply_once(Event::Start { supervisor: "top".into(), child }), "= AlreadyPresent");
        let (supervisor, name) = (String::from("top"), String::from("a"));
        let restart = Event::Restart { supervisor: supervisor.clone(), name: name.clone() };
        assert_eq!(tree.apply_once(restart), "= Restarting");
        let delete = Event::Delete { supervisor: supervisor.clone(), name: name.clone() };
        assert_eq!(tree.apply_once(delete), "= Restarting");
        assert_eq!(tree.children_of("top"), "a restarting");

        assert_eq!(tree.apply_once(Event::Terminate { supervisor, name }), "= Ok");
        assert_eq!(tree.children_of("top"), "a stopped");
        // The message is still in the mailbox, but it finds nothing to try again.
        assert_eq!(tree.retry_once().as_deref(), Some(""));
        assert_eq!(tree.retry_once(), None);
        assert_eq!(tree.children_of("top"), "a stopped");
    }
}

#[test]
fn hanging_restart_loop_does_not_hinder_the_shutdown() {
    let mut tree = Tree::of(allowing(100, 10_000, one_for_one_of([permanent("a"), permanent("b")])));
    tree.fail_starts("top/a", 50);
    tree.apply_once(Event::Exit { path: "top/a".into(), how: Exit::Abnormal });

    assert_eq!(tree.apply(Event::StopTop), "stopped top/b, stopped top");
}

#[test]
fn hanging_restart_loop_ends_with_its_supervisor() {
    let inner = allowing(100, 10_000, one_for_one_of([permanent("a")]));
    let mut tree = Tree::of(one_for_one_of([supervisor("s", Restart::Permanent, inner)]));
    tree.fail_starts("top/s/a", 1);
    tree.apply_once(Event::Exit { path: "top/s/a".into(), how: Exit::Abnormal });

    let killed = tree.apply_once(Event::KillSupervisor { path: "top/s".into() });
    assert_eq!(killed, "ended top/s, started top/s/a, started top/s");
    tree.apply_once(Event::FailStarts { path: "top/s/a".into(), count: 1 });
    tree.apply_once(Event::Exit { path: "top/s/a".into(), how: Exit::Abnormal });
    assert_eq!(tree.children_of("top/s"), "a restarting");

    // The new incarnation waits to try a child of the same name again, but has not the old one's mail.
    assert_eq!(tree.retry_once().as_deref(), Some(""));
    assert_eq!(tree.retry_once().as_deref(), Some("started top/s/a"));
    assert_eq!(tree.retry_once(), None);
}

#[test]
fn which_children() {
    let inner = one_for_one_of([permanent("x")]);
    let mut tree = Tree::of(one_for_one_of([
        permanent("a"),
        supervisor("s", Restart::Transient, inner),
        transient("b"),
        temporary("c"),
    ]));
    assert_eq!(tree.children_of("top"), "a running, s running, b running, c running");
    assert_eq!(tree.children_of("top/s"), "x running");

    tree.terminate("top", "s");
    tree.exit("top/b", Exit::Normal);
    tree.exit("top/c", Exit::Normal);

    assert_eq!(tree.children_of("top"), "a running, s stopped, b stopped");
    assert_eq!(tree.children_of("top/s"), "none");
}
