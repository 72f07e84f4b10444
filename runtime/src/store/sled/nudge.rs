//! A nudge for sled, which may wait for a write that has failed.
//!
//! sled 0.34.7 writes the beginning of a batch on a thread of its own, once the batch is complete. If that write fails,
//! the error is noted and nobody is woken (`Log::exit_reservation`): a flush that waits by then waits for good. Each
//! flush that comes later finds the error first, and wakes all who wait. So where a call takes long, another flush is
//! made; on a thread of its own, because it may have to wait as well, and again in growing intervals, because the error
//! may be noted behind it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::sync::lock;

/// How long a call may take before the first nudge; the next comes after twice as long, and so on. A flush takes some
/// milliseconds; a nudge that was not needed costs a thread for a moment.
const FIRST_AFTER: Duration = Duration::from_millis(100);

/// Watches over the calls of one engine, one call at a time.
pub(super) struct Nudges {
    turn: Arc<Turn>,
    nudge: Arc<dyn Fn() + Send + Sync>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Calls that have begun.
    calls: u64,
    is_in_call: bool,
    /// Whether the watch waits for a call to begin, and wants to be told.
    is_idle: bool,
    ends: bool,
}

impl Nudges {
    /// `nudge` may block, and is called again meanwhile.
    pub(super) fn new(nudge: impl Fn() + Send + Sync + 'static) -> Self {
        Nudges { turn: Arc::default(), nudge: Arc::new(nudge), watch: Mutex::default() }
    }

    /// The call lasts until the returned value is dropped. Costs a lock, and a wake-up if there was no call for a while.
    pub(super) fn call(&self) -> Call<'_> {
        self.watch();
        let mut state = lock(&self.turn.state);
        state.calls += 1;
        state.is_in_call = true;
        if state.is_idle {
            self.turn.changed.notify_all();
        }
        Call(&self.turn)
    }

    /// Starts the watch with the first call. Where no thread is to be had the call goes unwatched, and the next one tries.
    fn watch(&self) {
        let mut watch = lock(&self.watch);
        if watch.is_none() {
            let (turn, nudge) = (Arc::clone(&self.turn), Arc::clone(&self.nudge));
            let started =
                Builder::new().name("greenroom-store".into()).spawn(move || turn.watch_with(&nudge));
            *watch =
                started.inspect_err(|error| tracing::warn!(%error, "nobody watches over the store")).ok();
        }
    }
}

impl fmt::Debug for Nudges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nudges")
    }
}

impl Drop for Nudges {
    fn drop(&mut self) {
        lock(&self.turn.state).ends = true;
        self.turn.changed.notify_all();
        if let Some(watch) = lock(&self.watch).take() {
            // It panics nowhere, and never waits for a nudge.
            let _ended = watch.join();
        }
    }
}

/// A call of the engine that is under way.
pub(super) struct Call<'a>(&'a Turn);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).is_in_call = false;
    }
}

impl Turn {
    fn watch_with(&self, nudge: &Arc<dyn Fn() + Send + Sync>) {
        let mut state = lock(&self.state);
        loop {
            while !state.is_in_call && !state.ends {
                state.is_idle = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.is_idle = false;
            let (call, mut patience) = (state.calls, FIRST_AFTER);
            loop {
                let waited = self.changed.wait_timeout(state, patience);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                if state.ends {
                    return;
                }
                if !state.is_in_call || state.calls != call {
                    break;
                }
                drop(state);
                let nudge = Arc::clone(nudge);
                let nudged = Builder::new().name("greenroom-nudge".into()).spawn(move || nudge());
                match nudged {
                    Ok(_ends_by_itself) => tracing::debug!(?patience, "the engine was nudged"),
                    Err(error) => tracing::warn!(%error, "the engine cannot be nudged"),
                }
                patience = patience.saturating_mul(2);
                state = lock(&self.state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Goal: an error that is noted only behind the first nudge. Method: each nudge blocks until the call has ended.
    #[test]
    fn a_call_that_takes_long_is_nudged_again_though_the_nudges_wait_themselves() {
        let (tell, nudged) = sync_channel(100);
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let seen = Arc::clone(&ended);
        let nudges = Nudges::new(move || {
            tell.send(()).unwrap();
            let _has_ended = seen.1.wait_while(seen.0.lock().unwrap(), |ended| !*ended).unwrap();
        });

        for _ in 0..2 {
            let call = nudges.call();
            (0..3).for_each(|_| nudged.recv().unwrap());
            drop(call);
        }

        *ended.0.lock().unwrap() = true;
        ended.1.notify_all();
        drop(nudges);
        while nudged.recv().is_ok() {} // until the last nudge has ended
    }

    #[test]
    fn whoever_is_not_in_a_call_is_not_nudged() {
        let (tell, nudged) = sync_channel(100);
        let nudges = Nudges::new(move || tell.send(()).unwrap());
        drop(nudges.call());

        drop(nudges);

        assert!(nudged.recv().is_err(), "the watch has ended, and nobody was nudged");
    }
}
