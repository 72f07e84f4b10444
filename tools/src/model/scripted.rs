//! A model that follows a script: the same request always gets the same answer. For tests, and for runs offline.

use std::time::Duration;

use greenroom_runtime::Clock;

use super::attempt::{Anchor, Attempt, AttemptEvent, AttemptFacts};
use super::client::{Model, ModelFuture};
use super::error::{ModelError, ModelErrorKind, TimeoutPhase};
use super::history::{AgentPart, ReplyPart, ToolCall, Turn};
use super::reply::{FinishReason, ModelReply};
use super::request::ModelRequest;
use super::usage::Usage;

type Script = dyn Fn(&ModelRequest) -> ScriptedAnswer + Send + Sync;

/// A model whose answers a function computes, after as long as it is told to think. It counts words for tokens.
pub struct ScriptedModel {
    script: Box<Script>,
    thinks_for: Duration,
    clock: Clock,
}

/// What a script lets its model answer. A `String` or `&str` is an answer of that text.
#[derive(Clone, Debug, Default)]
pub struct ScriptedAnswer {
    parts: Vec<ReplyPart>,
    fails_with: Option<ModelErrorKind>,
    retry_after: Option<Duration>,
    thinks_for: Option<Duration>,
    usage: Option<Usage>,
}

impl ScriptedModel {
    /// A model that answers what `script` says, at once.
    pub fn new<A: Into<ScriptedAnswer>>(script: impl Fn(&ModelRequest) -> A + Send + Sync + 'static) -> Self {
        let script = Box::new(move |request: &ModelRequest| script(request).into());
        ScriptedModel { script, thinks_for: Duration::ZERO, clock: Clock::default() }
    }

    /// Takes that long for each answer that does not say otherwise. Default: no time.
    #[must_use]
    pub fn thinks_for(mut self, time: Duration) -> Self {
        self.thinks_for = time;
        self
    }

    async fn answer(&self, request: &ModelRequest, attempt: Attempt<'_>) -> Result<ModelReply, ModelError> {
        let begun = self.clock.now();
        let answer = (self.script)(request);
        let mut facts = Box::new(AttemptFacts {
            provider: self.provider().to_owned(),
            model_asked: self.model().to_owned(),
            model_answered: Some(self.model().to_owned()),
            request_hash: request.hash(),
            retry_after: answer.retry_after,
            ..AttemptFacts::default()
        });
        // The same request, the same id: a script has nothing else to tell its answers apart by.
        let response_id = format!("scripted-{}", facts.request_hash);
        let provider = facts.provider.clone();
        attempt.tell(AttemptEvent::Anchored(&Anchor {
            provider,
            response_id: response_id.clone(),
            cursor: None,
            lasts: false,
        }));
        facts.response_id = Some(response_id);

        let time = answer.thinks_for.unwrap_or(self.thinks_for);
        let left = attempt.time_left(&self.clock).unwrap_or(Duration::MAX);
        if !time.min(left).is_zero() {
            self.clock.sleep(time.min(left)).await;
        }
        facts.took = self.clock.now() - begun;
        if time > left {
            return Err(ModelError { kind: ModelErrorKind::TimedOut(TimeoutPhase::Total), facts });
        }
        if let Some(kind) = answer.fails_with {
            return Err(ModelError { kind, facts });
        }

        let (parts, was_cut) = cut_to(answer.parts, request.max_output_tokens());
        let finish = match &parts {
            _ if was_cut => FinishReason::MaxTokens,
            parts if parts.iter().any(|part| matches!(part, ReplyPart::Call(_))) => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        let usage = answer.usage.unwrap_or_else(|| Usage {
            input_tokens: words_asked(request),
            output_tokens: parts.iter().map(words_of).sum(),
            ..Usage::default()
        });
        facts.first_output_after = Some(facts.took);
        facts.had_output = true;
        facts.usage = Some(usage);
        facts.finish = Some(finish.clone());
        attempt.tell(AttemptEvent::FirstOutput(facts.took));
        for part in &parts {
            if let ReplyPart::Text(text) = part {
                attempt.tell_text(text);
            }
        }
        Ok(ModelReply { parts, finish, usage, facts })
    }
}

impl Model for ScriptedModel {
    fn provider(&self) -> &str {
        "scripted"
    }

    fn model(&self) -> &str {
        "scripted"
    }

    fn attempt<'a>(&'a self, request: &'a ModelRequest, attempt: Attempt<'a>) -> ModelFuture<'a> {
        Box::pin(self.answer(request, attempt))
    }
}

impl std::fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedModel").field("thinks_for", &self.thinks_for).finish_non_exhaustive()
    }
}

impl ScriptedAnswer {
    /// Says a text.
    pub fn text(text: impl Into<String>) -> Self {
        ScriptedAnswer { parts: vec![ReplyPart::Text(text.into())], ..ScriptedAnswer::default() }
    }

    /// Fails.
    pub fn fails(kind: ModelErrorKind) -> Self {
        ScriptedAnswer { fails_with: Some(kind), ..ScriptedAnswer::default() }
    }

    /// Calls a tool as well.
    #[must_use]
    pub fn call(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        let (id, name, arguments) = (id.into(), name.into(), arguments.into());
        self.parts.push(ReplyPart::Call(ToolCall { id, name, arguments }));
        self
    }

    /// Asks to be left alone for that long.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// Takes that long. Default: what the model takes for each answer.
    #[must_use]
    pub fn thinks_for(mut self, time: Duration) -> Self {
        self.thinks_for = Some(time);
        self
    }

    /// Says that it used that. Default: the number of words.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }
}

impl From<String> for ScriptedAnswer {
    fn from(text: String) -> Self {
        ScriptedAnswer::text(text)
    }
}

impl From<&str> for ScriptedAnswer {
    fn from(text: &str) -> Self {
        ScriptedAnswer::text(text)
    }
}

/// Words stand in for tokens here: what matters is that the count is the same each time.
fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn words_of(part: &ReplyPart) -> u64 {
    match part {
        ReplyPart::Text(text) => words(text),
        ReplyPart::Call(call) => 1 + words(&call.arguments),
        ReplyPart::Opaque(part) => words(&part.json),
    }
}

fn words_asked(request: &ModelRequest) -> u64 {
    let told: u64 = request.history().turns().iter().map(words_in).sum();
    words(request.instructions()) + told
}

fn words_in(turn: &Turn) -> u64 {
    match turn {
        Turn::User { text, .. } => words(text),
        Turn::Agent { parts } => {
            let of = |part: &AgentPart| match part {
                AgentPart::Text(text) => words(text),
                AgentPart::Call { call, result } => {
                    1 + words(&call.arguments) + result.as_ref().map_or(0, |result| words(&result.text))
                }
                AgentPart::Opaque(part) => words(&part.json),
            };
            parts.iter().map(of).sum()
        }
    }
}

/// The parts up to the bound, and whether anything was left out. A call is left out whole.
fn cut_to(parts: Vec<ReplyPart>, tokens_max: u32) -> (Vec<ReplyPart>, bool) {
    let mut left = u64::from(tokens_max);
    let mut kept = Vec::new();
    for part in parts {
        let cost = words_of(&part);
        if cost <= left {
            left -= cost;
            kept.push(part);
            continue;
        }
        if let ReplyPart::Text(text) = part {
            let room = usize::try_from(left).unwrap_or(usize::MAX);
            let text = text.split_whitespace().take(room).collect::<Vec<_>>().join(" ");
            kept.push(ReplyPart::Text(text));
        }
        return (kept, true);
    }
    (kept, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{History, Origin};
    use std::sync::Mutex;

    fn request(tokens_max: u32) -> ModelRequest {
        let mut history = History::new();
        history.user(Origin::Customer, "my lamp is dark").unwrap();
        ModelRequest::new("be kind", history, tokens_max).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_request_gets_the_same_answer_within_its_bound() {
        let model = ScriptedModel::new(|_| "you said: my lamp is dark").thinks_for(Duration::from_secs(1));

        let first = model.attempt(&request(4), Attempt::new()).await.unwrap();
        let second = model.attempt(&request(4), Attempt::new()).await.unwrap();

        assert_eq!(first, second);
        assert_eq!((&*first.text(), &first.finish), ("you said: my lamp", &FinishReason::MaxTokens));
        assert_eq!((first.usage.input_tokens, first.usage.output_tokens), (6, 4));
        assert_eq!(first.facts.took, Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_calls_tools_fails_and_is_late() {
        let calls = ScriptedModel::new(|_| ScriptedAnswer::text("let me see").call("a", "look_up", "{}"));
        let reply = calls.attempt(&request(9), Attempt::new()).await.unwrap();
        assert_eq!(reply.finish, FinishReason::ToolCalls);
        assert_eq!(reply.calls().map(|call| &*call.name).collect::<Vec<_>>(), ["look_up"]);

        let limits = || ModelErrorKind::RateLimited { message: "slowly".into() };
        let limited =
            move |_: &ModelRequest| ScriptedAnswer::fails(limits()).retry_after(Duration::from_secs(3));
        let error = ScriptedModel::new(limited).attempt(&request(9), Attempt::new()).await.unwrap_err();
        assert_eq!(error.facts.retry_after, Some(Duration::from_secs(3)));
        assert!(error.nothing_happened());

        let late = ScriptedModel::new(|_| ScriptedAnswer::text("a").thinks_for(Duration::from_secs(9)));
        let deadline = Clock::default().after(Duration::from_secs(1));
        let error = late.attempt(&request(9), Attempt::new().deadline(deadline)).await.unwrap_err();
        assert_eq!(error.kind, ModelErrorKind::TimedOut(TimeoutPhase::Total));
        assert_eq!(error.facts.took, Duration::from_secs(1));
    }

    #[tokio::test]
    async fn an_attempt_tells_its_anchor_before_its_output() {
        let told = Mutex::new(Vec::new());
        let observer = |event: AttemptEvent<'_>| told.lock().unwrap().push(format!("{event:?}"));
        let attempt = Attempt::new().numbered(7).observer(&observer);

        ScriptedModel::new(|_| "hello").attempt(&request(9), attempt).await.unwrap();

        let told = told.into_inner().unwrap();
        assert!(told[0].starts_with("Anchored(Anchor { provider: \"scripted\""), "{told:?}");
        assert!(told[1].starts_with("FirstOutput"), "{told:?}");
        assert_eq!(told[2], "Text { attempt: 7, added: \"hello\" }");
    }
}
