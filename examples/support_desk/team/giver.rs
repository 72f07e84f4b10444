//! What everybody does who hands cases over: keep the case until it is accepted, and know what to do when it is not.

use greenroom::prelude::*;
use greenroom::{Accepts, DurableMessage};
use serde::{Deserialize, Serialize};

use crate::out_file::Outcome;
use crate::tally::Tally;
use crate::team::case::{Job, Offer, OfferOutcome, finished};
use crate::team::outbox::{AfterFailure, Outbox, after_failure};
use crate::team::work::{finish, release};

/// An actor that hands cases over.
pub(crate) trait Giver:
    Actor<Inbox: Accepts<OfferOutcome, Self> + Accepts<OfferAgain, Self>>
    + Handler<OfferOutcome>
    + Handler<OfferAgain>
{
    fn job(&self) -> Job;
    fn outbox(&mut self) -> &mut Outbox;
}

/// Reminds a giver of an open offer.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OfferAgain {
    ticket: String,
}

impl Message for OfferAgain {
    type Reply = ();
    const NAME: Option<&'static str> = Some("support-desk/offer-again");
}
impl DurableMessage for OfferAgain {}

/// Keeps the offer and makes it, once the state with it is stored.
pub(crate) async fn hand_over<A: Giver>(
    giver: &mut A,
    offer: Offer,
    cx: &Context<'_, A>,
) -> Result<(), Failure> {
    giver.outbox().keep(offer.clone());
    cx.hand_off(offer).await
}

/// Makes all open offers again, with their first ids: after a crash of the giver, and after a `kill -9`.
pub(crate) async fn offer_all_again<A: Giver>(giver: &mut A, cx: &Context<'_, A>) -> Result<(), Failure> {
    let open: Vec<Offer> = giver.outbox().offers().cloned().collect();
    for offer in open {
        repeat(offer, cx).await?;
    }
    Ok(())
}

pub(crate) async fn offer_again<A: Giver>(
    giver: &mut A,
    reminder: &OfferAgain,
    cx: &Context<'_, A>,
) -> Result<(), Failure> {
    match giver.outbox().offer(&reminder.ticket).cloned() {
        Some(offer) => repeat(offer, cx).await,
        None => Ok(()), // accepted meanwhile
    }
}

/// Without the fallback: the taker of before may have the case. After a `kill -9` it may not stand yet; then the offer
/// comes back, and is made again after a pause.
async fn repeat<A: Giver>(offer: Offer, cx: &Context<'_, A>) -> Result<(), Failure> {
    cx.hand_off(offer.or_else(Fallback::Return)).await
}

/// An offer came back.
pub(crate) async fn settle<A: Giver>(
    giver: &mut A,
    outcome: OfferOutcome,
    cx: &Context<'_, A>,
) -> Result<(), Failure> {
    let job = giver.job();
    match outcome {
        OfferOutcome::Accepted { id, .. } => {
            if giver.outbox().forget(&id.case) {
                cx.resource::<Tally>()?.handed_over(job);
            }
            Ok(())
        }
        // Accepted in an earlier life: the record knows, and this one need not ask.
        OfferOutcome::Over { id, .. } => {
            giver.outbox().forget(&id.case);
            Ok(())
        }
        OfferOutcome::Refused { handoff: offer, .. } => {
            // Nobody to give it to: the giver tells the customer what is missing.
            let answer = format!(
                "Dear {}, we would like to help, but cannot tell from \"{}\" with what. Please tell us which device \
                 or order it is about, and what happens.",
                offer.payload.ticket.customer, offer.payload.ticket.subject
            );
            close(giver, &offer, Outcome::Resolved, answer, cx).await
        }
        OfferOutcome::Failed { handoff: offer, failure } => {
            let ticket = &offer.id.case;
            let failures = giver.outbox().count_failure(ticket);
            match after_failure(&failure, &offer.to, failures) {
                _ if !giver.outbox().holds(ticket) => Ok(()), // an echo of an offer that is settled
                AfterFailure::OfferAgain(pause) => {
                    cx.send_after(pause, OfferAgain { ticket: ticket.clone() });
                    Ok(())
                }
                AfterFailure::Reroute => {
                    hand_over(giver, to_escalation(offer, |it| it.rerouted = true), cx).await
                }
                AfterFailure::Escalate => {
                    hand_over(giver, to_escalation(offer, |it| it.payload.is_poison = true), cx).await
                }
                AfterFailure::Quarantine => {
                    let answer = format!("set aside for a person: {failure}");
                    close(giver, &offer, Outcome::Quarantined, answer, cx).await
                }
            }
        }
    }
}

/// The giver finishes the case itself. The offer was no handoff, so it does not count as one.
async fn close<A: Giver>(
    giver: &mut A,
    offer: &Offer,
    outcome: Outcome,
    answer: String,
    cx: &Context<'_, A>,
) -> Result<(), Failure> {
    if giver.outbox().forget(&offer.id.case) {
        finish(finished(offer, outcome, giver.job(), offer.id.hop - 1, answer), cx).await?;
        release(&offer.id.case, cx).await?;
    }
    Ok(())
}

/// The same handoff, to another taker than it was meant for.
fn to_escalation(mut offer: Offer, mark: impl FnOnce(&mut Offer)) -> Offer {
    offer.to = Job::Escalation.role();
    offer.fallback = Fallback::Return;
    mark(&mut offer);
    offer
}
