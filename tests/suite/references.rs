//! An address never goes stale: references mean places, and a place that is gone says so.

use std::sync::Arc;

use greenroom::overseer::PlaceSpec;
use greenroom::{
    Actor, ActorPath, ActorRef, ActorSpec, Address, AskError, Context, Failure, Handler, Open, PathError,
    Recipient, ResolveError, SpawnError, TellError,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Board, Note, Probe, act, end, keep, path, runtime, secs, soon};

/// Another type that takes notes.
struct Echo;

impl Actor for Echo {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Echo)
    }
}

impl Handler<Note> for Echo {
    async fn handle(&mut self, note: Note, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        Ok(note.0 * 2)
    }
}

#[tokio::test(start_paused = true)]
async fn a_reference_works_across_restarts() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    kept.actor.ask(act(|_, _| Box::pin(async { panic!("restart") }))).await.unwrap_err();

    let answer = kept.actor.ask(Note(3)).await;

    assert_eq!(answer.unwrap(), 3);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_a_deleted_place_answers_gone_with_the_message_even_when_the_path_is_taken_again() {
    let runtime = runtime().await;
    let old = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    old.stop(secs(1)).await;
    let new = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let told = old.tell(Note(1)).await;
    let tried = old.try_tell(Note(2));
    let asked = old.ask(Note(3)).await;

    assert!(matches!(told, Err(TellError::Gone { message: Note(1), .. })));
    assert!(matches!(tried, Err(TellError::Gone { message: Note(2), .. })));
    assert_eq!(asked.unwrap_err().into_message(), Some(Note(3)));
    assert_eq!(new.ask(Note(4)).await.unwrap(), 4);
    assert_ne!(old, new);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_free_as_soon_as_its_actor_has_stopped() {
    // The root hears of the end later than the one who stopped it: the newcomer must not inherit the old place.
    let runtime = runtime().await;
    for round in 0..200 {
        let board = Board::default();
        let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();

        assert_eq!(probe.ask(Note(round)).await.unwrap(), round);

        assert_eq!(board.lines(), [round.to_string()], "it got its own arguments");
        assert_eq!(probe.observe().restarts, 0);
        probe.stop(secs(5)).await;
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_a_place_twice_does_not_harm_its_successor() {
    let runtime = runtime().await;
    let first = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let old_keeper = first.keeper.place();
    old_keeper.close();
    let second = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;

    old_keeper.close();

    assert_eq!(second.actor.ask(Note(1)).await.unwrap(), 1);
    assert!(matches!(first.actor.tell(Note(1)).await, Err(TellError::Gone { .. })));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_survives_serde_and_leads_back() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let bytes = rmp_serde::to_vec(&probe.address()).unwrap();
    let address: Address<Probe> = rmp_serde::from_slice(&bytes).unwrap();
    let resolved = runtime.resolve(&address).unwrap();

    assert_eq!(resolved, probe);
    assert_eq!(rmp_serde::from_slice::<ActorPath>(&bytes).unwrap(), path("probe"));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_leads_nowhere_or_to_another_type_says_so() {
    let runtime = runtime().await;
    runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let nobody = runtime.resolve(&Address::<Probe>::new(path("nobody"))).unwrap_err();
    let other = runtime.resolve(&Address::<Echo>::new(path("probe"))).unwrap_err();

    assert_eq!(nobody, ResolveError::Nobody { path: path("nobody") });
    assert_eq!(
        other,
        ResolveError::OtherType { path: path("probe"), lives_there: "Probe", expected: "Echo" }
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_refused_and_the_one_there_is_not_harmed() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    let same = runtime.spawn::<Probe>("probe", Board::default()).await;
    let other = runtime.spawn::<Echo>("probe", ()).await;

    assert!(matches!(same, Err(SpawnError::Taken { path }) if path.as_str() == "probe"));
    assert!(matches!(other, Err(SpawnError::WrongType { lives_there: "Probe", .. })), "{other:?}");
    assert_eq!(probe.ask(Note(1)).await.unwrap(), 1);
    end(runtime).await;
}

/// Goal: of callers that spawn under one name at the same time, one gets its own actor, and the others are refused.
/// Method: the place of the first is there and not launched yet, as it is between the two steps of a spawn.
#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_is_about_to_use_is_taken() {
    let runtime = runtime().await;
    let (first, second) = (Board::default(), Board::default());
    let about_to = PlaceSpec::from(ActorSpec::<Probe>::new("probe", first.clone()));
    let place = about_to.place(&runtime, None).unwrap();

    let spawned = runtime.spawn::<Probe>("probe", second.clone()).await;

    assert!(matches!(spawned, Err(SpawnError::Taken { path }) if path.as_str() == "probe"));
    place.close();
    runtime.spawn::<Probe>("probe", second.clone()).await.unwrap().ask(Note(1)).await.unwrap();
    assert_eq!((first.lines().len(), second.lines().len()), (0, 1));
    end(runtime).await;
}

/// As above, on many threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_spawn_under_one_name_one_gets_its_own_actor() {
    let runtime = runtime().await;
    for round in 0..300 {
        let start = Arc::new(Barrier::new(3));
        let mut callers = JoinSet::new();
        for _ in 0..3 {
            let (runtime, start, board) = (runtime.clone(), start.clone(), Board::default());
            callers.spawn(async move {
                start.wait().await;
                let spawned = runtime.spawn::<Probe>(&format!("probe-{round}"), board.clone()).await;
                match spawned {
                    Ok(probe) => {
                        probe.ask(Note(1)).await.unwrap();
                        assert_eq!(board.lines(), ["1"], "round {round}: it writes on its own board");
                        1
                    }
                    Err(SpawnError::Taken { .. }) => 0,
                    Err(other) => panic!("{other:?}"),
                }
            });
        }
        let spawned: Vec<u32> = soon(callers.join_all()).await;
        assert_eq!(spawned.iter().sum::<u32>(), 1, "round {round}");
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_no_segment_is_refused() {
    let runtime = runtime().await;

    // The third is a path, to somewhere below a place that is somebody else's.
    for name in ["No Segment", "", "sup/probe", "probe/"] {
        let spawned = runtime.spawn::<Probe>(name, Board::default()).await;

        match spawned {
            Err(SpawnError::Path(PathError::BadSegment { segment })) => assert_eq!(segment, name),
            Err(SpawnError::Path(PathError::Empty)) => assert_eq!(name, ""),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(runtime.places().is_empty(), "nothing is left behind");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_recipient_reaches_whoever_takes_the_message() {
    let runtime = runtime().await;
    let probe: ActorRef<Probe> = runtime.spawn("probe", Board::default()).await.unwrap();
    let echo: ActorRef<Echo> = runtime.spawn("echo", ()).await.unwrap();
    let recipients: [Recipient<Note>; 2] = [probe.into(), echo.clone().into()];

    let mut answers = Vec::new();
    for recipient in &recipients {
        recipient.tell(Note(1), None).await.unwrap();
        recipient.try_tell(Note(1)).unwrap();
        answers.push(recipient.ask(Note(21), Some(secs(1))).await.unwrap());
    }
    echo.place().close();
    let gone = recipients[1].ask(Note(5), None).await;

    assert_eq!(answers, [21, 42]);
    assert!(matches!(gone, Err(AskError::NotDelivered(TellError::Gone { message: Note(5), .. }))));
    end(runtime).await;
}

/// The story: of two that were spawned at once under one name, the second got a reference to the first.
#[tokio::test(start_paused = true)]
async fn of_two_spawned_at_once_under_one_name_one_is_refused() {
    let runtime = runtime().await;

    let (first, second) = tokio::join!(
        runtime.spawn::<Probe>("probe", Board::default()),
        runtime.spawn::<Probe>("probe", Board::default()),
    );

    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(&refused[..], [SpawnError::Taken { path }] if path.as_str() == "probe"), "{refused:?}");
    end(runtime).await;
}
