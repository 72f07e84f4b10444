//! The bounds and patiences of a runtime, with their defaults.

use std::time::Duration;

use crate::mailbox::RoomPatience;
use crate::resilience::Backoff;

/// The bounds of a runtime. Every value has a default; change some with `..RuntimeConfig::default()`.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// How long an ask waits for its reply when it names no limit. Default: 5 s.
    pub ask_deadline: Duration,
    /// How long a sender waits for room in a full mailbox when it names no limit. Default: 5 s, in a handler 1 s.
    pub room_patience: RoomPatience,
    /// How long after a kill an incarnation may take to reach an `.await` before it is fenced. Default: 1 s.
    pub kill_grace: Duration,
    /// Waits between the tries of a durable actor's message whose handler failed with `External`. Default: from
    /// 100 ms, doubling, at most 2 s, a fifth of jitter.
    pub external_backoff: Backoff,
    /// How many of the newest dead letters are kept: from 1 to [`KEPT_MAX`], to which other numbers are brought. Default:
    /// 1,024.
    pub dead_letters_kept: usize,
    /// How many events a reader may fall behind before it misses some: from 1 to [`KEPT_MAX`], to which other numbers are
    /// brought. Room for them is taken at the start. Default: 1,024.
    pub events_kept: usize,
    /// How long one group of commits may take before the store counts as stalled: then it is fenced, whoever waits for it
    /// hears [`StoreError::Stalled`](crate::StoreError::Stalled), durable actors refuse, and what it does later is not
    /// released. The thread that hangs in it is left alone; tokio waits for it when its runtime is dropped, unless that is
    /// shut down with a time-out. Default: 10 s.
    pub store_stalls_after: Duration,
    /// Whether the process is aborted when the store stalls: for a service that is started again, and then finds out what was
    /// kept. Default: no.
    pub abort_when_store_stalls: bool,
    /// How long a durable actor keeps the answer to a message with a request id, so that the same request, sent again, is
    /// answered from the record and not handled twice. Default: 24 h.
    pub answers_kept: Duration,
}

/// The most dead letters, and the most events, that a runtime keeps.
pub const KEPT_MAX: usize = 1 << 20;

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            ask_deadline: Duration::from_secs(5),
            room_patience: RoomPatience::default(),
            kill_grace: Duration::from_secs(1),
            external_backoff: Backoff::default(),
            dead_letters_kept: 1_024,
            events_kept: 1_024,
            store_stalls_after: Duration::from_secs(10),
            abort_when_store_stalls: false,
            answers_kept: Duration::from_secs(24 * 3_600),
        }
    }
}
