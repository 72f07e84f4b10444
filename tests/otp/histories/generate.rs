//! Random trees and random histories, each from a seed.

use quickcheck::Arbitrary;
use quickcheck::Gen;

use super::supervisors;
use crate::model::{
    AutoShutdown, ChildSpec, Event, Exit, Intensity, Kind, Restart, Strategy, SupervisorSpec,
};

/// A tree, and what happens to it: milliseconds since the event before, at least 1, and the event.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) top: SupervisorSpec,
    pub(super) events: Vec<(u64, Event)>,
}

/// Names are few, so that events often meet somebody.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl History {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut dice = Dice(Gen::from_size_and_seed(64, seed));
        let top = dice.supervisor(3);
        let length = dice.up_to(24) + 1;
        let events = (0..length).map(|_| (dice.gap_ms(&top), dice.event(&top))).collect();
        History { top, events }
    }
}

struct Dice(Gen);

impl Dice {
    fn up_to(&mut self, most: usize) -> usize {
        usize::arbitrary(&mut self.0) % (most + 1)
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        self.0.choose(among).expect("the choice is never empty").clone()
    }

    /// One in `n`.
    fn once_in(&mut self, n: usize) -> bool {
        self.up_to(n - 1) == 0
    }

    fn supervisor(&mut self, depth: usize) -> SupervisorSpec {
        let intensity =
            Intensity { max: self.pick(&[0, 1, 1, 2, 3, 5]), within_ms: self.pick(&[5, 20, 100]) };
        if depth < 3 && self.once_in(4) {
            let template = Some(Box::new(self.child("template", AutoShutdown::Never, 0)));
            let (strategy, auto_shutdown) = (Strategy::Template, AutoShutdown::Never);
            return SupervisorSpec { strategy, intensity, auto_shutdown, children: Vec::new(), template };
        }
        let strategy = self.pick(&[Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
        let modes = [
            AutoShutdown::Never,
            AutoShutdown::Never,
            AutoShutdown::AnySignificant,
            AutoShutdown::AllSignificant,
        ];
        let auto_shutdown = self.pick(&modes);
        let children =
            (0..self.up_to(NAMES.len() - 2)).map(|at| self.child(NAMES[at], auto_shutdown, depth - 1));
        let children = children.collect();
        SupervisorSpec { strategy, intensity, auto_shutdown, children, template: None }
    }

    fn child(&mut self, name: &str, mode: AutoShutdown, depth: usize) -> ChildSpec {
        let restarts = [
            Restart::Permanent,
            Restart::Permanent,
            Restart::Transient,
            Restart::Transient,
            Restart::Temporary,
        ];
        let restart = self.pick(&restarts);
        let significant = mode != AutoShutdown::Never && restart != Restart::Permanent && self.once_in(2);
        let kind = match depth {
            1.. if self.once_in(3) => Kind::Supervisor(self.supervisor(depth)),
            _ => Kind::Worker,
        };
        ChildSpec { name: name.to_owned(), restart, significant, kind }
    }

    /// Often exactly a window, or one more or less: the edge is where a reading goes wrong.
    fn gap_ms(&mut self, top: &SupervisorSpec) -> u64 {
        let all = supervisors(top, "top");
        let window = self.pick(&all).1.intensity.within_ms;
        self.pick(&[1, 1, 1, 2, 3, window.max(2) - 1, window, window + 1])
    }

    fn event(&mut self, top: &SupervisorSpec) -> Event {
        let all = supervisors(top, "top");
        let (supervisor, spec) = self.pick(&all);
        let name = self.pick(&NAMES).to_owned();
        let path = format!("{supervisor}/{name}");
        match self.up_to(99) {
            0..45 => {
                let how = [Exit::Normal, Exit::Shutdown, Exit::Abnormal, Exit::Abnormal, Exit::Killed];
                Event::Exit { path, how: self.pick(&how) }
            }
            45..60 => Event::FailStarts { path, count: self.pick(&[1, 1, 2, 3, 8]) },
            60..65 => Event::DeclineStart { path },
            65..78 => {
                let child = self.child(&name, spec.auto_shutdown, 0);
                Event::Start { supervisor, child }
            }
            78..84 => Event::Terminate { supervisor, name },
            84..89 => Event::Restart { supervisor, name },
            89..94 => Event::Delete { supervisor, name },
            94..98 => Event::KillSupervisor { path: supervisor },
            _ => Event::StopTop,
        }
    }
}
