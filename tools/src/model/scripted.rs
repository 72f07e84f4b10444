//! A model that follows a script: the same request always gets the same answer. For tests, and for runs offline.

use std::pin::Pin;
use std::time::Duration;

use greenroom_runtime::Clock;

use super::{Model, ModelError, ModelReply, ModelRequest};

type Script = dyn Fn(&ModelRequest) -> String + Send + Sync;

/// A model whose answers a function computes, after as long as it is told to think.
pub struct ScriptedModel {
    script: Box<Script>,
    thinks_for: Duration,
    clock: Clock,
}

impl ScriptedModel {
    /// A model that answers what `script` says, at once.
    pub fn new(script: impl Fn(&ModelRequest) -> String + Send + Sync + 'static) -> Self {
        ScriptedModel { script: Box::new(script), thinks_for: Duration::ZERO, clock: Clock::default() }
    }

    /// Takes that long for each answer. Default: no time.
    #[must_use]
    pub fn thinks_for(mut self, time: Duration) -> Self {
        self.thinks_for = time;
        self
    }
}

impl Model for ScriptedModel {
    fn complete(
        &self,
        request: ModelRequest,
    ) -> Pin<Box<dyn Future<Output = Result<ModelReply, ModelError>> + Send + '_>> {
        Box::pin(async move {
            if !self.thinks_for.is_zero() {
                self.clock.sleep(self.thinks_for).await;
            }
            let mut text = (self.script)(&request);
            let spoken = request.turns.iter().map(|turn| tokens(&turn.text)).sum::<u32>();
            let tokens_in = tokens(&request.instructions).saturating_add(spoken);
            cut_to(&mut text, request.max_tokens);
            Ok(ModelReply { tokens_in, tokens_out: tokens(&text), text })
        })
    }
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel").field("thinks_for", &self.thinks_for).finish()
    }
}

/// Words stand in for tokens here: what matters is that the count is the same each time.
fn tokens(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

fn cut_to(text: &mut String, max_tokens: u32) {
    if tokens(text) > max_tokens {
        let max = usize::try_from(max_tokens).unwrap_or(usize::MAX);
        *text = text.split_whitespace().take(max).collect::<Vec<_>>().join(" ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Speaker, Turn};

    #[tokio::test(start_paused = true)]
    async fn the_same_request_gets_the_same_answer_within_its_bound() {
        let model = ScriptedModel::new(|request| format!("you said: {}", request.turns[0].text))
            .thinks_for(Duration::from_secs(1));
        let turns = vec![Turn { speaker: Speaker::User, text: "my lamp is dark".into() }];
        let request = ModelRequest { instructions: "be kind".into(), turns, max_tokens: 4 };

        let first = model.complete(request.clone()).await.unwrap();
        let second = model.complete(request).await.unwrap();

        assert_eq!(first, second);
        assert_eq!(first.text, "you said: my lamp");
        assert_eq!((first.tokens_in, first.tokens_out), (6, 4));
    }
}
