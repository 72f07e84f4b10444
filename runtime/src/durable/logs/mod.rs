//! The logs of a state: what of them is on disk, what a commit adds, and what a failure goes back to.
//!
//! A state holds of each log a [`Reference`] alone: its number, and which entries it knows. While a state is encoded or
//! read, its logs find their life here, by way of the thread: an encoded one leaves the entries that are not on disk yet,
//! one that is read gets its entries.
//!
//! Two snapshots are kept, and both must find what they know. So a commit deletes what the snapshot does not know that it
//! leaves as the one before: what is trimmed goes one snapshot later. And what lies behind the end of that one, left by a
//! snapshot that was damaged, goes before anything is put in its place.

mod handover; // between a state that is encoded or read and its life, by way of the thread
mod known; // what a life knows of its logs
#[cfg(test)]
mod tests;

pub(crate) use handover::{NO_LOG, Reference, fetch, is_reading, note};
pub(crate) use known::Logs;
pub(in crate::durable) use known::Marks;
