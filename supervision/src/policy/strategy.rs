//! Which siblings a restart concerns.

use std::ops::Range;

use super::{ChildFacts, ChildState, Restart, invariants};

/// Says which siblings go down and come up with a child that failed. Default: [`Strategy::OneForOne`], as in OTP.
///
/// ```
/// use greenroom_supervision::{ChildFacts, ChildState, OnExternal, Restart, Strategy};
///
/// let child =
///     ChildFacts { restart: Restart::Permanent, state: ChildState::Running, on_external: OnExternal::Counts };
/// let group = Strategy::RestForOne.restart_group(&[child; 5], 2);
///
/// assert_eq!(group.stop, [4, 3]); // the third left by itself
/// assert_eq!(group.start, [2, 3, 4]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the child that failed.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child that failed and those started after it, also the ones added later.
    RestForOne,
}

/// Who goes down and comes up in one restart.
///
/// Numbers are positions in the slice of children that was asked about, also those in `start`: whoever removes the
/// forgotten specs before starting has to keep that in mind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartGroup {
    /// Running siblings to stop, in reverse start order. The child that failed is not among them.
    pub stop: Vec<usize>,
    /// Temporary children whose spec is removed once they are stopped, last position first.
    pub forget: Vec<usize>,
    /// Children to start, in start order.
    pub start: Vec<usize>,
}

impl Strategy {
    /// Says who goes down and comes up when `failed` is to be started again.
    ///
    /// As in OTP a group restart starts every spec in the group that is not temporary, also one that was not running
    /// before: a transient sibling that had ended comes back with its group. A position outside `children` concerns
    /// nobody. Costs one pass over the group.
    #[must_use]
    pub fn restart_group(self, children: &[ChildFacts], failed: usize) -> RestartGroup {
        let mut group = RestartGroup::default();
        let concerned = self.concerned(children.len(), failed);
        for (i, child) in concerned.clone().zip(&children[concerned]) {
            if child.state == ChildState::Running && i != failed {
                group.stop.push(i);
            }
            match child.restart {
                Restart::Temporary => group.forget.push(i),
                Restart::Permanent | Restart::Transient => group.start.push(i),
            }
        }
        group.stop.reverse();
        group.forget.reverse();

        debug_assert!(invariants::stops_in_reverse_start_order(&group), "{group:?}");
        debug_assert!(invariants::starts_in_start_order(&group), "{group:?}");
        debug_assert!(invariants::forgets_from_the_end(&group), "{group:?}");
        debug_assert!(invariants::stops_only_what_runs(&group, children, failed), "{group:?}");
        debug_assert!(invariants::parts_with_the_temporary_alone(&group, children), "{group:?}");
        debug_assert!(invariants::leaves_nobody_behind(&group), "{group:?}");
        group
    }

    fn concerned(self, len: usize, failed: usize) -> Range<usize> {
        match self {
            _ if failed >= len => 0..0,
            Strategy::OneForOne => failed..failed + 1,
            Strategy::OneForAll => 0..len,
            Strategy::RestForOne => failed..len,
        }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::policy::OnExternal;

    #[test]
    fn each_strategy_concerns_whom_otp_says() {
        // Small letters do not run. p: permanent, t: transient, x: temporary.
        #[rustfmt::skip]
        let table: &[(&str, usize, Strategy, [&[usize]; 3])] = &[
            // children, failed,                 stop,          forget,  start
            ("PPPPP", 2, Strategy::OneForOne,  [&[],           &[],     &[2]]),
            ("PPPPP", 2, Strategy::RestForOne, [&[4, 3],       &[],     &[2, 3, 4]]), // OTP: order_of_children
            ("PPPPP", 2, Strategy::OneForAll,  [&[4, 3, 1, 0], &[],     &[0, 1, 2, 3, 4]]),
            ("PPPPP", 4, Strategy::RestForOne, [&[],           &[],     &[4]]),
            ("PXPXT", 2, Strategy::OneForOne,  [&[],           &[],     &[2]]),
            ("PXPXT", 2, Strategy::RestForOne, [&[4, 3],       &[3],    &[2, 4]]), // OTP: temporary_bystander
            ("PXPXT", 2, Strategy::OneForAll,  [&[4, 3, 1, 0], &[3, 1], &[0, 2, 4]]),
            ("tPptx", 1, Strategy::RestForOne, [&[],           &[4],    &[1, 2, 3]]), // OTP: tree
            ("tPptx", 1, Strategy::OneForAll,  [&[],           &[4],    &[0, 1, 2, 3]]),
            ("PPP",   3, Strategy::OneForAll,  [&[],           &[],     &[]]),
            ("",      0, Strategy::OneForOne,  [&[],           &[],     &[]]),
        ];

        for (children, failed, strategy, [stop, forget, start]) in table {
            let group = strategy.restart_group(&table_of(children), *failed);

            let expected =
                RestartGroup { stop: stop.to_vec(), forget: forget.to_vec(), start: start.to_vec() };
            assert_eq!(group, expected, "{strategy:?}: child {failed} of {children}");
        }
    }

    #[test]
    fn children_stand_alone_unless_the_supervisor_says_otherwise() {
        assert_eq!(Strategy::default(), Strategy::OneForOne);
    }

    quickcheck! {
        /// Goal: each child is in exactly the lists where the rules want it, and the lists are in order.
        /// Method: asks of one child at a time, against the rules spelled out for one child.
        fn each_child_is_exactly_where_the_rules_want_it(
            strategy: Strategy, children: Vec<ChildFacts>, failed: usize
        ) -> bool {
            let failed = failed % (children.len() + 1);
            let group = strategy.restart_group(&children, failed);
            let each = children.iter().enumerate().all(|(i, child)| {
                let concerned = failed < children.len() && match strategy {
                    Strategy::OneForOne => i == failed,
                    Strategy::OneForAll => true,
                    Strategy::RestForOne => i >= failed,
                };
                let runs = child.state == ChildState::Running;
                let temporary = child.restart == Restart::Temporary;
                group.stop.contains(&i) == (concerned && runs && i != failed)
                    && group.forget.contains(&i) == (concerned && temporary)
                    && group.start.contains(&i) == (concerned && !temporary)
            });
            each && invariants::stops_in_reverse_start_order(&group)
                && invariants::starts_in_start_order(&group)
                && invariants::forgets_from_the_end(&group)
                && invariants::stops_only_what_runs(&group, &children, failed)
                && invariants::parts_with_the_temporary_alone(&group, &children)
                && invariants::leaves_nobody_behind(&group)
        }
    }

    fn table_of(letters: &str) -> Vec<ChildFacts> {
        letters.chars().map(child).collect()
    }

    fn child(letter: char) -> ChildFacts {
        ChildFacts {
            restart: match letter.to_ascii_lowercase() {
                'p' => Restart::Permanent,
                't' => Restart::Transient,
                'x' => Restart::Temporary,
                _ => unreachable!("no child is written {letter}"),
            },
            state: if letter.is_uppercase() { ChildState::Running } else { ChildState::Stopped },
            on_external: OnExternal::Counts,
        }
    }
}
