//! What the server has seen: each call by its key, and whether it was made again when it should not have been.

use std::collections::{BTreeMap, BTreeSet};

/// The server's memory. The journal of the bank may be wrong; this is what happened.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_key: BTreeMap<String, Call>,
    /// Begun, and not known to be in the journal: what a kill leaves in flight.
    open: BTreeSet<String>,
    /// Made again since the last look, and what the bank has told of meanwhile.
    again: Vec<String>,
    told: BTreeSet<String>,
    parked: BTreeSet<String>,
    figures: CallFigures,
    /// How many lives have ended.
    lives: u32,
    /// What was found wrong, for people who look for a cause.
    findings: Vec<String>,
}

#[derive(Debug)]
struct Call {
    is_once: bool,
    /// In which life it was made last.
    life: u32,
    /// In which life its result was known to be in the journal.
    done: Option<u32>,
}

/// What there is to say about steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallFigures {
    /// Made again although their result was in the journal.
    pub(crate) completed_repeated: u64,
    /// Made again because they were in flight.
    pub(crate) in_flight_repeated: u64,
    /// Of these, the ones that nobody was told of, and effects that must never be made again.
    pub(crate) in_flight_unlisted: u64,
    /// Over which an actor was parked.
    pub(crate) suspected: u64,
    /// Open at the kills, all kills together.
    pub(crate) open_at_kills: u64,
}

impl Calls {
    /// A call arrives, and takes effect.
    pub(crate) fn call(&mut self, key: &str, is_once: bool) {
        let life = self.lives;
        match self.by_key.get_mut(key) {
            None => {
                self.by_key.insert(key.to_owned(), Call { is_once, life, done: None });
                self.open.insert(key.to_owned());
            }
            Some(Call { life: before, done: Some(done), .. }) => {
                self.figures.completed_repeated += 1;
                let finding =
                    format!("{key}: called in life {before}, done in {done}, called again in {life}");
                self.findings.push(finding);
            }
            Some(call) => {
                call.life = life;
                self.again.push(key.to_owned());
            }
        }
    }

    /// The result of a call is in the journal.
    pub(crate) fn done(&mut self, key: &str) {
        if let Some(call) = self.by_key.get_mut(key) {
            call.done.get_or_insert(self.lives);
        }
        self.open.remove(key);
    }

    pub(crate) fn was_made(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The bank tells that it repeats a call.
    pub(crate) fn is_told(&mut self, key: &str) {
        self.told.insert(key.to_owned());
    }

    /// The bank tells that nobody knows whether a call was made. Told again after each kill, it counts once.
    pub(crate) fn is_parked(&mut self, key: &str) {
        if self.parked.insert(key.to_owned()) {
            self.figures.suspected += 1;
        }
        // In this very life it may have been decided before it was told.
        if let Some(done) = self.by_key.get(key).and_then(|call| call.done).filter(|life| *life < self.lives)
        {
            self.figures.completed_repeated += 1;
            self.findings.push(format!("{key}: done in life {done}, and in doubt in life {}", self.lives));
        }
    }

    /// A life has ended, and all that it called and told has arrived.
    pub(crate) fn life_ended(&mut self) {
        for key in std::mem::take(&mut self.again) {
            let is_once = self.by_key.get(&key).is_some_and(|call| call.is_once);
            self.figures.in_flight_repeated += 1;
            if is_once || !self.told.contains(&key) {
                self.figures.in_flight_unlisted += 1;
                self.findings
                    .push(format!("{key}: called again in life {}, and nobody told of it", self.lives));
            }
        }
        self.told.clear();
        self.lives += 1;
        self.figures.open_at_kills += self.open.len() as u64;
    }

    /// What was found wrong since the last look.
    pub(crate) fn take_findings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.findings)
    }

    pub(crate) fn figures(&self) -> CallFigures {
        self.figures
    }
}
