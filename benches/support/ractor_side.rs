//! The same workloads on raw ractor, as its users write them.
#![expect(clippy::disallowed_methods, reason = "a benchmark owns its tasks")]

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::{Notify, mpsc};

use super::workload::{DEADLINE, Hit, PRODUCERS, SENDS_IN_A_ROW, Tally, Workload, timed};

pub(crate) async fn run(workload: Workload, times: u64) -> Duration {
    match workload {
        Workload::Tell => tell(times, 1).await,
        Workload::FanIn => tell(times, PRODUCERS).await,
        Workload::Ask => ask(times).await,
        Workload::PingPong => ping_pong(times).await,
        Workload::Spawn => spawn(times).await,
        Workload::Restart => restart(times).await,
    }
}

type Handled = Result<(), ActorProcessingErr>;

// ---- tell ----

struct Counter;

impl Actor for Counter {
    type Msg = Hit;
    type State = Tally;
    type Arguments = Tally;

    async fn pre_start(&self, _me: ActorRef<Hit>, tally: Tally) -> Result<Tally, ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(&self, _me: ActorRef<Hit>, hit: Hit, tally: &mut Tally) -> Handled {
        tally.add(hit);
        Ok(())
    }
}

async fn tell(times: u64, producers: u64) -> Duration {
    let share = times.div_ceil(producers);
    let (tally, done) = Tally::of(share * producers);
    let (counter, ended) = Actor::spawn(None, Counter, tally).await.expect("it has no name to be taken");
    let took = timed(async {
        for _ in 0..producers {
            let counter = counter.clone();
            tokio::spawn(async move {
                for number in 0..share {
                    counter.cast(Hit::new(number)).expect("the counter lives");
                    if number % SENDS_IN_A_ROW == SENDS_IN_A_ROW - 1 {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        done.notified().await;
    })
    .await;
    counter.stop(None);
    ended.await.expect("the counter does not panic");
    took
}

// ---- ask, spawn, restart ----

enum Question {
    Hit(Hit, RpcReplyPort<u64>),
    Crash,
}

struct Answerer;

impl Actor for Answerer {
    type Msg = Question;
    type State = Tally;
    type Arguments = ();

    async fn pre_start(&self, _me: ActorRef<Question>, (): ()) -> Result<Tally, ActorProcessingErr> {
        Ok(Tally::endless())
    }

    async fn handle(&self, _me: ActorRef<Question>, question: Question, tally: &mut Tally) -> Handled {
        match question {
            Question::Hit(hit, reply) => reply.send(tally.add(hit))?,
            Question::Crash => panic!("as it was told"),
        }
        Ok(())
    }
}

/// Asks with a deadline, as ours do.
async fn answer(answerer: &ActorRef<Question>, number: u64) {
    let call = answerer.call(|port| Question::Hit(Hit::new(number), port), Some(DEADLINE));
    call.await.expect("the answerer lives").expect("the answerer answers");
}

async fn ask(times: u64) -> Duration {
    let (answerer, ended) = Actor::spawn(None, Answerer, ()).await.expect("it has no name to be taken");
    let took = timed(async {
        for number in 0..times {
            answer(&answerer, number).await;
        }
    })
    .await;
    answerer.stop(None);
    ended.await.expect("the answerer does not panic");
    took
}

/// Brings its one child back at once, and tells the driver where it is now: ractor's references do not outlive a life.
struct Keeper;

type Births = mpsc::UnboundedSender<ActorRef<Question>>;

impl Keeper {
    async fn launch(me: ActorCell, births: &Births) -> Handled {
        let (child, _) = Actor::spawn_linked(None, Answerer, (), me).await?;
        births.send(child)?;
        Ok(())
    }
}

impl Actor for Keeper {
    type Msg = ();
    type State = Births;
    type Arguments = Births;

    async fn pre_start(&self, me: ActorRef<()>, births: Births) -> Result<Births, ActorProcessingErr> {
        Self::launch(me.get_cell(), &births).await?;
        Ok(births)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        births: &mut Births,
    ) -> Handled {
        match event {
            SupervisionEvent::ActorFailed(..) => Self::launch(me.get_cell(), births).await,
            _ => Ok(()),
        }
    }
}

async fn spawn(times: u64) -> Duration {
    let (births, _born) = mpsc::unbounded_channel();
    let (keeper, ended) = Actor::spawn(None, Keeper, births).await.expect("it has no name to be taken");
    let took = timed(async {
        for _ in 0..times {
            let spawned = Actor::spawn_linked(None, Answerer, (), keeper.get_cell()).await;
            spawned.expect("it has no name to be taken");
        }
    })
    .await;
    keeper.stop(None); // its children with it
    ended.await.expect("the keeper does not panic");
    took
}

async fn restart(times: u64) -> Duration {
    let (births, mut born) = mpsc::unbounded_channel();
    let (keeper, ended) = Actor::spawn(None, Keeper, births).await.expect("it has no name to be taken");
    let mut child = born.recv().await.expect("the keeper has launched it");
    let took = timed(async {
        for number in 0..times {
            child.cast(Question::Crash).expect("the child lives");
            child = born.recv().await.expect("the keeper brings it back");
            answer(&child, number).await;
        }
    })
    .await;
    keeper.stop(None);
    ended.await.expect("the keeper does not panic");
    took
}

// ---- ping-pong ----

enum Ball {
    Hit(Hit),
    Meet(ActorRef<Ball>),
}

struct Player;

struct Game {
    partner: Option<ActorRef<Ball>>,
    left: u64,
    done: Arc<Notify>,
}

impl Actor for Player {
    type Msg = Ball;
    type State = Game;
    type Arguments = Game;

    async fn pre_start(&self, _me: ActorRef<Ball>, game: Game) -> Result<Game, ActorProcessingErr> {
        Ok(game)
    }

    async fn handle(&self, _me: ActorRef<Ball>, ball: Ball, game: &mut Game) -> Handled {
        match ball {
            Ball::Meet(partner) => game.partner = Some(partner),
            Ball::Hit(_) if game.left == 0 => game.done.notify_one(),
            Ball::Hit(hit) => {
                game.left -= 1;
                if let Some(partner) = &game.partner {
                    partner.cast(Ball::Hit(hit))?;
                }
            }
        }
        Ok(())
    }
}

async fn ping_pong(times: u64) -> Duration {
    let done = Arc::new(Notify::new());
    let game = || Game { partner: None, left: times / 2, done: done.clone() };
    let (left, left_ended) = Actor::spawn(None, Player, game()).await.expect("it has no name to be taken");
    let (right, right_ended) = Actor::spawn(None, Player, game()).await.expect("it has no name to be taken");
    left.cast(Ball::Meet(right.clone())).expect("the player lives");
    right.cast(Ball::Meet(left.clone())).expect("the player lives");
    let took = timed(async {
        left.cast(Ball::Hit(Hit::new(1))).expect("the player lives");
        done.notified().await;
    })
    .await;
    left.stop(None);
    right.stop(None);
    left_ended.await.expect("the player does not panic");
    right_ended.await.expect("the player does not panic");
    took
}
