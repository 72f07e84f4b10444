//! The log in front of the engine: a group is acknowledged once it is here, and given to the engine later.
//!
//! sled writes each batch in two parts, on threads of its own, all seven of which are woken for each part: two thirds of what a
//! flush took. Here a group is one write and one sync. What the engine does not have yet stands in memory as well, in front of
//! what it has, and goes over in large portions, in which most of it is written over or gone again.
//!
//! There are two logs, which take turns: one takes the groups of a round while a thread of ours gives the round before to the
//! engine. A group waits only where both are full.
//!
//! While a store is open nothing is taken out of a log. The engine's commit number says what of them counts: each frame carries
//! the number at which its round began, and the number of the engine rises as the last of what goes over. So a round counts
//! whole, or not at all, whatever instant the process ends at; and what is given over twice is the same the second time.

mod frame; // a group as it stands in a log
mod log; // a log
mod recovery; // what of the logs counts when a store is opened
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

pub(super) use log::LogSync;

use log::LogFile;

use crate::store::error::catching;
use crate::store::layout::{self, Engine, Entries, Writes};
use crate::store::plan::behind;
use crate::store::record::STORE_HEAD_KEY;
use crate::store::{CommitSeq, StoreError, StoreHead, StoreId};
use crate::sync::lock;

/// How many writes of the engine a round is given in, at most about: sled deadlocks when too much is in flight, and whoever
/// reads waits for the end of one.
const PORTIONS: u64 = 64;
/// The same while nobody reads, for a group waits until the engine has the round, or the store is opened or closed: each
/// write takes three turns of the disk, and a store whose group takes ten seconds counts as stalled.
const FEW_PORTIONS: u64 = 16;

/// An engine with the logs in front of it.
pub(super) struct Front<E> {
    shared: Arc<Shared<E>>,
    sync: LogSync,
    giver: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<E> {
    engine: E,
    /// Length of a log from which on it is given to the engine.
    round_bytes: u64,
    state: Mutex<State>,
    /// A round waits to be given, or was, or could not be.
    changed: Condvar,
    /// How many wait until the round before is given.
    waiting: AtomicUsize,
}

struct State {
    logs: [LogFile; 2],
    /// Which log takes the groups.
    turn: usize,
    /// What is in that log.
    young: Round,
    /// What is in the other one, until the engine has it.
    older: Option<Arc<Round>>,
    /// Why a round could not be given: the end of this opening.
    failed: Option<StoreError>,
    ends: bool,
}

/// What is in one log.
#[derive(Default)]
struct Round {
    /// What the engine has when everything before was given to it.
    begun: CommitSeq,
    newest: CommitSeq,
    /// Where the next frame goes.
    end: u64,
    /// The checksum of the frame before; 0 for none.
    last: u32,
    /// All that is in the frames, later ones over earlier ones. With the store's head, unless it is empty.
    writes: Writes,
}

impl<E: Engine + Send + Sync + 'static> Front<E> {
    /// Puts the logs at `paths` in front of `engine`. What is in them counts from [`recover`](Front::recover) on.
    pub(super) fn new(engine: E, paths: [PathBuf; 2], sync: LogSync, round_bytes: u64) -> io::Result<Self> {
        let [zero, one] = paths;
        let logs = [LogFile::open(zero)?, LogFile::open(one)?];
        let state = State { logs, turn: 0, young: Round::default(), older: None, failed: None, ends: false };
        let (state, changed, waiting) = (Mutex::new(state), Condvar::new(), AtomicUsize::new(0));
        let shared = Shared { engine, round_bytes, state, changed, waiting };
        Ok(Front { shared: Arc::new(shared), sync, giver: Mutex::default() })
    }

    /// Gives to the engine what is in the logs and was not given to it before. To be called first. `acknowledged` is what the
    /// file `marker` says.
    ///
    /// # Errors
    ///
    /// [`StoreError::LogDamaged`] and [`StoreError::Shortened`] if that is not all that was acknowledged. Nothing was changed.
    pub(super) fn recover(&self, acknowledged: CommitSeq, marker: &Path) -> Result<(), StoreError> {
        let state = &mut *lock(&self.shared.state);
        let head = layout::head(&self.shared.engine)?;
        let (writes, newest) = recovery::what_counts(&mut state.logs, &head, acknowledged, marker)?;
        state.young = Round { writes, newest, ..Round::begun_at(head.seq) };
        self.shared.give_young(state)
    }

    /// Gives everything to the engine, and empties the logs.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.shared.give_young(&mut *self.shared.when_older_is_given(lock(&self.shared.state))?)
    }

    /// Writes past the logs, for tests that damage records.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn apply_beneath(&self, writes: Writes) -> Result<(), StoreError> {
        let mut state = self.shared.when_older_is_given(lock(&self.shared.state))?;
        self.shared.give_young(&mut state)?;
        self.shared.engine.apply(writes)?;
        // A head that was damaged tells no number; whoever asks finds that.
        state.young =
            layout::position(&self.shared.engine).map_or_else(|_| Round::default(), Round::begun_at);
        Ok(())
    }

    /// Bytes in the logs that the engine has yet to take.
    pub(super) fn pending_bytes(&self) -> u64 {
        let state = lock(&self.shared.state);
        state.young.end + state.older.as_ref().map_or(0, |older| older.end)
    }

    pub(super) fn engine(&self) -> &E {
        &self.shared.engine
    }

    /// The round is full: the other log takes the groups from now on, and this one is given to the engine.
    fn turn_over<'a>(&'a self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, StoreError> {
        let mut state = self.shared.when_older_is_given(state)?;
        let next = 1 - state.turn;
        state.logs[next].rewind()?;
        state.turn = next;
        let begun = state.young.newest;
        let full = std::mem::replace(&mut state.young, Round::begun_at(begun));
        state.older = Some(Arc::new(full));
        if self.has_giver() {
            self.shared.changed.notify_all();
            Ok(state)
        } else {
            // Where no thread is to be had, this one gives.
            self.shared.give_older(state)
        }
    }

    /// Starts the thread that gives, with the first round that is full.
    fn has_giver(&self) -> bool {
        let mut giver = lock(&self.giver);
        if giver.is_none() {
            let shared = Arc::clone(&self.shared);
            let started = Builder::new().name("greenroom-store-log".into()).spawn(move || shared.give_on());
            *giver = started
                .inspect_err(|error| tracing::warn!(%error, "groups wait for the engine of the store"))
                .ok();
        }
        giver.is_some()
    }
}

impl<E> Drop for Front<E> {
    fn drop(&mut self) {
        lock(&self.shared.state).ends = true;
        self.shared.changed.notify_all();
        if let Some(giver) = lock(&self.giver).take() {
            // It panics nowhere: the engine's panics are caught.
            let _ended = giver.join();
        }
    }
}

impl<E> fmt::Debug for Front<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("round_bytes", &self.shared.round_bytes).finish_non_exhaustive()
    }
}

impl<E: Engine> Shared<E> {
    /// What the thread does. A round that it does not come to before the end stays in its log.
    fn give_on(&self) {
        let mut state = lock(&self.state);
        while !state.ends && state.failed.is_none() {
            state = if state.older.is_some() {
                match self.give_older(state) {
                    Ok(state) => state,
                    Err(_told_to_whoever_comes_next) => return,
                }
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    fn give_older<'a>(&'a self, state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>, StoreError> {
        let Some(older) = state.older.clone() else { return Ok(state) };
        drop(state);
        let given = catching(|| older.give_to(&self.engine, || self.portion_bytes()));
        let mut state = lock(&self.state);
        self.changed.notify_all();
        match given {
            Ok(()) => {
                state.older = None;
                Ok(state)
            }
            Err(error) => {
                let error = if error.is_final() { error } else { error.into_failed() };
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// A failure leaves everything as it was, but for what the engine has twice then.
    fn give_young(&self, state: &mut State) -> Result<(), StoreError> {
        state.young.give_to(&self.engine, || self.bytes_of_one_of(FEW_PORTIONS))?;
        state.logs.iter_mut().try_for_each(LogFile::clear)?;
        (state.turn, state.young) = (0, Round::begun_at(state.young.newest));
        Ok(())
    }

    fn portion_bytes(&self) -> usize {
        self.bytes_of_one_of(if self.waiting.load(Relaxed) > 0 { FEW_PORTIONS } else { PORTIONS })
    }

    fn bytes_of_one_of(&self, portions: u64) -> usize {
        usize::try_from(self.round_bytes / portions).unwrap_or(usize::MAX)
    }

    fn when_older_is_given<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Result<MutexGuard<'a, State>, StoreError> {
        self.waiting.fetch_add(1, Relaxed);
        while state.older.is_some() && state.failed.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.waiting.fetch_sub(1, Relaxed);
        state.unless_failed()?;
        Ok(state)
    }

    /// The state, unless a round could not be given. Held while the engine is read: what goes over meanwhile is the same in
    /// the round and in the engine.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = lock(&self.state);
        state.unless_failed()?;
        Ok(state)
    }
}

impl State {
    fn unless_failed(&self) -> Result<(), StoreError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn append(&mut self, writes: Writes, sync: LogSync) -> Result<(), StoreError> {
        let Some(head) = frame::head_of(&writes) else { return Err(StoreError::HeadDamaged) };
        let (frame, crc) = frame::frame(&writes, self.young.begun, self.young.last)?;
        self.logs[self.turn].append(&frame, sync)?;
        self.young.end += frame.len() as u64;
        (self.young.last, self.young.newest) = (crc, head.seq);
        self.young.writes.extend(writes);
        Ok(())
    }

    /// What stands in front of the engine for `key`; `Some(None)` if it is removed.
    fn in_front(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        let of_older = || self.older.as_ref()?.writes.get(key);
        self.young.writes.get(key).or_else(of_older)
    }

    /// All that stands in front of the engine for keys that start with `prefix`.
    fn under(&self, prefix: &[u8]) -> BTreeMap<&Vec<u8>, &Option<Vec<u8>>> {
        let rounds = self.older.as_deref().into_iter().chain([&self.young]);
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let of = |round| Round::range(round, from).take_while(|(key, _)| key.starts_with(prefix));
        rounds.flat_map(of).collect()
    }

    /// The first key in `range` that stands in front of the engine and is not removed.
    fn next_key(&self, range: (Bound<&[u8]>, Bound<&[u8]>)) -> Option<&Vec<u8>> {
        let is_there = |key: &[u8]| self.in_front(key).is_some_and(Option::is_some);
        let rounds = self.older.as_deref().into_iter().chain([&self.young]);
        rounds.filter_map(|round| round.range(range).map(|(key, _)| key).find(|key| is_there(key))).min()
    }
}

impl Round {
    fn begun_at(begun: CommitSeq) -> Self {
        Round { begun, newest: begun, ..Round::default() }
    }

    /// Whether the next group goes into the other log. Not without a commit in this one: rounds are told by their numbers, and
    /// the word that the store was left in order raises none.
    fn is_full(&self, round_bytes: u64) -> bool {
        self.end >= round_bytes && self.newest > self.begun
    }

    fn range<'a>(
        &'a self,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> + use<'a> {
        self.writes.range::<[u8], _>(range)
    }

    fn give_to(&self, engine: &impl Engine, portion_bytes: impl Fn() -> usize) -> Result<(), StoreError> {
        let (mut portion, mut len) = (Writes::new(), 0);
        if self.begun == CommitSeq(0)
            && let Some(head) = frame::head_of(&self.writes)
        {
            // An engine with records and without a head would count as damaged.
            portion.insert(STORE_HEAD_KEY.to_vec(), Some(StoreHead::empty(head.id).seal()));
        }
        for (key, value) in &self.writes {
            // Come and gone within the round, as most messages are.
            let is_gone_already = || Ok(value.is_none() && engine.get(key)?.is_none());
            if key == STORE_HEAD_KEY || is_gone_already()? {
                continue;
            }
            len += key.len() + value.as_ref().map_or(0, Vec::len);
            portion.insert(key.clone(), value.clone());
            if len >= portion_bytes() {
                engine.apply(std::mem::take(&mut portion))?;
                len = 0;
            }
        }
        // Last, so that the round counts until all of it is there.
        if let Some((head, value)) = self.writes.get_key_value(STORE_HEAD_KEY) {
            portion.insert(head.clone(), value.clone());
            engine.apply(portion)?;
        }
        Ok(())
    }
}

impl<E: Engine + Send + Sync + 'static> Engine for Front<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.shared.state()?;
        match state.in_front(key) {
            Some(value) => Ok(value.clone()),
            None => self.shared.engine.get(key),
        }
    }

    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        let state = self.shared.state()?;
        let mut entries = self.shared.engine.entries(prefix)?;
        let in_front = state.under(prefix);
        if !in_front.is_empty() {
            entries.retain(|(key, _)| !in_front.contains_key(key));
            let there = in_front.into_iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
            entries.extend(there);
            entries.sort_unstable();
        }
        Ok(entries)
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let state = self.shared.state()?;
        let mut keys = self.shared.engine.keys(prefix)?;
        let in_front = state.under(prefix);
        if !in_front.is_empty() {
            keys.retain(|key| !in_front.contains_key(key));
            keys.extend(
                in_front.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key.clone()),
            );
            keys.sort_unstable();
        }
        Ok(keys)
    }

    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.shared.state()?;
        let mut beneath = self.shared.engine.next_key(from)?;
        while let Some(key) = &beneath
            && state.in_front(key).is_some_and(Option::is_none)
        {
            beneath = self.shared.engine.next_key(&behind(key.clone()))?;
        }
        // No further than that: what is removed in front may be much.
        let until = beneath.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        Ok(state.next_key((Bound::Included(from), until)).cloned().or(beneath))
    }

    fn apply(&self, writes: Writes) -> Result<(), StoreError> {
        let mut state = self.shared.state()?;
        if state.young.is_full(self.shared.round_bytes) {
            state = self.turn_over(state)?;
        }
        state.append(writes, self.sync)
    }

    fn fresh_id(&self) -> StoreId {
        self.shared.engine.fresh_id()
    }
}
