//! The boundaries of the store, as points at which the bank is killed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, LaidAside, ListedCase, Ownership, Scan, Store, StoreError,
    StoreHead, StorePromise, StoredBudgets,
};

use crate::told::Told;

const ASK_EVERY: Duration = Duration::from_secs(1);

/// Before or after the n-th call of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Boundary {
    side: Side,
    call: Call,
    /// From 1; `None`: drawn anew for each life.
    pub(crate) nth: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// One flush: of a group of batches.
    Commit,
    /// One actor that begins a new life.
    Scan,
}

impl Boundary {
    pub(crate) const COMMITS: [Boundary; 2] = [
        Boundary { side: Side::Before, call: Call::Commit, nth: None },
        Boundary { side: Side::After, call: Call::Commit, nth: None },
    ];

    /// The same, with a number drawn from `dice` if it has none.
    pub(crate) fn drawn(self, dice: u64) -> Self {
        let among = match self.call {
            Call::Commit => 120,
            // All actors at the start, and those that are killed later.
            Call::Scan => 60,
        };
        Boundary { nth: self.nth.or(Some(1 + dice % among)), ..self }
    }
}

impl FromStr for Boundary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (point, nth) = match text.split_once(':') {
            None => (text, None),
            Some((point, nth)) => match nth.parse() {
                Ok(nth) if nth > 0 => (point, Some(nth)),
                Ok(_) | Err(_) => return Err(format!("`{nth}` is no number from 1")),
            },
        };
        let (side, call) = match point {
            "before-commit" => (Side::Before, Call::Commit),
            "after-commit" => (Side::After, Call::Commit),
            "before-scan" => (Side::Before, Call::Scan),
            "after-scan" => (Side::After, Call::Scan),
            _ => return Err("not one of before-commit, after-commit, before-scan, after-scan".to_owned()),
        };
        Ok(Boundary { side, call, nth })
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        let call = match self.call {
            Call::Commit => "commit",
            Call::Scan => "scan",
        };
        write!(f, "{side}-{call}")?;
        self.nth.map_or(Ok(()), |nth| write!(f, ":{nth}"))
    }
}

/// A store that stands still at a boundary, and says so: nothing passes until the process is killed.
pub(crate) struct StopsAt {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) boundary: Boundary,
    pub(crate) told: Arc<Told>,
    pub(crate) calls: AtomicU64,
}

impl StopsAt {
    fn call<T>(&self, call: Call, carry_out: impl FnOnce() -> T) -> T {
        let is_here = self.boundary.call == call
            && Some(1 + self.calls.fetch_add(1, Ordering::Relaxed)) == self.boundary.nth;
        if is_here && self.boundary.side == Side::Before {
            self.stand_still();
        }
        let result = carry_out();
        if is_here {
            self.stand_still();
        }
        result
    }

    fn stand_still(&self) {
        loop {
            // Again and again: without a parent nobody would ever kill it.
            self.told.say("boundary");
            std::thread::park_timeout(ASK_EVERY);
        }
    }
}

impl Store for StopsAt {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        self.call(Call::Commit, || self.inner.commit(group))
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        self.call(Call::Scan, || self.inner.scan(actor))
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.unfinished()
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.inner.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.inner.actors()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.inner.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.inner.cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.inner.budgets()
    }
    fn promise(&self) -> StorePromise {
        self.inner.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.inner.own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.inner.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.inner.end()
    }
}
