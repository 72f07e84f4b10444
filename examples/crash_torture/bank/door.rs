//! The door: work goes straight to the first actor of its way, under its number as request id.
//!
//! Whoever is not sure hands it in once more: it is the runtime that knows it again.

use std::time::Duration;

use greenroom::{Accepts, Actor, Address, AskError, Handler, Message, Runtime, TellError};

use super::{Account, Debit, Giver, NewCase, NewOrder, Reception, Remind, Ticker};
use crate::item::{Item, Work, path};

const PATIENCE: Duration = Duration::from_secs(20);

/// Hands a piece of work in, and waits until it is accepted; or handled, if it [asks](Item::is_asked) for that.
///
/// # Errors
///
/// In one sentence, why it is not known to be accepted.
pub(crate) async fn hand_in(runtime: &Runtime, item: Item) -> Result<(), String> {
    let lane = item.lane();
    match lane.work() {
        Work::Transfer => {
            send::<Account, _>(runtime, "account", lane.accounts().0, item, Debit { item }).await
        }
        Work::Order => {
            send::<Reception, _>(runtime, "reception", lane.counter(), item, NewOrder { item }).await
        }
        Work::Case => send::<Giver, _>(runtime, "giver", lane.counter(), item, NewCase { item }).await,
        Work::Reminder => send::<Ticker, _>(runtime, "ticker", lane.counter(), item, Remind { item }).await,
    }
}

async fn send<A, M>(runtime: &Runtime, kind: &str, n: u8, item: Item, message: M) -> Result<(), String>
where
    M: Message<Reply = ()>,
    A: Actor + Handler<M>,
    A::Inbox: Accepts<M, A>,
{
    let to = runtime.resolve(&Address::<A>::new(path(kind, n))).map_err(|error| error.to_string())?;
    if item.is_asked() {
        let asked = to.ask(message).with_id(item.request()).within(PATIENCE);
        match asked.await {
            Err(AskError::NotDelivered(TellError::LaidAside { .. })) => Ok(()),
            asked => asked.map_err(|error| error.to_string()),
        }
    } else {
        match to.tell(message).with_id(item.request()).await {
            // Accepted before, when nobody heard of it: it is not lost.
            Err(TellError::LaidAside { .. }) => Ok(()),
            told => told.map_err(|error| error.to_string()),
        }
    }
}
