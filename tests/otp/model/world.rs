//! What surrounds the supervisors: the time, the start functions of the children, the mail, the onlooker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::vocabulary::{Seen, SupervisorSpec};

/// Everything a supervisor touches besides its own children.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) now_ms: u64,
    seen: Vec<Seen>,
    failing_starts: BTreeMap<String, u32>,
    declining_starts: BTreeSet<String>,
    retries: VecDeque<Retry>,
    incarnations: u64,
    /// Every path that was ever an instance of a template: the model's dead pids.
    former_instances: BTreeSet<String>,
}

/// A `try_again_restart` message a supervisor sent to itself.
#[derive(Clone, Debug)]
pub(super) struct Retry {
    pub(super) supervisor: String,
    pub(super) incarnation: u64,
    pub(super) child: String,
}

/// What a start function answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAnswer {
    Ok,
    Ignore,
    Error,
}

impl World {
    pub(super) fn fail_starts(&mut self, path: String, count: u32) {
        self.failing_starts.insert(path, count);
    }

    pub(super) fn decline_start(&mut self, path: String) {
        self.declining_starts.insert(path);
    }

    /// Runs the start function of a worker.
    pub(super) fn start_worker(&mut self, path: &str) -> StartAnswer {
        match self.failing_starts.get_mut(path) {
            Some(left) if *left > 0 => {
                *left -= 1;
                StartAnswer::Error
            }
            _ if self.declining_starts.remove(path) => StartAnswer::Ignore,
            _ => StartAnswer::Ok,
        }
    }

    /// Runs the `init` of a supervisor. Nonsense is refused first, so no running supervisor ever keeps a bad spec.
    pub(super) fn init_supervisor(&mut self, spec: &SupervisorSpec, path: &str) -> StartAnswer {
        match spec.is_valid() {
            false => StartAnswer::Error,
            true if self.declining_starts.remove(path) => StartAnswer::Ignore,
            true => StartAnswer::Ok,
        }
    }

    pub(super) fn next_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    pub(super) fn remember_instance(&mut self, path: &str) {
        self.former_instances.insert(path.to_owned());
    }

    pub(super) fn was_instance(&self, path: &str) -> bool {
        self.former_instances.contains(path)
    }

    pub(super) fn retry_later(&mut self, retry: Retry) {
        self.retries.push_back(retry);
    }

    pub(super) fn next_retry(&mut self) -> Option<Retry> {
        self.retries.pop_front()
    }

    /// Makes the retries of an instance void. OTP addresses them to the old pid, which no later instance has.
    pub(super) fn forget_retries(&mut self, supervisor: &str, child: &str) {
        self.retries.retain(|retry| retry.supervisor != supervisor || retry.child != child);
    }

    pub(super) fn saw(&mut self, seen: Seen) {
        self.seen.push(seen);
    }

    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// Marks all that is seen during `happening` as one set.
    ///
    /// Sets inside it dissolve: that a supervisor stops after its children is true but lost here, and the order is
    /// promised elsewhere often enough.
    pub(super) fn in_no_order(&mut self, happening: impl FnOnce(&mut Self)) {
        let before = self.seen.len();
        happening(self);

        let mut set = Vec::new();
        for seen in self.seen.split_off(before) {
            match seen {
                Seen::Unordered(inner) => set.extend(inner),
                seen => set.push(seen),
            }
        }
        set.sort();
        match set.len() {
            0 | 1 => self.seen.extend(set),
            _ => self.seen.push(Seen::Unordered(set)),
        }
    }
}
