//! What admission promises: small cases, and a simulation of five hundred agents.

mod calls;
mod servers;
mod simulation;
