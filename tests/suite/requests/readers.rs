//! Answers whose reading is the author's code.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use greenroom::{
    Actor, ActorSpec, AskError, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message,
    inbox,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::steps::start;
use crate::support::{end, soon};

/// What the answer of the test does when it is read.
static READING: Mutex<Option<Reading>> = Mutex::new(None);

enum Reading {
    Panics,
    /// Says that it has begun, and blocks its thread until it is told to go on.
    Blocks(Sender<()>, Receiver<()>),
}

/// An answer that is read with difficulty.
#[derive(Serialize, Debug)]
struct Hard(u64);

impl<'de> Deserialize<'de> for Hard {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(from)?;
        let reading = READING.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match reading {
            Some(Reading::Panics) => panic!("the reading of an answer falls over"),
            Some(Reading::Blocks(begun, go_on)) => {
                begun.send(()).map_err(D::Error::custom)?;
                go_on.recv().map_err(D::Error::custom)?;
            }
            None => {}
        }
        Ok(Hard(number))
    }
}

#[derive(Serialize, Deserialize, Default)]
struct Adder(u64);

#[derive(Serialize, Deserialize)]
struct Add(u64);

impl Message for Add {
    type Reply = Hard;
    const NAME: Option<&'static str> = Some("add");
}
impl DurableMessage for Add {}

inbox!(durable AdderInbox for Adder: Add);

impl Actor for Adder {
    type Args = ();
    type Inbox = AdderInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Adder::default())
    }
}
impl Durable for Adder {
    const NAME: &'static str = "adder";
}
impl Handler<Add> for Adder {
    async fn handle(&mut self, Add(n): Add, _: &mut Context<'_, Self>) -> Result<Hard, Failure> {
        self.0 += n;
        Ok(Hard(self.0))
    }
}

/// Goal: the answer to a repeat is read from its stored form by code of the author. It must not take the writer of the store
/// with it, nor keep the commits of others waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_is_hard_to_read_harms_nobody_but_who_asked_for_it() {
    let runtime = start(&MemoryStore::new()).await;
    let adder = runtime.spawn_spec(ActorSpec::<Adder>::new("adder", ()).durable()).await.unwrap();
    let other = runtime.spawn_spec(ActorSpec::<Adder>::new("other", ()).durable()).await.unwrap();
    assert_eq!(adder.ask(Add(1)).with_id("x").await.unwrap().0, 1);

    *READING.lock().unwrap() = Some(Reading::Panics);
    let fallen = soon(adder.ask(Add(1)).with_id("x")).await;
    assert!(matches!(fallen, Err(AskError::NoReply { .. })), "{fallen:?}");
    assert_eq!(soon(other.ask(Add(5))).await.unwrap().0, 5, "the store goes on");

    let (begins, has_begun) = channel();
    let (goes_on, may_go_on) = channel();
    *READING.lock().unwrap() = Some(Reading::Blocks(begins, may_go_on));
    let adder = Arc::new(adder);
    let slow = {
        let adder = adder.clone();
        async move { adder.ask(Add(1)).with_id("x").await }
    };
    let others = async {
        let begun = tokio::task::spawn_blocking(move || has_begun.recv());
        soon(begun).await.unwrap().unwrap();
        assert_eq!(soon(other.ask(Add(5))).await.unwrap().0, 10, "nobody waits for the reader");
        goes_on.send(()).unwrap();
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.unwrap().0, 1);
    end(runtime).await;
}
