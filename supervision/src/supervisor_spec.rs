//! The spec of a supervisor, and what may be wrong with it.

use std::collections::BTreeSet;
use std::time::Duration;

use greenroom_runtime::{ActorPath, OverseerRef, PathError, PlaceSpec};

use crate::child_spec::ChildSpec;
use crate::policy::{RestartIntensity, Strategy};
use crate::supervisor::Supervising;

/// A supervisor to be: its name, its strategy, its children in start order.
///
/// A supervisor that names no addition (no backoff) behaves as OTP's.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) name: String,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: RestartIntensity,
    pub(crate) children: Vec<ChildSpec>,
}

/// Something wrong with a spec. All complaints about a tree are returned at once, before anything is started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecComplaint {
    /// Two children of one supervisor have the same name.
    #[error("{supervisor} has two children called `{name}`")]
    DuplicateChild {
        /// Which supervisor.
        supervisor: String,
        /// Which name.
        name: String,
    },
    /// A name is no path segment.
    #[error("{supervisor}: {source}")]
    BadName {
        /// Which supervisor has the name, or is above it.
        supervisor: String,
        /// What is wrong.
        #[source]
        source: PathError,
    },
    /// The window of the intensity is empty. OTP refuses a period of 0 as well.
    #[error("{supervisor}: an intensity needs a window longer than zero")]
    EmptyWindow {
        /// Which supervisor.
        supervisor: String,
    },
}

impl Supervisor {
    /// A supervisor called `name` without children: one-for-one, 1 restart in 5 s, as OTP's defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Supervisor {
            name: name.into(),
            strategy: Strategy::default(),
            intensity: RestartIntensity::default(),
            children: Vec::new(),
        }
    }

    /// Which siblings a restart concerns. Default: [`Strategy::OneForOne`].
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Gives up at more than `max` restarts `within` any stretch of that length. Default: 1 in 5 s.
    #[must_use]
    pub fn intensity(mut self, max: u32, within: Duration) -> Self {
        self.intensity = RestartIntensity { max, within };
        self
    }

    /// Adds a child behind those that are there: started after them, stopped before them.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Adds children in their order.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = ChildSpec>) -> Self {
        self.children.extend(children);
        self
    }

    /// Everything wrong with this spec and those below it; empty if nothing is.
    #[must_use]
    pub fn complaints(&self) -> Vec<SpecComplaint> {
        let supervisor = || self.name.clone();
        let mut complaints = Vec::new();
        let mut check_name = |name: &str| {
            if let Err(source) = segment(name) {
                complaints.push(SpecComplaint::BadName { supervisor: supervisor(), source });
            }
        };
        check_name(&self.name);
        self.children.iter().filter(|child| child.below.is_none()).for_each(|child| check_name(child.name()));
        if self.intensity.within.is_zero() {
            complaints.push(SpecComplaint::EmptyWindow { supervisor: supervisor() });
        }
        let mut names = BTreeSet::new();
        for child in &self.children {
            if !names.insert(child.name()) {
                let name = child.name().to_owned();
                complaints.push(SpecComplaint::DuplicateChild { supervisor: supervisor(), name });
            }
            complaints.extend(child.below.iter().flat_map(|below| below.complaints()));
        }
        complaints
    }

    pub(crate) fn into_place_spec(self) -> PlaceSpec {
        let name = self.name.clone();
        OverseerRef::<Supervising>::spec(name, move || Supervising::new(self.clone()))
    }
}

fn segment(name: &str) -> Result<(), PathError> {
    if name.contains('/') {
        return Err(PathError::BadSegment { segment: name.to_owned() });
    }
    ActorPath::parse(name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_about_a_tree_is_returned_at_once() {
        let below = Supervisor::named("Below").intensity(1, Duration::ZERO);
        let spec = Supervisor::named("top")
            .child(ChildSpec::supervisor(Supervisor::named("twin")))
            .child(ChildSpec::supervisor(Supervisor::named("twin")))
            .child(ChildSpec::supervisor(below));

        let complaints = spec.complaints();

        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(matches!(&complaints[0], SpecComplaint::DuplicateChild { name, .. } if name == "twin"));
        assert!(matches!(&complaints[1], SpecComplaint::BadName { .. }));
        assert!(matches!(&complaints[2], SpecComplaint::EmptyWindow { .. }));
    }
}
