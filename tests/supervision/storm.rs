//! A storm of crashes: whatever was sent is either handled or a dead letter, nothing is lost and nothing comes twice.
//!
//! The order is random; `SEED=42 cargo test --test supervision storm` repeats one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use greenroom::testing::{Chaos, seed};
use greenroom::{
    Actor, ChildSpec, Context, Failure, Handler, Message, Open, Runtime, RuntimeConfig, Strategy,
    SuperviseExt, Supervisor,
};

use crate::support::{OFTEN, secs};

const CHILDREN: usize = 20;
const CRASHES: usize = 200;
const MESSAGES: usize = 4_000;

type Handled = Arc<Mutex<BTreeMap<usize, Vec<usize>>>>;

struct Sailor {
    number: usize,
    handled: Handled,
}

impl Actor for Sailor {
    type Args = (usize, Handled);
    type Inbox = Open<Self>;

    async fn start((number, handled): &Self::Args) -> Result<Self, Failure> {
        Ok(Sailor { number: *number, handled: handled.clone() })
    }
}

struct Order(usize);
struct Wave;

impl Message for Order {
    type Reply = ();
}
impl Message for Wave {
    type Reply = ();
}

impl Handler<Order> for Sailor {
    async fn handle(&mut self, order: Order, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.handled.lock().expect("no holder panics").entry(self.number).or_default().push(order.0);
        Ok(())
    }
}

impl Handler<Wave> for Sailor {
    async fn handle(&mut self, _: Wave, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::bug("overboard"))
    }
}

async fn storm(strategy: Strategy) {
    let mut chaos = Chaos::seeded(seed());
    let mut below = |bound: usize| usize::try_from(chaos.below(bound as u64)).expect("below a usize");
    let config = RuntimeConfig { dead_letters_kept: 2 * (MESSAGES + CRASHES), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).start().await.expect("an empty runtime starts");
    let handled = Handled::default();
    let names: Vec<String> = (0..CHILDREN).map(|number| format!("s-{number}")).collect();
    let sailors = names.iter().enumerate();
    let spec = Supervisor::named("ship").strategy(strategy).intensity(OFTEN.0, OFTEN.1);
    let spec = spec.children(
        sailors.map(|(number, name)| ChildSpec::actor::<Sailor>(name.as_str(), (number, handled.clone()))),
    );
    let ship = runtime.supervise(spec).await.expect("the ship starts");
    let crew: Vec<_> = names.iter().map(|name| ship.actor::<Sailor>(name).expect("aboard")).collect();
    let mut deck: Vec<bool> = (0..MESSAGES + CRASHES).map(|at| at < CRASHES).collect();
    for at in (1..deck.len()).rev() {
        deck.swap(at, below(at + 1));
    }
    let mut sent: BTreeMap<usize, Vec<usize>> = BTreeMap::new();

    for (order, crash) in deck.into_iter().enumerate() {
        let to = below(CHILDREN);
        if crash {
            // One in four is a kill, which takes whatever is in hand along.
            if below(4) == 0 { crew[to].kill() } else { crew[to].tell(Wave).await.expect("room") }
        } else {
            crew[to].tell(Order(order)).await.expect("room");
            sent.entry(to).or_default().push(order);
        }
    }
    let last: BTreeSet<usize> = sent.keys().copied().collect();
    for to in &last {
        crew[*to].ask(Order(usize::MAX)).within(secs(30)).await.expect("it is back, with nothing before it");
    }

    let mut handled = std::mem::take(&mut *handled.lock().expect("no holder panics"));
    handled.values_mut().for_each(|orders| assert_eq!(orders.pop(), Some(usize::MAX)));
    let letters = runtime.dead_letters().newest();
    let lost = letters.iter().filter(|letter| letter.message.contains("Order")).count();
    let (all, done): (usize, usize) =
        (sent.values().map(Vec::len).sum(), handled.values().map(Vec::len).sum());
    assert_eq!(done + lost, all, "handled + dead letters = sent");
    for (to, orders) in handled {
        assert!(orders.is_sorted_by(|a, b| a < b), "s-{to} handled out of order or twice: {orders:?}");
        assert!(orders.iter().all(|order| sent[&to].contains(order)), "s-{to} handled what it was not sent");
    }
    assert!(runtime.shutdown(secs(30)).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_storm_on_one_thread_loses_nothing_that_waits() {
    storm(Strategy::OneForOne).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_group_restarts_on_one_thread_loses_nothing_that_waits() {
    storm(Strategy::RestForOne).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_on_many_threads_loses_nothing_that_waits() {
    storm(Strategy::OneForOne).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_group_restarts_on_many_threads_loses_nothing_that_waits() {
    storm(Strategy::OneForAll).await;
}
