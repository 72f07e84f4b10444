//! What is handed over, and the roles it goes to.

use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

use crate::out_file::{OutLine, Outcome};
use crate::ticket::Ticket;

/// What somebody in the team does: the roles of the support desk, as a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Job {
    FrontDesk,
    Billing,
    Technical,
    Escalation,
}

impl Job {
    pub(crate) const ALL: [Job; 4] = [Job::FrontDesk, Job::Billing, Job::Technical, Job::Escalation];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Job::FrontDesk => "front-desk",
            Job::Billing => "billing",
            Job::Technical => "technical",
            Job::Escalation => "escalation",
        }
    }

    pub(crate) fn role(self) -> Role {
        Role::named(self.name())
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Job::ALL.into_iter().find(|job| job.name() == name)
    }
}

/// A ticket on its way through the team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) ticket: Ticket,
    /// Somebody fell over it as often as a message may come again.
    pub(crate) is_poison: bool,
}

impl Case {
    pub(crate) fn new(ticket: Ticket) -> Self {
        Case { ticket, is_poison: false }
    }
}

impl HandoffPayload for Case {
    const OFFER: &'static str = "support-desk/offer";
    const OUTCOME: &'static str = "support-desk/offer-outcome";
}

/// A case offered to a role.
pub(crate) type Offer = Handoff<Case>;
/// How the offer went.
pub(crate) type OfferOutcome = HandoffOutcome<Case>;

/// The line with which `job` finishes the case of `offer`, after `handoffs` handoffs.
pub(crate) fn finished(offer: &Offer, outcome: Outcome, job: Job, handoffs: u32, answer: String) -> OutLine {
    OutLine {
        ticket: offer.id.case.clone(),
        outcome,
        role: job.name().to_owned(),
        handoffs,
        rerouted: offer.rerouted,
        answer,
    }
}
