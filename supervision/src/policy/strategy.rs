//! Which siblings a restart concerns.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::{ChildFacts, ChildState, Restart, invariants};

/// Says which siblings go down and come up with a child that failed. Default: [`Strategy::OneForOne`], as in OTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the child that failed.
    #[default]
    OneForOne,
    /// All children.
    OneForAll,
    /// The child that failed and those started after it, also the ones added later.
    RestForOne,
    /// Whom a function of yours names.
    Custom(CustomStrategy),
}

/// A strategy of your own: a pure function from the names of the children, in start order, and the position of the one
/// that failed, to the positions of those that go down and come up with it.
///
/// The failed one is always among them; positions outside the list are ignored. Stopping and starting keep their
/// order, and temporary children are forgotten, as under every strategy. Two are equal if their names are.
///
/// ```
/// use greenroom_supervision::{CustomStrategy, Strategy};
///
/// /// Whoever has the same first letter.
/// fn family(names: &[&str], failed: usize) -> Vec<usize> {
///     (0..names.len()).filter(|&at| names[at].chars().next() == names[failed].chars().next()).collect()
/// }
///
/// let strategy = Strategy::Custom(CustomStrategy { name: "family", concerned: family });
/// assert_ne!(strategy, Strategy::OneForAll);
/// ```
#[derive(Clone, Copy)]
pub struct CustomStrategy {
    /// What it is called where the tree is shown.
    pub name: &'static str,
    /// Whom a failure concerns.
    pub concerned: fn(names: &[&str], failed: usize) -> Vec<usize>,
}

impl fmt::Debug for CustomStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for CustomStrategy {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CustomStrategy {}

impl Hash for CustomStrategy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Who goes down and comes up in one restart.
///
/// Numbers are positions in the slice of children that was asked about, also those in `start`: whoever removes the
/// forgotten specs before starting has to keep that in mind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestartGroup {
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
    pub(crate) fn restart_group(
        self,
        children: &[ChildFacts],
        names: &[&str],
        failed: usize,
    ) -> RestartGroup {
        let mut group = RestartGroup::default();
        for i in self.concerned(children.len(), names, failed) {
            let child = &children[i];
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

    /// Positions in start order, each once.
    fn concerned(self, len: usize, names: &[&str], failed: usize) -> Vec<usize> {
        match self {
            _ if failed >= len => Vec::new(),
            Strategy::OneForOne => vec![failed],
            Strategy::OneForAll => (0..len).collect(),
            Strategy::RestForOne => (failed..len).collect(),
            Strategy::Custom(CustomStrategy { concerned, .. }) => {
                let mut named = concerned(names, failed);
                named.push(failed);
                named.retain(|at| *at < len);
                named.sort_unstable();
                named.dedup();
                named
            }
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
            let group = strategy.restart_group(&table_of(children), &[], *failed);

            let expected =
                RestartGroup { stop: stop.to_vec(), forget: forget.to_vec(), start: start.to_vec() };
            assert_eq!(group, expected, "{strategy:?}: child {failed} of {children}");
        }
    }

    #[test]
    fn a_strategy_of_ones_own_names_whom_it_likes_and_nonsense_is_ignored() {
        fn two_before(_: &[&str], failed: usize) -> Vec<usize> {
            vec![99, failed - 2, failed - 2]
        }
        let strategy = Strategy::Custom(CustomStrategy { name: "two before", concerned: two_before });

        let group = strategy.restart_group(&table_of("PPXPP"), &["a", "b", "c", "d", "e"], 3);

        assert_eq!(group, RestartGroup { stop: vec![1], forget: vec![], start: vec![1, 3] });
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
            let group = strategy.restart_group(&children, &[], failed);
            let each = children.iter().enumerate().all(|(i, child)| {
                let concerned = failed < children.len() && match strategy {
                    Strategy::OneForOne => i == failed,
                    Strategy::OneForAll => true,
                    Strategy::RestForOne => i >= failed,
                    Strategy::Custom(_) => unreachable!("not generated"),
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
            significant: false,
        }
    }
}
