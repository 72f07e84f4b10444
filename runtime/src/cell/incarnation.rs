//! One life of an actor: start, then take, handle, commit, release, until something ends it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::actor::scope::Scope;
use crate::actor::{Actor, Context, ExitPhase, ExitReason, Inbox};
use crate::address::Running;
use crate::cell::aftermath::Settled;
use crate::cell::{Cell, Incarnation, Place, Seat, Terms};
use crate::durable::Journal;
use crate::mailbox::batch::NoMail;
use crate::mailbox::lanes::{ControlLane, Ear, Raised};
use crate::mailbox::queue::Queued;
use crate::message::envelope::{NotDone, Parcel, caught};
use crate::message::{Failure, Head, Verdict};
use crate::store::CommitError;
use crate::sync::{drop_quietly, give_way};

/// One life. Dropped before [`live`](Life::live) is through, it records a kill.
pub(crate) struct Life<A: Actor> {
    pub(super) cell: Arc<Cell<A>>,
    pub(super) terms: Arc<Terms<A>>,
    pub(super) incarnation: Incarnation,
    pub(super) control: Ear,
    phase: ExitPhase,
    done: bool,
}

/// After so many messages without a pause an actor gives way to others: as many as tokio's own budget allows.
const MESSAGES_IN_A_ROW: u32 = 128;

/// How a life leaves the task it ran in.
pub(crate) enum Ended {
    /// It fell over a message, as the first to say so: another may begin here.
    Crashed,
    ForGood,
}

/// Why the loop goes on or ends.
pub(super) enum After {
    Next,
    End(ExitReason),
}

impl<A: Actor> Life<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>, incarnation: Incarnation, control: Arc<ControlLane>) -> Self {
        let control = Ear::new(control);
        Life { terms: cell.terms(), cell, incarnation, control, phase: ExitPhase::Start, done: false }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) async fn live(&mut self) -> Ended {
        let scope = Scope::new(self.terms.clone());
        // Boxed: what is over when the first message comes must not make the memory of a life larger.
        let (mut actor, mut journal) = match Box::pin(self.start(&scope)).await {
            Ok(begun) => begun,
            Err(reason) => return self.ends_with(reason),
        };
        self.cell.core.started(self.incarnation);
        // The start has woken the supervisor, which tokio runs next on this very thread: a first message that blocks it
        // would keep the supervisor from hearing anything.
        give_way().await;
        let reason = self.run(&mut actor, &mut journal, &scope).await;
        // What the author's state holds goes before the place counts as vacant.
        scope.abort();
        drop_quietly(actor);
        drop(journal);
        self.ends_with(reason)
    }

    fn ends_with(&mut self, reason: ExitReason) -> Ended {
        let phase = ExitPhase::Handle;
        let has_crashed = match &reason {
            ExitReason::Panicked { phase: at, .. } | ExitReason::Failed { phase: at, .. } => *at == phase,
            _ => false,
        };
        if self.finish(reason) && has_crashed { Ended::Crashed } else { Ended::ForGood }
    }

    /// Records the end. `false`: it was recorded before.
    fn finish(&mut self, reason: ExitReason) -> bool {
        if std::mem::replace(&mut self.done, true) {
            return false;
        }
        let is_first = self.cell.end(self.incarnation, reason);
        if !is_first {
            self.cell.core.has_come_back();
        }
        is_first
    }

    /// What a context borrows while the life itself serves its handler.
    fn shared(&self) -> (Arc<Cell<A>>, Incarnation, Arc<ControlLane>) {
        (self.cell.clone(), self.incarnation, self.control.lane().clone())
    }

    pub(super) fn running(&self) -> Running {
        Running::new(self.cell.core.clone(), self.incarnation)
    }

    // ---- start ----

    async fn start(&mut self, scope: &Scope<A>) -> Result<(A, Option<Box<Journal>>), ExitReason> {
        let (cell, incarnation, control) = self.shared();
        let terms = self.terms.clone();
        let limit = terms.settings.start_within;
        let clock = cell.core.world.clock;
        let begin = async {
            let (mut actor, mut journal) = match &cell.durability {
                // Boxed, here and at the end: what only durable actors do must not make the life of others larger.
                Some(durability) => Box::pin(durability.begin(&cell, &terms.args, incarnation))
                    .await
                    .map(|(actor, journal)| (actor, Some(Box::new(journal))))?,
                None => {
                    if cell.core.world.has_store() && !cell.is_opened.swap(true, Ordering::AcqRel) {
                        Box::pin(cell.core.world.leftovers.refuse(&cell.core)).await?;
                    }
                    (A::start(&terms.args).await?, None)
                }
            };
            let head = Head::default();
            let journal_of = journal.as_deref_mut();
            let mut cx = Context::new(&cell, incarnation, &control, scope, journal_of, &head);
            actor.started(&mut cx).await?;
            cx.settle(&mut actor).await.map_err(Failure::external)?;
            drop(cx);
            if let Some(journal) = &mut journal {
                journal.count_from_here();
            }
            Ok::<_, Failure>((actor, journal))
        };
        let served = {
            let begin = pin!(begin);
            let started = pin!(clock.within(limit, caught(begin)));
            self.serve(&mut self.running(), started, Raised::Stop).await
        };
        let phase = ExitPhase::Start;
        match served {
            Some(Some(Ok(Ok(begun)))) => Ok(begun),
            Some(Some(Ok(Err(why)))) if why.is_declined() => Err(ExitReason::Declined { why }),
            Some(Some(Ok(Err(failure)))) => Err(ExitReason::Failed { phase, failure }),
            Some(Some(Err(text))) => Err(ExitReason::Panicked { phase, text: text.into() }),
            Some(None) => Err(ExitReason::StartTimedOut),
            None => Err(self.cut(phase)),
        }
    }

    /// How an incarnation ends that was cut by its control lane.
    pub(super) fn cut(&self, phase: ExitPhase) -> ExitReason {
        match self.control.lane().raised() {
            Raised::Kill => ExitReason::Killed { phase },
            _ => ExitReason::Shutdown,
        }
    }

    // ---- the loop ----

    async fn run(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        scope: &Scope<A>,
    ) -> ExitReason {
        let (cell, incarnation, control) = self.shared();
        let mut running = self.running();
        let mut in_a_row = 0;
        let reason = loop {
            self.phase = ExitPhase::Idle;
            // Who wants to leave does so when it is kept that it does.
            let leaves = !control.is_quiet() && control.raised() == Raised::Leave;
            if journal.as_mut().is_some_and(|journal| journal.was_refused() || leaves && journal.is_ahead()) {
                // Boxed, as all that only durable actors do.
                if let Settled::End(reason) = Box::pin(self.settle(actor, journal)).await {
                    return reason;
                }
            }
            if !control.is_quiet()
                && let Some(reason) = end_between(control.raised())
            {
                break reason;
            }
            let mut why = NoMail::Dry;
            // No `match`: what it looks at would take its room in the future while an arm waits.
            let Some(Queued { head, parcel }) =
                cell.mailbox.next(incarnation.0, self.control.waker()).map_err(|is| why = is).ok()
            else {
                if why == NoMail::Dry
                    && let Some(journal) = journal.as_mut().filter(|journal| journal.is_ahead())
                {
                    Box::pin(journal.known_or(self.control.woken())).await;
                } else if let Some(reason) = end_without_mail(why, control.raised()) {
                    break reason;
                } else {
                    self.control.woken().await;
                }
                in_a_row = 0;
                continue;
            };
            self.phase = ExitPhase::Handle;
            // Of a durable actor also the last time: a stop is no try.
            let is_kept = cell.core.is_durable || self.terms.settings.quarantines;
            if (head.tries < self.terms.settings.redeliveries || is_kept)
                && let Some(again) = parcel.again()
            {
                cell.mailbox.keep_copy(incarnation.0, again);
            }
            running.work_on(&head);
            if let Some(reason) = journal.as_ref().and_then(|journal| cell.past(journal, &head)) {
                match Box::pin(self.pass_over(actor, journal, &head, reason)).await {
                    After::Next => continue,
                    After::End(reason) => return reason,
                }
            }
            let verdict = {
                let journal = journal.as_deref_mut();
                let mut cx = Context::new(&cell, incarnation, &control, scope, journal, &head);
                match self.terms.settings.progress_within {
                    None => {
                        let handled = pin!(parcel.run(actor, &mut cx));
                        self.serve(&mut running, handled, Raised::Kill).await
                    }
                    // Boxed: what few choose must not make the loop's own future larger.
                    Some(limit) => {
                        let handled = parcel.run(actor, &mut cx);
                        Box::pin(self.serve_within(limit, &mut running, handled)).await
                    }
                }
                // What the handler held back, and did not leave, goes here with its context.
            };
            running.is_done();
            match verdict {
                Some(Ok(())) => cell.core.metrics.handled.increment(1),
                // Boxed: what is rare must not make the loop's own future larger.
                other => match Box::pin(self.not_done(actor, journal, &head, other)).await {
                    After::Next => {}
                    After::End(reason) => return reason,
                },
            }
            // The executor's turn, now and then, for an actor whose mail never runs dry.
            in_a_row += 1;
            if in_a_row == MESSAGES_IN_A_ROW {
                in_a_row = 0;
                cell.mailbox.settled(incarnation.0); // whoever ends this life meanwhile must not take it for cut
                give_way().await;
            }
        };
        Box::pin(self.leave(actor, journal, scope, reason)).await
    }

    /// The orderly end: the author's hook, then what a sparing snapshot policy has not stored yet.
    async fn leave(
        &mut self,
        actor: &mut A,
        journal: &mut Option<Box<Journal>>,
        scope: &Scope<A>,
        reason: ExitReason,
    ) -> ExitReason {
        if journal.as_ref().is_some_and(|journal| journal.is_ahead())
            && let Settled::End(end) = Box::pin(self.settle(actor, journal)).await
        {
            return end;
        }
        // Nothing is in hand any more: the last message was handled.
        drop_quietly(self.cell.mailbox.take_hand(self.incarnation.0));
        scope.abort();
        if matches!(reason, ExitReason::Killed { .. } | ExitReason::Unresponsive) {
            return reason;
        }
        self.phase = ExitPhase::Stop;
        let ended = {
            let hook = pin!(actor.stopping(&reason));
            let hook = pin!(caught(hook));
            self.serve(&mut self.running(), hook, Raised::Kill).await
        };
        let Some(hooked) = ended else { return self.cut(ExitPhase::Stop) };
        if let Err(text) = &hooked {
            tracing::warn!(actor = %self.cell.core.path, %text, "the stopping hook panicked");
        }
        if let (Some(durability), Some(journal)) = (&self.cell.durability, journal) {
            let stored = match hooked {
                Ok(()) => Box::pin(durability.flush(&self.cell, actor, journal)).await,
                // What the hook has left of the state is not to be trusted.
                Err(_) => Box::pin(durability.flush_last(&self.cell, journal)).await,
            };
            if let Err(error) = stored {
                if let CommitError::Store(cause) = &error
                    && cause.is_final()
                {
                    self.cell.core.world.store_failed(cause);
                }
                tracing::error!(actor = %self.cell.core.path, %error, "the last snapshot could not be stored");
            }
        }
        reason
    }

    async fn serve_within(
        &mut self,
        limit: Duration,
        running: &mut Running,
        handled: impl Future<Output = Verdict>,
    ) -> Option<Verdict> {
        self.cell.watched.begin(|| Place(self.cell.clone()), limit).await;
        let mut handled = pin!(handled);
        let mut time = pin!(self.cell.core.world.clock.sleep(limit));
        let control = self.control.lane().clone();
        let in_time = pin!(poll_fn(|context| {
            if let Poll::Ready(verdict) = handled.as_mut().poll(context) {
                return Poll::Ready(verdict);
            }
            // A commit under way is not the handler's time, and to cut it would leave open whether it was applied.
            if !control.is_shielded() && time.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(Box::new(NotDone::OutOfTime)));
            }
            Poll::Pending
        }));
        self.cell.watched.handles(self.incarnation);
        let served = self.serve(running, in_time, Raised::Kill).await;
        self.cell.watched.has_handled(self.incarnation);
        served
    }

    /// Polls `work` and serves the control lane meanwhile. `None`: cut, because `limit` or more was raised.
    ///
    /// Costs nothing while the work does not wait. A handler hears a stop through its token and is cut by the kill
    /// that follows when its patience is over.
    pub(super) fn serve<F: Future>(
        &mut self,
        running: &mut Running,
        mut work: Pin<&mut F>,
        limit: Raised,
    ) -> impl Future<Output = Option<F::Output>> {
        let mut has_waited = false;
        poll_fn(move |context| {
            let polled = {
                let _scope = running.enter();
                work.as_mut().poll(context)
            };
            if let Poll::Ready(output) = polled {
                return Poll::Ready(Some(output));
            }
            let raised = self.control.hear(context);
            if !std::mem::replace(&mut has_waited, true) {
                self.cell.mailbox.hand_waits(self.incarnation.0);
            }
            self.cell.mailbox.reader_waits();
            if raised >= limit && !self.control.lane().is_shielded() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
    }
}

/// How a life ends between two messages, by what was raised.
fn end_between(raised: Raised) -> Option<ExitReason> {
    match raised {
        Raised::Nothing | Raised::Drain => None,
        Raised::Leave => Some(ExitReason::Normal),
        Raised::Stop => Some(ExitReason::Shutdown),
        Raised::Kill => Some(ExitReason::Killed { phase: ExitPhase::Idle }),
    }
}

/// How a life ends that has no next message. `None`: it waits for one.
fn end_without_mail(why: NoMail, raised: Raised) -> Option<ExitReason> {
    match (why, raised) {
        (NoMail::Fenced, _) => Some(ExitReason::Unresponsive),
        (NoMail::Dry | NoMail::Shut, Raised::Drain) => Some(ExitReason::Normal),
        // Deleted or laid aside while it ran.
        (NoMail::Shut, _) => Some(ExitReason::Shutdown),
        (NoMail::Dry, _) => None,
    }
}

impl<A: Actor> Drop for Life<A> {
    fn drop(&mut self) {
        let phase = self.phase;
        if std::thread::panicking() {
            // Author's code outside of a handler, such as `Message::again`.
            let text = "outside of a handler; the panic itself was printed".into();
            self.finish(ExitReason::Panicked { phase, text });
        } else {
            self.finish(ExitReason::Killed { phase });
        }
    }
}
