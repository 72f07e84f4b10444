//! The escalation desk: puts a case before a person. The wait is state and a message, never an open handler, so the
//! desk serves others meanwhile and a restart asks the person again.

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::DurableMessage;
use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

use crate::mind::{Verdict, think};
use crate::out_file::Outcome;
use crate::team::case::{Job, Offer, finished};
use crate::team::human::PleaseDecide;
use crate::team::roster::human_address;
use crate::team::work::{Attempt, accept_finished, finish, is_finished, release};

/// How long the person may take, with all the cases before this one.
const PERSON_DEADLINE: Duration = Duration::from_secs(3_600);
/// Before a person who could not be reached is asked again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Escalation {
    /// The cases that lie before the person, by ticket.
    asked: BTreeMap<String, Waiting>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    offer: Offer,
    /// What the person was told.
    note: String,
}

/// The person decided, or, without an answer, could not be reached.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PersonSaid {
    ticket: String,
    answer: Option<String>,
}

impl Message for PersonSaid {
    type Reply = ();
    const NAME: Option<&'static str> = Some("support-desk/person-said");
}
impl DurableMessage for PersonSaid {}

inbox!(durable pub(crate) EscalationInbox for Escalation: Offer, PersonSaid);

impl Actor for Escalation {
    type Args = ();
    type Inbox = EscalationInbox;

    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Escalation::default())
    }

    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.asked.values().try_for_each(|waiting| waiting.ask_the_person(cx))
    }
}

impl Durable for Escalation {
    const NAME: &'static str = "support-desk/escalation";
}

impl Handler<Offer> for Escalation {
    async fn handle(&mut self, m: Offer, cx: &mut Context<'_, Self>) -> Result<Decision, Failure> {
        let attempt = Attempt::begin(Job::Escalation, &m.id.case, cx)?;
        if self.asked.contains_key(&m.id.case) {
            return Ok(Decision::Accepted);
        }
        if is_finished(&m.id.case, cx).await? {
            return accept_finished(&m, cx).await;
        }

        // A person reads the last notes, not the whole story.
        let context = m.context.share(ContextPolicy::Last(2));
        let note = match think(Job::Escalation, &m.payload, &context, cx).await? {
            Verdict::Refuse(reason) => return attempt.end(Decision::Refused { reason }, cx),
            Verdict::Escalate(note) | Verdict::Answer(note) | Verdict::HandOver(_, note) => note,
        };
        match cx.accept(&m).await? {
            Acceptance::Taken => {}
            other => return attempt.end(other.decision(), cx),
        }
        let waiting = Waiting { offer: m, note };
        waiting.ask_the_person(cx)?;
        self.asked.insert(waiting.offer.id.case.clone(), waiting);
        attempt.end(Decision::Accepted, cx)
    }
}

impl Handler<PersonSaid> for Escalation {
    async fn handle(&mut self, m: PersonSaid, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let Some(waiting) = self.asked.get(&m.ticket) else { return Ok(()) }; // said before
        let Some(answer) = m.answer else { return waiting.ask_the_person(cx) };
        let outcome = if waiting.offer.payload.is_poison { Outcome::Quarantined } else { Outcome::Escalated };
        let handoffs = waiting.offer.id.hop;
        finish(finished(&waiting.offer, outcome, Job::Escalation, handoffs, answer), cx).await?;
        self.asked.remove(&m.ticket);
        release(&m.ticket, cx).await
    }
}

impl Waiting {
    /// Asks when the state is stored; the answer comes as [`PersonSaid`].
    fn ask_the_person(&self, cx: &Context<'_, Escalation>) -> Result<(), Failure> {
        let person = cx.resolve(&human_address()).map_err(Failure::external)?;
        let ticket = &self.offer.payload.ticket;
        let (customer, subject) = (ticket.customer.clone(), ticket.subject.clone());
        let question = PleaseDecide { customer, subject, note: self.note.clone() };
        let ticket = ticket.id.clone();
        let clock = cx.clock();
        let asking = async move {
            match person.ask(question).within(PERSON_DEADLINE).await {
                Ok(answer) => Some(answer),
                Err(_) => {
                    clock.sleep(PAUSE).await;
                    None
                }
            }
        };
        cx.spawn_when_settled(asking, |answer| PersonSaid { ticket, answer });
        Ok(())
    }
}
