//! How long a child may take to stop.

use std::time::Duration;

/// Says how a supervisor stops a child. Default: [`Shutdown::WORKER`], five seconds, as in OTP.
///
/// Children stop one after the other in reverse start order, each with its own patience; so the longest stop of a
/// supervisor is the sum over its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Killed without being asked (OTP's `brutal_kill`).
    Brutal,
    /// Asked to stop, and killed when it has not ended within this time, which is at least a millisecond.
    Within(Duration),
    /// Asked to stop, and waited for however long it takes. Right for a supervisor, which has to stop its own
    /// children first; for any other child it lets one handler hold up the whole stop.
    Infinity,
}

impl Shutdown {
    /// What a worker gets unless its spec says otherwise: five seconds.
    pub const WORKER: Shutdown = Shutdown::Within(Duration::from_secs(5));
    /// What a child supervisor gets unless its spec says otherwise: all the time it needs.
    pub const SUPERVISOR: Shutdown = Shutdown::Infinity;
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::WORKER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_5000_ms_and_a_supervisor_all_the_time_it_needs() {
        assert_eq!(Shutdown::default(), Shutdown::Within(Duration::from_millis(5_000)));
        assert_eq!(Shutdown::SUPERVISOR, Shutdown::Infinity);
    }
}
