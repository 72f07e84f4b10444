//! Time and work beside a handler: what comes back as a message, while the incarnation lives.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::actor::held::OwnMail;
use crate::actor::scope::TimerHandle;
use crate::actor::{Accepts, Actor, Context, ExitReason, Handler};
use crate::address::{ActorRef, Epoch};
use crate::cell::Incarnation;
use crate::message::Message;
use crate::sync::lock;

impl<A: Actor> Context<'_, A> {
    /// Puts `message` into this actor's own mailbox after `delay`. Waits for room there if it must. A mailbox that lets
    /// nobody wait ([`Overflow::Reject`](crate::Overflow), `DropNewest`) and is full then, or that drains, does not take
    /// it: it becomes a dead letter.
    ///
    /// Volatile: gone with the incarnation.
    pub fn send_after<M>(&self, delay: Duration, message: M) -> TimerHandle
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let clock = self.clock();
        self.spawn(async move { clock.sleep(delay).await }, |()| message)
    }

    /// Puts `make()` into this actor's own mailbox every `period` (at least 1 ms), the first time after one `period`.
    /// A tick that is still waiting holds up the next: ticks do not pile up. One that the mailbox does not take is a dead
    /// letter, as with [`send_after`](Context::send_after); the next comes in its time all the same.
    ///
    /// Volatile: gone with the incarnation.
    pub fn send_every<M>(&self, period: Duration, mut make: impl FnMut() -> M + Send + 'static) -> TimerHandle
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let period = period.max(Duration::from_millis(1));
        let mail = self.own_mail();
        let clock = self.clock();
        let task = async move {
            let mut due = clock.after(period);
            let mut last = None;
            loop {
                clock.sleep_until(due).await;
                if !last.is_some_and(|tick| mail.is_waiting(tick)) {
                    last = mail.deliver(make()).await;
                }
                if mail.has_ended() {
                    return;
                }
                // From now on where it fell behind: a missed tick is not made up for.
                due = (due + period).max(clock.now());
            }
        };
        TimerHandle(self.scope.spawn(task))
    }

    /// Runs `work` beside this actor; its result comes back as a message made by `map`. The mailbox is served
    /// meanwhile. Aborted when the incarnation ends; its result is then dropped. A result that the mailbox does not take is
    /// a dead letter, as with [`send_after`](Context::send_after).
    ///
    /// A panic in `work` brings no message: its tasks' failures are for `work` itself to turn into a result.
    pub fn spawn<F, M>(&self, work: F, map: impl FnOnce(F::Output) -> M + Send + 'static) -> TimerHandle
    where
        F: Future + Send + 'static,
        F::Output: Send,
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let mail = self.own_mail();
        TimerHandle(self.scope.spawn(bring(mail, work, map)))
    }

    /// As [`spawn`](Context::spawn), but begins `work` only when this handler is done, and, for a durable actor, when
    /// its state is stored. If the handler fails, `work` is dropped. For whatever reaches outside.
    pub fn spawn_when_settled<F, M>(&self, work: F, map: impl FnOnce(F::Output) -> M + Send + 'static)
    where
        F: Future + Send + 'static,
        F::Output: Send,
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let mail = self.own_mail();
        lock(&self.held).get_or_insert_default().work.push(Box::pin(bring(mail, work, map)));
    }

    /// Brings one message when the *place* of `watched` is deleted, with how its last incarnation ended; at once if it
    /// is deleted already. A restart is no end: see [`watch_incarnations`](Context::watch_incarnations). A notice that the
    /// mailbox does not take is a dead letter, as with [`send_after`](Context::send_after).
    pub fn monitor<B: Actor, M>(
        &self,
        watched: &ActorRef<B>,
        map: impl FnOnce(Option<ExitReason>) -> M + Send + 'static,
    ) -> TimerHandle
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let watched = watched.place();
        self.spawn(async move { watched.closed().await }, map)
    }

    /// Brings a message at the end of each *incarnation* of `watched` from now on, until its place is deleted. If more
    /// than 16 end before this actor takes its mail, the oldest are missed. A notice that the mailbox does not take is a
    /// dead letter, as with [`send_after`](Context::send_after); those after it come all the same.
    pub fn watch_incarnations<B: Actor, M>(
        &self,
        watched: &ActorRef<B>,
        mut map: impl FnMut(Epoch, ExitReason) -> M + Send + 'static,
    ) -> TimerHandle
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let core = watched.cell().core.clone();
        let mail = self.own_mail();
        let mut seen = core.exits_after(Incarnation(0)).last().map_or(Incarnation(0), |(who, ..)| *who);
        TimerHandle(self.scope.spawn(async move {
            loop {
                core.wait_exit_after(seen).await;
                let exits = core.exits_after(seen);
                if exits.is_empty() {
                    return; // the place is deleted
                }
                for (who, epoch, reason) in exits {
                    seen = who;
                    mail.deliver(map(epoch, reason)).await;
                    if mail.has_ended() {
                        return;
                    }
                }
            }
        }))
    }
}

/// Brings the result of `work` as a message, if the incarnation lives so long.
async fn bring<A, M, F>(mail: OwnMail<A>, work: F, map: impl FnOnce(F::Output) -> M)
where
    A: Handler<M>,
    A::Inbox: Accepts<M, A>,
    M: Message,
    F: Future,
{
    let work = pin!(work);
    if let Some(result) = mail.while_it_lives(work).await {
        mail.deliver(map(result)).await;
    }
}
