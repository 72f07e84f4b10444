//! What an answer used.

use serde::{Deserialize, Serialize};

/// Tokens of one attempt, as the provider counts them; fields it does not tell are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All tokens of the request, with those from and into the cache.
    pub input_tokens: u64,
    /// All tokens of the answer, with those of the reasoning.
    pub output_tokens: u64,
    /// Part of the input: read from the cache.
    pub cache_read_tokens: u64,
    /// Part of the input: written to the cache.
    pub cache_creation_tokens: u64,
    /// Part of the output: thought and not said.
    pub reasoning_tokens: u64,
    /// The server sent no usage, or not all of it, and this is our count.
    pub estimated: bool,
}

/// About how many tokens a text has: a third of its bytes, rounded up. Rather too many than too few for English; no text
/// has more tokens than bytes.
pub fn estimate_tokens(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(3)).unwrap_or(u64::MAX)
}
