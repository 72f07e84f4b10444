//! Starting, stopping, and what is refused before anything starts.

use super::*;

#[test]
fn sup_start_normal() {
    let (mut tree, seen) = Tree::start(one_for_one_of([]));
    assert_eq!(seen, "started top");

    assert_eq!(tree.apply(Event::StopTop), "stopped top");
    assert!(!tree.model.is_running());
    assert!(tree.model.listing().is_empty());
    assert_eq!(tree.apply(Event::StopTop), "");
}

#[test]
fn sup_start_is_synchronous_and_left_to_right_through_all_levels() {
    let inner = one_for_one_of([permanent("b"), permanent("c")]);
    let (_, seen) = Tree::start(one_for_one_of([
        permanent("a"),
        supervisor("s", Restart::Permanent, inner),
        permanent("d"),
    ]));

    assert_eq!(
        seen,
        "started top/a, started top/s/b, started top/s/c, started top/s, started top/d, started top"
    );
}

#[test]
fn sup_start_ignore_child() {
    let mut tree = Tree::of(one_for_one_of([]));

    tree.decline_start("top/a");
    assert_eq!(tree.start_child("top", permanent("a")), "declined top/a, = Declined");
    assert_eq!(tree.start_child("top", permanent("b")), "started top/b, = Started");
    assert_eq!(tree.children_of("top"), "a stopped, b running");
}

#[test]
fn sup_start_ignore_child_among_static_ones() {
    let inner = one_for_one_of([permanent("a"), temporary("b"), transient("c")]);
    let mut tree = Tree::of(one_for_one_of([]));
    tree.decline_start("top/s/a");
    tree.decline_start("top/s/b");

    let seen = tree.start_child("top", supervisor("s", Restart::Permanent, inner));

    assert_eq!(seen, "declined top/s/a, declined top/s/b, started top/s/c, started top/s, = Started");
    // sup_start_ignore_temporary_child: the temporary one leaves no spec.
    assert_eq!(tree.children_of("top/s"), "a stopped, c running");
}

#[test]
fn sup_start_ignore_temporary_child_start_child() {
    let mut tree = Tree::of(one_for_one_of([]));

    tree.decline_start("top/a");
    assert_eq!(tree.start_child("top", temporary("a")), "declined top/a, = Declined");
    assert_eq!(tree.children_of("top"), "");
}

#[test]
fn sup_start_ignore_init() {
    let mut tree = Tree::of(one_for_one_of([]));
    let inner = supervisor("s", Restart::Permanent, one_for_one_of([permanent("a")]));

    tree.decline_start("top/s");
    assert_eq!(tree.start_child("top", inner), "declined top/s, = Declined");
    assert_eq!(tree.children_of("top"), "s stopped");
    assert_eq!(tree.children_of("top/s"), "none");
    assert_eq!(tree.restart("top", "s"), "started top/s/a, started top/s, = Started");
}

#[test]
fn sup_start_child_returns_error() {
    let mut tree = Tree::of(one_for_one_of([]));

    tree.fail_starts("top/a", 1);
    assert_eq!(tree.start_child("top", permanent("a")), "failed top/a, = StartFailed");
    assert_eq!(tree.children_of("top"), "");
    assert_eq!(tree.start_child("top", permanent("a")), "started top/a, = Started");
}

#[test]
fn sup_start_restart_child_returns_error() {
    let mut tree = Tree::of(one_for_one_of([permanent("a")]));
    tree.terminate("top", "a");

    tree.fail_starts("top/a", 1);
    assert_eq!(tree.restart("top", "a"), "failed top/a, = StartFailed");
    assert_eq!(tree.children_of("top"), "a stopped");
}

#[test]
fn sup_start_fail_stops_in_reverse_what_had_started() {
    let inner = one_for_one_of([permanent("a"), temporary("b"), permanent("c"), permanent("d")]);
    let mut tree = Tree::of(one_for_one_of([]));
    tree.fail_starts("top/s/c", 1);

    let seen = tree.start_child("top", supervisor("s", Restart::Permanent, inner));

    assert_eq!(
        seen,
        "started top/s/a, started top/s/b, failed top/s/c, stopped top/s/b, stopped top/s/a, failed top/s, \
         = StartFailed"
    );
    assert_eq!(tree.children_of("top"), "");
}

#[test]
fn sup_stop_goes_in_reverse_through_all_levels() {
    let inner = rest_for_one_of([permanent("b"), temporary("c")]);
    let mut tree = Tree::of(one_for_all_of([
        transient("a"),
        supervisor("s", Restart::Permanent, inner),
        permanent("d"),
    ]));

    assert_eq!(
        tree.apply(Event::StopTop),
        "stopped top/d, stopped top/s/c, stopped top/s/b, stopped top/s, stopped top/a, stopped top"
    );
}

#[test]
fn child_specs_map() {
    for mode in [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for restart in RESTARTS {
            for is_significant in [false, true] {
                let child = ChildSpec { significant: is_significant, ..worker("a", restart) };
                let spec = SupervisorSpec { auto_shutdown: mode, ..one_for_one_of([child.clone()]) };
                let is_legal =
                    !is_significant || (mode != AutoShutdown::Never && restart != Restart::Permanent);

                assert_eq!(spec.is_valid(), is_legal, "{spec:?}");
                assert_eq!(child.fits(mode), is_legal);
                assert_eq!(Model::start(spec, "top").0.is_running(), is_legal);
            }
        }
    }
}

#[test]
fn child_specs_refuses_duplicates_at_every_level() {
    let twice = one_for_one_of([permanent("a"), transient("a")]);
    assert!(!twice.is_valid());
    assert!(!one_for_one_of([supervisor("s", Restart::Permanent, twice.clone())]).is_valid());
    assert_eq!(Tree::start(twice).1, "failed top");
}

#[test]
fn child_specs_of_a_template_are_exactly_one() {
    assert!(template(permanent("i")).is_valid());
    assert!(!spec(Strategy::Template, []).is_valid());
    assert!(!SupervisorSpec { children: vec![permanent("a")], ..template(permanent("i")) }.is_valid());
    assert!(!SupervisorSpec { strategy: Strategy::OneForOne, ..template(permanent("i")) }.is_valid());
}

#[test]
fn significant_simple() {
    assert!(!any_significant(template(temporary("i"))).is_valid());
    assert!(!all_significant(template(significant(temporary("i")))).is_valid());
    assert!(!template(significant(temporary("i"))).is_valid());
}

#[test]
fn a_supervisor_with_a_bad_spec_cannot_be_started_by_request() {
    let bad = supervisor("s", Restart::Permanent, one_for_one_of([significant(transient("a"))]));
    let mut tree = Tree::of(one_for_one_of([]));

    assert_eq!(tree.start_child("top", bad), "failed top/s, = StartFailed");
    assert_eq!(tree.children_of("top"), "");
}
