//! The intake: brings tickets to the front desk, so many at a time, and waits until each stands in the out file.

use std::time::Duration;

use greenroom::AskError;
use greenroom::prelude::*;
use tokio::task::JoinSet;

use crate::out_file::Outcome;
use crate::progress::Progress;
use crate::team::{
    AfterFailure, Archive, Case, Desk, Finish, FrontDesk, Job, NewTicket, Offer, OfferOutcome, WhenFinished,
    after_failure, finished, first_offer,
};
use crate::ticket::Ticket;
use crate::times::Times;

/// How long the front desk, with all that waits before a ticket, may take.
const DESK_DEADLINE: Duration = Duration::from_secs(3_600);
/// The archive answers when the ticket is finished, however long that takes: the watchdog below has the last word.
const FINISH_DEADLINE: Duration = Duration::from_secs(24 * 3_600);
/// So often a question that got no answer is asked again.
const TRIES_MAX: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// Outside of the tree: a client of the desk.
pub(crate) struct Intake {
    pub(crate) desk: Desk,
    pub(crate) runtime: Runtime,
    /// Most tickets in work at the same time.
    pub(crate) concurrency: usize,
    /// Without any ticket finished for so long, the rest is given up.
    pub(crate) patience: Duration,
}

/// How the intake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to wait for.
    AllServed,
    /// No ticket was finished for as long as the patience lasts.
    Stalled,
    /// Ctrl-C.
    Interrupted,
}

impl Intake {
    /// Serves all tickets. `times` gets the time of each from its arrival to the out file.
    pub(crate) async fn serve(self, tickets: Vec<Ticket>, times: &Times, progress: &Progress) -> Ended {
        let clock = self.runtime.clock();
        let mut waiting = tickets.into_iter();
        let mut in_work = JoinSet::new();
        loop {
            while in_work.len() < self.concurrency
                && let Some(ticket) = waiting.next()
            {
                in_work.spawn(self.client().serve(ticket));
            }
            let next = tokio::select! {
                next = clock.within(self.patience, in_work.join_next()) => next,
                // An error here means that no signal can be waited for; then there is none.
                Ok(()) = tokio::signal::ctrl_c() => return Ended::Interrupted,
            };
            match next {
                None => return Ended::Stalled,
                Some(None) => return Ended::AllServed,
                Some(Some(Ok(Ok(time)))) => {
                    times.add(time);
                    progress.finished_one();
                }
                Some(Some(Ok(Err(lost)))) => progress.say(&lost),
                Some(Some(Err(panic))) => progress.say(&format!("the intake of a ticket failed: {panic}")),
            }
        }
    }

    fn client(&self) -> Client {
        Client {
            front_desk: self.desk.front_desk.clone(),
            archive: self.desk.archive.clone(),
            runtime: self.runtime.clone(),
        }
    }
}

/// Accompanies one ticket.
struct Client {
    front_desk: ActorRef<FrontDesk>,
    archive: ActorRef<Archive>,
    runtime: Runtime,
}

impl Client {
    /// Says how long it took, or in one sentence why it gave up.
    async fn serve(self, ticket: Ticket) -> Result<Duration, String> {
        let arrived = self.runtime.clock().now();
        let id = ticket.id.clone();
        self.hand_in(ticket).await.map_err(|why| format!("{id} was not taken in: {why}"))?;
        let mut tries = 0;
        while let Err(error) = self.archive.ask(WhenFinished(id.clone())).within(FINISH_DEADLINE).await {
            // The archive may have been restarted, and its list of waiting clients with it.
            tries += 1;
            if tries == TRIES_MAX {
                return Err(format!("{id} is not known to be finished: {error}"));
            }
            self.runtime.clock().sleep(PAUSE).await;
        }
        Ok(self.runtime.clock().now() - arrived)
    }

    async fn hand_in(&self, ticket: Ticket) -> Result<(), String> {
        let mut tries = 0;
        loop {
            let asked = self.front_desk.ask(NewTicket(ticket.clone())).within(DESK_DEADLINE).await;
            match asked {
                Ok(()) => return Ok(()),
                Err(AskError::ActorFailed { .. }) => return self.pass_by_the_desk(ticket).await,
                Err(error) => {
                    tries += 1;
                    if tries == TRIES_MAX {
                        return Err(error.to_string());
                    }
                    self.runtime.clock().sleep(PAUSE).await;
                }
            }
        }
    }

    /// The front desk fell over the ticket as often as it may: poison. The escalation desk gets it; if that falls over
    /// it too, the ticket is set aside.
    async fn pass_by_the_desk(&self, ticket: Ticket) -> Result<(), String> {
        let case = Case { is_poison: true, ..Case::new(ticket) };
        let offer = first_offer(case, self.front_desk.path().clone(), Job::Escalation);
        let roles = self.runtime.resource::<Roles<Case>>().expect("the runtime is built with the roles");
        for failures in 1.. {
            match roles.offer(&self.runtime, offer.clone()).await {
                OfferOutcome::Accepted { .. } | OfferOutcome::Over { .. } => break,
                OfferOutcome::Refused { reason, .. } => return self.set_aside(&offer, reason).await,
                OfferOutcome::Failed { failure, .. } => match after_failure(&failure, &offer.to, failures) {
                    AfterFailure::OfferAgain(pause) => self.runtime.clock().sleep(pause).await,
                    _ => return self.set_aside(&offer, failure.to_string()).await,
                },
            }
        }
        Ok(())
    }

    async fn set_aside(&self, offer: &Offer, why: String) -> Result<(), String> {
        let answer = format!("set aside for a person: {why}");
        let line = finished(offer, Outcome::Quarantined, Job::FrontDesk, 0, answer);
        self.archive.ask(Finish(line)).await.map_err(|error| error.to_string())
    }
}
