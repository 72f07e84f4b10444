//! Time, chance and new names: the same when the message is handled again.

use std::collections::BTreeSet;

use greenroom::{
    Actor, ActorSpec, Context, Durable, DurableMessage, Effect, Failure, Handler, MemoryStore, Message,
    Runtime, Store, StoreId, inbox,
};
use serde::{Deserialize, Serialize};

use super::{Times, call, job, process, start, worker};
use crate::support::{Board, end, keep};

#[test]
fn time_chance_and_names_are_the_same_in_the_next_process_behind_a_step() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let lives = [false, true].map(|finishes| {
        let board = board.clone();
        let spec = worker(move |_, cx| {
            let board = board.clone();
            Box::pin(async move {
                let seen = format!("{} {} {}", cx.time_ms(), cx.random(), cx.new_id());
                board.write(&seen);
                call(cx, &Board::default(), "pay", Effect::Once).await?;
                board.write("behind");
                if finishes { Ok(seen) } else { std::future::pending().await }
            })
        });
        (spec, finishes)
    });
    for (spec, finishes) in lives {
        process(async {
            let runtime = start(&store).await;
            runtime.clock().sleep(crate::support::secs(10)).await;
            let kept = keep(&runtime, spec).await;
            if !finishes {
                kept.actor.tell(job("a")).await.unwrap();
            }
            board.until(if finishes { 4 } else { 2 }).await;
            if finishes {
                end(runtime).await;
            }
        });
    }

    let lines = board.lines();
    assert_eq!(lines[0], lines[2]);
}

/// Goal: what was noted goes along with the next commit that is kept, also when one between was refused.
/// Method: a name that is too long for the store is refused between the look at the clock and a step.
#[tokio::test(start_paused = true)]
async fn the_time_is_kept_although_a_commit_between_was_refused() {
    let (board, busy) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let (board, busy) = (board.clone(), busy.clone());
            Box::pin(async move {
                board.write(cx.time_ms());
                let long = cx.step(&"x".repeat(2 << 20), Effect::Pure, "");
                long.run(|| async { Ok(()) }).await.unwrap_err();
                call(cx, &Board::default(), "pay", Effect::Pure).await?;
                if busy.take() { Err(Failure::external("busy")) } else { Ok(String::new()) }
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("a")).await.unwrap();

    let lines = board.lines();
    assert_eq!((lines.len(), &lines[0]), (2, &lines[1]));
    end(runtime).await;
}

/// Makes a step when it begins, and one for each message.
#[derive(Serialize, Deserialize, Default)]
struct Opener;

#[derive(Serialize, Deserialize)]
struct Again;

impl Message for Again {
    type Reply = ();
    const NAME: Option<&'static str> = Some("again");
}
impl DurableMessage for Again {}

inbox!(durable OpenerInbox for Opener: Again);

impl Actor for Opener {
    type Args = Board;
    type Inbox = OpenerInbox;
    async fn start(_: &Board) -> Result<Self, Failure> {
        Ok(Opener)
    }
    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        write(cx).await
    }
}

impl Durable for Opener {
    const NAME: &'static str = "opener";
}

impl Handler<Again> for Opener {
    async fn handle(&mut self, _: Again, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        write(cx).await
    }
}

/// Two names, both new.
async fn write(cx: &Context<'_, Opener>) -> Result<(), Failure> {
    let board = cx.args();
    let step = cx.step("open", Effect::Idempotent, "");
    step.run(|| async {
        board.write(step.key());
        Ok(())
    })
    .await?;
    board.write(cx.new_id());
    Ok(())
}

/// The names of two runtimes, one after the other, each of two lives and one message in each.
async fn names(spec: ActorSpec<Opener>, store: &MemoryStore) {
    for _ in 0..2 {
        let runtime = start(store).await;
        let kept = keep(&runtime, spec.clone()).await;
        kept.actor.ask(Again).await.expect("it lives");
        kept.actor.kill();
        kept.exits.until(1).await;
        kept.actor.ask(Again).await.expect("it lives again");
        end(runtime).await;
    }
}

/// Goal: what begins a life is no message that comes again, and nobody would delete its journal: it is made at each life.
#[tokio::test(start_paused = true)]
async fn a_step_of_the_hook_of_a_life_is_made_in_each_life_under_a_key_of_its_own() {
    let board = Board::default();

    names(ActorSpec::new("opener", board.clone()).durable(), &MemoryStore::new()).await;

    let lines = board.lines();
    assert_eq!((lines.len(), lines.iter().collect::<BTreeSet<_>>().len()), (16, 16));
}

/// Goal: an outside service knows a step by its key, and must not take that of a store that was wiped, or of a second one,
/// for a repetition. Method: the same program handles its first message on two stores.
#[tokio::test(start_paused = true)]
async fn a_key_of_one_store_is_no_key_of_another() {
    let board = Board::default();
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let board = board.clone();
            Box::pin(async move {
                call(cx, &board, "pay", Effect::Idempotent).await?;
                board.write(cx.new_id());
                board.write(format!("drawn {}", cx.random()));
                Ok(String::new())
            })
        }
    });
    let wiped = [StoreId(1), StoreId(2), StoreId(1)].map(MemoryStore::with_id);
    for store in [&wiped[0], &wiped[1], &wiped[2]] {
        let runtime = start(store).await;
        let kept = keep(&runtime, spec.clone()).await;
        kept.actor.ask(job("a")).await.unwrap();
        end(runtime).await;
    }

    let lines = board.lines();
    let (one, two, same) = (&lines[..3], &lines[3..6], &lines[6..]);
    assert!(one[0] != two[0] && one[1] != two[1], "{lines:?}");
    assert_eq!(one, same, "the id alone makes the difference");
    assert_eq!(one[2], two[2], "chance is that of the message, or no test could repeat it");
    assert_ne!(MemoryStore::new().head().unwrap().id, MemoryStore::new().head().unwrap().id);
}

/// Goal: an actor without a journal counts its messages anew in each runtime; its keys must not pass for those of before,
/// or the other side takes a new call for a repetition.
#[tokio::test(start_paused = true)]
async fn a_key_of_an_actor_that_is_not_durable_comes_in_no_later_runtime_again() {
    let board = Board::default();

    let mut before = 0;
    for _ in 0..2 {
        // Two runtimes in a row, but not of one instant.
        let runtime = loop {
            let runtime = Runtime::builder().start().await.unwrap();
            if std::mem::replace(&mut before, runtime.clock().wall_ms()) < runtime.clock().wall_ms() {
                break runtime;
            }
            end(runtime).await;
        };
        let opener = runtime.spawn::<Opener>("opener", board.clone()).await.unwrap();
        opener.ask(Again).await.unwrap();
        end(runtime).await;
    }

    let lines = board.lines();
    assert_eq!((lines.len(), lines.iter().collect::<BTreeSet<_>>().len()), (8, 8));
}
