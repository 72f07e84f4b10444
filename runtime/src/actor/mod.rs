//! What an author writes, and the cell and incarnation that run it.

mod behavior;
mod cell;
mod context;
mod durable;
mod exit;
mod inbox;
mod incarnation;
mod lifecycle;
mod overseer;
mod place;
mod ractor_bridge;
mod spec;

pub use behavior::{Actor, Handler};
pub(crate) use cell::{Cell, CellCore, CellSettings};
pub use context::{Context, TimerHandle};
pub(crate) use durable::Durability;
pub use durable::{Durable, MigrateError, SnapshotPolicy};
pub use exit::{ExitPhase, ExitReason};
pub use inbox::{Accepts, DecodeError, DurableInbox, DurableMessage, Inbox, Open};
pub use lifecycle::{LifeEvent, LifeState};
pub use overseer::{Flow, Overseer, OverseerContext, OverseerRef};
pub(crate) use place::Seat;
pub use place::{ChildExit, InHand, Incarnation, LaunchError, Link, Observation, Place, PlaceSpec};
pub use spec::ActorSpec;

pub(crate) use crate::address::Running;
pub use inbox::{again_from_bytes, distinct, upgrade_from};
