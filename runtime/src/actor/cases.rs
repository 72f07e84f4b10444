//! Cases in a handler: opened, offered, accepted, closed with its commit.

use crate::actor::{Actor, Context};
use crate::address::ActorPath;
use crate::durable::store_error;
use crate::message::Failure;
use crate::store::{CaseChange, CaseOffer, CaseOwner, StoreError, whose};
use crate::sync::lock;

/// Why a handler cannot change a case.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The case is not in the state that the change expects: it belongs to somebody else, or to nobody; or the offer that
    /// is accepted is not pending any more. Nothing is changed; the handler may go on.
    #[error("case {case} cannot be changed so: {}", whose(found.as_ref()))]
    Conflict {
        /// Which case.
        case: String,
        /// Who owns it, with what this handler has done so far.
        found: Option<CaseOwner>,
    },
    /// Only a [durable](crate::ActorSpec::durable) actor owns cases.
    #[error("{actor} is not durable, and owns no cases")]
    NotDurable {
        /// Who.
        actor: ActorPath,
    },
    /// The store cannot say who owns the case; after [`StoreError::CaseDamaged`] until somebody
    /// [decides](crate::Runtime::assign_case).
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CaseError> for Failure {
    /// A conflict is `Invalid`, a store that cannot say it `External`, and an actor that is not durable a `Bug`.
    fn from(error: CaseError) -> Self {
        match error {
            CaseError::Conflict { .. } => Failure::invalid(error),
            CaseError::NotDurable { .. } => Failure::bug(error),
            CaseError::Store(_) => Failure::external(error),
        }
    }
}

/// A case is owned by one durable actor, by a record of the store: see [`Runtime::owner_of`](crate::Runtime::owner_of).
/// What a handler changes is part of its commit, and dropped with it if the handler fails. Each call reads the record, so
/// that it finds what others have committed. Should another commit come in between after all, nothing of this one is kept,
/// and the message is handled again, like after an [`External`](crate::FailureClass::External) failure; then the call says
/// [`CaseError::Conflict`].
///
/// Who owns a case may differ from one run of a handler to the next, unlike the result of a step: ask when all steps are
/// made.
impl<A: Actor> Context<'_, A> {
    /// Who owns the case, with what this handler has done so far. Costs one read of the store.
    ///
    /// # Errors
    ///
    /// [`CaseError::NotDurable`], [`CaseError::Store`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again; so may the others.
    pub async fn owner_of(&self, case: &str) -> Result<Option<CaseOwner>, CaseError> {
        if !self.is_transaction() {
            return Err(CaseError::NotDurable { actor: self.path().clone() });
        }
        let store = self.cell.core.world.store().ok_or(StoreError::Closed)?;
        let name = case.to_owned();
        let kept = store.read(move |store| store.case(&name)).await.map_err(store_error)?;
        let held = lock(&self.held);
        let changes = held.as_ref().map_or(&[][..], |held| &held.cases);
        let own = changes.iter().filter(|(of, _)| of == case);
        let after = |kept: Option<CaseOwner>, (_, change): &(String, CaseChange)| {
            change.apply(Some(self.path()), kept.as_ref()).unwrap_or(kept) // if not, the commit will say so
        };
        Ok(own.fold(kept, after))
    }

    /// Takes on a case that nobody owns. Its name (at most [`REQUEST_LEN_MAX`](crate::REQUEST_LEN_MAX) bytes) is unique in
    /// the store, until it is closed.
    ///
    /// # Errors
    ///
    /// [`CaseError`].
    pub async fn open_case(&self, case: &str) -> Result<(), CaseError> {
        self.change_case(case, CaseChange::Open).await
    }

    /// Writes down that a case of this actor is offered to somebody, in the place of an offer before; the case stays here
    /// until that is accepted. `hop` numbers the handoffs of the case: higher than that by which it came here. Tell the
    /// taker this number, with the same handler.
    ///
    /// # Errors
    ///
    /// [`CaseError`].
    pub async fn offer_case(&self, case: &str, hop: u32, to: impl Into<String>) -> Result<(), CaseError> {
        self.change_case(case, CaseChange::Offer(CaseOffer { hop, to: to.into() })).await
    }

    /// Takes the pending offer of a case of this actor back: from this handler's commit on, nobody can accept it.
    ///
    /// # Errors
    ///
    /// [`CaseError`].
    pub async fn withdraw_case(&self, case: &str) -> Result<(), CaseError> {
        self.change_case(case, CaseChange::Withdraw).await
    }

    /// Accepts handoff `hop` of a case that `from` owns: with this handler's commit, which should have the case in its
    /// state, it is this actor's.
    ///
    /// # Errors
    ///
    /// [`CaseError::Conflict`] if that offer is not pending any more: with what is kept of the case, which tells whether it
    /// was accepted here before, by somebody else, or withdrawn. And the others of [`CaseError`].
    pub async fn accept_case(&self, case: &str, from: &ActorPath, hop: u32) -> Result<(), CaseError> {
        self.change_case(case, CaseChange::Accept { from: from.clone(), hop }).await
    }

    /// Is done with a case of this actor: nothing is kept of it.
    ///
    /// # Errors
    ///
    /// [`CaseError`].
    pub async fn close_case(&self, case: &str) -> Result<(), CaseError> {
        self.change_case(case, CaseChange::Close).await
    }

    async fn change_case(&self, case: &str, change: CaseChange) -> Result<(), CaseError> {
        let found = self.owner_of(case).await?;
        if change.apply(Some(self.path()), found.as_ref()).is_err() {
            return Err(CaseError::Conflict { case: case.to_owned(), found });
        }
        lock(&self.held).get_or_insert_default().cases.push((case.to_owned(), change));
        Ok(())
    }
}
