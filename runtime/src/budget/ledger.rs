//! The tree of budgets. Pure: decides what may be reserved and says what is left; whoever keeps it acts.
//!
//! Each dimension is counted by itself. A node *uses* what was spent in it, what its calls in flight hold, and what each
//! child *draws*. A child with a limit draws that, whatever it has used of it (more only by an overdraft): its slice was
//! cut when it was opened. One without a limit, or one that is closed, draws what it uses. So a reservation is checked at
//! the nearest limit above it, and leaves everything above that as it is.

use std::collections::BTreeMap;

use super::amount::{Amount, BudgetGrant, Dimension};
use super::error::BudgetError;
use super::path::BudgetPath;
use super::status::{BudgetStatus, ChargeId, News, StopReason, SuspectedCharge};
use crate::store::ChargeKey;

/// Most budgets that may be there at once.
pub const BUDGETS_MAX: usize = 100_000;

/// Shares of a grant, in percent, at which whoever listens is told, once each.
pub const THRESHOLDS: [u8; 3] = [50, 80, 100];

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    nodes: BTreeMap<BudgetPath, Node>,
    charges: BTreeMap<ChargeId, Charge>,
    /// Those of steps that are in the store.
    by_step: BTreeMap<ChargeKey, ChargeId>,
    last_charge: u64,
}

#[derive(Clone, Debug, Default)]
struct Node {
    grant: BudgetGrant,
    /// Spent here, in charges here, and drawn by the children.
    used: Amount,
    /// In it and below, also by what is closed.
    spent: Amount,
    suspected: Amount,
    overdraft: Amount,
    stopped: Option<StopReason>,
    is_closed: bool,
    /// How many of the thresholds were told, by dimension.
    told: [usize; Dimension::ALL.len()],
    charges: usize,
    children: usize,
}

#[derive(Clone, Debug)]
struct Charge {
    node: BudgetPath,
    amount: Amount,
    is_suspected: bool,
    step: Option<ChargeKey>,
}

impl Node {
    /// What the node above has to set aside for it.
    fn draws(&self) -> Amount {
        Amount::from_parts(|dimension| {
            let used = self.used.of(dimension);
            match self.grant.of(dimension) {
                Some(limit) if !self.is_closed => limit.max(used),
                _ => used,
            }
        })
    }
}

impl Ledger {
    // ---- budgets ----

    /// Makes a budget with those above it, if they are not there. One that is open with a grant stays as it is. Says
    /// what was opened, with which grant, those above first.
    pub(crate) fn open(
        &mut self,
        path: &BudgetPath,
        grant: BudgetGrant,
    ) -> Result<Vec<(BudgetPath, BudgetGrant)>, BudgetError> {
        let is_as_it_was = |node: &Node| {
            !node.is_closed && (node.grant != BudgetGrant::UNLIMITED || grant == BudgetGrant::UNLIMITED)
        };
        if self.nodes.get(path).is_some_and(is_as_it_was) {
            return Ok(Vec::new());
        }
        if self.nodes.len() + super::BUDGET_DEPTH_MAX > BUDGETS_MAX {
            return Err(BudgetError::TooMany { node: path.clone() });
        }
        for above in path.upwards() {
            match self.nodes.get(&above) {
                Some(node) if node.is_closed && above != *path => {
                    return Err(BudgetError::NotOpen { node: above });
                }
                Some(Node { stopped: Some(why), .. }) if above != *path || *why == StopReason::Damaged => {
                    return Err(BudgetError::Stopped { node: above });
                }
                _ => {}
            }
        }
        let planted = self.plant(path);
        let before = self.nodes[path].clone();
        let opened = Node { grant, is_closed: false, ..before };
        if let Err(error) = self.redraw(path, opened, true) {
            planted.iter().for_each(|node| self.remove(node));
            return Err(error);
        }
        self.tell_anew(path);
        let above = planted.into_iter().filter(|node| node != path).rev();
        let mut opened: Vec<_> = above.map(|node| (node, BudgetGrant::UNLIMITED)).collect();
        opened.push((path.clone(), grant));
        Ok(opened)
    }

    /// Opens a budget anew of which a record is damaged: nothing is known of what was spent in it.
    pub(crate) fn mend(&mut self, path: &BudgetPath, grant: BudgetGrant) -> Result<(), BudgetError> {
        let node = self.nodes.get(path).filter(|node| node.stopped == Some(StopReason::Damaged));
        let node = node.ok_or_else(|| BudgetError::NotOpen { node: path.clone() })?;
        let mended = Node { grant, stopped: None, is_closed: false, ..node.clone() };
        self.redraw(path, mended, true)?;
        self.tell_anew(path);
        Ok(())
    }

    /// Makes a node and those above it that are missing, without limits of their own. Says which, the deepest first.
    fn plant(&mut self, path: &BudgetPath) -> Vec<BudgetPath> {
        let missing: Vec<_> = path.upwards().take_while(|node| !self.nodes.contains_key(node)).collect();
        for node in missing.iter().rev() {
            self.nodes.insert(node.clone(), Node::default());
            if let Some(parent) = node.parent().and_then(|parent| self.nodes.get_mut(&parent)) {
                parent.children += 1;
            }
        }
        missing
    }

    fn remove(&mut self, path: &BudgetPath) {
        self.nodes.remove(path);
        if let Some(parent) = path.parent().and_then(|parent| self.nodes.get_mut(&parent)) {
            parent.children -= 1;
        }
    }

    /// Raises the limits that a budget has, out of what is left above it, and lets it go on if it was stopped.
    pub(crate) fn extend(&mut self, path: &BudgetPath, by: Amount) -> Result<(), BudgetError> {
        let node = self.readable_node(path)?;
        let grant = node.grant.checked_add(by).ok_or_else(|| overflow(path))?;
        let extended = Node { grant, stopped: None, ..node.clone() };
        self.redraw(path, extended, true)?;
        self.tell_anew(path);
        Ok(())
    }

    /// The opposite of an [`extend`](Ledger::extend) that was not kept.
    pub(crate) fn take_back(&mut self, path: &BudgetPath, by: Amount, stopped: Option<StopReason>) {
        let Some(node) = self.nodes.get(path).cloned() else { return };
        let limit = |dimension| node.grant.of(dimension).map(|limit| limit.saturating_sub(by.of(dimension)));
        let grant = BudgetGrant {
            tokens: limit(Dimension::Tokens),
            nano_usd: limit(Dimension::NanoUsd),
            millis: limit(Dimension::Millis),
            calls: limit(Dimension::Calls),
        };
        // It draws less, so nothing stands in the way.
        let _drawn = self.redraw(path, Node { grant, stopped, ..node }, false);
    }

    /// Lets a stopped budget go on.
    pub(crate) fn resume(&mut self, path: &BudgetPath) -> Result<(), BudgetError> {
        self.readable_node(path)?;
        if let Some(node) = self.nodes.get_mut(path) {
            node.stopped = None;
        }
        Ok(())
    }

    /// Closes a budget and all below it: what they have not used goes back at once, what their calls hold when that is
    /// settled. Says which were open, the deepest first.
    pub(crate) fn close(&mut self, path: &BudgetPath) -> Vec<BudgetPath> {
        let closed = self.open_below(path);
        for node in &closed {
            let Some(found) = self.nodes.get(node).cloned() else { continue };
            // It draws less, so nothing stands in the way.
            let _drawn = self.redraw(node, Node { is_closed: true, ..found }, false);
            self.fold(node);
        }
        closed
    }

    /// The open budgets that closing `path` closes, the deepest first.
    pub(crate) fn open_below(&self, path: &BudgetPath) -> Vec<BudgetPath> {
        let below = format!("{path}/");
        let is_meant = |node: &BudgetPath| node == path || node.as_str().starts_with(&below);
        let open = self.nodes.range::<BudgetPath, _>(path..).filter(|(_, node)| !node.is_closed);
        // Between a path and what is below it stands only what begins with it.
        let open = open.take_while(|(node, _)| node.as_str().starts_with(path.as_str()));
        let mut open: Vec<_> = open.map(|(node, _)| node.clone()).filter(is_meant).collect();
        open.reverse();
        open
    }

    /// Lets closed budgets go in which nothing is left, from `path` upwards, and says whether one went. What they spent
    /// stays with those above.
    fn fold(&mut self, path: &BudgetPath) -> bool {
        let is_empty = |node: &Node| node.is_closed && node.charges == 0 && node.children == 0;
        let mut has_gone = false;
        for node in path.upwards() {
            if !self.nodes.get(&node).is_some_and(is_empty) {
                break;
            }
            self.remove(&node);
            has_gone = true;
        }
        has_gone
    }

    // ---- charges ----

    /// Sets `worst` aside at `path`, if that and all limits above it allow.
    pub(crate) fn reserve(
        &mut self,
        path: &BudgetPath,
        worst: Amount,
        step: Option<ChargeKey>,
    ) -> Result<ChargeId, BudgetError> {
        self.may_spend(path)?;
        self.use_more(path, worst, true)?;
        Ok(self.add_charge(path, worst, false, step))
    }

    /// A charge that was found in the store: it was in flight when the process ended, and counts whatever is left.
    pub(crate) fn recall(
        &mut self,
        path: &BudgetPath,
        amount: Amount,
        step: ChargeKey,
    ) -> Result<(), BudgetError> {
        self.plant(path);
        self.use_more(path, amount, false)?;
        let id = self.add_charge(path, amount, false, Some(step));
        self.suspect(id);
        Ok(())
    }

    /// A budget that was found in the store, with what was spent in it, but not below. Those above it come first.
    pub(crate) fn recall_node(
        &mut self,
        path: &BudgetPath,
        grant: BudgetGrant,
        (spent, overdraft): (Amount, Amount),
        stopped: Option<StopReason>,
        is_closed: bool,
    ) -> Result<(), BudgetError> {
        self.plant(path);
        let node = Node { grant, stopped, is_closed, ..self.nodes[path].clone() };
        self.redraw(path, node, false)?;
        self.use_more(path, spent, false)?;
        self.add_along(path, |node| {
            node.spent = node.spent.checked_add(spent)?;
            node.overdraft = node.overdraft.checked_add(overdraft)?;
            Some(())
        })
    }

    /// A record of it cannot be read: what was spent is not known.
    pub(crate) fn mark_damaged(&mut self, path: &BudgetPath) {
        self.plant(path);
        if let Some(node) = self.nodes.get_mut(path) {
            node.stopped = Some(StopReason::Damaged);
        }
    }

    /// What was recalled is no news: the thresholds that are passed count as told. And what is closed and empty goes.
    pub(crate) fn recalled(&mut self) {
        let paths: Vec<_> = self.nodes.keys().cloned().collect();
        for path in paths.iter().rev() {
            self.tell_anew(path);
            self.fold(path);
        }
    }

    /// What a call came to: `spent`, or nothing. Says what is to be told. A settled charge is gone.
    pub(crate) fn settle(&mut self, id: ChargeId, spent: Amount) -> Result<Vec<News>, BudgetError> {
        let Some(charge) = self.charges.get(&id).cloned() else { return Ok(Vec::new()) };
        let (path, over) = (charge.node.clone(), spent.above(charge.amount));
        let used =
            self.nodes.get(&path).and_then(|node| node.used.checked_sub(charge.amount)?.checked_add(spent));
        let used = used.ok_or_else(|| overflow(&path))?;
        self.add_along(&path, |node| {
            node.spent.checked_add(spent)?;
            node.overdraft.checked_add(over)?;
            Some(())
        })?;
        let node = Node { used, ..self.nodes[&path].clone() };
        self.redraw(&path, node, false)?;
        self.unsuspect(id);
        if let Some(step) = self.charges.remove(&id).and_then(|charge| charge.step) {
            self.by_step.remove(&step);
        }
        self.add_along(&path, |node| {
            node.spent = node.spent.checked_add(spent)?;
            node.overdraft = node.overdraft.checked_add(over)?;
            Some(())
        })?;
        let mut news = Vec::new();
        if !spent.is_zero() {
            news.push(News::Spent { node: path.clone() });
        }
        if let Some(node) = self.nodes.get_mut(&path) {
            node.charges -= 1;
            if !over.is_zero() {
                node.stopped = Some(StopReason::Overdraft);
                news.push(News::Stopped { node: path.clone(), why: StopReason::Overdraft, over });
            }
        }
        for node in path.upwards() {
            news.extend(self.thresholds_passed(&node));
        }
        if self.fold(&path) {
            news.push(News::Gone { node: path });
        }
        Ok(news)
    }

    /// Nobody knows what became of the call: it stays charged. Says where and how much, if that is news.
    pub(crate) fn suspect(&mut self, id: ChargeId) -> Option<SuspectedCharge> {
        let charge = self.charges.get_mut(&id).filter(|charge| !charge.is_suspected)?;
        charge.is_suspected = true;
        let Charge { node, amount, step, .. } = charge.clone();
        for above in node.upwards() {
            let suspected = self.nodes.get_mut(&above).map(|node| &mut node.suspected);
            if let Some(suspected) = suspected {
                // A part of what is used, so it fits.
                *suspected = suspected.checked_add(amount).unwrap_or(*suspected);
            }
        }
        Some(SuspectedCharge { id, node, amount, step })
    }

    /// What became of a suspected call is known after all, or somebody looks after it again: it is in flight as before.
    fn unsuspect(&mut self, id: ChargeId) {
        let Some(charge) = self.charges.get_mut(&id).filter(|charge| charge.is_suspected) else { return };
        charge.is_suspected = false;
        let Charge { node, amount, .. } = charge.clone();
        for above in node.upwards() {
            if let Some(node) = self.nodes.get_mut(&above) {
                node.suspected = node.suspected.checked_sub(amount).unwrap_or_default();
            }
        }
    }

    /// Somebody looks after the newest suspected charge of a step again, whatever its attempt.
    pub(crate) fn take_up(&mut self, step: &ChargeKey) -> Option<(ChargeId, ChargeKey)> {
        let attempts = self.by_step.range(step.attempts()).rev();
        let suspected = |id: &ChargeId| self.charges.get(id).is_some_and(|charge| charge.is_suspected);
        let (key, id) = attempts.map(|(key, id)| (key.clone(), *id)).find(|(_, id)| suspected(id))?;
        self.unsuspect(id);
        Some((id, key))
    }

    /// A number for the next attempt of a step that none of its charges has.
    pub(crate) fn next_attempt(&self, step: &ChargeKey) -> u32 {
        let newest = self.by_step.range(step.attempts()).next_back();
        newest.map_or(0, |(key, _)| key.attempt.saturating_add(1))
    }

    /// A suspected charge.
    pub(crate) fn suspected(&self, id: ChargeId) -> Result<SuspectedCharge, BudgetError> {
        let charge = self.charges.get(&id).filter(|charge| charge.is_suspected);
        let Charge { node, amount, step, .. } = charge.ok_or(BudgetError::NotSuspected(id))?.clone();
        Ok(SuspectedCharge { id, node, amount, step })
    }

    /// All suspected charges at `path` and below; `None`: everywhere. Oldest first.
    pub(crate) fn all_suspected(&self, path: Option<&BudgetPath>) -> Vec<SuspectedCharge> {
        let below = path.map(|path| format!("{path}/"));
        let is_meant = |node: &BudgetPath| {
            let is_below = below.as_ref().is_none_or(|below| node.as_str().starts_with(below));
            is_below || Some(node) == path
        };
        let ids = self.charges.iter().filter(|(_, charge)| is_meant(&charge.node)).map(|(id, _)| *id);
        ids.filter_map(|id| self.suspected(id).ok()).collect()
    }

    // ---- what is there ----

    pub(crate) fn status(&self, path: &BudgetPath) -> Option<BudgetStatus> {
        let node = self.nodes.get(path)?;
        Some(BudgetStatus {
            path: path.clone(),
            grant: node.grant,
            spent: node.spent,
            reserved: node.used.above(node.spent),
            suspected: node.suspected,
            overdraft: node.overdraft,
            stopped: node.stopped,
            is_closed: node.is_closed,
        })
    }

    /// All budgets behind `after`, sorted by path, at most so many.
    pub(crate) fn list(&self, after: Option<&BudgetPath>, most: usize) -> Vec<BudgetStatus> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let paths = self.nodes.range::<BudgetPath, _>((from, Unbounded)).map(|(path, _)| path);
        paths.take(most).filter_map(|path| self.status(path)).collect()
    }

    fn open_node(&self, path: &BudgetPath) -> Result<&Node, BudgetError> {
        let open = self.nodes.get(path).filter(|node| !node.is_closed);
        open.ok_or_else(|| BudgetError::NotOpen { node: path.clone() })
    }

    /// An open budget of which no record is damaged.
    fn readable_node(&self, path: &BudgetPath) -> Result<&Node, BudgetError> {
        let node = self.open_node(path)?;
        match node.stopped {
            Some(StopReason::Damaged) => Err(BudgetError::Stopped { node: path.clone() }),
            _ => Ok(node),
        }
    }

    fn may_spend(&self, path: &BudgetPath) -> Result<(), BudgetError> {
        self.open_node(path)?;
        for node in path.upwards() {
            if self.nodes.get(&node).is_some_and(|node| node.stopped.is_some()) {
                return Err(BudgetError::Stopped { node });
            }
        }
        Ok(())
    }

    // ---- how it changes ----

    fn add_charge(
        &mut self,
        path: &BudgetPath,
        amount: Amount,
        is_suspected: bool,
        step: Option<ChargeKey>,
    ) -> ChargeId {
        self.last_charge += 1;
        let id = ChargeId(self.last_charge);
        if let Some(step) = &step {
            self.by_step.insert(step.clone(), id);
        }
        self.charges.insert(id, Charge { node: path.clone(), amount, is_suspected, step });
        if let Some(node) = self.nodes.get_mut(path) {
            node.charges += 1;
        }
        id
    }

    fn use_more(&mut self, path: &BudgetPath, more: Amount, is_checked: bool) -> Result<(), BudgetError> {
        let used = self.nodes[path].used;
        if is_checked {
            self.has_left(path, &self.nodes[path], more)?;
        }
        let used = used.checked_add(more).ok_or_else(|| overflow(path))?;
        let node = Node { used, ..self.nodes[path].clone() };
        self.redraw(path, node, is_checked)
    }

    /// Puts `changed` in the place of a node, and raises what those above it use by what it draws more; if `is_checked`,
    /// only as far as their limits allow. All of it or nothing.
    fn redraw(&mut self, path: &BudgetPath, changed: Node, is_checked: bool) -> Result<(), BudgetError> {
        let mut changes = vec![(path.clone(), changed)];
        while let Some((below, after)) = changes.last()
            && let Some(above) = below.parent()
        {
            let (before, after) = (self.nodes[below].draws(), after.draws());
            if before == after {
                break;
            }
            let node = self.nodes[&above].clone();
            if is_checked {
                self.has_left(&above, &node, after.above(before))?;
            }
            let used = node.used.checked_sub(before).and_then(|used| used.checked_add(after));
            let used = used.ok_or_else(|| overflow(&above))?;
            changes.push((above, Node { used, ..node }));
        }
        self.nodes.extend(changes);
        Ok(())
    }

    fn has_left(&self, path: &BudgetPath, node: &Node, more: Amount) -> Result<(), BudgetError> {
        for dimension in Dimension::ALL {
            let (asked, used) = (more.of(dimension), node.used.of(dimension));
            // A closed node has no limit any more: what it uses is drawn from above.
            let limit = node.grant.of(dimension).filter(|_| asked > 0 && !node.is_closed);
            if let Some(left) = limit.map(|limit| limit.saturating_sub(used))
                && asked > left
            {
                return Err(BudgetError::Exhausted { node: path.clone(), dimension, asked, left });
            }
        }
        Ok(())
    }

    /// Changes a node and all above it; `None` says that something does not fit.
    fn add_along(
        &mut self,
        path: &BudgetPath,
        mut add: impl FnMut(&mut Node) -> Option<()>,
    ) -> Result<(), BudgetError> {
        for node in path.upwards() {
            let found = self.nodes.get_mut(&node);
            found.map_or(Some(()), &mut add).ok_or_else(|| overflow(path))?;
        }
        Ok(())
    }

    /// Thresholds that a node has passed, by dimension.
    fn passed(node: &Node) -> [usize; Dimension::ALL.len()] {
        Dimension::ALL.map(|dimension| {
            let Some(limit) = node.grant.of(dimension).filter(|limit| *limit > 0) else { return 0 };
            let spent = u128::from(node.spent.of(dimension)) * 100;
            THRESHOLDS.iter().filter(|percent| spent >= u128::from(limit) * u128::from(**percent)).count()
        })
    }

    fn tell_anew(&mut self, path: &BudgetPath) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.told = Self::passed(node);
        }
    }

    fn thresholds_passed(&mut self, path: &BudgetPath) -> Vec<News> {
        let Some(node) = self.nodes.get_mut(path) else { return Vec::new() };
        let passed = Self::passed(node);
        let mut news = Vec::new();
        for (at, dimension) in Dimension::ALL.into_iter().enumerate() {
            for percent in THRESHOLDS.iter().take(passed[at]).skip(node.told[at]) {
                news.push(News::Threshold { node: path.clone(), dimension, percent: *percent });
            }
            node.told[at] = node.told[at].max(passed[at]);
        }
        news
    }
}

fn overflow(path: &BudgetPath) -> BudgetError {
    BudgetError::Overflow { node: path.clone() }
}
