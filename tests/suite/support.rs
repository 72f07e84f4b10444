//! Actors and small instruments shared by the suite.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::overseer::{ChildExit, Flow, Incarnation, Overseer, OverseerContext, OverseerRef, PlaceSpec};
use greenroom::{
    Actor, ActorPath, ActorRef, ActorSpec, Address, Context, ExitReason, Failure, Handler, Message, Open,
    Place, Runtime, RuntimeConfig,
};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tokio::sync::{Notify, Semaphore};

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) async fn runtime() -> Runtime {
    Runtime::builder().start().await.expect("an empty runtime starts")
}

/// A runtime that fences early, for tests that block a thread in real time.
pub(crate) async fn impatient_runtime() -> Runtime {
    let config = RuntimeConfig { kill_grace: millis(20), ..RuntimeConfig::default() };
    Runtime::builder().config(config).start().await.expect("an empty runtime starts")
}

pub(crate) async fn end(runtime: Runtime) {
    let report = runtime.shutdown(secs(5)).await;
    assert!(report.is_clean(), "late: {:?}", report.late);
}

/// Name of the message and label of the reason of each dead letter, in their order.
pub(crate) fn letters(runtime: &Runtime) -> Vec<(&'static str, &'static str)> {
    runtime.dead_letters().newest().iter().map(|letter| (letter.message, letter.reason.label())).collect()
}

pub(crate) fn path(text: &str) -> ActorPath {
    ActorPath::parse(text).expect("a literal path")
}

/// A promise that is broken fails its test instead of hanging it.
#[expect(clippy::disallowed_methods, reason = "a watchdog, not a wait: no test depends on its length")]
pub(crate) async fn soon<F: Future>(event: F) -> F::Output {
    tokio::time::timeout(secs(60), event).await.expect("the event that the test waits for")
}

/// What happened, in order, across incarnations.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<BoardInner>);

#[derive(Default)]
struct BoardInner {
    lines: Mutex<Vec<String>>,
    changed: Notify,
}

impl Board {
    pub(crate) fn write(&self, line: impl ToString) {
        self.0.lines.lock().expect("no writer panics").push(line.to_string());
        self.0.changed.notify_waiters();
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lines.lock().expect("no writer panics").clone()
    }

    /// Waits until `count` lines are there.
    pub(crate) async fn until(&self, count: usize) -> Vec<String> {
        loop {
            let changed = self.0.changed.notified();
            let lines = self.lines();
            if lines.len() >= count {
                return lines;
            }
            soon(changed).await;
        }
    }

    /// How many hold this board: each living incarnation and each cell holds one.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

/// A door inside a handler: the test waits until somebody stands in it, and opens it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<(Semaphore, Semaphore)>);

impl Default for Gate {
    fn default() -> Self {
        Gate(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate::default()
    }

    /// Tells the test that somebody is inside.
    pub(crate) fn enter(&self) {
        self.0.0.add_permits(1);
    }

    pub(crate) async fn pass(&self) {
        self.enter();
        // Closed is open for good.
        drop(self.0.1.acquire().await);
    }

    pub(crate) async fn entered(&self) {
        soon(self.0.0.acquire()).await.expect("never closed").forget();
    }

    pub(crate) fn open(&self) {
        self.0.1.close();
    }
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Writes what it is told on its board, and does what it is given.
pub(crate) struct Probe {
    pub(crate) board: Board,
}

impl Actor for Probe {
    type Args = Board;
    type Inbox = Open<Self>;

    async fn start(board: &Board) -> Result<Self, Failure> {
        Ok(Probe { board: board.clone() })
    }
}

/// Written down when handled; the reply is the number.
#[derive(Debug, PartialEq)]
pub(crate) struct Note(pub(crate) u32);

impl Message for Note {
    type Reply = u32;
}

impl Handler<Note> for Probe {
    async fn handle(&mut self, note: Note, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        self.board.write(note.0);
        Ok(note.0)
    }
}

pub(crate) type Deed = dyn for<'a, 'c> FnOnce(&'a mut Probe, &'a mut Context<'c, Probe>) -> BoxFuture<'a, Result<u32, Failure>>
    + Send;

/// A handler written at the place of the test.
pub(crate) struct Act(pub(crate) Box<Deed>);

impl Message for Act {
    type Reply = u32;
}

pub(crate) fn act<F>(deed: F) -> Act
where
    F: for<'a, 'c> FnOnce(&'a mut Probe, &'a mut Context<'c, Probe>) -> BoxFuture<'a, Result<u32, Failure>>
        + Send
        + 'static,
{
    Act(Box::new(deed))
}

/// Stands in `gate` until it is opened.
pub(crate) fn hold(gate: &Gate) -> Act {
    let gate = gate.clone();
    act(move |_, _| {
        Box::pin(async move {
            gate.pass().await;
            Ok(0)
        })
    })
}

impl Handler<Act> for Probe {
    async fn handle(&mut self, deed: Act, cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        (deed.0)(self, cx).await
    }
}

/// Panics the first `crashes` times, then answers how often it was tried. Comes again after a crash.
#[derive(Clone)]
pub(crate) struct Flaky {
    pub(crate) number: u32,
    crashes: Arc<AtomicU32>,
}

impl Flaky {
    pub(crate) fn new(number: u32, crashes: u32) -> Self {
        Flaky { number, crashes: Arc::new(AtomicU32::new(crashes)) }
    }
}

impl Message for Flaky {
    type Reply = u32;
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Handler<Flaky> for Probe {
    async fn handle(&mut self, flaky: Flaky, cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        let left = flaky.crashes.load(Ordering::Relaxed);
        if left > 0 {
            flaky.crashes.store(left - 1, Ordering::Relaxed);
            self.board.write(format!("crash {}", flaky.number));
            panic!("flaky {}", flaky.number);
        }
        self.board.write(flaky.number);
        Ok(cx.tries())
    }
}

/// When a [`Keeper`] launches a crashed child again.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Comeback {
    AtOnce,
    /// On [`Relaunch`].
    WhenTold,
}

/// The smallest supervisor: launches a child again, on its old cell, when it ended abnormally; deletes it otherwise.
pub(crate) struct Keeper {
    specs: Vec<PlaceSpec>,
    comeback: Comeback,
    places: BTreeMap<ActorPath, Place>,
    exits: Board,
}

/// Launches the vacant child again.
#[derive(Debug)]
pub(crate) struct Relaunch(pub(crate) ActorPath);

impl Keeper {
    async fn launch(&self, place: &Place, cx: &OverseerContext) -> Incarnation {
        place.launch(cx.link()).await.expect("the place is vacant and open")
    }
}

impl Overseer for Keeper {
    type Message = Relaunch;

    async fn begin(&mut self, cx: &OverseerContext) -> Flow {
        for spec in &self.specs {
            let place = spec.place(cx.runtime(), Some(cx.path())).expect("a fresh path");
            let incarnation = self.launch(&place, cx).await;
            if let Err(reason) = place.started(incarnation).await {
                return Flow::Leave(reason);
            }
            self.places.insert(place.path().clone(), place);
        }
        Flow::Stay
    }

    async fn on_message(&mut self, Relaunch(path): Relaunch, cx: &OverseerContext) -> Flow {
        if let Some(place) = self.places.get(&path) {
            self.launch(place, cx).await;
        }
        Flow::Stay
    }

    async fn on_child_exit(&mut self, exit: ChildExit, cx: &OverseerContext) -> Flow {
        self.exits.write(exit.reason.label());
        let Some(place) = self.places.get(exit.place.path()) else { return Flow::Stay };
        if exit.reason.is_abnormal() && self.comeback == Comeback::AtOnce && !place.state().is_occupied() {
            self.launch(place, cx).await;
        } else if !exit.reason.is_abnormal() {
            place.close();
        }
        Flow::Stay
    }

    async fn on_stop(&mut self, _cx: &OverseerContext) -> ExitReason {
        for place in self.places.values().rev() {
            place.bring_down(Some(secs(1))).await;
            place.close();
        }
        ExitReason::Shutdown
    }
}

/// A kept actor, its keeper, and the labels of the exits the keeper heard of.
pub(crate) struct Kept<A: Actor> {
    pub(crate) actor: ActorRef<A>,
    pub(crate) keeper: OverseerRef<Keeper>,
    pub(crate) exits: Board,
}

/// Puts an actor under a [`Keeper`], as `keeper/<name>`.
pub(crate) async fn keep<A: Actor>(runtime: &Runtime, spec: ActorSpec<A>) -> Kept<A> {
    keep_as(runtime, spec, Comeback::AtOnce).await
}

pub(crate) async fn keep_as<A: Actor>(runtime: &Runtime, spec: ActorSpec<A>, comeback: Comeback) -> Kept<A> {
    let exits = Board::default();
    let spec = PlaceSpec::from(spec);
    let address = Address::new(path(&format!("keeper/{}", spec.name())));
    let keeper = OverseerRef::spec("keeper", {
        let exits = exits.clone();
        move || Keeper { specs: vec![spec.clone()], comeback, places: BTreeMap::new(), exits: exits.clone() }
    });
    let keeper = runtime.plant(&keeper, Some(secs(5))).await.expect("the keeper starts");
    let keeper = OverseerRef::of(&keeper).expect("it is a keeper");
    Kept { actor: runtime.resolve(&address).expect("the keeper has placed it"), keeper, exits }
}

/// Adds up counters, and keeps gauges, by name and labels.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

struct One(Tally, String);

impl CounterFn for One {
    fn increment(&self, by: u64) {
        *self.0.0.lock().expect("no panic inside").entry(self.1.clone()).or_default() += by;
    }
    fn absolute(&self, _value: u64) {}
}

impl GaugeFn for One {
    fn increment(&self, _value: f64) {}
    fn decrement(&self, _value: f64) {}
    fn set(&self, value: f64) {
        self.0.0.lock().expect("no panic inside").insert(self.1.clone(), value as u64);
    }
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Tally {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<&str> = key.labels().map(|label| label.value()).collect();
        Arc::new(One(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.lock().expect("no panic inside").get(name).copied().unwrap_or(0)
    }
}
