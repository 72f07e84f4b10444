//! A pool of members that write down what they do, and whose starts can be slow, hang or fail, each for itself.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::{
    Actor, ActorRef, AskError, Context, Failure, FailureClass, Handler, Message, Open, Pool, PoolRef,
    RouteError, Shutdown, SuperviseExt,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::{Log, OFTEN, Stage, millis, secs};

/// What all members of a pool are started with.
#[derive(Clone)]
pub(crate) struct Crew {
    log: Log,
    starts: Arc<Mutex<BTreeMap<String, Opening>>>,
}

/// How the starts of one member go from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opening {
    Works,
    Takes(Duration),
    Hangs,
    Fails,
}

impl Crew {
    pub(crate) fn new(stage: &Stage) -> Self {
        Crew { log: stage.log.clone(), starts: Arc::default() }
    }

    /// From now on the starts of that member go so.
    pub(crate) fn opens(&self, member: &str, opening: Opening) {
        self.starts.lock().expect("no holder panics").insert(member.to_owned(), opening);
    }

    /// A pool called `pool` of `size` members that never gives up, and has little patience with them.
    pub(crate) fn pool(&self, size: usize) -> Pool<Member> {
        let pool = Pool::new("pool", size, self.clone()).intensity(OFTEN.0, OFTEN.1);
        pool.shutdown(Shutdown::Within(millis(10)))
    }
}

pub(crate) async fn supervise(stage: &Stage, pool: Pool<Member>) -> PoolRef<Member> {
    let supervisor = stage.runtime.supervise(pool).await.expect("all members start");
    let pool = supervisor.as_pool().await.expect("it is a pool of members");
    stage.log.take();
    pool
}

/// A stage, a crew, and a pool of it made as `make` says.
pub(crate) async fn pool(
    size: usize,
    make: impl FnOnce(Pool<Member>) -> Pool<Member>,
) -> (Stage, Crew, PoolRef<Member>) {
    let stage = Stage::new().await;
    let crew = Crew::new(&stage);
    let pool = supervise(&stage, make(crew.pool(size))).await;
    (stage, crew, pool)
}

/// The members as the pool chooses them, by number: what goes through these references may move.
pub(crate) fn routed<A: Actor>(pool: &PoolRef<A>) -> Vec<ActorRef<A>> {
    let chosen = |member: &ActorRef<A>| {
        let mut keys = (0..10_000_u32).map(|key| pool.by_key(key.to_le_bytes()));
        keys.find(|chosen| *chosen == member).expect("each member has keys").clone()
    };
    pool.members().iter().map(chosen).collect()
}

/// Gives the member something to do, until it is cut or the bell is rung.
pub(crate) async fn busy(stage: &Stage, member: &ActorRef<Member>) -> Arc<Notify> {
    let bell = Arc::new(Notify::new());
    member.tell(Busy(bell.clone())).await.expect("the mailbox has room");
    stage.log.until(&format!("busy at {}", member.path().name())).await;
    bell
}

/// Lets somebody ask the member. Ready when the message waits there; the answer comes through the handle.
pub(crate) async fn ask(member: &ActorRef<Member>, number: u32) -> JoinHandle<Result<String, AskError<Job>>> {
    let member = member.clone();
    beside(async move { member.ask(Job(number)).within(secs(60)).await }).await
}

/// Lets somebody ask the pool.
pub(crate) async fn ask_pool(
    pool: &PoolRef<Member>,
    number: u32,
) -> JoinHandle<Result<String, RouteError<Job>>> {
    let pool = pool.clone();
    beside(async move { pool.ask(Job(number)).within(secs(60)).await }).await
}

/// Begins that work beside the test. On one thread it has gone as far as it can when this is ready.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "somebody else than the test, who awaits it")]
    let somebody = tokio::spawn(work);
    tokio::task::yield_now().await;
    somebody
}

/// Takes the member down, and lets a millisecond pass. It comes back when its start is through.
pub(crate) async fn fell(stage: &Stage, member: &ActorRef<Member>) {
    member.kill();
    stage.quiet().await;
}

/// After so long what waits at a member that is down moves.
pub(crate) const AFTER: Duration = Duration::from_millis(100);

pub(crate) fn moving(pool: Pool<Member>) -> Pool<Member> {
    pool.reroute_after(Some(AFTER))
}

/// Lines of jobs: `number at member`.
pub(crate) fn jobs(stage: &Stage) -> Vec<String> {
    let mut lines = stage.log.take();
    lines.retain(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    lines
}

pub(crate) async fn sleep(stage: &Stage, time: Duration) {
    stage.runtime.clock().sleep(time).await;
}

/// What waits, by member.
pub(crate) fn waiting(pool: &PoolRef<Member>) -> Vec<usize> {
    pool.members().iter().map(|member| member.observe().waiting).collect()
}

pub(crate) struct Member {
    crew: Crew,
    name: String,
}

impl Member {
    fn write(&self, what: impl std::fmt::Display) {
        self.crew.log.write(format!("{what} at {}", self.name));
    }
}

impl Actor for Member {
    type Args = Crew;
    type Inbox = Open<Self>;

    async fn start(crew: &Crew) -> Result<Self, Failure> {
        Ok(Member { crew: crew.clone(), name: String::new() })
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.name = cx.path().name().to_owned();
        let opening = self.crew.starts.lock().expect("no holder panics").get(&self.name).copied();
        match opening.unwrap_or(Opening::Works) {
            Opening::Works => {}
            Opening::Takes(time) => cx.clock().sleep(time).await,
            Opening::Hangs => pending().await,
            Opening::Fails => return Err(Failure::bug("the start is broken")),
        }
        self.write("start");
        Ok(())
    }
}

/// Written down when handled; answered with the name of the member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job(pub(crate) u32);

/// Keeps the member busy until the bell is rung.
pub(crate) struct Busy(Arc<Notify>);

/// The handler fails so.
pub(crate) struct Fail(pub(crate) FailureClass);

/// The handler panics over it, again and again, unless the member is called so.
#[derive(Clone)]
pub(crate) struct FallUnlessAt(pub(crate) &'static str);

/// After so long the member tells itself a job.
pub(crate) struct Remind(pub(crate) Duration, pub(crate) u32);

type Work = Pin<Box<dyn Future<Output = Result<String, Failure>> + Send>>;

/// The handler does this.
pub(crate) struct Do(Box<dyn FnOnce() -> Work + Send>);

impl Do {
    pub(crate) fn new<F>(work: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<String, Failure>> + Send + 'static,
    {
        Do(Box::new(move || Box::pin(work())))
    }

    pub(crate) async fn run(self) -> Result<String, Failure> {
        (self.0)().await
    }
}

impl Message for Job {
    type Reply = String;
}
impl Message for Busy {
    type Reply = ();
}
impl Message for Fail {
    type Reply = String;
}
impl Message for FallUnlessAt {
    type Reply = u32;
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}
impl Message for Remind {
    type Reply = ();
}
impl Message for Do {
    type Reply = String;
}

impl Handler<Job> for Member {
    async fn handle(&mut self, job: Job, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.write(job.0);
        Ok(self.name.clone())
    }
}

impl Handler<Busy> for Member {
    async fn handle(&mut self, busy: Busy, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.write("busy");
        busy.0.notified().await;
        Ok(())
    }
}

impl Handler<Fail> for Member {
    async fn handle(&mut self, fail: Fail, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.write("fail");
        Err(Failure::of(fail.0, "as planned"))
    }
}

impl Handler<FallUnlessAt> for Member {
    async fn handle(&mut self, fall: FallUnlessAt, cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        self.write(format!("try {}", cx.tries()));
        assert_eq!(self.name, fall.0, "the planned fall");
        Ok(cx.tries())
    }
}

impl Handler<Remind> for Member {
    async fn handle(&mut self, remind: Remind, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.send_after(remind.0, Job(remind.1));
        Ok(())
    }
}

impl Handler<Do> for Member {
    async fn handle(&mut self, work: Do, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        self.write("work");
        work.run().await
    }
}
