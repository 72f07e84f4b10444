//! A pure model of Erlang/OTP's supervisor rules: the judge of our supervision.
//!
//! It was written from `supervisor.erl` and its suite, never from our implementation: two readings of the same rules
//! that agree are worth more than one reading checked against itself. There is no clock, no thread and no task here;
//! every event carries its time, and the answer is the list of what an onlooker would have seen, in order.
//!
//! Processes are named by path, `top/child/grandchild`, so a child's name holds no `/`.

mod administration; // what a supervisor answers when asked
mod supervisor; // what a supervisor does when a child ends
mod vocabulary; // what goes in and what comes out
mod world; // what surrounds the supervisors: time, start functions, the onlooker

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use supervisor::{Supervisor, Verdict};
pub(crate) use vocabulary::{
    AdminAnswer, AutoShutdown, ChildSpec, ChildState, Event, Exit, Intensity, Kind, Restart, Seen, Strategy,
    SupervisorSpec,
};
use world::World;

/// A whole supervision tree and the world around it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    top: Option<Supervisor>,
    world: World,
}

impl Model {
    /// Starts the tree, left to right and all of it, as `start_link` does.
    ///
    /// A spec that is not [valid](SupervisorSpec::is_valid) starts nothing and leaves a model that is not running.
    pub(crate) fn start(spec: SupervisorSpec, top_name: &str) -> (Self, Vec<Seen>) {
        let mut world = World::default();
        let top = if spec.is_valid() {
            Supervisor::start(&spec, top_name, &mut world)
        } else {
            world.saw(Seen::StartFailed(top_name.to_owned()));
            None
        };
        let seen = world.take_seen();
        (Self { top, world }, seen)
    }

    /// Lets `event` happen and runs the tree until nothing is left to do.
    ///
    /// Answers nothing when the event is aimed at something that is not running. Times never go back.
    pub(crate) fn apply(&mut self, now_ms: u64, event: Event) -> Vec<Seen> {
        let mut seen = self.apply_once(now_ms, event);
        while let Some(more) = self.retry_once(now_ms) {
            seen.extend(more);
        }
        seen
    }

    /// Lets `event` happen, but leaves failed restarts waiting to be tried again.
    ///
    /// Between this and [`retry_once`](Self::retry_once) a child shows as [`ChildState::Restarting`], as in OTP's
    /// `hanging_restart_loop` cases.
    pub(crate) fn apply_once(&mut self, now_ms: u64, event: Event) -> Vec<Seen> {
        self.world.now_ms = now_ms;
        match event {
            Event::Exit { path, how } => self.exit(&path, how),
            Event::KillSupervisor { path } => self.kill_supervisor(&path),
            Event::StopTop => self.stop_top(),
            Event::FailStarts { path, count } => self.world.fail_starts(path, count),
            Event::DeclineStart { path } => self.world.decline_start(path),
            Event::Start { supervisor, child } => {
                self.ask(&supervisor, |supervisor, world| supervisor.start_child(child, world));
            }
            Event::Terminate { supervisor, name } => {
                self.ask(&supervisor, |supervisor, world| supervisor.terminate_child(&name, world));
            }
            Event::Restart { supervisor, name } => {
                self.ask(&supervisor, |supervisor, world| supervisor.restart_child(&name, world));
            }
            Event::Delete { supervisor, name } => {
                self.ask(&supervisor, |supervisor, _| supervisor.delete_child(&name));
            }
        }
        self.world.take_seen()
    }

    /// Delivers the oldest `try_again_restart` message, or answers `None` when there is none.
    pub(crate) fn retry_once(&mut self, now_ms: u64) -> Option<Vec<Seen>> {
        self.world.now_ms = now_ms;
        let retry = self.world.next_retry()?;

        // A message to a supervisor that has ended since is lost with its mailbox, even if its successor has the path.
        if let Some(supervisor) = find(&mut self.top, &retry.supervisor)
            && supervisor.is_incarnation(retry.incarnation)
        {
            let verdict = supervisor.try_again(&retry.child, &mut self.world);
            self.conclude(&retry.supervisor, verdict);
        }
        Some(self.world.take_seen())
    }

    /// Lists the children of every running supervisor in start order; those of a template by name.
    pub(crate) fn listing(&self) -> BTreeMap<String, Vec<(String, ChildState)>> {
        let mut listing = BTreeMap::new();
        if let Some(top) = &self.top {
            top.list_into(&mut listing);
        }
        listing
    }

    /// Whether the top supervisor still runs. Once it has ended, nothing brings it back.
    pub(crate) fn is_running(&self) -> bool {
        self.top.is_some()
    }

    fn exit(&mut self, path: &str, how: Exit) {
        if find(&mut self.top, path).is_some() {
            // A supervisor traps exits and does not know the sender of this one: only `kill` gets through.
            if how == Exit::Killed {
                self.kill_supervisor(path);
            }
            return;
        }
        let is_worker = path.rsplit_once('/').is_some_and(|(parent, name)| {
            find(&mut self.top, parent).is_some_and(|supervisor| supervisor.has_running(name))
        });
        if is_worker {
            self.world.saw(Seen::Ended(path.to_owned()));
            self.report_exit(path, how);
        }
    }

    fn kill_supervisor(&mut self, path: &str) {
        let Some(supervisor) = find(&mut self.top, path) else { return };
        supervisor.kill(&mut self.world);
        self.report_exit(path, Exit::Killed);
    }

    fn stop_top(&mut self) {
        if let Some(top) = self.top.take() {
            top.stop(&mut self.world);
        }
    }

    /// A call to a supervisor that is not running gets no answer: OTP's caller would exit with `noproc`.
    fn ask(&mut self, path: &str, call: impl FnOnce(&mut Supervisor, &mut World) -> AdminAnswer) {
        if let Some(supervisor) = find(&mut self.top, path) {
            let answer = call(supervisor, &mut self.world);
            self.world.saw(Seen::Answer(answer));
        }
    }

    /// Delivers the exit signal of `path` to its parent.
    fn report_exit(&mut self, path: &str, how: Exit) {
        let Some((parent_path, name)) = path.rsplit_once('/') else {
            self.top = None;
            return;
        };
        if let Some(parent) = find(&mut self.top, parent_path) {
            let verdict = parent.child_ended(name, how, &mut self.world);
            self.conclude(parent_path, verdict);
        }
    }

    /// Ends the supervisor if that is the verdict: it exits with `shutdown`, whatever the reason, and its parent hears.
    fn conclude(&mut self, path: &str, verdict: Verdict) {
        if verdict == Verdict::CarriesOn {
            return;
        }
        if let Some(supervisor) = find(&mut self.top, path) {
            supervisor.stop_children(&mut self.world);
            self.world.saw(Seen::Ended(path.to_owned()));
            self.report_exit(path, Exit::Shutdown);
        }
    }
}

/// Finds a running supervisor. A free function, so that the world can be borrowed beside it.
fn find<'a>(top: &'a mut Option<Supervisor>, path: &str) -> Option<&'a mut Supervisor> {
    top.as_mut()?.find(path)
}
