//! Messages that are taken away while others send and read: each is handled, given back or moved, once.

use std::sync::Arc;

use loom::thread;

use super::{hold, left_over, mailbox, message, push, read};
use crate::mailbox::Overflow;
use crate::mailbox::queue::{Gate, Mailbox, Queued};
use crate::races::{Bell, in_every_schedule, in_schedules_of};

fn parcels(queued: Vec<Queued<u32>>) -> Vec<u32> {
    queued.into_iter().map(|queued| queued.parcel).collect()
}

#[test]
fn each_message_is_handled_refused_or_given_back_by_a_close() {
    in_schedules_of(3, || {
        let mailbox = mailbox(4, Overflow::Wait, [1]);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || [2, 3].map(|number| push(&mailbox, number))
        });
        let closer = thread::spawn({
            let mailbox = mailbox.clone();
            move || parcels(mailbox.close(Gate::Closed))
        });

        let read = read(&mailbox, 0);

        let (sent, back) = (sender.join().unwrap(), closer.join().unwrap());
        assert!(read.is_sorted() && back.is_sorted(), "{read:?} {back:?}");
        let mut all = [read, back].concat();
        all.sort_unstable();
        let accepted = match sent {
            [Ok(None), Ok(None)] => vec![1, 2, 3],
            [Ok(None), Err(Some(Gate::Closed))] => vec![1, 2],
            [Err(Some(Gate::Closed)), Err(Some(Gate::Closed))] => vec![1],
            other => panic!("{other:?}"),
        };
        assert_eq!(all, accepted);
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn each_message_is_handled_or_given_back_by_a_clear() {
    in_schedules_of(3, || {
        let mailbox = mailbox(3, Overflow::Wait, [1]);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || [2, 3].map(|number| push(&mailbox, number))
        });
        let clears = thread::spawn({
            let mailbox = mailbox.clone();
            move || parcels(mailbox.clear())
        });

        let waker = Bell::new().1;
        let mut all: Vec<u32> =
            (0..2).filter_map(|_| mailbox.next(1, &waker).ok()).map(|queued| queued.parcel).collect();

        assert_eq!(sender.join().unwrap(), [Ok(None), Ok(None)]);
        all.extend(clears.join().unwrap());
        all.extend(left_over(&mailbox));
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

#[test]
fn a_sender_in_line_gets_a_place_that_a_clear_made() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::Wait, [1]);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox).map(|()| mailbox.fill(message(2)).is_ok())
        });

        let mut all = parcels(mailbox.clear());

        assert_eq!(sender.join().unwrap(), Ok(true));
        all.extend(left_over(&mailbox));
        assert_eq!(all, [1, 2]);
    });
}

/// Moves what waits from the one to the other, as a pool does for a member that is down.
fn move_all(from: &Arc<Mailbox<u32>>, to: &Arc<Mailbox<u32>>) -> thread::JoinHandle<usize> {
    let (from, to) = (from.clone(), to.clone());
    thread::spawn(move || {
        let mut is_full = false;
        from.give_away(|queued| {
            if is_full {
                return Some(queued);
            }
            let back = to.take_over(queued).err();
            is_full = back.is_some();
            back
        })
    })
}

/// Goal: a move wakes both who waits for a message and who waits for its place.
#[test]
fn a_message_that_moves_wakes_its_new_reader_and_makes_room() {
    in_schedules_of(3, || {
        let (from, to) = (mailbox(1, Overflow::Wait, [1]), mailbox(1, Overflow::Wait, []));
        let moves = move_all(&from, &to);
        let sender = thread::spawn({
            let from = from.clone();
            move || hold(&from)
        });

        assert_eq!(read(&to, 1), [1]);

        assert_eq!((moves.join().unwrap(), sender.join().unwrap()), (1, Ok(())));
        from.give_back();
        assert_eq!((left_over(&from), left_over(&to)), (vec![], vec![]));
    });
}

#[test]
fn each_message_that_moves_is_read_here_or_there_and_exceeds_no_capacity() {
    in_schedules_of(3, || {
        let (from, to) = (mailbox(2, Overflow::Reject, [1, 2]), mailbox(1, Overflow::Reject, []));
        let moves = move_all(&from, &to);
        let sender = thread::spawn({
            let to = to.clone();
            move || push(&to, 3)
        });

        let here = from.next(1, &Bell::new().1).ok().map(|queued| queued.parcel);

        let moved = moves.join().unwrap();
        let sent = sender.join().unwrap();
        let (stayed, there) = (left_over(&from), left_over(&to));
        assert_eq!(there.len(), moved + usize::from(sent.is_ok()));
        assert!(sent == Ok(None) || sent == Err(None) && there.len() == 1);
        let mut all: Vec<u32> =
            here.into_iter().chain(stayed).chain(there).filter(|number| *number != 3).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

/// Goal: a mailbox that is closed while messages move to it takes none, and those keep their places.
#[test]
fn a_message_does_not_move_behind_a_gate_that_was_shut() {
    in_every_schedule(|| {
        let (from, to) = (mailbox(2, Overflow::Wait, [1, 2]), mailbox(2, Overflow::Wait, []));
        let moves = move_all(&from, &to);

        let mut all = parcels(to.close(Gate::Closed));

        assert_eq!((moves.join().unwrap(), left_over(&to)), (all.len(), vec![]));
        all.extend(left_over(&from));
        assert_eq!(all, [1, 2]);
    });
}
