//! Steps: calls to the world outside whose result is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Effect, Failure, Handler, MemoryStore, Message,
    Parked, ParkedFor, Resolution, Runtime, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, end, keep};

/// The world outside: who calls it is written down, and it fails as often as it is told to.
#[derive(Clone, Default)]
struct Outside {
    board: Board,
    busy: Arc<AtomicU32>,
    panics: Arc<AtomicU32>,
}

#[derive(Serialize, Deserialize, Default)]
struct Buyer {
    bought: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Buy {
    what: String,
    effect: Effect,
    panics_in: bool,
}

impl Message for Buy {
    type Reply = String;
    const NAME: Option<&'static str> = Some("buy");
}
impl DurableMessage for Buy {}

inbox!(durable BuyerInbox for Buyer: Buy);

impl Actor for Buyer {
    type Args = Outside;
    type Inbox = BuyerInbox;
    async fn start(_: &Outside) -> Result<Self, Failure> {
        Ok(Buyer::default())
    }
}

impl Durable for Buyer {
    const NAME: &'static str = "buyer";
}

impl Handler<Buy> for Buyer {
    async fn handle(&mut self, buy: Buy, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        let outside = cx.args();
        let step = cx.step("buy", buy.effect, &buy.what);
        let receipt = step
            .run(|| async {
                outside.board.write(format!("{} as {}", buy.what, step.key()));
                if take(&outside.busy) {
                    return Err(Failure::external("busy"));
                }
                assert!(!buy.panics_in || !take(&outside.panics), "in the middle of the call");
                Ok(format!("receipt for {}", buy.what))
            })
            .await?;
        self.bought.push(receipt.clone());
        assert!(buy.panics_in || !take(&outside.panics), "after the call");
        Ok(receipt)
    }
}

fn take(of: &AtomicU32) -> bool {
    of.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

fn buy(what: &str, effect: Effect) -> Buy {
    Buy { what: what.into(), effect, panics_in: false }
}

fn buyer(outside: &Outside) -> ActorSpec<Buyer> {
    ActorSpec::new("buyer", outside.clone()).durable()
}

#[tokio::test(start_paused = true)]
async fn a_finished_step_is_answered_from_the_journal_after_a_crash() {
    let outside = Outside { panics: Arc::new(AtomicU32::new(2)), ..Outside::default() };
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let kept = keep(&runtime, buyer(&outside)).await;

    let receipt = kept.actor.ask(buy("tea", Effect::Once)).await.unwrap();

    assert_eq!(receipt, "receipt for tea");
    assert_eq!(outside.board.lines().len(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_world_is_tried_again_with_the_same_key() {
    let outside = Outside { busy: Arc::new(AtomicU32::new(2)), ..Outside::default() };
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let kept = keep(&runtime, buyer(&outside)).await;

    kept.actor.ask(buy("tea", Effect::Idempotent)).await.unwrap();

    let lines = outside.board.lines();
    assert_eq!(lines, vec![lines[0].clone(); 3]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_effect_in_flight_at_a_crash_parks_its_actor_until_somebody_decides() {
    let outside = Outside { panics: Arc::new(AtomicU32::new(1)), ..Outside::default() };
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let kept = keep(&runtime, buyer(&outside)).await;
    let mut events = runtime.events();

    let bought = async { kept.actor.ask(Buy { panics_in: true, ..buy("tea", Effect::Once) }).await };
    let decided = async {
        let parked: Parked = loop {
            if let greenroom::RuntimeEvent::Parked { parked, .. } = events.recv().await.unwrap() {
                break parked;
            }
        };
        assert!(matches!(parked.why, ParkedFor::InDoubt { .. }), "{parked}");
        assert_eq!(kept.actor.parked(), Some(parked));
        assert!(kept.actor.decide(Resolution::done("receipt of then").unwrap()));
    };
    let (receipt, ()) = tokio::join!(bought, decided);

    assert_eq!(receipt.unwrap(), "receipt of then");
    assert_eq!(outside.board.lines().len(), 1);
    assert_eq!(kept.actor.parked(), None);
    end(runtime).await;
}
