//! Accounts: a transfer is a debit here and a credit there, with a message between.

use greenroom::{Actor, Context, Durable, Failure, Handler, inbox};
use serde::{Deserialize, Serialize};

use super::work_message;
use crate::applied::Applied;
use crate::item::DEPOSIT;
use crate::outside::find;

work_message!(Debit, "debit", "The first half of a transfer.");
work_message!(Credit, "credit", "The second half.");

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) debits: Applied,
    pub(crate) credits: Applied,
}

impl Default for Account {
    fn default() -> Self {
        Account { balance: DEPOSIT, debits: Applied::default(), credits: Applied::default() }
    }
}

inbox!(durable pub(crate) AccountInbox for Account: Debit, Credit);

impl Actor for Account {
    type Args = u8;
    type Inbox = AccountInbox;
    async fn start(_: &u8) -> Result<Self, Failure> {
        Ok(Account::default())
    }
}

impl Durable for Account {
    const NAME: &'static str = "account";
}

impl Handler<Debit> for Account {
    async fn handle(&mut self, m: Debit, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let lane = m.item.lane();
        let other = find::<_, Account>(cx, "account", lane.accounts().1).await?;
        cx.tell(&other, Credit { item: m.item }).await.map_err(Failure::external)?;
        self.balance -= lane.amount();
        self.debits.add(m.item);
        Ok(())
    }
}

impl Handler<Credit> for Account {
    async fn handle(&mut self, m: Credit, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.balance += m.item.lane().amount();
        self.credits.add(m.item);
        Ok(())
    }
}
