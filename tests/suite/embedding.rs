//! The library is a guest: any number of runtimes, any flavour of tokio, no globals.

use greenroom::{AskError, Failure, Runtime, RuntimeConfig};

use crate::support::{Board, Note, Probe, Tally, act, end, letters, runtime};

#[tokio::test(start_paused = true)]
async fn two_runtimes_in_one_process_never_meet() {
    let (tally_a, tally_b) = (Tally::default(), Tally::default());
    let a = Runtime::builder().metrics(tally_a.clone()).start().await.unwrap();
    let b = Runtime::builder().metrics(tally_b.clone()).start().await.unwrap();
    let (board_a, board_b) = (Board::default(), Board::default());
    let probe_a = a.spawn::<Probe>("probe", board_a.clone()).await.unwrap();
    let probe_b = b.spawn::<Probe>("probe", board_b.clone()).await.unwrap();

    probe_a.ask(Note(1)).await.unwrap();
    probe_a.ask(Note(2)).await.unwrap();
    probe_b.ask(Note(3)).await.unwrap();
    let fails = act(|_, _| Box::pin(async { Err(Failure::exhausted("no budget")) }));
    probe_a.ask(fails).await.unwrap_err();

    assert_eq!((board_a.lines().len(), board_b.lines().len()), (2, 1));
    assert_eq!(letters(&a), [("Act", "exhausted")]);
    assert_eq!(letters(&b), []);
    assert_eq!(tally_a.of("greenroom_dead_letters_total exhausted"), 1);
    assert_eq!(tally_b.of("greenroom_dead_letters_total exhausted"), 0);
    assert_eq!(tally_a.of("greenroom_messages_handled_total Probe"), 2);
    assert_eq!(tally_b.of("greenroom_messages_handled_total Probe"), 1);
    assert_eq!(
        a.resolve(&probe_b.address()).unwrap(),
        probe_a,
        "an address means the runtime it is resolved in"
    );
    end(a).await;
    assert_eq!(probe_b.ask(Note(4)).await.unwrap(), 4, "the other goes on");
    end(b).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_of_one_runtime_may_ask_an_actor_of_another() {
    let (a, b) = (runtime().await, runtime().await);
    let probe_a = a.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let probe_b = b.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let asks = act(move |_, _| Box::pin(async move { Ok(probe_b.ask(Note(9)).await?) }));
    let answer = probe_a.ask(asks).await;

    assert_eq!(answer.unwrap(), 9, "two places of one path are no ring");
    end(a).await;
    end(b).await;
}

/// A small program: spawn, ask, crash, shut down.
async fn small_program() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.expect("a fresh name");
    assert_eq!(probe.ask(Note(1)).await.expect("it answers"), 1);
    let crash = probe.ask(act(|_, _| Box::pin(async { panic!("crash") }))).await;
    assert!(matches!(crash, Err(AskError::ActorFailed { .. })));
    probe.closed().await;
    end(runtime).await;
}

#[test]
fn it_runs_on_one_thread() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();

    tokio.block_on(small_program());

    assert_eq!(tokio.metrics().num_alive_tasks(), 0, "no task is left");
}

#[test]
fn it_runs_on_many_threads() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();

    tokio.block_on(small_program());

    // Ends of tasks are counted by the workers, a moment after the shutdown has returned.
    drop(tokio);
}

#[test]
fn a_runtime_may_be_used_from_outside_after_its_tokio_has_ended() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (runtime, probe) = tokio.block_on(async {
        let runtime = runtime().await;
        let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
        (runtime, probe)
    });

    drop(tokio);

    assert!(probe.observe().last_exit.is_some(), "it was dropped with its task, and this is on record");
    drop(runtime);
}

#[tokio::test(start_paused = true)]
async fn numbers_of_letters_and_events_beyond_all_bounds_are_brought_within_them() {
    for kept in [0, usize::MAX] {
        let config = RuntimeConfig { dead_letters_kept: kept, events_kept: kept, ..RuntimeConfig::default() };
        let runtime = Runtime::builder().config(config).start().await.unwrap();
        let _events = runtime.events();
        end(runtime).await;
    }
}
