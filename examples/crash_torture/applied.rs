//! What an actor has applied: which of the work, whether any of it twice, and whether in order. Its size has a bound.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::item::{Item, Lane};

/// Part of the state of each actor, and so committed with whatever it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    /// How far each lane has come.
    next: BTreeMap<Lane, u64>,
    /// What was passed over on the way and has not come yet. Empty as long as all goes well.
    missing: BTreeSet<(Lane, u64)>,
    twice: u64,
    reordered: u64,
}

impl Applied {
    pub(crate) fn add(&mut self, item: Item) {
        let (lane, index) = (item.lane(), item.index());
        let next = self.next.entry(lane).or_default();
        if index >= *next {
            // Something before it is late, or lost: the end will tell.
            self.reordered += u64::from(index > *next);
            self.missing.extend((*next..index).map(|index| (lane, index)));
            *next = index + 1;
        } else if !self.missing.remove(&(lane, index)) {
            self.twice += 1;
        }
    }

    pub(crate) fn has(&self, lane: Lane, index: u64) -> bool {
        index < self.next(lane) && !self.missing.contains(&(lane, index))
    }

    pub(crate) fn next(&self, lane: Lane) -> u64 {
        self.next.get(&lane).copied().unwrap_or_default()
    }

    /// How many of the lane were applied.
    pub(crate) fn count(&self, lane: Lane) -> u64 {
        self.next(lane) - self.missing.iter().filter(|(of, _)| *of == lane).count() as u64
    }

    /// How many of all lanes.
    pub(crate) fn total(&self) -> u64 {
        self.next.keys().map(|lane| self.count(*lane)).sum()
    }

    /// What all of it is worth.
    pub(crate) fn money(&self) -> i64 {
        self.next
            .keys()
            .map(|lane| i64::try_from(self.count(*lane)).unwrap_or(i64::MAX) * lane.amount())
            .sum()
    }

    pub(crate) fn twice(&self) -> u64 {
        self.twice
    }

    pub(crate) fn reordered(&self) -> u64 {
        self.reordered
    }
}
