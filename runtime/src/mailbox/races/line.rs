//! Senders in line: whoever waits for a place hears of it, and each place is given to one of them.

use std::pin::pin;
use std::task::Context;

use loom::thread;

use super::{hold, left_over, mailbox, message, push, read};
use crate::mailbox::Overflow;
use crate::mailbox::line::InLine;
use crate::mailbox::queue::{Gate, Room};
use crate::races::{Bell, in_every_schedule, in_schedules_of, wait_for};

/// Goal: who sees no place and goes to stand in line, while the reader frees one and sees nobody there, is let in when the
/// handler waits. The reader takes no lock that the sender takes: the fences decide.
#[test]
fn a_sender_in_line_gets_its_place_when_the_handler_waits() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, [1, 2]);
        let waker = Bell::new().1;
        let next = || mailbox.next(1, &waker).map(|queued| queued.parcel);
        assert_eq!(next(), Ok(1)); // the second is in the batch now
        push(&mailbox, 3).expect("room");
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox).map(|()| mailbox.fill(message(4)).is_ok())
        });

        assert_eq!(next(), Ok(2));
        mailbox.reader_waits();

        assert_eq!(sender.join().unwrap(), Ok(true));
        assert_eq!(left_over(&mailbox), [3, 4]);
    });
}

#[test]
fn a_sender_in_line_gets_its_place_when_the_mail_runs_dry() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::Wait, [1]);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox).map(|()| mailbox.fill(message(2)).is_ok())
        });

        assert_eq!(read(&mailbox, 2), [1, 2]);
        assert_eq!(sender.join().unwrap(), Ok(true));
        assert_eq!(left_over(&mailbox), []);
    });
}

/// As above, where what is freed is too little for the lots in which the reader lets senders in: the last look decides.
#[test]
fn a_sender_in_line_gets_a_place_that_was_freed_for_no_lot() {
    in_every_schedule(|| {
        let mailbox = mailbox(8, Overflow::Wait, [1]);
        let held = [(); 7].map(|()| mailbox.reserve());
        assert!(held.iter().all(|room| matches!(room, Room::Held)));
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox)
        });

        let waker = Bell::new().1;
        while mailbox.next(1, &waker).is_ok() {}

        assert_eq!(sender.join().unwrap(), Ok(()));
        (0..8).for_each(|_| mailbox.give_back());
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn a_place_that_is_given_back_goes_to_the_line() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::Wait, []);
        assert_eq!(hold(&mailbox), Ok(()));
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox).map(|()| mailbox.fill(message(1)).is_ok())
        });

        mailbox.give_back();

        assert_eq!(sender.join().unwrap(), Ok(true));
        assert_eq!(left_over(&mailbox), [1]);
    });
}

/// Goal: who gives up while its place is granted passes it on.
#[test]
fn a_place_granted_to_a_sender_that_gives_up_goes_to_the_next() {
    in_schedules_of(3, || {
        let mailbox = mailbox(1, Overflow::Wait, []);
        assert_eq!(hold(&mailbox), Ok(()));
        let Room::InLine(waiter) = mailbox.reserve() else { panic!("the place is held") };
        let gives_up = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                let mut in_line = pin!(InLine::new(mailbox.clone(), waiter));
                let was_granted = in_line.as_mut().poll(&mut Context::from_waker(&Bell::new().1)).is_ready();
                if was_granted {
                    mailbox.give_back();
                }
            }
        });
        let next = thread::spawn({
            let mailbox = mailbox.clone();
            move || hold(&mailbox).map(|()| mailbox.fill(message(1)).is_ok())
        });

        mailbox.give_back();

        gives_up.join().unwrap();
        assert_eq!(next.join().unwrap(), Ok(true));
        assert_eq!(left_over(&mailbox), [1]);
    });
}

#[test]
fn nobody_overtakes_the_line() {
    in_schedules_of(3, || {
        let mailbox = mailbox(1, Overflow::Wait, [1]);
        let Room::InLine(waiter) = mailbox.reserve() else { panic!("the place is taken") };
        let late = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 3)
        });
        let in_line = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                assert_eq!(wait_for(InLine::new(mailbox.clone(), waiter)), Ok(()));
                mailbox.fill(message(2)).is_ok()
            }
        });

        let first = mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel);

        assert_eq!((first, late.join().unwrap(), in_line.join().unwrap()), (Ok(1), Err(None), true));
        assert_eq!(left_over(&mailbox), [2]);
    });
}

/// Goal: one place is granted to one of those in line, also when two threads let the line move at once.
#[test]
fn a_place_is_granted_to_the_first_in_line_alone() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::Wait, [1]);
        let [first, second] = [(); 2].map(|()| match mailbox.reserve() {
            Room::InLine(waiter) => Box::pin(InLine::new(mailbox.clone(), waiter)),
            _ => panic!("the place is taken"),
        });
        let late = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 3)
        });

        let read = mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel);

        assert_eq!((read, late.join().unwrap()), (Ok(1), Err(None)));
        let is_granted = |mut in_line: std::pin::Pin<Box<InLine<u32, _>>>| {
            in_line.as_mut().poll(&mut Context::from_waker(&Bell::new().1)).is_ready()
        };
        assert!(!is_granted(second), "there was one place");
        assert!(is_granted(first));
        mailbox.give_back();
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn the_last_place_is_given_once() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Reject, [1, 2]);
        let pushes = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 3).is_ok()
        });
        let reserves = thread::spawn({
            let mailbox = mailbox.clone();
            move || matches!(mailbox.reserve(), Room::Held) && mailbox.fill(message(4)).is_ok()
        });

        let first = mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel);

        assert_eq!(first, Ok(1));
        let left = match (pushes.join().unwrap(), reserves.join().unwrap()) {
            (false, false) => vec![2],
            (true, false) => vec![2, 3],
            (false, true) => vec![2, 4],
            (true, true) => panic!("two senders got one place"),
        };
        assert_eq!(left_over(&mailbox), left);
    });
}

/// Goal: who stands in line when the gate is shut, while a place is freed, gets one of both answers; and its place is not
/// lost with it.
#[test]
fn a_sender_in_line_hears_of_its_place_or_of_the_gate() {
    for gate in [Gate::Draining, Gate::Closed] {
        in_schedules_of(3, move || {
            let mailbox = mailbox(1, Overflow::Wait, [1]);
            let sender = thread::spawn({
                let mailbox = mailbox.clone();
                move || {
                    hold(&mailbox)?;
                    mailbox.fill(message(2)).map(drop).map_err(|(_, gate)| {
                        mailbox.give_back();
                        gate
                    })
                }
            });
            let shuts = thread::spawn({
                let mailbox = mailbox.clone();
                move || {
                    if gate == Gate::Draining {
                        mailbox.drain();
                        return Vec::new();
                    }
                    mailbox.close(gate).into_iter().map(|queued| queued.parcel).collect()
                }
            });

            let read = mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel);

            let (sent, mut all) = (sender.join().unwrap(), shuts.join().unwrap());
            all.extend(read);
            all.extend(left_over(&mailbox));
            all.sort_unstable();
            match sent {
                Ok(()) => assert_eq!(all, [1, 2]),
                Err(heard) => assert_eq!((heard, all), (gate, vec![1])),
            }
        });
    }
}
