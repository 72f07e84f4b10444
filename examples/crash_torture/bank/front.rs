//! The front: takes in the work of one client, each number once, and sends it on its way.

use std::collections::BTreeSet;

use greenroom::{Actor, Context, Durable, Failure, Handler, inbox};
use serde::{Deserialize, Serialize};

use super::{Account, Debit, Giver, NewCase, NewOrder, Reception, Remind, Ticker, work_message};
use crate::item::Work;
use crate::outside::{Outside, find};

/// A client repeats its last number at most: this is plenty.
const SEEN_MAX: usize = 64;

work_message!(Enter, "enter", "A client hands in work.");

/// One for each client. It remembers numbers itself, as an application does that has no request ids.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Front {
    /// One more than the highest number that was sent on.
    pub(crate) next: u64,
    /// The last numbers that were seen.
    pub(crate) seen: BTreeSet<u64>,
    pub(crate) reordered: u64,
}

inbox!(durable pub(crate) FrontInbox for Front: Enter);

impl Actor for Front {
    type Args = Outside;
    type Inbox = FrontInbox;
    async fn start(_: &Outside) -> Result<Self, Failure> {
        Ok(Front::default())
    }
}

impl Durable for Front {
    const NAME: &'static str = "front";
}

impl Handler<Enter> for Front {
    async fn handle(&mut self, m: Enter, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let (item, lane) = (m.item, m.item.lane());
        if !self.is_new(item.number) {
            return Ok(());
        }
        match lane.work() {
            Work::Transfer => {
                let account = find::<_, Account>(cx, "account", lane.accounts().0).await?;
                cx.tell(&account, Debit { item }).await.map_err(Failure::external)
            }
            Work::Order => {
                let reception = find::<_, Reception>(cx, "reception", lane.counter()).await?;
                cx.tell(&reception, NewOrder { item }).await.map_err(Failure::external)
            }
            Work::Case => {
                let giver = find::<_, Giver>(cx, "giver", lane.counter()).await?;
                cx.tell(&giver, NewCase { item }).await.map_err(Failure::external)
            }
            Work::Reminder => {
                let ticker = find::<_, Ticker>(cx, "ticker", lane.counter()).await?;
                cx.tell(&ticker, Remind { item }).await.map_err(Failure::external)
            }
        }
    }
}

impl Front {
    /// Whether the number comes for the first time.
    fn is_new(&mut self, number: u64) -> bool {
        let is_older = self.seen.len() == SEEN_MAX && self.seen.first().is_some_and(|first| number < *first);
        if is_older || !self.seen.insert(number) {
            return false;
        }
        let before = self.seen.range(..number).next_back();
        let is_last = self.seen.last() == Some(&number);
        self.reordered += u64::from(!is_last || before.is_some_and(|before| before + 1 != number));
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
        self.next = self.next.max(number + 1);
        true
    }
}
