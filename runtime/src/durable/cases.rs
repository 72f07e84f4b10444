//! Who owns which case, asked from outside.

use super::births::store_error;
use crate::address::ActorPath;
use crate::runtime::Runtime;
use crate::store::{Batch, CaseChange, CaseOwner, CommitError, ListedCase, Record, StoreError};

/// Read at a time.
const PAGE: usize = 256;

impl Runtime {
    /// Who owns a case: one actor at every instant from the commit that opened it to the one that closed it, also after a
    /// crash between offer and acceptance, and with an offer that is pending. `None`: nobody has opened it, it is closed, or
    /// there is no store. Costs one read of the store, behind all that was queued before.
    ///
    /// ```
    /// # use greenroom_runtime::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::builder().store(MemoryStore::new()).start().await?;
    /// let desk = ActorPath::parse("desk")?;
    ///
    /// // An actor would call `cx.open_case("ticket-17")`; so does somebody who looks after the store.
    /// runtime.assign_case("ticket-17", None, Some(desk.clone())).await?;
    /// assert_eq!(runtime.owner_of("ticket-17").await?.unwrap().owner, desk);
    ///
    /// let taken = runtime.assign_case("ticket-17", None, Some(ActorPath::parse("billing")?)).await;
    /// assert!(matches!(taken, Err(CommitError::Conflict { found: Some(CaseOwner { owner, .. }), .. }) if owner == desk));
    /// # runtime.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::CaseDamaged`] if that is not known, [`StoreError`] when the store cannot read.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn owner_of(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        let Some(store) = self.world().store() else { return Ok(None) };
        let case = case.to_owned();
        store.read(move |store| store.case(&case)).await.map_err(store_error)
    }

    /// The first `most` cases behind `after`, sorted by name; `None`: from the first. A case whose record is damaged is
    /// listed as such. Costs two reads of the store for each.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot read. Without a store there are none.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        let Some(store) = self.world().store() else { return Ok(Vec::new()) };
        let after = after.map(str::to_owned);
        store.read(move |store| store.cases(after.as_deref(), most)).await.map_err(store_error)
    }

    /// The first `most` cases of `owner` behind `after`, sorted by name. Reads the cases of all others on its way, in pages
    /// between which the store does other work; a case that changes hands meanwhile may be in it or not.
    ///
    /// # Errors
    ///
    /// As [`cases`](Runtime::cases). A case whose record is damaged is nobody's here.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn cases_of(
        &self,
        owner: &ActorPath,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<(String, CaseOwner)>, StoreError> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let page = self.cases(after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = Some(last.clone());
            let own = page.into_iter().filter_map(|(case, kept)| Some((case, kept.ok()?)));
            found.extend(own.filter(|(_, kept)| kept.owner == *owner).take(most - found.len()));
            if found.len() == most {
                return Ok(found);
            }
        }
    }

    /// Gives a case to another owner, or closes it, without asking anybody: for a case whose owner is gone for good or was
    /// [erased](Runtime::erase), or whose record is damaged (then `from` is `None`). No offer is pending then. The actors
    /// concerned are not told; what they have of it in their state stays.
    ///
    /// # Errors
    ///
    /// [`CommitError::Conflict`] if the owner is not `from`. [`CommitError::Store`] when the store cannot write.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, it may be done all the same.
    pub async fn assign_case(
        &self,
        case: &str,
        from: Option<ActorPath>,
        to: Option<ActorPath>,
    ) -> Result<(), CommitError> {
        let store = self.world().store().ok_or(StoreError::Closed)?;
        let change = CaseChange::Assign { from, to };
        let assign = Record::Case { case: case.to_owned(), change };
        store.commit(Batch::from_outside(vec![assign])).await.map(drop)
    }
}
