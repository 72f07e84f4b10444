//! Cases: who owns each, and to whom it is offered. One record holds both, so that no instant has two owners, or none.

use serde::{Deserialize, Serialize};

use super::DamageReason;
use crate::address::ActorPath;

/// Who owns a case, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOwner {
    /// The one owner.
    pub owner: ActorPath,
    /// Number of the handoff by which it came there; 0 for who opened it.
    pub hop: u32,
    /// The offer that is pending. Until it is accepted the case stays with its owner.
    pub offer: Option<CaseOffer>,
}

/// An offer of a case that is not accepted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOffer {
    /// Number of the handoff: higher than that by which its owner got the case.
    pub hop: u32,
    /// To whom, for people to read, such as a role; at most [`REQUEST_LEN_MAX`](super::REQUEST_LEN_MAX) bytes. Whoever
    /// was told the number may accept.
    pub to: String,
}

/// A case in a list, with its owner, or why that cannot be read.
pub type ListedCase = (String, Result<CaseOwner, DamageReason>);

/// What becomes of a case. Each holds only as long as the record says what it expects: else the whole batch is refused
/// with [`BatchOutcome::Conflict`](super::BatchOutcome::Conflict), and nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaseChange {
    /// Nobody has it: it is the writer's.
    Open,
    /// It is the writer's, who got it by an earlier handoff: the offer is pending, in the place of the one before.
    Offer(CaseOffer),
    /// It is the writer's: no offer is pending.
    Withdraw,
    /// It belongs to `from`, and handoff `hop` is pending: it is the writer's.
    Accept {
        /// Who offered it.
        from: ActorPath,
        /// Which handoff.
        hop: u32,
    },
    /// It is the writer's: nobody has it any more, and nothing is kept of it.
    Close,
    /// Decided by whoever looks after the store, from outside too. No offer is pending then. A damaged record is taken for
    /// nobody's here, and here alone, so that it can be mended.
    Assign {
        /// Who has it.
        from: Option<ActorPath>,
        /// Who has it then; `None`: nobody, and nothing is kept of it.
        to: Option<ActorPath>,
    },
}

/// The record does not say what a change expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAsExpected;

impl CaseChange {
    /// What is kept of a case after a change by `writer`.
    pub(crate) fn apply(
        &self,
        writer: Option<&ActorPath>,
        kept: Option<&CaseOwner>,
    ) -> Result<Option<CaseOwner>, NotAsExpected> {
        let own = kept.filter(|kept| writer == Some(&kept.owner));
        let by_writer = |hop| writer.map(|writer| CaseOwner { owner: writer.clone(), hop, offer: None });
        match (self, kept, own) {
            (CaseChange::Open, None, _) if writer.is_some() => Ok(by_writer(0)),
            (CaseChange::Offer(offer), _, Some(own)) if offer.hop > own.hop => {
                Ok(Some(CaseOwner { offer: Some(offer.clone()), ..own.clone() }))
            }
            (CaseChange::Withdraw, _, Some(own)) => Ok(Some(CaseOwner { offer: None, ..own.clone() })),
            (CaseChange::Accept { from, hop }, Some(kept), _)
                if writer.is_some()
                    && kept.owner == *from
                    && kept.offer.as_ref().is_some_and(|offer| offer.hop == *hop) =>
            {
                Ok(by_writer(*hop))
            }
            (CaseChange::Close, _, Some(_)) => Ok(None),
            (CaseChange::Assign { from, to }, kept, _) if kept.map(|kept| &kept.owner) == from.as_ref() => {
                // The number stays: of an offer that was made before, none may be accepted later.
                let hop =
                    kept.map_or(0, |kept| kept.hop.max(kept.offer.as_ref().map_or(0, |offer| offer.hop)));
                Ok(to.clone().map(|owner| CaseOwner { owner, hop, offer: None }))
            }
            _ => Err(NotAsExpected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ActorPath {
        ActorPath::parse(text).unwrap()
    }

    fn kept(owner: &str, hop: u32, offered: Option<u32>) -> CaseOwner {
        CaseOwner { owner: path(owner), hop, offer: offered.map(|hop| CaseOffer { hop, to: "role".into() }) }
    }

    fn offer(hop: u32) -> CaseChange {
        CaseChange::Offer(CaseOffer { hop, to: "role".into() })
    }

    fn accept(from: &str, hop: u32) -> CaseChange {
        CaseChange::Accept { from: path(from), hop }
    }

    /// Every change against every kind of record that it may find.
    #[test]
    fn a_change_holds_only_for_the_record_that_it_expects() {
        let (open, pending) = (kept("a", 1, None), kept("a", 1, Some(2)));
        let assign = |from: Option<&str>, to: Option<&str>| CaseChange::Assign {
            from: from.map(path),
            to: to.map(path),
        };
        let no = Err(NotAsExpected);
        // Who writes, what; found nobody; found `open`; found `pending`.
        let table = [
            ("a", CaseChange::Open, Ok(Some(kept("a", 0, None))), no.clone(), no.clone()),
            ("b", CaseChange::Open, Ok(Some(kept("b", 0, None))), no.clone(), no.clone()),
            ("a", offer(2), no.clone(), Ok(Some(pending.clone())), Ok(Some(pending.clone()))),
            ("a", offer(3), no.clone(), Ok(Some(kept("a", 1, Some(3)))), Ok(Some(kept("a", 1, Some(3))))),
            ("a", offer(1), no.clone(), no.clone(), no.clone()),
            ("b", offer(2), no.clone(), no.clone(), no.clone()),
            ("a", CaseChange::Withdraw, no.clone(), Ok(Some(open.clone())), Ok(Some(open.clone()))),
            ("b", CaseChange::Withdraw, no.clone(), no.clone(), no.clone()),
            ("b", accept("a", 2), no.clone(), no.clone(), Ok(Some(kept("b", 2, None)))),
            ("b", accept("a", 1), no.clone(), no.clone(), no.clone()),
            ("b", accept("c", 2), no.clone(), no.clone(), no.clone()),
            ("a", CaseChange::Close, no.clone(), Ok(None), Ok(None)),
            ("b", CaseChange::Close, no.clone(), no.clone(), no.clone()),
            ("", assign(None, Some("c")), Ok(Some(kept("c", 0, None))), no.clone(), no.clone()),
            (
                "",
                assign(Some("a"), Some("c")),
                no.clone(),
                Ok(Some(kept("c", 1, None))),
                Ok(Some(kept("c", 2, None))),
            ),
            ("", assign(Some("a"), None), no.clone(), Ok(None), Ok(None)),
            ("", assign(Some("b"), None), no.clone(), no.clone(), no.clone()),
            ("", CaseChange::Open, no.clone(), no.clone(), no.clone()),
            ("", CaseChange::Close, no.clone(), no.clone(), no.clone()),
            ("", accept("a", 2), no.clone(), no.clone(), no),
        ];
        for (writer, change, nobody, on_open, on_pending) in table {
            let writer = (!writer.is_empty()).then(|| path(writer));
            let apply = |found| change.apply(writer.as_ref(), found);
            let found = (apply(None), apply(Some(&open)), apply(Some(&pending)));
            assert_eq!(found, (nobody, on_open, on_pending), "{change:?} by {writer:?}");
        }
    }
}
