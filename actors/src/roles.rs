//! Who takes what: where the members of each role live, and which of them an offer goes to.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use greenroom_runtime::{
    Accepts, Actor, ActorPath, Address, AskError, CaseError, CaseOwner, Chain, Context, ExitReason, Failure,
    Handler, Recipient, ResolveError, Runtime, TellError, dice,
};

use crate::handoff::{
    Decision, Fallback, Handoff, HandoffFailure, HandoffId, HandoffOutcome, HandoffPayload,
};
use crate::role::Role;

/// Where the members of each role live; given to the runtime as a resource before anybody does.
///
/// An offer goes to one member, chosen by the id of the handoff alone, so that it goes to the same one when it is
/// repeated. The taker of before may have the case already, and only it knows; any other would take it a second time.
/// So a member is passed over only when it cannot take messages: nobody lives at its address (not yet, or no more),
/// or it is drained or laid aside, or it is durable and the store has failed. One that restarts, or has a full
/// mailbox, is waited for, up to the deadline of the handoff; an offer is not moved to whoever has less to do. The ids
/// of many cases spread evenly.
///
/// A role whose members are all passed over is down: then its fallback takes the case, or the giver hears
/// [`HandoffFailure::NobodyUp`].
///
/// ```
/// # use greenroom_actors::*;
/// # use greenroom_runtime::*;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Ticket;
/// # impl HandoffPayload for Ticket {
/// #     const OFFER: &'static str = "ticket-offer";
/// #     const OUTCOME: &'static str = "ticket-outcome";
/// # }
/// # struct Technician;
/// # impl Actor for Technician {
/// #     type Args = ();
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Technician) }
/// # }
/// # impl Handler<Handoff<Ticket>> for Technician {
/// #     async fn handle(&mut self, _: Handoff<Ticket>, _: &mut Context<'_, Self>) -> Result<Decision, Failure> {
/// #         Ok(Decision::Accepted)
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let technician = Address::<Technician>::new(ActorPath::parse("technician")?);
/// let roles = Roles::<Ticket>::new().members(Role::named("technical"), [technician]);
/// let runtime = Runtime::builder().resource(roles).start().await?;
///
/// let roles = runtime.resource::<Roles<Ticket>>().unwrap();
/// let to = Role::named("technical");
/// let offer = Handoff::first("t-1", ActorPath::parse("desk")?, Role::named("desk"), to.clone(), Ticket);
/// let early = roles.offer(&runtime, offer.clone()).await;
/// assert!(matches!(early, HandoffOutcome::Failed { failure: HandoffFailure::NobodyUp(role), .. } if role == to));
///
/// runtime.spawn::<Technician>("technician", ()).await?;
/// assert!(matches!(roles.offer(&runtime, offer).await, HandoffOutcome::Accepted { .. }));
/// # Ok(())
/// # }
/// ```
pub struct Roles<T: HandoffPayload> {
    members: BTreeMap<Role, Vec<Member<T>>>,
}

/// An address without the type of who lives there; [`find`](Member::find) knows it.
struct Member<T: HandoffPayload> {
    path: ActorPath,
    find: fn(&Runtime, &ActorPath) -> Found<T>,
}

type Found<T> = Result<Recipient<Handoff<T>>, ResolveError>;

impl<T: HandoffPayload> Roles<T> {
    /// No roles yet.
    #[must_use]
    pub fn new() -> Self {
        Roles { members: BTreeMap::new() }
    }

    /// More members of `role`. Nobody need live at their addresses yet. Called again for the same role, it adds to
    /// those that are there: so they may be of several types.
    #[must_use]
    pub fn members<A>(mut self, role: Role, addresses: impl IntoIterator<Item = Address<A>>) -> Self
    where
        A: Handler<Handoff<T>>,
        A::Inbox: Accepts<Handoff<T>, A>,
    {
        self.members.entry(role).or_default().extend(addresses.into_iter().map(|address| Member {
            path: address.path().clone(),
            find: |runtime, path| runtime.resolve::<A>(&Address::new(path.clone())).map(Recipient::from),
        }));
        self
    }

    /// Offers the case to the member of its role that its id chooses, or of the fallback role when that is down, and
    /// waits for the decision. In a handler use [`HandOffExt::hand_off`], which waits until the case is stored.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the taker may have accepted: offer it again, with the same id.
    pub async fn offer(&self, runtime: &Runtime, handoff: Handoff<T>) -> HandoffOutcome<T> {
        let asked_for = handoff.to.clone();
        let fallback = match &handoff.fallback {
            Fallback::Return => None,
            Fallback::Next(role) => Some(role.clone()),
        };
        for role in std::iter::once(asked_for.clone()).chain(fallback) {
            for member in self.in_turn(&role, &handoff.id) {
                let by = member.path.clone();
                let taker = match (member.find)(runtime, &by) {
                    Ok(taker) => taker,
                    Err(ResolveError::Nobody { .. }) => continue,
                    Err(error) => {
                        let failure = HandoffFailure::OtherMember { at: by, role, cause: error.to_string() };
                        return HandoffOutcome::Failed { handoff, failure };
                    }
                };
                let rerouted = role != asked_for;
                let mut offered = handoff.clone();
                offered.rerouted |= rerouted;
                offered.to = role.clone();
                return match taker.ask(offered, Some(handoff.deadline)).await {
                    Ok(Decision::Accepted) => HandoffOutcome::Accepted { id: handoff.id, by, role, rerouted },
                    Ok(Decision::Over { owner }) => HandoffOutcome::Over { id: handoff.id, owner },
                    Ok(Decision::Refused { reason }) => HandoffOutcome::Refused { handoff, by, reason },
                    Err(AskError::NotDelivered(error)) if takes_nothing(&error) => continue,
                    Err(error) => HandoffOutcome::Failed { handoff, failure: failure(by, &error) },
                };
            }
        }
        HandoffOutcome::Failed { handoff, failure: HandoffFailure::NobodyUp(asked_for) }
    }

    /// The members of `role`, in the order in which they come to the turn for this handoff.
    ///
    /// By rendezvous: each member draws a number with the id, the highest comes first. Nothing has to be remembered,
    /// so it holds across a crash of the giver and a `kill -9`; and, unlike a remainder, it still holds when members
    /// are added or taken away: only those handoffs move that the member gains or loses.
    fn in_turn(&self, role: &Role, id: &HandoffId) -> Vec<&Member<T>> {
        let mut members: Vec<&Member<T>> = self.members.get(role).into_iter().flatten().collect();
        members.sort_by_cached_key(|member| Reverse(draw(id, &member.path)));
        members
    }
}

/// Ours, because the hasher of the standard library may differ between its versions: a later build of the program must
/// find the taker of before.
fn draw(id: &HandoffId, member: &ActorPath) -> u64 {
    // 0xff is in no text, so no two ids run together.
    let (end, hop) = ([0xff], id.hop.to_le_bytes());
    let parts = [id.case.as_bytes(), &end, &hop, member.as_str().as_bytes()];
    dice::hash(parts.into_iter().flatten().copied())
}

/// Whether it will not take messages for now, whoever they are from; else it is only busy, and may have the case.
fn takes_nothing<M>(error: &TellError<M>) -> bool {
    matches!(
        error,
        TellError::Gone { .. }
            | TellError::Draining { .. }
            | TellError::Stopped { .. }
            | TellError::StoreUnavailable { .. }
    )
}

fn failure<T>(by: ActorPath, error: &AskError<Handoff<T>>) -> HandoffFailure {
    match error {
        AskError::ActorFailed {
            cause: cause @ (ExitReason::Panicked { .. } | ExitReason::Failed { .. }),
            ..
        } => HandoffFailure::TakerFailed { by, cause: Chain(cause).to_string() },
        error => HandoffFailure::NoAnswer { by, cause: Chain(error).to_string() },
    }
}

/// Handoff for handlers. In the prelude.
pub trait HandOffExt<T: HandoffPayload> {
    /// Offers a case to its role, one of the [`Roles`] the runtime was built with, when this handler is done, and, for a
    /// durable actor, when its state, with the case still in it, is stored. If the handler fails, nothing is offered.
    /// How it went comes back as a [`HandoffOutcome`]; until then the case is this actor's.
    ///
    /// A durable actor must have [opened](Context::open_case) the case, or [accepted](crate::AcceptExt::accept) it: the offer
    /// is written down with its commit, and whoever asks [`Runtime::owner_of`] finds this actor, and the offer, until the
    /// taker has accepted. Of a case that is not this actor's nothing is offered, and [`HandoffOutcome::Over`] comes back. For
    /// an actor that is not durable the handoff is in memory alone.
    ///
    /// The outcome is lost with the incarnation: offer what is still open again in
    /// [`started`](greenroom_runtime::Actor::started), with the same id. It goes to the taker of before, who knows it by
    /// its id. At the start of a whole program that taker may not live yet: without a [`Fallback`] such an offer comes
    /// back as [`HandoffFailure::NobodyUp`] and can be made once more; with one the fallback role gets a case that
    /// somebody may have.
    ///
    /// # Errors
    ///
    /// A [`FailureClass::Bug`](greenroom_runtime::FailureClass::Bug), if the runtime was built without `Roles<T>`.
    /// [`External`](greenroom_runtime::FailureClass::External) if the store cannot say who owns the case.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is offered.
    fn hand_off(&self, handoff: Handoff<T>) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl<A, T> HandOffExt<T> for Context<'_, A>
where
    T: HandoffPayload,
    A: Actor + Handler<HandoffOutcome<T>>,
    A::Inbox: Accepts<HandoffOutcome<T>, A>,
{
    async fn hand_off(&self, mut handoff: Handoff<T>) -> Result<(), Failure> {
        let (roles, runtime) = (self.resource::<Roles<T>>()?, self.runtime());
        let HandoffId { case, hop } = &handoff.id;
        let pending = |kept: &CaseOwner| {
            let offer = kept.offer.as_ref();
            offer.is_some_and(|offer| offer.hop == *hop && offer.to == handoff.to.as_str())
        };
        match self.owner_of(case).await {
            Err(CaseError::NotDurable { .. }) => handoff.is_recorded = false,
            Err(error) => return Err(error.into()),
            Ok(Some(kept)) if kept.owner == *self.path() && hop > &kept.hop => {
                if !pending(&kept) {
                    self.offer_case(case, *hop, handoff.to.as_str()).await?;
                }
                handoff.is_recorded = true;
                handoff.from = self.path().clone(); // whom the record names
            }
            Ok(kept) => {
                let over = HandoffOutcome::Over { id: handoff.id, owner: kept.map(|kept| kept.owner) };
                self.spawn_when_settled(std::future::ready(over), |outcome| outcome);
                return Ok(());
            }
        }
        let offer = async move { roles.offer(&runtime, handoff).await };
        self.spawn_when_settled(offer, |outcome| outcome);
        Ok(())
    }
}

impl<T: HandoffPayload> Default for Roles<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: HandoffPayload> fmt::Debug for Roles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths =
            |members: &[Member<T>]| members.iter().map(|member| member.path.clone()).collect::<Vec<_>>();
        f.debug_map().entries(self.members.iter().map(|(role, all)| (role.as_str(), paths(all)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use greenroom_runtime::Open;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Case;

    impl HandoffPayload for Case {
        const OFFER: &'static str = "case";
        const OUTCOME: &'static str = "case-outcome";
    }

    struct Taker;

    impl Actor for Taker {
        type Args = ();
        type Inbox = Open<Self>;
        async fn start(_: &()) -> Result<Self, Failure> {
            Ok(Taker)
        }
    }

    impl Handler<Handoff<Case>> for Taker {
        async fn handle(&mut self, _: Handoff<Case>, _: &mut Context<'_, Self>) -> Result<Decision, Failure> {
            Ok(Decision::Accepted)
        }
    }

    const ROLE: &str = "billing";

    fn pool(names: impl IntoIterator<Item = u32>) -> Roles<Case> {
        let address = |n| Address::<Taker>::new(ActorPath::parse(&format!("support/{ROLE}/{n}")).unwrap());
        Roles::new().members(Role::named(ROLE), names.into_iter().map(address))
    }

    fn id(case: u32, hop: u32) -> HandoffId {
        HandoffId { case: format!("t-{case}"), hop }
    }

    fn in_turn(roles: &Roles<Case>, id: &HandoffId) -> Vec<String> {
        let members = roles.in_turn(&Role::named(ROLE), id);
        members.iter().map(|member| member.path.name().to_owned()).collect()
    }

    /// The numbers are of no meaning, but they must stay: else an offer that is repeated by a newer version of the program
    /// goes to another taker than before.
    #[test]
    fn the_member_that_an_id_chooses_is_the_same_in_every_version() {
        let roles = pool(1..=4);
        let seen = [id(1, 1), id(1, 2), id(2, 1), id(12, 1)].map(|id| in_turn(&roles, &id).concat());

        assert_eq!(seen, ["2143", "1243", "2314", "2143"]);
    }

    #[test]
    fn the_order_of_the_addresses_does_not_matter() {
        for case in 0..100 {
            assert_eq!(
                in_turn(&pool([1, 2, 3, 4]), &id(case, 1)),
                in_turn(&pool([3, 1, 4, 2]), &id(case, 1))
            );
        }
    }

    #[test]
    fn the_cases_spread_evenly_over_the_members_of_a_role() {
        let roles = pool(1..=4);
        let mut firsts = BTreeMap::<String, u32>::new();
        // Those of one member spread again over the others, when it is gone.
        let mut seconds = BTreeMap::<String, u32>::new();
        for case in 0..4_000 {
            let turn = in_turn(&roles, &id(case, 1));
            *firsts.entry(turn[0].clone()).or_default() += 1;
            if turn[0] == "1" {
                *seconds.entry(turn[1].clone()).or_default() += 1;
            }
        }

        assert!(firsts.len() == 4 && firsts.values().all(|n| (900..1_100).contains(n)), "{firsts:?}");
        assert!(seconds.len() == 3 && seconds.values().all(|n| (270..400).contains(n)), "{seconds:?}");
    }

    #[test]
    fn a_member_that_is_added_takes_its_share_and_moves_nothing_else() {
        let (four, five) = (pool(1..=4), pool(1..=5));
        let mut moved = 0;
        for case in 0..1_000 {
            let (before, after) = (in_turn(&four, &id(case, 1)), in_turn(&five, &id(case, 1)));
            if before[0] != after[0] {
                assert_eq!(after[0], "5", "case {case} went from one old member to another");
                moved += 1;
            }
        }

        assert!((150..250).contains(&moved), "{moved} of 1000 cases moved");
    }
}
