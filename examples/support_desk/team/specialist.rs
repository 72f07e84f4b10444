//! A specialist of billing or technical: answers what is theirs, and hands over what is not.

use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

use crate::mind::{Verdict, think};
use crate::out_file::Outcome;
use crate::team::case::{Job, Offer, OfferOutcome, finished};
use crate::team::giver::{self, Giver, OfferAgain};
use crate::team::outbox::Outbox;
use crate::team::work::{Attempt, accept_finished, finish, is_finished};

#[derive(Serialize, Deserialize)]
pub(crate) struct Specialist {
    job: Job,
    outbox: Outbox,
}

inbox!(durable pub(crate) SpecialistInbox for Specialist: Offer, OfferOutcome, OfferAgain);

impl Actor for Specialist {
    /// Billing or technical.
    type Args = Job;
    type Inbox = SpecialistInbox;

    async fn start(job: &Job) -> Result<Self, Failure> {
        Ok(Specialist { job: *job, outbox: Outbox::default() })
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::offer_all_again(self, cx).await
    }
}

impl Durable for Specialist {
    const NAME: &'static str = "support-desk/specialist";
}

impl Giver for Specialist {
    fn job(&self) -> Job {
        self.job
    }
    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }
}

impl Handler<Offer> for Specialist {
    async fn handle(&mut self, m: Offer, cx: &mut Context<'_, Self>) -> Result<Decision, Failure> {
        let attempt = Attempt::begin(self.job, &m.id.case, cx)?;
        if self.outbox.holds(&m.id.case) {
            return Ok(Decision::Accepted);
        }
        if is_finished(&m.id.case, cx).await? {
            return accept_finished(&m, cx).await;
        }

        let (to, note) = match think(self.job, &m.payload, &m.context, cx).await? {
            Verdict::Answer(answer) => {
                finish(finished(&m, Outcome::Resolved, self.job, m.id.hop, answer), cx).await?;
                let decision = accept_finished(&m, cx).await?;
                return attempt.end(decision, cx);
            }
            Verdict::Refuse(reason) => return attempt.end(Decision::Refused { reason }, cx),
            Verdict::HandOver(to, note) => (to, note),
            Verdict::Escalate(note) => (Job::Escalation, note),
        };
        match cx.accept(&m).await? {
            Acceptance::Taken => {}
            other => return attempt.end(other.decision(), cx),
        }
        let mut context = m.context.share(ContextPolicy::Full);
        context.push(self.job.name(), note);
        let onward = m.onward(cx.path().clone(), to.role()).map_err(Failure::exhausted)?;
        let fallback = match to {
            Job::Escalation => Fallback::Return,
            _ => Fallback::Next(Job::Escalation.role()),
        };
        giver::hand_over(self, onward.with_context(context).or_else(fallback), cx).await?;
        attempt.end(Decision::Accepted, cx)
    }
}

impl Handler<OfferOutcome> for Specialist {
    async fn handle(&mut self, m: OfferOutcome, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::settle(self, m, cx).await
    }
}

impl Handler<OfferAgain> for Specialist {
    async fn handle(&mut self, m: OfferAgain, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        giver::offer_again(self, &m, cx).await
    }
}
