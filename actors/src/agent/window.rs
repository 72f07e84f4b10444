//! How long a history may get, and what becomes of the rest.

use greenroom_tools::History;

use super::limits::Limit;

/// How long a history may get, in tokens by [`History::estimated_tokens`]; instructions and tools come on top. What is cut is
/// cut from the conversation itself, not from one request: a state stays short, and the begin of the requests the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One that is longer than `at` is cut to the newest `keep`. No model is asked.
    Cut {
        /// The bound.
        at: u64,
        /// What remains, at least 1 and at most `at`.
        keep: u64,
    },
    /// One that is longer than `at` is cut to the newest `keep`, behind a summary of it all that the model writes, in a call
    /// that is journaled like any other.
    Summary {
        /// The bound.
        at: u64,
        /// What remains beside the summary.
        keep: u64,
        /// Longest summary. Together with `keep` at most `at`.
        summary_tokens: u32,
    },
}

impl Default for Window {
    /// Cut at 100,000 tokens to 50,000.
    fn default() -> Self {
        Window::Cut { at: 100_000, keep: 50_000 }
    }
}

/// What is to be done before the history is sent.
#[derive(Debug, PartialEq)]
pub(super) enum Compaction {
    /// This takes its place.
    Shorter(History),
    /// The model is to summarise it; so many of its last turns remain.
    Summarise { keep: usize, tokens: u32 },
    /// Nothing that can be kept fits.
    TooSmall(Limit),
}

impl Window {
    pub(super) fn at(self) -> u64 {
        match self {
            Window::Cut { at, .. } | Window::Summary { at, .. } => at,
        }
    }

    /// Whether its numbers fit together.
    pub(super) fn is_sound(self) -> bool {
        match self {
            Window::Cut { at, keep } => (1..=at).contains(&keep),
            Window::Summary { at, keep, summary_tokens } => {
                keep > 0 && summary_tokens > 0 && keep.saturating_add(summary_tokens.into()) <= at
            }
        }
    }

    pub(super) fn is_exceeded_by(self, history: &History) -> bool {
        history.estimated_tokens() > self.at()
    }

    /// What is to be done about a history that is too long and has no open call.
    pub(super) fn compaction(self, history: &History) -> Compaction {
        match self {
            Window::Cut { keep, .. } => self.cut(history, keep),
            Window::Summary { keep, summary_tokens, .. } => {
                // Nothing of the newest fits: then there is nothing that a summary could stand before.
                let Ok(kept) = history.window(keep) else { return self.cut(history, keep) };
                let turns = kept.turns().len();
                // A kept loop of calls has its question in front, which `summarised` finds by itself.
                let keep = if history.last(turns) == kept { turns } else { turns - 1 };
                Compaction::Summarise { keep: keep.max(1), tokens: summary_tokens }
            }
        }
    }

    /// The history behind its summary, or, if that turned out too long, a cut one.
    pub(super) fn summarised(self, history: &History, keep: usize, summary: &str) -> Compaction {
        let short = history.summarised(keep, summary);
        if self.is_exceeded_by(&short) { self.cut(history, self.at()) } else { Compaction::Shorter(short) }
    }

    fn cut(self, history: &History, keep: u64) -> Compaction {
        let cut = history.window(keep).or_else(|_| history.window(self.at()));
        match cut {
            Ok(short) => Compaction::Shorter(short),
            Err(too_small) => Compaction::TooSmall(Limit::Window { tokens: too_small.tokens }),
        }
    }
}

#[cfg(test)]
mod tests {
    use greenroom_tools::Origin;

    use super::*;

    fn talk(texts: usize) -> History {
        let mut history = History::new();
        for _ in 0..texts {
            history.user(Origin::Customer, "x".repeat(30)).unwrap(); // 14 tokens
        }
        history
    }

    #[test]
    fn a_history_is_cut_to_what_is_kept_and_never_above_the_bound() {
        let cut = Window::Cut { at: 60, keep: 30 };
        assert!(!cut.is_exceeded_by(&talk(4)) && cut.is_exceeded_by(&talk(5)));
        assert_eq!(cut.compaction(&talk(5)), Compaction::Shorter(talk(2)));
        // The newest alone is longer than what is kept, but not than the bound.
        assert_eq!(Window::Cut { at: 20, keep: 2 }.compaction(&talk(5)), Compaction::Shorter(talk(1)));
        let small = Window::Cut { at: 10, keep: 2 }.compaction(&talk(5));
        assert_eq!(small, Compaction::TooSmall(Limit::Window { tokens: 14 }));
    }

    #[test]
    fn a_summary_that_is_too_long_gives_way_to_a_cut() {
        let window = Window::Summary { at: 60, keep: 30, summary_tokens: 30 };
        assert_eq!(window.compaction(&talk(9)), Compaction::Summarise { keep: 2, tokens: 30 });
        let Compaction::Shorter(short) = window.summarised(&talk(9), 2, "all was said") else { panic!() };
        assert_eq!(short.turns().len(), 3);
        let long = window.summarised(&talk(9), 2, &"y".repeat(300));
        assert_eq!(long, Compaction::Shorter(talk(4)));
    }
}
