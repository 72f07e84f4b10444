//! What supervision and tools both need to live with a world that fails.

mod backoff;

pub use backoff::Backoff;
