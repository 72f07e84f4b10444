//! Who lives in the bank: half of each kind under a supervisor that names them, half started one by one.

use std::error::Error;
use std::time::Duration;

use greenroom::{
    ActorRef, ActorSpec, Address, ChildSpec, Durable, DurableInbox, DynamicSupervisor, Runtime, SuperviseExt,
    Supervisor,
};

use super::{Account, Giver, Payment, Reception, Shipping, Taker, Ticker};
use crate::item::{ACCOUNTS, COUNTERS, TAKERS, is_dynamic, path};
use crate::told::Told;

/// The bank's own troubles must not make a supervisor give up.
const RESTARTS_MAX: u32 = 100_000;

/// So often the process may end while the same message is first in line: that says nothing about the message here.
const PROCESS_ENDS: u32 = u32::MAX;

/// Starts everybody, all kinds at a time. Of those that are started while the bank runs, the ones with something to see to
/// come back by themselves: only the others are started, and the parent is told which those are.
///
/// # Errors
///
/// Somebody cannot be started.
pub(crate) async fn open(runtime: &Runtime, told: &Told) -> Result<(), Box<dyn Error>> {
    tokio::try_join!(
        start::<Account>(runtime, told, "account", ACCOUNTS),
        start::<Reception>(runtime, told, "reception", COUNTERS),
        start::<Payment>(runtime, told, "payment", COUNTERS),
        start::<Shipping>(runtime, told, "shipping", COUNTERS),
        start::<Giver>(runtime, told, "giver", COUNTERS),
        start::<Taker>(runtime, told, "taker", TAKERS),
        start::<Ticker>(runtime, told, "ticker", COUNTERS),
    )?;
    Ok(())
}

async fn start<A>(runtime: &Runtime, told: &Told, kind: &str, count: u8) -> Result<(), Box<dyn Error>>
where
    A: Durable<Args = u8>,
    A::Inbox: DurableInbox,
{
    let mut named = Supervisor::named(kind).intensity(RESTARTS_MAX, Duration::from_secs(1));
    for n in (0..count).filter(|n| !is_dynamic(*n)) {
        let spec = ActorSpec::<A>::new(n.to_string(), n).process_ends(PROCESS_ENDS).durable();
        named = named.child(ChildSpec::of(spec));
    }
    let more = DynamicSupervisor::<A>::named(format!("{kind}-more"))
        .intensity(RESTARTS_MAX, Duration::from_secs(1))
        .each(|spec| spec.process_ends(PROCESS_ENDS))
        .durable();
    let (_, more) = tokio::try_join!(runtime.supervise(named), runtime.supervise(more))?;
    let more = more.dynamic::<A>();
    for n in (0..count).filter(|n| is_dynamic(*n)) {
        match more.get(&n.to_string()) {
            Ok(_) => told.say(&format!("back {}", path(kind, n))),
            Err(_) => {
                more.start(&n.to_string(), n).await?;
                told.say(&format!("started {}", path(kind, n)));
            }
        }
    }
    Ok(())
}

/// Those who are killed now and then while the bank runs. A call that was cut is known to the server before the next is
/// made, because it takes them in their order.
pub(crate) fn killable(runtime: &Runtime) -> Vec<greenroom::Place> {
    let kinds = [
        ("giver", COUNTERS),
        ("taker", TAKERS),
        ("reception", COUNTERS),
        ("payment", COUNTERS),
        ("shipping", COUNTERS),
        ("account", ACCOUNTS),
        ("ticker", COUNTERS),
    ];
    let paths = kinds.iter().flat_map(|(kind, count)| (0..*count).map(move |n| path(kind, n)));
    paths.filter_map(|path| runtime.place(&path).ok()).collect()
}

/// Those who may be parked.
pub(crate) fn payments(runtime: &Runtime) -> Vec<ActorRef<Payment>> {
    (0..COUNTERS).filter_map(|n| runtime.resolve(&Address::new(path("payment", n))).ok()).collect()
}

/// Those who have something to do as long as they live.
pub(crate) fn tickers(runtime: &Runtime) -> Vec<ActorRef<Ticker>> {
    (0..COUNTERS).filter_map(|n| runtime.resolve(&Address::new(path("ticker", n))).ok()).collect()
}
