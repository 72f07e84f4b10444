//! A conversation as a provider may see it: valid by construction, also after crashes, cancels, handoffs and cuts.
//!
//! A call and its result are one part of one turn. So a cut never parts them, no result is without its call, and no call
//! has two; what remains to be refused is refused by the verbs of [`History`].

mod cut; // how it is made shorter
mod repair; // what providers answer that must not be kept as it is
mod turn; // what a turn can be

use serde::{Deserialize, Serialize};

use super::text::{head, tail};
use super::usage::estimate_tokens;

pub use cut::WindowTooSmall;
pub use repair::Repair;
pub use turn::{AgentPart, Closing, OpaquePart, Origin, ReplyPart, ToolCall, ToolOutcome, ToolResult, Turn};

/// The form in which histories are stored.
const VERSION: u16 = 1;
/// Longest text of a user turn, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Longest text of a tool result, in bytes; what is longer loses its middle.
pub const RESULT_BYTES_MAX: usize = 64 << 10;

/// A conversation that any provider accepts.
///
/// Always true: it begins with a user turn; only the last turn may have open calls; each id of a call is unique and made
/// of at most 40 letters, digits, `_` and `-`; no text is blank. It stores itself through serde with a version, and what
/// does not hold to this is refused when it is read.
///
/// ```
/// use greenroom_tools::model::{History, Origin, ReplyPart, ToolCall, ToolOutcome};
///
/// let mut history = History::new();
/// history.user(Origin::Customer, "my lamp is dark")?;
/// let call = ToolCall { id: "c1".into(), name: "look_up".into(), arguments: "{}".into() };
/// history.reply(vec![ReplyPart::Call(call)])?;
/// assert!(history.user(Origin::Customer, "hello?").is_err(), "the call is open");
/// history.result("c1", ToolOutcome::Ok, "it is unplugged")?;
/// assert!(history.is_ready());
/// # Ok::<(), greenroom_tools::model::HistoryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct History {
    /// See above for what holds of them.
    turns: Vec<Turn>,
}

/// Why something cannot be said now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A call waits for its result: give it one, or [`History::close_open_calls`].
    #[error("the call {call} has no result yet")]
    CallOpen {
        /// One of those that are open.
        call: String,
    },
    /// There is nothing that the agent could answer: it spoke last, or nobody spoke.
    #[error("there is nothing to answer")]
    NothingToAnswer,
    /// No open call has that id.
    #[error("no open call has the id {call}")]
    NoSuchCall {
        /// The id.
        call: String,
    },
    /// The text says nothing.
    #[error("the text is blank")]
    Blank,
    /// The text is longer than [`TEXT_BYTES_MAX`].
    #[error("the text has {bytes} bytes, more than {TEXT_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// What was stored is no valid history.
    #[error("not a valid history: {why}")]
    Invalid {
        /// What is wrong with it.
        why: &'static str,
    },
    /// It was stored by a newer release.
    #[error("a history of version {version}, newer than {VERSION}")]
    UnknownVersion {
        /// The version.
        version: u16,
    },
}

impl History {
    /// A conversation in which nobody has spoken.
    pub fn new() -> Self {
        History::default()
    }

    /// The turns, oldest first.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Whether nobody has spoken.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Whether it is the agent's turn to speak, so that it can be sent to a model.
    pub fn is_ready(&self) -> bool {
        self.check_ready().is_ok()
    }

    /// As [`is_ready`](History::is_ready), with the reason.
    ///
    /// # Errors
    ///
    /// [`HistoryError::CallOpen`] or [`HistoryError::NothingToAnswer`].
    pub fn check_ready(&self) -> Result<(), HistoryError> {
        self.check_closed()?;
        match self.turns.last() {
            None => Err(HistoryError::NothingToAnswer),
            Some(Turn::Agent { parts }) if !parts.iter().any(is_call) => Err(HistoryError::NothingToAnswer),
            Some(_) => Ok(()),
        }
    }

    /// Adds something that the agent is told.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] for a blank or too long text, and while a call is open. Nothing has changed then.
    pub fn user(&mut self, origin: Origin, text: impl Into<String>) -> Result<(), HistoryError> {
        let text = text.into();
        self.check_closed()?;
        check_text(&text)?;
        self.turns.push(Turn::User { origin, text });
        Ok(())
    }

    /// Adds what the agent answered. Its calls are open then. What a provider must not send, and does, is mended: ids that
    /// are missing, taken or malformed are replaced, so read [`open_calls`](History::open_calls) for those that count.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] if it is not the agent's turn. Nothing has changed then.
    pub fn reply(&mut self, parts: Vec<ReplyPart>) -> Result<Vec<Repair>, HistoryError> {
        self.check_ready()?;
        let (parts, repairs) = repair::mended(parts, &self.turns);
        if !parts.is_empty() {
            self.turns.push(Turn::Agent { parts });
        }
        Ok(repairs)
    }

    /// Gives an open call its result. A text longer than [`RESULT_BYTES_MAX`] loses its middle; an empty one says so.
    ///
    /// # Errors
    ///
    /// [`HistoryError::NoSuchCall`] if no open call has that id: it never had, or its result is there already.
    pub fn result(&mut self, call_id: &str, outcome: ToolOutcome, text: &str) -> Result<(), HistoryError> {
        let open = self.last_calls_mut().find(|(call, result)| call.id == call_id && result.is_none());
        let Some((_, result)) = open else {
            return Err(HistoryError::NoSuchCall { call: call_id.to_owned() });
        };
        *result = Some(ToolResult { outcome, text: bounded(text) });
        Ok(())
    }

    /// The calls that wait for a result, in the order in which the agent made them.
    pub fn open_calls(&self) -> impl Iterator<Item = &ToolCall> {
        let parts: &[AgentPart] = match self.turns.last() {
            Some(Turn::Agent { parts }) => parts,
            _ => &[],
        };
        parts.iter().filter_map(|part| match part {
            AgentPart::Call { call, result: None } => Some(call),
            _ => None,
        })
    }

    /// Gives each open call a result that says why it has no better one. Returns how many there were.
    pub fn close_open_calls(&mut self, why: Closing) -> usize {
        let open = self.last_calls_mut().filter(|(_, result)| result.is_none());
        open.map(|(_, result)| *result = Some(why.result())).count()
    }

    /// About how many tokens it has: a third of its bytes, and four for each part. English has fewer; a bound for what
    /// must not be exceeded is the number of bytes.
    pub fn estimated_tokens(&self) -> u64 {
        self.turns.iter().map(tokens_of).sum()
    }

    fn check_closed(&self) -> Result<(), HistoryError> {
        match self.open_calls().next() {
            Some(call) => Err(HistoryError::CallOpen { call: call.id.clone() }),
            None => Ok(()),
        }
    }

    fn last_calls_mut(&mut self) -> impl Iterator<Item = (&ToolCall, &mut Option<ToolResult>)> {
        let parts: &mut [AgentPart] = match self.turns.last_mut() {
            Some(Turn::Agent { parts }) => parts,
            _ => &mut [],
        };
        parts.iter_mut().filter_map(|part| match part {
            AgentPart::Call { call, result } => Some((&*call, result)),
            _ => None,
        })
    }
}

fn is_call(part: &AgentPart) -> bool {
    matches!(part, AgentPart::Call { .. })
}

fn check_text(text: &str) -> Result<(), HistoryError> {
    match text.len() {
        _ if text.trim().is_empty() => Err(HistoryError::Blank),
        bytes if bytes > TEXT_BYTES_MAX => Err(HistoryError::TooLong { bytes }),
        _ => Ok(()),
    }
}

/// A text for a result: not blank, since some providers refuse that, and not too long.
fn bounded(text: &str) -> String {
    const CUT: &str = "\n[… cut …]\n";
    if text.trim().is_empty() {
        return "(no output)".to_owned();
    }
    if text.len() <= RESULT_BYTES_MAX {
        return text.to_owned();
    }
    let half = (RESULT_BYTES_MAX - CUT.len()) / 2;
    [head(text, half), CUT, tail(text, half)].concat()
}

fn tokens_of(turn: &Turn) -> u64 {
    const EACH: u64 = 4;
    match turn {
        Turn::User { text, .. } => EACH + estimate_tokens(text),
        Turn::Agent { parts } => {
            let of = |part: &AgentPart| match part {
                AgentPart::Text(text) => estimate_tokens(text),
                AgentPart::Opaque(part) => estimate_tokens(&part.json),
                AgentPart::Call { call, result } => {
                    let result = result.as_ref().map_or(0, |result| EACH + estimate_tokens(&result.text));
                    estimate_tokens(&call.name) + estimate_tokens(&call.arguments) + result
                }
            };
            parts.iter().map(|part| EACH + of(part)).sum()
        }
    }
}

/// What is written to disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u16,
    turns: Vec<Turn>,
}

impl From<History> for Stored {
    fn from(history: History) -> Self {
        Stored { version: VERSION, turns: history.turns }
    }
}

impl TryFrom<Stored> for History {
    type Error = HistoryError;

    fn try_from(stored: Stored) -> Result<Self, HistoryError> {
        if stored.version > VERSION {
            return Err(HistoryError::UnknownVersion { version: stored.version });
        }
        match repair::what_is_wrong(&stored.turns) {
            Some(why) => Err(HistoryError::Invalid { why }),
            None => Ok(History { turns: stored.turns }),
        }
    }
}

#[cfg(test)]
mod tests;
