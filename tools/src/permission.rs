//! What an agent may call, and how far: a grant that only narrows on its way down.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What one agent may call. It goes downwards only: who has a grant gives on what it has, or less.
///
/// ```
/// use greenroom_tools::{Grant, LimitKind};
///
/// let chief = Grant::of(["read_file", "fetch"]).limit("fetch", LimitKind::Hosts, ["api.example.com"]);
/// let helper = chief.narrow(&Grant::of(["fetch", "run"]));
/// assert!(helper.allows("fetch") && !helper.allows("read_file") && !helper.allows("run"));
/// assert!(!helper.permits("fetch", LimitKind::Hosts, "evil.example"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `None`: all tools.
    tools: Option<BTreeSet<String>>,
    /// By tool and kind; none there: no limit but the tool's own.
    limits: BTreeMap<String, BTreeMap<LimitKind, BTreeSet<String>>>,
    /// Tools of which each call needs a person's yes, whatever the tool says itself.
    approvals: BTreeSet<String>,
}

/// What of a tool a [`Grant`] limits. A tool has its own list of each; a grant can only shorten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LimitKind {
    /// Names of roots of the file tools that may be read.
    Reads,
    /// Names of roots of the file tools that may be written.
    Writes,
    /// Hosts of the REST tool, in normal form.
    Hosts,
    /// Names of programs of the system tool.
    Programs,
}

impl Grant {
    /// All tools there are, without a limit. For the root of a tree.
    pub fn all() -> Self {
        Grant { tools: None, limits: BTreeMap::new(), approvals: BTreeSet::new() }
    }

    /// No tool.
    pub fn none() -> Self {
        Grant::of::<[&str; 0]>([])
    }

    /// These tools.
    pub fn of<N: IntoIterator<Item: Into<String>>>(tools: N) -> Self {
        Grant { tools: Some(tools.into_iter().map(Into::into).collect()), ..Grant::all() }
    }

    /// Less: of `tool` only these. A second limit of the same kind is cut with the first.
    #[must_use]
    pub fn limit<V: IntoIterator<Item: Into<String>>>(
        mut self,
        tool: &str,
        kind: LimitKind,
        values: V,
    ) -> Self {
        let values: BTreeSet<String> = values.into_iter().map(Into::into).collect();
        let kinds = self.limits.entry(tool.to_owned()).or_default();
        match kinds.get_mut(&kind) {
            Some(present) => present.retain(|value| values.contains(value)),
            None => drop(kinds.insert(kind, values)),
        }
        self
    }

    /// Less: each call of `tool` needs a person's yes.
    #[must_use]
    pub fn with_approval(mut self, tool: impl Into<String>) -> Self {
        self.approvals.insert(tool.into());
        self
    }

    /// What both allow: the only way to make a grant from another. Never more than `self`, whatever `wish` says.
    #[must_use]
    pub fn narrow(&self, wish: &Grant) -> Self {
        let tools = match (&self.tools, &wish.tools) {
            (None, other) | (other, None) => other.clone(),
            (Some(mine), Some(wished)) => Some(mine.intersection(wished).cloned().collect()),
        };
        let mut narrowed = Grant { tools, ..self.clone() };
        for (tool, kinds) in &wish.limits {
            for (kind, values) in kinds {
                narrowed = narrowed.limit(tool, *kind, values.iter().cloned());
            }
        }
        narrowed.approvals.extend(wish.approvals.iter().cloned());
        narrowed
    }

    /// Whether `tool` may be called at all.
    pub fn allows(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.contains(tool))
    }

    /// Whether `tool` may be called, and with `value`.
    pub fn permits(&self, tool: &str, kind: LimitKind, value: &str) -> bool {
        let limit = self.limits.get(tool).and_then(|kinds| kinds.get(&kind));
        self.allows(tool) && limit.is_none_or(|values| values.contains(value))
    }

    /// Whether each call of `tool` needs a person's yes, by this grant.
    pub fn asks_for_approval(&self, tool: &str) -> bool {
        self.approvals.contains(tool)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    use super::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    const KINDS: [LimitKind; 4] =
        [LimitKind::Reads, LimitKind::Writes, LimitKind::Hosts, LimitKind::Programs];

    fn some(g: &mut Gen) -> Vec<&'static str> {
        NAMES.into_iter().filter(|_| bool::arbitrary(g)).collect()
    }

    impl Arbitrary for Grant {
        fn arbitrary(g: &mut Gen) -> Self {
            let mut grant = if bool::arbitrary(g) { Grant::all() } else { Grant::of(some(g)) };
            for _ in 0..u8::arbitrary(g) % 4 {
                let (tool, kind) = (*g.choose(&NAMES).unwrap(), *g.choose(&KINDS).unwrap());
                grant = grant.limit(tool, kind, some(g));
            }
            some(g).into_iter().fold(grant, Grant::with_approval)
        }
    }

    /// A tool, one of its values if any, and whether without an approval.
    type Allowed = (&'static str, Option<(LimitKind, &'static str)>, bool);

    /// Everything a grant could say yes to, of the small world of the test.
    fn allowed(grant: &Grant) -> BTreeSet<Allowed> {
        let mut all = BTreeSet::new();
        for tool in NAMES.into_iter().filter(|tool| grant.allows(tool)) {
            // Without an approval is more than with one, which is allowed anyway.
            let unasked = !grant.asks_for_approval(tool);
            for unasked in [false].into_iter().chain(unasked.then_some(true)) {
                all.insert((tool, None, unasked));
                for kind in KINDS {
                    let values = NAMES.into_iter().filter(|value| grant.permits(tool, kind, value));
                    all.extend(values.map(|value| (tool, Some((kind, value)), unasked)));
                }
            }
        }
        all
    }

    #[test]
    fn no_sequence_of_narrowing_widens_a_grant() {
        fn holds(first: Grant, wishes: Vec<Grant>) -> bool {
            let mut grant = first;
            wishes.iter().all(|wish| {
                let before = allowed(&grant);
                grant = grant.narrow(wish);
                let now = allowed(&grant);
                let both: BTreeSet<_> = before.intersection(&allowed(wish)).copied().collect();
                now.is_subset(&before) && now == both
            })
        }
        QuickCheck::new().tests(500).quickcheck(holds as fn(Grant, Vec<Grant>) -> bool);
    }
}
