//! Random trees of budgets with calls that overlap, beside a model that keeps no sums: it has a flat list of what is
//! there, and adds everything up anew for each question. And beside the next process, which finds in a store what was
//! written on the way.
//!
//! A failing history is printed, shrunk; `TREES=10000 cargo test -p greenroom-runtime budget` tries more of them.

use std::collections::BTreeMap;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use crate::address::{ActorPath, Epoch};
use crate::budget::{Amount, Book, BudgetError, BudgetGrant, BudgetPath, ChargeId, Dimension, Ledger};
use crate::message::MessageId;
use crate::store::{Batch, BudgetChange, ChargeKey, MemoryStore, Record, Store};
use crate::sync::lock;

/// Parents stand before their children.
const PATHS: [&str; 9] = ["a", "a/b", "a/b/c", "a/b/d", "a/b/d/e", "a/f", "a-b", "a-b/c", "a-b/c/d"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(usize, BudgetGrant),
    Extend(usize, Amount),
    Close(usize),
    Resume(usize),
    Reserve(usize, Amount),
    /// Settles one of the charges, at so many tenths of its reservation.
    Settle(usize, u64),
    Suspect(usize),
}

/// Small, so that limits are often met.
fn amount(g: &mut Gen) -> Amount {
    let mut part = || u64::from(u8::arbitrary(g) % 4).saturating_sub(1) * 10;
    Amount { tokens: part(), nano_usd: part(), millis: part(), calls: part() }
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let at = usize::arbitrary(g) % PATHS.len();
        let any = usize::arbitrary(g);
        match u8::arbitrary(g) % 16 {
            0..=2 => {
                let mut limit = || {
                    let limit = u64::from(u8::arbitrary(g) % 16);
                    (limit > 3).then_some(limit * 10)
                };
                let grant =
                    BudgetGrant { tokens: limit(), nano_usd: limit(), millis: limit(), calls: limit() };
                Step::Open(at, grant)
            }
            3 => Step::Extend(at, amount(g)),
            4 => Step::Close(at),
            5 => Step::Resume(at),
            6..=10 => Step::Reserve(at, amount(g)),
            11..=14 => Step::Settle(any, u64::from(u8::arbitrary(g) % 12)),
            _ => Step::Suspect(any),
        }
    }
}

/// What is there, as a flat list. Of what is over only the sum is kept, where it was spent.
#[derive(Clone, Default)]
struct Model {
    nodes: BTreeMap<BudgetPath, Listed>,
    charges: BTreeMap<ChargeId, (BudgetPath, Amount)>,
}

#[derive(Clone, Copy, Default)]
struct Listed {
    grant: BudgetGrant,
    spent_here: Amount,
    overdraft_here: Amount,
    is_stopped: bool,
    is_closed: bool,
}

impl Model {
    fn children<'m>(&'m self, of: &'m BudgetPath) -> impl Iterator<Item = &'m BudgetPath> {
        self.nodes.keys().filter(move |node| node.parent().as_ref() == Some(of))
    }

    fn below(&self, of: &BudgetPath) -> Vec<BudgetPath> {
        let is_below = |node: &&BudgetPath| node.upwards().any(|above| above == *of);
        self.nodes.keys().filter(is_below).cloned().collect()
    }

    fn spent(&self, of: &BudgetPath) -> Amount {
        let below = self.below(of).into_iter().map(|node| self.nodes[&node].spent_here);
        below.fold(Amount::ZERO, |sum, more| sum.checked_add(more).unwrap())
    }

    fn overdraft(&self, of: &BudgetPath) -> Amount {
        let below = self.below(of).into_iter().map(|node| self.nodes[&node].overdraft_here);
        below.fold(Amount::ZERO, |sum, more| sum.checked_add(more).unwrap())
    }

    fn used(&self, of: &BudgetPath) -> Amount {
        let charged = self.charges.values().filter(|(node, _)| node == of).map(|(_, amount)| *amount);
        let drawn = self.children(of).map(|child| self.drawn(child));
        let parts = charged.chain(drawn);
        parts.fold(self.nodes[of].spent_here, |sum, more| sum.checked_add(more).unwrap())
    }

    fn drawn(&self, by: &BudgetPath) -> Amount {
        let (node, used) = (&self.nodes[by], self.used(by));
        Amount::from_parts(|dimension| match node.grant.of(dimension) {
            Some(limit) if !node.is_closed => limit.max(used.of(dimension)),
            _ => used.of(dimension),
        })
    }

    /// Whether nobody uses more than he may in `after` who did not use as much before.
    fn allows(&self, after: &Model) -> bool {
        after.nodes.iter().all(|(path, node)| {
            let used = after.used(path);
            let before = if self.nodes.contains_key(path) { self.used(path) } else { Amount::ZERO };
            node.is_closed
                || Dimension::ALL.into_iter().all(|dimension| {
                    let limit = node.grant.of(dimension).unwrap_or(u64::MAX);
                    used.of(dimension) <= limit || used.of(dimension) <= before.of(dimension)
                })
        })
    }

    fn is_open(&self, path: &BudgetPath) -> bool {
        self.nodes.get(path).is_some_and(|node| !node.is_closed)
    }

    fn plant(&mut self, path: &BudgetPath) {
        for node in path.upwards() {
            self.nodes.entry(node).or_default();
        }
    }

    /// Closed nodes without anything in or below them leave their sums to the one above.
    fn fold(&mut self) {
        loop {
            let is_empty = |path: &BudgetPath| {
                let is_free = self.charges.values().all(|(node, _)| node != path);
                self.nodes[path].is_closed && is_free && self.children(path).next().is_none()
            };
            let Some(path) = self.nodes.keys().find(|path| is_empty(path)).cloned() else { return };
            let gone = self.nodes.remove(&path).unwrap();
            if let Some(above) = path.parent().and_then(|above| self.nodes.get_mut(&above)) {
                above.spent_here = above.spent_here.checked_add(gone.spent_here).unwrap();
                above.overdraft_here = above.overdraft_here.checked_add(gone.overdraft_here).unwrap();
            }
        }
    }
}

struct Both {
    ledger: Ledger,
    model: Model,
    /// Where everything is written down as well, as a runtime does it.
    store: MemoryStore,
    /// Numbers of the calls that were charged.
    written: BTreeMap<ChargeId, u32>,
    calls: u32,
}

/// The call that a charge of these histories is for.
fn call(node: &BudgetPath, number: u32) -> ChargeKey {
    let (node, actor) = (node.clone(), ActorPath::parse("x").unwrap());
    ChargeKey { node, actor, message: MessageId(1), step: number, attempt: 0 }
}

impl Both {
    fn new() -> Self {
        let (ledger, model, store) = (Ledger::default(), Model::default(), MemoryStore::new());
        Both { ledger, model, store, written: BTreeMap::new(), calls: 0 }
    }

    fn write(&self, record: Record) {
        let batch = Batch::of(ActorPath::parse("x").unwrap(), Epoch(1), vec![record]);
        self.store.commit(&[batch]).unwrap();
    }

    fn change(&self, path: BudgetPath, change: BudgetChange) {
        self.write(Record::Budget { path, change });
    }

    /// The next process finds what is here, but that nobody looks after the calls in flight.
    fn compare_with_the_next_process(&self) {
        let next = Book::default();
        next.recall(self.store.budgets().unwrap());
        let next = lock(&next.ledger);
        for mut here in self.ledger.list(None, usize::MAX) {
            let Some(found) = next.status(&here.path) else {
                let is_nothing =
                    here.spent.is_zero() && here.reserved.is_zero() && here.grant == BudgetGrant::UNLIMITED;
                assert!(is_nothing && here.stopped.is_none() && !here.is_closed, "{here:?} is lost");
                continue;
            };
            here.suspected = found.suspected;
            assert_eq!(found, here);
        }
        assert!(next.list(None, usize::MAX).iter().all(|found| self.ledger.status(&found.path).is_some()));
        let suspected = next.all_suspected(None).into_iter();
        let mut suspected: Vec<_> = suspected.map(|charge| (charge.node, charge.amount.tokens)).collect();
        let charged = self.model.charges.values();
        let mut charged: Vec<_> = charged.map(|(node, amount)| (node.clone(), amount.tokens)).collect();
        suspected.sort();
        charged.sort();
        assert_eq!(suspected, charged);
    }

    fn take(&mut self, step: Step) {
        let path_at = |at: usize| BudgetPath::parse(PATHS[at]).unwrap();
        match step {
            Step::Open(at, grant) => {
                let path = path_at(at);
                let mut after = self.model.clone();
                let known = after.nodes.get(&path);
                let is_as_it_was = known.is_some_and(|node| {
                    !node.is_closed
                        && (node.grant != BudgetGrant::UNLIMITED || grant == BudgetGrant::UNLIMITED)
                });
                let above = || path.upwards().skip(1).filter_map(|above| self.model.nodes.get(&above));
                let may = above().all(|node| !node.is_closed && !node.is_stopped);
                after.plant(&path);
                let node = after.nodes.get_mut(&path).unwrap();
                (node.grant, node.is_closed) = (grant, false);
                // The node itself may be over its new limit already: it is asked for what lies above.
                let allowed = is_as_it_was || may && self.allows_above(&path, &after);
                let opened = self.ledger.open(&path, grant);
                assert_eq!(opened.is_ok(), allowed, "{opened:?}");
                if allowed && !is_as_it_was {
                    for (path, grant) in opened.unwrap() {
                        self.change(path, BudgetChange::Open { grant });
                    }
                    self.model = after;
                }
            }
            Step::Extend(at, by) => {
                let path = path_at(at);
                let mut after = self.model.clone();
                let mut allowed = false;
                if self.model.is_open(&path) {
                    let node = after.nodes.get_mut(&path).unwrap();
                    node.grant = node.grant.checked_add(by).unwrap();
                    node.is_stopped = false;
                    allowed = self.allows_above(&path, &after);
                }
                let extended = self.ledger.extend(&path, by);
                assert_eq!(extended.is_ok(), allowed, "{extended:?}");
                if allowed {
                    self.change(path, BudgetChange::Extend { by });
                    self.model = after;
                }
            }
            Step::Close(at) => {
                for path in self.ledger.close(&path_at(at)) {
                    self.change(path, BudgetChange::Close);
                }
                for node in self.model.below(&path_at(at)) {
                    self.model.nodes.get_mut(&node).unwrap().is_closed = true;
                }
            }
            Step::Resume(at) => {
                let resumed = self.ledger.resume(&path_at(at));
                assert_eq!(resumed.is_ok(), self.model.is_open(&path_at(at)));
                if resumed.is_ok() {
                    self.change(path_at(at), BudgetChange::Resume);
                    self.model.nodes.get_mut(&path_at(at)).unwrap().is_stopped = false;
                }
            }
            Step::Reserve(at, worst) => {
                let path = path_at(at);
                let stopped =
                    path.upwards().any(|node| self.model.nodes.get(&node).is_some_and(|n| n.is_stopped));
                let mut after = self.model.clone();
                after.charges.insert(ChargeId(0), (path.clone(), worst));
                let allowed = self.model.is_open(&path) && !stopped && self.model.allows(&after);
                self.calls += 1;
                let charge = call(&path, self.calls);
                let reserved = self.ledger.reserve(&path, worst, Some(charge.clone()));
                assert_eq!(reserved.is_ok(), allowed, "{reserved:?}");
                match reserved {
                    Ok(id) => {
                        self.write(Record::Charge { charge, amount: worst });
                        self.written.insert(id, self.calls);
                        self.model.charges.insert(id, (path, worst));
                    }
                    Err(BudgetError::Exhausted { asked, left, .. }) => assert!(asked > left),
                    Err(_) => {}
                }
            }
            Step::Settle(any, tenths) => {
                let ids: Vec<_> = self.model.charges.keys().copied().collect();
                let Some(id) = ids.get(any % ids.len().max(1)).copied() else { return };
                let (path, worst) = self.model.charges.remove(&id).unwrap();
                let spent = Amount::from_parts(|dimension| worst.of(dimension) * tenths / 10);
                let node = self.model.nodes.get_mut(&path).unwrap();
                let over = spent.above(worst);
                node.spent_here = node.spent_here.checked_add(spent).unwrap();
                node.overdraft_here = node.overdraft_here.checked_add(over).unwrap();
                node.is_stopped |= !over.is_zero();
                self.write(Record::Settle { charge: call(&path, self.written[&id]), spent });
                self.ledger.settle(id, spent).unwrap();
            }
            Step::Suspect(any) => {
                let ids: Vec<_> = self.model.charges.keys().copied().collect();
                if let Some(id) = ids.get(any % ids.len().max(1)) {
                    self.ledger.suspect(*id);
                }
            }
        }
        self.model.fold();
    }

    /// As [`Model::allows`], asked of everybody above `path`.
    fn allows_above(&self, path: &BudgetPath, after: &Model) -> bool {
        let mut asked = after.clone();
        asked.nodes.get_mut(path).unwrap().grant = BudgetGrant::UNLIMITED;
        // What the node draws by its new grant, as a charge above it.
        let more = after.drawn(path).above(asked.drawn(path));
        if let Some(above) = path.parent() {
            asked.charges.insert(ChargeId(0), (above, more));
        }
        self.model.allows(&asked)
    }

    fn compare(&self, is_overdrawn: bool) {
        let listed = self.ledger.list(None, usize::MAX);
        assert!(listed.iter().map(|status| &status.path).eq(self.model.nodes.keys()));
        for status in listed {
            let path = &status.path;
            assert_eq!(status.spent, self.model.spent(path), "spent in {path}, to the nano-dollar");
            assert_eq!(status.overdraft, self.model.overdraft(path), "overdraft of {path}");
            let all = status.spent.checked_add(status.reserved).unwrap();
            assert_eq!(all, self.model.used(path), "spent and reserved in {path}");
            assert_eq!(status.stopped.is_some(), self.model.nodes[path].is_stopped);
            for dimension in Dimension::ALL {
                let limit = status.grant.of(dimension).filter(|_| !status.is_closed && !is_overdrawn);
                assert!(all.of(dimension) <= limit.unwrap_or(u64::MAX), "overshoot in {path}");
            }
        }
    }
}

/// Runs one history to its end, where everything is settled and the tenants are asked. `over`: bills may be above their
/// reservations.
fn holds(steps: Vec<Step>, over: bool) {
    let mut both = Both::new();
    for step in steps {
        both.take(match step {
            Step::Settle(any, tenths) if !over => Step::Settle(any, tenths.min(10)),
            // Whoever sets a limit below what is spent already has overdrawn it by that.
            Step::Open(at, grant)
                if !over && both.ledger.status(&BudgetPath::parse(PATHS[at]).unwrap()).is_some() =>
            {
                Step::Open(at, BudgetGrant { ..grant }.above_used(&both, at))
            }
            step => step,
        });
        both.compare(over);
        both.compare_with_the_next_process();
    }
    while !both.model.charges.is_empty() {
        both.take(Step::Settle(0, 10));
        both.compare(over);
    }
    for at in (0..PATHS.len()).filter(|at| PATHS[*at].contains('/')) {
        both.take(Step::Close(at));
    }
    both.compare(over);
    both.compare_with_the_next_process();
    for status in both.ledger.list(None, usize::MAX) {
        assert!(!status.path.as_str().contains('/'), "{} was closed, and nothing is in it", status.path);
        assert_eq!(status.reserved, Amount::ZERO, "nothing leaked");
        assert_eq!(status.suspected, Amount::ZERO);
    }
}

impl BudgetGrant {
    /// No limit below what is used already.
    fn above_used(self, both: &Both, at: usize) -> BudgetGrant {
        let used = both.model.used(&BudgetPath::parse(PATHS[at]).unwrap());
        let limit = |dimension| self.of(dimension).map(|limit: u64| limit.max(used.of(dimension)));
        BudgetGrant {
            tokens: limit(Dimension::Tokens),
            nano_usd: limit(Dimension::NanoUsd),
            millis: limit(Dimension::Millis),
            calls: limit(Dimension::Calls),
        }
    }
}

fn trees() -> u64 {
    std::env::var("TREES").ok().map_or(300, |trees| trees.parse().expect("a number"))
}

#[test]
fn in_random_trees_no_budget_is_ever_exceeded_and_nothing_leaks() {
    fn property(steps: Vec<Step>) -> bool {
        holds(steps, false);
        true
    }
    QuickCheck::new().tests(trees()).quickcheck(property as fn(Vec<Step>) -> bool);
}

#[test]
fn in_random_trees_bills_above_their_reservations_are_booked_to_the_last_unit() {
    fn property(steps: Vec<Step>) -> bool {
        holds(steps, true);
        true
    }
    QuickCheck::new().tests(trees()).quickcheck(property as fn(Vec<Step>) -> bool);
}
