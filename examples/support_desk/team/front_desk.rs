//! The front desk: takes a ticket in, decides whose matter it is, and hands it over.

use std::time::Duration;

use greenroom::prelude::*;
use greenroom::{CaseError, DurableMessage};
use serde::{Deserialize, Serialize};

use crate::mind::{Verdict, think};
use crate::out_file::Outcome;
use crate::team::case::{Case, Job, Offer, OfferOutcome, finished};
use crate::team::giver::{self, Giver, OfferAgain};
use crate::team::outbox::Outbox;
use crate::team::work::{Attempt, finish, is_finished};
use crate::ticket::Ticket;

/// How long a taker may take to answer an offer, with all that waits before it. Generous: a taker who falls over or is
/// stopped says so at once, and with a slow model a long wait is nothing unusual.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3_600);

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct FrontDesk {
    outbox: Outbox,
}

/// A ticket comes in. Answered when the desk has it on disk, or knows it already.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewTicket(pub(crate) Ticket);

impl Message for NewTicket {
    type Reply = ();
    const NAME: Option<&'static str> = Some("support-desk/new-ticket");
}
impl DurableMessage for NewTicket {}

inbox!(durable pub(crate) FrontDeskInbox for FrontDesk: NewTicket, OfferOutcome, OfferAgain);

impl Actor for FrontDesk {
    type Args = ();
    type Inbox = FrontDeskInbox;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(FrontDesk::default())
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::offer_all_again(self, cx).await
    }
}

impl Durable for FrontDesk {
    const NAME: &'static str = "support-desk/front-desk";
}

impl Giver for FrontDesk {
    fn job(&self) -> Job {
        Job::FrontDesk
    }
    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }
}

impl Handler<NewTicket> for FrontDesk {
    async fn handle(&mut self, m: NewTicket, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let NewTicket(ticket) = m;
        let attempt = Attempt::begin(Job::FrontDesk, &ticket.id, cx)?;
        if self.outbox.holds(&ticket.id) || is_finished(&ticket.id, cx).await? {
            return Ok(());
        }

        let case = Case::new(ticket);
        let mut context = Transcript::default();
        let (to, note) = match think(Job::FrontDesk, &case, &context, cx).await? {
            Verdict::HandOver(to, note) => (to, note),
            Verdict::Escalate(note) | Verdict::Refuse(note) => (Job::Escalation, note),
            Verdict::Answer(answer) => {
                let offer = first_offer(case, cx.path().clone(), Job::Escalation);
                finish(finished(&offer, Outcome::Resolved, Job::FrontDesk, 0, answer), cx).await?;
                return attempt.end((), cx);
            }
        };
        match cx.open_case(&case.ticket.id).await {
            // Somebody of the team has it already: the ticket was brought a second time.
            Err(CaseError::Conflict { .. }) => return attempt.end((), cx),
            opened => opened?,
        }
        context.push(Job::FrontDesk.name(), note);
        let offer = first_offer(case, cx.path().clone(), to).with_context(context);
        giver::hand_over(self, offer, cx).await?;
        attempt.end((), cx)
    }
}

/// The first handoff of a case. When nobody of the role is up, the escalation desk takes it.
pub(crate) fn first_offer(case: Case, from: ActorPath, to: Job) -> Offer {
    let fallback = match to {
        Job::Escalation => Fallback::Return,
        _ => Fallback::Next(Job::Escalation.role()),
    };
    let first = Handoff::first(case.ticket.id.clone(), from, Job::FrontDesk.role(), to.role(), case);
    Handoff { deadline: ANSWER_DEADLINE, ..first.or_else(fallback) }
}

impl Handler<OfferOutcome> for FrontDesk {
    async fn handle(&mut self, m: OfferOutcome, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::settle(self, m, cx).await
    }
}

impl Handler<OfferAgain> for FrontDesk {
    async fn handle(&mut self, m: OfferAgain, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::offer_again(self, &m, cx).await
    }
}
