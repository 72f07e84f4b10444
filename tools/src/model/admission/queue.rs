//! Who waits, and who is next: start-time fair queueing over tenants. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Those who wait for a turn. A tenant is charged for what its turns cost; whoever was charged least is next, however
/// many of each wait. Within a tenant: first come, first served.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    lines: BTreeMap<Arc<str>, Line>,
    /// The lines in which somebody waits, by what they were charged, then by who came first.
    heads: BTreeMap<(u64, u64), Arc<str>>,
    /// The lines in which nobody waits, whose charge still counts.
    idle: BTreeSet<(u64, Arc<str>)>,
    /// The charge of whoever had the last turn: nobody can save up below it.
    charged_now: u64,
    waiting: usize,
}

/// One tenant's.
#[derive(Debug, Default)]
struct Line {
    /// By the order of arrival.
    waiting: BTreeMap<u64, Waiting>,
    /// What it was charged for all its turns, or what whoever began to wait with it was.
    charged: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Waiting {
    /// Smaller: came earlier.
    pub(super) place: u64,
    pub(super) tokens: u64,
}

impl FairQueue {
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn waiting_of(&self, tenant: &str) -> usize {
        self.lines.get(tenant).map_or(0, |line| line.waiting.len())
    }

    /// How many turns will go to others before one who came now as the last of its tenant, if nobody else comes.
    pub(super) fn turns_before(&self, tenant: &str) -> usize {
        let ahead = self.waiting_of(tenant);
        let tenants = self.heads.len() + usize::from(ahead == 0);
        (ahead + 1).saturating_mul(tenants).saturating_sub(1).min(self.waiting)
    }

    /// Puts somebody into the line of its tenant. `place` may be an old one: then it is before those who came later.
    pub(super) fn enter(&mut self, tenant: &Arc<str>, waiting: Waiting) {
        let now = self.charged_now;
        let line = self.lines.entry(tenant.clone()).or_default();
        if let Some(head) = line.head() {
            self.heads.remove(&head);
        } else {
            self.idle.remove(&(line.charged, tenant.clone()));
            line.charged = line.charged.max(now);
        }
        if line.waiting.insert(waiting.place, waiting).is_none() {
            self.waiting += 1;
        }
        self.settle(tenant);
    }

    /// Takes somebody out who does not want to wait any more.
    pub(super) fn leave(&mut self, tenant: &Arc<str>, place: u64) -> bool {
        let Some(line) = self.lines.get_mut(tenant) else { return false };
        let head = line.head();
        if line.waiting.remove(&place).is_none() {
            return false;
        }
        self.waiting -= 1;
        if let Some(head) = head {
            self.heads.remove(&head);
        }
        self.settle(tenant);
        true
    }

    /// Who is next.
    pub(super) fn peek(&self) -> Option<Waiting> {
        let tenant = self.heads.values().next()?;
        self.lines.get(tenant)?.waiting.values().next().copied()
    }

    /// Gives whoever is next its turn, and charges its tenant.
    pub(super) fn pop(&mut self, charge: u64) -> Option<Waiting> {
        let ((charged, _), tenant) = self.heads.pop_first()?;
        let (_, next) = self.lines.get_mut(&tenant)?.waiting.pop_first()?;
        self.waiting -= 1;
        self.charged_now = charged;
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.charged = charged.saturating_add(charge.max(1));
        }
        self.settle(&tenant);
        // A tenant that has caught up is as good as one that was never seen: so their number has a bound.
        while let Some((charged, tenant)) = self.idle.pop_first() {
            if charged > self.charged_now {
                self.idle.insert((charged, tenant));
                break;
            }
            self.lines.remove(&tenant);
        }
        Some(next)
    }

    /// Enters a line among those who wait, or those who do not.
    fn settle(&mut self, tenant: &Arc<str>) {
        let Some(line) = self.lines.get(tenant) else { return };
        match line.head() {
            Some(head) => {
                self.heads.insert(head, tenant.clone());
            }
            None if line.charged <= self.charged_now => {
                self.lines.remove(tenant);
            }
            None => {
                self.idle.insert((line.charged, tenant.clone()));
            }
        }
    }
}

impl Line {
    fn head(&self) -> Option<(u64, u64)> {
        self.waiting.keys().next().map(|place| (self.charged, *place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: usize) -> Arc<str> {
        Arc::from(format!("t{name}"))
    }

    fn waiting(place: u64, tokens: u64) -> Waiting {
        Waiting { place, tokens }
    }

    #[test]
    fn a_tenant_with_many_waiting_gets_no_more_than_one_with_few() {
        let mut queue = FairQueue::default();
        for place in 0..400 {
            queue.enter(&tenant(0), waiting(place, 0));
        }
        for place in 400..440 {
            queue.enter(&tenant(1), waiting(place, 0));
        }

        let first: Vec<u64> = (0..60).map(|_| queue.pop(10).unwrap().place).collect();

        let of_few = first.iter().filter(|place| **place >= 400).count();
        assert_eq!(of_few, 30, "{first:?}");
        let of_many: Vec<u64> = first.iter().copied().filter(|place| *place < 400).collect();
        assert_eq!(of_many, (0..30).collect::<Vec<_>>(), "first come, first served");
    }

    #[test]
    fn what_costs_more_comes_less_often() {
        let mut queue = FairQueue::default();
        for place in 0..100 {
            queue.enter(&tenant(0), waiting(place, 3));
            queue.enter(&tenant(1), waiting(1_000 + place, 1));
        }
        let mut turns = [0, 0];
        for _ in 0..80 {
            let next = queue.peek().unwrap();
            assert_eq!(queue.pop(next.tokens), Some(next));
            turns[usize::from(next.place >= 1_000)] += 1;
        }
        assert_eq!(turns, [20, 60]);
    }

    #[test]
    fn nobody_saves_up_turns_by_staying_away() {
        let mut queue = FairQueue::default();
        for place in 0..50 {
            queue.enter(&tenant(0), waiting(place, 0));
        }
        for _ in 0..40 {
            queue.pop(1);
        }
        for place in 50..60 {
            queue.enter(&tenant(1), waiting(place, 0));
        }

        let next: Vec<bool> = (0..6).map(|_| queue.pop(1).unwrap().place >= 50).collect();

        assert_eq!(next.iter().filter(|of_new| **of_new).count(), 3, "{next:?}");
    }

    #[test]
    fn who_comes_again_keeps_its_place() {
        let mut queue = FairQueue::default();
        (5..9).for_each(|place| queue.enter(&tenant(0), waiting(place, 0)));

        queue.enter(&tenant(0), waiting(1, 0));

        assert_eq!(queue.pop(1).unwrap().place, 1);
    }

    #[test]
    fn it_loses_nobody_serves_nobody_twice_and_forgets_who_has_gone() {
        fn property(steps: Vec<(u8, u8, u8)>) -> bool {
            let mut queue = FairQueue::default();
            let mut inside: BTreeMap<u64, Arc<str>> = BTreeMap::new();
            for (place, (what, who, cost)) in (0_u64..).zip(steps) {
                let who = tenant((who % 5).into());
                match what % 4 {
                    0 | 1 => {
                        queue.enter(&who, waiting(place, cost.into()));
                        inside.insert(place, who);
                    }
                    2 => {
                        let Some(next) = queue.pop(cost.into()) else {
                            assert!(inside.is_empty());
                            continue;
                        };
                        let tenant = inside.remove(&next.place).expect("it was inside");
                        assert!(!inside.iter().any(|(place, of)| *of == tenant && *place < next.place));
                    }
                    _ => {
                        let Some((place, of)) = inside.pop_last() else { continue };
                        assert!(queue.leave(&of, place));
                        assert!(!queue.leave(&of, place));
                    }
                }
                assert_eq!(queue.len(), inside.len());
                assert_eq!(queue.lines.len(), queue.heads.len() + queue.idle.len());
            }
            while queue.pop(1).is_some() {}
            queue.heads.is_empty() && queue.len() == 0
        }
        quickcheck::quickcheck(property as fn(Vec<(u8, u8, u8)>) -> bool);
    }
}
