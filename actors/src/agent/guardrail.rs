//! What may come in to an agent, and what may go out.

use std::fmt;
use std::sync::Arc;

/// What a guardrail says of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Pass,
    /// This passes in its place.
    Replace(String),
    /// It may not.
    Refuse {
        /// Why, for whoever called.
        reason: String,
    },
}

/// A named check of a text. The same text must get the same verdict: it is asked again when a message is handled again. No
/// calls outside; what needs a model is an agent of its own.
#[derive(Clone)]
pub struct Guardrail {
    name: String,
    check: Arc<dyn Fn(&str) -> Verdict + Send + Sync>,
}

impl Guardrail {
    /// A check. The name stands in refusals and in the definition's fingerprint: give a changed check another one.
    pub fn new(name: impl Into<String>, check: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Self {
        Guardrail { name: name.into(), check: Arc::new(check) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for Guardrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guardrail").field(&self.name).finish()
    }
}

/// A text that was refused: by whom and why.
pub(super) struct Refused {
    pub(super) by: String,
    pub(super) reason: String,
}

/// The text as all of them, one after the other, let it pass.
pub(super) fn guarded(text: String, all: &[Guardrail]) -> Result<String, Refused> {
    all.iter().try_fold(text, |text, rail| match (rail.check)(&text) {
        Verdict::Pass => Ok(text),
        Verdict::Replace(other) => Ok(other),
        Verdict::Refuse { reason } => Err(Refused { by: rail.name.clone(), reason }),
    })
}
