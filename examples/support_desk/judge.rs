//! The judge: counts what became of the tickets, from outside. It reads the input, the out file and the store again,
//! and believes no actor.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::path::Path;

use greenroom::{ActorPath, SledStore, Store};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::ticket::TicketFile;

/// What became of the tickets. `tickets = resolved + escalated + quarantined + lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) tickets: u64,
    pub(crate) malformed: u64,
    pub(crate) resolved: u64,
    pub(crate) escalated: u64,
    pub(crate) quarantined: u64,
    /// In the input, but not in the out file.
    pub(crate) lost: Vec<String>,
    /// More than once in the out file.
    pub(crate) resolved_twice: Vec<String>,
    /// Lines of the out file that cannot be read.
    pub(crate) unreadable: u64,
    /// Accepted handoffs.
    pub(crate) handoffs: u64,
    /// Tickets that went another way because somebody was down.
    pub(crate) rerouted: u64,
    /// Open in the state of an actor, although not finished: the next run takes them up.
    pub(crate) left_open: u64,
    /// Of which the record of their owner, and what the actors have in their states, do not agree.
    pub(crate) disputed: Vec<String>,
}

/// A line of the out file, as the judge reads it.
#[derive(Deserialize)]
struct Line {
    ticket: String,
    outcome: String,
    handoffs: u64,
    rerouted: bool,
}

impl Judgement {
    /// Judges the run that wrote `out` for `input`, with its actors' state in `store`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or a store that cannot be opened.
    pub(crate) fn of(input: &Path, out: &Path, store: &Path) -> Result<Self, Box<dyn Error>> {
        let input = TicketFile::read(input)?;
        let store = SledStore::open(store)?;
        let open = open_tickets(&store)?;
        let mut judgement = Judgement {
            malformed: input.malformed.len() as u64,
            ..Self::of_lines(&input, &std::fs::read(out)?)
        };
        let lost: BTreeSet<&String> = judgement.lost.iter().collect();
        let cases = recorded_tickets(&store)?;
        judgement.disputed = disputed_tickets(&states(&store)?, &cases, &lost);
        judgement.left_open = open.iter().filter(|ticket| lost.contains(ticket)).count() as u64;
        Ok(judgement)
    }

    fn of_lines(input: &TicketFile, out: &[u8]) -> Self {
        let mut judgement = Judgement { tickets: input.tickets.len() as u64, ..Judgement::default() };
        let mut lines: BTreeMap<String, Vec<Line>> = BTreeMap::new();
        for line in out.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Line>(line) {
                Ok(read) if line.ends_with(b"\n") => lines.entry(read.ticket.clone()).or_default().push(read),
                Ok(_) | Err(_) => judgement.unreadable += 1,
            }
        }
        for ticket in &input.tickets {
            let Some(line) = lines.get(&ticket.id).and_then(|lines| lines.first()) else {
                judgement.lost.push(ticket.id.clone());
                continue;
            };
            match line.outcome.as_str() {
                "resolved" => judgement.resolved += 1,
                "escalated" => judgement.escalated += 1,
                "quarantined" => judgement.quarantined += 1,
                _ => judgement.lost.push(ticket.id.clone()),
            }
            judgement.handoffs += line.handoffs;
            judgement.rerouted += u64::from(line.rerouted);
        }
        // Also of tickets that are not in this input: a doubled line is wrong whoever wrote it.
        let doubled = lines.into_iter().filter(|(_, lines)| lines.len() > 1);
        judgement.resolved_twice = doubled.map(|(ticket, _)| ticket).collect();
        judgement
    }

    /// Whether each ticket stands in the out file exactly once.
    pub(crate) fn is_all_accounted_for(&self) -> bool {
        let tickets = [&self.lost, &self.resolved_twice, &self.disputed];
        tickets.iter().all(|tickets| tickets.is_empty()) && self.unreadable == 0
    }
}

/// The tickets that stand in the out file, if there is one. A torn last line counts for nothing.
///
/// # Errors
///
/// What the system says, but for a file that is not there.
pub(crate) fn finished_tickets(out: &Path) -> io::Result<BTreeSet<String>> {
    let bytes = match std::fs::read(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        read => read?,
    };
    let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    Ok(whole.filter_map(|line| serde_json::from_slice::<Line>(line).ok()).map(|line| line.ticket).collect())
}

/// Whatever an actor of the desk keeps: a giver has an outbox, the escalation desk those who were asked about.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    outbox: OpenOffers,
    #[serde(default)]
    asked: BTreeMap<String, IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct OpenOffers {
    open: BTreeMap<String, IgnoredAny>,
}

/// The tickets that are open in the state of any actor in the store.
///
/// # Errors
///
/// A store that cannot be read, or a state that is none of the desk's.
pub(crate) fn open_tickets(store: &impl Store) -> Result<BTreeSet<String>, Box<dyn Error>> {
    Ok(states(store)?.into_values().flatten().collect())
}

/// Who owns each ticket, by its record; `None`: that is damaged.
fn recorded_tickets(store: &impl Store) -> Result<BTreeMap<String, Option<ActorPath>>, Box<dyn Error>> {
    const PAGE: usize = 500;
    let mut cases = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.cases(after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(cases) };
        after = Some(last.clone());
        cases.extend(page.into_iter().map(|(ticket, kept)| (ticket, kept.ok().map(|kept| kept.owner))));
    }
}

/// The tickets whose owner by the record does not have them in its state, and those that are unfinished and in a state, and
/// of which nobody is the owner. (A giver that has not heard yet that its ticket was accepted has it in its state too.)
fn disputed_tickets(
    states: &BTreeMap<ActorPath, BTreeSet<String>>,
    cases: &BTreeMap<String, Option<ActorPath>>,
    unfinished: &BTreeSet<&String>,
) -> Vec<String> {
    let has_it = |owner: &ActorPath, ticket: &String| {
        states.get(owner).is_some_and(|tickets| tickets.contains(ticket))
    };
    let not_there =
        cases.iter().filter(|(ticket, owner)| !owner.as_ref().is_some_and(|it| has_it(it, ticket)));
    let held = states.values().flatten().filter(|ticket| unfinished.contains(ticket));
    let nobodys = held.filter(|ticket| !cases.contains_key(*ticket));
    let disputed: BTreeSet<&String> = not_there.map(|(ticket, _)| ticket).chain(nobodys).collect();
    disputed.into_iter().cloned().collect()
}

/// The tickets that each actor has in its state.
fn states(store: &impl Store) -> Result<BTreeMap<ActorPath, BTreeSet<String>>, Box<dyn Error>> {
    let mut states = BTreeMap::new();
    for actor in store.actors()? {
        let Some(kept) = store.scan(&actor)?.snapshot else { continue };
        let state: State = rmp_serde::from_slice(&kept.state)?;
        states.insert(actor, state.outbox.open.into_keys().chain(state.asked.into_keys()).collect());
    }
    Ok(states)
}
