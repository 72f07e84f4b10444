//! Handoff: a case has one owner at each moment, and its giver hears how the offer went.

mod commits; // what is on disk when an offer or an answer leaves
mod members; // which of those who could take a case is offered it
mod outcomes; // what the giver hears
mod owners; // who owns the case, by its record

use std::collections::BTreeMap;

use greenroom::{
    AcceptExt, Acceptance, Actor, ActorRef, ActorSpec, Address, CaseError, Context, Decision, Durable,
    DurableMessage, Failure, HandOffExt, Handler, Handoff, HandoffId, HandoffOutcome, HandoffPayload,
    Message, Role, Roles, Runtime, Store, inbox,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::support::{Board, Gate, keep, path, soon};

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
            cx.hand_off(offer.clone()).await?;
        }
        Ok(())
    }
}

impl Durable for Giver {
    const NAME: &'static str = "giver";
}

impl Handler<Give> for Giver {
    async fn handle(&mut self, give: Give, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let case = give.offer.id.case.clone();
        if self.open.insert(case.clone(), give.offer.clone()).is_none() {
            match cx.open_case(&case).await {
                Ok(()) | Err(CaseError::NotDurable { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        cx.hand_off(give.offer).await?;
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
        if let HandoffOutcome::Accepted { id, .. } | HandoffOutcome::Over { id, .. } = &outcome {
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
    /// Takes it, and forgets in its state that it did.
    TakesAndForgets,
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
        if self.taken.contains(&offer.id) && !offer.is_recorded {
            return Ok(Decision::Accepted); // of the others the record says it
        }
        match manner {
            Manner::Takes | Manner::TakesSlowly(_) | Manner::TakesAndForgets => {}
            Manner::Refuses => return Ok(Decision::Refused { reason: "not ours".into() }),
            Manner::Panics => panic!("as the test wants"),
        }
        match cx.accept(&offer).await? {
            Acceptance::Taken => {}
            other => return Ok(other.decision()),
        }
        board.write(format!("took {}", offer.id));
        if !matches!(manner, Manner::TakesAndForgets) {
            self.taken.push(offer.id);
        }
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

/// The offer as a durable giver makes it.
fn recorded(offer: Offer) -> Offer {
    Offer { is_recorded: true, from: path("keeper/giver"), ..offer }
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
    fn spec() -> (ActorSpec<Giver>, Board, Mutex<mpsc::UnboundedReceiver<Outcome>>) {
        let (outcomes, heard) = mpsc::unbounded_channel();
        let board = Board::default();
        let desk = Desk { board: board.clone(), outcomes };
        (ActorSpec::new("giver", desk), board, Mutex::new(heard))
    }

    /// A giver without a store.
    async fn plain(runtime: &Runtime) -> Self {
        let (spec, board, heard) = Side::spec();
        Side { giver: runtime.spawn_spec(spec).await.expect("the giver starts"), board, heard }
    }

    /// A durable giver that comes back after a crash.
    async fn durable(runtime: &Runtime) -> Self {
        let (spec, board, heard) = Side::spec();
        let giver = keep(runtime, spec.durable()).await.actor;
        Side { giver, board, heard }
    }

    /// Has the giver make this offer, and waits for the outcome.
    async fn gives(&self, offer: &Offer) -> Outcome {
        self.giver.ask(give(offer.clone())).await.expect("the giver takes every case in");
        self.outcome().await
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

/// The roles with the paths of their members.
fn roles<const N: usize>(members: [(Role, &[&str]); N]) -> Roles<Case> {
    let address = |name: &&str| Address::<Taker>::new(path(name));
    members.into_iter().fold(Roles::new(), |all, (role, names)| all.members(role, names.iter().map(address)))
}

/// One who does billing.
fn team() -> Roles<Case> {
    roles([(billing(), &["taker"])])
}

async fn unstored(roles: Roles<Case>) -> Runtime {
    Runtime::builder().resource(roles).start().await.expect("it starts")
}

async fn stored(store: impl Store, roles: Roles<Case>) -> Runtime {
    Runtime::builder().store(store).resource(roles).start().await.expect("it starts")
}
