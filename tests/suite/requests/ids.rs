//! Messages that name what they want done: done once, for as long as was promised.

use std::sync::{Arc, Mutex};

use greenroom::{
    AskError, Failure, MemoryStore, NoReply, ReplyPort, Runtime, RuntimeConfig, StoreError, TellError,
};

use super::{answerer, asker, done, pair};
use crate::steps::{Times, job, start, worker};
use crate::support::{Board, Gate, end, keep, secs};

#[tokio::test(start_paused = true)]
async fn a_message_that_is_sent_again_while_it_waits_is_handled_once_and_all_are_answered() {
    let (board, gate) = (Board::default(), Gate::new());
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, answerer(&board, &gate)).await;

    let ask = || kept.actor.ask(job("wait")).with_id("x").into_future();
    let others = async {
        gate.entered().await;
        kept.actor.tell(job("wait")).with_id("x").await.unwrap();
        kept.actor.tell(job("wait")).with_id("x").await.unwrap();
        gate.open();
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), others);

    assert_eq!((&*first.unwrap(), &*second.unwrap()), ("answer to wait", "answer to wait"));
    assert_eq!(board.lines(), ["wait"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_done_is_answered_from_the_record_also_in_the_next_process() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let runtime = start(&store).await;
    let kept = keep(&runtime, answerer(&board, &gate)).await;
    kept.actor.tell(job("a")).with_id("x").await.unwrap();
    assert_eq!(kept.actor.ask(job("a")).with_id("x").await.unwrap(), "answer to a");
    end(runtime).await;

    let runtime = start(&store).await;
    let kept = keep(&runtime, answerer(&board, &gate)).await;
    kept.actor.tell(job("a")).with_id("x").await.unwrap();
    assert_eq!(kept.actor.ask(job("a")).with_id("x").await.unwrap(), "answer to a");

    assert_eq!((board.lines(), done(&store, "keeper/worker").len()), (vec!["a".to_owned()], 2));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_belongs_to_one_actor() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let runtime = start(&store).await;
    let (a, b) = pair(&runtime, answerer(&board, &gate), answerer(&board, &gate)).await;

    a.ask(job("of a")).with_id("x").await.unwrap();
    b.ask(job("of b")).with_id("x").await.unwrap();

    assert_eq!(board.lines(), ["of a", "of b"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_too_long_is_refused_with_the_message() {
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, answerer(&Board::default(), &Gate::new())).await;
    let id = || "x".repeat(greenroom::REQUEST_LEN_MAX + 1);

    let told = kept.actor.tell(job("a")).with_id(id()).await.unwrap_err();
    let asked = kept.actor.ask(job("b")).with_id(id()).await.unwrap_err();

    assert!(matches!(told, TellError::Unstorable { cause: StoreError::TooLarge { .. }, .. }), "{told:?}");
    assert_eq!((told.into_message().0, asked.into_message().unwrap().0), ("a".into(), "b".into()));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_forgotten_with_its_id_and_all_who_asked_hear_the_refusal() {
    let (board, gate, refusals) = (Board::default(), Gate::new(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let (board, gate) = (board.clone(), gate.clone());
        move |job, _| {
            let (board, gate, refusals) = (board.clone(), gate.clone(), refusals.clone());
            Box::pin(async move {
                board.write(&job);
                gate.pass().await;
                if refusals.take() { Err(Failure::invalid("not yet")) } else { Ok("done".into()) }
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let ask = || kept.actor.ask(job("a")).with_id("x").into_future();
    let opened = async {
        gate.entered().await;
        kept.actor.tell(job("a")).with_id("x").await.unwrap();
        gate.open();
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), opened);

    for refused in [first, second] {
        assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(ask().await.unwrap(), "done");
    assert_eq!(board.lines(), ["a", "a"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_is_forgotten_when_its_time_is_over() {
    let (board, gate) = (Board::default(), Gate::new());
    let config = RuntimeConfig { answers_kept: secs(60), ..RuntimeConfig::default() };
    let runtime = Runtime::builder().config(config).store(MemoryStore::new()).start().await.unwrap();
    let kept = keep(&runtime, answerer(&board, &gate)).await;
    let ask = |what, id: &'static str| kept.actor.ask(job(what)).with_id(id).into_future();

    ask("a", "x").await.unwrap();
    runtime.clock().sleep(secs(59)).await;
    ask("a", "x").await.unwrap();
    assert_eq!(board.lines().len(), 1);
    runtime.clock().sleep(secs(2)).await;
    ask("b", "y").await.unwrap(); // with it goes what is over
    ask("a", "x").await.unwrap();

    assert_eq!(board.lines(), ["a", "b", "a"]);
    end(runtime).await;
}

/// Goal: who names what is to be done wants it done, whether or not somebody still waits for the answer.
#[tokio::test(start_paused = true)]
async fn a_message_with_an_id_is_done_although_its_asker_gave_up() {
    let (board, gate) = (Board::default(), Gate::new());
    let runtime = start(&MemoryStore::new()).await;
    let kept = keep(&runtime, answerer(&board, &gate)).await;
    kept.actor.tell(job("wait")).await.unwrap();
    gate.entered().await;

    let gave_up = kept.actor.ask(job("a")).with_id("x").within(secs(1)).await;
    assert!(matches!(gave_up, Err(AskError::DeadlinePassed { .. })), "{gave_up:?}");
    gate.open();

    assert_eq!(kept.actor.ask(job("a")).with_id("x").await.unwrap(), "answer to a");
    assert_eq!(board.lines(), ["wait", "a"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_later_is_not_in_the_record_and_the_message_is_done_once() {
    let (board, ports) = (Board::default(), Arc::new(Mutex::new(Vec::<ReplyPort<String>>::new())));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let (board, ports) = (board.clone(), ports.clone());
        move |job, cx| {
            let (board, ports) = (board.clone(), ports.clone());
            Box::pin(async move {
                board.write(job);
                cx.reply_later(|port| ports.lock().unwrap().push(port))
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    let first = async { kept.actor.ask(job("a")).with_id("x").await };
    let answered = async {
        board.until(1).await;
        let again = kept.actor.ask(job("a")).with_id("x").await;
        let port = ports.lock().unwrap().pop().unwrap();
        port.send("later".into()).unwrap();
        again
    };
    let (first, again) = tokio::join!(first, answered);

    assert_eq!(first.unwrap(), "later");
    assert!(matches!(again, Err(AskError::NoReply { .. })), "{again:?}; {}", NoReply::Dropped);
    assert_eq!(board.lines(), ["a"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_goes_with_the_question_of_the_handler_behind_it() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let runtime = start(&store).await;
    let (a, _) = pair(&runtime, asker(), answerer(&board, &gate)).await;

    for _ in 0..2 {
        assert_eq!(a.ask(job("y")).with_id("x").await.unwrap(), "answer to y");
    }

    assert_eq!(board.lines(), ["y"]);
    end(runtime).await;
}
