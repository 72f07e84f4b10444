//! Output while it is made, before anybody knows that it counts.

/// Provisional output of a turn, for whoever shows it while it is made. It counts when the handler has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputEvent<'a> {
    /// An attempt at this call begins: nothing that was told of the call before counts any more. Sent before each attempt,
    /// also the first: after a crash nobody knows what an earlier process has told.
    Superseded {
        /// The key of the call, the same for all its attempts.
        call: &'a str,
        /// Which attempt of this life, from 0.
        attempt: u32,
    },
    /// More text.
    Text {
        /// The key of the call.
        call: &'a str,
        /// Which attempt of this life.
        attempt: u32,
        /// What was added.
        added: &'a str,
    },
}

/// Hears of provisional output. It must return at once.
pub(super) type OutputObserver = dyn Fn(OutputEvent<'_>) + Send + Sync;
