//! What providers send that the next request must not contain, and what a stored history must not be.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgentPart, ReplyPart, Turn};

/// Longest id of a call: what the strictest provider takes.
const ID_LEN_MAX: usize = 40;

/// What was changed about an answer before it became part of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Repair {
    /// The id of a call was missing, taken, or of a form that other providers refuse.
    Renamed {
        /// As it came.
        from: String,
        /// As it is kept.
        to: String,
    },
    /// The answer had neither a text nor a call, so no turn was added: it is still the agent's turn.
    NothingSaid,
}

/// The parts that can be kept, and what was changed about them. No parts at all if nothing was said.
pub(super) fn mended(said: Vec<ReplyPart>, before: &[Turn]) -> (Vec<AgentPart>, Vec<Repair>) {
    let mut taken: BTreeSet<String> = ids(before).map(str::to_owned).collect();
    let mut repairs = Vec::new();
    let mut parts = Vec::with_capacity(said.len());
    for part in said {
        match part {
            ReplyPart::Text(text) if text.trim().is_empty() => {}
            ReplyPart::Text(text) => parts.push(AgentPart::Text(text)),
            ReplyPart::Opaque(opaque) => parts.push(AgentPart::Opaque(opaque)),
            ReplyPart::Call(mut call) => {
                if !is_good_id(&call.id) || taken.contains(&call.id) {
                    let to = free_id(&call.id, &taken);
                    repairs.push(Repair::Renamed { from: std::mem::replace(&mut call.id, to.clone()), to });
                }
                taken.insert(call.id.clone());
                parts.push(AgentPart::Call { call, result: None });
            }
        }
    }
    // A thought goes back only in front of what came of it; an answer that was cut may end with one.
    let says_something = |part: &AgentPart| !matches!(part, AgentPart::Opaque(_));
    parts.truncate(parts.iter().rposition(says_something).map_or(0, |last| last + 1));
    if parts.is_empty() {
        repairs.push(Repair::NothingSaid);
    }
    (parts, repairs)
}

/// The first thing that a [`History`](super::History) promises and `turns` do not keep.
pub(super) fn what_is_wrong(turns: &[Turn]) -> Option<&'static str> {
    if matches!(turns.first(), Some(Turn::Agent { .. })) {
        return Some("it begins with the agent");
    }
    let mut seen = BTreeSet::new();
    if ids(turns).any(|id| !is_good_id(id)) {
        return Some("a call has a malformed id");
    }
    if ids(turns).any(|id| !seen.insert(id)) {
        return Some("two calls have the same id");
    }
    for (at, turn) in turns.iter().enumerate() {
        let Turn::Agent { parts } = turn else {
            match turn {
                Turn::User { text, .. } if text.trim().is_empty() => return Some("a text is blank"),
                _ => continue,
            }
        };
        if matches!(parts.last(), Some(AgentPart::Opaque(_))) {
            return Some("the agent ends with a thought");
        }
        let is_last = at + 1 == turns.len();
        let mut says_something = false;
        let mut calls = false;
        for part in parts {
            match part {
                AgentPart::Text(text) if text.trim().is_empty() => return Some("a text is blank"),
                AgentPart::Call { result: None, .. } if !is_last => return Some("a call has no result"),
                AgentPart::Call { result: Some(result), .. } if result.text.trim().is_empty() => {
                    return Some("a result is blank");
                }
                AgentPart::Opaque(_) => continue,
                AgentPart::Text(_) => {}
                AgentPart::Call { .. } => calls = true,
            }
            says_something = true;
        }
        if !says_something {
            return Some("the agent says nothing");
        }
        if !calls && matches!(turns.get(at + 1), Some(Turn::Agent { .. })) {
            return Some("the agent answers itself");
        }
    }
    None
}

fn ids(turns: &[Turn]) -> impl Iterator<Item = &str> {
    let parts = turns.iter().flat_map(|turn| match turn {
        Turn::Agent { parts } => &parts[..],
        Turn::User { .. } => &[],
    });
    parts.filter_map(|part| match part {
        AgentPart::Call { call, .. } => Some(&*call.id),
        _ => None,
    })
}

fn is_good_id(id: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(is_good)
}

fn is_good(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// An id that nobody has, made of `id` as far as that goes.
fn free_id(id: &str, taken: &BTreeSet<String>) -> String {
    let kept: String =
        id.chars().filter(|c| c.is_ascii() && is_good(*c as u8)).take(ID_LEN_MAX / 2).collect();
    let base = if kept.is_empty() { "call".to_owned() } else { kept };
    let numbered = (1_u64..).map(|number| format!("{base}-{number}"));
    numbered.into_iter().find(|id| !taken.contains(id)).expect("there are more numbers than calls")
}
