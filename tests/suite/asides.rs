//! Messages that a durable actor laid aside: looked at, taken up again, deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenroom::{
    Actor, ActorSpec, AskError, Context, Durable, DurableMessage, Failure, Handler, MemoryStore, Message,
    MessageId, Runtime, Store, TakeUpError, TellError, inbox,
};
use serde::{Deserialize, Serialize};

use crate::support::{end, keep};

#[derive(Serialize, Deserialize, Default)]
struct Sum(u64);

#[derive(Serialize, Deserialize)]
struct Add(u64);

impl Message for Add {
    type Reply = u64;
    const NAME: Option<&'static str> = Some("add");
}
impl DurableMessage for Add {}

inbox!(durable SumInbox for Sum: Add);

impl Actor for Sum {
    /// Whether it falls over everything.
    type Args = Arc<AtomicBool>;
    type Inbox = SumInbox;
    async fn start(_: &Self::Args) -> Result<Self, Failure> {
        Ok(Sum::default())
    }
}

impl Durable for Sum {
    const NAME: &'static str = "sum";
}

impl Handler<Add> for Sum {
    async fn handle(&mut self, Add(n): Add, cx: &mut Context<'_, Self>) -> Result<u64, Failure> {
        assert!(!cx.args().load(Ordering::Relaxed), "as the test wants");
        self.0 += n;
        Ok(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_laid_aside_is_taken_up_when_its_cause_is_mended_or_forgotten() {
    let falls = Arc::new(AtomicBool::new(true));
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let spec = ActorSpec::<Sum>::new("sum", falls.clone()).durable().redeliveries(0);
    let kept = keep(&runtime, spec).await;
    for n in [1, 10] {
        let fallen = kept.actor.ask(Add(n)).await;
        assert!(matches!(fallen, Err(AskError::ActorFailed { .. })), "{fallen:?}");
    }
    falls.store(false, Ordering::Relaxed);
    assert_eq!(kept.actor.ask(Add(100)).await.unwrap(), 100, "it goes on without them");

    let aside = kept.actor.laid_aside().await.unwrap();
    let [one, ten] = &aside[..] else { panic!("{aside:?}") };
    assert!(one.cause.contains("as the test wants"), "{}", one.cause);
    let (one_of, two) = tokio::join!(kept.actor.take_up(ten.message.id), kept.actor.take_up(ten.message.id));
    let is_late = |taken: &Result<(), TakeUpError>| matches!(taken, Err(TakeUpError::Unknown { .. }));
    assert!(one_of.is_ok() && is_late(&two) || two.is_ok() && is_late(&one_of), "{one_of:?}, {two:?}");
    kept.actor.forget(one.message.id).await.unwrap();

    assert_eq!(kept.actor.ask(Add(1_000)).await.unwrap(), 1_110, "behind what waited, and once");
    assert_eq!(kept.actor.laid_aside().await.unwrap(), []);
    let unknown = kept.actor.take_up(MessageId(ten.message.id.0)).await;
    assert!(matches!(unknown, Err(TakeUpError::Unknown { .. })), "{unknown:?}");
    end(runtime).await;
}

/// As if the process were killed: an end that is not in order is one without a last word.
fn is_killed(store: &MemoryStore) {
    store.commit(&[greenroom::Batch::from_outside(Vec::new())]).expect("memory is written");
}

/// Nobody is left to count when a message ends the process, so each opening of the store counts beforehand.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_first_in_line_at_too_many_openings_is_laid_aside() {
    let store = MemoryStore::new();
    let spec = |falls| ActorSpec::<Sum>::new("sum", falls).durable().process_ends(2).redeliveries(u32::MAX);
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let sum = runtime.spawn_spec(spec(Arc::new(AtomicBool::new(true)))).await.unwrap();
    sum.tell(Add(1)).await.unwrap();
    end(runtime).await;
    is_killed(&store);

    for opening in 1..=3 {
        let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
        let sum = runtime.spawn_spec(spec(Arc::new(AtomicBool::new(opening < 3)))).await.unwrap();
        if opening == 3 {
            assert_eq!(sum.ask(Add(100)).await.unwrap(), 100, "the actor goes on without it");
            let cause = &sum.laid_aside().await.unwrap()[0].cause;
            assert!(cause.contains("the process ended 2 times while it was first in line"), "{cause}");
        }
        end(runtime).await;
        is_killed(&store);
    }
}

/// Goal: a message that waits over many deploys, such as one over which its actor is parked, is not what ends the process.
/// Method: the bound is one; the process ends in order, and the actor is stopped and started, again and again.
#[tokio::test(start_paused = true)]
async fn an_end_in_order_or_a_stop_of_the_actor_is_not_counted_against_its_message() {
    let store = MemoryStore::new();
    let falls = Arc::new(AtomicBool::new(true));
    let spec =
        || ActorSpec::<Sum>::new("sum", falls.clone()).durable().process_ends(1).redeliveries(u32::MAX);
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    let sum = runtime.spawn_spec(spec()).await.unwrap();
    sum.tell(Add(1)).await.unwrap();
    end(runtime).await;
    is_killed(&store); // once: this one is counted

    for _ in 0..3 {
        let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
        for _ in 0..3 {
            let sum = runtime.spawn_spec(spec()).await.unwrap();
            assert_eq!(sum.laid_aside().await.unwrap(), []);
            sum.stop(std::time::Duration::from_secs(1)).await;
        }
        end(runtime).await;
    }
    let runtime = Runtime::builder().store(store.clone()).start().await.unwrap();
    falls.store(false, Ordering::Relaxed);
    let sum = runtime.spawn_spec(spec()).await.unwrap();
    assert_eq!(sum.ask(Add(10)).await.unwrap(), 11, "it is handled in the end");
    end(runtime).await;
}

/// Goal: who sends it again must not wait for an answer that nobody is going to give.
#[tokio::test(start_paused = true)]
async fn who_repeats_a_message_that_was_laid_aside_is_told_so_at_once_with_its_cause() {
    let falls = Arc::new(AtomicBool::new(true));
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let spec = ActorSpec::<Sum>::new("sum", falls.clone()).durable().redeliveries(0);
    let kept = keep(&runtime, spec).await;
    kept.actor.ask(Add(1)).with_id("x").await.unwrap_err();
    falls.store(false, Ordering::Relaxed);
    kept.actor.ask(Add(100)).await.expect("the next life has laid it aside before");
    let begun = runtime.clock().now();

    let asked = kept.actor.ask(Add(1)).with_id("x").await.unwrap_err();
    let told = kept.actor.tell(Add(1)).with_id("x").await.unwrap_err();

    assert_eq!(runtime.clock().now(), begun, "at once");
    let id = kept.actor.laid_aside().await.unwrap()[0].message.id;
    for error in [asked, AskError::NotDelivered(told)] {
        let AskError::NotDelivered(TellError::LaidAside { id: aside, cause, message, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((aside, message.0), (id, 1));
        assert!(cause.contains("as the test wants"), "{cause}");
    }
    kept.actor.take_up(id).await.unwrap();
    assert_eq!(kept.actor.ask(Add(1)).with_id("x").await.unwrap(), 101, "taken up, it has an answer");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn all_that_was_laid_aside_of_one_actor_is_forgotten_at_once() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let falls = Arc::new(AtomicBool::new(true));
    let spec = ActorSpec::<Sum>::new("sum", falls.clone()).durable().redeliveries(0);
    let kept = keep(&runtime, spec).await;
    for n in [1, 10, 100] {
        kept.actor.ask(Add(n)).with_id(n.to_string()).await.unwrap_err();
    }
    falls.store(false, Ordering::Relaxed);
    kept.actor.ask(Add(1_000)).await.expect("the next life has laid them aside before");

    assert_eq!(kept.actor.forget_all().await.unwrap(), 3);

    assert_eq!(kept.actor.laid_aside().await.unwrap(), []);
    assert_eq!(kept.actor.forget_all().await.unwrap(), 0);
    let again = kept.actor.ask(Add(1)).with_id("1").await;
    assert_eq!(again.unwrap(), 1_001, "their ids are forgotten too");
    end(runtime).await;
}
