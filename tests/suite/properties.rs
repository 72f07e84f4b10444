//! Random histories: whatever is done to a mailbox, its bound holds and each message has exactly one fate.
//!
//! `QUICKCHECK_TESTS` sets the number of cases. A failing run prints its seed and the smallest failing case; the seed
//! repeats the run: `SEED=42 cargo test --test suite properties`.
#![expect(clippy::disallowed_methods, reason = "senders outside of the tree are plain tokio tasks")]

use greenroom::testing::seed;
use greenroom::{ActorSpec, AskError, Overflow, TellError};
use quickcheck::{Arbitrary, Gen, QuickCheck};

use crate::support::{Board, Gate, Note, Probe, end, hold, keep, runtime, secs};

/// One step of a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    TryTell,
    Tell,
    /// Stands in line, and gives up at once if it has to.
    TellAndGiveUp,
    Ask,
    /// Lets the actor handle what waits, up to the next gate.
    Run,
    Kill,
    Crash,
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let steps = [
            Step::TryTell,
            Step::TryTell,
            Step::Tell,
            Step::Tell,
            Step::TellAndGiveUp,
            Step::Ask,
            Step::Run,
            Step::Run,
            Step::Kill,
            Step::Crash,
        ];
        *g.choose(&steps).expect("not empty")
    }
}

#[derive(Clone, Copy, Debug)]
struct Policy(Overflow);

impl Arbitrary for Policy {
    fn arbitrary(g: &mut Gen) -> Self {
        let all = [Overflow::Wait, Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest];
        Policy(*g.choose(&all).expect("not empty"))
    }
}

/// How many messages were accepted, given back, handled, and found dead.
async fn history(capacity: usize, policy: Overflow, steps: Vec<Step>) -> Result<(), String> {
    let runtime = runtime().await;
    let board = Board::default();
    let spec = ActorSpec::<Probe>::new("probe", board.clone()).capacity(capacity).overflow(policy);
    let probe = keep(&runtime, spec).await.actor;
    let mut gate = Gate::new();
    let mut taken = 0_usize;
    let mut gates = 0_usize;
    let mut in_line = Vec::new();
    let mut asks = Vec::new();
    // The first to stand in the way; each `Run` opens the gate and puts the next.
    gates += usize::from(probe.try_tell(hold(&gate)).is_ok());
    for (n, step) in steps.iter().enumerate() {
        let note = Note(n as u32);
        match step {
            Step::TryTell => taken += usize::from(probe.try_tell(note).is_ok()),
            Step::Tell => {
                let probe = probe.clone();
                let mut tell = Box::pin(async move { probe.tell(note).within(secs(1_000)).await });
                match poll(&mut tell) {
                    std::task::Poll::Ready(told) => taken += usize::from(told.is_ok()),
                    std::task::Poll::Pending => in_line.push(tokio::spawn(tell)),
                }
            }
            Step::TellAndGiveUp => {
                let mut tell = Box::pin(probe.tell(note));
                if let std::task::Poll::Ready(told) = poll(&mut tell) {
                    taken += usize::from(told.is_ok());
                }
            }
            Step::Ask => {
                let probe = probe.clone();
                let mut ask = Box::pin(async move { probe.ask(note).within(secs(1_000)).await });
                match poll(&mut ask) {
                    std::task::Poll::Ready(answer) => taken += usize::from(was_taken(answer)?),
                    std::task::Poll::Pending => asks.push(tokio::spawn(ask)),
                }
            }
            Step::Run => {
                gate.open();
                gate = Gate::new();
                gates += usize::from(probe.try_tell(hold(&gate)).is_ok());
            }
            Step::Kill => probe.kill(),
            Step::Crash => {
                let crash = crate::support::act(|_, _| Box::pin(async { panic!("as drawn") }));
                gates += usize::from(probe.try_tell(crash).is_ok());
            }
        }
        let waiting = probe.observe().waiting;
        if waiting > capacity {
            return Err(format!("{waiting} wait, {capacity} may"));
        }
        tokio::task::yield_now().await;
    }
    gate.open();
    for tell in in_line {
        match tell.await.map_err(|error| error.to_string())? {
            Ok(()) => taken += 1,
            Err(TellError::MailboxFull { .. }) => {}
            Err(other) => return Err(format!("{other:?}")),
        }
    }
    for ask in asks {
        taken += usize::from(was_taken(ask.await.map_err(|error| error.to_string())?)?);
    }
    // Behind all others, and, under a policy that sheds, only once there is room.
    while probe.observe().waiting > 0 {
        tokio::task::yield_now().await;
    }
    probe.ask(Note(u32::MAX)).await.map_err(|error| format!("{error:?}"))?;
    let waiting = probe.observe().waiting;
    end(runtime.clone()).await;

    let handled = board.lines().len() - 1;
    let dead = runtime.dead_letters().newest();
    let dead_notes = dead.iter().filter(|letter| letter.message == "Note").count();
    let dead_gates = dead.len() - dead_notes;
    if waiting != 0 {
        return Err(format!("{waiting} places were not given back"));
    }
    if dead_gates > gates {
        return Err(format!("{dead_gates} of {gates} gates are dead"));
    }
    if handled + dead_notes != taken {
        return Err(format!("{taken} taken, {handled} handled, {dead_notes} dead"));
    }
    Ok(())
}

fn was_taken(answer: Result<u32, AskError<Note>>) -> Result<bool, String> {
    match answer {
        Ok(_) | Err(AskError::Shed { .. } | AskError::Stopped { .. }) => Ok(true),
        Err(AskError::NotDelivered(TellError::MailboxFull { .. })) => Ok(false),
        Err(other) => Err(format!("{other:?}")),
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[test]
fn each_accepted_message_is_handled_or_a_dead_letter_and_the_bound_holds() {
    fn property(capacity: u8, Policy(policy): Policy, steps: Vec<Step>) -> quickcheck::TestResult {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a small runtime");
        match tokio.block_on(history(1 + usize::from(capacity % 6), policy, steps)) {
            Ok(()) => quickcheck::TestResult::passed(),
            Err(what) => quickcheck::TestResult::error(what),
        }
    }
    let random = Gen::from_size_and_seed(100, seed());
    QuickCheck::new().rng(random).quickcheck(property as fn(u8, Policy, Vec<Step>) -> quickcheck::TestResult);
}
