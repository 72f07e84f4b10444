//! A call: attempts at the models of a chain, one after the other, until one answers or no other is of use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_runtime::{Failure, FailureClass};

use crate::model::attempt::{Anchor, Attempt, AttemptEvent};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::model::reply::ModelReply;
use crate::model::request::ModelRequest;

use super::error::{AdmissionError, Denied};
use super::headers::{Limited, is_used_up};
use super::lane::{Came, Going, Lane};
use super::observer::{AttemptPlan, CallObserver};
use super::spec::Call;

/// The one owner of retries: a chain of lanes, of which the first is asked, and the next when the one before cannot answer in
/// time. Cloning it is free. Give it to the builder as a resource, and share its lanes with other chains.
///
/// A call moves on to the next model when the breaker of the one before is open, when its turn there would come too late or
/// its queue is full, when its attempts there are used up, or when the key is not accepted; never with a request that was
/// refused as wrong.
#[derive(Clone, Debug)]
pub struct Admission {
    lanes: Arc<[Lane]>,
}

/// An answer, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The answer.
    pub reply: ModelReply,
    /// Which model of the chain gave it, from 0.
    pub model_index: usize,
    /// How many attempts left, with the one that was answered.
    pub attempts: u32,
}

/// What is known of a call while it goes on.
#[derive(Default)]
struct Course {
    attempts: u32,
    may_have_cost: bool,
    last: Option<Box<ModelError>>,
}

/// How a lane was left without an answer.
enum Left {
    /// For good.
    Over(Denied),
    /// The next one may do better.
    GoOn(Denied),
}

impl Admission {
    /// A chain of one.
    pub fn new(lane: &Lane) -> Self {
        Admission { lanes: Arc::from([lane.clone()]) }
    }

    /// The same with one more lane at its end.
    #[must_use]
    pub fn or(self, lane: &Lane) -> Self {
        Admission { lanes: self.lanes.iter().chain([lane]).cloned().collect() }
    }

    /// The lanes, in order.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Asks until there is an answer, or none can come before the deadline.
    ///
    /// # Errors
    ///
    /// [`AdmissionError`]; as a [`Failure`] never a `Bug` unless the observer's was one.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives back the place in the queue, or calls the attempt under way off as far as that is possible, which
    /// counts neither for nor against the provider. The observer is not told; see [`CallObserver`].
    pub async fn call(&self, request: &ModelRequest, call: Call<'_>) -> Result<Admitted, AdmissionError> {
        let mut course = Course::default();
        let tenant: Arc<str> = Arc::from(call.tenant);
        let mut why = None;
        for (index, lane) in self.lanes.iter().enumerate() {
            let has_next = index + 1 < self.lanes.len();
            if has_next && why.is_none() && !lane.is_worth_a_try() {
                continue;
            }
            match try_lane(lane, index, has_next, request, &call, &tenant, &mut course).await {
                Ok(reply) => return Ok(Admitted { reply, model_index: index, attempts: course.attempts }),
                Err(Left::Over(denied)) => return Err(course.ended(denied)),
                Err(Left::GoOn(denied)) => why = Some(denied),
            }
        }
        // A chain has at least one lane, and its last is always tried.
        Err(course.ended(why.unwrap_or(Denied::Busy { waiting: 0 })))
    }
}

impl Course {
    fn ended(self, why: Denied) -> AdmissionError {
        let Course { attempts, may_have_cost, last } = self;
        let last = last.filter(|_| !matches!(why, Denied::Failed(_)));
        AdmissionError { why, attempts, may_have_cost, last }
    }
}

async fn try_lane(
    lane: &Lane,
    index: usize,
    has_next: bool,
    request: &ModelRequest,
    call: &Call<'_>,
    tenant: &Arc<str>,
    course: &mut Course,
) -> Result<ModelReply, Left> {
    let key = call.key.map(|key| if index == 0 { key.to_owned() } else { format!("{key}.{index}") });
    let tokens = call.tokens.unwrap_or_else(|| estimate(request));
    let given = call.anchor.filter(|anchor| anchor.lasts && anchor.provider == lane.provider());
    let mut anchor = given.filter(|_| course.attempts == 0).cloned();
    // Somebody asked for what is picked up, and may have to pay for it.
    course.may_have_cost |= anchor.is_some();
    let (mut failures, mut refusals) = (0, 0);
    let mut place = None;
    loop {
        let turn = match &anchor {
            Some(_) => lane.unpaced(),
            None => lane.turn(tenant, tokens, call.deadline, has_next, &mut place).await,
        };
        let going = turn.map_err(Left::GoOn)?;
        let earlier = course.last.take();
        let plan = AttemptPlan {
            number: course.attempts,
            model_index: index,
            provider: lane.provider(),
            model: lane.model(),
            key: key.as_deref(),
            deadline: call.deadline,
            anchor: anchor.as_ref(),
            earlier: earlier.as_deref(),
            may_cost_twice: course.may_have_cost && anchor.is_none(),
        };
        let (outcome, seen) = one(lane, request, &plan, going, call.observer, course).await?;
        let error = match outcome {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        // One that came back without an answer, and lasts, is picked up instead of asked for again.
        let is_limited = matches!(error.kind, ModelErrorKind::RateLimited { .. });
        let still_there = is_worth_picking_up(&error.kind) || (is_limited && anchor.is_some());
        anchor = seen.or(anchor).filter(|anchor| anchor.lasts && still_there);
        if is_final(&error) {
            return Err(Left::Over(Denied::Failed(Box::new(error))));
        }
        let bad_key = matches!(error.kind, ModelErrorKind::BadKey { .. });
        let used_up = if is_limited {
            refusals += 1;
            refusals >= lane.spec().refusals_max.max(1)
        } else {
            failures += 1;
            failures >= lane.spec().attempts_max.max(1)
        };
        let wait = match error.facts.retry_after {
            // The lane waits.
            _ if is_limited && anchor.is_none() => Duration::ZERO,
            Some(wait) => wait,
            None => lane.backoff(failures.saturating_sub(1)),
        };
        if used_up || bad_key {
            course.last = Some(Box::new(error.clone()));
            return Err(Left::GoOn(Denied::Failed(Box::new(error))));
        }
        course.last = Some(Box::new(error));
        if !wait.is_zero() {
            if let Some(late) = lane.late(wait, call.deadline) {
                return Err(Left::GoOn(late));
            }
            lane.clock().sleep(wait).await;
        }
    }
}

/// One attempt, with the observer before and after it. What is left of the call, or the attempt's outcome and its anchor.
async fn one(
    lane: &Lane,
    request: &ModelRequest,
    plan: &AttemptPlan<'_>,
    going: Going,
    observer: Option<&dyn CallObserver>,
    course: &mut Course,
) -> Result<(Result<ModelReply, ModelError>, Option<Anchor>), Left> {
    if let Some(observer) = observer
        && let Err(failure) = observer.before(plan).await
    {
        going.give_back();
        return Err(refused(failure));
    }
    if course.attempts > 0 {
        lane.retried();
    }
    course.attempts += 1;
    let seen: Mutex<Option<Anchor>> = Mutex::new(None);
    let tell = |event: AttemptEvent<'_>| {
        if let AttemptEvent::Anchored(anchor) = &event {
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((*anchor).clone());
        }
        if let Some(observer) = observer {
            observer.during(plan, event);
        }
    };
    let mut attempt = Attempt::new().numbered(plan.number).deadline(plan.deadline).observer(&tell);
    if let Some(key) = plan.key {
        attempt = attempt.key(key);
    }
    if let Some(anchor) = plan.anchor {
        attempt = attempt.reattached(anchor);
    }
    let outcome = lane.asked().attempt(request, attempt).await;
    let (came, headers) = match &outcome {
        Ok(reply) => (Came::Answered { took: reply.facts.took }, &reply.facts.rate_limits),
        Err(error) => (came_of(error), &error.facts.rate_limits),
    };
    going.came_to(&came, headers);
    course.may_have_cost |= outcome.as_ref().err().is_none_or(|error| !error.nothing_happened());
    if let Some(observer) = observer {
        observer.after(plan, outcome.as_ref()).await.map_err(refused)?;
    }
    Ok((outcome, seen.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

fn refused(failure: Failure) -> Left {
    Left::Over(Denied::Refused(failure))
}

/// Whether no other attempt is of use, here or elsewhere.
fn is_final(error: &ModelError) -> bool {
    matches!(error.class(), FailureClass::Invalid | FailureClass::Exhausted)
}

fn is_worth_picking_up(kind: &ModelErrorKind) -> bool {
    use ModelErrorKind as Kind;
    matches!(
        kind,
        Kind::StreamCut { .. } | Kind::TimedOut(_) | Kind::Connection { .. } | Kind::Overloaded { .. }
    )
}

fn came_of(error: &ModelError) -> Came {
    use ModelErrorKind as Kind;
    let retry_after = error.facts.retry_after;
    match &error.kind {
        Kind::RateLimited { message } => {
            let headers = &error.facts.rate_limits;
            let of_requests = is_used_up(headers, Limited::Requests);
            let of_tokens = is_used_up(headers, Limited::Tokens) || says_tokens(message);
            let of = if of_tokens && !of_requests { Limited::Tokens } else { Limited::Requests };
            Came::Limited { of, retry_after }
        }
        Kind::Overloaded { .. } | Kind::TimedOut(_) => Came::Failed { overloaded: true, retry_after },
        Kind::Refused { .. } | Kind::Filtered { .. } | Kind::TooLong { .. } => Came::Refused,
        _ => Came::Failed { overloaded: false, retry_after },
    }
}

fn says_tokens(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("tokens per") || message.contains("(tpm)") || message.contains("token rate")
}

fn estimate(request: &ModelRequest) -> u64 {
    request.input_bytes().div_ceil(3).saturating_add(request.max_output_tokens().into())
}
