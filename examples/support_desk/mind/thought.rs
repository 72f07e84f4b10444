//! One question to the model: the role's instructions, the ticket, what the tools found, what others wrote; and the
//! verdict that comes back, read once at this border.

use greenroom::prelude::*;

use crate::mind::Records;
use crate::team::{Case, Job};

/// Longest answer of the model.
const ANSWER_TOKENS_MAX: u32 = 600;

/// What a role decides about a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The customer gets this text, and the ticket is finished.
    Answer(String),
    /// It is (also) another role's matter, which gets this note.
    HandOver(Job, String),
    /// A person must see it, for this reason.
    Escalate(String),
    /// The role does not take it, for this reason.
    Refuse(String),
}

/// What the model is told to be. Its answer must be a [`Verdict`] in the form that [`Verdict::parse`] reads.
pub(crate) fn instructions(job: Job) -> &'static str {
    match job {
        Job::FrontDesk => {
            "You are the front desk. Say whose matter the ticket is. Form: the verdict, then a note."
        }
        Job::Billing => {
            "You are billing. Answer what is yours, hand over what is not. Form: the verdict, then a text."
        }
        Job::Technical => {
            "You are a technician. Answer what is yours, hand over what is not. Form: the verdict, then a text."
        }
        Job::Escalation => {
            "You put cases before a person. Refuse what nobody could act on. Form: the verdict, then a note."
        }
    }
}

/// Looks up what the tools know about the case, and lets the model decide for `job`.
///
/// # Errors
///
/// The class of the model's error; `External` for an answer that is no verdict.
pub(crate) async fn think<A: Actor>(
    job: Job,
    case: &Case,
    context: &Transcript,
    cx: &Context<'_, A>,
) -> Result<Verdict, Failure> {
    let ticket = &case.ticket;
    let asked = format!("From: {}\nSubject: {}\n\n{}", ticket.customer, ticket.subject, ticket.body);
    let mut history = History::new();
    history.user(Origin::Customer, asked).map_err(Failure::invalid)?;
    let records = cx.resource::<Records>()?;
    for found in records.look_up(ticket) {
        history.user(Origin::Tool, found.to_string()).map_err(Failure::invalid)?;
    }
    for entry in context.entries() {
        history.user(Origin::Agent, format!("{}: {}", entry.from, entry.text)).map_err(Failure::invalid)?;
    }
    let request = ModelRequest::new(instructions(job), history, ANSWER_TOKENS_MAX).map_err(Failure::bug)?;
    let reply = cx.model()?.complete(&request).await?;
    Verdict::parse(&reply.text()).ok_or_else(|| Failure::external("the model gave no verdict"))
}

impl Verdict {
    /// Reads `ANSWER`, `HAND OVER <role>`, `ESCALATE` or `REFUSE` on the first line, and the text below.
    fn parse(reply: &str) -> Option<Self> {
        let (verb, text) = reply.split_once('\n')?;
        let text = text.to_owned();
        match verb {
            "ANSWER" => Some(Verdict::Answer(text)),
            "ESCALATE" => Some(Verdict::Escalate(text)),
            "REFUSE" => Some(Verdict::Refuse(text)),
            _ => Some(Verdict::HandOver(Job::parse(verb.strip_prefix("HAND OVER ")?)?, text)),
        }
    }
}
