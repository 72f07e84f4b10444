//! Cases that change hands: opened, offered, refused, offered to another, accepted, closed.
//!
//! Who owns a case is a record of the store, changed with the commit of whoever opens, offers, accepts or closes it; offer
//! and answer are durable messages in the same commits. The giver names in its state whom each open case is offered to, and a
//! taker knows what it has: the judge holds these states against the records.

use std::collections::BTreeMap;
use std::time::Duration;

use greenroom::{Actor, Context, Durable, DurableMessage, Failure, Handler, Message, inbox};
use serde::{Deserialize, Serialize};

use super::work_message;
use crate::applied::Applied;
use crate::item::{Item, Lane, path};
use crate::outside::{Outside, find};
use crate::sabotage::Sabotage;

/// How long a taker thinks about an offer; meanwhile the case is the giver's.
const THINKS: Duration = Duration::from_millis(3);
/// So many of its newest cases of each lane a taker works on: it closes the one before them.
pub(crate) const IN_WORK: u64 = 4;

work_message!(NewCase, "new-case", "A case comes in: it is the giver's.");
work_message!(Offer, "offer", "A case is offered; its giver follows from it.");

/// What came of an offer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    item: Item,
    is_accepted: bool,
}

impl Message for Answer {
    type Reply = ();
    const NAME: Option<&'static str> = Some("answer");
}
impl DurableMessage for Answer {}

/// To whom an open case is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) to: u8,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Giver {
    pub(crate) cases: Applied,
    /// The giver's own, until its taker says that it is his.
    pub(crate) open: BTreeMap<(Lane, u64), Offered>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Taker {
    pub(crate) offers: Applied,
    pub(crate) taken: Applied,
    pub(crate) refused: Applied,
}

inbox!(durable pub(crate) GiverInbox for Giver: NewCase, Answer);
inbox!(durable pub(crate) TakerInbox for Taker: Offer);

impl Actor for Giver {
    type Args = u8;
    type Inbox = GiverInbox;
    async fn start(_: &u8) -> Result<Self, Failure> {
        Ok(Giver::default())
    }
}

impl Actor for Taker {
    type Args = u8;
    type Inbox = TakerInbox;
    async fn start(_: &u8) -> Result<Self, Failure> {
        Ok(Taker::default())
    }
}

impl Durable for Giver {
    const NAME: &'static str = "giver";
}

impl Durable for Taker {
    const NAME: &'static str = "taker";
}

impl Handler<NewCase> for Giver {
    async fn handle(&mut self, m: NewCase, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.cases.add(m.item);
        cx.open_case(&m.item.request()).await?;
        self.offer(m.item, m.item.lane().takers().0, cx).await
    }
}

impl Handler<Answer> for Giver {
    async fn handle(&mut self, m: Answer, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let lane = m.item.lane();
        match lane.takers().1 {
            Some(next) if !m.is_accepted => self.offer(m.item, next, cx).await,
            _ => {
                self.open.remove(&(lane, m.item.index()));
                Ok(())
            }
        }
    }
}

impl Giver {
    async fn offer(&mut self, item: Item, to: u8, cx: &Context<'_, Self>) -> Result<(), Failure> {
        let case = (item.lane(), item.index());
        self.open.insert(case, Offered { to });
        cx.offer_case(&item.request(), item.lane().hop(to), path("taker", to).as_str()).await?;
        if cx.resource::<Outside>()?.sabotage == Some(Sabotage::ClearOwnerBeforeAccept) {
            self.open.remove(&case);
            cx.close_case(&item.request()).await?;
        }
        let taker = find::<_, Taker>(cx, "taker", to).await?;
        cx.tell(&taker, Offer { item }).await.map_err(Failure::external)
    }
}

impl Handler<Offer> for Taker {
    async fn handle(&mut self, m: Offer, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let item = m.item;
        cx.clock().sleep(THINKS).await;
        let (first, second) = item.lane().takers();
        let is_accepted = second.is_none() || *cx.args() != first;
        self.offers.add(item);
        if is_accepted {
            let (lane, giver) = (item.lane(), path("giver", item.lane().counter()));
            cx.accept_case(&item.request(), &giver, lane.hop(*cx.args())).await?;
            self.taken.add(item);
            if let Some(index) = item.index().checked_sub(IN_WORK) {
                cx.close_case(&lane.item(index).request()).await?;
            }
        } else {
            self.refused.add(item);
        }
        let giver = find::<_, Giver>(cx, "giver", item.lane().counter()).await?;
        cx.tell(&giver, Answer { item, is_accepted }).await.map_err(Failure::external)
    }
}
