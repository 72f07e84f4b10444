//! The team: who works at the support desk, and how a case goes from one to the next.
//!
//! ```text
//! support ─┬─ archive            writes finished tickets, each once
//!          ├─ human              the (scripted) person behind the escalation desk
//!          ├─ escalation         puts a case before the person, waits without blocking
//!          ├─ billing ──┬─ 1 … 4 a pool of specialists
//!          ├─ technical ┴─ 1 … 4
//!          └─ front-desk         triage
//! ```

mod archive; // the out file, as an actor
mod case; // what is handed over, and the roles it goes to
mod escalation; // a wait for a person: state and a message, never an open handler
mod front_desk; // triage
mod giver; // what everybody does who hands cases over
mod human; // the person
mod outbox; // offered, not accepted yet: still ours
mod roster; // the supervision tree, and who takes offers for which role
mod specialist; // billing and technical
mod work; // what every role does around its work on a ticket

pub(crate) use archive::{Archive, Finish, WhenFinished};
pub(crate) use case::{Case, Job, Offer, OfferOutcome, finished};
pub(crate) use front_desk::{FrontDesk, NewTicket, first_offer};
pub(crate) use outbox::{AfterFailure, after_failure};
pub(crate) use roster::{Desk, open, roles};
