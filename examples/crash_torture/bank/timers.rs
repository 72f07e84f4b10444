//! Reminders that outlive the process.
//!
//! The seam to durable timers: until the runtime has them, the ticker tells itself to look again, by a durable message.

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::{Actor, Context, Durable, DurableMessage, Failure, Handler, Message, inbox};
use serde::{Deserialize, Serialize};

use super::work_message;
use crate::applied::Applied;
use crate::item::Item;
use crate::outside::{Outside, find};

/// How long after it came in a reminder is due.
const DUE_AFTER_MS: u64 = 40;
const LOOK_EVERY: Duration = Duration::from_millis(10);

work_message!(Remind, "remind", "The bell shall ring, a little later.");
work_message!(Ring, "ring", "Now.");

/// The name of the only message that carries no work.
pub(crate) const TICK: &str = "tick";

/// The ticker's word to itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Tick;

impl Message for Tick {
    type Reply = ();
    const NAME: Option<&'static str> = Some(TICK);
}
impl DurableMessage for Tick {}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ticker {
    pub(crate) applied: Applied,
    /// By when it is due and in which order it came.
    pub(crate) due: BTreeMap<(u64, u64), Item>,
    last_due_ms: u64,
    is_ticking: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bell {
    pub(crate) rung: Applied,
}

inbox!(durable pub(crate) TickerInbox for Ticker: Remind, Tick);
inbox!(durable pub(crate) BellInbox for Bell: Ring);

impl Actor for Ticker {
    type Args = Outside;
    type Inbox = TickerInbox;
    async fn start(_: &Outside) -> Result<Self, Failure> {
        Ok(Ticker::default())
    }
}

impl Actor for Bell {
    type Args = Outside;
    type Inbox = BellInbox;
    async fn start(_: &Outside) -> Result<Self, Failure> {
        Ok(Bell::default())
    }
}

impl Durable for Ticker {
    const NAME: &'static str = "ticker";
}

impl Durable for Bell {
    const NAME: &'static str = "bell";
}

impl Handler<Remind> for Ticker {
    async fn handle(&mut self, m: Remind, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.applied.add(m.item);
        // Never before one that came earlier, though the clock of the machine was set back.
        self.last_due_ms = self.last_due_ms.max(cx.time_ms() + DUE_AFTER_MS);
        self.due.insert((self.last_due_ms, self.applied.total()), m.item);
        if !self.is_ticking {
            self.is_ticking = true;
            cx.tell(&cx.me(), Tick).await.map_err(Failure::external)?;
        }
        Ok(())
    }
}

impl Handler<Tick> for Ticker {
    async fn handle(&mut self, _: Tick, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.clock().sleep(LOOK_EVERY).await;
        let now = cx.clock().wall_ms();
        while let Some(due) = self.due.first_entry().filter(|due| due.key().0 <= now) {
            let item = due.remove();
            let bell = find::<_, Bell>(cx, "bell", item.lane().counter()).await?;
            cx.tell(&bell, Ring { item }).await.map_err(Failure::external)?;
        }
        self.is_ticking = !self.due.is_empty();
        if self.is_ticking {
            cx.tell(&cx.me(), Tick).await.map_err(Failure::external)?;
        }
        Ok(())
    }
}

impl Handler<Ring> for Bell {
    async fn handle(&mut self, m: Ring, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.rung.add(m.item);
        Ok(())
    }
}
