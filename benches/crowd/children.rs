//! Trees of ours: many children that do nothing but count, and crash when told.

use std::time::{Duration, Instant};

use greenroom::{
    Actor, ActorRef, ChildSpec, Context, DynamicSupervisor, Failure, Handler, Message, Runtime, Shutdown,
    SuperviseExt, Supervisor, SupervisorRef, inbox,
};

pub(crate) struct Worker(u64);

pub(crate) struct Hit;
pub(crate) struct Crash;

inbox!(pub(crate) WorkerInbox for Worker: Hit, Crash);

impl Message for Hit {
    type Reply = u64;
}
impl Message for Crash {
    type Reply = ();
}

impl Actor for Worker {
    type Args = ();
    type Inbox = WorkerInbox;

    async fn start((): &()) -> Result<Self, Failure> {
        Ok(Worker(0))
    }
}

impl Handler<Hit> for Worker {
    async fn handle(&mut self, _: Hit, _: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.0 += 1;
        Ok(self.0)
    }
}

impl Handler<Crash> for Worker {
    async fn handle(&mut self, _: Crash, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("as it was told")
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Named in the spec, started from left to right, stopped one after the other.
    Static,
    /// The same children, a thousand below each of many supervisors: what as many cost where nobody has many.
    Scattered,
    /// Started by request, stopped all at once.
    Dynamic,
}

impl Kind {
    /// The kind that it is compared with.
    pub(crate) fn of_few(self) -> Self {
        if self == Kind::Scattered { Kind::Static } else { self }
    }
}

const NEVER_TOO_OFTEN: (u32, Duration) = (u32::MAX, Duration::from_secs(1));

fn spec(count: usize) -> Supervisor {
    named("crowd", count)
}

fn named(name: &str, count: usize) -> Supervisor {
    let children = (0..count).map(|number| ChildSpec::actor::<Worker>(number.to_string(), ()));
    Supervisor::named(name).intensity(NEVER_TOO_OFTEN.0, NEVER_TOO_OFTEN.1).children(children)
}

/// How long it takes until `count` children have started, and have stopped again.
pub(crate) async fn start_and_stop(kind: Kind, count: usize) -> Duration {
    let runtime = Runtime::builder().start().await.expect("an empty runtime starts");
    let tree = match kind {
        Kind::Static => spec(count),
        Kind::Scattered => {
            let below = (0..count / 1_000)
                .map(|number| ChildSpec::supervisor(named(&format!("crowd-{number}"), 1_000)));
            Supervisor::named("crowds").children(below)
        }
        Kind::Dynamic => {
            let patience = Shutdown::Within(Duration::from_secs(60));
            DynamicSupervisor::<Worker>::named("crowd").max_children(count).shutdown(patience).into()
        }
    };
    let begun = Instant::now();
    let crowd = runtime.supervise(tree).await.expect("all start");
    if matches!(kind, Kind::Dynamic) {
        let crowd = crowd.dynamic::<Worker>();
        for _ in 0..count {
            crowd.start_unnamed(()).await.expect("it starts");
        }
    }
    let report = runtime.shutdown(Duration::from_secs(600)).await;
    let took = begun.elapsed();
    assert!(report.is_clean(), "{} were late", report.late.len());
    took
}

/// A running tree, to crash its children one by one.
pub(crate) struct Crowd {
    runtime: Runtime,
    children: Vec<ActorRef<Worker>>,
}

impl Crowd {
    pub(crate) async fn of(count: usize) -> Self {
        let runtime = Runtime::builder().start().await.expect("an empty runtime starts");
        let tree: SupervisorRef = runtime.supervise(spec(count)).await.expect("all start");
        let child = |number: usize| tree.actor(&number.to_string()).expect("it lives there");
        Crowd { runtime, children: (0..count).map(child).collect() }
    }

    /// From the crash of one child until it has answered its next message.
    pub(crate) async fn crash_one(&self, round: usize) -> Duration {
        // Strides over the crowd, so that neighbours do not warm one another's caches.
        let child = &self.children[round.wrapping_mul(7_919) % self.children.len()];
        // The list is the benchmark's own, and not what is measured: looked at before, without a look at the child.
        std::hint::black_box(*child == self.children[0]);
        let begun = Instant::now();
        child.try_tell(Crash).expect("room");
        let hits = child.ask(Hit).await.expect("it comes back");
        let took = begun.elapsed();
        assert_eq!(hits, 1, "it began anew");
        took
    }

    pub(crate) async fn end(self) {
        assert!(self.runtime.shutdown(Duration::from_secs(600)).await.is_clean());
    }
}
