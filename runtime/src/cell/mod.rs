//! What runs it: the cell that lasts, the incarnations that come and go in it, and the seam to ractor and to supervisors.

mod aftermath; // what follows a message that was not handled to its end
mod core;
mod incarnation;
mod lifecycle;
mod look;
mod overseer;
pub(crate) mod place;
mod ractor_bridge;
mod typed;
mod watch;

pub(crate) use core::{CellCore, Keeps};
pub(crate) use lifecycle::LifeEvent;
pub use lifecycle::LifeState;
pub use look::{PastExit, Shown};
pub use overseer::{Flow, Overseer, OverseerContext, OverseerRef};
pub(crate) use place::Seat;
pub use place::{
    ChildExit, InHand, Incarnation, LaunchError, Link, Load, Observation, Place, PlaceSpec, Whereabouts,
};
pub(crate) use typed::{Cell, CellSettings, Terms};
