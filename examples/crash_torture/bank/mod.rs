//! The bank: durable actors through which the work goes.
//!
//! ```text
//! client ─┬─► account ─► account                 a transfer: debit, credit
//!         ├─► reception ─► payment ─?─► shipping an order, with steps at the server; the last hop is a question
//!         ├─► giver ◄─► taker                    a case that is handed over
//!         └─► ticker ─► itself, later            a reminder
//! ```

mod accounts; // money
mod door; // where work comes in
mod handoffs; // cases that change hands
mod open; // who lives in the bank
mod orders; // steps at the server
mod timers; // reminders

use greenroom::Message;
use serde::Deserialize;

use crate::item::Item;

pub(crate) use accounts::{Account, Credit, Debit};
pub(crate) use door::hand_in;
pub(crate) use handoffs::{Giver, IN_WORK, NewCase, Offered, Taker};
pub(crate) use open::{killable, open, payments, tickers};
pub(crate) use orders::{NewOrder, Pay, Payment, Reception, Ship, Shipping};
pub(crate) use timers::{BEAT, Beat, Due, IsQuiet, Remind, Ticker};

/// Declares a message that carries one piece of work.
macro_rules! work_message {
    ($name:ident, $stable:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
        pub(crate) struct $name {
            pub(crate) item: crate::item::Item,
        }
        impl greenroom::Message for $name {
            type Reply = ();
            const NAME: Option<&'static str> = Some($stable);
        }
        impl greenroom::DurableMessage for $name {}
    };
}
use work_message;

/// What every stored message of the bank has in it.
#[derive(Deserialize)]
pub(crate) struct Carried {
    pub(crate) item: Item,
}

/// The stable name of a message of the bank.
pub(crate) const fn name<M: Message>() -> &'static str {
    match M::NAME {
        Some(name) => name,
        None => "",
    }
}
