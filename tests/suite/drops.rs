//! An author's value that panics when it is dropped costs nobody but itself, wherever the runtime drops it.

use std::any::Any;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::{
    Actor, ActorRef, ActorSpec, AdminError, ChildSpec, Context, DynamicSupervisor, ExitPhase, ExitReason,
    Failure, Handler, LifeState, Message, Open, ReplyPort, Restart, SuperviseExt, Supervisor,
};

use crate::support::{Board, Gate, Note, Probe, act, end, hold, keep, letters, path, runtime, soon};

/// Panics when it is dropped, unless somebody has taken the fuse out.
struct Bomb {
    is_live: bool,
}

const LIVE: Bomb = Bomb { is_live: true };

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.is_live || std::thread::panicking(), "the bomb of the test goes off");
    }
}

/// Is started with a bomb.
struct Mined;

impl Actor for Mined {
    type Args = Bomb;
    type Inbox = Open<Self>;

    async fn start(_: &Bomb) -> Result<Self, Failure> {
        Ok(Mined)
    }
}

/// The last handle on a place is often the root's, and with it go the arguments of the actor.
#[tokio::test(start_paused = true)]
async fn args_that_panic_when_dropped_leave_the_root_alone() {
    let runtime = runtime().await;
    let mined = runtime.spawn::<Mined>("mined", LIVE).await.unwrap();
    let place = mined.place();
    drop(mined);

    place.kill();
    drop(place);
    runtime.clock().sleep(Duration::from_millis(1)).await;

    assert!(runtime.places().is_empty());
    let neighbour = soon(runtime.spawn::<Probe>("probe", Board::default())).await.unwrap();
    assert_eq!(neighbour.ask(Note(1)).await.unwrap(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn args_that_panic_when_dropped_leave_the_supervisor_alone() {
    let runtime = runtime().await;
    let probe = ChildSpec::actor::<Probe>("probe", Board::default());
    let supervisor = runtime.supervise(Supervisor::named("sup").child(probe)).await.unwrap();
    let probe = supervisor.actor::<Probe>("probe").unwrap();
    let mined = || ChildSpec::actor::<Mined>("mined", LIVE);

    supervisor.start_child(mined().restart(Restart::Temporary)).await.unwrap();
    let place = runtime.place(&path("sup/mined")).unwrap();
    place.kill();
    place.closed().await;
    drop(place);
    supervisor.start_child(mined()).await.unwrap();
    supervisor.terminate_child("mined").await.unwrap();
    supervisor.delete_child("mined").await.unwrap();

    assert_eq!(probe.ask(Note(1)).await.unwrap(), 1);
    assert_eq!(probe.observe().restarts, 0);
    end(runtime).await;
}

/// What a template is given is the author's as well, also when nothing is made of it.
#[tokio::test(start_paused = true)]
async fn refused_args_that_panic_when_dropped_leave_the_supervisor_alone() {
    let runtime = runtime().await;
    let dynamic = DynamicSupervisor::<Mined>::named("many").max_children(1);
    let many = runtime.supervise(dynamic).await.unwrap().dynamic::<Mined>();
    let first = many.start("first", LIVE).await.unwrap();

    let refused = many.start("second", LIVE).await;

    assert!(matches!(refused, Err(AdminError::TooMany { max: 1 })), "{refused:?}");
    assert_eq!(many.get("first").unwrap(), first);
    assert_eq!(first.observe().state, LifeState::Running);
    end(runtime).await;
}

/// Has to be handled: its copy as well as itself.
struct Guarded(u32, Bomb);

impl Message for Guarded {
    type Reply = u32;
    fn again(&self) -> Option<Self> {
        Some(Guarded(self.0, LIVE))
    }
}

impl Handler<Guarded> for Probe {
    async fn handle(&mut self, mut guarded: Guarded, _: &mut Context<'_, Self>) -> Result<u32, Failure> {
        guarded.1.is_live = false;
        self.board.write(guarded.0);
        Ok(guarded.0)
    }
}

/// The copy of a message that was handled is dropped when the next message is taken.
#[tokio::test(start_paused = true)]
async fn a_copy_that_panics_when_dropped_takes_no_message_with_it() {
    let runtime = runtime().await;
    let board = Board::default();
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", board.clone())).await;
    let gate = Gate::new();
    kept.actor.tell(hold(&gate)).await.unwrap();
    gate.entered().await;

    kept.actor.tell(Guarded(1, LIVE)).await.unwrap();
    kept.actor.tell(Note(2)).await.unwrap();
    gate.open();

    assert_eq!(kept.actor.ask(Guarded(3, LIVE)).await.unwrap(), 3);
    assert_eq!(board.lines(), ["1", "2", "3"]);
    assert_eq!((letters(&runtime), kept.exits.lines()), (vec![], vec![]));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_panics_when_dropped_unhandled_costs_no_incarnation() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let gate = Gate::new();
    kept.actor.tell(hold(&gate)).await.unwrap();
    gate.entered().await;

    let asked = kept.actor.ask(Guarded(1, LIVE)).within(Duration::from_millis(1)).await;
    gate.open();

    asked.unwrap_err();
    assert_eq!(kept.actor.ask(Note(2)).await.unwrap(), 2);
    assert_eq!(letters(&runtime), [("Guarded", "expired")]);
    assert!(kept.exits.lines().is_empty(), "{:?}", kept.exits.lines());
    end(runtime).await;
}

type Ports = Arc<Mutex<Vec<ReplyPort<Bomb>>>>;

/// Answers with a bomb.
struct Get;

impl Message for Get {
    type Reply = Bomb;
}

/// Answers later, by way of this list.
struct GetLater(Ports);

impl Message for GetLater {
    type Reply = Bomb;
}

impl Handler<Get> for Probe {
    async fn handle(&mut self, _: Get, _: &mut Context<'_, Self>) -> Result<Bomb, Failure> {
        Ok(LIVE)
    }
}

impl Handler<GetLater> for Probe {
    async fn handle(&mut self, get: GetLater, cx: &mut Context<'_, Self>) -> Result<Bomb, Failure> {
        cx.reply_later(|port| get.0.lock().expect("nobody panics").push(port))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_nobody_that_panics_when_dropped_costs_no_incarnation() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;

    kept.actor.tell(Get).await.unwrap();

    assert_eq!(kept.actor.ask(Note(1)).await.unwrap(), 1);
    assert!(kept.exits.lines().is_empty(), "{:?}", kept.exits.lines());
    end(runtime).await;
}

/// Answers the only port in the list, tells the other, and then fails if it shall.
fn answers_and_tells(ports: &Ports, other: &ActorRef<Probe>, fails: bool) -> crate::support::Act {
    let (ports, other) = (ports.clone(), other.clone());
    act(move |_, cx| {
        Box::pin(async move {
            let port = ports.lock().expect("nobody panics").pop().expect("one was kept");
            cx.reply(port, LIVE);
            cx.tell(&other, Note(9)).await?;
            if fails { Err(Failure::exhausted("no budget")) } else { Ok(0) }
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_held_reply_that_panics_when_dropped_takes_no_held_send_with_it() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let board = Board::default();
    let other = runtime.spawn::<Probe>("other", board.clone()).await.unwrap();
    let ports = Ports::default();
    for fails in [false, true] {
        let get = GetLater(ports.clone());
        let asked = kept.actor.ask(get).within(Duration::from_millis(1)).await;
        assert!(asked.is_err(), "the asker gives up");

        let answer = kept.actor.ask(answers_and_tells(&ports, &other, fails)).await;

        assert_eq!(answer.is_err(), fails);
        other.ask(Note(0)).await.unwrap();
    }
    assert_eq!(board.lines(), ["9", "0", "0"]);
    assert!(kept.exits.lines().is_empty(), "{:?}", kept.exits.lines());
    end(runtime).await;
}

/// What a panic carries is the author's too.
#[tokio::test(start_paused = true)]
async fn a_payload_that_panics_when_dropped_is_a_panic_like_any_other() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "the payload of the test goes off");
        }
    }
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let payload: fn() -> Box<dyn Any + Send> = || Box::new(Payload);

    let fails = act(move |_, _| Box::pin(async move { std::panic::resume_unwind(payload()) }));
    kept.actor.ask(fails).await.unwrap_err();

    assert_eq!(kept.actor.ask(Note(1)).await.unwrap(), 1);
    let exit = kept.actor.observe().last_exit;
    let is_told = matches!(&exit, Some(ExitReason::Panicked { phase: ExitPhase::Handle, text })
        if &**text == "a panic without a text");
    assert!(is_told, "{exit:?}");
    end(runtime).await;
}

/// The last clone of a failure is dropped by whoever forgets it: a list of exits, or of dead letters.
#[tokio::test(start_paused = true)]
async fn a_cause_that_panics_when_dropped_is_told_like_any_other() {
    #[derive(Debug)]
    struct Cause;
    impl std::error::Error for Cause {}
    impl std::fmt::Display for Cause {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the cause of the test")
        }
    }
    impl Drop for Cause {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "the cause of the test goes off");
        }
    }
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;

    for _ in 0..20 {
        let fails = act(|_, _| Box::pin(async { Err(Failure::bug(Cause)) }));
        kept.actor.tell(fails).await.unwrap();
    }

    assert_eq!(kept.actor.ask(Note(1)).await.unwrap(), 1);
    assert_eq!(kept.exits.lines(), ["failed"; 20]);
    end(runtime).await;
}
