//! Accepting a case: what the record of its owner makes of an offer.

use greenroom_runtime::{Accepts, Actor, ActorPath, CaseError, CaseOwner, Context, Failure, Handler};

use crate::handoff::{Decision, Handoff, HandoffPayload};

/// What became of an offer that its taker [accepts](AcceptExt::accept).
#[must_use = "only a case that was taken is to be worked on"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The case is this actor's, with the commit of this handler.
    Taken,
    /// It is this actor's already, by this very handoff: the offer was repeated.
    Repeated,
    /// The offer is not pending any more: it was withdrawn, another one has taken its place, or somebody has accepted it.
    /// Leave the case alone.
    Over {
        /// Who owns the case; `None`: nobody, it is closed.
        owner: Option<ActorPath>,
    },
}

impl Acceptance {
    /// What the giver is to be answered.
    #[must_use]
    pub fn decision(self) -> Decision {
        match self {
            Acceptance::Taken | Acceptance::Repeated => Decision::Accepted,
            Acceptance::Over { owner } => Decision::Over { owner },
        }
    }
}

/// Accepting for handlers. In the prelude.
pub trait AcceptExt<T: HandoffPayload> {
    /// Accepts the case of that offer: it is this actor's with the commit of this handler, which should have the case in
    /// its state. To refuse it, answer [`Decision::Refused`] and call nothing.
    ///
    /// Who has a case may change between two runs of a handler, unlike the result of a step. So call this when all steps
    /// are made.
    ///
    /// A handoff whose giver is not durable has no record yet: this begins one. An actor that is not durable itself keeps
    /// none; the case of a durable giver stays its own by the record, until that one closes it.
    ///
    /// # Errors
    ///
    /// [`External`](greenroom_runtime::FailureClass::External) if the store cannot say who owns the case.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    fn accept(&self, handoff: &Handoff<T>) -> impl Future<Output = Result<Acceptance, Failure>> + Send;
}

impl<A, T> AcceptExt<T> for Context<'_, A>
where
    T: HandoffPayload,
    A: Actor + Handler<Handoff<T>>,
    A::Inbox: Accepts<Handoff<T>, A>,
{
    fn accept(&self, handoff: &Handoff<T>) -> impl Future<Output = Result<Acceptance, Failure>> + Send {
        let Handoff { id, from, is_recorded, .. } = handoff;
        let (id, from, is_recorded) = (id.clone(), from.clone(), *is_recorded);
        async move {
            let changed = match is_recorded {
                true => self.accept_case(&id.case, &from, id.hop).await,
                false => self.open_case(&id.case).await,
            };
            match changed {
                Ok(()) | Err(CaseError::NotDurable { .. }) => Ok(Acceptance::Taken),
                Err(CaseError::Conflict { found, .. }) => {
                    Ok(not_pending(found, self.path(), is_recorded.then_some(id.hop)))
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// `by`: the number of the handoff, if it is recorded.
fn not_pending(found: Option<CaseOwner>, me: &ActorPath, by: Option<u32>) -> Acceptance {
    match found {
        Some(kept) if kept.owner == *me && by.is_none_or(|hop| hop == kept.hop) => Acceptance::Repeated,
        found => Acceptance::Over { owner: found.map(|kept| kept.owner) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_that_is_not_pending_was_repeated_or_is_over() {
        let path = |text: &str| ActorPath::parse(text).unwrap();
        let kept = |owner, hop| Some(CaseOwner { owner: path(owner), hop, offer: None });
        let over = |owner: Option<&str>| Acceptance::Over { owner: owner.map(path) };
        for (found, by, expected) in [
            (kept("me", 2), Some(2), Acceptance::Repeated),
            (kept("me", 2), None, Acceptance::Repeated),
            // It came here, left, and came back by a later one: the case is ours, this offer is over.
            (kept("me", 4), Some(2), over(Some("me"))),
            (kept("other", 2), Some(2), over(Some("other"))),
            (kept("other", 2), None, over(Some("other"))),
            (None, Some(2), over(None)),
        ] {
            assert_eq!(not_pending(found.clone(), &path("me"), by), expected, "{found:?} by {by:?}");
        }
    }
}
