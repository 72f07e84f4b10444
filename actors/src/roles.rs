//! Who takes what: the members of each role, the least loaded first, and the fallback when all are down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom_runtime::{AskError, Chain, ExitReason, LifeState, Recipient};

use crate::handoff::{Decision, Fallback, Handoff, HandoffFailure, HandoffOutcome, HandoffPayload, Role};

/// The members of each role. Cloning is one reference count; usually given to the runtime as a resource.
///
/// A member counts as up while its incarnation runs and its mailbox has room. Among those that are up the one with the
/// fewest messages waiting or in hand is picked, round robin among equals.
pub struct Roles<T: HandoffPayload> {
    inner: Arc<Inner<T>>,
}

struct Inner<T: HandoffPayload> {
    members: BTreeMap<Role, Vec<Recipient<Handoff<T>>>>,
    turn: AtomicUsize,
}

/// Who was picked for a role.
pub struct Pick<T: HandoffPayload> {
    /// Who.
    pub member: Recipient<Handoff<T>>,
    /// As what: the role asked for, or its fallback.
    pub role: Role,
}

impl<T: HandoffPayload> Roles<T> {
    /// The roles with their members.
    pub fn new(members: impl IntoIterator<Item = (Role, Vec<Recipient<Handoff<T>>>)>) -> Self {
        let inner = Inner { members: members.into_iter().collect(), turn: AtomicUsize::new(0) };
        Roles { inner: Arc::new(inner) }
    }

    /// The least loaded member of `role` that is up; `None` if none is.
    #[must_use]
    pub fn pick(&self, role: &Role) -> Option<Pick<T>> {
        let members = self.inner.members.get(role)?;
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % members.len().max(1);
        let up = (0..members.len()).map(|at| &members[(at + turn) % members.len()]).filter_map(|member| {
            let seen = member.place().observe();
            let up = seen.state == LifeState::Running && seen.waiting < seen.capacity;
            up.then(|| (seen.waiting + usize::from(seen.in_hand.is_some()), member))
        });
        let (_, member) = up.min_by_key(|(load, _)| *load)?;
        Some(Pick { member: member.clone(), role: role.clone() })
    }

    /// Offers the case to a member of its role, or of the fallback role when none is up, and waits for the decision.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the taker may have accepted: offer it again, with the same id.
    pub async fn offer(self, handoff: Handoff<T>) -> HandoffOutcome<T> {
        let asked_for = handoff.to.clone();
        let fallback = match &handoff.fallback {
            Fallback::Return => None,
            Fallback::Next(role) => Some(role.clone()),
        };
        for role in std::iter::once(asked_for.clone()).chain(fallback) {
            let Some(Pick { member, .. }) = self.pick(&role) else { continue };
            let by = member.path().clone();
            let rerouted = role != asked_for;
            let mut offered = handoff.clone();
            offered.rerouted |= rerouted;
            offered.to = role.clone();
            return match member.ask(offered, Some(handoff.deadline)).await {
                Ok(Decision::Accepted) => HandoffOutcome::Accepted { id: handoff.id, by, rerouted, role },
                Ok(Decision::Refused { reason }) => HandoffOutcome::Refused { handoff, by, reason },
                // It went down between the look and the offer, which did not arrive: the next role may take it.
                Err(AskError::NotDelivered(_)) => continue,
                Err(error) => HandoffOutcome::Failed { handoff, failure: failure(by, &error) },
            };
        }
        HandoffOutcome::Failed { handoff, failure: HandoffFailure::NobodyUp(asked_for) }
    }
}

fn failure<T>(by: greenroom_runtime::ActorPath, error: &AskError<Handoff<T>>) -> HandoffFailure {
    match error {
        AskError::ActorFailed {
            cause: cause @ (ExitReason::Panicked { .. } | ExitReason::Failed { .. }),
            ..
        } => HandoffFailure::TakerFailed { by, cause: Chain(cause).to_string() },
        error => HandoffFailure::NoAnswer { by, cause: Chain(error).to_string() },
    }
}

impl<T: HandoffPayload> Clone for Roles<T> {
    fn clone(&self) -> Self {
        Roles { inner: self.inner.clone() }
    }
}

impl<T: HandoffPayload> std::fmt::Debug for Roles<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.inner.members.iter().map(|(role, all)| (role.as_str(), all.len())))
            .finish()
    }
}
