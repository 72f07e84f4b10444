//! Sends past the transaction of a durable handler.

use greenroom::{
    ActorRef, ActorSpec, AskError, Failure, FailureClass, MemoryStore, Recipient, SnapshotPolicy, TellError,
};

use crate::steps::{Worker, job, start, worker};
use crate::support::{Board, Note, Probe, end, keep};

/// Sends in each way past its context, and says what became of it.
fn sender(probe: &ActorRef<Probe>) -> ActorSpec<Worker> {
    let probe = probe.clone();
    worker(move |_, _| {
        let probe = probe.clone();
        Box::pin(async move {
            let recipient = Recipient::<Note>::from(probe.clone());
            let told = [
                probe.tell(Note(1)).await,
                probe.try_tell(Note(2)),
                probe.post(Note(3)).map(drop),
                recipient.tell(Note(4), None).await,
                recipient.try_tell(Note(5)),
            ];
            let asked = [probe.ask(Note(6)).await, recipient.ask(Note(7), None).await];
            let told = told.map(|told| match told {
                Ok(()) => "sent".to_owned(),
                Err(error @ TellError::OutsideTransaction { .. }) => error.into_message().0.to_string(),
                Err(error) => error.to_string(),
            });
            let asked = asked.map(|asked| match asked {
                Ok(_) => "sent".to_owned(),
                Err(AskError::NotDelivered(error @ TellError::OutsideTransaction { .. })) => {
                    error.into_message().0.to_string()
                }
                Err(error) => error.to_string(),
            });
            Ok([&told[..], &asked[..]].concat().join(" "))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_durable_handler_that_sends_past_its_context_is_refused_with_the_message() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let kept = keep(&runtime, sender(&probe)).await;

    assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "1 2 3 4 5 6 7");

    probe.ask(Note(9)).await.unwrap();
    assert_eq!(board.lines(), ["9"]);
    end(runtime).await;
}

/// Goal: to send past the context is a fault of the program, and no outage that is tried again.
#[tokio::test(start_paused = true)]
async fn a_refused_send_is_a_bug_of_its_handler() {
    let runtime = start(&MemoryStore::new()).await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let spec = worker(move |_, _| {
        let probe = probe.clone();
        Box::pin(async move {
            let told: Failure = probe.tell(Note(1)).await.unwrap_err().into();
            let asked: Failure = probe.ask(Note(2)).await.unwrap_err().into();
            assert_eq!((told.class(), asked.class()), (FailureClass::Bug, FailureClass::Bug));
            Ok(String::new())
        })
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("a")).await.unwrap();
    end(runtime).await;
}

/// Goal: what a handler holds back leaves with a commit of its own store, which the inbox of an actor of another runtime is
/// not part of: it would lie there unseen, and be lost to its receiver.
#[tokio::test(start_paused = true)]
async fn a_send_to_a_durable_actor_of_another_runtime_is_refused_with_the_message() {
    let (runtime, other) = (start(&MemoryStore::new()).await, start(&MemoryStore::new()).await);
    let there = worker(|job, _| Box::pin(async move { Ok(job) })).named("there");
    let there = other.spawn_spec(there).await.unwrap();
    let spec = {
        let there = there.clone();
        crate::steps::plain(move |_, cx| {
            let there = there.clone();
            Box::pin(async move {
                let told = cx.tell(&there, job("b")).await;
                let Err(error @ TellError::OtherStore { .. }) = told else { panic!("{told:?}") };
                Ok(error.into_message().0)
            })
        })
    };
    let durable = keep(&runtime, spec.clone().durable()).await;
    let plain = runtime.spawn_spec(spec.named("plain")).await.unwrap();

    assert_eq!(durable.actor.ask(job("a")).await.unwrap(), "b");
    assert_eq!(plain.ask(job("a")).await.unwrap(), "b");

    assert_eq!(there.ask(job("c")).await.unwrap(), "c");
    end(runtime).await;
    end(other).await;
}

#[tokio::test(start_paused = true)]
async fn work_beside_a_durable_actor_sends_as_it_likes() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let spec = worker(move |what, cx| {
        let probe = probe.clone();
        Box::pin(async move {
            if what == "a" {
                cx.spawn(async move { probe.ask(Note(1)).await.map(drop) }, |_| job("came back"));
            }
            Ok(what)
        })
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(board.until(1).await, ["1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_whose_messages_are_no_transactions_sends_as_it_likes() {
    let board = Board::default();
    let runtime = start(&MemoryStore::new()).await;
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let plain = |name: &str| {
        let probe = probe.clone();
        let spec = crate::steps::plain(move |what, _| {
            let probe = probe.clone();
            Box::pin(async move {
                probe.tell(Note(1)).await.unwrap();
                probe.ask(Note(2)).await.unwrap();
                Ok(what)
            })
        });
        spec.named(name)
    };

    let ephemeral = runtime.spawn_spec(plain("ephemeral")).await.unwrap();
    let snapshotted = plain("snapshotted").snapshotted(SnapshotPolicy::EveryMessages(1));
    let snapshotted = runtime.spawn_spec(snapshotted).await.unwrap();
    ephemeral.ask(job("a")).await.unwrap();
    snapshotted.ask(job("a")).await.unwrap();

    assert_eq!(board.lines(), ["1", "2", "1", "2"]);
    end(runtime).await;
}
