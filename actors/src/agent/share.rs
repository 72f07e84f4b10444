//! What another agent gets to see of a conversation.

use greenroom_runtime::Failure;
use greenroom_tools::{History, ModelRequest, Origin, ToolChoice};
use serde::{Deserialize, Serialize};

use super::definition::AgentDefinition;
use super::head;

/// How much of a conversation another agent gets to see. Results of tools go along; what is cut is cut in whole turns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryPolicy {
    /// All of it.
    #[default]
    Full,
    /// The newest turns, at least one.
    Last(usize),
    /// What the [filter](crate::AgentBuilder::filter) of that name lets through.
    Filter(String),
    /// A summary alone, written by the model.
    Summary {
        /// How long it may be.
        max_tokens: u32,
    },
}

/// What is shared without asking a model.
pub(super) fn share(
    whole: &History,
    definition: &AgentDefinition,
    policy: &HistoryPolicy,
) -> Result<History, Failure> {
    match policy {
        HistoryPolicy::Full | HistoryPolicy::Summary { .. } => Ok(whole.clone()),
        HistoryPolicy::Last(n) => Ok(whole.last(*n)),
        HistoryPolicy::Filter(name) => match definition.0.filters.get(name) {
            Some(filter) => Ok(filter(whole).handed_over()),
            None => Err(Failure::bug(format!("{} has no filter `{name}`", definition.name()))),
        },
    }
}

/// Asks for a summary. With the instructions and tools of the other requests: the begin is the same, which is cheap.
pub(super) fn summary_request(
    definition: &AgentDefinition,
    history: &History,
    tokens: u32,
) -> Result<ModelRequest, Failure> {
    const WISH: &str = "Summarise the conversation so far for somebody who goes on with it and sees nothing else of it: \
        what is wanted, what was found and done, with names and numbers, and what is open. Call no tool.";
    let mut asked = history.clone();
    asked.user(Origin::Instruction, WISH).map_err(Failure::bug)?;
    Ok(definition.plain_request(&asked, tokens)?.tool_choice(ToolChoice::None))
}

/// A history of one summary; without one, the end of the whole.
pub(super) fn only_summary(whole: &History, summary: &str, tokens: u32) -> History {
    let mut history = History::new();
    let text = head(summary, greenroom_tools::model::TEXT_BYTES_MAX);
    if history.user(Origin::Summary, text).is_err() {
        return whole.window(tokens.into()).unwrap_or_else(|_| whole.last(1));
    }
    history
}
