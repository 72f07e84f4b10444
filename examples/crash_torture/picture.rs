//! The store, read again after a kill: the state of each actor of the bank, and what waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use greenroom::{ActorPath, CaseOwner, SledStore, Store};
use serde::de::DeserializeOwned;

use crate::bank::{
    self, Account, Beat, Carried, Giver, IsQuiet, Payment, Reception, Shipping, Taker, Ticker,
};
use crate::item::{ACCOUNTS, COUNTERS, Item, TAKERS, path};

/// One actor, as it lies in the store.
#[derive(Debug)]
pub(crate) struct Lying<S> {
    pub(crate) state: S,
    /// Work that waits, oldest first, with the name of its message.
    inbox: Vec<(String, Item)>,
    /// The names of its timers.
    pub(crate) timers: BTreeSet<String>,
}

/// The whole bank at one instant.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) accounts: Vec<Lying<Account>>,
    pub(crate) receptions: Vec<Lying<Reception>>,
    pub(crate) payments: Vec<Lying<Payment>>,
    pub(crate) shippings: Vec<Lying<Shipping>>,
    pub(crate) givers: Vec<Lying<Giver>>,
    pub(crate) takers: Vec<Lying<Taker>>,
    pub(crate) tickers: Vec<Lying<Ticker>>,
    /// Who owns which case, by the records.
    pub(crate) cases: BTreeMap<String, CaseOwner>,
    /// Who has something to see to.
    pub(crate) unfinished: BTreeSet<String>,
    /// Records that the store would not vouch for, and messages that were laid aside.
    pub(crate) damage: Vec<String>,
}

impl<S> Lying<S> {
    /// The work that waits as messages of that name.
    pub(crate) fn waiting(&self, message: &str) -> impl Iterator<Item = Item> {
        self.inbox.iter().filter(move |(name, _)| name == message).map(|(_, item)| *item)
    }
}

impl Picture {
    /// Reads the store. Nobody else has it open.
    ///
    /// # Errors
    ///
    /// In one sentence, why it cannot be read, or what in it is damaged.
    pub(crate) fn take(folder: &Path) -> Result<Self, String> {
        let store = SledStore::open(folder).map_err(|error| format!("{error}"))?;
        let unfinished = store.unfinished().map_err(|error| format!("{error}"))?;
        let mut reader = Reader { store, damage: Vec::new() };
        Ok(Picture {
            accounts: reader.all("account", ACCOUNTS)?,
            receptions: reader.all("reception", COUNTERS)?,
            payments: reader.all("payment", COUNTERS)?,
            shippings: reader.all("shipping", COUNTERS)?,
            givers: reader.all("giver", COUNTERS)?,
            takers: reader.all("taker", TAKERS)?,
            tickers: reader.all("ticker", COUNTERS)?,
            cases: reader.cases()?,
            unfinished: unfinished.iter().map(ToString::to_string).collect(),
            damage: reader.damage,
        })
    }
}

struct Reader {
    store: SledStore,
    damage: Vec<String>,
}

impl Reader {
    fn all<S: Default + DeserializeOwned>(&mut self, kind: &str, count: u8) -> Result<Vec<Lying<S>>, String> {
        (0..count).map(|n| self.one(&path(kind, n))).collect()
    }

    fn one<S: Default + DeserializeOwned>(&mut self, path: &ActorPath) -> Result<Lying<S>, String> {
        let broken = |error: &dyn Display| format!("{path}: {error}");
        let scan = self.store.scan(path).map_err(|error| broken(&error))?;
        self.damage.extend(scan.damage.iter().map(|damage| broken(damage)));
        let aside = self.store.laid_aside(path).map_err(|error| broken(&error))?;
        self.damage
            .extend(aside.iter().map(|aside| broken(&format!("a message was laid aside: {}", aside.cause))));
        let state = match &scan.snapshot {
            Some(snapshot) => rmp_serde::from_slice(&snapshot.state).map_err(|error| broken(&error))?,
            None => S::default(),
        };
        let mut inbox = Vec::new();
        for message in scan.inbox.into_iter().filter(|message| carries_work(&message.name)) {
            let carried: Carried = rmp_serde::from_slice(&message.body).map_err(|error| broken(&error))?;
            inbox.push((message.name, carried.item));
        }
        let timers = scan.timers.into_iter().map(|timer| timer.name).collect();
        Ok(Lying { state, inbox, timers })
    }
}

impl Reader {
    fn cases(&mut self) -> Result<BTreeMap<String, CaseOwner>, String> {
        const PAGE: usize = 500;
        let mut cases = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.cases(after.as_deref(), PAGE).map_err(|error| error.to_string())?;
            let Some((last, _)) = page.last() else { return Ok(cases) };
            after = Some(last.clone());
            for (case, kept) in page {
                match kept {
                    Ok(owner) => drop(cases.insert(case, owner)),
                    Err(reason) => self.damage.push(format!("case {case}: {reason}")),
                }
            }
        }
    }
}

fn carries_work(name: &str) -> bool {
    ![bank::name::<Beat>(), bank::name::<IsQuiet>()].contains(&name)
}
