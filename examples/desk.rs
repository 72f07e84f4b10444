//! A durable front desk: a model says who should have a ticket, and a handoff brings it there.
//!
//! `cargo run --example desk`

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::Turn;
use greenroom::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// A ticket from outside, which is also the case that is handed over.
#[derive(Clone, Serialize, Deserialize)]
struct NewTicket(String);
impl Message for NewTicket {
    type Reply = String; // its id
    const NAME: Option<&'static str> = Some("new-ticket");
}
impl DurableMessage for NewTicket {}
impl HandoffPayload for NewTicket {
    const OFFER: &'static str = "ticket-offer";
    const OUTCOME: &'static str = "ticket-outcome";
}

#[derive(Serialize, Deserialize)]
struct Close(String);
impl Message for Close {
    type Reply = ();
    const NAME: Option<&'static str> = Some("close");
}
impl DurableMessage for Close {}

type Offer = Handoff<NewTicket>;
type Outcome = HandoffOutcome<NewTicket>;

#[derive(Default, Serialize, Deserialize)]
struct Desk {
    last: u64,
    /// What nobody has accepted yet: until then a ticket is the desk's.
    open: BTreeMap<String, Offer>,
}

inbox!(durable DeskInbox for Desk: NewTicket, Close, Outcome); // what it handles; checked at compile time

impl Durable for Desk {
    const NAME: &'static str = "desk";
}

impl Actor for Desk {
    type Args = ();
    type Inbox = DeskInbox;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Desk::default())
    }
}

impl Handler<NewTicket> for Desk {
    async fn handle(&mut self, m: NewTicket, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        let mut history = History::new();
        history.user(Origin::Customer, &m.0).map_err(Failure::invalid)?;
        let request = ModelRequest::new("Which team?", history, 1).map_err(Failure::bug)?;
        let team = Role::parse(&cx.model()?.complete(&request).await?.text()).map_err(Failure::external)?;

        self.last += 1;
        let id = format!("t-{}", self.last);
        let offer = Handoff::first(&id, cx.path().clone(), Role::named("desk"), team, m)
            .or_else(Fallback::Next(Role::named("escalation")));
        self.open.insert(id.clone(), offer.clone());
        cx.open_case(&id).await?; // from the commit on, whoever asks finds that it is the desk's
        cx.hand_off(offer).await?; // leaves with the commit
        Ok(id)
    }
}

impl Handler<Outcome> for Desk {
    async fn handle(&mut self, outcome: Outcome, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        if let HandoffOutcome::Accepted { id, .. } = outcome {
            self.open.remove(&id.case); // refused or unheard, it stays
        }
        Ok(())
    }
}

impl Handler<Close> for Desk {
    async fn handle(&mut self, m: Close, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.open.remove(&m.0);
        // The technicians keep nothing: by its record a ticket stays the desk's until it is closed.
        Ok(cx.close_case(&m.0).await?)
    }
}

/// Takes any ticket and says so to the world outside.
struct Technician(mpsc::Sender<Offer>);

impl Actor for Technician {
    type Args = mpsc::Sender<Offer>;
    type Inbox = Open<Self>;
    async fn start(outside: &mpsc::Sender<Offer>) -> Result<Self, Failure> {
        Ok(Technician(outside.clone()))
    }
}

impl Handler<Offer> for Technician {
    async fn handle(&mut self, offer: Offer, _cx: &mut Context<'_, Self>) -> Result<Decision, Failure> {
        self.0.send(offer).await.map_err(Failure::external)?;
        Ok(Decision::Accepted)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secs = Duration::from_secs;
    let folder = tempfile::tempdir()?;
    let model = ScriptedModel::new(|request| {
        let asks_for =
            |word| matches!(&request.history().turns()[0], Turn::User { text, .. } if text.contains(word));
        if asks_for("invoice") { "billing" } else { "technical" }
    });
    let at = |path| ActorPath::parse(path).map(Address::<Technician>::new);
    // Nobody does billing today: what is for them goes to the fallback role.
    let roles = Roles::<NewTicket>::new()
        .members(Role::named("technical"), [at("team/technical")?])
        .members(Role::named("escalation"), [at("team/senior")?]);
    let builder = Runtime::builder().store(SledStore::open(folder.path())?);
    let runtime = builder.resource(ModelHandle::new(model)).resource(roles).start().await?;

    let (outside, mut accepted) = mpsc::channel(8);
    let both = ["technical", "senior"].map(|name| ChildSpec::actor::<Technician>(name, outside.clone()));
    runtime.supervise(Supervisor::named("team").children(both)).await?;
    let desk = ActorSpec::<Desk>::new("desk", ()).durable();
    let desk = ChildSpec::of(desk).restart(Restart::Permanent).shutdown(Shutdown::Within(secs(5)));
    let tree = Supervisor::named("support").strategy(Strategy::OneForOne).intensity(3, secs(10));
    let support = runtime.supervise(tree.child(desk)).await?;

    let desk = support.actor::<Desk>("desk")?;
    for text in ["my lamp is dark", "my invoice is wrong"] {
        let id = desk.ask(NewTicket(text.to_owned())).within(secs(30)).await?;
        let offer = accepted.recv().await.ok_or("nobody is left to accept it")?;
        println!("{id} from {} to {}: {}", offer.from, offer.to, offer.payload.0);
        desk.ask(Close(id)).await?;
    }
    println!("all ended in order: {}", runtime.shutdown(secs(5)).await.is_clean());
    Ok(())
}
