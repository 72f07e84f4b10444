//! Orders: three actors, each with steps at the server, of each kind of effect.

use greenroom::{Actor, Context, Durable, Effect, Failure, Handler, Known, Step, inbox};
use serde::{Deserialize, Serialize};

use super::work_message;
use crate::applied::Applied;
use crate::outside::{Outside, find};

work_message!(NewOrder, "new-order", "An order comes in.");
work_message!(Pay, "pay", "It is to be paid.");
work_message!(Ship, "ship", "It is to be sent: the payment asks that, and waits until it is done.");

macro_rules! counter {
    ($actor:ident, $inbox:ident, $message:ident, $stable:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Default, Serialize, Deserialize)]
        pub(crate) struct $actor {
            pub(crate) applied: Applied,
        }
        inbox!(durable pub(crate) $inbox for $actor: $message);
        impl Actor for $actor {
            type Args = u8;
            type Inbox = $inbox;
            async fn start(_: &u8) -> Result<Self, Failure> {
                Ok($actor::default())
            }
        }
        impl Durable for $actor {
            const NAME: &'static str = $stable;
        }
    };
}

counter!(Reception, ReceptionInbox, NewOrder, "reception", "Looks the price up, and reserves.");
counter!(Payment, PaymentInbox, Pay, "payment", "Charges the card: never twice.");
counter!(Shipping, ShippingInbox, Ship, "shipping", "Has the label printed, and tells the buyer.");

impl Handler<NewOrder> for Reception {
    async fn handle(&mut self, m: NewOrder, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        call(cx, "price", Effect::Pure, m.item.number).await?;
        call(cx, "reserve", Effect::Idempotent, m.item.number).await?;
        let payment = find::<_, Payment>(cx, "payment", m.item.lane().counter()).await?;
        cx.tell(&payment, Pay { item: m.item }).await.map_err(Failure::external)?;
        self.applied.add(m.item);
        Ok(())
    }
}

impl Handler<Pay> for Payment {
    async fn handle(&mut self, m: Pay, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let outside = cx.resource::<Outside>()?;
        let step = cx.step("charge", Effect::Once, &m.item.number);
        let receipt: Result<String, Failure> = if m.item.lane().asks_a_person() {
            step.run(|| outside.call("once", step.key())).await
        } else {
            step.run_checked(|| outside.call("once", step.key()), || was_made(&outside, &step)).await
        };
        receipt?;
        outside.done(step.key()).await?;
        call(cx, "book", Effect::Idempotent, m.item.number).await?;
        let shipping = find::<_, Shipping>(cx, "shipping", m.item.lane().counter()).await?;
        cx.ask(&shipping, Ship { item: m.item }).await?;
        self.applied.add(m.item);
        Ok(())
    }
}

impl Handler<Ship> for Shipping {
    async fn handle(&mut self, m: Ship, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        call(cx, "label", Effect::Idempotent, m.item.number).await?;
        call(cx, "notify", Effect::Pure, m.item.number).await?;
        self.applied.add(m.item);
        Ok(())
    }
}

/// One step at the server that may be repeated while it is in flight.
async fn call<A: Actor>(cx: &Context<'_, A>, name: &str, effect: Effect, input: u64) -> Result<(), Failure> {
    let outside = cx.resource::<Outside>()?;
    let step = cx.step(name, effect, &input);
    let _receipt: String = step.run(|| outside.call("repeatable", step.key())).await?;
    outside.done(step.key()).await
}

async fn was_made<A: Actor>(outside: &Outside, step: &Step<'_, A>) -> Result<Known<String>, Failure> {
    Ok(match outside.was_made(step.key()).await? {
        true => Known::Done(format!("receipt of {}", step.key())),
        false => Known::NotDone,
    })
}
