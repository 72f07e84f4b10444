//! One piece of work: what it is, which way it goes through the bank, and where the actors of the bank live.
//!
//! All of it follows from the client and the number, so that the judge knows the way of each without asking anybody.

use greenroom::ActorPath;
use serde::{Deserialize, Serialize};

/// Clients.
pub(crate) const SENDERS: u8 = 4;
pub(crate) const ACCOUNTS: u8 = 8;
/// Each counter for orders, cases and reminders is there twice.
pub(crate) const COUNTERS: u8 = 2;
pub(crate) const TAKERS: u8 = 3;
/// What an account holds at the beginning.
pub(crate) const DEPOSIT: i64 = 1_000_000;
/// The ways, drawn by the number of the work.
const WAYS: u64 = 16;

/// Number `number`, from 0, of client `sender`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) sender: u8,
    pub(crate) number: u64,
}

/// All work of one client that goes the same way: it stays in order from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Lane(u16);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Transfer,
    Order,
    Case,
    Reminder,
}

impl Item {
    pub(crate) fn lane(self) -> Lane {
        Lane(u16::from(self.sender) * WAYS as u16 + (self.number % WAYS) as u16)
    }

    /// The id under which it is handed in, and known again.
    pub(crate) fn request(self) -> String {
        format!("{}/{}", self.sender, self.number)
    }

    /// The work that is handed in under that id.
    pub(crate) fn of_request(request: &str) -> Option<Self> {
        let (sender, number) = request.split_once('/')?;
        Some(Item { sender: sender.parse().ok()?, number: number.parse().ok()? })
    }

    /// Its number within its lane, from 0.
    pub(crate) fn index(self) -> u64 {
        self.number / WAYS
    }

    /// Whether its client waits until it is handled, not only until it is accepted.
    pub(crate) fn is_asked(self) -> bool {
        self.number.is_multiple_of(3)
    }
}

impl Lane {
    pub(crate) fn all() -> impl Iterator<Item = Lane> {
        (0..u16::from(SENDERS) * WAYS as u16).map(Lane)
    }

    pub(crate) fn of(work: Work) -> impl Iterator<Item = Lane> {
        Self::all().filter(move |lane| lane.work() == work)
    }

    pub(crate) fn sender(self) -> u8 {
        (self.0 / WAYS as u16) as u8
    }

    fn way(self) -> u8 {
        (self.0 % WAYS as u16) as u8
    }

    pub(crate) fn work(self) -> Work {
        match self.way() {
            0..6 => Work::Transfer,
            6..10 => Work::Order,
            10..14 => Work::Case,
            _ => Work::Reminder,
        }
    }

    /// How many of the first `numbers` numbers of its client are in it.
    pub(crate) fn len_after(self, numbers: u64) -> u64 {
        (numbers + WAYS - 1 - u64::from(self.way())) / WAYS
    }

    /// Number `index` of it.
    pub(crate) fn item(self, index: u64) -> Item {
        Item { sender: self.sender(), number: index * WAYS + u64::from(self.way()) }
    }

    /// What a transfer moves.
    pub(crate) fn amount(self) -> i64 {
        1 + i64::from(self.0)
    }

    /// From which account to which.
    pub(crate) fn accounts(self) -> (u8, u8) {
        let from = (self.sender() * 3 + self.way()) % ACCOUNTS;
        (from, (from + 1 + self.way() % (ACCOUNTS - 1)) % ACCOUNTS)
    }

    /// Which of the counters for orders, cases and reminders it goes to.
    pub(crate) fn counter(self) -> u8 {
        self.sender() % COUNTERS
    }

    /// To whom a case is offered; to the second after the first has refused it.
    pub(crate) fn takers(self) -> (u8, Option<u8>) {
        match self.way() {
            12 => (TAKERS - 1, None),
            13 => (self.counter(), Some(TAKERS - 1)),
            _ => (self.counter(), None),
        }
    }

    /// Which handoff of a case it is, if it goes to that one.
    pub(crate) fn hop(self, to: u8) -> u32 {
        if self.takers().1 == Some(to) { 2 } else { 1 }
    }

    /// Whether the charge of an order is of the kind of which nobody can say afterwards whether it happened.
    pub(crate) fn asks_a_person(self) -> bool {
        self.way() % 2 == 1
    }
}

/// Where number `n` of `kind` lives: half of them belong to the program, the others are started while it runs.
pub(crate) fn path(kind: &str, n: u8) -> ActorPath {
    let text = if is_dynamic(n) { format!("{kind}-more/{n}") } else { format!("{kind}/{n}") };
    ActorPath::parse(&text).expect("kinds are lowercase words")
}

pub(crate) fn is_dynamic(n: u8) -> bool {
    n % 2 == 1
}
