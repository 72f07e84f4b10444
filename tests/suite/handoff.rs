//! Handoff: a case has one owner at each moment, and its giver hears how the offer went.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom::testing::FaultyStore;
use greenroom::{
    Actor, ActorRef, ActorSpec, AskError, Context, Decision, Durable, DurableMessage, Failure, Fallback,
    HandOffExt, Handler, Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload, MemoryStore,
    Message, Recipient, Role, Roles, Runtime, SnapshotPolicy, inbox,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::support::{Board, Gate, end, keep, path, runtime, secs, soon};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Case(u32);

impl HandoffPayload for Case {
    const OFFER: &'static str = "case";
    const OUTCOME: &'static str = "case-outcome";
}

type Offer = Handoff<Case>;
type Outcome = HandoffOutcome<Case>;

/// The cases of a giver that it has not heard to be accepted.
#[derive(Serialize, Deserialize)]
struct Giver {
    open: BTreeMap<String, Offer>,
}

struct Desk {
    roles: Roles<Case>,
    /// What was offered again.
    board: Board,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

/// Takes a case in, hands it off, and fails after that if told so.
#[derive(Serialize, Deserialize)]
struct Give {
    offer: Offer,
    fails: bool,
}

impl Message for Give {
    type Reply = ();
    const NAME: Option<&'static str> = Some("give");
}

impl DurableMessage for Give {}

/// Asks which cases are open.
#[derive(Serialize, Deserialize)]
struct Cases;

impl Message for Cases {
    type Reply = Vec<String>;
    const NAME: Option<&'static str> = Some("cases");
}

impl DurableMessage for Cases {}

inbox!(durable GiverInbox for Giver: Give, Cases, Outcome);

impl Actor for Giver {
    type Args = Desk;
    type Inbox = GiverInbox;

    async fn start(_: &Desk) -> Result<Self, Failure> {
        Ok(Giver { open: BTreeMap::new() })
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        for offer in self.open.values() {
            cx.args().board.write(format!("again {}", offer.id));
            cx.hand_off(offer.clone(), &cx.args().roles);
        }
        Ok(())
    }
}

impl Durable for Giver {
    const NAME: &'static str = "giver";
}

impl Handler<Give> for Giver {
    async fn handle(&mut self, give: Give, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.open.insert(give.offer.id.case.clone(), give.offer.clone());
        cx.hand_off(give.offer, &cx.args().roles);
        if give.fails { Err(Failure::invalid("as the test wants")) } else { Ok(()) }
    }
}

impl Handler<Cases> for Giver {
    async fn handle(&mut self, _: Cases, _cx: &mut Context<'_, Self>) -> Result<Vec<String>, Failure> {
        Ok(self.open.keys().cloned().collect())
    }
}

impl Handler<Outcome> for Giver {
    async fn handle(&mut self, outcome: Outcome, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        if let HandoffOutcome::Accepted { id, .. } = &outcome {
            self.open.remove(&id.case);
        }
        cx.args().outcomes.send(outcome).map_err(Failure::bug)
    }
}

/// Remembers what it took, and does not take it twice.
#[derive(Serialize, Deserialize)]
struct Taker {
    taken: Vec<HandoffId>,
}

struct Bench {
    manner: Manner,
    board: Board,
}

/// What a taker does with an offer.
enum Manner {
    Takes,
    Refuses,
    Panics,
    /// Takes it, and stands in the gate before it says so.
    TakesSlowly(Gate),
}

inbox!(durable TakerInbox for Taker: Offer);

impl Actor for Taker {
    type Args = Bench;
    type Inbox = TakerInbox;

    async fn start(_: &Bench) -> Result<Self, Failure> {
        Ok(Taker { taken: Vec::new() })
    }
}

impl Durable for Taker {
    const NAME: &'static str = "taker";
}

impl Handler<Offer> for Taker {
    async fn handle(&mut self, offer: Offer, cx: &mut Context<'_, Self>) -> Result<Decision, Failure> {
        let Bench { manner, board } = cx.args();
        let detour = if offer.rerouted { ", rerouted" } else { "" };
        board.write(format!("offered {} as {}{detour}", offer.id, offer.to));
        if self.taken.contains(&offer.id) {
            return Ok(Decision::Accepted);
        }
        match manner {
            Manner::Takes | Manner::TakesSlowly(_) => {}
            Manner::Refuses => return Ok(Decision::Refused { reason: "not ours".into() }),
            Manner::Panics => panic!("as the test wants"),
        }
        board.write(format!("took {}", offer.id));
        self.taken.push(offer.id);
        if let Manner::TakesSlowly(gate) = manner {
            gate.pass().await;
        }
        Ok(Decision::Accepted)
    }
}

fn billing() -> Role {
    Role::named("billing")
}

fn technical() -> Role {
    Role::named("technical")
}

/// An offer of case `name` to billing.
fn case(name: &str) -> Offer {
    Handoff::first(name, path("giver"), Role::named("desk"), billing(), Case(7))
}

fn give(offer: Offer) -> Give {
    Give { offer, fails: false }
}

fn taker(name: &str, manner: Manner, board: &Board) -> ActorSpec<Taker> {
    ActorSpec::new(name, Bench { manner, board: board.clone() })
}

/// The giver's side of a test.
struct Side {
    giver: ActorRef<Giver>,
    board: Board,
    heard: Mutex<mpsc::UnboundedReceiver<Outcome>>,
}

impl Side {
    fn spec(
        roles: impl IntoIterator<Item = (Role, Vec<Recipient<Offer>>)>,
    ) -> (ActorSpec<Giver>, Board, Mutex<mpsc::UnboundedReceiver<Outcome>>) {
        let (outcomes, heard) = mpsc::unbounded_channel();
        let board = Board::default();
        let desk = Desk { roles: Roles::new(roles), board: board.clone(), outcomes };
        (ActorSpec::new("giver", desk), board, Mutex::new(heard))
    }

    /// A giver without a store.
    async fn plain(
        runtime: &Runtime,
        roles: impl IntoIterator<Item = (Role, Vec<Recipient<Offer>>)>,
    ) -> Self {
        let (spec, board, heard) = Side::spec(roles);
        Side { giver: runtime.spawn_spec(spec).await.expect("the giver starts"), board, heard }
    }

    /// A durable giver that comes back after a crash.
    async fn durable(
        runtime: &Runtime,
        roles: impl IntoIterator<Item = (Role, Vec<Recipient<Offer>>)>,
    ) -> Self {
        let (spec, board, heard) = Side::spec(roles);
        let giver = keep(runtime, spec.durable(SnapshotPolicy::EveryMessage)).await.actor;
        Side { giver, board, heard }
    }

    /// The next outcome, as the giver heard it.
    async fn outcome(&self) -> Outcome {
        soon(async { self.heard.lock().await.recv().await }).await.expect("the giver lives")
    }

    async fn heard_nothing(&self) -> bool {
        self.heard.lock().await.is_empty()
    }

    async fn open(&self) -> Vec<String> {
        self.giver.ask(Cases).await.expect("the giver answers")
    }
}

async fn stored(store: impl greenroom::Store) -> Runtime {
    Runtime::builder().store(store).start().await.expect("it starts")
}

#[tokio::test(start_paused = true)]
async fn an_accepted_case_is_the_takers_and_the_giver_forgets_it() {
    let runtime = stored(MemoryStore::new()).await;
    let board = Board::default();
    let spec = taker("taker", Manner::Takes, &board).durable(SnapshotPolicy::EveryMessage);
    let taker = runtime.spawn_spec(spec).await.unwrap();
    let side = Side::durable(&runtime, [(billing(), vec![taker.into()])]).await;

    side.giver.ask(give(case("t-1"))).await.unwrap();
    let outcome = side.outcome().await;

    let id = HandoffId { case: "t-1".into(), hop: 1 };
    assert_eq!(outcome, Outcome::Accepted { id, by: path("taker"), role: billing(), rerouted: false });
    assert_eq!(board.lines(), ["offered t-1/1 as billing", "took t-1/1"]);
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_case_comes_back_with_the_reason_and_stays_with_its_giver() {
    let runtime = stored(MemoryStore::new()).await;
    let taker = runtime.spawn_spec(taker("taker", Manner::Refuses, &Board::default())).await.unwrap();
    let side = Side::durable(&runtime, [(billing(), vec![taker.into()])]).await;

    side.giver.ask(give(case("t-1"))).await.unwrap();
    let outcome = side.outcome().await;

    let reason = "not ours".to_owned();
    assert_eq!(outcome, Outcome::Refused { handoff: case("t-1"), by: path("taker"), reason });
    assert_eq!(side.open().await, ["t-1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_case_that_nobody_is_up_for_stays_with_its_giver() {
    let runtime = stored(MemoryStore::new()).await;
    let board = Board::default();
    let stopped = runtime.spawn_spec(taker("stopped", Manner::Takes, &board)).await.unwrap();
    stopped.stop(secs(1)).await;
    let side = Side::durable(&runtime, [(billing(), vec![stopped.into()]), (technical(), vec![])]).await;

    for fallback in [Fallback::Return, Fallback::Next(technical()), Fallback::Next(Role::named("nobody"))] {
        let offer = case("t-1").or_else(fallback);
        side.giver.ask(give(offer.clone())).await.unwrap();
        let outcome = side.outcome().await;

        let failure = HandoffFailure::NobodyUp(billing());
        assert_eq!(outcome, Outcome::Failed { handoff: offer, failure });
        assert_eq!(side.open().await, ["t-1"]);
    }
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_role_takes_the_case_while_the_role_is_down_and_both_sides_are_told() {
    let runtime = stored(MemoryStore::new()).await;
    let board = Board::default();
    let down = runtime.spawn_spec(taker("down", Manner::Takes, &board)).await.unwrap();
    down.stop(secs(1)).await;
    let up = runtime.spawn_spec(taker("up", Manner::Takes, &board)).await.unwrap();
    let roles = [(billing(), vec![down.into()]), (technical(), vec![up.into()])];
    let side = Side::durable(&runtime, roles).await;

    side.giver.ask(give(case("t-1").or_else(Fallback::Next(technical())))).await.unwrap();
    let outcome = side.outcome().await;

    let id = HandoffId { case: "t-1".into(), hop: 1 };
    assert_eq!(outcome, Outcome::Accepted { id, by: path("up"), role: technical(), rerouted: true });
    assert_eq!(board.lines(), ["offered t-1/1 as technical, rerouted", "took t-1/1"]);
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_fallback_role_is_not_asked_while_the_role_is_up() {
    let runtime = stored(MemoryStore::new()).await;
    let board = Board::default();
    let first = runtime.spawn_spec(taker("first", Manner::Refuses, &Board::default())).await.unwrap();
    let second = runtime.spawn_spec(taker("second", Manner::Takes, &board)).await.unwrap();
    let roles = [(billing(), vec![first.into()]), (technical(), vec![second.into()])];
    let side = Side::durable(&runtime, roles).await;

    side.giver.ask(give(case("t-1").or_else(Fallback::Next(technical())))).await.unwrap();
    let outcome = side.outcome().await;

    assert!(matches!(outcome, Outcome::Refused { by, .. } if by == path("first")));
    assert!(board.lines().is_empty());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_falls_over_each_delivery_of_the_offer_has_failed_and_the_case_stays() {
    let runtime = runtime().await;
    let board = Board::default();
    let taker = keep(&runtime, taker("taker", Manner::Panics, &board)).await;
    let side = Side::plain(&runtime, [(billing(), vec![taker.actor.clone().into()])]).await;

    side.giver.ask(give(case("t-1"))).await.unwrap();
    let outcome = side.outcome().await;

    let Outcome::Failed { handoff, failure: HandoffFailure::TakerFailed { by, cause } } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((handoff, by), (case("t-1"), path("keeper/taker")));
    assert!(cause.contains("as the test wants"), "{cause}");
    assert_eq!(board.lines(), ["offered t-1/1 as billing"; 4]);
    assert_eq!(taker.exits.until(4).await, ["panicked"; 4]);
    assert_eq!(side.open().await, ["t-1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_taker_that_gives_no_answer_in_time_leaves_the_case_with_its_giver() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let spec = taker("taker", Manner::TakesSlowly(gate.clone()), &Board::default());
    let taker = runtime.spawn_spec(spec).await.unwrap();
    let side = Side::plain(&runtime, [(billing(), vec![taker.into()])]).await;
    let before = runtime.clock().now();

    side.giver.ask(give(Offer { deadline: secs(2), ..case("t-1") })).await.unwrap();
    let outcome = side.outcome().await;

    let Outcome::Failed { failure: HandoffFailure::NoAnswer { by, .. }, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((by, runtime.clock().now() - before), (path("taker"), secs(2)));
    assert_eq!(side.open().await, ["t-1"]);
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_least_loaded_member_is_picked() {
    let runtime = runtime().await;
    let gate = Gate::new();
    let slow = taker("busy", Manner::TakesSlowly(gate.clone()), &Board::default());
    let busy = runtime.spawn_spec(slow).await.unwrap();
    let idle = runtime.spawn_spec(taker("idle", Manner::Takes, &Board::default())).await.unwrap();
    let side = Side::plain(&runtime, [(billing(), vec![busy.clone().into(), idle.into()])]).await;
    busy.tell(case("t-0")).await.unwrap();
    gate.entered().await;

    // Round robin alone would offer the busy one every second case.
    for name in ["t-1", "t-2", "t-3", "t-4"] {
        side.giver.ask(give(case(name))).await.unwrap();
        let outcome = side.outcome().await;

        assert!(matches!(&outcome, Outcome::Accepted { by, .. } if *by == path("idle")), "{outcome:?}");
    }
    gate.open();
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn equally_loaded_members_take_turns() {
    let runtime = runtime().await;
    let mut members = Vec::new();
    for name in ["a", "b"] {
        let member = runtime.spawn_spec(taker(name, Manner::Takes, &Board::default())).await.unwrap();
        members.push(member.into());
    }
    let side = Side::plain(&runtime, [(billing(), members)]).await;

    let mut takers = Vec::new();
    for name in ["t-1", "t-2", "t-3", "t-4"] {
        side.giver.ask(give(case(name))).await.unwrap();
        let Outcome::Accepted { by, .. } = side.outcome().await else { panic!("both take") };
        takers.push(by.to_string());
    }

    assert_eq!(takers, ["a", "b", "a", "b"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_offers_nothing() {
    let runtime = stored(MemoryStore::new()).await;
    let board = Board::default();
    let taker = runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime, [(billing(), vec![taker.into()])]).await;

    let failed = side.giver.ask(Give { offer: case("t-1"), fails: true }).await;
    side.giver.ask(give(case("t-2"))).await.unwrap();
    let outcome = side.outcome().await;

    assert!(matches!(failed, Err(AskError::Refused { .. })));
    assert!(matches!(outcome, Outcome::Accepted { id, .. } if id.case == "t-2"));
    assert_eq!(board.lines(), ["offered t-2/1 as billing", "took t-2/1"]);
    assert!(side.heard_nothing().await);
    end(runtime).await;
}

/// Goal: whoever hears of an offer finds the case stored at its giver, whatever falls next.
/// Method: the giver's commit is held; the taker answers a question meanwhile, so it was free to hear the offer.
#[tokio::test(start_paused = true)]
async fn an_offer_leaves_only_when_the_case_is_stored_at_its_giver() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = stored(store.clone()).await;
    let board = Board::default();
    let taker = runtime.spawn_spec(taker("taker", Manner::Takes, &board)).await.unwrap();
    let side = Side::durable(&runtime, [(billing(), vec![taker.clone().into()])]).await;
    let next = store.commits() + 1;
    let held = store.hold_commits();

    side.giver.tell(give(case("t-1"))).await.unwrap();
    soon(store.commit_arrived(next)).await;
    taker.ask(case("other")).await.unwrap();
    let before = board.lines();
    drop(held);
    side.outcome().await;

    assert_eq!(before, ["offered other/1 as billing", "took other/1"]);
    assert_eq!(board.lines()[2..], ["offered t-1/1 as billing", "took t-1/1"]);
    end(runtime).await;
}

/// Goal: a giver that forgets a case leaves it in the store of somebody else.
/// Method: the taker's commit is held after its handler is done; until it is let go the giver has heard nothing.
#[tokio::test(start_paused = true)]
async fn the_acceptance_of_a_durable_taker_leaves_only_after_its_commit() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let runtime = stored(store.clone()).await;
    let board = Board::default();
    let spec = taker("taker", Manner::Takes, &board).durable(SnapshotPolicy::EveryMessage);
    let taker = runtime.spawn_spec(spec).await.unwrap();
    let side = Side::plain(&runtime, [(billing(), vec![taker.into()])]).await;
    let next = store.commits() + 1;
    let held = store.hold_commits();

    side.giver.ask(give(case("t-1"))).await.unwrap();
    soon(store.commit_arrived(next)).await;
    let (taken, open, nothing) = (board.lines(), side.open().await, side.heard_nothing().await);
    drop(held);
    let outcome = side.outcome().await;

    assert_eq!(taken, ["offered t-1/1 as billing", "took t-1/1"]);
    assert_eq!((open, nothing), (vec!["t-1".to_owned()], true));
    assert!(matches!(outcome, Outcome::Accepted { .. }));
    assert!(side.open().await.is_empty());
    end(runtime).await;
}

/// Goal: a giver that dies between offer and answer loses no case and hands none over twice.
/// Method: it is killed while the taker, which has the case already, stands in its gate.
#[tokio::test(start_paused = true)]
async fn a_giver_that_restarts_offers_again_with_the_same_id_and_the_case_is_taken_once() {
    let runtime = stored(MemoryStore::new()).await;
    let (board, gate) = (Board::default(), Gate::new());
    let spec = taker("taker", Manner::TakesSlowly(gate.clone()), &board);
    let taker = runtime.spawn_spec(spec.durable(SnapshotPolicy::EveryMessage)).await.unwrap();
    let side = Side::durable(&runtime, [(billing(), vec![taker.into()])]).await;
    side.giver.ask(give(case("t-1"))).await.unwrap();
    gate.entered().await;

    side.giver.kill();
    let again = side.board.until(1).await;
    let open = side.open().await;
    gate.open();
    let outcome = side.outcome().await;

    assert_eq!((again, open), (vec!["again t-1/1".to_owned()], vec!["t-1".to_owned()]));
    assert!(matches!(outcome, Outcome::Accepted { id, .. } if id == case("t-1").id));
    let offered = "offered t-1/1 as billing";
    assert_eq!(board.lines(), [offered, "took t-1/1", offered]);
    assert!(side.open().await.is_empty());
    assert!(side.heard_nothing().await, "the first answer went to the life before");
    end(runtime).await;
}
