//! The person behind the escalation desk, played by a script: takes one case at a time, and takes a while.

use std::time::Duration;

use greenroom::prelude::*;

pub(crate) struct Human {
    thinks_for: Duration,
}

/// Asks the person to decide a case.
#[derive(Clone)]
pub(crate) struct PleaseDecide {
    pub(crate) customer: String,
    pub(crate) subject: String,
    /// Why it came here.
    pub(crate) note: String,
}

impl Message for PleaseDecide {
    /// What the customer is told.
    type Reply = String;
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

inbox!(pub(crate) HumanInbox for Human: PleaseDecide);

impl Actor for Human {
    /// How long the person thinks.
    type Args = Duration;
    type Inbox = HumanInbox;

    async fn start(thinks_for: &Duration) -> Result<Self, Failure> {
        Ok(Human { thinks_for: *thinks_for })
    }
}

impl Handler<PleaseDecide> for Human {
    async fn handle(&mut self, m: PleaseDecide, cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        if !self.thinks_for.is_zero() {
            cx.clock().sleep(self.thinks_for).await;
        }
        let PleaseDecide { customer, subject, note } = m;
        Ok(format!(
            "Dear {customer}, I have taken over \"{subject}\" myself ({note}) and will call you within one working \
             day. Marta, customer relations"
        ))
    }
}
