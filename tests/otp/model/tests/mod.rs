//! The model held against OTP's `supervisor_SUITE`; tests are named after the cases they mirror.
//!
//! What is seen is compared as one line of text, such as `ended top/a, started top/a`, because a reader of such a line
//! needs no key.

mod administration; // child_adm, hanging_restart_loop, which_children
mod anything; // whatever happens, in any order
mod groups; // one_for_all, rest_for_one, order_of_children
mod restarts; // restart types and intensity
mod significance; // auto shutdown
mod starts; // sup_start, sup_stop and validation
mod templates; // simple_one_for_one
mod trees; // supervisors under supervisors

use super::{
    AutoShutdown, ChildSpec, ChildState, Event, Exit, Intensity, Kind, Model, Restart, Seen, Strategy,
    SupervisorSpec,
};

/// A model with a hand on the clock, which speaks in lines of text.
struct Tree {
    model: Model,
    now_ms: u64,
}

impl Tree {
    /// Starts a tree under the name `top` whose start is none of the test's interest.
    fn of(spec: SupervisorSpec) -> Self {
        let (tree, seen) = Self::start(spec);
        assert!(tree.model.is_running(), "{seen}");
        tree
    }

    fn start(spec: SupervisorSpec) -> (Self, String) {
        let (model, seen) = Model::start(spec, "top");
        (Self { model, now_ms: 0 }, tell(&seen))
    }

    fn apply(&mut self, event: Event) -> String {
        let seen = self.model.apply(self.now_ms, event);
        tell(&seen)
    }

    fn apply_once(&mut self, event: Event) -> String {
        let seen = self.model.apply_once(self.now_ms, event);
        tell(&seen)
    }

    fn retry_once(&mut self) -> Option<String> {
        self.model.retry_once(self.now_ms).map(|seen| tell(&seen))
    }

    fn exit(&mut self, path: &str, how: Exit) -> String {
        self.apply(Event::Exit { path: path.into(), how })
    }

    fn kill_supervisor(&mut self, path: &str) -> String {
        self.apply(Event::KillSupervisor { path: path.into() })
    }

    fn fail_starts(&mut self, path: &str, count: u32) {
        assert_eq!(self.apply(Event::FailStarts { path: path.into(), count }), "");
    }

    fn decline_start(&mut self, path: &str) {
        assert_eq!(self.apply(Event::DeclineStart { path: path.into() }), "");
    }

    fn start_child(&mut self, supervisor: &str, child: ChildSpec) -> String {
        self.apply(Event::Start { supervisor: supervisor.into(), child })
    }

    fn terminate(&mut self, supervisor: &str, name: &str) -> String {
        self.apply(Event::Terminate { supervisor: supervisor.into(), name: name.into() })
    }

    fn restart(&mut self, supervisor: &str, name: &str) -> String {
        self.apply(Event::Restart { supervisor: supervisor.into(), name: name.into() })
    }

    fn delete(&mut self, supervisor: &str, name: &str) -> String {
        self.apply(Event::Delete { supervisor: supervisor.into(), name: name.into() })
    }

    /// The children of a running supervisor: `a running, b stopped`; `none` if it does not run.
    fn children_of(&self, supervisor: &str) -> String {
        let Some(children) = self.model.listing().remove(supervisor) else { return "none".into() };
        let lines: Vec<_> = children
            .iter()
            .map(|(name, state)| {
                let state = match state {
                    ChildState::Running => "running",
                    ChildState::Restarting => "restarting",
                    ChildState::Stopped => "stopped",
                };
                format!("{name} {state}")
            })
            .collect();
        lines.join(", ")
    }
}

fn tell(seen: &[Seen]) -> String {
    let words: Vec<_> = seen
        .iter()
        .map(|seen| match seen {
            Seen::Started(path) => format!("started {path}"),
            Seen::StartFailed(path) => format!("failed {path}"),
            Seen::Declined(path) => format!("declined {path}"),
            Seen::Stopped(path) => format!("stopped {path}"),
            Seen::Ended(path) => format!("ended {path}"),
            Seen::Unordered(set) => format!("{{{}}}", tell(set)),
            Seen::Answer(answer) => format!("= {answer:?}"),
        })
        .collect();
    words.join(", ")
}

fn worker(name: &str, restart: Restart) -> ChildSpec {
    ChildSpec { name: name.into(), restart, significant: false, kind: Kind::Worker }
}

fn permanent(name: &str) -> ChildSpec {
    worker(name, Restart::Permanent)
}

fn transient(name: &str) -> ChildSpec {
    worker(name, Restart::Transient)
}

fn temporary(name: &str) -> ChildSpec {
    worker(name, Restart::Temporary)
}

fn significant(child: ChildSpec) -> ChildSpec {
    ChildSpec { significant: true, ..child }
}

fn supervisor(name: &str, restart: Restart, spec: SupervisorSpec) -> ChildSpec {
    ChildSpec { name: name.into(), restart, significant: false, kind: Kind::Supervisor(spec) }
}

/// A spec that allows two restarts in ten seconds and never shuts itself down.
fn spec(strategy: Strategy, children: impl Into<Vec<ChildSpec>>) -> SupervisorSpec {
    SupervisorSpec {
        strategy,
        intensity: Intensity { max: 2, within_ms: 10_000 },
        auto_shutdown: AutoShutdown::Never,
        children: children.into(),
        template: None,
    }
}

fn one_for_one_of(children: impl Into<Vec<ChildSpec>>) -> SupervisorSpec {
    spec(Strategy::OneForOne, children)
}

fn one_for_all_of(children: impl Into<Vec<ChildSpec>>) -> SupervisorSpec {
    spec(Strategy::OneForAll, children)
}

fn rest_for_one_of(children: impl Into<Vec<ChildSpec>>) -> SupervisorSpec {
    spec(Strategy::RestForOne, children)
}

fn template(instance: ChildSpec) -> SupervisorSpec {
    SupervisorSpec { template: Some(Box::new(instance)), ..spec(Strategy::Template, []) }
}

fn allowing(max: u32, within_ms: u64, spec: SupervisorSpec) -> SupervisorSpec {
    SupervisorSpec { intensity: Intensity { max, within_ms }, ..spec }
}

fn any_significant(spec: SupervisorSpec) -> SupervisorSpec {
    SupervisorSpec { auto_shutdown: AutoShutdown::AnySignificant, ..spec }
}

fn all_significant(spec: SupervisorSpec) -> SupervisorSpec {
    SupervisorSpec { auto_shutdown: AutoShutdown::AllSignificant, ..spec }
}

const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];
const EXITS: [Exit; 4] = [Exit::Normal, Exit::Shutdown, Exit::Abnormal, Exit::Killed];
const ORDERED: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
