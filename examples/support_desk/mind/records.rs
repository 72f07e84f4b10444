//! The tools of the team: orders and the knowledge base, as embedded data. Each find becomes one line for the model.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::ticket::Ticket;

/// Everything the team can look up.
#[derive(Debug)]
pub(crate) struct Records {
    orders: BTreeMap<String, Order>,
    articles: Vec<Article>,
}

#[derive(Debug, Deserialize)]
struct Order {
    order: String,
    customer: String,
    item: String,
    amount_cents: u64,
    currency: String,
    status: String,
    days_ago: u32,
}

#[derive(Debug, Deserialize)]
struct Article {
    id: String,
    /// Whose matter it is.
    role: String,
    /// In lower case; any one of them in a ticket makes the article a match.
    keywords: Vec<String>,
    answer: String,
}

/// One thing that was found, or looked for in vain. Its `Display` is what the model reads.
#[derive(Debug)]
pub(crate) enum Finding<'r> {
    Order { number: &'r str, item: &'r str, amount: String, status: &'r str, days_ago: u32 },
    NoSuchOrder(&'r str),
    OrderOfSomebodyElse(&'r str),
    Article { id: &'r str, role: &'r str, found_in: &'static str, answer: &'r str },
}

impl Records {
    /// The records shipped with the example.
    ///
    /// # Panics
    ///
    /// When the embedded data is not what this module describes.
    pub(crate) fn embedded() -> Self {
        let orders: Vec<Order> = serde_json::from_str(include_str!("../data/orders.json"))
            .expect("the embedded orders have the form of `Order`");
        let articles = serde_json::from_str(include_str!("../data/knowledge.json"))
            .expect("the embedded articles have the form of `Article`");
        Records { orders: orders.into_iter().map(|order| (order.order.clone(), order)).collect(), articles }
    }

    /// Looks up the orders that the ticket names, and the articles that it matches.
    pub(crate) fn look_up<'r>(&'r self, ticket: &'r Ticket) -> Vec<Finding<'r>> {
        let mut numbers: Vec<&str> =
            [&ticket.subject, &ticket.body].into_iter().flat_map(|text| order_numbers(text)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let orders = numbers.into_iter().map(|number| match self.orders.get(number) {
            None => Finding::NoSuchOrder(number),
            Some(order) if order.customer != ticket.customer => Finding::OrderOfSomebodyElse(number),
            Some(order) => order.finding(),
        });

        let (subject, body) = (ticket.subject.to_lowercase(), ticket.body.to_lowercase());
        let articles = self.articles.iter().filter_map(|article| {
            let is_in = |text: &str| article.keywords.iter().any(|word| text.contains(word.as_str()));
            let found_in = if is_in(&subject) { "subject" } else { is_in(&body).then_some("body")? };
            let Article { id, role, answer, .. } = article;
            Some(Finding::Article { id, role, found_in, answer })
        });
        orders.chain(articles).collect()
    }
}

impl Order {
    fn finding(&self) -> Finding<'_> {
        let amount = format!("{}.{:02} {}", self.amount_cents / 100, self.amount_cents % 100, self.currency);
        let Order { order, item, status, days_ago, .. } = self;
        Finding::Order { number: order, item, amount, status, days_ago: *days_ago }
    }
}

/// Every `LH-` with exactly five digits behind it.
fn order_numbers(text: &str) -> impl Iterator<Item = &str> {
    const LEN: usize = "LH-00000".len();
    text.match_indices("LH-").filter_map(|(at, _)| {
        let number = text.get(at..at + LEN)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let goes_on = text.as_bytes().get(at + LEN).is_some_and(u8::is_ascii_digit);
        (digits(&number[3..]) && !goes_on).then_some(number)
    })
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Order { number, item, amount, status, days_ago } => {
                write!(f, "order {number}: {item}, {amount}, {status}, {days_ago} days ago")
            }
            Finding::NoSuchOrder(number) => write!(f, "no order {number}"),
            Finding::OrderOfSomebodyElse(number) => write!(f, "not theirs: order {number}"),
            Finding::Article { id, role, found_in, answer } => {
                write!(f, "article {id} for {role} by the {found_in}: {answer}")
            }
        }
    }
}
