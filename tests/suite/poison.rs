//! Poison messages: laid aside with their cause after k falls, while their actor lives on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use greenroom::{
    ActorSpec, AskError, ChildSpec, ExitReason, Overflow, QUARANTINE_MAX, Runtime, RuntimeEvent,
    SuperviseExt, Supervisor, SupervisorRef,
};

use crate::support::{Act, Board, Flaky, Gate, Note, Probe, act, end, hold, letters, runtime, secs};

/// A supervisor that bears `max` restarts, with a probe that quarantines after three falls.
async fn guarded(runtime: &Runtime, board: &Board, max: u32) -> SupervisorRef {
    let probe =
        ActorSpec::<Probe>::new("probe", board.clone()).quarantine_after(3).capacity(QUARANTINE_MAX + 8);
    let sup = Supervisor::named("sup").intensity(max, secs(3_600)).child(ChildSpec::of(probe));
    runtime.supervise(sup).await.expect("the probe starts")
}

#[tokio::test(start_paused = true)]
async fn a_message_that_failed_k_times_is_laid_aside_with_its_cause_and_the_actor_lives_on() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = guarded(&runtime, &board, 1).await.actor::<Probe>("probe").unwrap();
    let mut events = runtime.events();

    let (poison, next) = tokio::join!(probe.ask(Flaky::new(7, 99)), probe.ask(Note(1)));

    assert!(matches!(poison, Err(AskError::ActorFailed { .. })));
    assert_eq!(next.unwrap(), 1);
    assert_eq!(board.lines(), ["crash 7", "crash 7", "crash 7", "1"]);
    let held = probe.quarantined();
    assert_eq!((held.len(), held[0].message, held[0].tries), (1, "Flaky", 3));
    assert!(matches!(&held[0].cause, ExitReason::Panicked { text, .. } if text.contains("flaky 7")));
    assert!(letters(&runtime).is_empty(), "it is not lost");
    let told = std::iter::from_fn(|| events.try_recv().ok())
        .filter(|event| matches!(event, RuntimeEvent::Quarantined { message: "Flaky", .. }));
    assert_eq!(told.count(), 1);
    end(runtime).await;
}

/// With an intensity of 1, three falls over one message are borne: the first counts, the repeats do not.
#[tokio::test(start_paused = true)]
async fn repeats_do_not_count_for_the_intensity_but_each_new_poison_does() {
    let runtime = runtime().await;
    let tree = guarded(&runtime, &Board::default(), 1).await;
    let probe = tree.actor::<Probe>("probe").unwrap();

    probe.ask(Flaky::new(1, 99)).await.unwrap_err();
    assert_eq!(probe.ask(Note(1)).await.unwrap(), 1);
    probe.tell(Flaky::new(2, 99)).await.unwrap();

    let exit = tree.closed().await;
    assert!(matches!(exit, Some(ExitReason::IntensityExceeded { .. })), "{exit:?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_quarantine_each_repeat_counts_as_in_otp() {
    let runtime = runtime().await;
    let probe = ActorSpec::<Probe>::new("probe", Board::default());
    let sup = Supervisor::named("sup").intensity(1, secs(3_600)).child(ChildSpec::of(probe));
    let tree = runtime.supervise(sup).await.unwrap();

    tree.actor::<Probe>("probe").unwrap().tell(Flaky::new(1, 99)).await.unwrap();

    let exit = tree.closed().await;
    assert!(matches!(exit, Some(ExitReason::IntensityExceeded { .. })), "{exit:?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn its_tries_survive_the_escalation_of_its_supervisor() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = ActorSpec::<Probe>::new("probe", board.clone()).quarantine_after(3);
    let below = Supervisor::named("below").intensity(0, secs(3_600)).child(ChildSpec::of(probe));
    let top = Supervisor::named("top").intensity(9, secs(3_600)).child(ChildSpec::supervisor(below));
    let tree = runtime.supervise(top).await.unwrap();
    let probe = tree.actor::<Probe>("below/probe").unwrap();

    let poison = probe.ask(Flaky::new(7, 99)).await;

    assert!(matches!(poison, Err(AskError::ActorFailed { .. })), "{poison:?}");
    assert_eq!(board.lines(), ["crash 7"; 3]);
    assert_eq!(probe.quarantined().len(), 1);
    assert_eq!(
        tree.children().await.unwrap()[0].restarts,
        1,
        "the first fall escalated, the repeats did not"
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn injected_again_it_has_all_its_tries_and_discarded_it_is_a_dead_letter() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = guarded(&runtime, &board, 9).await.actor::<Probe>("probe").unwrap();
    probe.ask(Flaky::new(7, 4)).await.unwrap_err();
    probe.ask(Flaky::new(8, 99)).await.unwrap_err();
    let ids: Vec<_> = probe.quarantined().iter().map(|held| held.id).collect();

    assert!(probe.inject_again(ids[0]));
    assert!(probe.discard(ids[1]));
    probe.ask(Note(1)).await.unwrap();

    assert_eq!(board.lines()[6..], ["crash 7", "7", "1"]);
    assert!(probe.quarantined().is_empty());
    assert!(!probe.inject_again(ids[0]) && !probe.discard(ids[1]));
    assert_eq!(letters(&runtime), [("Flaky", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_and_what_has_to_go_becomes_a_dead_letter() {
    let runtime = runtime().await;
    let probe = guarded(&runtime, &Board::default(), 1_000).await.actor::<Probe>("probe").unwrap();

    for number in 0..=u32::try_from(QUARANTINE_MAX).unwrap() {
        probe.ask(Flaky::new(number, 99)).await.unwrap_err();
    }

    assert_eq!(probe.quarantined().len(), QUARANTINE_MAX);
    assert_eq!(letters(&runtime), [("Flaky", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_message_that_cannot_come_again_nothing_is_left_to_lay_aside() {
    let runtime = runtime().await;
    let probe = guarded(&runtime, &Board::default(), 9).await.actor::<Probe>("probe").unwrap();
    let fall: Act = act(|_, _| Box::pin(async { panic!("once") }));

    probe.ask(fall).await.unwrap_err();

    assert!(probe.quarantined().is_empty());
    assert_eq!(letters(&runtime), [("Act", "crashed")]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn when_the_place_is_deleted_what_was_laid_aside_goes_to_dead_letters() {
    let runtime = runtime().await;
    let tree = guarded(&runtime, &Board::default(), 9).await;
    let probe = tree.actor::<Probe>("probe").unwrap();
    probe.ask(Flaky::new(7, 99)).await.unwrap_err();

    tree.stop(secs(5)).await;
    tree.closed().await;

    assert_eq!(letters(&runtime), [("Flaky", "crashed")]);
    end(runtime).await;
}

/// The story: a message was injected into a full mailbox that sheds the newest, and was neither there nor in quarantine.
#[tokio::test(start_paused = true)]
async fn what_finds_no_room_when_it_is_injected_again_stays_in_quarantine() {
    for overflow in [Overflow::Wait, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
        let runtime = runtime().await;
        let gate = Gate::new();
        let spec = ActorSpec::<Probe>::new("probe", Board::default()).quarantine_after(1).capacity(1);
        let sup = Supervisor::named("sup").child(ChildSpec::of(spec.overflow(overflow)));
        let probe = runtime.supervise(sup).await.unwrap().actor::<Probe>("probe").unwrap();
        probe.ask(Flaky::new(7, 1)).await.unwrap_err();
        let id = probe.quarantined()[0].id;
        probe.tell(hold(&gate)).await.unwrap();
        gate.entered().await;
        probe.tell(Note(1)).await.unwrap();

        assert!(!probe.inject_again(id), "{overflow:?}");

        assert_eq!(probe.quarantined().len(), 1, "{overflow:?}");
        assert!(letters(&runtime).is_empty(), "{overflow:?}");
        gate.open();
        end(runtime).await;
    }
}

/// The story: whoever was told of a quarantine looked for the message and did not find it yet. Many rounds, since it
/// takes a thread that looks in just that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_of_a_quarantine_finds_the_message_there() {
    let runtime = runtime().await;
    let spec = ActorSpec::<Probe>::new("probe", Board::default()).quarantine_after(1);
    let sup = Supervisor::named("sup").intensity(1_000, secs(1)).child(ChildSpec::of(spec));
    let probe = runtime.supervise(sup).await.unwrap().actor::<Probe>("probe").unwrap();

    for number in 0..200 {
        probe.ask(Flaky::new(number, 99)).await.unwrap_err();
        let held = probe.quarantined();
        assert_eq!(held.len(), 1, "round {number}");
        assert!(probe.discard(held[0].id));
    }

    end(runtime).await;
}

/// Goal: whatever is accepted, injected, pushed out of a full quarantine and deleted at the same time has one end.
/// Method: three threads race; after the deletion everything must be a dead letter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn injections_that_race_with_a_full_quarantine_and_with_the_deletion_lose_nothing() {
    for (round, accepted_at_least) in [(0, 1), (1, 3), (2, 20), (3, 150)] {
        let runtime = runtime().await;
        let spec = ActorSpec::<Probe>::new("probe", Board::default()).quarantine_after(1).capacity(2);
        let child = ChildSpec::of(spec.overflow(Overflow::Reject));
        let sup = Supervisor::named("sup").intensity(1_000_000, secs(1)).child(child);
        let tree = runtime.supervise(sup).await.unwrap();
        let probe = tree.actor::<Probe>("probe").unwrap();
        let is_over = AtomicBool::new(false);

        let accepted: u64 = thread::scope(|scope| {
            let injects = || {
                while !is_over.load(Ordering::Relaxed) {
                    for held in probe.quarantined().into_iter().take(4) {
                        probe.inject_again(held.id);
                    }
                }
            };
            scope.spawn(injects);
            let tells = || {
                let mut accepted = 0;
                while !is_over.load(Ordering::Relaxed) {
                    accepted += u64::from(probe.try_tell(Flaky::new(0, 9_999)).is_ok());
                    if accepted == accepted_at_least {
                        probe.place().close();
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
                accepted
            };
            scope.spawn(tells).join().expect("it only tells")
        });

        assert_eq!(runtime.dead_letters().total(), accepted, "round {round}");
        assert!(probe.quarantined().is_empty(), "round {round}");
        runtime.shutdown(secs(5)).await;
    }
}
