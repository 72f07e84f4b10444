//! The context that travels with a handoff: what was said and found so far, or a slice of it.

use serde::{Deserialize, Serialize};

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who wrote it: `customer`, a role, or a tool.
    pub from: String,
    /// What.
    pub text: String,
}

/// What was said and found in a case, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    entries: Vec<Entry>,
    /// How many older entries were left out when it was shared.
    omitted: usize,
}

/// How much of a transcript is shared with the next role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextPolicy {
    /// All of it.
    #[default]
    Full,
    /// The newest n entries.
    Last(usize),
}

impl Transcript {
    /// Adds a line.
    pub fn push(&mut self, from: impl Into<String>, text: impl Into<String>) {
        self.entries.push(Entry { from: from.into(), text: text.into() });
    }

    /// The lines that are here, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many older lines were left out.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// What `policy` shares of it. Counts what it leaves out.
    #[must_use]
    pub fn share(&self, policy: ContextPolicy) -> Self {
        let keep = match policy {
            ContextPolicy::Full => self.entries.len(),
            ContextPolicy::Last(n) => n.min(self.entries.len()),
        };
        let left_out = self.entries.len() - keep;
        Transcript { entries: self.entries[left_out..].to_vec(), omitted: self.omitted + left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_keeps_the_newest_and_counts_the_rest() {
        let mut transcript = Transcript::default();
        for text in ["a", "b", "c", "d"] {
            transcript.push("customer", text);
        }

        let last = transcript.share(ContextPolicy::Last(3)).share(ContextPolicy::Last(2));

        assert_eq!(last.entries().iter().map(|entry| &*entry.text).collect::<Vec<_>>(), ["c", "d"]);
        assert_eq!(last.omitted(), 2);
        assert_eq!(transcript.share(ContextPolicy::Full), transcript);
        assert_eq!(transcript.share(ContextPolicy::Last(9)), transcript);
    }
}
