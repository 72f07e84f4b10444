//! What follows when a child left, and when it could not be started again.

use super::{
    ChildState, ExitClass, OnExternal, Restart, RestartGroup, RestartHistory, RestartVerdict,
    SupervisorFacts, SupervisorPhase,
};

/// What a supervisor does next. It carries this out and decides nothing by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: the news is stale, or the supervisor is shutting down.
    Ignore,
    /// Remove the spec of the child, which is temporary.
    Forget,
    /// Keep the spec of the child without an incarnation: it was done. It may be started again by request. (Under a
    /// template there is no spec of one child to keep, so it goes.)
    Keep,
    /// Stop `stop`, remove the specs of `forget`, then start `start`, one after the other in the order given.
    ///
    /// Numbers are positions in [`SupervisorFacts::children`], before anything was removed. Until its turn each of
    /// `start` is [`ChildState::Stopped`]. When a start fails, the rest is not started: that child becomes
    /// [`ChildState::Restarting`], and [`after_failed_start`] says how it goes on. Declining to start is no failure.
    Restart {
        /// Running siblings, in reverse start order.
        stop: Vec<usize>,
        /// Temporary siblings, whether they ran or not, last position first.
        forget: Vec<usize>,
        /// The child with those siblings that come back, in start order.
        start: Vec<usize>,
    },
    /// Keep the spec of the child without an incarnation: the world outside has failed it as often as its spec allows. Then
    /// start `start`, the siblings that its group has not brought up yet, in start order. (Under a template the child
    /// goes.)
    LayAside {
        /// Positions in [`SupervisorFacts::children`].
        start: Vec<usize>,
    },
    /// Stop all children in reverse start order and leave with [`ExitClass::Shutdown`]: the restart intensity is
    /// exceeded.
    GiveUp,
    /// Stop all children in reverse start order and leave with [`ExitClass::Shutdown`]: a significant child ended, for
    /// good and by itself.
    AutoShutdown,
}

/// Decides what follows when the child at position `child` left.
///
/// The child must still be listed as [`ChildState::Running`]; news of any other is stale and ignored, and so is a
/// position outside the list. A restart is counted in `history` once, however many siblings it concerns; nothing else
/// is counted. The rules are those of OTP's `do_restart/3` and `restart/2`. Costs one pass over the group.
#[must_use]
pub(crate) fn decide(
    facts: &SupervisorFacts<'_>,
    child: usize,
    exit: ExitClass,
    history: &mut RestartHistory,
) -> Decision {
    let Some(left) = facts.children.get(child) else { return Decision::Ignore };
    match (facts.phase, left.state, left.restart, left.restart.comes_back(exit)) {
        (SupervisorPhase::Stopping, _, _, _) => Decision::Ignore,
        (SupervisorPhase::Running, ChildState::Restarting | ChildState::Stopped, _, _) => Decision::Ignore,
        (SupervisorPhase::Running, ChildState::Running, Restart::Temporary, _) => {
            unless_it_ends_all(facts, child, Decision::Forget)
        }
        (SupervisorPhase::Running, ChildState::Running, Restart::Permanent | Restart::Transient, false) => {
            unless_it_ends_all(facts, child, Decision::Keep)
        }
        (SupervisorPhase::Running, ChildState::Running, Restart::Permanent | Restart::Transient, true) => {
            restart(facts, child, exit, history)
        }
    }
}

/// Decides how it goes on with the child at position `child`, whose start in a [`Decision::Restart`] failed.
///
/// The failed one is tried again however it failed, and becomes the centre of the group: under
/// [`OneForOne`](super::Strategy::OneForOne) it alone; under [`RestForOne`](super::Strategy::RestForOne) with those
/// after it, while siblings before it that were already restarted stay; under [`OneForAll`](super::Strategy::OneForAll)
/// those are stopped again. Every further try counts for the intensity like a restart of its own.
///
/// Ask this in a turn of its own, as OTP does by a message to itself (`try_again_restart`), with the facts of that
/// moment: a stop is then heard in between, and a child that is no longer [`ChildState::Restarting`] is ignored.
#[must_use]
pub(crate) fn after_failed_start(
    facts: &SupervisorFacts<'_>,
    child: usize,
    failure: ExitClass,
    history: &mut RestartHistory,
) -> Decision {
    let Some(failed) = facts.children.get(child) else { return Decision::Ignore };
    match (facts.phase, failed.state, failed.restart) {
        (SupervisorPhase::Stopping, _, _) => Decision::Ignore,
        (SupervisorPhase::Running, ChildState::Running | ChildState::Stopped, _) => Decision::Ignore,
        // No restart starts a temporary child; should a request have done so, it is gone like after any other end.
        (SupervisorPhase::Running, ChildState::Restarting, Restart::Temporary) => Decision::Forget,
        (SupervisorPhase::Running, ChildState::Restarting, Restart::Permanent | Restart::Transient) => {
            restart(facts, child, failure, history)
        }
    }
}

fn unless_it_ends_all(facts: &SupervisorFacts<'_>, child: usize, decision: Decision) -> Decision {
    if facts.auto_shutdown.ends_supervisor(facts.children, child) { Decision::AutoShutdown } else { decision }
}

fn restart(
    facts: &SupervisorFacts<'_>,
    child: usize,
    exit: ExitClass,
    history: &mut RestartHistory,
) -> Decision {
    let verdict = match (exit, facts.children[child].on_external) {
        (ExitClass::Repeat, _) => RestartVerdict::Borne,
        (ExitClass::External, OnExternal::LaysAside) => return lay_aside(facts, child),
        (ExitClass::External, OnExternal::BacksOff) => RestartVerdict::Borne,
        (ExitClass::External, OnExternal::Counts) => history.record(facts.now_ms),
        (ExitClass::Normal | ExitClass::Shutdown | ExitClass::Abnormal, _) => history.record(facts.now_ms),
    };
    match verdict {
        RestartVerdict::Exceeded => Decision::GiveUp,
        RestartVerdict::Borne => {
            let RestartGroup { stop, forget, start } =
                facts.strategy.restart_group(facts.children, facts.names, child);
            Decision::Restart { stop, forget, start }
        }
    }
}

fn lay_aside(facts: &SupervisorFacts<'_>, child: usize) -> Decision {
    let mut start = facts.strategy.restart_group(facts.children, facts.names, child).start;
    start.retain(|&at| at != child && facts.children[at].state != ChildState::Running);
    Decision::LayAside { start }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quickcheck::quickcheck;

    use super::*;
    use crate::policy::{AutoShutdown, ChildFacts, RestartIntensity, Strategy};
    use ChildState::{Restarting, Running, Stopped};
    use ExitClass::{Abnormal, External, Normal, Shutdown};
    use Restart::{Permanent, Temporary, Transient};

    /// OTP: {permanent, transient, temporary} × {normal, shutdown, abnormal}.
    #[test]
    fn the_restart_type_decides_what_an_exit_means() {
        let again = Decision::Restart { stop: vec![], forget: vec![], start: vec![0] };
        let table = [
            (Permanent, [&again, &again, &again, &again]),
            (Transient, [&Decision::Keep, &Decision::Keep, &again, &again]),
            (Temporary, [&Decision::Forget; 4]),
        ];

        for (restart, expected) in table {
            for (exit, expected) in [Normal, Shutdown, Abnormal, External].into_iter().zip(expected) {
                let mut history = bears(1);
                let decision = decide(&alone(&[child(restart, Running)]), 0, exit, &mut history);

                assert_eq!(decision, *expected, "{restart:?} after {exit:?}");
                assert_eq!(
                    history.len(),
                    usize::from(decision == again),
                    "only restarts count: {restart:?}, {exit:?}"
                );
            }
        }
    }

    /// OTP: sup_stop_race.
    #[test]
    fn nobody_comes_back_while_the_supervisor_stops() {
        for restart in [Permanent, Transient, Temporary] {
            for exit in ExitClass::ALL {
                for state in [Running, Restarting, Stopped] {
                    let children = [child(restart, state)];
                    let facts = SupervisorFacts { phase: SupervisorPhase::Stopping, ..alone(&children) };
                    let mut history = bears(0);

                    assert_eq!(decide(&facts, 0, exit, &mut history), Decision::Ignore);
                    assert_eq!(after_failed_start(&facts, 0, exit, &mut history), Decision::Ignore);
                    assert!(history.len() == 0);
                }
            }
        }
    }

    #[test]
    fn stale_news_is_ignored_and_does_not_count() {
        let mut history = bears(0);

        for state in [Restarting, Stopped] {
            assert_eq!(
                decide(&alone(&[child(Permanent, state)]), 0, Abnormal, &mut history),
                Decision::Ignore
            );
        }
        // Whoever was stopped, or started by hand, while waiting for the next try is not tried again.
        for state in [Running, Stopped] {
            let children = [child(Permanent, state)];
            assert_eq!(after_failed_start(&alone(&children), 0, Abnormal, &mut history), Decision::Ignore);
        }
        assert_eq!(decide(&alone(&[]), 0, Abnormal, &mut history), Decision::Ignore);
        assert_eq!(after_failed_start(&alone(&[]), 0, Abnormal, &mut history), Decision::Ignore);
        assert!(history.len() == 0);
    }

    /// OTP: one_for_all_other_child_fails_restart, rest_for_one_other_child_fails_restart, one_for_one_escalation.
    #[test]
    fn the_one_that_cannot_start_becomes_the_one_to_try_again() {
        // The first was restarted already, the second failed to start, the third was not reached.
        let children = [child(Permanent, Running), child(Transient, Restarting), child(Permanent, Stopped)];
        let table: [(Strategy, &[usize], &[usize]); 3] = [
            (Strategy::OneForOne, &[], &[1]),
            (Strategy::RestForOne, &[], &[1, 2]),
            (Strategy::OneForAll, &[0], &[0, 1, 2]),
        ];

        for (strategy, stop, start) in table {
            // However it failed: what matters for an exit does not matter for a start.
            for failure in ExitClass::ALL {
                let facts = SupervisorFacts { strategy, ..alone(&children) };
                let decision = after_failed_start(&facts, 1, failure, &mut bears(1));

                let again = Decision::Restart { stop: stop.to_vec(), forget: vec![], start: start.to_vec() };
                assert_eq!(decision, again, "{strategy:?} after {failure:?}");
            }
        }
    }

    #[test]
    fn a_temporary_child_is_never_tried_again() {
        let children = [child(Temporary, Restarting)];

        assert_eq!(after_failed_start(&alone(&children), 0, Abnormal, &mut bears(1)), Decision::Forget);
    }

    #[test]
    fn a_group_counts_once_and_every_further_try_once_more() {
        let left = [child(Permanent, Running); 4];
        let waits = [child(Permanent, Restarting); 4];
        let mut history = bears(2);

        let mut facts = SupervisorFacts { strategy: Strategy::OneForAll, ..alone(&left) };
        assert!(matches!(decide(&facts, 0, Abnormal, &mut history), Decision::Restart { .. }));
        assert_eq!(history.len(), 1);
        facts.children = &waits;
        assert!(matches!(after_failed_start(&facts, 0, Abnormal, &mut history), Decision::Restart { .. }));
        assert_eq!(history.len(), 2);
        assert_eq!(after_failed_start(&facts, 0, Abnormal, &mut history), Decision::GiveUp);
    }

    #[test]
    fn a_failure_outside_counts_unless_the_child_backs_off() {
        let plain = child(Permanent, Restarting);
        let patient = ChildFacts { on_external: OnExternal::BacksOff, ..plain };
        let table =
            [(plain, External, 1), (plain, Abnormal, 1), (patient, External, 0), (patient, Abnormal, 1)];

        for (child, failure, counted) in table {
            let mut history = bears(1);
            let decision = after_failed_start(&alone(&[child]), 0, failure, &mut history);

            assert!(matches!(decision, Decision::Restart { .. }));
            assert_eq!(history.len(), counted, "{failure:?} of {child:?}");
        }
    }

    #[test]
    fn the_last_try_of_an_outage_lays_the_child_aside_and_brings_up_the_rest_of_its_group() {
        let last = ChildFacts { on_external: OnExternal::LaysAside, ..child(Permanent, Restarting) };
        // The first was restarted already, the second failed to start, the third was not reached.
        let children = [child(Permanent, Running), last, child(Permanent, Stopped)];
        let table: [(Strategy, &[usize]); 3] =
            [(Strategy::OneForOne, &[]), (Strategy::RestForOne, &[2]), (Strategy::OneForAll, &[2])];

        for (strategy, start) in table {
            let facts = SupervisorFacts { strategy, ..alone(&children) };
            let mut history = bears(0);

            let decision = after_failed_start(&facts, 1, External, &mut history);

            assert_eq!(decision, Decision::LayAside { start: start.to_vec() }, "{strategy:?}");
            assert!(history.recorded() == 0);
            assert_eq!(
                after_failed_start(&facts, 1, Abnormal, &mut history),
                Decision::GiveUp,
                "a bug is one"
            );
        }
    }

    #[test]
    fn a_repeat_brings_a_child_back_and_does_not_count() {
        let children = [child(Restart::Transient, Running)];
        let mut history = bears(0);

        for _ in 0..1_000 {
            let decision = decide(&alone(&children), 0, ExitClass::Repeat, &mut history);
            assert!(matches!(decision, Decision::Restart { .. }));
        }
        assert!(history.len() == 0);
    }

    #[test]
    fn a_provider_outage_never_exhausts_the_intensity_of_a_child_that_backs_off() {
        let children = [ChildFacts { on_external: OnExternal::BacksOff, ..child(Permanent, Restarting) }];
        let mut history = bears(0);

        for _ in 0..1_000 {
            let decision = after_failed_start(&alone(&children), 0, External, &mut history);
            assert!(matches!(decision, Decision::Restart { .. }));
        }
        assert_eq!(after_failed_start(&alone(&children), 0, Abnormal, &mut history), Decision::GiveUp);
    }

    quickcheck! {
        /// A supervisor of very many children under one_for_one need not list them all.
        fn one_for_one_reads_only_the_child_in_question(
            children: Vec<ChildFacts>, at: usize, exit: ExitClass, max: u8
        ) -> bool {
            if children.is_empty() { return true; }
            let (at, max) = (at % children.len(), u32::from(max % 2));
            [decide, after_failed_start].into_iter().all(|asked| {
                let of_all = asked(&alone(&children), at, exit, &mut bears(max));
                let of_one = asked(&alone(&children[at..=at]), 0, exit, &mut bears(max));
                match (of_all, of_one) {
                    (Decision::Restart { stop, forget, start }, Decision::Restart { start: first, .. }) => {
                        stop.is_empty() && forget.is_empty() && start == [at] && first == [0]
                    }
                    (of_all, of_one) => of_all == of_one,
                }
            })
        }
    }

    fn child(restart: Restart, state: ChildState) -> ChildFacts {
        ChildFacts { restart, state, on_external: OnExternal::Counts, significant: false }
    }

    /// A supervisor that restarts each child alone.
    fn alone(children: &[ChildFacts]) -> SupervisorFacts<'_> {
        SupervisorFacts {
            strategy: Strategy::OneForOne,
            auto_shutdown: AutoShutdown::Never,
            names: &[],
            phase: SupervisorPhase::Running,
            children,
            now_ms: 0,
        }
    }

    fn bears(max: u32) -> RestartHistory {
        RestartHistory::new(RestartIntensity { max, within: Duration::from_secs(5) })
    }
}
