//! What every role does around its work on a ticket: planned crashes, times, and the way to the archive.

use std::sync::Arc;

use greenroom::prelude::*;
use greenroom::{Accepts, CaseError};

use crate::crash::{CrashPlan, CrashPoint, Fuse};
use crate::out_file::OutLine;
use crate::tally::Tally;
use crate::team::archive::{Archive, Finish, IsFinished};
use crate::team::case::{Job, Offer};
use crate::team::roster::archive_address;

/// One attempt of one role at one ticket. Knows where it is planned to crash, and how long it took.
pub(crate) struct Attempt {
    fuse: Fuse,
    tally: Arc<Tally>,
    began: tokio::time::Instant,
}

impl Attempt {
    /// Begins the attempt: the first place where it may crash.
    pub(crate) fn begin<A: Actor>(job: Job, ticket: &str, cx: &Context<'_, A>) -> Result<Self, Failure> {
        let tally = cx.resource::<Tally>()?;
        let planned = cx.resource::<CrashPlan>()?.draw(ticket, job, cx.tries());
        let fuse = Fuse { planned, job, tally: tally.clone() };
        fuse.reach(CrashPoint::BeforeWork);
        Ok(Attempt { fuse, tally, began: cx.clock().now() })
    }

    /// Ends it: all is done but the answer. The state has changed and sends were made, so the other two places where
    /// it may crash are here.
    pub(crate) fn end<A: Actor, R>(self, answer: R, cx: &Context<'_, A>) -> Result<R, Failure> {
        self.fuse.reach(CrashPoint::AfterSends);
        self.tally.handled(self.fuse.job, cx.clock().now() - self.began);
        self.fuse.reach(CrashPoint::BeforeReply);
        Ok(answer)
    }
}

/// Has the line written, unless the ticket is finished already. On disk when this returns.
pub(crate) async fn finish<A: Actor>(line: OutLine, cx: &Context<'_, A>) -> Result<(), Failure> {
    cx.ask(&archive(cx)?, Finish(line)).await
}

/// Whether the ticket is finished. A role asks before it works on an offer that may be a repeated one: so nobody has
/// to remember all the tickets there ever were.
pub(crate) async fn is_finished<A: Actor>(ticket: &str, cx: &Context<'_, A>) -> Result<bool, Failure> {
    cx.ask(&archive(cx)?, IsFinished(ticket.to_owned())).await
}

/// Takes over a case that is finished, so that nobody owns it any more, and says what to answer to its giver.
pub(crate) async fn accept_finished<A>(offer: &Offer, cx: &Context<'_, A>) -> Result<Decision, Failure>
where
    A: Handler<Offer>,
    A::Inbox: Accepts<Offer, A>,
{
    let acceptance = cx.accept(offer).await?;
    if !matches!(acceptance, Acceptance::Over { .. }) {
        release(&offer.id.case, cx).await?;
    }
    Ok(acceptance.decision())
}

/// The case is finished: nobody owns it any more.
pub(crate) async fn release<A: Actor>(ticket: &str, cx: &Context<'_, A>) -> Result<(), Failure> {
    match cx.close_case(ticket).await {
        Err(CaseError::Conflict { .. }) => Ok(()), // somebody else has it, and finds out that it is finished
        closed => Ok(closed?),
    }
}

fn archive<A: Actor>(cx: &Context<'_, A>) -> Result<ActorRef<Archive>, Failure> {
    cx.resolve(&archive_address()).map_err(Failure::external)
}
