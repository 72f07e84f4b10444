//! Making a conversation shorter.

use crate::model::text::head;

use super::{AgentPart, Closing, History, Origin, Turn, tokens_of};

/// Not even the newest turns fit into the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the least that can be kept has about {tokens} tokens")]
pub struct WindowTooSmall {
    /// What [`History::estimated_tokens`] says of the least that can be kept.
    pub tokens: u64,
}

impl History {
    /// The last `n` turns, at least one. If they begin with the agent, what it was told last before them is kept as well:
    /// a long loop of calls keeps the question it is about.
    #[must_use]
    pub fn last(&self, n: usize) -> History {
        self.starting_at(self.turns.len().saturating_sub(n.max(1)))
    }

    /// The longest end of the conversation that has about at most `tokens` tokens by
    /// [`estimated_tokens`](History::estimated_tokens).
    ///
    /// # Errors
    ///
    /// [`WindowTooSmall`] if the last turn, with the question it belongs to, has more.
    pub fn window(&self, tokens: u64) -> Result<History, WindowTooSmall> {
        // From the newest to the oldest: a turn more costs its tokens, and maybe another question in front.
        let mut fits = None;
        let mut kept = 0;
        for at in (0..self.turns.len()).rev() {
            kept += tokens_of(&self.turns[at]);
            let asked = self.question_before(at).map_or(0, |asked| tokens_of(&self.turns[asked]));
            if kept + asked <= tokens {
                fits = Some(at);
            } else if kept > tokens {
                break;
            }
        }
        match fits {
            Some(at) => Ok(self.starting_at(at)),
            None if self.turns.is_empty() => Ok(History::new()),
            None => Err(WindowTooSmall { tokens: self.last(1).estimated_tokens() }),
        }
    }

    /// The last `keep` turns behind a summary of all before them. Without a turn to leave out, or with a blank summary, it
    /// is [`last`](History::last).
    #[must_use]
    pub fn summarised(&self, keep: usize, summary: &str) -> History {
        let at = self.turns.len().saturating_sub(keep.max(1));
        let mut short = self.starting_at(at);
        if at > 0 && !summary.trim().is_empty() {
            let text = head(summary, super::TEXT_BYTES_MAX).to_owned();
            short.turns.insert(0, Turn::User { origin: Origin::Summary, text });
        }
        short
    }

    /// What another agent may see of it: open calls are closed, and nothing is in it that only one provider understands.
    #[must_use]
    pub fn handed_over(mut self) -> History {
        self.close_open_calls(Closing::HandedOff);
        for turn in &mut self.turns {
            if let Turn::Agent { parts } = turn {
                parts.retain(|part| !matches!(part, AgentPart::Opaque(_)));
            }
        }
        self
    }

    /// The turns from `at` on, behind the question they belong to.
    fn starting_at(&self, at: usize) -> History {
        let asked = self.question_before(at).map(|asked| self.turns[asked].clone());
        History { turns: asked.into_iter().chain(self.turns[at..].iter().cloned()).collect() }
    }

    /// If the turns from `at` on begin with the agent: the last user turn before.
    fn question_before(&self, at: usize) -> Option<usize> {
        match self.turns.get(at) {
            Some(Turn::Agent { .. }) => {
                self.turns[..at].iter().rposition(|turn| matches!(turn, Turn::User { .. }))
            }
            _ => None,
        }
    }
}
