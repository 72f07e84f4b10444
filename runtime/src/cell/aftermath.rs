//! What follows a message that was not handled to its end.

use std::pin::pin;

use crate::actor::{Actor, ExitPhase, ExitReason};
use crate::cell::Seat;
use crate::cell::incarnation::{After, Life};
use crate::durable::{Journal, Parked, Resolution, external};
use crate::events::RuntimeEvent;
use crate::mailbox::DeadLetterReason;
use crate::mailbox::ahead::drop_hands;
use crate::mailbox::batch::NoMail;
use crate::mailbox::lanes::Raised;
use crate::message::envelope::{NotDone, caught};
use crate::message::reply::refusal;
use crate::message::{Chain, Failure, FailureClass, Head, NoReply, Verdict};
use crate::store::{CommitError, StoreError};
use crate::sync::drop_quietly;

/// What became of the commits under way.
pub(super) enum Settled {
    /// All are kept.
    Kept,
    /// One was refused: it is as if its message, and whatever came after it, had not been taken yet.
    Rewound,
    End(ExitReason),
}

impl<A: Actor> Life<A> {
    /// Waits for the commits of the messages before. Whatever looks at what is on disk, or puts a message back, comes after
    /// it. As a commit that is waited for, it is not cut.
    pub(super) async fn settle(&mut self, actor: &mut A, journal: &mut Option<Box<Journal>>) -> Settled {
        let cell = self.cell.clone();
        let Some(of_life) = journal.as_mut().filter(|journal| journal.is_ahead()) else {
            return Settled::Kept;
        };
        if !cell.core.is_current(self.incarnation) {
            return Settled::Kept; // fenced: whoever did it has put the messages back
        }
        let error = match of_life.all_kept().await {
            Ok(()) => return Settled::Kept,
            Err(error) => error,
        };
        match &error {
            CommitError::Store(refused) if !refused.is_final() => {}
            _ => {
                return Settled::End(match self.unstored(&Head::default(), error).await {
                    After::End(reason) => reason,
                    After::Next => ExitReason::Shutdown,
                });
            }
        }
        tracing::debug!(actor = %cell.core.path, %error, "a commit was refused; its message is handled again");
        cell.mailbox.rewind(self.incarnation.0, &cell.core);
        self.control.lane().take_leave_back();
        if cell.mailbox.is_closed() {
            cell.close(); // the place was deleted while the messages were in neither
        }
        match self.roll_back(actor, journal).await {
            Some(end) => Settled::End(end),
            None => Settled::Rewound,
        }
    }

    /// Lays a message aside that is not to be handled any more.
    pub(super) async fn pass_over(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        head: &Head,
        reason: DeadLetterReason,
    ) -> After {
        match self.settle(actor, journal).await {
            Settled::Kept => {}
            Settled::Rewound => return After::Next,
            Settled::End(reason) => return After::End(reason),
        }
        let Some(journal) = journal else { return After::Next };
        let why = NoReply::of_dead_letter(&reason);
        self.lay_aside(journal, head, reason, why).await
    }

    /// What follows a message that was not handled to the end; `None`: its handler was cut.
    pub(super) async fn not_done(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        head: &Head,
        verdict: Option<Verdict>,
    ) -> After {
        let phase = ExitPhase::Handle;
        if journal.as_ref().is_some_and(|journal| journal.is_ahead()) {
            match Box::pin(self.settle(actor, journal)).await {
                Settled::Kept => {}
                // Whatever became of it stood on what has not happened.
                Settled::Rewound => return After::Next,
                Settled::End(reason) => return After::End(reason),
            }
        }
        let why = match verdict {
            Some(Ok(())) => return After::Next,
            Some(Err(why)) => *why,
            None => return After::End(self.cut(phase)),
        };
        match why {
            NotDone::OutOfTime => {
                let within = self.terms.settings.progress_within.unwrap_or_default();
                After::End(ExitReason::NoProgress { within })
            }
            NotDone::Panicked(text) => After::End(ExitReason::Panicked { phase, text: text.into() }),
            NotDone::Failed(failure) if failure.class() == FailureClass::Bug => {
                After::End(ExitReason::Failed { phase, failure })
            }
            // Boxed, so that a crash does not pay for the memory of all that follows here.
            why => Box::pin(self.survives(actor, journal, head, why)).await,
        }
    }

    /// What follows where the incarnation need not end over it.
    async fn survives(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        head: &Head,
        why: NotDone,
    ) -> After {
        match why {
            NotDone::Expired => {
                self.lay_to_rest(journal, head, DeadLetterReason::Expired, NoReply::Dropped).await
            }
            NotDone::Failed(failure) => self.failed(actor, journal, head, failure).await,
            // A state too large to store is the handler's doing, not the store's.
            NotDone::Unstored(CommitError::Store(error)) if !error.is_final() => {
                self.failed(actor, journal, head, Failure::exhausted(error)).await
            }
            // Of an actor that stores nothing itself: what it sent to others was not kept. Its own state is what it was.
            NotDone::Unstored(error) if journal.is_none() => {
                let failure = external(&self.cell.core, error);
                self.failed(actor, journal, head, failure).await
            }
            // Another commit came in between: the next run of the handler finds what that one has left.
            NotDone::Unstored(error @ CommitError::Conflict { .. }) => {
                self.failed(actor, journal, head, Failure::external(error)).await
            }
            NotDone::Unstored(error) => self.unstored(head, error).await,
            NotDone::Parked(parked) => self.parked(actor, journal, head, parked).await,
            // It ends over these, and they do not come here.
            NotDone::OutOfTime | NotDone::Panicked(_) => After::End(self.cut(ExitPhase::Handle)),
        }
    }

    /// Throws away what the handler changed. `Some`: the incarnation ends over it.
    async fn roll_back(&mut self, actor: &mut A, journal: &mut Option<Box<Journal>>) -> Option<ExitReason> {
        let (cell, terms) = (self.cell.clone(), self.terms.clone());
        let (Some(durability), Some(journal)) = (&cell.durability, journal) else { return None };
        journal.log().drop_pending();
        let phase = ExitPhase::Handle;
        let before = {
            let before = pin!(durability.before(&terms.args, journal));
            let before = pin!(cell.core.world.clock.within(terms.settings.start_within, caught(before)));
            self.serve(&mut self.running(), before, Raised::Kill).await
        };
        match before {
            Some(Some(Ok(Ok(before)))) => {
                drop_quietly(std::mem::replace(actor, before));
                None
            }
            Some(Some(Ok(Err(failure)))) => Some(ExitReason::Failed { phase, failure }),
            Some(Some(Err(text))) => Some(ExitReason::Panicked { phase, text: text.into() }),
            Some(None) => Some(ExitReason::StartTimedOut),
            None => Some(self.cut(phase)),
        }
    }

    /// A failure that is no bug: the incarnation lives on.
    async fn failed(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        head: &Head,
        failure: Failure,
    ) -> After {
        let cell = self.cell.clone();
        if !cell.core.is_current(self.incarnation) {
            return After::End(ExitReason::Unresponsive); // fenced: what it thinks of the message counts no more
        }
        cell.core.metrics.failure(&cell.core.world.telemetry, failure.class());
        let is_cut =
            failure.class() == FailureClass::Cancelled && self.control.lane().raised() >= Raised::Stop;
        if journal.is_some() {
            if let Some(end) = self.roll_back(actor, journal).await {
                return After::End(end);
            }
            let stays = match failure.class() {
                FailureClass::External => self.retry(head).await,
                FailureClass::Cancelled => is_cut && self.put_back(head, head.tries),
                _ => false,
            };
            if stays {
                return After::Next;
            }
        }
        let asker = cell.mailbox.reply_in_hand(self.incarnation.0).filter(|reply| reply.is_open());
        let answer = if is_cut { NoReply::Stopped } else { refusal(failure.clone()) };
        let reason = match failure.class() {
            FailureClass::Exhausted => Some(DeadLetterReason::Exhausted(failure.clone())),
            _ if asker.is_some() => None,
            FailureClass::Cancelled => Some(DeadLetterReason::Cut),
            _ => Some(DeadLetterReason::Failed(failure.clone())),
        };
        let after = match reason {
            Some(reason) => self.lay_to_rest(journal, head, reason, answer.clone()).await,
            None => self.close(journal, head, answer.clone()).await,
        };
        if let (Some(asker), After::Next) = (asker, &after) {
            asker.fail(answer);
        }
        after
    }

    /// Lays the message of a durable actor back in front and waits out the backoff. `false`: it had its tries.
    async fn retry(&mut self, head: &Head) -> bool {
        let cell = self.cell.clone();
        if head.tries >= self.terms.settings.redeliveries {
            return false;
        }
        if !self.put_back(head, head.tries + 1) {
            return false;
        }
        let world = &cell.core.world;
        let delay = world.config.external_backoff.delay(head.tries, world.random());
        tracing::debug!(actor = %cell.core.path, ?delay, "an external failure; the message keeps its place");
        let pause = pin!(world.clock.sleep(delay));
        // A stop in the pause leaves the message in its place.
        let _paused: Option<()> = self.serve(&mut self.running(), pause, Raised::Stop).await;
        true
    }

    /// Lays the message in hand back in front. `false`: there is no copy of it.
    fn put_back(&self, head: &Head, tries: u32) -> bool {
        let mailbox = &self.cell.mailbox;
        let Some(mut hand) = mailbox.take_hand(self.incarnation.0) else { return true };
        match hand.again.take() {
            Some(again) => {
                mailbox.put_back(*again, Head { tries, ..head.clone() });
                if mailbox.is_closed() {
                    self.cell.close(); // the place was deleted while the message was in neither
                }
            }
            None => {
                mailbox.return_hand(self.incarnation.0, hand);
                return false;
            }
        }
        true
    }

    /// A message of which nothing remains but a dead letter.
    async fn lay_to_rest(
        &mut self,
        journal: &Option<Box<Journal>>,
        head: &Head,
        reason: DeadLetterReason,
        why: NoReply,
    ) -> After {
        if let Some(journal) = journal
            && self.cell.mail_form().is_some()
        {
            return self.lay_aside(journal, head, reason, why).await;
        }
        self.cell.core.dead_letter(head.clone(), reason);
        After::Next
    }

    /// Takes a message out of the stored inbox, and keeps it aside with its cause. Whoever asked for it again is told `why`.
    async fn lay_aside(
        &mut self,
        journal: &Journal,
        head: &Head,
        reason: DeadLetterReason,
        why: NoReply,
    ) -> After {
        let cause = Chain(&reason).to_string();
        match self.close_in_store(journal, head, Some(cause), why).await {
            Ok(()) => {
                self.cell.laid_aside(head, reason);
                After::Next
            }
            Err(error) => self.unstored(head, error).await,
        }
    }

    /// A message is done, though its handler did nothing that is kept, and its asker is to hear of it.
    async fn close(&mut self, journal: &Option<Box<Journal>>, head: &Head, why: NoReply) -> After {
        if let Some(journal) = journal
            && self.cell.mail_form().is_some()
            && let Err(error) = self.close_in_store(journal, head, None, why).await
        {
            return self.unstored(head, error).await;
        }
        After::Next
    }

    async fn close_in_store(
        &self,
        journal: &Journal,
        head: &Head,
        cause: Option<String>,
        why: NoReply,
    ) -> Result<(), CommitError> {
        let Some(durability) = &self.cell.durability else { return Ok(()) };
        // No cut in the middle of a commit: it could not say whether the message was applied.
        self.control.lane().shield(true);
        let closed = durability.close(&self.cell, journal, head, cause, why).await;
        self.control.lane().shield(false);
        closed
    }

    /// The message in hand cannot go on before somebody decides. It keeps its place meanwhile.
    async fn parked(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        head: &Head,
        parked: Parked,
    ) -> After {
        let cell = self.cell.clone();
        if let Some(end) = self.roll_back(actor, journal).await {
            return After::End(end);
        }
        let (Some(durability), Some(journal)) = (&cell.durability, &journal) else { return After::Next };
        let path = cell.core.path.clone();
        tracing::error!(actor = %path, %parked, "the actor is parked until somebody decides");
        let decision = {
            // Left however this ends: by a kill as well.
            let stay = cell.parking.park(parked.clone());
            cell.core.world.publish(RuntimeEvent::Parked { path, parked: parked.clone() });
            let decision = pin!(stay.decision());
            self.serve(&mut self.running(), decision, Raised::Stop).await
        };
        let carried_out = match decision {
            // A stop: the next life comes to the same point.
            None => Ok(()),
            Some(Resolution::LayAside) => {
                let asker = cell.mailbox.reply_in_hand(self.incarnation.0);
                let why = NoReply::Failed(Failure::cancelled(parked.to_string()));
                let reason = DeadLetterReason::Parked(parked);
                let after = self.lay_aside(journal, head, reason, why.clone()).await;
                if let (Some(asker), After::Next) = (asker, &after) {
                    asker.fail(why);
                }
                return after;
            }
            Some(decision) => durability.decide(&cell, journal, &parked, decision).await,
        };
        match carried_out {
            Ok(()) if self.put_back(head, head.tries) => After::Next,
            Ok(()) => After::End(ExitReason::Shutdown),
            Err(error) => self.unstored(head, error).await,
        }
    }

    /// The state could not be stored: nothing left, and whether it was kept shows when the store is opened again.
    async fn unstored(&mut self, head: &Head, error: CommitError) -> After {
        let cell = self.cell.clone();
        let cause = match error {
            CommitError::Stale { .. } => return After::End(ExitReason::Unresponsive),
            CommitError::Store(error) => error,
            CommitError::Conflict { .. } | CommitError::Unavailable => StoreError::Closed,
        };
        cell.core.world.store_failed(&cause);
        cell.give_up_all_repeats(&NoReply::StoreUnavailable(cause.clone()));
        if let Some(asker) = cell.mailbox.reply_in_hand(self.incarnation.0) {
            asker.fail(NoReply::StoreUnavailable(cause.clone()));
        }
        let ahead = cell.mailbox.take_ahead(self.incarnation.0);
        for asker in ahead.iter().filter_map(|hand| hand.reply.as_ref()) {
            asker.fail(NoReply::StoreUnavailable(cause.clone()));
        }
        drop_hands(ahead);
        let is_on_disk = cell.mail_form().is_some(); // and comes back when the store is opened again
        if !is_on_disk {
            cell.core.dead_letter(head.clone(), DeadLetterReason::Unstored);
        }
        drop_quietly(cell.mailbox.take_hand(self.incarnation.0)); // reported: it must not come again
        // The state in memory is not the stored one any more, and the store is closed until the process opens it
        // anew: from here on this life only says no.
        loop {
            match self.control.lane().raised() {
                Raised::Nothing => {}
                Raised::Leave => return After::End(ExitReason::Normal),
                Raised::Drain | Raised::Stop => return After::End(ExitReason::Shutdown),
                Raised::Kill => return After::End(ExitReason::Killed { phase: ExitPhase::Idle }),
            }
            match cell.mailbox.next(self.incarnation.0, self.control.waker()) {
                Ok(queued) => {
                    let answer = NoReply::StoreUnavailable(cause.clone());
                    match is_on_disk {
                        true => cell.turn_away(queued, answer),
                        false => cell.bury(queued, DeadLetterReason::Unstored, answer),
                    }
                }
                Err(NoMail::Dry) => self.control.woken().await,
                Err(NoMail::Shut) => return After::End(ExitReason::Shutdown),
                Err(NoMail::Fenced) => return After::End(ExitReason::Unresponsive),
            }
        }
    }
}
