//! The role: a pool of three replicas that take their time to start, the fallback, and the ways to send to them.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use greenroom::Clock;
use greenroom::prelude::*;

use crate::judge::Handled;

pub(crate) const REPLICAS: usize = 3;

/// What a replica loads before it can answer takes this long.
const LOADING: Duration = Duration::from_millis(120);

/// What waits at a replica that is down moves after this time. A start takes 120 ms, so to wait for it would cost far
/// more than the 50 ms that are allowed. A restart that had nothing to load would be through in less than a
/// millisecond, and a busy machine may hold one up for some: 20 ms is beyond both.
const REROUTE_AFTER: Duration = Duration::from_millis(20);

/// An answer takes so many steps of work. A kill cuts the one in hand: five kills a second of three replicas cut about
/// twice this time, in seconds, of all asks. That is 0.01 %, a few times as much on a busy machine, of the 0.1 % that are
/// allowed.
const STEPS: u32 = 3;
const STEP: Duration = Duration::from_micros(15);

/// How long an asker waits at most. Whoever needs that long has heard nothing at all: it counts as lost.
pub(crate) const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What everybody of the role is started with.
#[derive(Clone)]
pub(crate) struct Ward {
    pub(crate) clock: Clock,
    pub(crate) handled: Arc<Handled>,
}

/// The question, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question(pub(crate) u64);

impl Message for Question {
    type Reply = u64; // its number again
}

/// One of three.
pub(crate) struct Replica(Ward);

impl Actor for Replica {
    type Args = Ward;
    type Inbox = Open<Self>;

    async fn start(ward: &Ward) -> Result<Self, Failure> {
        ward.clock.sleep(LOADING).await;
        Ok(Replica(ward.clone()))
    }
}

impl Handler<Question> for Replica {
    async fn handle(&mut self, question: Question, _: &mut Context<'_, Self>) -> Result<u64, Failure> {
        // A kill is heard between two steps, so it can cut the work in the middle.
        let clock = self.0.clock;
        for _ in 0..STEPS {
            let done = clock.after(STEP);
            while clock.now() < done {
                std::hint::spin_loop();
            }
            tokio::task::yield_now().await;
        }
        self.0.handled.add(question.0);
        Ok(question.0)
    }
}

/// Who answers when no replica can: from a shelf of answers that were given before, so it needs nothing to start.
pub(crate) struct Shelf(Ward);

impl Actor for Shelf {
    type Args = Ward;
    type Inbox = Open<Self>;

    async fn start(ward: &Ward) -> Result<Self, Failure> {
        Ok(Shelf(ward.clone()))
    }
}

impl Handler<Question> for Shelf {
    async fn handle(&mut self, question: Question, _: &mut Context<'_, Self>) -> Result<u64, Failure> {
        self.0.handled.add(question.0);
        Ok(question.0)
    }
}

/// Whether the pool routes around replicas that are down, or is only there to be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rerouting {
    On,
    Off,
}

pub(crate) async fn open(
    runtime: &Runtime,
    ward: Ward,
    rerouting: Rerouting,
) -> Result<(PoolRef<Replica>, Way), Box<dyn Error>> {
    let replicas = Pool::<Replica>::new("replicas", REPLICAS, ward.clone())
        .routing(Routing::LeastLoaded)
        .reroute_after((rerouting == Rerouting::On).then_some(REROUTE_AFTER))
        // Five kills a second are planned here; they are no reason to give up.
        .intensity(1_000, Duration::from_secs(10));
    let pool = runtime.supervise(replicas).await?.as_pool::<Replica>().await?;
    let shelf = runtime.spawn::<Shelf>("shelf", ward).await?;
    let way = match rerouting {
        Rerouting::On => Way::Routed(Route::to(pool.clone()).or(shelf)),
        Rerouting::Off => Way::InTurns { members: pool.members().into(), turn: Arc::default() },
    };
    Ok((pool, way))
}

/// How a question finds its way.
#[derive(Clone)]
pub(crate) enum Way {
    /// The pool, and its fallback.
    Routed(Route<Question>),
    /// One replica after the other, whatever its state.
    InTurns { members: Arc<[ActorRef<Replica>]>, turn: Arc<AtomicUsize> },
}

/// How an ask ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    AnsweredByFallback,
    /// A typed error: its name.
    Error(&'static str),
    /// Nobody said anything.
    Silence,
}

impl Way {
    pub(crate) async fn ask(&self, question: Question) -> End {
        let asked = match self {
            Way::Routed(route) => {
                route.ask(question, ASK_LIMIT).await.map(|routed| (routed.reply, routed.step))
            }
            Way::InTurns { members, turn } => {
                let member = &members[turn.fetch_add(1, Ordering::Relaxed) % members.len()];
                let answer = member.ask(question).within(ASK_LIMIT).await;
                answer.map(|answer| (answer, 0)).map_err(RouteError::Asked)
            }
        };
        match asked {
            Ok((answer, 0)) if answer == question.0 => End::Answered,
            Ok((answer, _)) if answer == question.0 => End::AnsweredByFallback,
            Ok(_) => End::Error("wrong answer"),
            Err(RouteError::Asked(AskError::DeadlinePassed { .. })) => End::Silence,
            Err(RouteError::Asked(AskError::Stopped { .. })) => End::Error("stopped"),
            Err(RouteError::Asked(AskError::ActorFailed { .. })) => End::Error("actor failed"),
            Err(RouteError::Asked(AskError::NotDelivered(_))) => End::Error("not delivered"),
            Err(RouteError::NobodyAvailable { .. }) => End::Error("nobody available"),
            Err(_) => End::Error("other"),
        }
    }
}
