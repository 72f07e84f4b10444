//! The children of one supervisor in start order, found by name and by place.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_runtime::overseer::ChildExit;
use greenroom_runtime::pages::Pages;

use crate::board::Mark;
use crate::child::Child;
use crate::policy::{ChildFacts, ChildState};

/// A child's place in the start order; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// All steps for one child cost the logarithm of their number, so that one of 100,000 comes back about as fast as one
/// of ten.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Boxed: pages have room for more than there is.
    in_order: Pages<Box<Child>>,
    by_name: BTreeMap<String, Key>,
    next: u64,
}

impl Children {
    /// Adds a child behind all others.
    pub(crate) fn add(&mut self, mut child: Child) -> Key {
        self.next += 1;
        let key = Key(self.next);
        child.rank = self.next;
        child.show(None);
        self.by_name.insert(child.name().to_owned(), key);
        self.in_order.insert(key.0, Box::new(child));
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Child> {
        let child = self.in_order.remove(key.0)?;
        self.by_name.remove(child.name());
        Some(*child)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Child> {
        self.in_order.get(key.0).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Child> {
        self.in_order.get_mut(key.0).map(Box::as_mut)
    }

    pub(crate) fn named(&self, name: &str) -> Option<Key> {
        self.by_name.get(name).copied()
    }

    /// The child whose incarnation has ended so; its place says where it stands.
    pub(crate) fn that_ended(&self, exit: &ChildExit) -> Option<Key> {
        let key = Key(Mark::on(&exit.place)?.rank);
        self.get(key).filter(|child| child.incarnation == Some(exit.incarnation)).map(|_| key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// In start order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.in_order.values().map(Box::as_ref)
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Child> {
        self.in_order.values_mut().map(Box::as_mut)
    }

    /// In start order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.iter().map(|child| Key(child.rank)).collect()
    }

    /// Puts the children into the order of `names`, those not named behind them in the order they had.
    pub(crate) fn arrange(&mut self, names: &[String]) {
        let mut rest = std::mem::take(&mut self.in_order);
        let keys = names.iter().filter_map(|name| self.named(name));
        let named: Vec<Box<Child>> = keys.filter_map(|key| rest.remove(key.0)).collect();
        self.by_name.clear();
        for child in named.into_iter().chain(rest.into_values()) {
            // It waits on, and those who look at the tree still see for how long.
            let due = Mark::on(&child.place).and_then(|mark| mark.due);
            let key = self.add(*child);
            self.get(key).into_iter().for_each(|child| child.show(due));
        }
    }

    /// What the policy may look at: one child, or all of them.
    pub(crate) fn facts(&self, only: Option<Key>) -> (Vec<Key>, Vec<ChildFacts>) {
        match only {
            Some(key) => self.get(key).map(|child| (vec![key], vec![child.facts()])).unwrap_or_default(),
            None => {
                let comes_up: BTreeSet<&str> = self.iter().flat_map(Child::brings_up).collect();
                let facts = |child: &Child| match child.facts() {
                    // Not down for good: whoever it waits for has it in the same group.
                    facts if facts.state == ChildState::Stopped && comes_up.contains(child.name()) => {
                        ChildFacts { state: ChildState::Restarting, ..facts }
                    }
                    facts => facts,
                };
                self.iter().map(|child| (Key(child.rank), facts(child))).unzip()
            }
        }
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.iter().filter(|child| child.state == ChildState::Running).count()
    }
}
