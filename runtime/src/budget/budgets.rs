//! The budgets of one runtime: the tree behind one lock, and the store behind it.
//!
//! What is in memory is as strict as what is on disk, or stricter: a charge is reserved here before it is written, and
//! settled here after that was. Changes of budgets are queued in the order in which they are made here, before anything
//! that is charged by them.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::hold::Hold;
use super::{
    Amount, BudgetError, BudgetGrant, BudgetPath, BudgetStatus, ChargeId, Ledger, StopReason, SuspectedCharge,
};
use crate::runtime::Runtime;
use crate::store::{Batch, BudgetChange, ChargeKey, CommitError, Record, StoreError, StoredBudgets};
use crate::sync::lock;
use crate::world::World;

/// The tree of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(super) ledger: Mutex<Ledger>,
    /// Held while a change is made in memory and queued for the store, so that both have one order.
    order: Mutex<()>,
}

impl Book {
    /// Takes over what was found in the store. What cannot be read stops its budget.
    pub(crate) fn recall(&self, found: StoredBudgets) {
        let mut ledger = lock(&self.ledger);
        for (path, budget) in found.budgets {
            let stopped = |is_stopped: bool| is_stopped.then_some(StopReason::Overdraft);
            let recalled = budget.map_err(|reason| reason.to_string()).and_then(|found| {
                let (sums, stopped) = ((found.spent, found.overdraft), stopped(found.is_stopped));
                let kept = ledger.recall_node(&path, found.grant, sums, stopped, found.is_closed);
                kept.map_err(|error| error.to_string())
            });
            if let Err(reason) = recalled {
                tracing::error!(budget = %path, reason, "a budget cannot be read: it is stopped");
                ledger.mark_damaged(&path);
            }
        }
        for (charge, amount) in found.charges {
            let node = charge.node.clone();
            let recalled = amount.map_err(|reason| reason.to_string());
            let recalled = recalled
                .and_then(|amount| ledger.recall(&node, amount, charge).map_err(|error| error.to_string()));
            if let Err(reason) = recalled {
                tracing::error!(budget = %node, reason, "a charge cannot be read: its budget is stopped");
                ledger.mark_damaged(&node);
            }
        }
        ledger.recalled();
    }
}

/// What may be spent in a runtime: see [`Runtime::budgets`]. Cheap to clone.
///
/// ```
/// use greenroom_runtime::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().start().await?;
/// let budgets = runtime.budgets();
/// budgets.open("acme", BudgetGrant::nano_usd(5_000_000_000)).await?;
/// budgets.open("acme/run-7", BudgetGrant::nano_usd(2_000_000_000)).await?; // a slice of it
///
/// let too_much = budgets.open("acme/run-8", BudgetGrant::nano_usd(4_000_000_000)).await;
/// assert!(matches!(too_much, Err(BudgetError::Exhausted { left: 3_000_000_000, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Budgets {
    world: Arc<World>,
}

impl Runtime {
    /// What may be spent, and what was.
    pub fn budgets(&self) -> Budgets {
        Budgets::of(self.world())
    }
}

impl Budgets {
    pub(crate) fn of(world: &Arc<World>) -> Self {
        Budgets { world: world.clone() }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        lock(&self.world.budgets.ledger)
    }

    /// Opens a budget, and those above it that are missing, without limits of their own. In the dimensions in which
    /// `grant` has a limit it is a slice, cut from the nearest limit above; in the others it shares what is left there. One
    /// that is open with a grant is left as it is, so that a handler may run twice. One flush.
    ///
    /// # Errors
    ///
    /// [`BudgetError::Exhausted`] if there is not so much left above; [`BudgetError::Stopped`], [`BudgetError::NotOpen`] of
    /// what lies above; [`BudgetError::TooMany`], [`BudgetError::Path`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place in the queue of the store, nothing happens; later, it happens all the same.
    pub async fn open(&self, path: &str, grant: BudgetGrant) -> Result<Budget, BudgetError> {
        let path = BudgetPath::parse(path)?;
        let open = |ledger: &mut Ledger| {
            let opened = ledger.open(&path, grant)?.into_iter();
            Ok(opened.map(|(path, grant)| (path, BudgetChange::Open { grant })).collect())
        };
        self.change(&path, open, |ledger, path| drop(ledger.close(path))).await?;
        Ok(Budget { world: self.world.clone(), path })
    }

    /// Raises the limits that a budget has, out of what is left above it, and lets it go on if it was stopped. One flush.
    ///
    /// # Errors
    ///
    /// [`BudgetError::Exhausted`] if there is not so much left above; [`BudgetError::NotOpen`],
    /// [`BudgetError::Overflow`], [`BudgetError::Path`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Budgets::open).
    pub async fn extend(&self, path: &str, by: Amount) -> Result<(), BudgetError> {
        let path = BudgetPath::parse(path)?;
        let stopped = self.ledger().status(&path).and_then(|status| status.stopped);
        let undo = move |ledger: &mut Ledger, path: &BudgetPath| ledger.take_back(path, by, stopped);
        let extend = |ledger: &mut Ledger| {
            ledger.extend(&path, by)?;
            Ok(vec![(path.clone(), BudgetChange::Extend { by })])
        };
        self.change(&path, extend, undo).await
    }

    /// Lets a budget go on that was stopped. One flush.
    ///
    /// # Errors
    ///
    /// [`BudgetError::NotOpen`]; [`BudgetError::Stopped`] if a record of it is damaged: [`mend`](Budgets::mend) it;
    /// [`BudgetError::Path`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Budgets::open).
    pub async fn resume(&self, path: &str) -> Result<(), BudgetError> {
        let path = BudgetPath::parse(path)?;
        let resume = |ledger: &mut Ledger| {
            ledger.resume(&path)?;
            Ok(vec![(path.clone(), BudgetChange::Resume)])
        };
        self.change(&path, resume, |_, _| {}).await
    }

    /// Opens a budget anew that was stopped because a record of it is [damaged](StopReason::Damaged): nobody knows what
    /// was spent in it, so give it what is left of it by the bills of the provider. What is damaged is deleted. One flush.
    ///
    /// # Errors
    ///
    /// [`BudgetError::NotOpen`] if it is not damaged; [`BudgetError::Exhausted`] if there is not so much left above;
    /// [`BudgetError::Path`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Budgets::open).
    pub async fn mend(&self, path: &str, grant: BudgetGrant) -> Result<(), BudgetError> {
        let path = BudgetPath::parse(path)?;
        let mend = |ledger: &mut Ledger| {
            ledger.mend(&path, grant)?;
            Ok(vec![(path.clone(), BudgetChange::Open { grant })])
        };
        self.change(&path, mend, |ledger, path| ledger.mark_damaged(path)).await
    }

    /// Closes a budget and all below it. What they have not used goes back to the budget above at once; what calls in
    /// flight and suspected charges hold, when those are settled. What was spent stays spent there. Returns the budget as
    /// it was before; `None` if it was not open. One flush. Of a tenant nothing is kept.
    ///
    /// # Errors
    ///
    /// [`BudgetError::Path`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Budgets::open).
    pub async fn close(&self, path: &str) -> Result<Option<BudgetStatus>, BudgetError> {
        let path = BudgetPath::parse(path)?;
        let place = self.place().await?;
        let outcome = {
            let _order = lock(&self.world.budgets.order);
            let (before, closed) = {
                let mut ledger = self.ledger();
                (ledger.status(&path).filter(|status| !status.is_closed), ledger.close(&path))
            };
            let record = |path| Record::Budget { path, change: BudgetChange::Close };
            let records: Vec<_> = closed.into_iter().map(record).collect();
            if records.is_empty() {
                return Ok(before);
            }
            (queue(place, records, |_| {}), before)
        };
        kept(outcome.0).await?;
        Ok(outcome.1)
    }

    /// Makes a change in memory, and queues it for the store; if that does not keep it, it is undone.
    async fn change(
        &self,
        path: &BudgetPath,
        make: impl FnOnce(&mut Ledger) -> Result<Vec<(BudgetPath, BudgetChange)>, BudgetError>,
        undo: impl FnOnce(&mut Ledger, &BudgetPath) + Send + 'static,
    ) -> Result<(), BudgetError> {
        let place = self.place().await?;
        let outcome = {
            let _order = lock(&self.world.budgets.order);
            let changes = make(&mut self.ledger())?;
            if changes.is_empty() {
                return Ok(());
            }
            let records = changes.into_iter().map(|(path, change)| Record::Budget { path, change }).collect();
            let (world, path) = (self.world.clone(), path.clone());
            queue(place, records, move |is_kept| {
                if !is_kept {
                    undo(&mut lock(&world.budgets.ledger), &path);
                }
            })
        };
        kept(outcome).await
    }

    /// A place in the queue of the store; `None` without a store.
    async fn place(&self) -> Result<Option<crate::store::QueuePlace>, BudgetError> {
        if !self.world.has_store() {
            return Ok(None);
        }
        let store = self.world.store().ok_or(CommitError::Store(StoreError::Closed));
        let store = store.map_err(BudgetError::Unstored)?;
        store.place().await.map(Some).map_err(BudgetError::Unstored)
    }

    /// A budget that is open, by a handle to charge calls to.
    ///
    /// # Errors
    ///
    /// [`BudgetError::NotOpen`], [`BudgetError::Path`].
    pub fn at(&self, path: &str) -> Result<Budget, BudgetError> {
        let path = BudgetPath::parse(path)?;
        match self.ledger().status(&path) {
            Some(status) if !status.is_closed => Ok(Budget { world: self.world.clone(), path }),
            _ => Err(BudgetError::NotOpen { node: path }),
        }
    }

    /// A budget as it is now; `None` if there is none of that path.
    pub fn status(&self, path: &str) -> Option<BudgetStatus> {
        self.ledger().status(&BudgetPath::parse(path).ok()?)
    }

    /// The first `most` budgets behind `after`, sorted by path; `None`: from the first. Those that are closed are among
    /// them as long as something is charged in them.
    pub fn list(&self, after: Option<&BudgetPath>, most: usize) -> Vec<BudgetStatus> {
        self.ledger().list(after, most)
    }

    /// All calls at `path` and below of which nobody knows what they came to; `None`: everywhere. Oldest first.
    pub fn suspected(&self, path: Option<&BudgetPath>) -> Vec<SuspectedCharge> {
        self.ledger().all_suspected(path)
    }

    /// Settles a suspected charge: `spent` is what the provider has billed for it, or nothing. One flush.
    ///
    /// # Errors
    ///
    /// [`BudgetError::NotSuspected`], [`BudgetError::Overflow`], [`BudgetError::Unstored`].
    ///
    /// # Cancel safety
    ///
    /// As [`open`](Budgets::open).
    pub async fn reconcile(&self, charge: ChargeId, spent: Amount) -> Result<(), BudgetError> {
        let SuspectedCharge { step, .. } = self.ledger().suspected(charge)?;
        let place = self.place().await?.filter(|_| step.is_some());
        // Again: somebody may have been faster, or its step looks after it again.
        self.ledger().suspected(charge)?;
        let records = step.map(|charge| Record::Settle { charge, spent }).into_iter().collect();
        let world = self.world.clone();
        let settle = move |is_kept: bool| {
            if is_kept {
                world.settle(charge, spent);
            }
        };
        kept(queue(place, records, settle)).await
    }
}

/// Queues `records`; `then` is told whether they were kept, in the writer's turn.
fn queue(
    place: Option<crate::store::QueuePlace>,
    records: Vec<Record>,
    then: impl FnOnce(bool) + Send + 'static,
) -> oneshot::Receiver<Result<(), CommitError>> {
    let (told, outcome) = oneshot::channel();
    match place {
        Some(place) => place.commit(Batch::from_outside(records), move |committed| {
            then(committed.is_ok());
            // Whoever asked may be gone.
            drop(told.send(committed.map(drop)));
        }),
        None => {
            then(true);
            drop(told.send(Ok(())));
        }
    }
    outcome
}

async fn kept(outcome: oneshot::Receiver<Result<(), CommitError>>) -> Result<(), BudgetError> {
    outcome.await.unwrap_or(Err(CommitError::Unavailable)).map_err(BudgetError::Unstored)
}

/// An open budget, to charge calls to: [`Context::budget`](crate::Context::budget). Cheap to clone; holds nothing open.
#[derive(Clone)]
pub struct Budget {
    world: Arc<World>,
    path: BudgetPath,
}

impl Budget {
    /// Where it stands.
    pub fn path(&self) -> &BudgetPath {
        &self.path
    }

    /// As it is now; `None` when it is closed and gone.
    pub fn status(&self) -> Option<BudgetStatus> {
        lock(&self.world.budgets.ledger).status(&self.path)
    }

    /// Sets `worst` aside. `step`: for which step of the store, whatever its attempt.
    pub(crate) fn reserve(&self, worst: Amount, step: Option<ChargeKey>) -> Result<Hold, BudgetError> {
        let reserved = {
            let mut ledger = lock(&self.world.budgets.ledger);
            let step = step.map(|step| ChargeKey { attempt: ledger.next_attempt(&step), ..step });
            ledger.reserve(&self.path, worst, step.clone()).map(|id| (id, step))
        };
        match reserved {
            Ok((id, step)) => Ok(Hold::reserved(self.world.clone(), id, step, worst)),
            Err(error) => {
                self.world.telemetry.budget_refused(self.path.tenant());
                Err(error)
            }
        }
    }

    /// The newest charge of a step that nobody looks after, if there is one.
    pub(crate) fn take_up(&self, step: &ChargeKey, worst: Amount) -> Option<Hold> {
        let (id, step) = lock(&self.world.budgets.ledger).take_up(step)?;
        Some(Hold::charged(self.world.clone(), id, step, worst))
    }
}
