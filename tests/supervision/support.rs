//! Children that write down their lives, and a stage to put them on.

use std::collections::VecDeque;
use std::error::Error;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::{
    Actor, ActorPath, ActorRef, ChildSpec, Clock, Context, ExitReason, Failure, Handler, Message, Open,
    Runtime, RuntimeConfig, RuntimeEvent, SuperviseExt, Supervisor, SupervisorRef,
};
use tokio::sync::{Notify, broadcast};

/// Bears every restart of a test.
pub(crate) const OFTEN: (u32, Duration) = (1_000_000, Duration::from_secs(3_600));

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A supervisor called `sup` that never gives up.
pub(crate) fn sup(children: impl IntoIterator<Item = ChildSpec>) -> Supervisor {
    Supervisor::named("sup").intensity(OFTEN.0, OFTEN.1).children(children)
}

/// A runtime, and what its children write.
pub(crate) struct Stage {
    pub(crate) runtime: Runtime,
    pub(crate) log: Log,
    events: broadcast::Receiver<RuntimeEvent>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(RuntimeConfig::default()).await
    }

    /// Fences early, for tests that block a thread in real time.
    pub(crate) async fn impatient() -> Self {
        Self::with(RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() }).await
    }

    async fn with(config: RuntimeConfig) -> Self {
        let runtime = Runtime::builder().config(config).start().await.expect("an empty runtime starts");
        let events = runtime.events();
        Stage { log: Log::new(runtime.clock()), runtime, events }
    }

    pub(crate) fn part(&self, name: &'static str) -> Part {
        Part { name, log: self.log.clone(), starts: Arc::default(), stop: Stop::AtOnce }
    }

    pub(crate) fn parts<const N: usize>(&self, names: [&'static str; N]) -> [Part; N] {
        names.map(|name| self.part(name))
    }

    pub(crate) async fn supervise(&self, supervisor: Supervisor) -> SupervisorRef {
        self.runtime.supervise(supervisor).await.expect("all children start")
    }

    /// Waits until nothing moves any more: a paused clock goes on only when nobody else can.
    pub(crate) async fn quiet(&self) {
        self.runtime.clock().sleep(millis(1)).await;
    }

    /// Path and label of each exit since the last look, in their order.
    pub(crate) fn exits(&mut self) -> Vec<String> {
        let mut exits = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let RuntimeEvent::Ended { path, reason, .. } = event {
                exits.push(format!("{path} {}", reason.label()));
            }
        }
        exits
    }

    /// Path of the receiver and label of the reason of each dead letter, in their order.
    pub(crate) fn letters(&self) -> Vec<String> {
        let letters = self.runtime.dead_letters().newest();
        letters.iter().map(|letter| format!("{} {}", letter.to, letter.reason.label())).collect()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.runtime.places().iter().map(|place| place.path().to_string()).collect()
    }

    /// Ends although some handlers never come to their end.
    pub(crate) async fn end_with_some_busy(self) {
        let report = self.runtime.shutdown(secs(5)).await;
        assert!(!report.is_clean(), "nobody was busy");
    }

    pub(crate) async fn end(self) {
        let report = self.runtime.shutdown(secs(5)).await;
        assert!(report.is_clean(), "late: {:?}", report.late);
    }
}

pub(crate) fn path(text: &str) -> ActorPath {
    ActorPath::parse(text).expect("a literal path")
}

pub(crate) fn child(supervisor: &SupervisorRef, name: &str) -> ActorRef<Child> {
    supervisor.actor(name).expect("a child of that name lives there")
}

/// An error with its causes, each as it shows itself.
pub(crate) fn chain(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    chain
}

/// What happened, in order, across all children and their lives.
#[derive(Clone)]
pub(crate) struct Log(Arc<LogInner>);

struct LogInner {
    lines: Mutex<Vec<String>>,
    changed: Notify,
    clock: Clock,
}

impl Log {
    fn new(clock: Clock) -> Self {
        Log(Arc::new(LogInner { lines: Mutex::default(), changed: Notify::new(), clock }))
    }

    pub(crate) fn write(&self, line: String) {
        self.0.lines.lock().expect("no writer panics").push(line);
        self.0.changed.notify_waiters();
    }

    pub(crate) fn clock(&self) -> Clock {
        self.0.clock
    }

    /// The lines since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lines.lock().expect("no writer panics"))
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.lines.lock().expect("no writer panics").iter().filter(|one| *one == line).count()
    }

    /// Waits until `line` is there, written after the last look.
    pub(crate) async fn until(&self, line: &str) {
        self.until_times(line, 1).await;
    }

    pub(crate) async fn until_times(&self, line: &str, times: usize) {
        let written = async {
            loop {
                let changed = self.0.changed.notified();
                if self.count(line) >= times {
                    return;
                }
                changed.await;
            }
        };
        let written = self.0.clock.within(secs(600), written).await;
        assert!(written.is_some(), "`{line}` was not written {times} times: {:?}", self.take());
    }
}

/// How one start goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    #[default]
    Works,
    Fails,
    FailsAfter(Duration),
    FailsOutside,
    FailsOutsideAfter(Duration),
    Panics,
    Hangs,
    /// There is nothing to do for it: OTP's `ignore`.
    Declines,
}

/// How the stopping hook goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    AtOnce,
    Takes(Duration),
    Never,
    Panics,
}

/// The arguments of a child: what it does in its lives.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    log: Log,
    starts: Arc<Mutex<Starts>>,
    stop: Stop,
}

#[derive(Default)]
struct Starts {
    next: VecDeque<Start>,
    then: Start,
}

impl Part {
    /// How the next starts go; those after them go as before.
    pub(crate) fn next_starts(&self, next: impl IntoIterator<Item = Start>) {
        self.starts.lock().expect("no holder panics").next.extend(next);
    }

    /// How all starts go from now on.
    pub(crate) fn always(&self, then: Start) {
        self.starts.lock().expect("no holder panics").then = then;
    }

    pub(crate) fn stopping(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    pub(crate) fn spec(&self) -> ChildSpec {
        ChildSpec::actor::<Child>(self.name, self.clone())
    }

    fn write(&self, what: &str) {
        self.log.write(format!("{what} {}", self.name));
    }
}

/// What a start fails with: a cause on a cause.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the start is broken")
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&std::fmt::Error)
    }
}

pub(crate) struct Child {
    part: Part,
}

impl Actor for Child {
    type Args = Part;
    type Inbox = Open<Self>;

    async fn start(part: &Part) -> Result<Self, Failure> {
        let how = {
            let mut starts = part.starts.lock().expect("no holder panics");
            starts.next.pop_front().unwrap_or(starts.then)
        };
        match how {
            Start::Works => {
                part.write("start");
                return Ok(Child { part: part.clone() });
            }
            Start::Hangs => {
                part.write("hang");
                return pending().await;
            }
            Start::Declines => {
                part.write("decline");
                return Err(Failure::declined("it is not configured"));
            }
            Start::FailsAfter(wait) | Start::FailsOutsideAfter(wait) => part.log.clock().sleep(wait).await,
            Start::Fails | Start::FailsOutside | Start::Panics => {}
        }
        part.write("fail");
        match how {
            Start::Panics => panic!("the start of {} panics", part.name),
            Start::FailsOutside | Start::FailsOutsideAfter(_) => {
                Err(Failure::external("the provider is down"))
            }
            _ => Err(Failure::bug(Broken)),
        }
    }

    async fn stopping(&mut self, _reason: &ExitReason) {
        self.part.write("stop");
        match self.part.stop {
            Stop::AtOnce => {}
            Stop::Takes(wait) => self.part.log.clock().sleep(wait).await,
            Stop::Never => pending().await,
            Stop::Panics => panic!("the stopping hook of {} panics", self.part.name),
        }
    }
}

/// Written down when handled.
pub(crate) struct Note(pub(crate) u32);

/// The handler panics.
pub(crate) struct Crash;

/// The child ends normally after this message.
pub(crate) struct Finish;

/// The handler never comes back, but can be cut.
pub(crate) struct Wait;

/// The handler blocks its thread until the other side is dropped.
pub(crate) struct Block(pub(crate) std::sync::mpsc::Receiver<()>);

impl Message for Note {
    type Reply = u32;
}
impl Message for Crash {
    type Reply = ();
}
impl Message for Finish {
    type Reply = ();
}
impl Message for Wait {
    type Reply = ();
}
impl Message for Block {
    type Reply = ();
}

impl Handler<Note> for Child {
    async fn handle(&mut self, note: Note, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        self.part.write(&note.0.to_string());
        Ok(note.0)
    }
}

impl Handler<Crash> for Child {
    async fn handle(&mut self, _: Crash, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.part.write("crash");
        panic!("{} panics", self.part.name)
    }
}

impl Handler<Finish> for Child {
    async fn handle(&mut self, _: Finish, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.stop();
        Ok(())
    }
}

impl Handler<Wait> for Child {
    async fn handle(&mut self, _: Wait, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.part.write("wait");
        pending().await
    }
}

impl Handler<Block> for Child {
    async fn handle(&mut self, block: Block, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.part.write("block");
        block.0.recv().expect_err("nothing is ever sent: the release is the end of the sender");
        self.part.write("unblock");
        Ok(())
    }
}
