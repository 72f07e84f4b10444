//! What a supervisor does when a child ends: `restart_child/3` of `supervisor.erl` and all it calls.

use std::collections::BTreeMap;

use super::vocabulary::{
    AutoShutdown, ChildSpec, ChildState, Exit, Kind, Restart, Seen, Strategy, SupervisorSpec,
};
use super::world::{Retry, StartAnswer, World};

/// A running supervisor.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    pub(super) path: String,
    pub(super) spec: SupervisorSpec,
    /// In start order; dynamic children at the end. Names are unique.
    pub(super) children: Vec<Child>,
    /// When this incarnation tried to restart something: one list for all children, gone with the process.
    restarts_ms: Vec<u64>,
    incarnation: u64,
}

/// An entry in a supervisor's list of children.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) spec: ChildSpec,
    pub(super) life: Life,
}

/// The `pid` field of OTP's child record.
#[derive(Clone, Debug)]
pub(super) enum Life {
    Worker,
    Supervisor(Box<Supervisor>),
    /// `{restarting, _}`: a restart failed and is to be tried again.
    Restarting,
    /// `undefined`: ended, terminated, declined or not yet started.
    Stopped,
}

/// What became of a start.
pub(super) enum Birth {
    Alive(Life),
    Declined,
    Failed,
}

/// What a supervisor does after dealing with an exit: `{ok, _}` or `{shutdown, _}` in OTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    CarriesOn,
    ShutsDown,
}

impl Supervisor {
    /// Starts a supervisor with all its static children, or stops what was started and answers `None`.
    pub(super) fn start(spec: &SupervisorSpec, path: &str, world: &mut World) -> Option<Self> {
        let mut supervisor = Self {
            path: path.to_owned(),
            spec: spec.clone(),
            children: spec.children.iter().cloned().map(Child::unborn).collect(),
            restarts_ms: Vec::new(),
            incarnation: world.next_incarnation(),
        };
        if supervisor.start_children(0, world).is_err() {
            supervisor.stop_children(world);
            world.saw(Seen::StartFailed(supervisor.path));
            return None;
        }
        world.saw(Seen::Started(supervisor.path.clone()));
        Some(supervisor)
    }

    /// Deals with the exit of a child that was running. An exit of someone unknown is ignored.
    pub(super) fn child_ended(&mut self, name: &str, how: Exit, world: &mut World) -> Verdict {
        let Some(index) = self.position(name) else { return Verdict::CarriesOn };

        // At once, so that nothing below stops it again or counts it as alive.
        self.children[index].life = Life::Stopped;

        match (self.children[index].spec.restart, how) {
            (Restart::Permanent, _) | (Restart::Transient, Exit::Abnormal | Exit::Killed) => {
                self.restart(index, world)
            }
            (Restart::Transient, Exit::Normal | Exit::Shutdown) | (Restart::Temporary, _) => {
                let is_significant = self.children[index].spec.significant;
                self.mark_stopped(index);
                if is_significant { self.significant_child_ended() } else { Verdict::CarriesOn }
            }
        }
    }

    /// Deals with a `try_again_restart` message, which is void if the child no longer waits for it.
    pub(super) fn try_again(&mut self, name: &str, world: &mut World) -> Verdict {
        match self.position(name) {
            Some(index) if matches!(self.children[index].life, Life::Restarting) => {
                self.restart(index, world)
            }
            _ => Verdict::CarriesOn,
        }
    }

    /// Stops all children: in reverse start order, instances of a template all at once.
    pub(super) fn stop_children(&mut self, world: &mut World) {
        if self.is_template() {
            world.in_no_order(|world| self.stop_from(0, world));
        } else {
            self.stop_from(0, world);
        }
    }

    /// Stops the supervisor itself on behalf of its parent.
    pub(super) fn stop(mut self, world: &mut World) {
        self.stop_children(world);
        world.saw(Seen::Stopped(self.path));
    }

    /// Everything below dies with the supervisor, through the links.
    pub(super) fn kill(&mut self, world: &mut World) {
        world.in_no_order(|world| {
            for child in &mut self.children {
                match std::mem::replace(&mut child.life, Life::Stopped) {
                    Life::Worker => world.saw(Seen::Ended(format!("{}/{}", self.path, child.spec.name))),
                    Life::Supervisor(mut supervisor) => supervisor.kill(world),
                    Life::Restarting | Life::Stopped => {}
                }
            }
            world.saw(Seen::Ended(self.path.clone()));
        });
    }

    pub(super) fn is_incarnation(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation
    }

    pub(super) fn is_template(&self) -> bool {
        self.spec.strategy == Strategy::Template
    }

    pub(super) fn has_running(&self, name: &str) -> bool {
        self.position(name).is_some_and(|index| self.children[index].state() == ChildState::Running)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.spec.name == name)
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Finds a running supervisor at or below this one.
    pub(super) fn find(&mut self, path: &str) -> Option<&mut Self> {
        if path == self.path {
            return Some(self);
        }
        let below = path.strip_prefix(&self.path)?.strip_prefix('/')?;
        let name = below.split('/').next()?;
        let index = self.position(name)?;
        match &mut self.children[index].life {
            Life::Supervisor(supervisor) => supervisor.find(path),
            Life::Worker | Life::Restarting | Life::Stopped => None,
        }
    }

    pub(super) fn list_into(&self, listing: &mut BTreeMap<String, Vec<(String, ChildState)>>) {
        let mut children: Vec<_> =
            self.children.iter().map(|child| (child.spec.name.clone(), child.state())).collect();
        if self.is_template() {
            // Instances have no order, and a restart would change any order of pids.
            children.sort_by(|(left, _), (right, _)| left.cmp(right));
        }
        listing.insert(self.path.clone(), children);

        for child in &self.children {
            if let Life::Supervisor(supervisor) = &child.life {
                supervisor.list_into(listing);
            }
        }
    }

    /// Runs the start function of a child. A supervisor starts from its spec alone, so dynamic children do not return.
    pub(super) fn give_birth(&self, spec: &ChildSpec, world: &mut World) -> Birth {
        let path = self.path_of(&spec.name);
        let answer = match &spec.kind {
            Kind::Worker => world.start_worker(&path),
            Kind::Supervisor(spec) => world.init_supervisor(spec, &path),
        };
        match (answer, &spec.kind) {
            (StartAnswer::Ok, Kind::Worker) => {
                world.saw(Seen::Started(path));
                Birth::Alive(Life::Worker)
            }
            (StartAnswer::Ok, Kind::Supervisor(spec)) => match Self::start(spec, &path, world) {
                Some(supervisor) => Birth::Alive(Life::Supervisor(Box::new(supervisor))),
                None => Birth::Failed,
            },
            (StartAnswer::Ignore, _) => {
                world.saw(Seen::Declined(path));
                Birth::Declined
            }
            (StartAnswer::Error, _) => {
                world.saw(Seen::StartFailed(path));
                Birth::Failed
            }
        }
    }

    /// Stops one child if it runs. What happens to its entry is the caller's choice.
    pub(super) fn stop_child(&mut self, index: usize, world: &mut World) {
        let child = &mut self.children[index];
        match std::mem::replace(&mut child.life, Life::Stopped) {
            Life::Worker => world.saw(Seen::Stopped(format!("{}/{}", self.path, child.spec.name))),
            Life::Supervisor(supervisor) => supervisor.stop(world),
            Life::Restarting | Life::Stopped => {}
        }
    }

    /// Takes note that a child has no process now: `del_child/2`. Temporary ones and instances leave no entry.
    pub(super) fn mark_stopped(&mut self, index: usize) {
        let child = &mut self.children[index];
        if child.spec.restart == Restart::Temporary || self.spec.strategy == Strategy::Template {
            self.children.remove(index);
        } else {
            child.life = Life::Stopped;
        }
    }

    /// Restarts a child and whatever the strategy adds to it, if the intensity allows one more.
    ///
    /// The whole group counts once, every attempt that fails counts again.
    fn restart(&mut self, index: usize, world: &mut World) -> Verdict {
        if !self.note_restart(world.now_ms) {
            return Verdict::ShutsDown;
        }
        match self.spec.strategy {
            Strategy::OneForOne | Strategy::Template => self.restart_alone(index, world),
            Strategy::RestForOne => self.restart_from(index, world),
            Strategy::OneForAll => self.restart_from(0, world),
        }
        Verdict::CarriesOn
    }

    /// Adds a restart to the list, and says whether the list is still short enough.
    fn note_restart(&mut self, now_ms: u64) -> bool {
        let within_ms = self.spec.intensity.within_ms;
        self.restarts_ms.retain(|at_ms| at_ms.saturating_add(within_ms) >= now_ms);
        self.restarts_ms.push(now_ms);
        self.restarts_ms.len() <= self.spec.intensity.max as usize
    }

    fn restart_alone(&mut self, index: usize, world: &mut World) {
        let spec = self.children[index].spec.clone();
        match self.give_birth(&spec, world) {
            Birth::Alive(life) => self.children[index].life = life,
            Birth::Declined => self.mark_stopped(index),
            Birth::Failed => self.retry_later(index, world),
        }
    }

    /// Restarts all children from `first` on, among them the one that ended.
    ///
    /// All of them start, also those that had ended or been terminated long before: OTP keeps no memory of why an
    /// entry has no process. The one that fails to start is the one to try again, whoever ended first.
    fn restart_from(&mut self, first: usize, world: &mut World) {
        self.stop_from(first, world);
        if let Err(failed) = self.start_children(first, world) {
            self.retry_later(failed, world);
        }
    }

    /// Starts the children from `first` on, left to right, up to the first that fails: its index is the error.
    fn start_children(&mut self, first: usize, world: &mut World) -> Result<(), usize> {
        let mut index = first;
        while index < self.children.len() {
            let spec = self.children[index].spec.clone();
            match self.give_birth(&spec, world) {
                Birth::Alive(life) => self.children[index].life = life,
                Birth::Declined if spec.restart == Restart::Temporary => {
                    self.children.remove(index);
                    continue;
                }
                Birth::Declined => self.children[index].life = Life::Stopped,
                Birth::Failed => return Err(index),
            }
            index += 1;
        }
        Ok(())
    }

    /// Stops the children from `first` on, right to left. Temporary ones leave no entry: they will not be back.
    fn stop_from(&mut self, first: usize, world: &mut World) {
        for index in (first..self.children.len()).rev() {
            self.stop_child(index, world);
            self.mark_stopped(index);
        }
    }

    /// Leaves a failed restart to a message, so that other requests get in between.
    fn retry_later(&mut self, index: usize, world: &mut World) {
        let child = &mut self.children[index];
        child.life = Life::Restarting;
        world.retry_later(Retry {
            supervisor: self.path.clone(),
            incarnation: self.incarnation,
            child: child.spec.name.clone(),
        });
    }

    /// Whether the supervisor ends because a significant child, already marked, has ended by itself.
    ///
    /// A significant child that waits for its restart counts as alive; one that was terminated does not.
    fn significant_child_ended(&self) -> Verdict {
        let one_is_left = || {
            self.children.iter().any(|child| child.spec.significant && child.state() != ChildState::Stopped)
        };
        match self.spec.auto_shutdown {
            AutoShutdown::Never => Verdict::CarriesOn,
            AutoShutdown::AllSignificant if one_is_left() => Verdict::CarriesOn,
            AutoShutdown::AnySignificant | AutoShutdown::AllSignificant => Verdict::ShutsDown,
        }
    }
}

impl Child {
    fn unborn(spec: ChildSpec) -> Self {
        Self { spec, life: Life::Stopped }
    }

    pub(super) fn state(&self) -> ChildState {
        match self.life {
            Life::Worker | Life::Supervisor(_) => ChildState::Running,
            Life::Restarting => ChildState::Restarting,
            Life::Stopped => ChildState::Stopped,
        }
    }
}
