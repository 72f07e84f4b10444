//! What a review broke before the first release, each with its story.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{self, Waker};
use std::time::Duration;

use greenroom::{
    ActorSpec, AskError, Backoff, ChildSpec, Context, ExitReason, Failure, Handler, LifeState, Message,
    Restart, Strategy, SuperviseExt, Supervisor, TellError,
};
use serde::{Deserialize, Serialize};

use crate::support::{Board, Gate, Note, Probe, act, end, hold, keep, letters, millis, runtime, secs, soon};

/// Panics when it is dropped, once, if it is armed.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bomb {
    #[serde(skip)]
    armed: Arc<AtomicBool>,
}

impl Bomb {
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "the bomb of the test goes off");
    }
}

/// A message whose drop takes its time held a `close` from another thread half-way, and the backoff of the supervisor
/// ran out there: a life was launched behind a closed gate, where waiting for mail is ready at once. It went round
/// for ever, in the shutdown too. A hang is the failure.
#[tokio::test(start_paused = true)]
async fn a_place_that_is_being_deleted_is_not_launched_again() {
    let runtime = runtime().await;
    let backoff = Backoff { first: millis(150), max: millis(150), jitter: 0.0, ..Backoff::default() };
    let child = ChildSpec::actor::<Probe>("probe", Board::default()).backoff(backoff);
    let supervisor = runtime.supervise(Supervisor::named("keeper").child(child)).await.unwrap();
    let probe = supervisor.actor::<Probe>("probe").unwrap();
    let (dropping, dropped) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let slow = Slow { dropping, released };
    probe.tell(act(|_, _| Box::pin(async { panic!("restart") }))).await.unwrap();
    let carries = act(move |_, _| {
        Box::pin(async move {
            drop(slow);
            Ok(0)
        })
    });
    probe.tell(carries).await.unwrap();
    runtime.clock().sleep(millis(1)).await;
    assert_eq!(probe.observe().state, LifeState::Vacant, "it waits for its backoff");

    let place = probe.place();
    let closing = std::thread::spawn(move || place.close());
    // Blocks the runtime: its clock must not run ahead of the other thread.
    dropped.recv().unwrap();
    runtime.clock().sleep(millis(300)).await;
    drop(release);
    closing.join().unwrap();

    soon(probe.closed()).await;
    assert_eq!(probe.observe().restarts, 0);
    end(runtime).await;
}

/// Its drop takes until the other end of the channel is dropped.
struct Slow {
    dropping: mpsc::Sender<()>,
    released: mpsc::Receiver<()>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.dropping.send(());
        let _ = self.released.recv();
    }
}

/// A sender in line had been granted a place and had not looked yet when the actor left and was laid aside; what it was
/// told then kept the place. Each round cost one, and the mailbox of one place was full for good.
#[tokio::test(start_paused = true)]
async fn a_place_granted_to_a_sender_is_free_again_when_the_actor_is_laid_aside() {
    let runtime = runtime().await;
    let shelved = ActorSpec::<Probe>::new("shelved", Board::default()).capacity(1);
    let supervisor = Supervisor::named("keeper")
        .strategy(Strategy::OneForAll)
        .child(ChildSpec::of(shelved).restart(Restart::Transient))
        .child(ChildSpec::actor::<Probe>("sibling", Board::default()));
    let supervisor = runtime.supervise(supervisor).await.unwrap();
    let shelved = supervisor.actor::<Probe>("shelved").unwrap();
    let gate = Gate::new();
    let leaves = act(|_, cx| {
        cx.stop();
        Box::pin(async { Ok(0) })
    });
    shelved.tell(hold(&gate)).await.unwrap();
    gate.entered().await;
    shelved.tell(leaves).await.unwrap();
    {
        let mut in_line = pin!(shelved.tell(Note(1)).within(secs(60)));
        let polled = in_line.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        gate.open();
        runtime.clock().sleep(millis(1)).await;
        let laid_aside = shelved.observe();
        assert_eq!((laid_aside.state, laid_aside.waiting), (LifeState::Vacant, 1), "granted, not filled");
        assert!(matches!(in_line.await, Err(TellError::Stopped { message: Note(1), .. })));
    }

    let sibling = supervisor.actor::<Probe>("sibling").unwrap();
    sibling.tell(act(|_, _| Box::pin(async { panic!("restart all") }))).await.unwrap();
    runtime.clock().sleep(millis(1)).await;

    assert_eq!((shelved.observe().state, shelved.observe().waiting), (LifeState::Running, 0));
    assert_eq!(shelved.ask(Note(2)).await.unwrap(), 2);
    end(runtime).await;
}

/// Deadlines were added to the clock's now: `Duration::MAX`, which says "for ever", overflowed. The ask panicked in its
/// caller, and the shutdown in the root, so that it came back at once and called itself clean with everybody alive.
#[tokio::test(start_paused = true)]
async fn the_longest_duration_means_for_ever() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();

    assert_eq!(probe.ask(Note(1)).within(Duration::MAX).await.unwrap(), 1);
    let report = runtime.shutdown(Duration::MAX).await;

    assert!(report.is_clean(), "{:?}", report.late);
    let exit = soon(probe.closed()).await;
    assert!(matches!(exit, Some(ExitReason::Shutdown)), "{exit:?}");
    assert!(matches!(probe.try_tell(Note(2)), Err(TellError::Gone { message: Note(2), .. })));
}

/// A killed life dropped the copy of its message before it had told anybody of its end; the drop panicked, and nobody
/// ever heard: the place counted as occupied for good. It needs a kill, and a message that may come again.
#[tokio::test(start_paused = true)]
async fn a_message_whose_drop_panics_does_not_keep_a_killed_actor_from_coming_back() {
    let runtime = runtime().await;
    let kept = keep(&runtime, ActorSpec::<Probe>::new("probe", Board::default())).await;
    let (bomb, gate) = (Bomb::default(), Gate::new());
    kept.actor.tell(Forgotten { _bomb: bomb.clone(), gate: gate.clone() }).await.unwrap();
    gate.entered().await;
    bomb.arm();

    kept.actor.kill();
    let answer = kept.actor.ask(Note(1)).await;

    assert_eq!(answer.unwrap(), 1);
    assert!(!bomb.is_armed(), "it went off");
    assert_eq!(kept.exits.lines(), ["killed"]);
    end(runtime).await;
}

/// Forgotten by its handler, so that only the copy for a further delivery is dropped.
#[derive(Clone)]
struct Forgotten {
    _bomb: Bomb,
    gate: Gate,
}

impl Message for Forgotten {
    type Reply = ();
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Handler<Forgotten> for Probe {
    async fn handle(&mut self, message: Forgotten, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        message.gate.enter();
        std::mem::forget(message);
        std::future::pending().await
    }
}

/// Forwarded as a question with another type of answer, the way back was lost without a word, and the asker waited
/// out its whole deadline.
#[tokio::test(start_paused = true)]
async fn a_question_forwarded_as_one_with_another_answer_fails_at_once() {
    let runtime = runtime().await;
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let other = runtime.spawn::<Probe>("other", Board::default()).await.unwrap();
    let before = runtime.clock().now();

    let forwards = act(move |_, cx| Box::pin(async move { cx.forward(&other, Spell(8)).await.map(|_| 0) }));
    let answer = probe.ask(forwards).await;

    assert!(matches!(answer, Err(AskError::NoReply { .. })), "{answer:?}");
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

/// The reply is no number, as that of an `Act` is.
struct Spell(u32);

impl Message for Spell {
    type Reply = String;
}

impl Handler<Spell> for Probe {
    async fn handle(&mut self, spell: Spell, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        Ok(spell.0.to_string())
    }
}

/// An actor that gives way after many messages in a row has done the last of them. A place that was deleted at that
/// moment took it for cut, and buried a message that had been handled and answered.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_handled_is_not_buried_while_its_actor_gives_way() {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.unwrap();
    let neighbour = runtime.spawn::<Probe>("neighbour", Board::default()).await.unwrap();
    for number in 0..300 {
        probe.try_tell(Note(number)).unwrap();
    }

    // Its turn comes when the other one gives way.
    let place = probe.place();
    let closes = act(move |_, _| {
        Box::pin(async move {
            place.close();
            Ok(0)
        })
    });
    neighbour.ask(closes).await.unwrap();

    let handled = board.lines().len();
    assert!((1..300).contains(&handled), "it was to be in the midst of them: {handled}");
    assert_eq!(letters(&runtime).len(), 300 - handled);
    end(runtime).await;
}
