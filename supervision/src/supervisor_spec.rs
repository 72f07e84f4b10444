//! The spec of a supervisor, and what may be wrong with it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::overseer::{OverseerRef, PlaceSpec};
use greenroom_runtime::{ActorPath, Failure, PathError};

use crate::child_spec::ChildSpec;
use crate::dynamic_supervisor::Template;
#[cfg(any(test, feature = "testing"))]
use crate::planted::PlantedBug;
use crate::policy::{AutoShutdown, Restart, RestartIntensity, Strategy};
use crate::pool::PoolSpec;
use crate::supervisor::Supervising;

/// A supervisor to be: its name, its strategy, its children in start order.
///
/// A supervisor that names no addition (no backoff, no cleared mailbox) behaves as OTP's.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) name: String,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: RestartIntensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<ChildSpec>,
    /// How its children are made, if they are all alike and come by request.
    pub(crate) template: Option<Template>,
    /// How its children share their work, if they are the members of a pool.
    pub(crate) pool: Option<PoolSpec>,
    /// Makes everything above but the name, at the begin of each life.
    pub(crate) init: Option<Init>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) planted: Option<PlantedBug>,
}

type InitFn = dyn Fn() -> Result<Option<Supervisor>, Failure> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Init(pub(crate) Arc<InitFn>);

impl fmt::Debug for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Init")
    }
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
    /// A child is significant, but its supervisor never ends with one. Choose an [`AutoShutdown`] mode.
    #[error("{supervisor}: `{name}` is significant, but this supervisor never ends with a significant child")]
    SignificantInVain {
        /// Which supervisor.
        supervisor: String,
        /// Which child.
        name: String,
    },
    /// A permanent child always comes back, so its end can mean nothing.
    #[error("{supervisor}: `{name}` is permanent, so it cannot be significant")]
    SignificantPermanent {
        /// Which supervisor.
        supervisor: String,
        /// Which child.
        name: String,
    },
    /// A supervisor whose children are made from a template was given a child of another kind. OTP's
    /// `simple_one_for_one` takes exactly one spec.
    #[error("{supervisor}: `{name}` cannot stand beside the children that are made from a template")]
    BesideTemplate {
        /// Which supervisor.
        supervisor: String,
        /// Which child.
        name: String,
    },
    /// Children that are made from a template stand alone, and none of them is significant: their supervisor takes
    /// neither another strategy nor an [`AutoShutdown`] mode. OTP refuses the mode as well.
    #[error("{supervisor}: {what} means nothing to children that are made from a template")]
    NotForTemplate {
        /// Which supervisor.
        supervisor: String,
        /// What it was given.
        what: &'static str,
    },
}

impl Supervisor {
    /// A supervisor called `name` without children: one-for-one, 1 restart in 5 s, as OTP's defaults.
    pub fn named(name: impl Into<String>) -> Self {
        Supervisor {
            name: name.into(),
            strategy: Strategy::default(),
            intensity: RestartIntensity::default(),
            auto_shutdown: AutoShutdown::default(),
            children: Vec::new(),
            template: None,
            pool: None,
            init: None,
            #[cfg(any(test, feature = "testing"))]
            planted: None,
        }
    }

    /// A supervisor called `name` whose spec is made anew by `init` at the begin of each of its lives, as OTP's `init`
    /// does. `Ok(None)` declines to start, as OTP's `ignore`; an error or a panic fails the start, and so does a spec
    /// with complaints, or one that is itself made [`from_fn`](Supervisor::from_fn). The name in the spec that is made
    /// does not matter. A child that an earlier life left is claimed with its mailbox, and begins its next life as the new
    /// spec says; its mailbox, and whether and when its state is stored, stay as they are.
    ///
    /// `init` runs in the supervisor's task: it must not block.
    pub fn from_fn(
        name: impl Into<String>,
        init: impl Fn() -> Result<Option<Supervisor>, Failure> + Send + Sync + 'static,
    ) -> Self {
        Supervisor { init: Some(Init(Arc::new(init))), ..Self::named(name) }
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

    /// Whether it ends itself when significant children have ended. Default: [`AutoShutdown::Never`].
    #[must_use]
    pub fn auto_shutdown(mut self, mode: AutoShutdown) -> Self {
        self.auto_shutdown = mode;
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

    /// Plants a bug, to show that a test finds it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn plant(mut self, bug: PlantedBug) -> Self {
        self.planted = Some(bug);
        self
    }

    /// Everything wrong with this spec and those below it; empty if nothing is.
    #[must_use]
    pub fn complaints(&self) -> Vec<SpecComplaint> {
        let mut complaints = Vec::new();
        complaints.extend(bad_name(&self.name, &self.name));
        if self.intensity.within.is_zero() {
            complaints.push(SpecComplaint::EmptyWindow { supervisor: self.name.clone() });
        }
        let given = [
            (self.strategy != Strategy::OneForOne, "a strategy"),
            (self.auto_shutdown != AutoShutdown::Never, "an automatic shutdown"),
        ];
        for (_, what) in given.into_iter().filter(|(is_given, _)| *is_given && self.template.is_some()) {
            complaints.push(SpecComplaint::NotForTemplate { supervisor: self.name.clone(), what });
        }
        let mut names = BTreeSet::new();
        for child in &self.children {
            if !names.insert(child.name()) {
                let name = child.name().to_owned();
                complaints.push(SpecComplaint::DuplicateChild { supervisor: self.name.clone(), name });
            }
            if self.template.is_some() {
                let name = child.name().to_owned();
                complaints.push(SpecComplaint::BesideTemplate { supervisor: self.name.clone(), name });
            }
            complaints.extend(self.complaints_about(child));
        }
        complaints
    }

    /// What is wrong with `child` as a child of this supervisor.
    pub(crate) fn complaints_about(&self, child: &ChildSpec) -> Vec<SpecComplaint> {
        let (supervisor, name) = (|| self.name.clone(), || child.name().to_owned());
        let mut complaints = Vec::new();
        if child.below.is_none() {
            complaints.extend(bad_name(&self.name, child.name()));
        }
        if child.settings.significant && self.auto_shutdown == AutoShutdown::Never {
            complaints.push(SpecComplaint::SignificantInVain { supervisor: supervisor(), name: name() });
        }
        if child.settings.significant && child.settings.restart == Restart::Permanent {
            complaints.push(SpecComplaint::SignificantPermanent { supervisor: supervisor(), name: name() });
        }
        complaints.extend(child.below.iter().flat_map(|below| below.complaints()));
        complaints
    }

    /// The intensity, unless a bug is planted into it.
    pub(crate) fn limit(&self) -> RestartIntensity {
        #[cfg(any(test, feature = "testing"))]
        return crate::planted::spoil_limit(self.planted, self.intensity);
        #[cfg(not(any(test, feature = "testing")))]
        self.intensity
    }

    pub(crate) fn into_place_spec(self) -> PlaceSpec {
        let name = self.name.clone();
        OverseerRef::<Supervising>::spec(name, move || Supervising::new(self.clone()))
    }
}

fn bad_name(supervisor: &str, name: &str) -> Option<SpecComplaint> {
    let source = ActorPath::top(name).err()?;
    Some(SpecComplaint::BadName { supervisor: supervisor.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_about_a_tree_is_returned_at_once() {
        let below = Supervisor::named("Below").intensity(1, Duration::ZERO);
        let vain = Supervisor::named("vain");
        let spec = Supervisor::named("top")
            .child(ChildSpec::supervisor(Supervisor::named("twin")))
            .child(ChildSpec::supervisor(Supervisor::named("twin")))
            .child(ChildSpec::supervisor(below))
            .child(ChildSpec::supervisor(vain).significant());

        let complaints = spec.complaints();

        assert_eq!(complaints.len(), 5, "{complaints:?}");
        assert!(matches!(&complaints[0], SpecComplaint::DuplicateChild { name, .. } if name == "twin"));
        assert!(matches!(&complaints[1], SpecComplaint::BadName { .. }));
        assert!(matches!(&complaints[2], SpecComplaint::EmptyWindow { .. }));
        assert!(matches!(&complaints[3], SpecComplaint::SignificantInVain { name, .. } if name == "vain"));
        assert!(matches!(&complaints[4], SpecComplaint::SignificantPermanent { name, .. } if name == "vain"));
    }
}
