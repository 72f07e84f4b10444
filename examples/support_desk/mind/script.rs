//! The scripted model: answers as a model would, out of nothing but the request, and the same each time.

use std::time::Duration;

use greenroom::Turn;
use greenroom::prelude::*;

use crate::mind::thought::instructions;
use crate::team::Job;

/// Words that make a ticket a matter for a person at once, a line each: law, data protection, danger, the press, lost
/// patience.
const FOR_A_PERSON: &str = "\
    lawyer|solicitor|legal action|small claims|ombudsman|police|\
    gdpr|dsgvo|rgpd|data protection|data breach|\
    there was smoke|burning|electric shock|injury|hospital|swollen|\
    journalist|press officer|interview|\
    third time|third message";
/// A ticket with fewer words, and without an order, gives a person nothing to act on.
const WORDS_MIN: usize = 15;
/// The note of a role that found nothing.
const NOTHING_FITS: &str = "nothing in the knowledge base fits";
/// Most articles in one answer of one role.
const ARTICLES_MAX: usize = 2;

/// A model that plays the whole team.
pub(crate) fn scripted_model(thinks_for: Duration) -> ModelHandle {
    ModelHandle::new(ScriptedModel::new(script).thinks_for(thinks_for))
}

fn script(request: &ModelRequest) -> String {
    let seen = Seen::of(request);
    let job = Job::ALL.into_iter().find(|job| request.instructions() == instructions(*job));
    match job {
        Some(Job::FrontDesk) => seen.triage(),
        Some(job @ (Job::Billing | Job::Technical)) => seen.work_as(job),
        Some(Job::Escalation) => seen.put_before_a_person(),
        None => String::new(),
    }
}

/// What the request says.
struct Seen<'r> {
    customer: &'r str,
    /// In lower case.
    text: String,
    orders: Vec<&'r str>,
    /// Orders that are not in the books, or not the customer's.
    wrong_orders: Vec<&'r str>,
    articles: Vec<FoundArticle<'r>>,
    /// What the role before wrote, oldest first, with its name.
    notes: Vec<(Job, &'r str)>,
}

struct FoundArticle<'r> {
    job: Job,
    in_subject: bool,
    answer: &'r str,
}

impl<'r> Seen<'r> {
    fn of(request: &'r ModelRequest) -> Self {
        let mut seen = Seen {
            customer: "",
            text: String::new(),
            orders: Vec::new(),
            wrong_orders: Vec::new(),
            articles: Vec::new(),
            notes: Vec::new(),
        };
        for turn in request.history().turns() {
            // This team calls no tools yet, so the agent itself has said nothing.
            let Turn::User { origin, text: told } = turn else { continue };
            match origin {
                Origin::Customer => {
                    let (from, text) = told.split_once('\n').unwrap_or((told, ""));
                    seen.customer = from.strip_prefix("From: ").unwrap_or(from);
                    seen.text = text.strip_prefix("Subject: ").unwrap_or(text).to_lowercase();
                }
                Origin::Tool => seen.add_finding(told),
                Origin::Agent => seen
                    .notes
                    .extend(told.split_once(": ").and_then(|(from, note)| Some((Job::parse(from)?, note)))),
                Origin::Instruction | Origin::Summary => {}
            }
        }
        seen
    }

    fn add_finding(&mut self, text: &'r str) {
        if text.starts_with("order ") {
            self.orders.push(text);
        } else if let Some((article, answer)) = text.split_once(": ").filter(|_| text.starts_with("article "))
        {
            let job = article.split(' ').nth(3).and_then(Job::parse);
            let in_subject = article.ends_with("by the subject");
            self.articles.extend(job.map(|job| FoundArticle { job, in_subject, answer }));
        } else {
            self.wrong_orders.push(text);
        }
    }

    fn triage(&self) -> String {
        let urgent = FOR_A_PERSON.split('|').find(|words| self.text.contains(words));
        if let Some(words) = urgent {
            return format!("ESCALATE\nthe customer writes of \"{words}\"");
        }
        let count = |job, subject_only: bool| {
            self.articles.iter().filter(|a| a.job == job && (a.in_subject || !subject_only)).count()
        };
        // What the subject says counts first, then all of it; in doubt it is technical.
        let (billing, technical) = match (count(Job::Billing, true), count(Job::Technical, true)) {
            (b, t) if b == t => (count(Job::Billing, false), count(Job::Technical, false)),
            counts => counts,
        };
        match (billing, technical) {
            (0, 0) => format!("ESCALATE\n{NOTHING_FITS}"),
            (b, t) if b > t => "HAND OVER billing\nlooks like a matter of money".to_owned(),
            _ => "HAND OVER technical\nlooks like a matter of a device".to_owned(),
        }
    }

    fn work_as(&self, job: Job) -> String {
        if let Some(wrong) = self.wrong_orders.first() {
            return format!("ESCALATE\nsomebody must check: {wrong}");
        }
        let other = if job == Job::Billing { Job::Technical } else { Job::Billing };
        let articles_of = |job| self.articles.iter().filter(move |article| article.job == job);
        let mut mine = Vec::new();
        if job == Job::Billing {
            mine.extend(self.orders.iter().map(|order| format!("This is about {order}.")));
        }
        mine.extend(articles_of(job).take(ARTICLES_MAX).map(|article| article.answer.to_owned()));
        let mine = mine.join(" ");

        let worked_on_by = |job| self.notes.iter().any(|(from, _)| *from == job);
        if articles_of(other).next().is_some() && !worked_on_by(other) {
            return format!("HAND OVER {}\n{mine}", other.name());
        }
        let theirs = self.notes.iter().filter(|(from, note)| *from == other && !note.is_empty());
        let parts: Vec<&str> = theirs.map(|(_, note)| *note).chain([mine.as_str()]).collect();
        let parts = parts.join(" ");
        match parts.trim() {
            "" => format!("ESCALATE\n{NOTHING_FITS}"),
            parts => format!("ANSWER\nDear {}, {parts}", self.customer),
        }
    }

    fn put_before_a_person(&self) -> String {
        let words =
            self.text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
        let has_order = !self.orders.is_empty() || !self.wrong_orders.is_empty();
        match self.notes.last() {
            // Whatever a role has worked on is a case; the front desk may have passed on noise.
            Some((Job::FrontDesk, note)) if *note == NOTHING_FITS && words < WORDS_MIN && !has_order => {
                format!("REFUSE\nonly {words} words and no order: nothing to act on")
            }
            Some((from, note)) => format!("ESCALATE\n{} asks for a person: {note}", from.name()),
            None => "ESCALATE\na case without a note".to_owned(),
        }
    }
}
