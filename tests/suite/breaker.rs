//! Breakers in front of actors, and of what lies outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use greenroom::{
    Actor, ActorRef, ActorSpec, AskError, Backoff, Breaker, BreakerSpec, BreakerState, CallOutcome, Context,
    Durable, DurableMessage, Failure, Handler, MemoryStore, Message, Overflow, Runtime, inbox, telemetry,
};
use serde::{Deserialize, Serialize};

use crate::support::{
    Act, Board, Gate, Note, Probe, Tally, act, end, hold, keep, millis, runtime, secs, soon,
};

/// Opens for 10 s after two failures in a row.
fn spec() -> BreakerSpec {
    BreakerSpec {
        failures_in_a_row: Some(2),
        open_for: Backoff::constant(secs(10)),
        ..BreakerSpec::default()
    }
}

/// A runtime, and a probe behind a breaker.
async fn world() -> (Runtime, ActorRef<Probe>, Board, Breaker) {
    let runtime = runtime().await;
    let board = Board::default();
    let probe = runtime.spawn::<Probe>("probe", board.clone()).await.expect("a fresh runtime");
    let breaker = runtime.breaker("probe", spec());
    (runtime, probe, board, breaker)
}

/// Fails with `External`, which is how an actor says that it cannot do its work.
fn cannot() -> Act {
    act(|_, _| Box::pin(async { Err(Failure::external("the world is down")) }))
}

async fn fail(probe: &ActorRef<Probe>, breaker: &Breaker, times: u32) {
    for _ in 0..times {
        let asked = probe.ask(cannot()).through(breaker).await;
        assert!(matches!(asked, Err(AskError::Failed { .. })), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_fails_too_often_is_left_alone_until_a_trial_shows_that_it_is_back() {
    let (runtime, probe, board, breaker) = world().await;

    fail(&probe, &breaker, 2).await;
    assert_eq!(breaker.state(), BreakerState::Open { until: breaker.observe().since + secs(10) });
    let refused = probe.ask(Note(1)).through(&breaker).await;
    let Err(AskError::BreakerOpen { to, open, message }) = refused else { panic!("{refused:?}") };
    assert_eq!((to.to_string(), &*open.name, open.retry_after), ("probe".into(), "probe", Some(secs(10))));
    assert_eq!(message, Note(1), "what the sender gave comes back");

    runtime.clock().sleep(secs(10)).await;
    assert_eq!(probe.ask(Note(2)).through(&breaker).await.unwrap(), 2);
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(board.lines(), ["2"], "the refused one never came");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn callers_of_an_actor_that_hangs_stop_waiting_for_it() {
    let (runtime, probe, _, breaker) = world().await;
    let gate = Gate::new();
    let hangs = probe.ask(hold(&gate)).within(secs(1)).through(&breaker);
    let behind = probe.ask(Note(1)).within(secs(1)).through(&breaker);
    let (first, second) = tokio::join!(hangs, behind);
    assert!(matches!(first, Err(AskError::DeadlinePassed { .. })), "{first:?}");
    assert!(matches!(second, Err(AskError::DeadlinePassed { .. })), "{second:?}");

    let before = runtime.clock().now();
    let third = probe.ask(Note(2)).within(secs(1)).through(&breaker).await;

    assert!(matches!(third, Err(AskError::BreakerOpen { .. })), "{third:?}");
    assert_eq!(runtime.clock().now(), before, "at once");
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_trial_opens_it_again() {
    let (runtime, probe, board, breaker) = world().await;
    fail(&probe, &breaker, 2).await;
    runtime.clock().sleep(secs(10)).await;

    fail(&probe, &breaker, 1).await;

    let refused = probe.ask(Note(1)).through(&breaker).await;
    assert!(matches!(refused, Err(AskError::BreakerOpen { .. })), "{refused:?}");
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_asked_before_it_opened_does_not_close_it() {
    let (runtime, probe, _, breaker) = world().await;
    let slow = runtime.spawn::<Probe>("slow", Board::default()).await.unwrap();
    let gate = Gate::new();

    let asked = async { slow.ask(hold(&gate)).within(secs(60)).through(&breaker).await };
    let meanwhile = async {
        gate.entered().await;
        fail(&probe, &breaker, 2).await;
        // While it is open, and while a trial is in flight.
        runtime.clock().sleep(secs(10)).await;
        let trial = breaker.admit().expect("it is due");
        gate.open();
        trial
    };
    let (answer, trial) = tokio::join!(asked, meanwhile);

    answer.expect("it was only slow");
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    trial.failed();
    assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_gives_up_its_trial_makes_room_for_the_next() {
    let (runtime, probe, _, breaker) = world().await;
    fail(&probe, &breaker, 2).await;
    runtime.clock().sleep(secs(10)).await;
    let gate = Gate::new();

    let trial = probe.ask(hold(&gate)).through(&breaker);
    let gave_up = runtime.clock().within(secs(1), trial).await;

    assert!(gave_up.is_none());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    gate.open();
    assert_eq!(probe.ask(Note(1)).through(&breaker).await.unwrap(), 1);
    assert_eq!(breaker.state(), BreakerState::Closed);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_input_is_a_sign_of_life() {
    let (runtime, probe, _, breaker) = world().await;
    let refuses = || act(|_, _| Box::pin(async { Err(Failure::invalid("no such ticket")) }));

    fail(&probe, &breaker, 1).await;
    let refused = probe.ask(refuses()).through(&breaker).await;
    fail(&probe, &breaker, 1).await;

    assert!(matches!(refused, Err(AskError::Refused { .. })), "{refused:?}");
    assert_eq!(breaker.state(), BreakerState::Closed);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_into_a_full_mailbox_opens_nothing_but_a_mailbox_that_stays_full_does() {
    let runtime = runtime().await;
    let gate = Gate::new();
    for (name, overflow, opens) in [("rejects", Overflow::Reject, false), ("waits", Overflow::Wait, true)] {
        let breaker = runtime.breaker(name, spec());
        let spec = ActorSpec::<Probe>::new(name, Board::default()).capacity(1).overflow(overflow);
        let probe = runtime.spawn_spec(spec).await.unwrap();
        probe.tell(hold(&gate)).await.unwrap();
        gate.entered().await;
        probe.tell(Note(9)).await.unwrap();

        for n in 0..3 {
            let asked = probe.ask(Note(n)).within(secs(1)).through(&breaker).await;
            assert_eq!(asked.unwrap_err().into_message(), Some(Note(n)));
        }

        assert_eq!(breaker.state() != BreakerState::Closed, opens);
    }
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_an_external_failure_of_the_one_who_asked() {
    let (runtime, probe, _, breaker) = world().await;
    let asker = runtime.spawn::<Probe>("asker", Board::default()).await.unwrap();
    fail(&probe, &breaker, 2).await;

    let asks = act({
        let breaker = breaker.clone();
        move |_, _| Box::pin(async move { Ok(probe.ask(Note(1)).through(&breaker).await?) })
    });
    let answer = asker.ask(asks).await;

    let Err(AskError::Failed { failure, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(failure.class(), greenroom::FailureClass::External);
    let text = "probe was not asked: the breaker probe is open; a trial may go through in 10s";
    assert_eq!(failure.to_string(), text);
    assert_eq!(asker.observe().restarts, 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn watchers_and_metrics_tell_each_change() {
    let tally = Tally::default();
    let runtime = Runtime::builder().metrics(tally.clone()).start().await.unwrap();
    let probe = runtime.spawn::<Probe>("probe", Board::default()).await.unwrap();
    let breaker = runtime.breaker("mill", spec());
    let mut changes = breaker.watch();
    let state = || tally.of(&format!("{} mill", telemetry::BREAKER_STATE));
    let gone_to = |to: &str| tally.of(&format!("{} mill {to}", telemetry::BREAKER_TRANSITIONS));

    fail(&probe, &breaker, 2).await;
    probe.ask(Note(1)).through(&breaker).await.unwrap_err();
    soon(changes.changed()).await.unwrap();
    assert_eq!((changes.borrow_and_update().state.label(), state()), ("open", 2));
    runtime.clock().sleep(secs(10)).await;
    let trial = breaker.admit().unwrap();
    soon(changes.changed()).await.unwrap();
    assert_eq!((changes.borrow_and_update().state.label(), state()), ("half_open", 1));
    trial.succeeded();
    soon(changes.changed()).await.unwrap();
    assert_eq!((changes.borrow_and_update().state.label(), state()), ("closed", 0));

    assert_eq!((gone_to("open"), gone_to("half_open"), gone_to("closed")), (1, 1, 1));
    assert_eq!(tally.of(&format!("{} mill", telemetry::BREAKER_REFUSED)), 1);
    end(runtime).await;
}

/// Pays what it is told, through a breaker.
#[derive(Serialize, Deserialize, Default)]
struct Cashier {
    paid: u32,
    #[serde(skip)]
    bank: Option<Bank>,
}

/// Something outside, and the breaker in front of it.
#[derive(Clone)]
struct Bank {
    breaker: Breaker,
    calls: Arc<AtomicU32>,
}

#[derive(Serialize, Deserialize)]
struct Pay(u32);

impl Message for Pay {
    type Reply = u32;
    const NAME: Option<&'static str> = Some("pay");
}

impl DurableMessage for Pay {}

inbox!(durable CashierInbox for Cashier: Pay);

impl Actor for Cashier {
    type Args = Bank;
    type Inbox = CashierInbox;

    async fn start(bank: &Bank) -> Result<Self, Failure> {
        Ok(Cashier { paid: 0, bank: Some(bank.clone()) })
    }
}

impl Durable for Cashier {
    const NAME: &'static str = "cashier";

    async fn resume(&mut self, bank: &Bank) -> Result<(), Failure> {
        self.bank = Some(bank.clone());
        Ok(())
    }
}

impl Handler<Pay> for Cashier {
    async fn handle(&mut self, Pay(sum): Pay, _cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        let Bank { breaker, calls } = self.bank.clone().expect("set at start and resume");
        let pays = async {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Failure>(sum)
        };
        self.paid += breaker.call(pays, CallOutcome::of).await??;
        Ok(self.paid)
    }
}

#[tokio::test(start_paused = true)]
async fn a_durable_actor_before_an_open_breaker_tries_again_with_backoff_while_its_asker_waits() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let spec = BreakerSpec { open_for: Backoff::constant(millis(50)), ..spec() };
    let bank = Bank { breaker: runtime.breaker("bank", spec), calls: Arc::default() };
    let cashier = ActorSpec::<Cashier>::new("cashier", bank.clone()).durable();
    let cashier = keep(&runtime, cashier).await.actor;
    for _ in 0..2 {
        bank.breaker.admit().expect("it is closed").failed();
    }

    // The first try is refused; by the second, at least 100 ms later, the breaker is due.
    let paid = cashier.ask(Pay(7)).await;

    assert_eq!(paid.unwrap(), 7);
    assert_eq!(bank.calls.load(Ordering::Relaxed), 1);
    assert_eq!((bank.breaker.observe().refused, bank.breaker.state()), (1, BreakerState::Closed));
    assert_eq!(cashier.observe().restarts, 0);
    end(runtime).await;
}
