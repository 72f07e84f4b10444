//! Who lives in the bank: half of each kind under a supervisor that names them, half started one by one.

use std::error::Error;
use std::time::Duration;

use greenroom::{
    ActorSpec, Address, ChildSpec, Durable, DurableInbox, DynamicSupervisor, Runtime, SuperviseExt,
    Supervisor,
};

use super::{Account, Bell, Front, Giver, Payment, Reception, Shipping, Taker, Ticker};
use crate::item::{ACCOUNTS, COUNTERS, SENDERS, TAKERS, is_dynamic, path};
use crate::outside::Outside;

/// The bank's own troubles must not make a supervisor give up.
const RESTARTS_MAX: u32 = 100_000;

/// Starts everybody, all kinds at a time. Who was started while an earlier life ran is started again from the list here,
/// until the runtime brings such children back by itself.
///
/// # Errors
///
/// Somebody cannot be started.
pub(crate) async fn open(runtime: &Runtime, outside: &Outside) -> Result<(), Box<dyn Error>> {
    tokio::try_join!(
        start::<Front>(runtime, outside, "front", SENDERS),
        start::<Account>(runtime, outside, "account", ACCOUNTS),
        start::<Reception>(runtime, outside, "reception", COUNTERS),
        start::<Payment>(runtime, outside, "payment", COUNTERS),
        start::<Shipping>(runtime, outside, "shipping", COUNTERS),
        start::<Giver>(runtime, outside, "giver", COUNTERS),
        start::<Taker>(runtime, outside, "taker", TAKERS),
        start::<Ticker>(runtime, outside, "ticker", COUNTERS),
        start::<Bell>(runtime, outside, "bell", COUNTERS),
    )?;
    Ok(())
}

async fn start<A>(runtime: &Runtime, outside: &Outside, kind: &str, count: u8) -> Result<(), Box<dyn Error>>
where
    A: Durable<Args = Outside>,
    A::Inbox: DurableInbox,
{
    let mut named = Supervisor::named(kind).intensity(RESTARTS_MAX, Duration::from_secs(1));
    for n in (0..count).filter(|n| !is_dynamic(*n)) {
        named = named.child(ChildSpec::of(ActorSpec::<A>::new(n.to_string(), outside.clone()).durable()));
    }
    let more = DynamicSupervisor::<A>::named(format!("{kind}-more"))
        .intensity(RESTARTS_MAX, Duration::from_secs(1))
        .each(ActorSpec::durable);
    let (_, more) = tokio::try_join!(runtime.supervise(named), runtime.supervise(more))?;
    let more = more.dynamic::<A>();
    for n in (0..count).filter(|n| is_dynamic(*n)) {
        more.start(&n.to_string(), outside.clone()).await?;
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
        ("account", ACCOUNTS),
    ];
    let paths = kinds.iter().flat_map(|(kind, count)| (0..*count).map(move |n| path(kind, n)));
    paths.filter_map(|path| runtime.place(&path).ok()).collect()
}

/// Those who may be parked.
pub(crate) fn payments(runtime: &Runtime) -> Vec<greenroom::ActorRef<Payment>> {
    (0..COUNTERS).filter_map(|n| runtime.resolve(&Address::new(path("payment", n))).ok()).collect()
}
