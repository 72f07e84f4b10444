//! The real tree: built from the model's spec, played by workers that do as they are told, and watched from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::{
    Actor, ActorRef, AdminError, Context, DynamicSupervisor, ExitReason, Failure, Handler, Message, Open,
    PlantedBug, Runtime, RuntimeConfig, RuntimeEvent, SuperviseExt, Supervisor, SupervisorRef,
};
use tokio::sync::broadcast;

use crate::model::{
    AdminAnswer, AutoShutdown, ChildSpec, ChildState, Event, Exit, Kind, Restart, Seen, Strategy,
    SupervisorSpec,
};

/// How the next starts go, by path: what the model calls the world.
#[derive(Default)]
struct Starts {
    fail: BTreeMap<String, u32>,
    decline: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct World {
    starts: Arc<Mutex<Starts>>,
    bug: Option<PlantedBug>,
}

impl World {
    fn fails(&self, path: &str) -> bool {
        let mut starts = self.starts.lock().expect("no holder panics");
        match starts.fail.get_mut(path) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn declines(&self, path: &str) -> bool {
        self.starts.lock().expect("no holder panics").decline.remove(path)
    }
}

struct Worker;

#[derive(Clone)]
struct Part {
    path: String,
    world: World,
}

impl Actor for Worker {
    type Args = Part;
    type Inbox = Open<Self>;

    async fn start(part: &Part) -> Result<Self, Failure> {
        if part.world.fails(&part.path) {
            return Err(Failure::bug("told to fail"));
        }
        if part.world.declines(&part.path) {
            return Err(Failure::declined("told to decline"));
        }
        Ok(Worker)
    }
}

struct Finish;
struct Crash;

impl Message for Finish {
    type Reply = ();
}
impl Message for Crash {
    type Reply = ();
}

impl Handler<Finish> for Worker {
    async fn handle(&mut self, _: Finish, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.stop();
        Ok(())
    }
}

impl Handler<Crash> for Worker {
    async fn handle(&mut self, _: Crash, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        // Not a panic: ten thousand histories would print a million of them.
        Err(Failure::bug("told to crash"))
    }
}

pub(super) struct Stage {
    runtime: Runtime,
    top: Option<SupervisorRef>,
    /// Every supervisor there may be.
    supervisors: Vec<String>,
    world: World,
    events: broadcast::Receiver<RuntimeEvent>,
    /// Who has started in the present life.
    alive: BTreeSet<String>,
    /// Who was told to end by itself.
    told: Option<String>,
}

impl Stage {
    pub(super) async fn start(spec: &SupervisorSpec, bug: Option<PlantedBug>) -> (Self, Vec<Seen>) {
        let config = RuntimeConfig { events_kept: 1 << 14, ..RuntimeConfig::default() };
        let runtime = Runtime::builder().config(config).start().await.expect("an empty runtime starts");
        let world = World { bug, ..World::default() };
        let events = runtime.events();
        let top = runtime.supervise(supervisor(spec, "top", "top", &world)).await.ok();
        let supervisors = super::supervisors(spec, "top").into_iter().map(|(path, _)| path).collect();
        let (alive, told) = (BTreeSet::new(), None);
        let mut stage = Stage { runtime, top, supervisors, world, events, alive, told };
        stage.quiet().await;
        let seen = stage.seen();
        (stage, seen)
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.runtime.clock().elapsed().as_millis()).expect("a short history")
    }

    /// Waits until `gap_ms` after the last event, whose quiet took one of them.
    pub(super) async fn wait(&self, gap_ms: u64) {
        if gap_ms > 1 {
            self.runtime.clock().sleep(Duration::from_millis(gap_ms - 1)).await;
        }
    }

    /// Waits until nothing moves any more: a paused clock goes on only when nobody else can.
    async fn quiet(&self) {
        self.runtime.clock().sleep(Duration::from_millis(1)).await;
    }

    pub(super) async fn end(self) {
        let report = self.runtime.shutdown(Duration::from_secs(5)).await;
        assert!(report.is_clean(), "late: {:?}", report.late);
    }

    /// A running supervisor.
    fn supervisor(&self, path: &str) -> Option<SupervisorRef> {
        let top = self.top.as_ref().filter(|_| self.alive.contains(path))?;
        match path.strip_prefix("top/") {
            Some(below) => top.below(below).ok(),
            None => Some(top.clone()),
        }
    }

    fn worker(&self, path: &str) -> Option<ActorRef<Worker>> {
        let top = self.top.as_ref().filter(|_| self.alive.contains(path))?;
        top.actor(path.strip_prefix("top/")?).ok()
    }

    pub(super) async fn apply(&mut self, event: &Event) -> Vec<Seen> {
        let answer = self.carry_out(event).await;
        self.quiet().await;
        let mut seen = self.seen();
        seen.extend(answer.map(Seen::Answer));
        seen
    }

    async fn carry_out(&mut self, event: &Event) -> Option<AdminAnswer> {
        match event {
            Event::Exit { path, how } => {
                self.exit(path, *how);
                None
            }
            Event::KillSupervisor { path } => {
                if let Some(supervisor) = self.supervisor(path) {
                    supervisor.place().kill();
                }
                None
            }
            Event::StopTop => {
                if let Some(top) = self.supervisor("top") {
                    top.stop(Duration::from_secs(60)).await;
                }
                None
            }
            Event::FailStarts { path, count } => {
                let mut starts = self.world.starts.lock().expect("no holder panics");
                starts.fail.insert(path.clone(), *count);
                None
            }
            Event::DeclineStart { path } => {
                self.world.starts.lock().expect("no holder panics").decline.insert(path.clone());
                None
            }
            Event::Start { supervisor, child } => {
                let at = self.supervisor(supervisor)?;
                Some(self.start_child(&at, child).await)
            }
            Event::Terminate { supervisor, name } => {
                let at = self.supervisor(supervisor)?;
                Some(answer(at.terminate_child(name).await, AdminAnswer::Ok))
            }
            Event::Restart { supervisor, name } => {
                let at = self.supervisor(supervisor)?;
                Some(started(at.restart_child(name).await))
            }
            Event::Delete { supervisor, name } => {
                let at = self.supervisor(supervisor)?;
                Some(answer(at.delete_child(name).await, AdminAnswer::Ok))
            }
        }
    }

    fn exit(&mut self, path: &str, how: Exit) {
        if let Some(supervisor) = self.supervisor(path) {
            // It traps exits and does not know the sender of this one: only a kill gets through.
            if how == Exit::Killed {
                supervisor.place().kill();
            }
            return;
        }
        let Some(worker) = self.worker(path) else { return };
        self.told = Some(path.to_owned());
        match how {
            Exit::Normal => worker.try_tell(Finish).expect("an empty mailbox"),
            Exit::Abnormal => worker.try_tell(Crash).expect("an empty mailbox"),
            Exit::Shutdown => worker.place().ask_to_stop(),
            Exit::Killed => worker.kill(),
        }
    }

    async fn start_child(&self, at: &SupervisorRef, child: &ChildSpec) -> AdminAnswer {
        let path = format!("{}/{}", at.path(), child.name);
        let part = Part { path, world: self.world.clone() };
        let dynamic = at.dynamic::<Worker>();
        match dynamic.start(&child.name, part.clone()).await {
            Err(AdminError::OtherKind) => {}
            Ok(_) => return AdminAnswer::Started,
            Err(error) => return refusal(&error),
        }
        started(at.start_child(worker(child, part)).await)
    }

    /// Every running supervisor with its children; those of a template by name.
    pub(super) async fn listing(&self) -> BTreeMap<String, Vec<(String, ChildState)>> {
        let mut listing = BTreeMap::new();
        for path in &self.supervisors {
            let Some(supervisor) = self.supervisor(path) else { continue };
            let Ok(children) = supervisor.children().await else { continue };
            let mut children: Vec<(String, ChildState)> =
                children.into_iter().map(|child| (child.name, state(child.state))).collect();
            if self.is_dynamic(&supervisor).await {
                children.sort_by(|a, b| a.0.cmp(&b.0));
            }
            listing.insert(path.clone(), children);
        }
        listing
    }

    async fn is_dynamic(&self, supervisor: &SupervisorRef) -> bool {
        matches!(supervisor.delete_child("nobody").await, Err(AdminError::OtherKind))
    }

    /// What was seen since the last look, in order.
    fn seen(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(RuntimeEvent::Started { path, .. }) => {
                    self.alive.insert(path.to_string());
                    seen.push(Seen::Started(path.to_string()));
                }
                Ok(RuntimeEvent::Ended { path, reason, .. }) => {
                    seen.push(self.ended(path.to_string(), &reason));
                }
                Ok(_) => {}
                Err(broadcast::error::TryRecvError::Lagged(missed)) => panic!("{missed} events missed"),
                Err(_) => return seen,
            }
        }
    }

    fn ended(&mut self, path: String, reason: &ExitReason) -> Seen {
        let had_started = self.alive.remove(&path);
        let by_itself = self.told.take_if(|told| *told == path).is_some();
        match reason {
            ExitReason::Declined { .. } => Seen::Declined(path),
            _ if !had_started => Seen::StartFailed(path),
            ExitReason::Shutdown if !by_itself => Seen::Stopped(path),
            _ => Seen::Ended(path),
        }
    }
}

// ---- from the model's words to ours ----

fn supervisor(spec: &SupervisorSpec, name: &str, path: &str, world: &World) -> Supervisor {
    let (name, spec, path, world) = (name.to_owned(), spec.clone(), path.to_owned(), world.clone());
    Supervisor::from_fn(name.clone(), move || {
        Ok(if world.declines(&path) { None } else { Some(made(&spec, &name, &path, &world)) })
    })
}

fn made(spec: &SupervisorSpec, name: &str, path: &str, world: &World) -> Supervisor {
    let (max, within) = (spec.intensity.max, Duration::from_millis(spec.intensity.within_ms));
    let made: Supervisor = match &spec.template {
        Some(template) => DynamicSupervisor::<Worker>::named(name)
            .intensity(max, within)
            .restart(restart(template.restart))
            .into(),
        None => Supervisor::named(name)
            .intensity(max, within)
            .strategy(strategy(spec.strategy))
            .auto_shutdown(mode(spec.auto_shutdown))
            .children(spec.children.iter().map(|child| {
                let path = format!("{path}/{}", child.name);
                match &child.kind {
                    Kind::Worker => worker(child, Part { path, world: world.clone() }),
                    Kind::Supervisor(below) => {
                        let below = supervisor(below, &child.name, &path, world);
                        flags(greenroom::ChildSpec::supervisor(below), child)
                    }
                }
            })),
    };
    match world.bug {
        Some(bug) => made.plant(bug),
        None => made,
    }
}

fn worker(child: &ChildSpec, part: Part) -> greenroom::ChildSpec {
    flags(greenroom::ChildSpec::actor::<Worker>(child.name.clone(), part), child)
}

fn flags(spec: greenroom::ChildSpec, child: &ChildSpec) -> greenroom::ChildSpec {
    let spec = spec.restart(restart(child.restart));
    if child.significant { spec.significant() } else { spec }
}

fn restart(restart: Restart) -> greenroom::Restart {
    match restart {
        Restart::Permanent => greenroom::Restart::Permanent,
        Restart::Transient => greenroom::Restart::Transient,
        Restart::Temporary => greenroom::Restart::Temporary,
    }
}

fn strategy(strategy: Strategy) -> greenroom::Strategy {
    match strategy {
        Strategy::OneForOne | Strategy::Template => greenroom::Strategy::OneForOne,
        Strategy::OneForAll => greenroom::Strategy::OneForAll,
        Strategy::RestForOne => greenroom::Strategy::RestForOne,
    }
}

fn mode(mode: AutoShutdown) -> greenroom::AutoShutdown {
    match mode {
        AutoShutdown::Never => greenroom::AutoShutdown::Never,
        AutoShutdown::AnySignificant => greenroom::AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant => greenroom::AutoShutdown::AllSignificant,
    }
}

fn state(state: greenroom::ChildState) -> ChildState {
    match state {
        greenroom::ChildState::Running => ChildState::Running,
        greenroom::ChildState::Restarting => ChildState::Restarting,
        greenroom::ChildState::Stopped => ChildState::Stopped,
    }
}

fn answer<T>(result: Result<T, AdminError>, ok: AdminAnswer) -> AdminAnswer {
    match result {
        Ok(_) => ok,
        Err(error) => refusal(&error),
    }
}

/// A start by request that went well, or was declined and kept.
fn started(result: Result<greenroom::ChildInfo, AdminError>) -> AdminAnswer {
    match result {
        Ok(info) if info.state == greenroom::ChildState::Running => AdminAnswer::Started,
        Ok(_) => AdminAnswer::Declined,
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &AdminError) -> AdminAnswer {
    match error {
        AdminError::NotFound { .. } => AdminAnswer::NotFound,
        AdminError::AlreadyStarted { .. } => AdminAnswer::AlreadyStarted,
        AdminError::AlreadyPresent { .. } => AdminAnswer::AlreadyPresent,
        AdminError::Running { .. } => AdminAnswer::Running,
        AdminError::Restarting { .. } => AdminAnswer::Restarting,
        AdminError::StartFailed { .. } => AdminAnswer::StartFailed,
        AdminError::Declined { .. } => AdminAnswer::Declined,
        AdminError::OtherKind => AdminAnswer::NotForTemplate,
        AdminError::Spec(_) => AdminAnswer::BadCombination,
        other => panic!("an answer that OTP does not know: {other}"),
    }
}
