//! Proofs of the mailbox's races; [`crate::races`] says how they are run.

mod gate; // close, clear and drain; messages that move to another mailbox
mod lane; // the control lane
mod line; // senders in line, and the places they wait for
mod reader; // the reader that falls asleep, and what it reads

use std::sync::Arc;

use crate::clock::Clock;
use crate::mailbox::batch::NoMail;
use crate::mailbox::line::InLine;
use crate::mailbox::queue::{Gate, Mailbox, Queued, Room};
use crate::mailbox::{MailboxSpec, Overflow};
use crate::message::Head;
use crate::races::{Bell, lock, wait_for};
use crate::sync::raced::atomic::Ordering;

/// A mailbox that the incarnation 1 reads, with these messages in it.
fn mailbox<const N: usize>(capacity: usize, overflow: Overflow, messages: [u32; N]) -> Arc<Mailbox<u32>> {
    let mailbox = Arc::new(Mailbox::new(MailboxSpec { capacity, overflow }, Clock::default()));
    mailbox.hand_to(1);
    for number in messages {
        push(&mailbox, number).expect("room");
    }
    mailbox
}

fn message(number: u32) -> Queued<u32> {
    Queued { head: Head::default(), parcel: number }
}

/// Pushes; says what was shed for it, or why it was refused: `None` means full.
fn push(mailbox: &Mailbox<u32>, number: u32) -> Result<Option<u32>, Option<Gate>> {
    use crate::mailbox::queue::Pushed;
    match mailbox.push(message(number)) {
        Pushed::Done => Ok(None),
        Pushed::Shed(queued) => Ok(Some(queued.parcel)),
        Pushed::Full(_) => Err(None),
        Pushed::Refused(_, gate) => Err(Some(gate)),
    }
}

/// Waits for a place; the gate that was shut before there was one.
fn hold(mailbox: &Arc<Mailbox<u32>>) -> Result<(), Gate> {
    match mailbox.reserve() {
        Room::Held => Ok(()),
        Room::InLine(waiter) => wait_for(InLine::new(mailbox.clone(), waiter)),
        Room::Refused(gate) => Err(gate),
        Room::HeldAfterShedding(_) | Room::Full | Room::ShedNew => panic!("not with `Overflow::Wait`"),
    }
}

/// What is read, by an incarnation that sleeps when it finds nothing, until it has read `until` or the gate is shut.
fn read(mailbox: &Mailbox<u32>, until: u32) -> Vec<u32> {
    let (bell, waker) = Bell::new();
    let mut read = Vec::new();
    while read.last() != Some(&until) {
        match mailbox.next(1, &waker) {
            Ok(queued) => read.push(queued.parcel),
            Err(NoMail::Dry) => bell.sleep(),
            Err(NoMail::Shut | NoMail::Fenced) => break,
        }
    }
    read
}

/// What waits when all is over, oldest first. The books must balance: each place that is given and not freed has a
/// message in it, there are no more of them than the capacity, nobody is counted in line, and the room is there again.
fn left_over(mailbox: &Mailbox<u32>) -> Vec<u32> {
    let waiting = {
        let batch = lock(&mailbox.batch);
        let inbound = lock(&mailbox.inbound);
        batch.items.len() + inbound.items.len()
    };
    assert_eq!(mailbox.len(), waiting, "a place is neither free nor filled");
    assert!(waiting <= mailbox.capacity(), "{waiting} messages in {} places", mailbox.capacity());
    assert_eq!(mailbox.in_line.load(Ordering::Relaxed), 0, "nobody stands in line");
    let left = mailbox.clear().into_iter().map(|queued| queued.parcel).collect();
    assert_eq!(mailbox.len(), 0);
    left
}
