//! Handing a case over: the offer, the answer, and what the giver hears. All are typed messages.

use std::fmt;
use std::time::Duration;

use greenroom_runtime::{ActorPath, DurableMessage, Message};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::role::Role;
use crate::transcript::Transcript;

/// Names one handoff: the case and the hop. An offer that is repeated after a crash has the id of the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HandoffId {
    /// Which case.
    pub case: String,
    /// Which handoff of that case, from 1.
    pub hop: u32,
}

impl fmt::Display for HandoffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.case, self.hop)
    }
}

/// What is handed over. The names are those under which offer and outcome are stored.
pub trait HandoffPayload: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// Stable name of `Handoff<Self>`.
    const OFFER: &'static str;
    /// Stable name of `HandoffOutcome<Self>`.
    const OUTCOME: &'static str;
}

/// What to do with a case that the role cannot take because it is down: see [`Roles`](crate::Roles).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fallback {
    /// It comes back to the giver.
    #[default]
    Return,
    /// It goes to that role instead.
    Next(Role),
}

/// An offer of a case to a role. The giver keeps the case until it hears [`HandoffOutcome::Accepted`]; between durable actors
/// it owns it until the taker has [accepted](crate::AcceptExt::accept) it, by a record that both share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "T: HandoffPayload")]
pub struct Handoff<T> {
    /// Names this handoff; the same when the offer is repeated.
    pub id: HandoffId,
    /// Who gives.
    pub from: ActorPath,
    /// Which role shall take.
    pub to: Role,
    /// The case.
    pub payload: T,
    /// What was said and found so far, or a slice of it.
    pub context: Transcript,
    /// The roles the case was with, oldest first.
    pub path: Vec<Role>,
    /// Most handoffs of one case. Default: 8.
    pub max_hops: u32,
    /// How long the taker may take to answer, with the wait for room in its mailbox. Default: 60 s.
    pub deadline: Duration,
    /// What happens when the role is down.
    pub fallback: Fallback,
    /// Whether a fallback role has the case, now or earlier on its way, because the one it was meant for was down.
    pub rerouted: bool,
    /// Whether the record of who owns the case has this offer: set by [`hand_off`](crate::HandOffExt::hand_off), for a
    /// durable giver. Default: no.
    #[serde(default)]
    pub is_recorded: bool,
}

/// A case was handed on more often than it may be. It stays with the giver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("case {} was handed on {} times, at most {max_hops} are allowed: {}", id.case, id.hop, joined(path))]
pub struct TooManyHops {
    /// The handoff that was not made.
    pub id: HandoffId,
    /// The bound.
    pub max_hops: u32,
    /// The roles on the way.
    pub path: Vec<Role>,
}

fn joined(path: &[Role]) -> String {
    path.iter().map(Role::as_str).collect::<Vec<_>>().join(" -> ")
}

impl<T: HandoffPayload> Handoff<T> {
    /// The first handoff of a case, from somebody who acts as `role`.
    pub fn first(case: impl Into<String>, from: ActorPath, role: Role, to: Role, payload: T) -> Self {
        Handoff {
            id: HandoffId { case: case.into(), hop: 1 },
            from,
            to,
            payload,
            context: Transcript::default(),
            path: vec![role],
            max_hops: 8,
            deadline: Duration::from_secs(60),
            fallback: Fallback::Return,
            rerouted: false,
            is_recorded: false,
        }
    }

    /// The next handoff of the same case: from its taker `from` to role `to`.
    ///
    /// # Errors
    ///
    /// [`TooManyHops`]; nothing was handed on.
    pub fn onward(&self, from: ActorPath, to: Role) -> Result<Self, TooManyHops> {
        let mut next = self.clone();
        next.id.hop += 1;
        next.path.push(self.to.clone());
        if next.id.hop > self.max_hops {
            return Err(TooManyHops { id: next.id, max_hops: self.max_hops, path: next.path });
        }
        Ok(Handoff { from, to, is_recorded: false, ..next })
    }

    /// With this context.
    #[must_use]
    pub fn with_context(mut self, context: Transcript) -> Self {
        self.context = context;
        self
    }

    /// With this fallback.
    #[must_use]
    pub fn or_else(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }
}

/// The taker's answer to an offer. It leaves when the taker's state, with the case in it, is stored. A durable taker answers
/// what [`accept`](crate::AcceptExt::accept) says, or a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The case is the taker's now. Also the answer to a repeated offer.
    Accepted,
    /// The case stays with the giver.
    Refused {
        /// Why.
        reason: String,
    },
    /// The offer is not pending any more, see [`Acceptance::Over`](crate::Acceptance::Over).
    Over {
        /// Who owns the case; `None`: nobody, it is closed.
        owner: Option<ActorPath>,
    },
}

impl<T: HandoffPayload> Message for Handoff<T> {
    type Reply = Decision;
    const NAME: Option<&'static str> = Some(T::OFFER);
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<T: HandoffPayload> DurableMessage for Handoff<T> {}

/// Why an offer reached no decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum HandoffFailure {
    /// Nobody lives at the addresses of the role, nor of its fallback, or nobody there takes messages.
    #[error("nobody is up to take on `{0}`")]
    NobodyUp(Role),
    /// An actor of another type lives at the address of a member: the roles and the tree of this program do not fit.
    #[error("{at} is a member of `{role}`: {cause}")]
    OtherMember {
        /// The address.
        at: ActorPath,
        /// Whose member.
        role: Role,
        /// Who lives there, and who was expected.
        cause: String,
    },
    /// The taker fell over the offer as often as it may come again.
    #[error("{by} fell over the offer: {cause}")]
    TakerFailed {
        /// Who.
        by: ActorPath,
        /// How.
        cause: String,
    },
    /// The taker did not answer in time, was full for so long, or was stopped. It may have taken the case: offer it
    /// again, with the same id.
    #[error("{by} gave no answer: {cause}")]
    NoAnswer {
        /// Who.
        by: ActorPath,
        /// What is known.
        cause: String,
    },
}

/// How an offer went; comes back to the giver as a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "T: HandoffPayload")]
pub enum HandoffOutcome<T> {
    /// The case belongs to the taker; the giver may forget it.
    Accepted {
        /// Which handoff.
        id: HandoffId,
        /// Who took it.
        by: ActorPath,
        /// As what.
        role: Role,
        /// Whether the fallback role took it, because the one it was offered to was down.
        rerouted: bool,
    },
    /// The taker refused; the case is still the giver's.
    Refused {
        /// The offer.
        handoff: Handoff<T>,
        /// Who refused.
        by: ActorPath,
        /// Why.
        reason: String,
    },
    /// There was no decision; the case is still the giver's.
    Failed {
        /// The offer.
        handoff: Handoff<T>,
        /// Why.
        failure: HandoffFailure,
    },
    /// The offer is over, by the record of who owns the case: it was accepted in an earlier life of the giver, by this or a
    /// later handoff; or was never [opened](greenroom_runtime::Context::open_case). Unless `owner` is the giver, it may forget
    /// the case.
    Over {
        /// Which handoff.
        id: HandoffId,
        /// Who owns the case; `None`: nobody, it is closed or was not opened.
        owner: Option<ActorPath>,
    },
}

impl<T: HandoffPayload> Message for HandoffOutcome<T> {
    type Reply = ();
    const NAME: Option<&'static str> = Some(T::OUTCOME);
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<T: HandoffPayload> DurableMessage for HandoffOutcome<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Case(u32);
    impl HandoffPayload for Case {
        const OFFER: &'static str = "case";
        const OUTCOME: &'static str = "case-outcome";
    }

    fn path(text: &str) -> ActorPath {
        ActorPath::parse(text).unwrap()
    }

    #[test]
    fn hops_over_the_bound_give_a_typed_error_that_names_the_way() {
        let (desk, tech) = (Role::named("desk"), Role::named("technical"));
        let mut handoff = Handoff::first("t-1", path("desk"), desk.clone(), tech.clone(), Case(1));
        handoff.max_hops = 3;
        let handoff = handoff.onward(path("a"), desk.clone()).unwrap().onward(path("b"), tech).unwrap();

        let error = handoff.onward(path("c"), desk).unwrap_err();

        assert_eq!(
            error.to_string(),
            "case t-1 was handed on 4 times, at most 3 are allowed: desk -> technical -> desk -> technical"
        );
        assert_eq!(handoff.id, HandoffId { case: "t-1".into(), hop: 3 });
    }
}
