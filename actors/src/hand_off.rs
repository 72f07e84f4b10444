//! Handing a case over from inside a handler.

use greenroom_runtime::{Accepts, Actor, Context, Handler};

use crate::handoff::{Handoff, HandoffOutcome, HandoffPayload};
use crate::roles::Roles;

/// Handoff for handlers. In the prelude.
pub trait HandOffExt<T: HandoffPayload> {
    /// Offers a case to a role when this handler is done, and, for a durable actor, when its state, with the case still
    /// in it, is stored. How it went comes back as a [`HandoffOutcome`]; until then the case is this actor's.
    ///
    /// The outcome is lost with the incarnation: offer what is still open again in
    /// [`started`](greenroom_runtime::Actor::started), with the same id. A taker knows a repeated offer by it.
    fn hand_off(&self, handoff: Handoff<T>, roles: &Roles<T>);
}

impl<A, T> HandOffExt<T> for Context<'_, A>
where
    T: HandoffPayload,
    A: Actor + Handler<HandoffOutcome<T>>,
    A::Inbox: Accepts<HandoffOutcome<T>, A>,
{
    fn hand_off(&self, handoff: Handoff<T>, roles: &Roles<T>) {
        self.spawn_when_settled(roles.clone().offer(handoff), |outcome| outcome);
    }
}
