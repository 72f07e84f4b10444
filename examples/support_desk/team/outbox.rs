//! Cases that were offered to somebody and are not accepted yet: still ours. Stored with their owner's state.

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::HandoffFailure;
use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

use crate::team::case::{Job, Offer};

/// How often an offer without a decision is made again, before it goes to the escalation desk; and how often there.
const OFFERS_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// The open offers of one actor, by ticket.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    open: BTreeMap<String, Open>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Open {
    offer: Offer,
    /// How often this offer came back without a decision.
    failures: u32,
}

/// What the giver does with an offer that came back without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// The same offer again, after this time.
    OfferAgain(Duration),
    /// The escalation desk gets it; the ticket went another way than it should have.
    Reroute,
    /// The escalation desk gets it, marked as poison.
    Escalate,
    /// Nobody can take it: the giver sets it aside itself.
    Quarantine,
}

/// Decides what follows; the giver carries it out. `failures` counts this one.
pub(crate) fn after_failure(failure: &HandoffFailure, to: &Role, failures: u32) -> AfterFailure {
    let at_escalation = *to == Job::Escalation.role();
    match failure {
        HandoffFailure::TakerFailed { .. } if at_escalation => AfterFailure::Quarantine,
        HandoffFailure::TakerFailed { .. } => AfterFailure::Escalate,
        // Down, or silent: that passes. The same id again, so that a taker who has it already says so.
        _ if failures < OFFERS_MAX => AfterFailure::OfferAgain(PAUSE),
        _ if at_escalation => AfterFailure::Quarantine,
        _ => AfterFailure::Reroute,
    }
}

impl Outbox {
    /// Whether the ticket is in here.
    pub(crate) fn holds(&self, ticket: &str) -> bool {
        self.open.contains_key(ticket)
    }

    /// The open offer of the ticket.
    pub(crate) fn offer(&self, ticket: &str) -> Option<&Offer> {
        self.open.get(ticket).map(|open| &open.offer)
    }

    pub(crate) fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.open.values().map(|open| &open.offer)
    }

    /// Keeps the offer, in place of an earlier one of the same ticket.
    pub(crate) fn keep(&mut self, offer: Offer) {
        self.open.insert(offer.id.case.clone(), Open { offer, failures: 0 });
    }

    /// Forgets the ticket; says whether it was open.
    pub(crate) fn forget(&mut self, ticket: &str) -> bool {
        self.open.remove(ticket).is_some()
    }

    /// Counts one more failure of the open offer of the ticket.
    pub(crate) fn count_failure(&mut self, ticket: &str) -> u32 {
        self.open.get_mut(ticket).map_or(0, |open| {
            open.failures += 1;
            open.failures
        })
    }
}
