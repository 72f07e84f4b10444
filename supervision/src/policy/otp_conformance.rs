//! OTP's supervisor in miniature, and whether we do as it does.
//!
//! The model follows the functions of `supervisor.erl` one by one, on lists of children, and shares nothing with ours
//! but the plain words. The other side carries out our decisions as a shell would. Both live through the same script.

use std::collections::VecDeque;
use std::time::Duration;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;

/// Goal: whatever happens in whatever order, we stop, remove, start and give up as OTP does.
/// Method: random scripts of exits, failing starts, tries, requests and a shutdown; compared after every step.
#[test]
fn a_supervisor_lives_as_otps_would() {
    fn same_life(script: Script) -> bool {
        let mut otp = Otp::new(&script);
        let mut ours = Ours::new(&script);
        let mut now_ms = 0;
        script.steps.iter().all(|&(gap_ms, step)| {
            now_ms += gap_ms;
            let expected = otp.live(step, now_ms);
            let actual = ours.live(step, now_ms);
            assert_eq!(
                (&actual, &ours.children),
                (&expected, &otp.children),
                "{step:?} at {now_ms} of {script:#?}"
            );
            true
        })
    }
    QuickCheck::new().tests(5_000).quickcheck(same_life as fn(Script) -> bool);
}

#[derive(Clone, Debug)]
struct Script {
    strategy: Strategy,
    max: u32,
    within_ms: u64,
    children: Vec<Child>,
    /// How the first starts turn out; all later ones succeed.
    starts: Vec<Start>,
    steps: Vec<(u64, Step)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Child {
    id: usize,
    facts: ChildFacts,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Succeeds,
    Fails(ExitClass),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The child with this id leaves, if it runs.
    Exit(usize, ExitClass),
    /// The oldest message of the supervisor to itself, "try again", is handled.
    TryAgain,
    /// Somebody stops the child with this id by request.
    Terminate(usize),
    /// The supervisor is told to stop.
    ShutDown,
}

/// What is to be seen from outside.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Stopped(usize),
    Removed(usize),
    Started(usize),
    FailedToStart(usize),
    GaveUp,
}

/// OTP's `supervisor.erl`.
struct Otp {
    strategy: Strategy,
    intensity: u64,
    period: u64,
    restarts: Vec<u64>,
    children: Vec<Child>,
    starts: VecDeque<Start>,
    try_again: VecDeque<(usize, ExitClass)>,
    ended: bool,
    seen: Vec<Seen>,
}

impl Otp {
    fn new(script: &Script) -> Self {
        Otp {
            strategy: script.strategy,
            intensity: script.max.into(),
            period: script.within_ms,
            restarts: Vec::new(),
            children: script.children.clone(),
            starts: script.starts.clone().into(),
            try_again: VecDeque::new(),
            ended: false,
            seen: Vec::new(),
        }
    }

    fn live(&mut self, step: Step, now: u64) -> Vec<Seen> {
        match step {
            _ if self.ended => {}
            Step::Exit(id, reason) => {
                let running = |child: &&Child| child.id == id && child.facts.state == ChildState::Running;
                if let Some(child) = self.children.iter().find(running).copied() {
                    self.do_restart(child, reason, now);
                }
            }
            Step::TryAgain => {
                if let Some((id, reason)) = self.try_again.pop_front() {
                    let waits =
                        |child: &&Child| child.id == id && child.facts.state == ChildState::Restarting;
                    if let Some(child) = self.children.iter().find(waits).copied() {
                        self.restart(child, reason, now);
                    }
                }
            }
            Step::Terminate(id) => terminate_by_request(&mut self.children, id),
            Step::ShutDown => self.ended = true,
        }
        std::mem::take(&mut self.seen)
    }

    fn do_restart(&mut self, child: Child, reason: ExitClass, now: u64) {
        let asked = reason == ExitClass::Normal || reason == ExitClass::Shutdown;
        if child.facts.restart == Restart::Permanent {
            self.restart(child, reason, now);
        } else if child.facts.restart == Restart::Transient && asked {
            self.set_state(child.id, ChildState::Stopped);
        } else if child.facts.restart == Restart::Transient {
            self.restart(child, reason, now);
        } else {
            self.children.retain(|other| other.id != child.id);
            self.seen.push(Seen::Removed(child.id));
        }
    }

    fn restart(&mut self, child: Child, reason: ExitClass, now: u64) {
        let free = reason == ExitClass::Repeat
            || reason == ExitClass::External && child.facts.on_external == OnExternal::BacksOff;
        if !free && !self.add_restart(now) {
            self.seen.push(Seen::GaveUp);
            self.ended = true;
            return;
        }
        self.set_state(child.id, ChildState::Stopped);
        let at = self.children.iter().position(|other| other.id == child.id).expect("the child is listed");
        match self.strategy {
            Strategy::OneForOne => {
                let mut rest = self.children.split_off(at + 1);
                let mut this = self.children.split_off(at);
                self.start_children(&mut this);
                self.children.append(&mut this);
                self.children.append(&mut rest);
            }
            Strategy::RestForOne => {
                let mut after = self.children.split_off(at);
                self.restart_multiple_children(&mut after);
                self.children.append(&mut after);
            }
            Strategy::Custom(_) => unreachable!("OTP has none"),
            Strategy::OneForAll => {
                let mut all = std::mem::take(&mut self.children);
                self.restart_multiple_children(&mut all);
                self.children = all;
            }
        }
    }

    fn add_restart(&mut self, now: u64) -> bool {
        let mut restarts = vec![now];
        restarts.extend(self.restarts.iter().copied().filter(|&stamp| stamp + self.period >= now));
        self.restarts = restarts;
        self.restarts.len() as u64 <= self.intensity
    }

    fn restart_multiple_children(&mut self, children: &mut Vec<Child>) {
        self.terminate_children(children);
        self.start_children(children);
    }

    fn terminate_children(&mut self, children: &mut Vec<Child>) {
        let mut left = VecDeque::new();
        let mut removed = Vec::new();
        while let Some(mut child) = children.pop() {
            if child.facts.state == ChildState::Running {
                self.seen.push(Seen::Stopped(child.id));
            }
            child.facts.state = ChildState::Stopped;
            match child.facts.restart {
                Restart::Temporary => removed.push(Seen::Removed(child.id)),
                _ => left.push_front(child),
            }
        }
        self.seen.append(&mut removed);
        children.extend(left);
    }

    fn start_children(&mut self, children: &mut [Child]) {
        for child in children {
            match self.starts.pop_front().unwrap_or(Start::Succeeds) {
                Start::Succeeds => {
                    child.facts.state = ChildState::Running;
                    self.seen.push(Seen::Started(child.id));
                }
                Start::Fails(reason) => {
                    child.facts.state = ChildState::Restarting;
                    self.seen.push(Seen::FailedToStart(child.id));
                    self.try_again.push_back((child.id, reason));
                    return;
                }
            }
        }
    }

    fn set_state(&mut self, id: usize, state: ChildState) {
        self.children.iter_mut().filter(|child| child.id == id).for_each(|child| child.facts.state = state);
    }
}

/// Our decisions, carried out as a shell would.
struct Ours {
    strategy: Strategy,
    phase: SupervisorPhase,
    history: RestartHistory,
    children: Vec<Child>,
    starts: VecDeque<Start>,
    try_again: VecDeque<(usize, ExitClass)>,
}

impl Ours {
    fn new(script: &Script) -> Self {
        let within = Duration::from_millis(script.within_ms);
        Ours {
            strategy: script.strategy,
            phase: SupervisorPhase::Running,
            history: RestartHistory::new(RestartIntensity { max: script.max, within }),
            children: script.children.clone(),
            starts: script.starts.clone().into(),
            try_again: VecDeque::new(),
        }
    }

    fn live(&mut self, step: Step, now_ms: u64) -> Vec<Seen> {
        let news = match step {
            Step::Exit(id, exit) => Some((decide as fn(&_, _, _, &mut _) -> _, id, exit)),
            Step::TryAgain => {
                self.try_again.pop_front().map(|(id, failure)| (after_failed_start as _, id, failure))
            }
            Step::Terminate(id) if self.phase == SupervisorPhase::Running => {
                terminate_by_request(&mut self.children, id);
                None
            }
            Step::Terminate(_) => None,
            Step::ShutDown => {
                self.phase = SupervisorPhase::Stopping;
                None
            }
        };
        let Some((asked, id, exit)) = news else { return Vec::new() };
        let child = self.children.iter().position(|child| child.id == id).unwrap_or(usize::MAX);
        let children: Vec<_> = self.children.iter().map(|child| child.facts).collect();
        let facts = SupervisorFacts {
            strategy: self.strategy,
            auto_shutdown: AutoShutdown::Never,
            phase: self.phase,
            children: &children,
            names: &[],
            now_ms,
        };
        match asked(&facts, child, exit, &mut self.history) {
            Decision::Ignore => Vec::new(),
            Decision::Forget => vec![Seen::Removed(self.children.remove(child).id)],
            Decision::Keep => {
                self.children[child].facts.state = ChildState::Stopped;
                Vec::new()
            }
            Decision::Restart { stop, forget, start } => self.restart(&stop, &forget, &start),
            Decision::AutoShutdown => unreachable!("this one never ends by itself"),
            Decision::LayAside { .. } => unreachable!("no child of OTP has a limit for outages"),
            Decision::GiveUp => {
                self.phase = SupervisorPhase::Stopping;
                vec![Seen::GaveUp]
            }
        }
    }

    fn restart(&mut self, stop: &[usize], forget: &[usize], start: &[usize]) -> Vec<Seen> {
        let mut seen: Vec<_> = stop.iter().map(|&i| Seen::Stopped(self.children[i].id)).collect();
        let to_start: Vec<_> = start.iter().map(|&i| self.children[i].id).collect();
        stop.iter().chain(start).for_each(|&i| self.children[i].facts.state = ChildState::Stopped);
        seen.extend(forget.iter().map(|&i| Seen::Removed(self.children.remove(i).id)));
        for id in to_start {
            let child = self.children.iter_mut().find(|child| child.id == id).expect("the child is listed");
            match self.starts.pop_front().unwrap_or(Start::Succeeds) {
                Start::Succeeds => {
                    child.facts.state = ChildState::Running;
                    seen.push(Seen::Started(id));
                }
                Start::Fails(failure) => {
                    child.facts.state = ChildState::Restarting;
                    seen.push(Seen::FailedToStart(id));
                    self.try_again.push_back((id, failure));
                    break;
                }
            }
        }
        seen
    }
}

/// `terminate_child`: keeps the spec unless the child is temporary.
fn terminate_by_request(children: &mut Vec<Child>, id: usize) {
    children.retain(|child| child.id != id || child.facts.restart != Restart::Temporary);
    children
        .iter_mut()
        .filter(|child| child.id == id)
        .for_each(|child| child.facts.state = ChildState::Stopped);
}

impl Arbitrary for Script {
    fn arbitrary(g: &mut Gen) -> Self {
        let children = (0..up_to(g, 6))
            .map(|id| Child {
                id,
                facts: ChildFacts { state: ChildState::Running, ..ChildFacts::arbitrary(g) },
            })
            .collect();
        let starts = (0..up_to(g, 20)).map(|_| Start::arbitrary(g)).collect();
        let steps = (0..up_to(g, 40)).map(|_| (up_to(g, 10) as u64, Step::arbitrary(g))).collect();
        // A generous supervisor lives through long scripts, a strict one shows where it gives up.
        let max = up_to(g, 12) as u32;
        Script {
            strategy: Strategy::arbitrary(g),
            max,
            within_ms: up_to(g, 30) as u64,
            children,
            starts,
            steps,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let script = self.clone();
        Box::new((0..self.steps.len()).rev().map(move |i| {
            let mut shorter = script.clone();
            shorter.steps.remove(i);
            shorter
        }))
    }
}

impl Arbitrary for Start {
    fn arbitrary(g: &mut Gen) -> Self {
        if up_to(g, 2) == 0 { Start::Fails(ExitClass::arbitrary(g)) } else { Start::Succeeds }
    }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        match up_to(g, 39) {
            0 => Step::ShutDown,
            1..=3 => Step::Terminate(up_to(g, 5)),
            4..=17 => Step::TryAgain,
            _ => Step::Exit(up_to(g, 5), ExitClass::arbitrary(g)),
        }
    }
}

fn up_to(g: &mut Gen, most: usize) -> usize {
    usize::arbitrary(g) % (most + 1)
}
