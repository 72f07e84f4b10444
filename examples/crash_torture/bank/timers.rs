//! Reminders that outlive the process: each piece of work sets one that comes once, and each ticker has one that comes
//! again and again.
//!
//! The ticker itself writes down what it set, with the same commit, and how each came. Timers fire in the order in which
//! they are due; so whenever one comes, the repeating one has come less than a period before.

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::{Actor, Context, Durable, DurableMessage, Failure, Handler, Message, inbox};
use serde::{Deserialize, Serialize};

use super::work_message;
use crate::applied::Applied;
use crate::item::Item;
use crate::outside::Outside;

/// How long after it was set a reminder is due: often the bank is down by then.
const DUE_AFTER: Duration = Duration::from_millis(40);
const BEAT_EVERY: Duration = Duration::from_millis(25);
/// How much later than a period a beat counts as missed: the clock of the machine may be set.
const BEAT_SLACK: Duration = Duration::from_millis(25);

/// The name of the repeating reminder, and of its message.
pub(crate) const BEAT: &str = "beat";

work_message!(Remind, "remind", "A reminder is to be set.");
work_message!(Due, "due", "It comes.");

/// The repeating reminder comes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Beat;

impl Message for Beat {
    type Reply = ();
    const NAME: Option<&'static str> = Some(BEAT);
}
impl DurableMessage for Beat {}

/// Whether no reminder is awaited, and the repeating one has come in this life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct IsQuiet;

impl Message for IsQuiet {
    type Reply = bool;
    const NAME: Option<&'static str> = Some("is-quiet");
}
impl DurableMessage for IsQuiet {}

/// A reminder that was set and has not come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// Not before.
    due_ms: u64,
    /// In which life of the bank it was set.
    life: u32,
}

/// When the repeating reminder came last, or was set.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Beats {
    at_ms: u64,
    /// In which life of the bank.
    pub(crate) life: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ticker {
    pub(crate) set: Applied,
    pub(crate) awaited: BTreeMap<Item, Awaited>,
    pub(crate) came: Applied,
    pub(crate) beats: Option<Beats>,
    /// Came before their time.
    pub(crate) early: u64,
    /// Came, and the beat that was due before had not.
    pub(crate) beats_missed: u64,
    /// Came in a later life than they were set in.
    pub(crate) outlived: u64,
}

inbox!(durable pub(crate) TickerInbox for Ticker: Remind, Due, Beat, IsQuiet);

impl Actor for Ticker {
    type Args = u8;
    type Inbox = TickerInbox;
    async fn start(_: &u8) -> Result<Self, Failure> {
        Ok(Ticker::default())
    }
}

impl Durable for Ticker {
    const NAME: &'static str = "ticker";
}

impl Handler<Remind> for Ticker {
    async fn handle(&mut self, m: Remind, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let (life, now_ms) = (cx.resource::<Outside>()?.life, cx.clock().wall_ms());
        if self.beats.is_none() {
            self.beats = Some(Beats { at_ms: now_ms, life });
            cx.remind_every(BEAT, BEAT_EVERY, Beat)?;
        }
        self.set.add(m.item);
        self.awaited.insert(m.item, Awaited { due_ms: now_ms + millis(DUE_AFTER), life });
        cx.remind_after(&m.item.request(), DUE_AFTER, Due { item: m.item })
    }
}

impl Handler<Due> for Ticker {
    async fn handle(&mut self, m: Due, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let (life, now_ms) = (cx.resource::<Outside>()?.life, cx.clock().wall_ms());
        self.came.add(m.item);
        if let (Some(awaited), Some(beats)) = (self.awaited.remove(&m.item), &self.beats) {
            self.early += u64::from(now_ms < awaited.due_ms);
            self.outlived += u64::from(awaited.life < life);
            self.beats_missed += u64::from(beats.at_ms + millis(BEAT_EVERY + BEAT_SLACK) < awaited.due_ms);
        }
        Ok(())
    }
}

impl Handler<Beat> for Ticker {
    async fn handle(&mut self, _: Beat, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.beats = Some(Beats { at_ms: cx.clock().wall_ms(), life: cx.resource::<Outside>()?.life });
        Ok(())
    }
}

impl Handler<IsQuiet> for Ticker {
    async fn handle(&mut self, _: IsQuiet, cx: &mut Context<'_, Self>) -> Result<bool, Failure> {
        let life = cx.resource::<Outside>()?.life;
        Ok(self.awaited.is_empty() && self.beats.is_none_or(|beats| beats.life == life))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
