//! The supervision tree of the support desk, and who takes offers for which role.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use greenroom::prelude::*;

use crate::team::archive::Archive;
use crate::team::case::{Case, Job};
use crate::team::escalation::Escalation;
use crate::team::front_desk::FrontDesk;
use crate::team::human::Human;
use crate::team::specialist::Specialist;

/// Members of each pool.
const POOL: u32 = 4;

/// Who takes offers for which role; a resource of the runtime.
pub(crate) fn roles() -> Roles<Case> {
    let pool = |job: Job| (1..=POOL).map(move |n| address::<Specialist>(&format!("{}/{n}", job.name())));
    Roles::new()
        .members(Job::Escalation.role(), [address::<Escalation>(Job::Escalation.name())])
        .members(Job::Billing.role(), pool(Job::Billing))
        .members(Job::Technical.role(), pool(Job::Technical))
}

/// Where those work who are asked from outside the tree.
pub(crate) struct Desk {
    pub(crate) front_desk: ActorRef<FrontDesk>,
    pub(crate) archive: ActorRef<Archive>,
}

/// Starts the team.
pub(crate) async fn open(runtime: &Runtime, out: PathBuf, think: Duration) -> Result<Desk, Box<dyn Error>> {
    let support = runtime.supervise(tree(out, think)).await?;
    Ok(Desk { front_desk: support.actor(Job::FrontDesk.name())?, archive: support.actor("archive")? })
}

/// Those who take stand before those who give: they start first and stop last.
fn tree(out: PathBuf, think: Duration) -> Supervisor {
    supervisor("support")
        .child(ChildSpec::actor::<Archive>("archive", out))
        .child(ChildSpec::actor::<Human>("human", think))
        .child(durable::<Escalation>(Job::Escalation.name(), ()))
        .child(pool(Job::Billing))
        .child(pool(Job::Technical))
        .child(durable::<FrontDesk>(Job::FrontDesk.name(), ()))
}

fn pool(job: Job) -> ChildSpec {
    let members = (1..=POOL).map(|n| durable::<Specialist>(&n.to_string(), job));
    ChildSpec::supervisor(supervisor(job.name()).children(members))
}

/// One for one: who falls over takes nobody along. OTP's usual intensity of a few restarts in some seconds is right
/// where a crash is a bug. Here crashes are the load: with `--crash-rate 0.5 --think-ms 0` hundreds come in a second,
/// and nobody shall give up before all tickets are through.
fn supervisor(name: &str) -> Supervisor {
    Supervisor::named(name).strategy(Strategy::OneForOne).intensity(10_000, Duration::from_secs(1))
}

/// Everybody who holds cases has them on disk before a word leaves. A message they fall over comes three times more.
fn durable<A: Durable<Inbox: greenroom::DurableInbox>>(name: &str, args: A::Args) -> ChildSpec {
    ChildSpec::of(ActorSpec::<A>::new(name, args).durable().redeliveries(3))
}

fn address<A: Actor>(name: &str) -> Address<A> {
    Address::new(ActorPath::parse(&format!("support/{name}")).expect("names of the team are path segments"))
}

pub(crate) fn archive_address() -> Address<Archive> {
    address("archive")
}

pub(crate) fn human_address() -> Address<Human> {
    address("human")
}
