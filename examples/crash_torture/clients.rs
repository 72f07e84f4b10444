//! The clients of the bank, and their books: what was accepted, by its number.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom::Clock;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::item::{Item, SENDERS};
use crate::switchboard::Lines;

/// What one client knows for certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// All numbers below were accepted. This one is sent next, perhaps once more.
    /// Of those below, the ones that were asked were also handled: the bank has said so.
    pub(crate) accepted: u64,
}

/// The books of all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books([Arc<Mutex<Book>>; SENDERS as usize]);

impl Books {
    pub(crate) fn of(&self, sender: u8) -> Book {
        *self.0[usize::from(sender)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn accepted(&self) -> u64 {
        (0..SENDERS).map(|sender| self.of(sender).accepted).sum()
    }

    fn accept(&self, item: Item) {
        let mut book = self.0[usize::from(item.sender)].lock().unwrap_or_else(PoisonError::into_inner);
        book.accepted = book.accepted.max(item.number + 1);
    }
}

/// One client during one life of the bank: repeats its last number, and hands in one after the other, each again until it
/// is acknowledged. Ends with the life, or when told to.
pub(crate) async fn client(
    mut lines: Lines,
    sender: u8,
    books: Books,
    pause: Duration,
    mut ends: watch::Receiver<bool>,
) {
    let (clock, mut answer) = (Clock::default(), String::new());
    // A client that is not sure asks once more, also for what it was told before.
    let mut repeats = Some(books.of(sender).accepted.saturating_sub(1));
    while !*ends.borrow_and_update() {
        let item = Item { sender, number: repeats.take().unwrap_or_else(|| books.of(sender).accepted) };
        answer.clear();
        if lines.get_mut().write_all(format!("{}\n", item.number).as_bytes()).await.is_err() {
            return;
        }
        match lines.read_line(&mut answer).await {
            Ok(1..) if answer == format!("ok {}\n", item.number) => books.accept(item),
            Ok(1..) if answer.starts_with("no ") && answer.ends_with('\n') => {}
            Ok(_) | Err(_) => return,
        }
        clock.sleep(pause).await;
    }
}
