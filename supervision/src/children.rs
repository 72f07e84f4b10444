//! The children of one supervisor in start order, found by name and by incarnation.

use std::collections::BTreeMap;

use greenroom_runtime::overseer::Incarnation;

use crate::child::Child;
use crate::policy::{ChildFacts, ChildState};

/// A child's place in the start order; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// All steps for one child cost the logarithm of their number, so that one of 100,000 comes back about as fast as one
/// of ten.
#[derive(Debug, Default)]
pub(crate) struct Children {
    in_order: BTreeMap<Key, Child>,
    by_name: BTreeMap<String, Key>,
    by_incarnation: BTreeMap<Incarnation, Key>,
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
        self.in_order.insert(key, child);
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Child> {
        let child = self.in_order.remove(&key)?;
        self.by_name.remove(child.name());
        if let Some(incarnation) = child.incarnation {
            self.by_incarnation.remove(&incarnation);
        }
        Some(child)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Child> {
        self.in_order.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Child> {
        self.in_order.get_mut(&key)
    }

    pub(crate) fn named(&self, name: &str) -> Option<Key> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn with_incarnation(&self, incarnation: Incarnation) -> Option<Key> {
        self.by_incarnation.get(&incarnation).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.in_order.len()
    }

    /// In start order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.in_order.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Child> {
        self.in_order.values_mut()
    }

    /// In start order.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.in_order.keys().copied().collect()
    }

    /// An incarnation of the child runs from now on, or none.
    pub(crate) fn occupy(&mut self, key: Key, incarnation: Option<Incarnation>) {
        let Some(child) = self.in_order.get_mut(&key) else { return };
        if let Some(old) = std::mem::replace(&mut child.incarnation, incarnation) {
            self.by_incarnation.remove(&old);
        }
        if let Some(new) = incarnation {
            self.by_incarnation.insert(new, key);
        }
    }

    /// Puts the children into the order of `names`, those not named behind them in the order they had.
    pub(crate) fn arrange(&mut self, names: &[String]) {
        let mut rest = std::mem::take(&mut self.in_order);
        let named: Vec<Child> =
            names.iter().filter_map(|name| self.by_name.get(name).and_then(|key| rest.remove(key))).collect();
        self.by_name.clear();
        self.by_incarnation.clear();
        for child in named.into_iter().chain(rest.into_values()) {
            let incarnation = child.incarnation;
            let key = self.add(child);
            self.occupy(key, None);
            self.occupy(key, incarnation);
        }
    }

    /// What the policy may look at: one child, or all of them.
    pub(crate) fn facts(&self, only: Option<Key>) -> (Vec<Key>, Vec<ChildFacts>) {
        match only {
            Some(key) => self.get(key).map(|child| (vec![key], vec![child.facts()])).unwrap_or_default(),
            None => self.in_order.iter().map(|(key, child)| (*key, child.facts())).unzip(),
        }
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.iter().filter(|child| child.state == ChildState::Running).count()
    }
}
