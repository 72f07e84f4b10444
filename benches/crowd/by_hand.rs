//! The same on raw ractor: a supervisor written by hand, which brings its child back and tells the driver where it is.

use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

type Handled = Result<(), ActorProcessingErr>;
type Births = mpsc::UnboundedSender<ActorRef<Order>>;

enum Order {
    Hit(RpcReplyPort<u64>),
    Crash,
}

struct Worker;

impl Actor for Worker {
    type Msg = Order;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _me: ActorRef<Order>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _me: ActorRef<Order>, order: Order, hits: &mut u64) -> Handled {
        match order {
            Order::Hit(reply) => {
                *hits += 1;
                reply.send(*hits)?;
            }
            Order::Crash => panic!("as it was told"),
        }
        Ok(())
    }
}

struct Supervisor;

async fn launch(me: ActorCell, births: &Births) -> Handled {
    let (child, _) = Actor::spawn_linked(None, Worker, (), me).await?;
    births.send(child)?;
    Ok(())
}

impl Actor for Supervisor {
    type Msg = ();
    type State = Births;
    type Arguments = Births;

    async fn pre_start(&self, me: ActorRef<()>, births: Births) -> Result<Births, ActorProcessingErr> {
        launch(me.get_cell(), &births).await?;
        Ok(births)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        births: &mut Births,
    ) -> Handled {
        if let SupervisionEvent::ActorFailed(..) = event {
            launch(me.get_cell(), births).await?;
        }
        Ok(())
    }
}

pub(crate) struct Keeper {
    supervisor: ActorRef<()>,
    ended: JoinHandle<()>,
    born: mpsc::UnboundedReceiver<ActorRef<Order>>,
    child: ActorRef<Order>,
}

impl Keeper {
    pub(crate) async fn launch() -> Self {
        let (births, mut born) = mpsc::unbounded_channel();
        let spawned = Actor::spawn(None, Supervisor, births).await;
        let (supervisor, ended) = spawned.expect("it has no name to be taken");
        let child = born.recv().await.expect("the supervisor has launched it");
        Keeper { supervisor, ended, born, child }
    }

    pub(crate) async fn crash_one(&mut self) -> Duration {
        let begun = Instant::now();
        self.child.cast(Order::Crash).expect("the child lives");
        self.child = self.born.recv().await.expect("the supervisor brings it back");
        let call = self.child.call(Order::Hit, Some(Duration::from_secs(5)));
        let hits = call.await.expect("the child lives").expect("the child answers");
        let took = begun.elapsed();
        assert_eq!(hits, 1, "it began anew");
        took
    }

    pub(crate) async fn end(self) {
        self.supervisor.stop(None);
        self.ended.await.expect("the supervisor does not panic");
    }
}
