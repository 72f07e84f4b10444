//! A handler that never awaits cannot be stopped; it is fenced, and what it does from then on does not count.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use greenroom::{
    Actor, ActorRef, ActorSpec, AskError, Context, DeadLetterReason, ExitReason, Failure, Handler, LifeState,
    Message, Open, ReplyPort, Runtime, RuntimeEvent, TellError,
};

use crate::support::{
    Act, Board, Comeback, Gate, Note, Probe, Relaunch, act, end, hold, impatient_runtime, keep, keep_as,
    letters, millis, secs, soon,
};

/// A handler that blocks its thread until the sender of the channel is dropped, and then does `after`.
fn block(gate: &Gate, release: mpsc::Receiver<()>, after: Act) -> Act {
    let gate = gate.clone();
    act(move |probe, cx| {
        Box::pin(async move {
            gate.enter();
            // An error is the release.
            let _ = release.recv();
            (after.0)(probe, cx).await
        })
    })
}

fn nothing() -> Act {
    act(|_, _| Box::pin(async { Ok(7) }))
}

/// A runtime with a probe at `keeper/probe` that is fenced while it handles `after`, and the way to release it.
async fn zombie(after: Act, comeback: Comeback) -> (Runtime, Fenced) {
    let runtime = impatient_runtime().await;
    let board = Board::default();
    let kept = keep_as(&runtime, ActorSpec::<Probe>::new("probe", board.clone()), comeback).await;
    let (release, released) = mpsc::channel();
    let gate = Gate::new();
    kept.actor.try_tell(block(&gate, released, after)).expect("an empty mailbox");
    gate.entered().await;
    for n in 1..4 {
        kept.actor.try_tell(Note(n)).expect("room");
    }
    let exit = kept.actor.stop(millis(10)).await;
    assert!(matches!(exit, Some(ExitReason::Unresponsive)), "{exit:?}");
    let fenced = Fenced { actor: kept.actor, keeper: kept.keeper, exits: kept.exits, board, release };
    (runtime, fenced)
}

struct Fenced {
    actor: ActorRef<Probe>,
    keeper: greenroom::overseer::OverseerRef<crate::support::Keeper>,
    exits: Board,
    board: Board,
    release: mpsc::Sender<()>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_next_incarnation_handles_what_waited_in_order_and_the_old_one_gets_no_more() {
    let outcome = Board::default();
    let writes = act({
        let outcome = outcome.clone();
        move |_, _| {
            Box::pin(async move {
                outcome.write("awake");
                Ok(0)
            })
        }
    });
    let (runtime, fenced) = zombie(writes, Comeback::WhenTold).await;

    fenced.keeper.post(Relaunch(fenced.actor.path().clone())).unwrap();
    fenced.actor.ask(Note(4)).await.unwrap();
    assert!(outcome.lines().is_empty(), "the old one still blocks its thread");
    drop(fenced.release);
    outcome.until(1).await;
    for n in 5..20 {
        fenced.actor.ask(Note(n)).await.unwrap();
    }

    let expected: Vec<String> = (1..20).map(|n| n.to_string()).collect();
    assert_eq!(fenced.board.lines(), expected);
    assert_eq!(fenced.actor.observe().restarts, 1);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn its_supervisor_hears_of_the_fence_at_once_and_only_once() {
    let (runtime, fenced) = zombie(nothing(), Comeback::AtOnce).await;

    // Relaunched although the old task has not ended.
    fenced.actor.ask(Note(4)).await.unwrap();
    assert_eq!(fenced.exits.lines(), ["unresponsive"]);
    drop(fenced.release);
    fenced.actor.ask(Note(5)).await.unwrap();
    let stopped = fenced.actor.stop(secs(5)).await;
    fenced.exits.until(2).await;

    assert!(matches!(stopped, Some(ExitReason::Shutdown)));
    assert_eq!(fenced.exits.lines(), ["unresponsive", "shutdown"]);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn its_asker_is_told_at_once_and_its_late_reply_is_refused() {
    let runtime = impatient_runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (release, released) = mpsc::channel();
    let gate = Gate::new();
    let asked = async { probe.ask(block(&gate, released, nothing())).within(secs(60)).await };
    let stopped = async {
        gate.entered().await;
        probe.stop(millis(10)).await
    };

    let (answer, exit) = tokio::join!(asked, stopped);
    drop(release);

    assert!(matches!(answer, Err(AskError::Stopped { .. })), "{answer:?}");
    assert!(matches!(exit, Some(ExitReason::Unresponsive)));
    assert_eq!(letters(&runtime), [("Act", "cut")]);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_it_sends_itself_is_refused_with_the_message() {
    let outcome = Board::default();
    let target = Board::default();
    let setup = impatient_runtime().await;
    let bystander = setup.spawn::<Probe>("bystander", target.clone()).await.unwrap();
    let sends = act({
        let (outcome, bystander) = (outcome.clone(), bystander.clone());
        move |_, cx| {
            Box::pin(async move {
                let told = bystander.tell(Note(1)).await;
                outcome.write(matches!(told, Err(TellError::SenderFenced { message: Note(1), .. })));
                let tried = bystander.try_tell(Note(2));
                outcome.write(matches!(tried, Err(TellError::SenderFenced { message: Note(2), .. })));
                let held = cx.tell(&bystander, Note(3)).await;
                outcome.write(matches!(held, Err(TellError::SenderFenced { message: Note(3), .. })));
                let asked = bystander.ask(Note(4)).await;
                let refused = matches!(asked, Err(AskError::NotDelivered(TellError::SenderFenced { .. })));
                outcome.write(refused);
                Ok(0)
            })
        }
    });
    let (runtime, fenced) = zombie(sends, Comeback::AtOnce).await;

    drop(fenced.release);
    let outcome = outcome.until(4).await;

    assert_eq!(outcome, ["true"; 4]);
    assert!(target.lines().is_empty());
    assert_eq!(bystander.observe().waiting, 0, "no place was kept");
    end(runtime).await;
    end(setup).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_it_held_back_becomes_a_dead_letter() {
    let runtime = impatient_runtime().await;
    let target = Board::default();
    let bystander = runtime.spawn::<Probe>("bystander", target.clone()).await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let gate = Gate::new();
    let holds_then_blocks = act({
        let (gate, bystander) = (gate.clone(), bystander.clone());
        move |_, cx| {
            Box::pin(async move {
                cx.tell(&bystander, Note(1)).await?;
                gate.enter();
                let _ = released.recv();
                Ok(0)
            })
        }
    });
    let mut stream = runtime.dead_letters().stream();
    probe.tell(holds_then_blocks).await.unwrap();
    gate.entered().await;
    probe.stop(millis(10)).await;
    let cut = stream.recv().await.unwrap();

    drop(release);
    let fenced = stream.recv().await.unwrap();

    assert!(matches!(cut.reason, DeadLetterReason::Cut));
    assert!(matches!(fenced.reason, DeadLetterReason::Fenced));
    assert_eq!((fenced.to.as_str(), fenced.message), ("bystander", "Note"));
    assert_eq!(bystander.observe().waiting, 0);
    assert!(target.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn its_timers_and_spawned_work_reach_nobody() {
    let outcome = Board::default();
    let timers = act({
        let outcome = outcome.clone();
        move |_, cx| {
            Box::pin(async move {
                cx.send_after(millis(0), Note(100));
                cx.send_every(millis(1), || Note(101));
                cx.spawn(async {}, |()| Note(102));
                outcome.write("armed");
                Ok(0)
            })
        }
    });
    let (runtime, fenced) = zombie(timers, Comeback::AtOnce).await;

    drop(fenced.release);
    outcome.until(1).await;
    fenced.actor.ask(Note(4)).await.unwrap();
    end(runtime).await;

    assert_eq!(fenced.board.lines(), ["1", "2", "3", "4"]);
}

/// Where a handler keeps the right to answer.
type Desk = Arc<Mutex<Option<ReplyPort<u32>>>>;

/// Keeps the port of its own asker.
fn keeps_port(desk: &Desk) -> Act {
    let desk = desk.clone();
    act(move |_, cx| {
        Box::pin(async move { cx.reply_later(|port| *desk.lock().expect("nobody panics") = Some(port)) })
    })
}

fn take(desk: &Desk) -> ReplyPort<u32> {
    desk.lock().expect("nobody panics").take().expect("it was kept")
}

/// The story: a handler that was fenced while it blocked its thread answered, when it came back, an asker whose port it
/// had kept, as if it still counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_port_that_it_kept_is_not_answered_by_it() {
    let runtime = impatient_runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (desk, gate, outcome) = (Desk::default(), Gate::new(), Board::default());
    let (release, released) = mpsc::channel();
    let answers = act({
        let (desk, outcome) = (desk.clone(), outcome.clone());
        move |_, _| {
            Box::pin(async move {
                outcome.write(format!("{:?}", take(&desk).send(9)));
                Ok(0)
            })
        }
    });
    let asked = async { probe.ask(keeps_port(&desk)).within(secs(60)).await };
    let fenced = async {
        probe.tell(block(&gate, released, answers)).await.unwrap();
        gate.entered().await;
        probe.stop(millis(10)).await;
        drop(release);
    };

    let (answer, ()) = tokio::join!(asked, fenced);

    assert_eq!(outcome.until(1).await, ["Err(9)"]);
    assert!(matches!(answer, Err(AskError::NoReply { .. })), "{answer:?}");
    end(runtime).await;
}

/// The work beside a fenced incarnation goes on until its thread comes back; it answers nobody meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_port_that_it_kept_is_not_answered_by_its_work_beside() {
    let runtime = impatient_runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (desk, gate, beside) = (Desk::default(), Gate::new(), Gate::new());
    let (release, released) = mpsc::channel();
    let spawns = act({
        let (desk, beside) = (desk.clone(), beside.clone());
        move |_, cx| {
            Box::pin(async move {
                let port = take(&desk);
                let answers = async move {
                    beside.pass().await;
                    port.send(9).err().unwrap_or(8)
                };
                cx.spawn(answers, Note);
                Ok(0)
            })
        }
    });
    let asked = async { probe.ask(keeps_port(&desk)).within(secs(60)).await };
    let fenced = async {
        probe.ask(spawns).await.unwrap();
        beside.entered().await;
        probe.tell(block(&gate, released, nothing())).await.unwrap();
        gate.entered().await;
        probe.stop(millis(10)).await;
        beside.open();
    };

    let (answer, ()) = tokio::join!(asked, fenced);

    assert!(matches!(answer, Err(AskError::NoReply { .. })), "{answer:?}");
    drop(release);
    end(runtime).await;
}

/// A port that was given away is whoever's it was given to.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_port_that_it_gave_away_is_answered_by_who_has_it() {
    let runtime = impatient_runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (desk, gate) = (Desk::default(), Gate::new());
    let (release, released) = mpsc::channel();
    let asked = async { probe.ask(keeps_port(&desk)).within(secs(60)).await };
    let fenced = async {
        probe.tell(block(&gate, released, nothing())).await.unwrap();
        gate.entered().await;
        probe.stop(millis(10)).await;
        take(&desk).send(9)
    };

    let (answer, sent) = tokio::join!(asked, fenced);

    assert_eq!((answer.unwrap(), sent), (9, Ok(())));
    drop(release);
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_shutdown_names_it_and_does_not_wait_for_it() {
    let runtime = impatient_runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let top = runtime.spawn::<Probe>("top", Board::default()).await.unwrap();
    let (release, released) = mpsc::channel();
    let (release_top, released_top) = mpsc::channel();
    let (gate, gate_top) = (Gate::new(), Gate::new());
    kept.actor.tell(block(&gate, released, nothing())).await.unwrap();
    gate.entered().await;
    top.tell(block(&gate_top, released_top, nothing())).await.unwrap();
    gate_top.entered().await;
    let mut events = runtime.events();

    let report = runtime.shutdown(millis(200)).await;
    drop((release, release_top));

    let late: Vec<&str> = report.late.iter().map(|path| path.as_str()).collect();
    assert!(late.contains(&"keeper/probe") && late.contains(&"top"), "{late:?}");
    let mut unresponsive = 0;
    while let Ok(event) = events.try_recv() {
        unresponsive += usize::from(matches!(event, RuntimeEvent::Unresponsive { .. }));
    }
    assert_eq!(unresponsive, 2);
    assert_eq!(top.observe().state, LifeState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn deleting_a_place_does_not_wait_for_a_handler_that_blocks() {
    let runtime = impatient_runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let (release, released) = mpsc::channel();
    let gate = Gate::new();
    probe.tell(block(&gate, released, nothing())).await.unwrap();
    gate.entered().await;
    probe.tell(hold(&gate)).await.unwrap();

    probe.place().close();
    let successor = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    drop(release);
    successor.ask(Note(1)).await.unwrap();

    assert_eq!(letters(&runtime), [("Act", "cut"), ("Act", "gone")]);
    assert!(matches!(probe.tell(Note(2)).await, Err(TellError::Gone { message: Note(2), .. })));
    assert_eq!(board.lines(), ["1"]);
    end(runtime).await;
}

/// An actor whose end can be awaited, and whose only handler fails when its thread is released.
struct LateFailure {
    gone: Gate,
}

impl Drop for LateFailure {
    fn drop(&mut self) {
        self.gone.enter();
    }
}

impl Actor for LateFailure {
    type Args = Gate;
    type Inbox = Open<Self>;

    async fn start(gone: &Gate) -> Result<Self, Failure> {
        Ok(LateFailure { gone: gone.clone() })
    }
}

struct FailOnce(Gate, mpsc::Receiver<()>);

impl Message for FailOnce {
    type Reply = ();
}

impl Handler<FailOnce> for LateFailure {
    async fn handle(&mut self, message: FailOnce, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        message.0.enter();
        let _ = message.1.recv();
        Err(Failure::exhausted("late"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_failure_after_the_fence_is_not_reported_a_second_time() {
    let runtime = impatient_runtime().await;
    let (inside, gone) = (Gate::new(), Gate::new());
    let actor = runtime.spawn::<LateFailure>("late", gone.clone()).await.unwrap();
    let (release, released) = mpsc::channel();
    actor.tell(FailOnce(inside.clone(), released)).await.unwrap();
    inside.entered().await;
    actor.stop(millis(10)).await;

    drop(release);
    gone.entered().await;

    assert_eq!(letters(&runtime), [("FailOnce", "cut")]);
    end(runtime).await;
}

/// The story: an actor that gives way after its start was kept by tokio on its thread until that thread had nothing
/// else to do. The next task there blocked it, and the first message of the other waited although two threads were
/// idle. Many rounds, since it takes two tasks on one thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_has_just_started_is_not_held_up() {
    for _ in 0..100 {
        let runtime = impatient_runtime().await;
        let blocked = runtime.spawn::<Probe>("blocked", Board::default()).await.unwrap();
        let young = runtime.spawn::<Probe>("young", Board::default()).await.unwrap();
        let (release, released) = mpsc::channel();
        let gate = Gate::new();

        blocked.tell(block(&gate, released, nothing())).await.unwrap();
        gate.entered().await;
        let answer = soon(young.ask(Note(1))).await;

        assert_eq!(answer.unwrap(), 1);
        drop(release);
        end(runtime).await;
    }
}

/// Whoever is woken by a handler runs next on that handler's thread, where no other thread can fetch it. Here it is
/// the root, which has to hear the shutdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_shutdown_comes_to_its_end_although_the_root_hears_nothing() {
    let runtime = impatient_runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let gate = Gate::new();
    let wakes_the_root_and_blocks = act({
        let (gate, runtime) = (gate.clone(), runtime.clone().into_guest());
        move |_, _| {
            Box::pin(async move {
                let mut spawn = pin!(runtime.spawn::<Probe>("second", Board::default()));
                assert!(poll_once(spawn.as_mut()).await.is_pending());
                gate.enter();
                let _ = released.recv();
                Ok(0)
            })
        }
    });
    probe.tell(wakes_the_root_and_blocks).await.unwrap();
    gate.entered().await;

    let report = soon(runtime.shutdown(millis(200))).await;

    // And not the second, which was never started.
    assert_eq!(report.late, [probe.path().clone()]);
    assert_eq!(probe.observe().state, LifeState::Closed);
    drop(release);
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
