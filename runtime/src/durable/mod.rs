//! What makes an actor outlive its incarnation, and its process: how its state is stored, and how each message becomes a
//! transaction.

mod accept; // into an inbox, by way of the store
mod durability; // how a cell stores its state and its mail
mod recall; // what a new life begins with
mod snapshots; // the state alone, now and then
mod transaction; // one message: its state, its sends, its reply, and that it is done

pub(crate) use accept::{accept, record_of, refusal};
pub(crate) use durability::{Durability, Journal, MailForm};
pub(crate) use transaction::deliver;
