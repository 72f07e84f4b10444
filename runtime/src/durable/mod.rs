//! What makes an actor outlive its incarnation, and its process: how its state is stored, and how each message becomes a
//! transaction.

mod accept; // into an inbox, by way of the store
mod ahead; // several messages whose commits are under way
mod anchor; // what a call notes while it runs
mod aside; // messages that were laid aside
mod births; // how actors were made
mod cases; // who owns which
mod charged; // a step whose call is charged to a budget
mod durability; // how a cell stores its state and its mail
mod leftovers; // where somebody starts who would not see to it
pub(crate) mod logs; // parts of a state that are appended to
mod parking; // an actor that waits for a decision
mod recall; // what a new life begins with
mod snapshots; // the state alone, now and then
mod step; // one call to the world outside, whose result is kept
mod step_log; // the journal of such calls
mod timers; // those that outlive the process
mod transaction; // one message: its state, its sends, its reply, and that it is done
mod tries; // of a step

pub(crate) use accept::{accept, record_of, refusal};
pub use anchor::{ANCHOR_LEN_MAX, StepAttempt};
pub use aside::TakeUpError;
pub(crate) use births::store_error;
pub use charged::{Billed, ChargedStep};
pub(crate) use durability::{Durability, Journal, MailForm, external};
pub use leftovers::LeftInStore;
pub(crate) use leftovers::Leftovers;
pub(crate) use parking::ParkingPlace;
pub use parking::{Parked, ParkedFor, Resolution};
pub(crate) use step::{Found, StepPlace, Trouble, describe};
pub use step::{Known, STEPS_MAX, Step};
pub use step_log::Effect;
pub(crate) use step_log::{Completion, Recorded, StepLog};
pub(crate) use timers::{TimerChange, Timers, tend};
pub(crate) use transaction::deliver;
