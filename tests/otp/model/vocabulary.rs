//! What goes into the model and what comes out of it: specs, events, observations.

use std::collections::BTreeSet;

/// What a supervisor is started from, its static children included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SupervisorSpec {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    /// In start order. Empty under [`Strategy::Template`].
    pub(crate) children: Vec<ChildSpec>,
    /// What instances are made from; its name is a placeholder. Present under [`Strategy::Template`] only.
    pub(crate) template: Option<Box<ChildSpec>>,
}

impl SupervisorSpec {
    /// Whether OTP would accept this spec and, level by level, every spec inside it.
    pub(crate) fn is_valid(&self) -> bool {
        let is_template = self.strategy == Strategy::Template;
        let mut names = BTreeSet::new();

        self.template.is_some() == is_template
            && (!is_template || self.children.is_empty())
            && (!is_template || self.auto_shutdown == AutoShutdown::Never)
            && self.children.iter().all(|child| names.insert(&child.name))
            && self.children.iter().chain(self.template.as_deref()).all(|child| {
                child.fits(self.auto_shutdown)
                    && match &child.kind {
                        Kind::Worker => true,
                        Kind::Supervisor(spec) => spec.is_valid(),
                    }
            })
    }
}

/// What one child is started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildSpec {
    pub(crate) name: String,
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    pub(crate) kind: Kind,
}

impl ChildSpec {
    /// Whether a supervisor with this mode takes the child: otherwise OTP answers `bad_combination`.
    pub(crate) fn fits(&self, mode: AutoShutdown) -> bool {
        !self.significant || (mode != AutoShutdown::Never && self.restart != Restart::Permanent)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Worker,
    Supervisor(SupervisorSpec),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    OneForOne,
    OneForAll,
    RestForOne,
    /// OTP's `simple_one_for_one`: no static children, instances of one template, all stopped in parallel.
    Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restart {
    Permanent,
    Transient,
    Temporary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoShutdown {
    Never,
    AnySignificant,
    AllSignificant,
}

/// How many restarts a supervisor allows itself: `max`, at any time, in the last `within_ms` and on its boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intensity {
    pub(crate) max: u32,
    pub(crate) within_ms: u64,
}

/// Something that happens to the tree from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker ends by itself. Aimed at a supervisor only [`Exit::Killed`] has an effect, for supervisors trap exits.
    Exit {
        path: String,
        how: Exit,
    },
    /// From now on exactly the next `count` starts of this worker fail, replacing what was said before.
    FailStarts {
        path: String,
        count: u32,
    },
    /// The next start that does not fail answers `ignore`.
    DeclineStart {
        path: String,
    },
    /// Adds a child. Under a template only the name of `child` matters.
    Start {
        supervisor: String,
        child: ChildSpec,
    },
    Terminate {
        supervisor: String,
        name: String,
    },
    Restart {
        supervisor: String,
        name: String,
    },
    Delete {
        supervisor: String,
        name: String,
    },
    /// The orderly shutdown of the whole tree.
    StopTop,
    /// The brutal kill of a supervisor: all below it die with it, in no order.
    KillSupervisor {
        path: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Normal,
    Shutdown,
    Abnormal,
    Killed,
}

/// Something an onlooker sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    /// A worker started, or a supervisor after all its children.
    Started(String),
    /// A worker did not start, or a supervisor could not start one of its children and has stopped the others.
    StartFailed(String),
    /// The start answered `ignore`.
    Declined(String),
    /// Terminated by its supervisor; a supervisor after all its children.
    Stopped(String),
    /// Ended by itself or was killed; a supervisor that gave up or shut itself down, after all its children.
    Ended(String),
    /// Happened in no fixed order. Never nested, never fewer than two, kept sorted so that equal sets are equal.
    Unordered(Vec<Seen>),
    /// The answer to a request, after everything the request brought about.
    Answer(AdminAnswer),
}

/// What OTP answers to `start_child`, `terminate_child`, `restart_child` and `delete_child`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AdminAnswer {
    /// `{ok, Pid}` of start and restart.
    Started,
    /// `ok` of terminate and delete.
    Ok,
    AlreadyPresent,
    AlreadyStarted,
    NotFound,
    Running,
    Restarting,
    StartFailed,
    /// `{ok, undefined}`: the start function answered `ignore`.
    Declined,
    /// `{error, simple_one_for_one}`.
    NotForTemplate,
    BadCombination,
}

/// How `which_children` shows a child: with a pid, as `restarting`, or as `undefined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildState {
    Running,
    Restarting,
    Stopped,
}
