//! Timers that outlive the process.

use std::time::Duration;

use crate::actor::{Accepts, Actor, Context, Handler};
use crate::durable::TimerChange;
use crate::message::{Envelope, Failure, Head, Message};
use crate::store::{StoredMessage, StoredTimer};
use crate::sync::lock;

impl<A: Actor> Context<'_, A> {
    /// Puts `message` into this actor's own mailbox after `delay`, also if the process has ended meanwhile: then when the
    /// actor lives again, and [`lateness`](Context::lateness) says how late that is. Set with the commit of this handler,
    /// in the place of the reminder of that name (at most [`REQUEST_LEN_MAX`](crate::REQUEST_LEN_MAX) bytes).
    ///
    /// # Errors
    ///
    /// A [`Bug`](crate::FailureClass::Bug) in an actor that is not [durable](crate::ActorSpec::durable), and if the message
    /// has no stored form.
    pub fn remind_after<M>(&self, name: &str, delay: Duration, message: M) -> Result<(), Failure>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.remind(name, delay, None, message)
    }

    /// As [`remind_after`](Context::remind_after), again and again every `period` (at least 1 ms), the first time after
    /// one `period`. What fell into a time in which the actor did not live comes once.
    ///
    /// # Errors
    ///
    /// As [`remind_after`](Context::remind_after).
    pub fn remind_every<M>(&self, name: &str, period: Duration, message: M) -> Result<(), Failure>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        self.remind(name, period, Some(millis(period).max(1)), message)
    }

    /// Deletes the reminder of that name, with the commit of this handler. One whose message waits already comes all the
    /// same.
    pub fn cancel_reminder(&self, name: &str) {
        self.change_timer(TimerChange::Cancel(name.to_owned()));
    }

    /// By how much the message in hand is late, if a reminder sent it.
    pub fn lateness(&self) -> Option<Duration> {
        let due_ms = self.head.kept.as_ref()?.due_ms?;
        Some(Duration::from_millis(self.clock().wall_ms().saturating_sub(due_ms)))
    }

    fn remind<M>(&self, name: &str, delay: Duration, every_ms: Option<u64>, message: M) -> Result<(), Failure>
    where
        M: Message,
        A: Handler<M>,
        A::Inbox: Accepts<M, A>,
    {
        let not_kept = || Failure::bug("only a durable actor keeps reminders");
        let form = self.cell.mail_form().ok_or_else(not_kept)?;
        let body = form.body(&A::Inbox::wrap(Envelope::told(message))).map_err(Failure::bug)?;
        let kind = Head::of::<M>().kind.look_up();
        let message = StoredMessage {
            name: kind.name.to_owned(),
            version: kind.version,
            sender: Some(self.path().clone()),
            trace: self.trace(),
            body,
            ..StoredMessage::default()
        };
        let due_ms = self.clock().wall_ms().saturating_add(millis(delay));
        self.change_timer(TimerChange::Set(StoredTimer { name: name.to_owned(), due_ms, every_ms, message }));
        Ok(())
    }

    fn change_timer(&self, change: TimerChange) {
        lock(&self.held).get_or_insert_default().timers.push(change);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
